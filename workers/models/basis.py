"""What a model's acceleration rests on, as its files say it. Torch-free: the service shows it, too."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from workers.jobs.frozen import Frozen
from workers.jobs.job import GenerationRequest
from workers.models.entry import Method
from workers.scalingcache.fields import read_table


class Measured(Frozen):
    """One coefficients file: which runs it was measured on, and which it holds for."""

    method: Method
    runs: int = Field(description="Uncached runs that it was measured on.")
    steps: int = Field(description="Of these runs; a covariance holds for other numbers of steps and shifts, too.")
    size_class: int = Field(description="log2 of width · height · frames, rounded: it holds for requests of this one.")
    guidance: bool = Field(description="Whether the runs had a second, unconditional stream.")
    input_reference: bool = Field(description="Whether the runs started from given first frames.")
    flow_shift: float | None = Field(
        description="Of the noise schedule, which alone the paper's coefficients hold for; null for a covariance."
    )
    plan: Literal["expected", "tried"] | None = Field(
        description="What settled which steps runs compute in full: the `expected` error, or whole runs that were "
        "`tried`; null for the paper's coefficients, whose rule decides as a run goes."
    )
    date: str | None = Field(description="When it was measured.")

    def difference(self, request: GenerationRequest, *, guided: bool) -> str | None:
        """The first setting, other than steps, for which it does not hold, with both values; None where it holds.

        guided: whether the request has a second, unconditional stream.
        """
        size_class = round(math.log2(request.width * request.height * request.frames))
        if size_class != self.size_class:
            size = f"{request.width}x{request.height}, {request.frames} frames"
            return f"{size}: size class {size_class}, measured {self.size_class}"
        if guided != self.guidance:
            return "guidance, measured without" if guided else "no guidance, measured with it"
        if (request.input_reference is not None) != self.input_reference:
            return "no first frame, measured with them" if self.input_reference else "a first frame, measured without"
        if None not in (request.flow_shift, self.flow_shift) and request.flow_shift != self.flow_shift:
            return f"flow_shift {request.flow_shift:g}, measured {self.flow_shift:g}"
        return None


def not_measured(files: Sequence[Measured], request: GenerationRequest, *, guided: bool) -> str | None:
    """Why none of some files holds for a request, whatever its steps; None where one does, or there is none."""
    differences = [each.difference(request, guided=guided) for each in files]
    return "; ".join(dict.fromkeys(filter(None, differences))) if files and None not in differences else None


def readable(paths: Sequence[str], method: Method) -> list[Measured]:
    """What the files of a method say, without those that are missing or damaged: loading the model tells of these."""
    found = []
    for path in paths:
        try:
            found.append(read_measured(Path(path)))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return [each for each in found if each.method == method]


def read_measured(path: Path) -> Measured:
    """What a file of either method says of itself. Raises `OSError`, `ValueError`, `KeyError`, `TypeError`."""
    table = read_table(path)
    covariance = "kind" in table
    about = table["kind" if covariance else "key"]
    return Measured(
        method="covariance" if covariance else "paper",
        runs=table["runs"] if covariance else table["prompts"] * table["seeds"],
        steps=len(table["sigmas"]) if covariance else about["steps"],
        size_class=about["size_class"],
        guidance=about["guidance"],
        input_reference=about.get("input_reference", False),
        flow_shift=None if covariance else _shift(about["scheduler"]),
        plan=("tried" if table.get("prior_shares") else "expected") if covariance else None,
        date=table.get("provenance", {}).get("date"),
    )


def _shift(scheduler: dict[str, Any]) -> float | None:
    return scheduler.get("flow_shift", scheduler.get("shift"))
