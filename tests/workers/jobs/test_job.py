"""What a request says of itself."""

import pytest
import torch
from pydantic import ValidationError

from tests.workers.factories import a_request
from workers.jobs.job import SEEDS, GenerationRequest


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
    assert (request.wants_acceleration, request.has_room_for_predictions) == (wants, can)


@pytest.mark.parametrize(("steps", "sf"), [(50, 50), (2, 2), (1, 2)])
def test_the_same_run_uncached_differs_in_sf_alone(steps: int, sf: int) -> None:
    request = a_request(steps=steps, sf=2)
    assert request.uncached == request.model_copy(update={"sf": sf})
    assert not request.uncached.wants_acceleration


def test_every_bit_of_an_accepted_seed_counts() -> None:
    seeds = [0, *(1 << bit for bit in range(SEEDS.bit_length() - 1)), SEEDS - 1]
    noises = {torch.randn(4, generator=torch.Generator().manual_seed(seed)).numpy().tobytes() for seed in seeds}
    assert len(noises) == len(seeds)
    assert torch.equal(*(torch.randn(4, generator=torch.Generator().manual_seed(seed)) for seed in (11, SEEDS + 11)))
    with pytest.raises(ValidationError, match="seed"):
        GenerationRequest.model_validate(a_request().model_dump() | {"seed": SEEDS})
