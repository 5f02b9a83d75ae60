"""Groups that live for one test: of four ranks, and such whose ranks part."""

from pathlib import Path
from typing import Any

import pytest

from tests.workers.engine import hanging_follower, ring_follower
from tests.workers.engine.groups import group, run
from tests.workers.engine.ring_follower import flash_attention_on_a_cpu
from workers.engine import leader
from workers.engine.covariance_session import CovarianceSession
from workers.engine.leader import Leader
from workers.engine.loaded import LoadedModel
from workers.jobs.errors import GroupFailed, ModelLoadFailed
from workers.parallel import pulse
from workers.parallel.loss import Loss

pytestmark = [
    pytest.mark.slow,
    # In diffusers' own hooks.
    pytest.mark.filterwarnings("ignore:.*all_gather_tensor.*:FutureWarning"),
]
WITHIN = 1e-5


@pytest.mark.timeout(600)
def test_four_ranks_make_what_one_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leader, "FOLLOWER", ring_follower.__name__)
    with flash_attention_on_a_cpu(), group(tmp_path) as four:
        halves: dict[str, int] = {"cfg": 2, "ulysses": 2}  # two sequences side by side
        alone, together = four.alone("wan t2v"), four.load("wan t2v", halves)
        for settings in ({"sf": 12}, {"sf": 4}, {"sf": 4, "guidance": 1.0, "negative_prompt": ""}):
            assert_the_same("wan t2v", together, alone, **settings)
        papers = four.load("wan t2v", halves, method="paper"), four.alone("wan t2v", method="paper")
        assert_the_same("wan t2v", *papers, sf=4, allow_uncalibrated=True)
        rings = {"ulysses": 2, "ring": 2}
        assert_the_same("wan t2v", four.load("wan t2v", rings, attention_backend="_native_flash"), alone, sf=4)
        flux = four.load("flux", rings, attention_backend="_native_flash")
        assert_the_same("flux", flux, four.alone("flux"), sf=4)
        with pytest.raises(ModelLoadFailed, match=r"ulysses 4 must divide the transformer's 2 attention heads"):
            four.load("wan t2v", {"ulysses": 4})


def assert_the_same(variant: str, together: LoadedModel, alone: LoadedModel, **settings: Any) -> None:
    latents, generation = run(variant, together, **settings)
    expected, reference = run(variant, alone, **settings)
    assert generation.report.decisions == reference.report.decisions
    assert (latents - expected).abs().max() < WITHIN


def test_ranks_that_would_decide_otherwise_are_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = CovarianceSession.recipe.fget
    assert recipe is not None
    with group(tmp_path) as two:
        model = two.load("wan t2v", {"ulysses": 2})
        monkeypatch.setattr(CovarianceSession, "recipe", property(lambda self: {**recipe(self), "full_steps": 4}))
        assert run("wan t2v", model, sf=12)[1].report.full_steps == 12
        with pytest.raises(GroupFailed, match=r"rank 1 is at \[\d+, 1, [01]\], rank 0 at"):
            run("wan t2v", model, sf=4)


def test_a_rank_that_lives_and_does_not_go_on_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = list[tuple[Loss, str]]()

    def found(group: Leader, loss: Loss, cause: str) -> None:
        """In place of the end of this process: those who wait see that the others are gone."""
        lost.append((loss, cause))
        leader._kill(group._local)

    monkeypatch.setattr(Leader, "_lost", found)
    monkeypatch.setattr(leader, "FOLLOWER", hanging_follower.__name__)
    monkeypatch.setattr(pulse, "SILENT_SECONDS", hanging_follower.SECONDS)
    with group(tmp_path) as two:
        model = two.load("wan t2v", {"ulysses": 2})
        assert run("wan t2v", model, steps=4, sf=4)[1].report.full_steps == 4
        with pytest.raises(GroupFailed, match="did not come"):
            run("wan t2v", model, steps=4, sf=4)
    assert lost == [(Loss.HELD_UP, "rank 1 does not go on, and the others wait for it")]
