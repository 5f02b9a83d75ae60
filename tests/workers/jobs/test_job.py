"""What a request says of itself."""

import pytest

from tests.workers.factories import a_request


@pytest.mark.parametrize(
    ("steps", "sf", "wants", "can"),
    [
        (50, 10, True, True),
        (12, 10, True, True),
        (11, 10, True, False),
        (10, 10, False, False),
        (10, 11, False, False),
        (1, 2, False, False),
        (4, 2, True, True),
    ],
)
def test_a_run_needs_two_steps_more_than_its_first_full_ones_to_be_accelerated(
    steps: int, sf: int, wants: bool, can: bool
) -> None:
    request = a_request(steps=steps, sf=sf)
    assert (request.wants_acceleration, request.can_be_accelerated) == (wants, can)


@pytest.mark.parametrize(("steps", "sf"), [(50, 50), (2, 2), (1, 2)])
def test_the_same_run_uncached_differs_in_sf_alone(steps: int, sf: int) -> None:
    request = a_request(steps=steps, sf=2)
    assert request.uncached == request.model_copy(update={"sf": sf})
    assert not request.uncached.wants_acceleration
