"""In which order and on which side pairs are shown."""

import pytest

from service.ballots import BallotNotFound, Choice, new_ballot, open_positions, place_at, places

STUDY = "study_" + "a" * 32


def test_a_ballot_shows_every_pair_once_and_in_the_same_order_whenever_it_is_opened() -> None:
    ballot = new_ballot()
    shown = places(STUDY, ballot, 20)
    assert sorted(place.pair for place in shown) == list(range(20))
    assert shown == places(STUDY, ballot, 20)
    assert shown != places(STUDY, new_ballot(), 20) and shown != places("study_" + "b" * 32, ballot, 20)


def test_over_many_ballots_no_place_and_no_side_is_preferred() -> None:
    seen = [places(STUDY, f"{n:016x}", 2) for n in range(1000)]
    firsts = sum(shown[0].pair == 0 for shown in seen)
    turned = sum(place.turned for shown in seen for place in shown)
    assert 440 < firsts < 560 and 900 < turned < 1100  # beyond four standard deviations


@pytest.mark.parametrize("choice", ["left", "right", "no_difference"])
def test_a_choice_is_kept_without_its_side_and_shown_with_it(choice: Choice) -> None:
    for place in places(STUDY, "0" * 16, 8):
        chosen = place.chosen(choice)
        assert place.choice(chosen) == choice
        if choice != "no_difference":
            assert (chosen == "first") is place.is_first("left" if choice == "left" else "right")
        else:
            assert chosen == "neither"


def test_what_is_left_follows_the_ballots_order() -> None:
    shown = places(STUDY, "0" * 16, 3)
    assert open_positions(shown, [shown[0].pair, shown[2].pair]) == [2]
    assert open_positions(shown, []) == [1, 2, 3]


@pytest.mark.parametrize("ballot", ["", "0" * 15, "g" * 16, "0" * 17, "../x"])
def test_what_is_no_ballot_is_told(ballot: str) -> None:
    with pytest.raises(BallotNotFound, match="POST /v1/ballots"):
        places(STUDY, ballot, 3)


@pytest.mark.parametrize("position", [0, -1, 4])
def test_positions_go_from_one_to_the_number_of_pairs(position: int) -> None:
    with pytest.raises(BallotNotFound, match="allowed: 1 to 3"):
        place_at(places(STUDY, "0" * 16, 3), position)
