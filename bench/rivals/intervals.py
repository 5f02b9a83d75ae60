"""The knob of rivals that compute every k-th step: the first three steps are full, then every k-th."""

from bench.rivals.rival import Knob
from workers.jobs.job import GenerationRequest

FIRST = 3
INTERVALS = (2, 3, 4, 5, 6, 7, 9, 12)


def intervals(request: GenerationRequest) -> list[Knob]:
    """Those that leave steps out of a request's."""
    return [interval for interval in INTERVALS if interval < request.steps - FIRST]
