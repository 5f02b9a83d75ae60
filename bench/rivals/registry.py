"""All rivals, found by their files."""

from collections.abc import Collection
from importlib import import_module
from pkgutil import iter_modules

import bench.rivals.methods
from bench.rivals.rival import Rival
from workers.jobs.errors import InvalidRequest


def rivals() -> dict[str, Rival]:
    """By name, in the order of the files' names."""
    found: dict[str, Rival] = {}
    for module in iter_modules(bench.rivals.methods.__path__):
        for rival in import_module(f"{bench.rivals.methods.__name__}.{module.name}").RIVALS:
            if rival.name in found:
                raise ValueError(f"two rivals are called {rival.name}")
            found[rival.name] = rival
    return found


def chosen(names: Collection[str] | None) -> dict[str, Rival]:
    """Those that are named, or without names all, in the order of `rivals`. Raises `InvalidRequest`."""
    known = rivals()
    if unknown := set(names or ()) - known.keys():
        raise InvalidRequest("rival", f"no rival {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return {name: rival for name, rival in known.items() if not names or name in names}
