"""A session on invented blocks: what it keeps, what it predicts, and that sessions share nothing."""

import gc
import weakref

import pytest
import torch
from torch import Tensor

from workers.scalingcache.paper.controller import IntervalSettings
from workers.scalingcache.paper.session import Session

STEPS, BLOCKS, TOKENS, CHANNELS = 12, 3, 40, 8
SETTINGS = IntervalSettings(3, kappa=2.0, max_skip=4, final_full_steps=1)


def outputs(stream: str, step: int) -> list[Tensor]:
    """Each block's output, moving along a line whose direction depends on stream and block."""
    tensors = []
    for block in range(BLOCKS):
        generator = torch.Generator().manual_seed(100 * block + len(stream))
        start, direction = torch.randn(2, 1, TOKENS, CHANNELS, generator=generator)
        tensors.append(start + 0.05 * step * direction)
    return tensors


def run(session: Session, streams: tuple[str, ...] = ("cond", "uncond")) -> dict[tuple[str, int], Tensor]:
    """Drive a session as a transformer would; returns the last block's output by stream and step."""
    last: dict[tuple[str, int], Tensor] = {}
    for step in range(STEPS):
        for stream in streams:
            if session.full:
                for block, hidden in enumerate(outputs(stream, step)):
                    session.observe(stream, block, hidden)
                last[stream, step] = hidden
            else:
                last[stream, step] = session.predict(stream)
        session.end_step()
    return last


def alpha(value: float = 1.0) -> Tensor:
    return torch.full((STEPS, BLOCKS), value)


def test_movement_along_a_line_is_predicted_exactly() -> None:
    session = Session(SETTINGS, alpha())
    for (stream, step), hidden in run(session).items():
        assert torch.allclose(hidden, outputs(stream, step)[-1], atol=1e-4)
    assert "P" in session.controller.decisions


def test_only_the_last_block_is_kept_whole() -> None:
    session = Session(SETTINGS, alpha(), watched_tokens=4)
    run(session)
    whole = [t for t in session.tensors() if t.numel() >= TOKENS * CHANNELS]
    assert len(whole) == 2 * 2  # y and delta of two streams
    watched = 2 * BLOCKS * (4 * CHANNELS + 2) * 4  # and two norms of them
    assert session.peak_cache_bytes == sum(t.nbytes for t in whole) + watched


def test_two_interleaved_sessions_equal_two_separate_ones() -> None:
    other = IntervalSettings(5, kappa=1.0, max_skip=2, final_full_steps=2)
    separate = [run(Session(SETTINGS, alpha())), run(Session(other, alpha(0.8)))]
    sessions = [Session(SETTINGS, alpha()), Session(other, alpha(0.8))]
    for step in range(STEPS):
        for session, expected in zip(sessions, separate, strict=True):
            for stream in ("cond", "uncond"):
                if session.full:
                    for block, hidden in enumerate(outputs(stream, step)):
                        session.observe(stream, block, hidden)
                else:
                    assert torch.equal(session.predict(stream), expected[stream, step])
            session.end_step()
    assert sessions[0].controller.decisions != sessions[1].controller.decisions


def test_one_stream_decides_like_two_equal_ones() -> None:
    one, two = Session(SETTINGS, alpha()), Session(SETTINGS, alpha())
    run(one, ("cond",))
    run(two, ("cond", "same"))
    assert one.controller.decisions == two.controller.decisions


def test_closing_drops_every_tensor() -> None:
    session = Session(SETTINGS, alpha())
    run(session)
    alive = [weakref.ref(t) for t in session.tensors()]
    assert alive
    session.close()
    gc.collect()
    assert [ref() for ref in alive] == [None] * len(alive)
    session.close()
    assert session.cache_bytes() == 0


def test_a_stream_that_first_appears_at_a_predicted_step_is_an_error() -> None:
    session = Session(SETTINGS, alpha())
    for step in range(4):
        if session.full:
            for block, hidden in enumerate(outputs("cond", step)):
                session.observe("cond", block, hidden)
            session.end_step()
    assert not session.full
    with pytest.raises(RuntimeError, match="'uncond' was not seen"):
        session.predict("uncond")
