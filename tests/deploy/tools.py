"""Programs of the distribution that some tests need."""

import os
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def program(name: str) -> str:
    """The path of a program, from the virtual environment or the system. A missing one skips here and fails in CI."""
    here = Path(sys.executable).parent / name
    if path := (str(here) if here.exists() else shutil.which(name)):
        return path
    if os.environ.get("CI") == "true":
        pytest.fail(f"{name} is not installed")
    pytest.skip(f"{name} is not installed")
