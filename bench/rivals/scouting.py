"""Which settings of a rival are worth running on all prompts: those around the speedups to compare at."""

from collections.abc import Callable, Mapping, Sequence

from bench.rivals.rival import SPEEDUPS, Knob

WIDEST = 1.25
"""The largest ratio of the costs of two neighbouring settings that a speedup is interpolated between, if it can be."""
TRIES = 2
CLOSE = 0.01
"""A cost this near to a wanted one, relative to it, is that one."""


def scouted(cost: Callable[[Knob], float], settings: Sequence[Knob]) -> dict[Knob, float]:
    """The cost of each setting, and of some between them where neighbours lie far apart around a speedup."""
    costs = {setting: cost(setting) for setting in settings}
    for speedup in SPEEDUPS:
        for _ in range(TRIES):
            between = _between(costs, 1 / speedup)
            if between is None or between in costs:
                break
            costs[between] = cost(between)
    return costs


def _between(costs: Mapping[Knob, float], wanted: float) -> float | None:
    """A setting in the middle of the two around a cost, if that is worth a run."""
    around = bracket(costs, wanted)
    if len(around) < 2 or costs[around[0]] < WIDEST * costs[around[1]]:
        return None
    above, below = around
    if not (isinstance(above, float) and isinstance(below, float) and above > 0 and below > 0):
        return None
    return float(f"{(above * below) ** 0.5:.4g}")


def bracket(costs: Mapping[Knob, float], wanted: float) -> list[Knob]:
    """The settings that a cost is interpolated between: the nearest two around it, the one that has it, or none."""
    nearest = min(costs, key=lambda setting: abs(costs[setting] - wanted))
    if abs(costs[nearest] - wanted) <= CLOSE * wanted:
        return [nearest]
    above = [setting for setting in costs if costs[setting] > wanted]
    below = [setting for setting in costs if costs[setting] < wanted]
    if not above or not below:
        return []
    return [min(above, key=lambda setting: costs[setting]), max(below, key=lambda setting: costs[setting])]


def chosen(costs: Mapping[Knob, float]) -> list[Knob]:
    """The settings to sweep, in the order of the costs' table."""
    wanted = {setting for speedup in SPEEDUPS for setting in bracket(costs, 1 / speedup)}
    return [setting for setting in costs if setting in wanted]


def nearest(costs: Mapping[Knob, float], speedups: Sequence[float]) -> list[Knob]:
    """The setting nearest to each of these speedups, each once."""
    found = [min(costs, key=lambda setting: abs(costs[setting] - 1 / speedup)) for speedup in speedups]
    return list(dict.fromkeys(found))
