"""What a file of measurements says of how it was made."""

import sys
from datetime import UTC, datetime

import diffusers
import torch


def provenance(program: str = "python -m workers") -> dict[str, str]:
    """The command, the date, and the versions that numbers depend on."""
    return {
        "command": " ".join([program, *sys.argv[1:]]),
        "date": datetime.now(UTC).date().isoformat(),
        **versions(),
    }


def versions() -> dict[str, str]:
    """Of what computes."""
    return {"torch": torch.__version__, "diffusers": diffusers.__version__}
