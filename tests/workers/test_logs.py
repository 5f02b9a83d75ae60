"""What a worker writes beside its own lines."""

import subprocess
import sys
from pathlib import Path

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
