"""What the measurement of two experts' schedules makes: its checkpoint and its schedules."""

from pathlib import Path

import numpy as np
import pytest

from bench.two_experts import save_experts, with_full
from workers.models.catalogue import families
from workers.models.identification import check_whole, families_of
from workers.models.parts import Checkpoint
from workers.scalingcache import priors, schedule


def test_its_checkpoint_has_two_whole_experts_with_other_weights(tmp_path: Path) -> None:
    save_experts(Path("demo/checkpoints/wan-tiny"), tmp_path / "experts", noise=0.1)
    checkpoint = Checkpoint.read(tmp_path / "experts")
    assert families_of(checkpoint, families()) == ["wan"]
    weights = check_whole(checkpoint, None).weights
    files = [weights[part].files[0].read_bytes() for part in ("transformer", "transformer_2")]
    assert len(files[0]) == len(files[1]) and files[0] != files[1]


@pytest.mark.parametrize("wanted", [(17,), (17, 18), (18, 19)])
def test_its_schedules_have_the_wanted_steps_and_as_many_as_planned(wanted: tuple[int, ...]) -> None:
    matrix = priors.usual(np.linspace(0.98, 0.02, 40)).matrix
    planned, moved = schedule.plan(matrix, 18, 6), with_full(wanted, schedule.plan)(matrix, 18, 6)
    assert len(moved) == len(set(moved)) == len(planned) == 18
    assert set(wanted) <= set(moved) and moved[:6] == tuple(range(6)) and moved[-1] == 39
