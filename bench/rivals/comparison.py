"""Fidelity at equal cost: each rival's points are interpolated, and rivals compared prompt by prompt."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log
from statistics import fmean

from bench.rivals.records import Row
from bench.rivals.rival import Knob
from bench.rivals.scouting import CLOSE
from workers.models.evaluation import Estimate, estimate

Key = tuple[str, int]
"""Prompt and seed."""
Values = Mapping[Key, float]
Measure = Callable[[Row], float]


@dataclass(frozen=True)
class Point:
    """One setting: its mean cost, and a measure of each case."""

    cost: float
    values: Values


def curve(rows: Iterable[Row], measure: Measure) -> list[Point]:
    """A rival's points, from the dearest to the cheapest.

    A setting's cost is the mean over its cases, so that a rival may spend more on some of them than on others.
    """
    settings: dict[Knob, list[Row]] = defaultdict(list)
    for row in rows:
        settings[row.setting].append(row)
    points = [
        Point(fmean(row.cost for row in group), {(row.prompt, row.seed): measure(row) for row in group})
        for group in settings.values()
    ]
    return sorted(points, key=lambda point: -point.cost)


def at(points: Sequence[Point], cost: float) -> Values | None:
    """Each case's value at a cost: between the two nearest points along a line over log cost. None beyond the ends."""
    close = [point for point in points if abs(point.cost - cost) <= CLOSE * cost]
    if close:
        return min(close, key=lambda point: abs(point.cost - cost)).values
    for dear, cheap in pairwise(points):
        if cheap.cost < cost < dear.cost:
            part = log(dear.cost / cost) / log(dear.cost / cheap.cost)
            both = dear.values.keys() & cheap.values.keys()
            return {key: (1 - part) * dear.values[key] + part * cheap.values[key] for key in both}
    return None


def by_prompt(values: Values) -> dict[str, float]:
    """Means over the seeds of a prompt, which are not independent of each other."""
    prompts: dict[str, list[float]] = defaultdict(list)
    for (prompt, _seed), value in values.items():
        prompts[prompt].append(value)
    return {prompt: fmean(seeds) for prompt, seeds in prompts.items()}


def difference(values: Values, baseline: Values) -> Estimate | None:
    """The mean difference over the prompts that both have, with its 95 % interval; None when they have none."""
    both = values.keys() & baseline.keys()
    differences = by_prompt({key: values[key] - baseline[key] for key in sorted(both)})
    return estimate(list(differences.values())) if differences else None


def mean(values: Values) -> float:
    """Over prompts."""
    return fmean(by_prompt(values).values())


def worst(values: Values) -> float:
    """The smallest value of any case."""
    return min(values.values())
