"""What players and careful clients find in a video: its colours, its layout, the same bytes on every machine."""

import hashlib
import itertools
import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from numpy.typing import NDArray

from workers.media.mp4 import read_mp4, write_mp4

#: Bright, dark, grey and saturated, a frame each.
COLOURS = np.array([(200, 30, 20), *itertools.product((0, 60, 128, 255), repeat=3)], np.uint8)


def moving_pattern(frames: int = 9, height: int = 240, width: int = 416) -> NDArray[np.uint8]:
    """`[frames, height, width, 3]` with detail and motion everywhere, so that every choice of the encoder shows."""
    time, row, column = np.mgrid[0:frames, 0:height, 0:width]
    channels = (column + 3 * time, row + column // 2 + 2 * time, row * column // 300 + time)
    noise = np.random.default_rng(0).integers(0, 12, (frames, height, width, 3))
    return (np.stack(channels, axis=-1) + noise).astype(np.uint8)


@pytest.mark.parametrize("size", [(32, 32), (720, 1280)])
def test_a_player_that_trusts_the_tags_sees_the_colours_of_the_frames(size: tuple[int, int], tmp_path: Path) -> None:
    colours = COLOURS if size[0] < 100 else COLOURS[:1]
    frames = np.broadcast_to(colours[:, None, None], (len(colours), *size, 3)).astype(np.uint8)
    write_mp4(tmp_path / "flat.mp4", frames, fps=8)
    with av.open(str(tmp_path / "flat.mp4")) as container:
        tags = container.streams.video[0].codec_context
        assert tags.colorspace == Colorspace.ITU709 and tags.color_range == ColorRange.MPEG
        assert tags.color_primaries == ColorPrimaries.BT709 and tags.color_trc == ColorTrc.BT709
        decoded = [by_bt709(frame.to_ndarray(format="yuv444p")) for frame in container.decode(video=0)]
    assert np.abs(np.array(decoded) - frames).max() <= 2
    assert np.abs(read_mp4(tmp_path / "flat.mp4").astype(int) - frames).max() <= 2


def by_bt709(yuv: NDArray[np.uint8]) -> NDArray[np.float64]:
    """`[height, width, 3]` RGB of `[3, height, width]` in limited range, by the formulas of ITU-R BT.709."""
    y, cb, cr = (yuv[0] - 16.0) / 219, (yuv[1] - 128.0) / 224, (yuv[2] - 128.0) / 224
    red, blue = y + 1.5748 * cr, y + 1.8556 * cb
    green = (y - 0.2126 * red - 0.0722 * blue) / 0.7152
    return 255 * np.stack([red, green, blue], axis=-1).clip(0, 1)


def test_a_video_plays_while_it_downloads_from_its_first_frame_on(tmp_path: Path) -> None:
    write_mp4(tmp_path / "clip.mp4", moving_pattern(), fps=8)
    content = (tmp_path / "clip.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    with av.open(str(tmp_path / "clip.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == 8
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")  # what browsers play
        frames = list(container.decode(stream))
    assert frames[0].key_frame and [round(8 * (frame.time or 0)) for frame in frames] == list(range(9))


def test_the_bytes_of_a_video_do_not_depend_on_the_number_of_cores(tmp_path: Path) -> None:
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) == 1:
        pytest.skip("this machine has one core")
    np.save(tmp_path / "frames.npy", moving_pattern())
    program = (
        "import os, sys, pathlib, numpy; from workers.media.mp4 import write_mp4; "
        "os.sched_setaffinity(0, map(int, sys.argv[3].split(','))); "
        "write_mp4(pathlib.Path(sys.argv[2]), numpy.load(sys.argv[1]), 8)"
    )
    digests = []
    for cores in (allowed[:1], allowed):
        path = tmp_path / f"{len(cores)}.mp4"
        arguments = [str(tmp_path / "frames.npy"), str(path), ",".join(map(str, cores))]
        subprocess.run([sys.executable, "-c", program, *arguments], check=True)
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    assert digests[0] == digests[1]


def test_cores_do_not_make_a_video_larger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    for threads in (1, 4):
        monkeypatch.setattr("workers.media.mp4.THREADS", threads)
        write_mp4(tmp_path / f"{threads}.mp4", moving_pattern(), fps=8)
        sizes.append((tmp_path / f"{threads}.mp4").stat().st_size)
    assert sizes[1] < 1.05 * sizes[0]
