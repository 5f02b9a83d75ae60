"""The main job, as the first command of the README runs it: three processes, two jobs over HTTP, a trained model."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.checker import read_video
from workers.measurement.fidelity import psnr
from workers.media.mp4 import read_mp4
from workers.media.png import read_png
from workers.models.catalogue import Catalogue

ROOT = Path(__file__).parents[2]
MOVING = "a red circle moves to the right on a black background"
FIRST_FRAME = ROOT / "demo" / "prompts" / "first_frames" / "bench-04.png"

pytestmark = pytest.mark.slow


def demo(folder: Path, *options: str) -> str:
    """Run the demo into a folder and return what it printed."""
    command = [sys.executable, "-m", "demo", "run", "--output", str(folder), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def assert_accelerated(printed: str) -> None:
    """Of the two jobs of 50 steps the first computed all, the second about two fifths."""
    full = re.search(r"full steps\W+(\d+)\W+(\d+)", printed)
    assert full is not None and int(full[1]) == 50 and 10 <= int(full[2]) <= 25


@pytest.mark.parametrize(
    ("model", "prompt", "colour"),
    [
        ("wan-tiny", MOVING, "red"),
        ("hunyuan-tiny", MOVING, "red"),
        ("flux-tiny", "a blue triangle on a white background", "blue"),
    ],
)
def test_the_demo_shows_the_prompt_twice_and_the_second_time_faster(
    tmp_path: Path, model: str, prompt: str, colour: str
) -> None:
    printed = demo(tmp_path, "--model", model, "--prompt", prompt)
    for row in ("full steps", "cached steps", "denoise, s", "speedup in the job", "PSNR, dB", "SSIM"):
        assert row in printed
    assert_accelerated(printed)
    defaults = Catalogue.read(ROOT / "models.toml").entry(model).defaults
    assert (tmp_path / "contact-sheet.png").read_bytes().startswith(b"\x89PNG")
    for name in ("uncached", "sf-10"):
        moves = defaults.frames > 1
        video = read_mp4(tmp_path / f"{name}.mp4") if moves else read_png(tmp_path / f"{name}.png")[None]
        assert video.shape == (defaults.frames, defaults.height, defaults.width, 3)
        seen = read_video(video)
        assert (seen.colour, seen.motion) == (colour, "right" if moves else "still")


def test_the_demo_animates_a_given_first_frame(tmp_path: Path) -> None:
    prompt = "a yellow circle moves to the right on a sandy background"
    assert_accelerated(demo(tmp_path, "--model", "wan-ti2v-tiny", "--prompt", prompt, "--image", str(FIRST_FRAME)))
    first_frame = read_png(FIRST_FRAME)
    for name in ("uncached", "sf-10"):
        video = read_mp4(tmp_path / f"{name}.mp4")
        seen = read_video(video)
        assert (seen.colour, seen.motion) == ("yellow", "right")
        assert abs(video[0].astype(int) - first_frame).mean() < 12
        assert psnr(video[:1], first_frame[None]) > 24
