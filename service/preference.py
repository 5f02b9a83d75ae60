"""How often a setting was preferred to its baseline, and how sure that is."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, Field

from service.ballots import Chosen
from service.pairing import Pair
from workers.models.evaluation import Estimate

#: Of the normal distribution, for 95 %.
Z = 1.959964
_WORTH: dict[Chosen, float] = {"first": 1.0, "neither": 0.5, "second": 0.0}


@dataclass(frozen=True, slots=True)
class Vote:
    """participant: who votes of one hangs together. pair: its index in the study."""

    participant: str
    pair: int
    chosen: Chosen


class Comparison(BaseModel):
    """A setting of a model beside its baseline. Shares are of all votes; null without any."""

    model: str
    setting: str
    baseline: str
    pairs: int
    votes: int
    participants: int
    setting_preferred: int
    no_difference: int
    baseline_preferred: int
    setting_share: Estimate | None
    no_difference_share: Estimate | None
    baseline_share: Estimate | None
    score: Estimate | None = Field(
        description="Share of votes for the setting, where `no_difference` counts half: 0.5 where nobody can tell them "
        "apart. The 95 % interval takes into account that votes of one participant hang together."
    )


def compare(pairs: Sequence[Pair], votes: Iterable[Vote]) -> list[Comparison]:
    """A row for each model, setting and baseline, sorted by these."""
    shown: dict[tuple[str, str, str], list[Vote]] = {_row(pair): [] for pair in pairs}
    for vote in votes:
        shown[_row(pairs[vote.pair])].append(vote)
    counts = Counter(_row(pair) for pair in pairs)
    return [_comparison(row, counts[row], shown[row]) for row in sorted(shown)]


def wilson(share: float, votes: float) -> Estimate:
    """A share of so many votes, with Wilson's 95 % interval. votes: above 0; a fraction where they hang together."""
    middle = (share + Z * Z / (2 * votes)) / (1 + Z * Z / votes)
    half = Z / (1 + Z * Z / votes) * math.sqrt(share * (1 - share) / votes + Z * Z / (4 * votes * votes))
    return Estimate(mean=share, low=max(0.0, middle - half), high=min(1.0, middle + half))


def clustered(values: Iterable[tuple[str, float]]) -> Estimate | None:
    """The mean of values from 0 to 1, each of a participant; its interval is Wilson's for as many independent votes as
    would have the variance between participants (Korn and Graubard, 1998), never more than there are. None of none."""
    sums: dict[str, tuple[float, int]] = defaultdict(lambda: (0.0, 0))
    for participant, value in values:
        total, count = sums[participant]
        sums[participant] = total + value, count + 1
    votes, people = sum(count for _, count in sums.values()), len(sums)
    if not votes:
        return None
    share = sum(total for total, _ in sums.values()) / votes
    if people == 1:
        return wilson(share, votes)
    variance = people / (people - 1) * sum((total - share * count) ** 2 for total, count in sums.values()) / votes**2
    worth = share * (1 - share) / variance if variance > 0 else votes
    return wilson(share, min(votes, worth) or votes)


def _row(pair: Pair) -> tuple[str, str, str]:
    return pair.model, pair.setting, pair.baseline


def _comparison(row: tuple[str, str, str], pairs: int, votes: Sequence[Vote]) -> Comparison:
    counts, (model, setting, baseline) = Counter(vote.chosen for vote in votes), row

    def share(chosen: Chosen) -> Estimate | None:
        return clustered((vote.participant, float(vote.chosen == chosen)) for vote in votes)

    return Comparison(
        model=model,
        setting=setting,
        baseline=baseline,
        pairs=pairs,
        votes=len(votes),
        participants=len({vote.participant for vote in votes}),
        setting_preferred=counts["first"],
        no_difference=counts["neither"],
        baseline_preferred=counts["second"],
        setting_share=share("first"),
        no_difference_share=share("neither"),
        baseline_share=share("second"),
        score=clustered((vote.participant, _WORTH[vote.chosen]) for vote in votes),
    )
