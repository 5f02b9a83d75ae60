"""The files of the page for people, each under an address that names what is in it."""

import base64
import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from string import Template
from typing import Self

FOLDER = Path(__file__).parent / "page"
#: Whatever is not named here is no file of the page.
MEDIA_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
_INDEX = "index.html"
_DOCS = '<a href="docs">API</a>'


@dataclass(frozen=True)
class PageFile:
    """A file as it is sent."""

    content: bytes
    media_type: str

    @cached_property
    def digest(self) -> bytes:
        """SHA-256."""
        return hashlib.sha256(self.content).digest()

    @property
    def integrity(self) -> str:
        """What a browser compares the file with before it uses it."""
        return f"sha256-{base64.b64encode(self.digest).decode()}"

    @property
    def etag(self) -> str:
        """Names the content, as HTTP has it."""
        return f'"{self.digest.hex()}"'


@dataclass(frozen=True)
class PageFiles:
    """index: the page itself. files: all that it loads, by their paths. version: names these files, all together."""

    index: PageFile
    files: dict[str, PageFile]
    version: str

    @classmethod
    def read(cls, *, folder: Path = FOLDER, docs: bool = True) -> Self:
        """Everything is read once, so that what is served is whole, and of one version.

        docs: whether `/docs` is for anybody.
        """
        paths = sorted(path for path in folder.rglob("*") if path.suffix in MEDIA_TYPES)
        files = {
            path.relative_to(folder).as_posix(): PageFile(path.read_bytes(), MEDIA_TYPES[path.suffix]) for path in paths
        }
        version = _version(files)
        text = Template((folder / _INDEX).read_text()).substitute(
            modules="\n".join(_preload(version, name, file) for name, file in files.items() if name.endswith(".js")),
            style=_linked(version, "style.css", files),
            main=_linked(version, "main.js", files),
            docs=_DOCS if docs else "",
        )
        return cls(PageFile(text.encode(), "text/html; charset=utf-8"), files, version)


def _version(files: dict[str, PageFile]) -> str:
    """One for all, since modules name each other by relative addresses."""
    whole = hashlib.sha256()
    for name, file in files.items():
        whole.update(name.encode() + b"\0" + file.digest)
    return whole.hexdigest()[:16]


# Relative, so that they hold behind a proxy's prefix.
def _address(version: str, name: str) -> str:
    return f"page/{version}/{name}"


def _linked(version: str, name: str, files: dict[str, PageFile]) -> str:
    return f'"{_address(version, name)}" integrity="{files[name].integrity}"'


def _preload(version: str, name: str, file: PageFile) -> str:
    """An import cannot say what it expects; but a module that was loaded before, and checked, is the one imported."""
    return f'<link rel="modulepreload" href="{_address(version, name)}" integrity="{file.integrity}">'
