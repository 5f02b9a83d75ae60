"""What the demo found, for who sees it for the first time."""

from typing import Any

#: From here on a difference is hard to see, in dB.
HARD_TO_SEE = 40.0
#: How much more than by its steps a run may be faster: times of short runs are not steadier.
SLACK = 1.3


def summary(uncached: dict[str, Any], accelerated: dict[str, Any], psnr: float, what: str, model: str) -> str:
    """Sentences. uncached, accelerated: what the API told of each job. psnr: in dB. what: `video` or `image`."""
    full, steps = accelerated["full_steps"], accelerated["full_steps"] + accelerated["cached_steps"]
    if not accelerated["engaged"]:
        told = f"The second {what} was computed in full like the first, since: {accelerated['reason']}."
    else:
        before, after = uncached["timings"]["denoise"], accelerated["timings"]["denoise"]
        told = (
            f"The second {what} took {after:.2f} s instead of {before:.2f} s, {_faster(before, after, steps / full)}:\n"
            f"the model ran on {full} of {steps} steps, and ScalingCache predicted the other {steps - full}.\n"
            f"{_alike(psnr, what)}"
        )
    return f"{told}\n{_next(model)}"


def _faster(before: float, after: float, by_steps: float) -> str:
    """Where the accelerated run took longer, or saved more than its steps can, one of the two shared the machine."""
    if after < before <= SLACK * by_steps * after:
        return f"{before / after:.1f} times faster"
    return "while something else kept the machine busy"


def _alike(psnr: float, what: str) -> str:
    seen = "hard to see" if psnr >= HARD_TO_SEE else "visible where it moves" if what == "video" else "visible"
    return f"It is {psnr:.0f} dB from the first one, a difference that is {seen}; the contact sheet shows both."


def _next(model: str) -> str:
    chosen = "" if model == "wan-tiny" else f" MODEL={model}"
    return f"To make your own and watch them: make up{chosen}, then open http://localhost:8000 in a browser."
