"""What a measurement depends on beside the model and the request: the machine, the libraries, a rival's own source."""

import hashlib
import platform
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType

import torch

from bench.rivals.rival import Rival

LIBRARIES = ("torch", "diffusers", "cache-dit")


def machine() -> dict[str, str]:
    """Processor, threads and versions."""
    versions = {name: metadata.version(name) for name in LIBRARIES}
    return {"processor": _processor(), "threads": str(torch.get_num_threads()), **versions}


def source(rival: Rival) -> str:
    """A digest of the rival's file and of what it takes from this package."""
    own = sys.modules[type(rival).__module__]
    named = {getattr(member, "__module__", None) for member in vars(own).values()}
    used = sorted(name for name in named if name and name.startswith("bench.rivals."))
    return sources(own, *(sys.modules[name] for name in used))


def sources(*modules: ModuleType) -> str:
    """A digest of modules' files, and of all files in packages' folders."""
    files: list[Path] = []
    for module in modules:
        path = Path(str(module.__file__))
        files += sorted(path.parent.glob("*.py")) if path.name == "__init__.py" else [path]
    return digest(b"".join(path.read_bytes() for path in files))


def digest(content: bytes) -> str:
    """Short, and long enough to tell contents apart."""
    return hashlib.sha256(content).hexdigest()[:16]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
