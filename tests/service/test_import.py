import subprocess
import sys

PROBE = """
import sys
import service.app, service.__main__
from pathlib import Path
from workers.models.catalogue import Catalogue
Catalogue.read(Path("models.toml"))
print(sorted({name.partition(".")[0] for name in sys.modules} & {"torch", "diffusers", "transformers", "av", "numpy"}))
"""


def test_the_service_starts_without_what_only_workers_need() -> None:
    printed = subprocess.run(
        [sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert printed.strip() == "[]"
