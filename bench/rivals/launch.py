"""Starts one rival's process, listens to how far it is, and reads what it found."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.rivals.records import Outcomes
from bench.rivals.rival import Knob

Told = Callable[[float, float | None], None]
"""(part that is done, seconds that are left, or None as long as nobody knows)."""
_LAST_LINES = 12


class Failed(Exception):
    """A rival's process ended without a result; the message says how, and where its log is.

    how: the same in a few words.
    """

    def __init__(self, rival: str, how: str, log: Path, last: str = "") -> None:
        self.how = how
        super().__init__(f"{rival}: {how}; see {log}{last}")


@dataclass(frozen=True)
class Options:
    """What all processes have in common. patience: seconds without news after which a process is ended."""

    model: str
    catalogue: Path
    work: Path
    prompts: int
    held_out: int
    seeds: int
    pairs: int
    steps: int | None
    threads: int
    patience: float


async def launch(rival: str, headline: Sequence[Knob], options: Options, told: Told) -> Outcomes:
    """Run a rival's sweep or, when settings are given, its headline. Raises `Failed`."""
    kind = "headline" if headline else "sweep"
    output, log = (options.work / f"{rival}.{kind}.{ending}" for ending in ("json", "log"))
    options.work.mkdir(parents=True, exist_ok=True)
    output.unlink(missing_ok=True)
    with log.open("wb") as errors:
        command = _arguments(rival, headline, options, output)
        process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=PIPE, stderr=errors)
        try:
            await _listen(process, options.patience, told)
        except TimeoutError:
            raise Failed(rival, f"no news for {options.patience / 60:g} minutes", log) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    if process.returncode or not output.exists():
        last = "\n".join(["", *log.read_text(errors="replace").splitlines()[-_LAST_LINES:]])
        raise Failed(rival, f"its process ended with {process.returncode}", log, last)
    return Outcomes.load(output)


async def _listen(process: Process, patience: float, told: Told) -> None:
    """Until the process has ended."""
    assert process.stdout is not None
    started: tuple[int, float] | None = None
    while line := await asyncio.wait_for(process.stdout.readline(), patience):
        try:
            news = json.loads(line)
            done, total, made, seconds = (news[name] for name in ("done", "total", "made", "seconds"))
        except (ValueError, KeyError, TypeError):
            continue  # A library prints what it likes.
        if made and started is None:
            started = done, seconds
        # What was known from before takes no time, and says nothing about the pace.
        pace = (seconds - started[1]) / (done - started[0]) if started is not None and done > started[0] else None
        told(done / total, None if pace is None else pace * (total - done))
    await asyncio.wait_for(process.wait(), patience)


def _arguments(rival: str, headline: Sequence[Knob], options: Options, output: Path) -> list[str]:
    arguments = {
        "model": options.model,
        "rival": rival,
        "output": output,
        "work": options.work / "records",
        "catalogue": options.catalogue,
        "prompts": options.prompts,
        "pairs": options.pairs,
        "threads": options.threads,
    }
    if options.steps is not None:
        arguments["steps"] = options.steps
    if headline:
        arguments |= {"held-out": options.held_out, "seeds": options.seeds, "settings": json.dumps(list(headline))}
    flags = [text for name, value in arguments.items() for text in (f"--{name}", str(value))]
    return ["-m", "bench.rivals.process", *flags]
