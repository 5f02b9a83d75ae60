"""The commands of docs/models.md, in their order, in one shell, on a checkpoint of a few thousand parameters."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from diffusers import WanPipeline

from tests.deploy.tools import ROOT
from tests.workers.micro_wan import a_scheduler, a_transformer, a_vae, text_parts

PAGE = (ROOT / "docs/models.md").read_text()
BLOCK = re.compile(r"^( *)```\n(.*?)^ *```$", re.M | re.S)
#: What makes the checkpoint's runs short, once it has an entry.
SMALL = {"WIDTH": "32", "HEIGHT": "32", "FRAMES": "5"}


def blocks() -> list[str]:
    """The page's commands, block by block, without the indent that lists have."""
    return [re.sub(rf"^{indent}", "", text, flags=re.M) for indent, text in BLOCK.findall(PAGE)]


def a_free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout as far as the commands see of it, and the checkpoint."""
    for name in ("models.toml", "demo", "alphas"):
        (tmp_path / name).symlink_to(ROOT / name)
    torch.manual_seed(3)
    parts = text_parts() | {"transformer": a_transformer(ffn_dim=48, num_layers=4), "vae": a_vae()}
    WanPipeline(**parts, scheduler=a_scheduler()).save_pretrained(tmp_path / "my-wan")
    return tmp_path


def script(folder: Path, port: int) -> str:
    """The page as one script, which ends at the first command that fails, and stops what it has left running."""
    commands = [block for block in blocks() if "pip install" not in block]
    small = "".join(f"export SCALINGCACHE_MODELS__MY_WAN__DEFAULTS__{name}={value}\n" for name, value in SMALL.items())
    [added] = [block for block in commands if "workers add" in block]
    text = "".join(block + small if block is added else block for block in commands)
    for written, here in {
        "/data/my-wan": str(folder / "my-wan"),
        "localhost:8000": f"localhost:{port}",
        "width = 1280, height = 720": "width = 64, height = 64, frames = 5",
    }.items():
        assert written in text
        text = text.replace(written, here)
    return "set -ex\ntrap 'kill $(jobs -p); wait' EXIT\n" + text


def test_installation_is_told_and_every_block_is_a_command() -> None:
    assert [block.splitlines()[1] for block in blocks() if "pip install" in block] == ["source .venv/bin/activate"]
    assert len(blocks()) == PAGE.count("```") / 2


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_command_of_the_page_does_what_it_says(folder: Path, redis_url: str) -> None:
    port = a_free_port()
    variables = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "SCALINGCACHE_REDIS_URL": redis_url,
        "SCALINGCACHE_PORT": str(port),
    }
    command = ["bash", "-c", script(folder, port)]
    process = subprocess.Popen(
        command, cwd=folder, env=os.environ | variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=1150)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, output[-5000:]
    for name in ("out/first.mp4", "out/two/000-sf10.mp4", "my-wan.json", "my-wan.720p.json", "my-wan.evaluation.json"):
        assert (folder / name).is_file(), output[-5000:]
    for words in ("ready to serve", 'wrote [models."my-wan"] to site.toml', "text_encoder read", "what more runs bring",
                  "95 % intervals", '"status":"queued"', "my-wan (float32 on cpu)"):  # fmt: skip
        assert words in output, output[-5000:]
