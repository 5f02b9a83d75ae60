"""The Dockerfile carried out without Docker: its own steps, in a folder that stands for the container's root."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from dockerfile_parse import DockerfileParser

from tests.deploy.tools import ROOT

#: Folders of the container that the steps name; each lies below the folder that stands for its root.
_OURS = re.compile(r"(?<![\w./-])/(?=(?:opt|src|app|var|usr/local)\b)")
#: What needs a Debian of its own: the test uses the host's tini, and a number in place of the user.
SKIPPED = ("apt-get", "groupadd")


@dataclass(frozen=True)
class Image:
    """A stage as built. Paths in `env`, commands and `workdir` are those inside the container."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "root"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)

    def inside(self, text: str) -> str:
        """The text with the container's paths as they are on this machine."""
        return _OURS.sub(f"{self.root}/", text)

    @property
    def environment(self) -> dict[str, str]:
        """For a process: the image's variables alone, over the least that a process needs."""
        path = f"{self.root}/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
        own = {"PATH": path, "LD_LIBRARY_PATH": f"{self.root}/usr/local/lib"}
        return {name: self.inside(value).replace("$PATH", path) for name, value in (own | self.env).items()}

    @property
    def site_packages(self) -> Path:
        return next((self.root / "opt" / "venv" / "lib").glob("python*")) / "site-packages"


def build(target: str, folder: Path) -> Image:
    """Carry out a target's steps, and those of the stages it stands on and copies from, in folders below `folder`."""
    stages = _stages((ROOT / "Dockerfile").read_text())
    return _build(target, stages, folder / target, folder)


def _stages(text: str) -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """Each stage's name: what it is made from, and its instructions."""
    found: dict[str, tuple[str, list[tuple[str, str]]]] = {}
    steps: list[tuple[str, str]] = []
    for line in DockerfileParser(fileobj=io.BytesIO(text.encode())).structure:
        if line["instruction"] == "FROM":
            source, _, name = line["value"].partition(" AS ")
            steps = []
            found[name] = (source, steps)
        else:
            steps.append((line["instruction"], line["value"]))
    return found


def _build(name: str, stages: dict[str, tuple[str, list[tuple[str, str]]]], root: Path, folder: Path) -> Image:
    source, steps = stages[name]
    if source in stages:
        image = _build(source, stages, root, folder)
    else:
        image = Image(root)
        _python(root)
    for instruction, value in steps:
        image = _step(image, instruction, value, stages, folder)
    return image


def _step(
    image: Image,
    instruction: str,
    value: str,
    stages: dict[str, tuple[str, list[tuple[str, str]]]],
    folder: Path,
) -> Image:
    match instruction:
        case "RUN":
            return _run(image, value)
        case "COPY":
            _copy(image, value, stages, folder)
        case "WORKDIR":
            Path(image.inside(value)).mkdir(parents=True, exist_ok=True)
            return replace(image, workdir=value)
        case "ENV":
            return replace(image, env=image.env | dict(part.split("=", 1) for part in value.split()))
        case "USER":
            return replace(image, user=value)
        case "ENTRYPOINT":
            return replace(image, entrypoint=json.loads(value))
        case "CMD":
            return replace(image, command=json.loads(value))
        case "HEALTHCHECK":
            return replace(image, health=json.loads(value.partition(" CMD ")[2]))
        case "LABEL" | "EXPOSE" | "ARG" | "COMMENT":
            pass
        case _:
            raise NotImplementedError(instruction)
    return image


def _run(image: Image, command: str) -> Image:
    command = re.sub(r"--mount=\S+\s+", "", command)
    if command.startswith(SKIPPED):
        return image
    # The caller's settings for pip and its caches stand for the builder's.
    environment = {**os.environ, **image.environment}
    environment.pop("VIRTUAL_ENV", None)
    subprocess.run(
        ["/bin/sh", "-ec", image.inside(command)],
        cwd=image.inside(image.workdir),
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return replace(image, steps=[*image.steps, command])


def _copy(image: Image, value: str, stages: dict[str, tuple[str, list[tuple[str, str]]]], folder: Path) -> None:
    *sources, target = value.split()
    destination = Path(image.inside(target if target.startswith("/") else f"{image.workdir}/{target}"))
    if sources[0].startswith("--from="):
        stage, path = sources[0].removeprefix("--from="), sources[1]
        other = _build(stage, stages, folder / stage, folder)
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(other.inside(path), destination)  # not copied: torch is large
        _moved(destination, other.root, image.root)
        return
    for source in sources:
        into = destination / Path(source).name if target.endswith("/") else destination
        into.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, into, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        else:
            shutil.copyfile(ROOT / source, into)


def _moved(venv: Path, before: Path, after: Path) -> None:
    """In containers both stages have the interpreter at the same path; here the path has the stage's folder in it."""
    for link in (venv / "bin").iterdir():
        if link.is_symlink() and link.readlink().is_relative_to(before):
            target = after / link.readlink().relative_to(before)
            link.unlink()
            link.symlink_to(target)
    configuration = venv / "pyvenv.cfg"
    configuration.write_text(configuration.read_text().replace(str(before), str(after)))


def _python(root: Path) -> None:
    """The interpreter of the base image: a copy of this one, which an unprivileged user may not reach where it is."""
    prefix, home = Path(sys.base_prefix), root / "usr" / "local"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (home / "bin").mkdir(parents=True)
    shutil.copyfile(prefix / "bin" / version, home / "bin" / version)
    (home / "bin" / version).chmod(0o755)
    for name in ("python", "python3"):
        (home / "bin" / name).symlink_to(version)
    left_out = shutil.ignore_patterns("site-packages", "test", "tests", "__pycache__", "idlelib", "tkinter", "*.a")
    shutil.copytree(prefix / "lib" / version, home / "lib" / version, ignore=left_out, symlinks=True)
    for library in (prefix / "lib").glob("libpython*.so*"):
        shutil.copy2(library, home / "lib" / library.name)
