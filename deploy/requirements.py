"""Print the project's dependencies, with those of the extras that are named, one a line: a layer of their own."""

import sys
import tomllib
from pathlib import Path


def requirements(pyproject: Path, extras: list[str]) -> list[str]:
    """The lines of a requirements file: what the project needs, and what the named extras add."""
    project = tomllib.loads(pyproject.read_text())["project"]
    groups = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in extras)]
    return [line for group in groups for line in group]


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in requirements(Path("pyproject.toml"), sys.argv[1:]))
