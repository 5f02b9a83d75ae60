"""Rows that were never measured."""

from bench.rivals.fidelity import Fidelity
from bench.rivals.records import Outcomes, Row, Timing


def a_row(
    rival: str, setting: float, cost: float, psnr: float, prompt: str = "a", seed: int = 0, reference: str = "r"
) -> Row:
    fidelity = Fidelity(psnr=psnr, ssim=psnr / 100, ms_ssim=psnr / 100, snr=psnr - 10)
    return Row(
        rival=rival, setting=setting, prompt=prompt, seed=seed, cost=cost, fidelity=fidelity,
        reference=f"{reference}-{prompt}-{seed}",
    )  # fmt: skip


def some_outcomes(rival: str, gain: float = 0.0, reference: str = "r") -> Outcomes:
    """Four prompts at three settings: 50 dB at half the cost, 5 dB less with every halving; prompt n has n dB more."""
    rows = [
        a_row(rival, setting, cost, psnr + gain + number, prompt=f"prompt {number}", reference=reference)
        for setting, cost, psnr in ((1.0, 0.8, 55.0), (2.0, 0.5, 50.0), (3.0, 0.25, 45.0))
        for number in range(4)
    ]
    timings = [
        Timing(rival=rival, setting=2.0, prompt="a", seed=0, pair=n, uncached=2.0, accelerated=seconds)
        for n, seconds in enumerate((1.0, 1.25, 0.8))
    ]
    return Outcomes(
        rival=rival, title=f"the {rival}", knob="threshold", rows=tuple(rows), timings=tuple(timings),
        headline=tuple(rows),
    )  # fmt: skip
