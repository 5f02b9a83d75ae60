"""Measures what each sf costs in fidelity and brings in speed: paired uncached and accelerated runs of prompts."""

import hashlib
import json
import platform
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from workers.engine.acceleration import accelerate
from workers.engine.generation import Generation, generate
from workers.engine.loaded import LoadedModel
from workers.engine.plan import plan_run
from workers.files import replacing
from workers.jobs.errors import CoefficientsMismatch, InvalidRequest
from workers.jobs.job import GenerationRequest
from workers.measurement.contact_sheet import Row, compared, moments, save_contact_sheet
from workers.measurement.fidelity import psnr, ssim
from workers.measurement.figures import save_curve
from workers.measurement.kept import reading
from workers.measurement.perceptual import ClipScore, Lpips
from workers.measurement.prompts import Prompt, same_kind
from workers.measurement.provenance import provenance, versions
from workers.models.catalogue import Catalogue
from workers.models.evaluation import Evaluation, EvaluationError, Pair, summarise

COVARIANCE = ".covariance"
"""How the name of what a prompt's uncached run has shown ends, in the folder of finished prompts."""


@dataclass(frozen=True)
class EvaluationSettings:
    """What to measure. `overrides` go over the model's defaults; `work` keeps what is done, so that a run goes on."""

    prompts: Sequence[Prompt]
    sf: Sequence[int]
    seed: int
    overrides: dict[str, Any]
    work: Path


@dataclass(frozen=True)
class Measures:
    """Those beyond PSNR and SSIM; None is left out."""

    lpips: Lpips | None = None
    clip: ClipScore | None = None


@dataclass(frozen=True)
class Evaluated:
    """sheet: the contact sheet of the first prompt.

    uncached: each prompt's uncached run, and the file with what it has shown of the model; there is none where that
    was nothing.
    """

    evaluation: Evaluation
    sheet: Path
    uncached: list[tuple[GenerationRequest, Path]]


def evaluate(
    model: LoadedModel,
    catalogue: Catalogue,
    settings: EvaluationSettings,
    measures: Measures,
    progress: Callable[[int, int], None],
) -> Evaluated:
    """Every prompt uncached and with every sf.

    progress: told (generations done, generations in all). Raises `CoefficientsMismatch` before the first generation
    when the model cannot be accelerated as planned, and what a generation raises.
    """
    if find_spec("skimage") is None:
        raise EvaluationError("SSIM needs scikit-image: pip install 'scalingcache-serve[evaluate]'")
    same_kind(settings.prompts)
    planned = [_requests(model, catalogue, settings, number) for number in range(len(settings.prompts))]
    recipes = [_recipes(model, requests) for requests in planned]
    first = planned[0]
    total = len(settings.prompts) * len(first)
    warm_up = first[0].model_copy(update={"steps": 2})  # The first run is always slow.
    generate(model, warm_up, image=settings.prompts[0].picture(warm_up))
    pairs: list[Pair] = []
    finished: list[tuple[GenerationRequest, Path]] = []
    for number, (prompt, requests, made_of) in enumerate(zip(settings.prompts, planned, recipes, strict=True)):
        kept = settings.work / _identity(model, requests, made_of, measures)
        if not kept.with_suffix(".json").exists():
            prompt_progress = partial(_report_progress, progress, number * len(first), total)
            _measure(model, prompt, requests, measures, kept, prompt_progress)
        progress((number + 1) * len(first), total)
        with reading(path := kept.with_suffix(".json")):
            pairs += [Pair.model_validate(row) for row in json.loads(path.read_text())]
        finished.append((requests[0], kept))
    uncached = [(request, kept.with_suffix(COVARIANCE)) for request, kept in finished]
    return Evaluated(_evaluation(model, first[0], pairs), finished[0][1].with_suffix(".png"), uncached)


def _report_progress(progress: Callable[[int, int], None], before: int, total: int, done: int) -> None:
    progress(before + done, total)


def _requests(
    model: LoadedModel, catalogue: Catalogue, settings: EvaluationSettings, number: int
) -> list[GenerationRequest]:
    """Of one prompt: uncached first, then each sf. Another prompt has another seed."""
    prompt, seed = settings.prompts[number], settings.seed + number
    values = settings.overrides | {"seed": seed, "input_reference": prompt.reference}
    plain = catalogue.request(model.entry.name, prompt.text, **values)
    return [plain.uncached, *(plain.model_copy(update={"sf": sf}) for sf in settings.sf)]


