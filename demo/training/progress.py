"""What every training stage shares: folders, atomic checkpoints, learning-rate shape, progress lines."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import torch

from workers.files import replacing

WORK = Path(__file__).parents[1] / "work"
"""Training states, latents and logs; not committed."""
SAVE_EVERY_SECONDS = 150.0


def save_atomically(state: dict[str, Any], path: Path) -> None:
    """Writes `state` so that an interruption leaves either the old file or the new one."""
    with replacing(path) as partial:
        torch.save(state, partial)


def load_state(path: Path) -> dict[str, Any] | None:
    """The state saved at `path`, or None where there is none yet."""
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=False)
    return state


def cosine(step: int, steps: int, warmup: int, floor: float = 0.02) -> float:
    """Factor on the learning rate: linear warm-up, then half a cosine down to `floor`."""
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))


class Interval:
    """Something that is due once every so many seconds, for the first time after as many."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.last = seconds, time.monotonic()

    def due(self) -> bool:
        """True once in each interval."""
        if time.monotonic() - self.last < self.seconds:
            return False
        self.last = time.monotonic()
        return True


class Progress:
    """Prints a line with the time left now and then, and appends it to `WORK/<name>.jsonl`.

    Counts the seconds of earlier, interrupted runs.
    """

    def __init__(self, name: str, steps: int, start: int, seconds_before: float) -> None:
        self.name, self.steps, self.start = name, steps, start
        self.began = time.monotonic()
        self.seconds_before = seconds_before

    @property
    def seconds(self) -> float:
        """Training time so far, interrupted runs included."""
        return self.seconds_before + time.monotonic() - self.began

    def report(self, step: int, **figures: float) -> None:
        """Prints and logs the figures after `step` finished steps."""
        pace = (time.monotonic() - self.began) / max(1, step - self.start)
        left = pace * (self.steps - step)
        shown = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
        print(f"{self.name} {step}/{self.steps}  {shown}  {pace:.2f} s/step  {left / 60:.1f} min left", flush=True)
        WORK.mkdir(parents=True, exist_ok=True)
        with (WORK / f"{self.name.replace(' ', '-')}.jsonl").open("a") as log:
            log.write(json.dumps({"step": step, "seconds": round(self.seconds, 1), **figures}) + "\n")
