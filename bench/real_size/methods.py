"""The methods that are measured at real size, all with as many full steps."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from diffusers import TaylorSeerCacheConfig
from torch import Tensor

from bench.real_size.loop import Loop, Run, Taken, now, peak
from workers.scalingcache.budget import opening
from workers.scalingcache.forecast import Forecast
from workers.scalingcache.paper.controller import IntervalSettings
from workers.scalingcache.paper.estimation import Recorder
from workers.scalingcache.paper.predictor import predict
from workers.scalingcache.paper.session import Session
from workers.scalingcache.priors import usual
from workers.scalingcache.response import Response
from workers.scalingcache.schedule import plan

MOST_STEPS = 1000  # Planning takes memory with their square.


@dataclass(frozen=True)
class Rule:
    """Which steps are full: the first `sf`, then one after every `max_skip` predicted ones, and the last of `steps`."""

    steps: int
    sf: int
    max_skip: int


def paper(loop: Loop, rule: Rule) -> Run:
    """The paper's method, with a threshold that no error reaches: what is predicted is then up to the rule alone."""
    session = Session(
        IntervalSettings(rule.sf, 1e9, rule.max_skip), torch.full((rule.steps, len(loop.blocks)), 0.9)
    )  # fmt: skip
    taken: Taken = []
    most = peak(lambda: taken.extend(loop.run(rule.steps, session)))
    return Run.of(taken, session.peak_cache_bytes, most)


def covariance(loop: Loop, steps: int, count: int) -> Run:
    """Ours, on the prior, with an Euler solver. count: of full steps."""
    levels = np.linspace(1.0, 1.0 / steps, steps)
    euler = Response(levels, np.ones(steps + 1), np.tril(np.ones((steps + 1, steps)), -1) / -steps)
    forecast = Forecast(usual(levels), euler, plan(usual(levels).matrix, count, opening(count, len(levels), 0)))
    taken: Taken = []
    most = peak(lambda: taken.extend(loop.run_forecast(forecast)))
    return Run.of(taken, forecast.peak_cache_bytes, most)


def taylorseer(loop: Loop, rule: Rule) -> Run:
    """TaylorSeer of diffusers in its lite mode, of order 1, every `max_skip + 1`-th step in full after the first."""
    loop.transformer.enable_cache(
        TaylorSeerCacheConfig(
            cache_interval=rule.max_skip + 1,
            disable_cache_before_step=rule.sf,
            max_order=1,
            taylor_factors_dtype=torch.get_default_dtype(),
            use_lite_mode=True,
        )
    )
    try:
        return _altered(loop, rule.steps)
    finally:
        loop.transformer.disable_cache()


def cache_dit(loop: Loop, decisions: str) -> Run:
    """DBCache of cache-dit with its Taylor calibrator of order 1: at predicted steps the first block runs.

    The library's patches outlive its own switch-off, so nothing else may be measured on the transformer afterwards.
    """
    os.environ.setdefault("CACHE_DIT_LOG_LEVEL", "ERROR")  # read once, when the package is imported
    import cache_dit as library

    library.enable_cache(
        loop.transformer,
        cache_config=library.DBCacheConfig(
            Fn_compute_blocks=1,
            Bn_compute_blocks=0,
            num_inference_steps=len(decisions),
            enable_separate_cfg=len(loop.streams) > 1,
            steps_computation_mask=[int(letter == "F") for letter in decisions],
            steps_computation_policy="static",
        ),
        calibrator_config=library.TaylorSeerCalibratorConfig(taylorseer_order=1),
    )
    return _altered(loop, len(decisions))


def _altered(loop: Loop, steps: int) -> Run:
    taken: Taken = []
    most = peak(lambda: taken.extend(loop.run_altered(steps)))
    return Run.of(taken, None, most)


@dataclass
class TimedRecorder(Recorder):
    """A recorder that knows how long it takes."""

    seconds: float = field(default=0.0, init=False)

    def observe(self, stream: str, block: int, hidden: Tensor) -> None:
        """As `Recorder.observe`, timed."""
        began = now(hidden.device)
        super().observe(stream, block, hidden)
        self.seconds += now(hidden.device) - began


def recording(loop: Loop) -> float:
    """What recording for the paper's calibration takes, in parts of a step."""
    recorder = TimedRecorder(len(loop.blocks))
    loop.run(2, recorder)
    recorder.seconds = 0.0  # The first two steps have less to compare with.
    recorded = loop.run(1, recorder)[0][1]
    return recorder.seconds / (recorded - recorder.seconds)


def arithmetic(tokens: int, channels: int, repeats: int = 7) -> float:
    """How long the paper's prediction takes by itself, in times of a plain `y + c * d` over the same tensors."""
    y, d = torch.randn(1, tokens, channels), torch.randn(1, tokens, channels)

    def best(work: Callable[[], Any]) -> float:
        times = []
        for _ in range(repeats):
            began = now(y.device)
            work()
            times.append(now(y.device) - began)
        return min(times)

    best(lambda: y + 0.5 * d)
    return best(lambda: predict(y, d, 0.5)) / best(lambda: y + 0.5 * d)
