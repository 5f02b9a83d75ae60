"""The main job, as the first command of the README runs it: three processes, two jobs over HTTP, the trained model."""

import re
import subprocess
import sys
from pathlib import Path

from bench.checker import read_video
from workers.video import read_mp4

ROOT = Path(__file__).parent.parent


def test_the_demo_shows_the_prompt_twice_and_the_second_time_faster(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "demo",
        "run",
        "--output",
        str(tmp_path),
        "--prompt",
        "a red circle moves to the right on a black background",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

    for row in ("full steps", "cached steps", "denoise, s", "speedup in the job", "PSNR, dB", "SSIM"):
        assert row in done.stdout
    full = re.search(r"full steps\W+(\d+)\W+(\d+)", done.stdout)
    assert full is not None and int(full[1]) == 50 and 10 <= int(full[2]) <= 25
    assert (tmp_path / "contact-sheet.png").read_bytes().startswith(b"\x89PNG")
    for name in ("uncached.mp4", "sf-10.mp4"):
        video = read_mp4(tmp_path / name)
        assert video.shape == (33, 96, 96, 3)
        seen = read_video(video)
        assert (seen.colour, seen.motion) == ("red", "right")
