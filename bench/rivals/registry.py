"""All rivals, found by their files."""

from importlib import import_module
from pkgutil import iter_modules

import bench.rivals.methods
from bench.rivals.rival import Rival


def rivals() -> dict[str, Rival]:
    """By name, in the order of the files' names."""
    found: dict[str, Rival] = {}
    for module in iter_modules(bench.rivals.methods.__path__):
        for rival in import_module(f"{bench.rivals.methods.__name__}.{module.name}").RIVALS:
            if rival.name in found:
                raise ValueError(f"two rivals are called {rival.name}")
            found[rival.name] = rival
    return found
