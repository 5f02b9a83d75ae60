"""Evaluations to test with."""

from typing import Any

from workers.models.evaluation import Evaluation, Pair, summarise


def a_pair(sf: int, speedup: float, psnr: float, **changes: Any) -> Pair:
    values: dict[str, Any] = {
        "prompt": "p", "group": None, "sf": sf, "seed": 0, "decisions": "FFPPPFP", "reason": None, "speedup": speedup,
        "predicted_step_cost": 0.02, "psnr": psnr, "ssim": 0.9, "lpips": None, "clip": None, "clip_uncached": None,
        "cache_bytes": 10,
    }  # fmt: skip
    return Pair(**(values | changes))


def an_evaluation(pairs: list[Pair]) -> Evaluation:
    return Evaluation(
        model="m", fingerprint="f", steps=7, size="32x32", frames=5, guidance=3.0, rows=summarise(pairs), pairs=pairs,
        provenance={},
    )  # fmt: skip
