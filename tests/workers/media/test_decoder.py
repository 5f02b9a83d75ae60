"""Images of strangers cost what they cost one process, and no more than that."""

import io
import os
import subprocess
import sys

import pytest
from PIL import Image

from tests.images import a_file, opened
from workers.media import decoder
from workers.media.first_frame import MOST_SCANS, fitted
from workers.media.jpeg import scans


def run(content: bytes, limits: str = "pass") -> subprocess.CompletedProcess[bytes]:
    program = f"import sys; from workers.media import decoder; {limits}; sys.exit(decoder.main())"
    return subprocess.run([sys.executable, "-c", program, "96", "64"], input=content, capture_output=True, check=False)


def empty_scans(count: int, side: int = 4000) -> bytes:
    """A progressive JPEG of a few bytes a scan, each of which goes over the whole image."""

    def segment(marker: int, data: bytes) -> bytes:
        return bytes([0xFF, marker]) + (len(data) + 2).to_bytes(2, "big") + data

    blocks = (side // 8) ** 2
    size = side.to_bytes(2, "big")
    bits = ("0" + "1" * 14) * (blocks // 32767 + 1)  # runs of 32767 blocks without a coefficient
    run_length = int(bits + "1" * (-len(bits) % 8), 2).to_bytes((len(bits) + 7) // 8, "big").replace(b"\xff", b"\xff\0")
    head = [
        segment(0xDB, b"\0" + b"\1" * 64),
        segment(0xC2, b"\x08" + size + size + b"\1\1\x11\0"),
        segment(0xC4, b"\0" + bytes([1] + [0] * 15) + b"\0"),
        segment(0xC4, b"\x10" + bytes([1, 1] + [0] * 14) + b"\xe0\0"),
        segment(0xDA, b"\1\1\0\0\0\0") + bytes(blocks // 8 + 8),
    ]
    scan = segment(0xDA, b"\1\1\0\1\x3f\0") + run_length
    return b"\xff\xd8" + b"".join(head) + scan * (count - 1) + b"\xff\xd9"


def test_it_gives_what_decoding_here_gives() -> None:
    content = a_file("JPEG", (400, 90))
    done = run(content)
    assert (done.returncode, done.stdout) == (0, fitted(content, 96, 64))
    assert opened(done.stdout).size == (96, 64)


def test_a_refusal_is_its_reason() -> None:
    done = run(b"no image")
    assert (done.returncode, done.stdout[:30]) == (decoder.REFUSED, b"input_reference cannot be read")


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ("decoder.MEMORY_BYTES = 100 << 20", decoder.REFUSED),
        ("decoder.CPU_SECONDS = 1; decoder.fitted = lambda *_: max(iter(int, 1))", None),
    ],
    ids=["memory", "time"],
)
def test_beyond_its_limits_it_ends(limits: str, code: int | None) -> None:
    done = run(a_file("PNG", (5000, 5000)), limits)
    assert (done.returncode == code) if code else done.returncode < 0
    assert b"PNG" not in done.stdout[:10]


@pytest.mark.parametrize("progressive", [False, True])
def test_scans_are_counted_as_the_decoder_meets_them(progressive: bool) -> None:
    file, thumbnail = io.BytesIO(), a_file("JPEG", (160, 120))
    noise = Image.frombytes("RGB", (96, 96), os.urandom(3 * 96 * 96))  # has 0xFF in its data
    noise.save(file, "JPEG", progressive=progressive, comment=thumbnail, exif=b"Exif\0\0" + thumbnail)
    assert scans(file.getvalue()) == (10 if progressive else 1)
    assert scans(file.getvalue() + empty_scans(50, 64)) == (10 if progressive else 1), "of the first image alone"


def test_scans_without_end_are_refused_before_any_is_decoded() -> None:
    assert scans(empty_scans(2000)) == 2000
    done = run(empty_scans(2000))
    assert (done.returncode, done.stdout) == (
        decoder.REFUSED,
        f"input_reference has more than {MOST_SCANS} JPEG scans".encode(),
    )


@pytest.mark.parametrize("content", [b"", b"\xff", b"\xff\xd8\xff", b"\xff\xd8\xff\xda", b"\xff\xd8\xff\xe0\0\0" * 9])
def test_of_a_torn_file_what_is_left_is_counted(content: bytes) -> None:
    assert scans(content) <= 1
