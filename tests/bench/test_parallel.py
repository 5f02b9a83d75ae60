"""The benchmark of several GPUs, by two processes on a CPU, on a narrow block of each architecture."""

import os
import subprocess
import sys

import pytest

from bench.real_size import parallel
from tests.deploy.tools import ROOT
from workers.jobs.errors import InvalidRequest

pytestmark = pytest.mark.slow
SMALL = ["--blocks", "1", "--heads", "2", "--width", "64", "--height", "32", "--frames", "1", "--steps", "6"]


def measured(*options: str) -> subprocess.CompletedProcess[str]:
    started = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*started, "-m", "bench.real_size.parallel", *options, *SMALL, "--full-steps", "3"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=240)


@pytest.mark.parametrize(
    ("options", "row"),
    [
        (("--cfg", "2"), "2 ranks (CFG 2)"),
        (("--model", "hunyuan-video", "--ulysses", "2"), "2 ranks (Ulysses 2)"),
    ],
)
def test_two_processes_are_measured_beside_one_and_give_what_it_gives(options: tuple[str, ...], row: str) -> None:
    done = measured(*options)
    assert done.returncode == 0, done.stderr
    assert "one process" in done.stdout and row in done.stdout
    assert "3 full steps" in done.stdout
    [difference] = [line for line in done.stdout.splitlines() if line.startswith("largest difference")]
    assert float(difference.split()[6]) < 1e-5


def test_the_number_of_processes_has_to_be_that_of_the_degrees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    with pytest.raises(InvalidRequest, match="torchrun --nproc-per-node 4 -m bench"):
        parallel.main(ulysses=4)
    with pytest.raises(InvalidRequest, match=r"--model wan9: there is no such model; there are wan2\.1"):
        parallel.main(model="wan9")
