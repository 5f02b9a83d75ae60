"""Groups that live for one test: of four ranks, and such whose ranks part."""

from pathlib import Path

import pytest

from tests.workers.engine.groups import group, run
from workers.engine.covariance_session import CovarianceSession
from workers.jobs.errors import GroupFailed, ModelLoadFailed

pytestmark = [
    pytest.mark.slow,
    # In diffusers' own hooks.
    pytest.mark.filterwarnings("ignore:.*all_gather_tensor.*:FutureWarning"),
]
WITHIN = 1e-5


def test_four_ranks_in_two_groups_side_by_side_make_what_one_makes(tmp_path: Path) -> None:
    with group(tmp_path) as four:
        together, alone = four.load("wan t2v", {"cfg": 2, "ulysses": 2}), four.alone("wan t2v")
        for settings in ({"sf": 12}, {"sf": 4}, {"sf": 4, "guidance": 1.0, "negative_prompt": ""}):
            latents, generation = run("wan t2v", together, **settings)
            expected, reference = run("wan t2v", alone, **settings)
            assert generation.report.decisions == reference.report.decisions
            assert (latents - expected).abs().max() < WITHIN
        with pytest.raises(ModelLoadFailed, match=r"ulysses 4 must divide the transformer's 2 attention heads"):
            four.load("wan t2v", {"ulysses": 4})


def test_ranks_that_would_decide_otherwise_are_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = CovarianceSession.recipe.fget
    assert recipe is not None
    with group(tmp_path) as two:
        model = two.load("wan t2v", {"ulysses": 2})
        monkeypatch.setattr(CovarianceSession, "recipe", property(lambda self: {**recipe(self), "full_steps": 4}))
        assert run("wan t2v", model, sf=12)[1].report.full_steps == 12
        with pytest.raises(GroupFailed, match=r"rank 1 is at \[\d+, 1, [01]\], rank 0 at"):
            run("wan t2v", model, sf=4)
