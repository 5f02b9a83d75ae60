"""What an uncached run teaches: it is held back until it, and those held back before it, make predictions better."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import structlog

from workers.caching.solver import measured_response
from workers.engine.knowledge import file_of, worth_keeping
from workers.engine.plan import RunPlan
from workers.jobs.errors import UnsupportedPipeline
from workers.scalingcache import budget, promotion
from workers.scalingcache.measured import MeasuredCovariance

log = structlog.get_logger()

REFERENCE_SF = 10
"""Of 50 steps: what a run's worth is told for, as by `calibrate`."""

#: Whether a run counts: `held_back` until more are there; `not_needed` with few steps, or where there are enough;
#: `known` where it was made before.
Verdict = Literal["promoted", "held_back", "not_needed", "known"]


@dataclass(frozen=True)
class ObservedRun:
    """One entry of the list that all workers of a model share.

    promotes: whether from here on it counts, and with it all that were held back before and hold for such runs. This is
    in the list, and not found anew by each worker, so that they all go by the same.
    """

    shown: MeasuredCovariance
    promotes: bool

    def text(self) -> str:
        """As JSON."""
        return json.dumps(json.loads(self.shown.text()) | {"promotes": self.promotes})

    @classmethod
    def parsed(cls, text: str) -> "ObservedRun":
        """From JSON; where it does not say so it promotes. Raises `ValueError`, `KeyError`, `TypeError`."""
        table = json.loads(text)
        if not isinstance(table, dict):
            raise TypeError(f"an observed run is a JSON object, not {type(table).__name__}")
        return cls(MeasuredCovariance.parsed(table), bool(table.get("promotes", True)))


def readable(model: str, texts: Iterable[str]) -> list[ObservedRun]:
    """The entries of a model's list; one that cannot be read, as of a later version, is left out and logged."""
    runs = []
    for text in texts:
        try:
            runs.append(ObservedRun.parsed(text))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            log.warning("observation unreadable", model=model, error=str(error))
    return runs


def counting(observed: Sequence[ObservedRun]) -> list[MeasuredCovariance]:
    """The runs that are in force, in the order in which they came into it: a number of them names the first ones."""
    return _sorted(observed)[0]


def learnt(
    files: Sequence[MeasuredCovariance],
    observed: Sequence[ObservedRun],
    plan: RunPlan,
    shown: MeasuredCovariance | None,
) -> tuple[Verdict, ObservedRun | None]:
    """What becomes of what an uncached run has shown, and what is to be added to the list, if anything.

    files, observed: what was known before, as for `known_covariance`.
    """
    if shown is None or not worth_keeping(shown, [each.shown for each in observed]):
        return "not_needed", None
    if any(shown.alike(each.shown) for each in observed):
        return "known", None  # Each of the two would be predicted by the other, and so count whatever it is like.
    promotes = _promotes(files, observed, plan, shown)
    return ("promoted" if promotes else "held_back"), ObservedRun(shown, promotes)


def known_runs(files: Sequence[MeasuredCovariance], observed: Sequence[ObservedRun], plan: RunPlan) -> int:
    """How many uncached runs there are that hold for such a run, those included that are held back."""
    file, levels = file_of(files, plan), plan.sigmas.double().numpy()
    alike = [each for each in observed if each.shown.holds_for(plan.kind, levels)]
    return (0 if file is None else file.covariance.runs) + len(alike)


def _promotes(
    files: Sequence[MeasuredCovariance], observed: Sequence[ObservedRun], plan: RunPlan, shown: MeasuredCovariance
) -> bool:
    levels = plan.sigmas.double().numpy()
    steps = len(levels)
    count = budget.full_steps(max(2, round(REFERENCE_SF * steps / 50)), steps)
    try:
        measured_response(plan.scheduler, plan.sigmas)  # refuses what is not linear
    except UnsupportedPipeline:
        return False  # Nothing is predicted with this scheduler.
    in_force, held_back = (
        [each.covariance.at(levels) for each in found if each.holds_for(plan.kind, levels)]
        for found in _sorted(observed)
    )
    file = file_of(files, plan)
    found = promotion.held_out(
        None if file is None else file.covariance.at(levels), in_force, [*held_back, shown.covariance], count
    )
    return found is not None and found.falls


def _sorted(observed: Sequence[ObservedRun]) -> tuple[list[MeasuredCovariance], list[MeasuredCovariance]]:
    """Those that count, as they came to, and those that are held back."""
    in_force: list[MeasuredCovariance] = []
    held_back: list[MeasuredCovariance] = []
    for each in observed:
        held_back.append(each.shown)
        if each.promotes:
            kind, levels = each.shown.kind, each.shown.covariance.sigmas
            in_force += [run for run in held_back if run.holds_for(kind, levels)]
            held_back = [run for run in held_back if not run.holds_for(kind, levels)]
    return in_force, held_back
