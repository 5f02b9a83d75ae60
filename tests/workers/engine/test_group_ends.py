"""A group of four ranks, from its first run to its end."""

from pathlib import Path
from typing import Any

import pytest

from tests.workers.engine import ring_follower
from tests.workers.engine.groups import group, run
from tests.workers.engine.ring_follower import flash_attention_on_a_cpu
from workers.engine import leader
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
def test_four_ranks_make_what_one_makes_until_one_that_lives_does_not_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = list[tuple[Loss, str]]()

    def found(group: Leader, loss: Loss, cause: str) -> None:
        """In place of the end of this process: those who wait see that the others are gone."""
        lost.append((loss, cause))
        leader._kill(group._local)

    monkeypatch.setattr(Leader, "_lost", found)
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
        # For this run alone: in the others a rank may well be held up for so long where cores are few.
        monkeypatch.setattr(pulse, "SILENT_SECONDS", ring_follower.SECONDS)
        with pytest.raises(GroupFailed, match="did not come"):
            run("wan t2v", together, steps=ring_follower.HANGS, sf=ring_follower.HANGS)
    assert lost == [(Loss.HELD_UP, "rank 2 does not go on, and the others wait for it")]


def assert_the_same(variant: str, together: LoadedModel, alone: LoadedModel, **settings: Any) -> None:
    latents, generation = run(variant, together, **settings)
    expected, reference = run(variant, alone, **settings)
    assert generation.report.decisions == reference.report.decisions
    assert (latents - expected).abs().max() < WITHIN
