"""What follows from wishes that are no fields of a generation: a length in seconds, a speedup."""

from workers.jobs.errors import InvalidRequest
from workers.jobs.job import GenerationRequest
from workers.models.basis import not_measured, readable
from workers.models.catalogue import Catalogue
from workers.models.entry import ModelEntry
from workers.scalingcache.budget import SMALLEST_GAIN, full_steps_of_speedup, reaches, sf_of, worthwhile


def frames_of(seconds: float, fps: int, entry: ModelEntry, catalogue: Catalogue) -> int:
    """The frame count that the model makes that is nearest to a length. Raises `InvalidRequest` beyond its limit."""
    most = entry.limits.max_frames
    if seconds * fps > most + 1:
        raise InvalidRequest(
            "seconds",
            f"seconds {seconds:g} at {fps} fps is {seconds * fps:g} frames; "
            f"{entry.name} makes at most {most} frames, which is {most / fps:.6g} seconds",
        )
    return catalogue.family(entry.name).nearest_frames(seconds * fps, entry.limits)


def knob(speedup: float, steps: int, entry: ModelEntry, catalogue: Catalogue, *, from_image: bool) -> dict[str, int]:
    """The fields that make a run this much faster. Raises `InvalidRequest`."""
    wanted = f"target_speedup {speedup:g}"
    if entry.method == "paper":
        return {"sf": _evaluated_sf(speedup, steps, entry, catalogue, from_image)}
    count = full_steps_of_speedup(speedup, steps)
    if not reaches(speedup, count, steps):
        raise InvalidRequest(
            "target_speedup",
            f"{wanted}: {steps} steps are at most {steps / count:g} times faster, with {count} in full",
        )
    return {"sf": sf_of(count, steps), "full_steps": count}


def check_reached(request: GenerationRequest, speedup: float, entry: ModelEntry, catalogue: Catalogue) -> None:
    """Raise `InvalidRequest` where the run for a wanted speed would be computed in full."""
    wanted, uncached = f"target_speedup {speedup:g}", f"set sf {request.uncached.sf} to have it computed in full"
    if speedup == 1:
        return
    if entry.method == "covariance":
        count = request.full_steps or request.steps
        if not worthwhile(count, request.steps):
            raise InvalidRequest(
                "target_speedup",
                f"{wanted}: {count} of {request.steps} steps in full are less than {SMALLEST_GAIN:g} times faster, "
                f"which is not worth it; ask for more, or {uncached}",
            )
    elif not request.allow_uncalibrated:
        guided = catalogue.family(entry.name).guided(request)
        files = readable(entry.coefficients, entry.method)
        why = not_measured(files, request, guided=guided) if files else "no coefficients file can be read"
        if why is not None:
            raise InvalidRequest(
                "target_speedup", f"{wanted}: nothing is accelerated with these settings ({why}); {uncached}"
            )


def _evaluated_sf(speedup: float, steps: int, entry: ModelEntry, catalogue: Catalogue, from_image: bool) -> int:
    """The `sf` that is expected to be this much faster, by the model's evaluation."""
    wanted = f"target_speedup {speedup:g}"
    evaluation = catalogue.evaluation(entry.name)
    if evaluation is None:
        raise InvalidRequest("target_speedup", f"{wanted}: {entry.name} has no evaluation to choose by; set sf instead")
    if evaluation.steps != steps:
        raise InvalidRequest(
            "target_speedup",
            f"{wanted}: {entry.name} was evaluated with {evaluation.steps} steps, not {steps}; set sf instead",
        )
    if evaluation.input_reference != from_image:
        kind = "with" if evaluation.input_reference else "without"
        raise InvalidRequest(
            "target_speedup", f"{wanted}: {entry.name} was evaluated {kind} input_reference; set sf instead"
        )
    return evaluation.sf_for(speedup)
