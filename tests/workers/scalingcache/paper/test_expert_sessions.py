"""Experts that take turns: each as if it were alone."""

import pytest
import torch

from workers.scalingcache.paper.controller import IntervalSettings, expert_settings, simulate
from workers.scalingcache.paper.expert_sessions import ExpertSessions
from workers.scalingcache.paper.segments import handovers, slices, split_sf
from workers.scalingcache.paper.session import Session

BLOCKS = 2
SETTINGS = IntervalSettings(8, kappa=2.0, max_skip=3, final_full_steps=1)


def output(step: int, block: int, scale: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1000 * step + block)
    return scale * (5 + 0.9**step + 0.01 * torch.randn(1, 6, 4, generator=generator))


def drive(method: ExpertSessions | Session, steps: range) -> tuple[list[torch.Tensor], list[int]]:
    """Predictions, and the device bytes held after each step."""
    predictions, held = [], []
    for step in steps:
        if method.full:
            for block in range(BLOCKS):
                method.observe("cond", block, output(step, block))
        else:
            predictions.append(method.predict("cond"))
        method.end_step()
        held.append(method.peak_cache_bytes)
    return predictions, held


def test_each_expert_decides_and_predicts_as_a_session_of_its_own_rows() -> None:
    alpha = torch.rand(30, BLOCKS, dtype=torch.float64) * 0.2 + 0.8
    relay = ExpertSessions(SETTINGS, alpha, (12, 18))
    predictions, _ = drive(relay, range(30))
    high, low = Session(IntervalSettings(3, 2.0, 3, 0), alpha[:12]), Session(IntervalSettings(5, 2.0, 3, 1), alpha[12:])
    expected = drive(high, range(12))[0] + drive(low, range(12, 30))[0]
    assert relay.decisions == high.controller.decisions + low.controller.decisions
    assert relay.epsilons == high.controller.epsilons + low.controller.epsilons
    assert relay.deltas == high.controller.deltas + low.controller.deltas
    assert "P" in high.controller.decisions and "P" in low.controller.decisions
    assert all(torch.equal(a, b) for a, b in zip(predictions, expected, strict=True))


def test_one_segment_is_a_plain_session() -> None:
    alpha = torch.full((20, BLOCKS), 0.9, dtype=torch.float64)
    relay, session = ExpertSessions(SETTINGS, alpha), Session(SETTINGS, alpha)
    ours, theirs = drive(relay, range(20))[0], drive(session, range(20))[0]
    assert relay.decisions == session.controller.decisions
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_an_expert_leaves_nothing_in_memory_for_the_next() -> None:
    alpha = torch.full((20, BLOCKS), 0.9, dtype=torch.float64)
    relay = ExpertSessions(SETTINGS, alpha, (10, 10))
    alone = Session(expert_settings(SETTINGS, (10, 10))[0], alpha[:10])
    drive(relay, range(20))
    drive(alone, range(10))
    assert relay.peak_cache_bytes == alone.peak_cache_bytes
    relay.close()
    relay.close()


def test_an_expert_without_a_step_takes_no_turn() -> None:
    alpha = torch.full((20, BLOCKS), 0.9, dtype=torch.float64)
    relay, session = ExpertSessions(SETTINGS, alpha, (0, 20)), Session(SETTINGS, alpha)
    drive(relay, range(20))
    drive(session, range(20))
    assert relay.decisions == session.controller.decisions


@pytest.mark.parametrize(
    ("sf", "segments", "expected"),
    [
        (10, (50,), [10]),
        (10, (13, 37), [3, 7]),
        (5, (25, 25), [2, 3]),
        (2, (13, 37), [2, 2]),
        (10, (2, 48), [2, 10]),
        (50, (13, 37), [13, 37]),
        (9, (10, 10, 10), [3, 3, 3]),
    ],
)
def test_sf_is_shared_in_proportion_with_at_least_two_for_each(
    sf: int, segments: tuple[int, ...], expected: list[int]
) -> None:
    assert split_sf(sf, segments) == expected


def test_only_the_expert_that_ends_the_run_has_final_full_steps() -> None:
    settings = IntervalSettings(6, 2.0, 3, final_full_steps=2)
    assert [each.final_full_steps for each in expert_settings(settings, (10, 20))] == [0, 2]
    assert all((each.kappa, each.max_skip) == (2.0, 3) for each in expert_settings(settings, (10, 20)))


def test_segments_are_slices_of_the_steps_and_must_cover_them() -> None:
    assert slices((3, 4), 7) == [slice(0, 3), slice(3, 7)]
    assert slices((), 7) == [slice(0, 7)]
    assert (handovers((3, 4)), handovers(())) == ([3], [])
    with pytest.raises(ValueError, match=r"\[3, 4\] make 7 steps, the run has 8"):
        slices((3, 4), 8)


def test_a_simulation_starts_anew_with_every_expert() -> None:
    rho = torch.full((20, 1, 1), 0.1, dtype=torch.float64)
    alpha = torch.ones(20, 1, dtype=torch.float64)
    settings = IntervalSettings(6, max_skip=99, final_full_steps=0)
    high = simulate(rho[:8], alpha[:8], IntervalSettings(2, max_skip=99, final_full_steps=0))
    low = simulate(rho[8:], alpha[8:], IntervalSettings(4, max_skip=99, final_full_steps=0))
    assert simulate(rho, alpha, settings, (8, 12)) == high + low
