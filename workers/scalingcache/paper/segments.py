"""A run whose steps several experts compute one after the other: segments of consecutive steps, by their lengths.

A model without experts has one segment, which is what an empty sequence of lengths means everywhere.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise


def slices(segments: Sequence[int], steps: int) -> list[slice]:
    """The steps of each segment. Raises `ValueError` when the lengths do not make up all `steps`."""
    edges = list(accumulate(segments or (steps,), initial=0))
    if edges[-1] != steps:
        raise ValueError(f"segments {list(segments)} make {edges[-1]} steps, the run has {steps}")
    return [slice(start, stop) for start, stop in pairwise(edges)]


def handovers(segments: Sequence[int]) -> list[int]:
    """The first step of every segment but the first."""
    return list(accumulate(segments))[:-1]


def split_sf(sf: int, segments: Sequence[int]) -> list[int]:
    """How many initial full steps each segment gets: `sf` in proportion to the steps, but at least 2 everywhere.

    An expert has no history of another's: its first difference needs two full steps of its own.
    """
    total = sum(segments)
    edges = [round(sf * done / total) for done in accumulate(segments, initial=0)]
    return [max(2, stop - start) for start, stop in pairwise(edges)]
