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


class Builder:
    """Carries the Dockerfile out, each stage once, in a folder of its name below `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stages = _stages((ROOT / "Dockerfile").read_text())
        self._built: dict[str, Image] = {}

    def build(self, name: str) -> Image:
        """A stage, after those that it stands on and copies from."""
        if name not in self._built:
            source, steps = self._stages[name]
            image = self._begin(source, self._folder / name)
            for instruction, value in steps:
                image = self._step(image, instruction, value)
            self._built[name] = image
        return self._built[name]

    def _begin(self, source: str, root: Path) -> Image:
        if source not in self._stages:
            _python(root)
            return Image(root)
        image = self.build(source)
        # Linked, not copied: as with layers, what is the same is there once.
        shutil.copytree(image.root, root, symlinks=True, copy_function=os.link)
        if (venv := root / "opt" / "venv").exists():
            _moved(venv, image.root, root)
        return replace(image, root=root)

    def _step(self, image: Image, instruction: str, value: str) -> Image:
        match instruction:
            case "RUN":
                return _run(image, value)
            case "COPY":
                self._copy(image, value)
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

    def _copy(self, image: Image, value: str) -> None:
        *sources, target = value.split()
        destination = Path(image.inside(target if target.startswith("/") else f"{image.workdir}/{target}"))
        if sources[0].startswith("--from="):
            other = self.build(sources[0].removeprefix("--from="))
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(other.inside(sources[1]), destination)  # no other stage needs it
            _moved(destination, other.root, image.root)
            return
        for source in sources:
            into = destination / Path(source).name if target.endswith("/") else destination
            into.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, into, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
            else:
                shutil.copyfile(ROOT / source, into)


def _stages(text: str) -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """Each stage's name: what it is made from, and its instructions."""
    stages: dict[str, tuple[str, list[tuple[str, str]]]] = {}
    steps: list[tuple[str, str]] = []
    for line in DockerfileParser(fileobj=io.BytesIO(text.encode())).structure:
        if line["instruction"] == "FROM":
            source, _, name = line["value"].partition(" AS ")
            steps = []
            stages[name] = (source, steps)
        else:
            steps.append((line["instruction"], line["value"]))
    return stages


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


def _moved(venv: Path, before: Path, after: Path) -> None:
    """In containers all stages have the interpreter at the same path; here the path has the stage's folder in it."""
    for path in [venv / "pyvenv.cfg", *(venv / "bin").iterdir()]:
        if path.is_symlink() and path.readlink().is_relative_to(before):
            target = after / path.readlink().relative_to(before)
            path.unlink()
            path.symlink_to(target)
        elif not path.is_symlink() and (text := path.read_bytes()).find(bytes(before) + b"/") >= 0:
            mode = path.stat().st_mode
            path.unlink()  # The other stage keeps its own.
            path.write_bytes(text.replace(bytes(before) + b"/", bytes(after) + b"/"))
            path.chmod(mode)


def _python(root: Path) -> None:
    """The interpreter of the base image: a copy of this one, which an unprivileged user may not reach where it is."""
    prefix, home = Path(sys.base_prefix), root / "usr" / "local"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (home / "bin").mkdir(parents=True)
    shutil.copyfile(prefix / "bin" / version, home / "bin" / version)
    (home / "bin" / version).chmod(0o755)
    for name in ("python", "python3"):
        (home / "bin" / name).symlink_to(version)
    left_out = shutil.ignore_patterns("site-packages", "test", "tests", "idlelib", "tkinter", "*.a")
    shutil.copytree(prefix / "lib" / version, home / "lib" / version, ignore=left_out, symlinks=True)
    for library in (prefix / "lib").glob("libpython*.so*"):
        shutil.copy2(library, home / "lib" / library.name)
