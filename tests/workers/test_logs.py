"""What a worker writes beside its own lines."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from workers.configuration import LogFormat
from workers.logs import format_in_force, renderer

#: FLUX's own pipeline with a prompt longer than its tokenizer takes: in a script, then as in a worker's process.
TOO_LONG = """
import sys
from pathlib import Path
from diffusers import FluxPipeline
from tests.workers.micro_flux import save_micro_flux
from workers.process.child import ChildSettings, runner
from workers.models.catalogue import Catalogue

folder = Path(sys.argv[1])
save_micro_flux(folder)
pipeline = FluxPipeline.from_pretrained(folder)
for worker in (False, True):
    if worker:
        print("worker", file=sys.stderr)
        runner(ChildSettings(Catalogue.read(Path("models.toml")), folder, (), None))
    pipeline.encode_prompt(prompt="circle " * 20, prompt_2=None, max_sequence_length=8)
"""


def test_no_library_quotes_a_prompt_that_is_too_long(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TOO_LONG, str(tmp_path)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    script, _, worker = done.stderr.partition("worker\n")
    assert "circle" in script
    assert "circle" not in worker + done.stdout


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_value_reaches_a_terminal_as_a_command_or_fills_the_log(log_format: LogFormat) -> None:
    event = {"event": "request", "path": "/v1/\x1b[2J\x9b31m\r\n" + "a" * 60_000, "frames": ["\x07"], "level": "info"}
    line = str(renderer(log_format)(None, "", event))
    assert line.isprintable() and len(line) < 1500
    assert "\\x1b[2J" in (json.loads(line)["path"] if log_format == "json" else line)


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_process_can_tell_those_that_it_starts_in_which_format_it_logs(log_format: LogFormat) -> None:
    before = structlog.get_config()
    try:
        structlog.configure(processors=[renderer(log_format)])
        assert format_in_force() == log_format
    finally:
        structlog.configure(**before)
