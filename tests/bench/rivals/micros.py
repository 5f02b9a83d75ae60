"""Micro checkpoints of three families, measured for both of our methods, each with a case and its uncached run."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from bench.rivals.rival import Case
from bench.rivals.runs import Outcome, uncached
from tests.workers import micro_flux, micro_hunyuan_video, micro_wan
from workers.engine.generation import generate
from workers.engine.loaded import LoadedModel, load_model
from workers.models.catalogue import Catalogue, families

STEPS = 12
MICRO = {
    "wan": (micro_wan.save_micro_wan, micro_wan.micro_entry),
    "flux": (micro_flux.save_micro_flux, micro_flux.micro_entry),
    "hunyuan_video": (micro_hunyuan_video.save_micro_hunyuan_video, micro_hunyuan_video.micro_entry),
}


@dataclass(frozen=True)
class Micro:
    model: LoadedModel
    case: Case
    reference: Outcome


def a_micro(family: str, folder: Path) -> Micro:
    """Saved into a folder and loaded from it."""
    save, make_entry = MICRO[family]
    save(folder)
    entry = make_entry(folder)
    known = Catalogue({entry.name: entry}, families())
    request = known.request(entry.name, "red circle", seed=1, steps=STEPS)
    case = Case(request.model_copy(update={"sf": STEPS}))
    model = load_model(entry, known.family(entry.name))
    made_up = micro_wan.calibrated(model, request).coefficients[0]
    alpha = torch.full((STEPS, model.blocks), 0.9, dtype=torch.float64)
    shown = generate(model, case.request.model_copy(update={"seed": 2})).covariance
    assert shown is not None
    model = replace(model, covariances=(shown,), coefficients=(replace(made_up, alpha=alpha),))
    return Micro(model, case, uncached(model, case))
