"""How many steps an sf, or a wanted speedup, leaves to be computed in full. Torch-free: the service asks too."""

SMALLEST_GAIN = 1.15
"""Below this speedup a run is not accelerated: it would lose fidelity for next to nothing."""

ROUNDING = 1e-9
"""Of a number of full steps: what a speedup that is written as a decimal may be off by."""

ENOUGH_RUNS = 4
"""From so many measured runs on a covariance holds for prompts that were not among them."""

LEAST_STEPS = 20
"""Runs with fewer steps show too little of what lies between their noise levels."""

MOST = 0.6
"""From this part of the steps on a run begins with more of them, see `opening`; measured on flux-tiny."""

CALIBRATION_RUNS = 8
"""With so many measured runs of a kind more bring next to nothing."""


def full_steps(sf: int, steps: int) -> int:
    """How many of `steps` are computed in full for an sf.

    The part that is predicted is the square of the part that sf leaves over.
    Of 50 steps: 10 → 18, 6 → 11, 4 → 8, which is the speed that the paper reports for these.
    """
    return steps if sf >= steps else max(2, round(steps * (1.0 - (1.0 - sf / steps) ** 2)))


def computed(count: int, steps: int) -> int:
    """How many steps a run really computes in full that has `count` to: all where leaving some out is no gain."""
    return count if worthwhile(count, steps) else steps


def full_steps_of_speedup(speedup: float, steps: int) -> int:
    """The most full steps with which a run is at least so many times faster, never fewer than 2."""
    return max(2, min(steps, int(steps / speedup + ROUNDING)))


def reaches(speedup: float, count: int, steps: int) -> bool:
    """Whether a run with `count` of `steps` in full is so many times faster."""
    return count <= steps / speedup + ROUNDING


def sf_of(count: int, steps: int) -> int:
    """The sf whose full steps are nearest to `count` from below, at least 2."""
    return max((sf for sf in range(2, steps + 1) if full_steps(sf, steps) <= count), default=2)


def worthwhile(count: int, steps: int) -> bool:
    """Whether computing `count` of `steps` in full is a gain."""
    return steps >= SMALLEST_GAIN * count


def opening(count: int, steps: int, runs: int) -> int:
    """How many of a run's full steps are its first ones, at least 2.

    A quarter where enough runs were measured that they tell by themselves which steps matter.
    A third where fewer were, or none: early outputs of guided models change in ways that differ from prompt to prompt.
    Two fifths where most steps are computed: what is wrong in an early one, later outputs answer to.
    """
    if count >= MOST * steps:
        return max(2, 2 * count // 5)
    return max(2, count // 4 if runs >= ENOUGH_RUNS else count // 3)
