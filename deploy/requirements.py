"""Prints the project's dependencies, with those of the extras that are named, one a line: a layer of their own."""

import sys
import tomllib
from pathlib import Path


def requirements(project: dict[str, object], extras: list[str]) -> list[str]:
    """The `dependencies` of a [project] table, then those of its extras."""
    optional = project["optional-dependencies"]
    found = [project["dependencies"], *(optional[extra] for extra in extras)]  # type: ignore[index]
    return [line for group in found for line in group]  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.stdout.writelines(
        f"{line}\n" for line in requirements(tomllib.loads(Path("pyproject.toml").read_text())["project"], sys.argv[1:])
    )