def _recipes(model: LoadedModel, requests: list[GenerationRequest]) -> list[dict[str, Any]]:
    """What each of the accelerated runs is made of. Raises `InvalidRequest`, `CoefficientsMismatch`."""
    check_sf([request.sf for request in requests[1:]], requests[0].steps)
    recipes = []
    for request in requests[1:]:
        acceleration = accelerate(model, plan_run(model, request))
        if acceleration.session is None:
            raise CoefficientsMismatch(f"sf={request.sf} cannot be evaluated: {acceleration.reason}")
        recipes.append(acceleration.session.recipe)
    return recipes


def check_sf(values: Sequence[int], steps: int) -> None:
    """Raises `InvalidRequest` for one that is no request's, or that predicts nothing."""
    if wrong := [sf for sf in values if not 2 <= sf < steps]:
        raise InvalidRequest("sf", f"--sf {wrong[0]} must be at least 2 and below the number of steps, {steps}")


def _identity(
    model: LoadedModel, requests: list[GenerationRequest], recipes: list[dict[str, Any]], measures: Measures
) -> str:
    """The same for two evaluations exactly when a prompt's result is."""
    identity = {
        "key": asdict(plan_run(model, requests[0]).key),
        "version": model.version,  # also of its VAE and text encoders
        "requests": [r.model_dump() for r in requests],
        "recipes": recipes,
        "measures": [measures.lpips is not None, measures.clip is not None],
        "switches": model.entry.shown(),
        "machine": machine(model) | versions(),
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:24]


def _measure(
    model: LoadedModel,
    prompt: Prompt,
    requests: list[GenerationRequest],
    measures: Measures,
    kept: Path,
    done: Callable[[int], None],
) -> None:
    """Run one prompt and keep its pairs as JSON, and its contact sheet."""
    image = prompt.picture(requests[0])
    uncached = generate(model, requests[0], image=image)
    clip_uncached = None if measures.clip is None else measures.clip(uncached.frames, prompt.text)
    sheet = [Row("uncached", moments(uncached.frames))]
    pairs = []
    for number, request in enumerate(requests[1:], start=1):
        done(number)
        run = generate(model, request, image=image)
        pairs.append(_pair(prompt, request, uncached, run, measures, clip_uncached))
        figures = f"{pairs[-1].speedup:.2f} times faster, {pairs[-1].psnr:.1f} dB, SSIM {pairs[-1].ssim:.4f}"
        sheet.append(Row(f"sf={request.sf}: {figures}", moments(run.frames)))
    save_contact_sheet(kept.with_suffix(".png"), prompt.text, compared(sheet))
    if uncached.covariance is not None:
        uncached.covariance.save(kept.with_suffix(COVARIANCE))
    with replacing(kept.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps([pair.model_dump() for pair in pairs]))


def _pair(
    prompt: Prompt,
    request: GenerationRequest,
    uncached: Generation,
    run: Generation,
    measures: Measures,
    clip_uncached: float | None,
) -> Pair:
    report = run.report
    return Pair(
        prompt=prompt.text,
        group=prompt.group,
        sf=request.sf,
        seed=request.seed,
        decisions=report.decisions,
        reason=None if report.reason is None else str(report.reason),
        speedup=uncached.report.timings["denoise"] / report.timings["denoise"],
        predicted_step_cost=(report.predicted_step_seconds or 0.0) / report.full_step_seconds,
        psnr=psnr(run.frames, uncached.frames),
        ssim=ssim(run.frames, uncached.frames),
        lpips=measures.lpips and measures.lpips(run.frames, uncached.frames),
        clip=measures.clip and measures.clip(run.frames, prompt.text),
        clip_uncached=clip_uncached,
        cache_bytes=report.cache_bytes,
    )


def _evaluation(model: LoadedModel, request: GenerationRequest, pairs: list[Pair]) -> Evaluation:
    return Evaluation(
        model=model.entry.name,
        fingerprint=model.fingerprint,
        steps=request.steps,
        size=f"{request.width}x{request.height}",
        frames=request.frames,
        guidance=request.guidance,
        input_reference=request.input_reference is not None,
        rows=summarise(pairs),
        pairs=pairs,
        provenance=provenance() | machine(model),
    )


def machine(model: LoadedModel) -> dict[str, str]:
    """What the times depend on beside the model."""
    device = model.entry.device
    return {
        "device": platform.machine() if device == "cpu" else torch.cuda.get_device_name(device),
        "threads": str(torch.get_num_threads()),
    }


def save_evaluation(evaluation: Evaluation, sheet: Path, destination: Path) -> list[Path]:
    """Write the result, the curve and the contact sheet beside each other; returns their paths."""
    evaluation.save(destination)
    curve, copied = destination.with_suffix(".curve.png"), destination.with_suffix(".sheet.png")
    save_curve(evaluation, curve)
    shutil.copyfile(sheet, copied)
    return [destination, curve, copied]
