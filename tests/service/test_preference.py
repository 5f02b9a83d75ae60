"""What votes say, and how sure that is."""

import random

import pytest

from service.ballots import Chosen
from service.pairing import Pair
from service.preference import Vote, clustered, compare, wilson


def a_pair(setting: str, model: str = "m") -> Pair:
    return Pair(model=model, first="a", second="b", setting=setting, baseline="uncached")


def votes(pair: int, *chosen: Chosen) -> list[Vote]:
    return [Vote(f"p{n}", pair, each) for n, each in enumerate(chosen)]


@pytest.mark.parametrize(
    ("share", "count", "low", "high"),
    # Of R: prop.test(x, n, correct = FALSE)$conf.int
    [(0.5, 100, 0.4038, 0.5962), (0.6, 200, 0.5309, 0.6654), (1.0, 10, 0.7225, 1.0), (0.0, 10, 0.0, 0.2775)],
)
def test_intervals_are_wilsons(share: float, count: int, low: float, high: float) -> None:
    found = wilson(share, count)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_a_row_says_how_often_a_setting_was_preferred() -> None:
    pairs = [a_pair("sf 10"), a_pair("sf 10"), a_pair("sf 6")]
    rows = compare(pairs, votes(0, "first", "second") + votes(1, "neither", "first") + votes(2, "second"))
    ten, six = rows
    assert (ten.setting, ten.pairs, ten.votes, ten.participants) == ("sf 10", 2, 4, 2)
    assert (ten.setting_preferred, ten.no_difference, ten.baseline_preferred) == (2, 1, 1)
    assert ten.score is not None and ten.score.mean == (2 + 0.5) / 4
    assert ten.setting_share is not None and ten.setting_share.mean == 0.5
    assert six.score is not None and six.score.mean == 0 and six.score.low == 0 < six.score.high


def test_a_setting_without_a_vote_has_no_share_rather_than_none_at_all() -> None:
    [row] = compare([a_pair("sf 6")], [])
    assert (row.votes, row.score, row.setting_share) == (0, None, None)


def test_models_are_told_apart() -> None:
    rows = compare([a_pair("sf 6", "b"), a_pair("sf 6", "a")], votes(0, "first"))
    assert [(row.model, row.votes) for row in rows] == [("a", 0), ("b", 1)]


def test_votes_that_hang_together_are_worth_less_than_independent_ones() -> None:
    alone = clustered((f"p{n}", float(n % 2)) for n in range(40))
    together = clustered((f"p{n % 4}", float(n % 2)) for n in range(40))
    assert alone is not None and together is not None and alone.mean == together.mean == 0.5
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_an_interval_is_never_narrower_than_that_of_independent_votes() -> None:
    ties = clustered((f"p{n}", 0.5) for n in range(50))
    agreed = clustered((f"p{n % 5}", 1.0) for n in range(50))
    assert ties == wilson(0.5, 50) and agreed == wilson(1.0, 50)


def test_of_studies_whose_truth_is_known_most_intervals_have_it() -> None:
    """Thirty people with tastes of their own, ten votes each; intervals for as many independent votes have the truth in
    75 % of these."""
    dice, inside = random.Random(5), 0
    for _ in range(400):
        values = []
        for person in range(30):
            taste = dice.betavariate(2, 2)
            values += [(f"{person}", float(dice.random() < taste)) for _ in range(10)]
        found = clustered(values)
        assert found is not None
        inside += found.low <= 0.5 <= found.high
    assert inside >= 0.92 * 400
