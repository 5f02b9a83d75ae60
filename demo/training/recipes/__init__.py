"""The recipe of each demo checkpoint, one file each. Adding a file adds a checkpoint."""

from importlib import import_module
from pkgutil import iter_modules

from demo.training.recipe import Recipe

NAMES = sorted(module.name.replace("_", "-") for module in iter_modules(__path__))
"""Every checkpoint that has a file here."""


def recipe(name: str) -> Recipe:
    """The recipe of a checkpoint. Raises `ValueError` for one that there is none for."""
    if name not in NAMES:
        raise ValueError(f"no recipe for {name!r}; there are {', '.join(NAMES)}")
    made: Recipe = import_module(f"{__name__}.{name.replace('-', '_')}").RECIPE
    return made
