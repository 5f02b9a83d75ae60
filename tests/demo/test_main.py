"""The main job, as the first command of the README runs it: three processes, two jobs over HTTP, a trained model."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.checker import read_video
from demo.__main__ import app
from demo.stack import Stack, running_stack
from workers.measurement.fidelity import psnr
from workers.media.mp4 import read_mp4
from workers.media.png import read_png
from workers.models.catalogue import Catalogue

ROOT = Path(__file__).parents[2]
MOVING = "a red circle moves to the right on a black background"
FIRST_FRAME = ROOT / "demo" / "prompts" / "first_frames" / "bench-04.png"

pytestmark = pytest.mark.slow


Demo = Callable[..., str]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One that serves them all: loading what runs a model takes longer than most of these models' runs."""
    with running_stack("hunyuan-tiny", "flux-tiny", "wan-ti2v-tiny") as stack:
        yield stack


@pytest.fixture
def demo(stack: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Demo:
    """Runs the demo's command on that stack, and returns what it printed."""
    monkeypatch.setattr("demo.__main__.running_stack", lambda _model: nullcontext(stack))

    def demo(*options: str) -> str:
        done = CliRunner().invoke(app, ["run", "--output", str(tmp_path), *options], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    return demo


def assert_accelerated(printed: str) -> None:
    """Of the two jobs of 50 steps the first computed all, the second about two fifths."""
    full = re.search(r"full steps\W+(\d+)\W+(\d+)", printed)
    assert full is not None and int(full[1]) == 50 and 10 <= int(full[2]) <= 25


def assert_shown(printed: str, folder: Path, model: str, colour: str) -> None:
    for row in ("full steps", "cached steps", "denoise, s", "speedup in the job", "PSNR, dB", "SSIM"):
        assert row in printed
    assert_accelerated(printed)
    assert printed.index("contact-sheet.png") < printed.index("full steps")
    assert "open http://localhost:8000 in a browser" in printed
    defaults = Catalogue.read(ROOT / "models.toml").entry(model).defaults
    assert (folder / "contact-sheet.png").read_bytes().startswith(b"\x89PNG")
    for name in ("uncached", "sf-10"):
        moves = defaults.frames > 1
        video = read_mp4(folder / f"{name}.mp4") if moves else read_png(folder / f"{name}.png")[None]
        assert video.shape == (defaults.frames, defaults.height, defaults.width, 3)
        seen = read_video(video)
        assert (seen.colour, seen.motion) == (colour, "right" if moves else "still")


def test_the_command_starts_everything_and_shows_the_prompt_twice_the_second_time_faster(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "demo", "run", "--output", str(tmp_path), "--prompt", MOVING]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_shown(done.stdout, tmp_path, "wan-tiny", "red")


@pytest.mark.parametrize(
    ("model", "prompt", "colour"),
    [("hunyuan-tiny", MOVING, "red"), ("flux-tiny", "a blue triangle on a white background", "blue")],
)
def test_the_demo_shows_the_prompt_of_the_other_families_too(
    demo: Demo, tmp_path: Path, model: str, prompt: str, colour: str
) -> None:
    assert_shown(demo("--model", model, "--prompt", prompt), tmp_path, model, colour)


def test_the_demo_animates_a_given_first_frame(demo: Demo, tmp_path: Path) -> None:
    prompt = "a yellow circle moves to the right on a sandy background"
    assert_accelerated(demo("--model", "wan-ti2v-tiny", "--prompt", prompt, "--image", str(FIRST_FRAME)))
    first_frame = read_png(FIRST_FRAME)
    for name in ("uncached", "sf-10"):
        video = read_mp4(tmp_path / f"{name}.mp4")
        seen = read_video(video)
        assert (seen.colour, seen.motion) == ("yellow", "right")
        assert abs(video[0].astype(int) - first_frame).mean() < 12
        assert psnr(video[:1], first_frame[None]) > 24
