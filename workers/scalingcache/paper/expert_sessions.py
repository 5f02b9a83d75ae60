"""Experts that take turns: a session for each, behind one cache method.

Wan 2.2 A14B denoises its first, noisy steps with one transformer and the rest with another. Their hidden states are not
comparable, so nothing is predicted across the handover: each expert has its own history, threshold, coefficients (its
rows of the one table) and initial full steps. Which steps are whose is known before the run, from the schedule.
"""

from collections.abc import Sequence

from torch import Tensor

from workers.scalingcache.paper.controller import IntervalSettings, expert_settings
from workers.scalingcache.paper.segments import slices
from workers.scalingcache.paper.session import Session
from workers.scalingcache.paper.shard import WHOLE, Shard


class ExpertSessions:
    """ScalingCache for one generation, whether one transformer computes it or several in turn. Used as a `Session`."""

    def __init__(
        self,
        settings: IntervalSettings,
        alpha: Tensor,
        segments: Sequence[int] = (),
        *,
        watched_tokens: int = 32,
        shard: Shard = WHOLE,
    ) -> None:
        """
        settings: the knobs of the whole run.
        alpha: coefficients `[steps, blocks]` on the CPU; the first two rows of a segment are never used.
        segments: how many consecutive steps each expert computes; empty for a model without experts.
        watched_tokens: how many tokens of each block form its relative change.
        shard: this process's part of the tokens, where several compute the generation.
        """
        self.settings, self.alpha = settings, alpha
        parts = [part for part in slices(segments, len(alpha)) if part.stop > part.start]
        knobs = expert_settings(settings, [part.stop - part.start for part in parts])
        self._sessions = [
            Session(each, alpha[part], watched_tokens=watched_tokens, shard=shard)
            for each, part in zip(knobs, parts, strict=True)
        ]
        self._stops = [part.stop for part in parts]
        self._step = 0
        self._current = 0

    @property
    def full(self) -> bool:
        """Whether the current step is computed in full."""
        return self._sessions[self._current].full

    @property
    def decisions(self) -> str:
        """One letter for each step so far: F computed in full, P predicted."""
        return "".join(session.controller.decisions for session in self._sessions)

    @property
    def epsilons(self) -> list[float]:
        """The accumulated error before each step."""
        return [value for session in self._sessions for value in session.controller.epsilons]

    @property
    def deltas(self) -> list[float]:
        """The threshold before each step."""
        return [value for session in self._sessions for value in session.controller.deltas]

    @property
    def peak_cache_bytes(self) -> int:
        """The most device memory held at once; experts hold none at the same time."""
        return max(session.peak_cache_bytes for session in self._sessions)

    def observe(self, stream: str, block: int, hidden: Tensor) -> None:
        """As `Session.observe`, of the expert whose turn it is."""
        self._sessions[self._current].observe(stream, block, hidden)

    def predict(self, stream: str) -> Tensor:
        """As `Session.predict`, of the expert whose turn it is."""
        return self._sessions[self._current].predict(stream)

    def end_step(self) -> None:
        """End the current step; after an expert's last one its tensors are dropped and the next one starts anew."""
        self._sessions[self._current].end_step()
        self._step += 1
        if self._step == self._stops[self._current] and self._current + 1 < len(self._sessions):
            self._sessions[self._current].close()
            self._current += 1

    def close(self) -> None:
        """Drop all tensors. Safe to call more than once."""
        for session in self._sessions:
            session.close()
