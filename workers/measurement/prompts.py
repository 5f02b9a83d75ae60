"""Files of prompts: plain text, VBench's JSON, DrawBench's CSV."""

import csv
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO, StringIO
from pathlib import Path

from PIL import Image

from workers.jobs.errors import InvalidRequest
from workers.jobs.job import GenerationRequest
from workers.media.first_frame import fitted

_GROUP = re.compile(r"#\s*group:\s*(?P<name>.+)")


@dataclass(frozen=True)
class Prompt:
    """`group` is what kind of prompt it is, `image` the file of its first frame; each only where its file says."""

    text: str
    group: str | None = None
    image: Path | None = None

    @property
    def reference(self) -> str | None:
        """What a request for this prompt has as its `input_reference`."""
        return None if self.image is None else hashlib.sha256(self.image.read_bytes()).hexdigest()

    def picture(self, request: GenerationRequest) -> Image.Image | None:
        """The image in the size of the request. Raises `InvalidRequest`."""
        if self.image is None:
            return None
        with Image.open(BytesIO(fitted(self.image.read_bytes(), request.width, request.height))) as picture:
            return picture.convert("RGB")


def read_prompts(path: Path, limit: int | None = None) -> list[Prompt]:
    """The first `limit` prompts of a file, told apart by its ending.

    .json: VBench's list of objects with `prompt_en` and `dimension`, of which the first is the group.
    .csv: DrawBench's columns `Prompts` and `Category`, which is the group.
    anything else: one prompt a line, after a tab the file of its first frame, seen from the prompt file's folder. Empty
        lines and lines that start with # are skipped, but `# group: name` names the group of the prompts after it.
    Raises `InvalidRequest` when the file is not what its ending says, has no prompt, or names an image that is missing.
    """
    reader = {".json": _vbench, ".csv": _drawbench}.get(path.suffix.lower(), _plain)
    try:
        prompts = [prompt for prompt in reader(path.read_text(encoding="utf-8-sig")) if prompt.text][:limit]
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            "prompts", f"{path} is no text in UTF-8: byte {error.start} is {error.object[error.start]:#x}"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidRequest("prompts", f"{path}: not a prompt file of its kind: {error!r}") from error
    if not prompts:
        raise InvalidRequest("prompts", f"{path} has no prompts")
    return [replace(prompt, image=_beside(path, prompt.image)) if prompt.image else prompt for prompt in prompts]


def same_kind(prompts: Sequence[Prompt]) -> None:
    """Raise `InvalidRequest` when some prompts have an image and others none: nothing measured holds for both."""
    if len({prompt.image is None for prompt in prompts}) > 1:
        raise InvalidRequest("prompts", "prompts: either all have an image, or none; measure one kind at a time")


def _beside(path: Path, image: Path) -> Path:
    if not (path.parent / image).is_file():
        raise InvalidRequest("prompts", f"{path}: there is no image {path.parent / image}")
    return path.parent / image


def _plain(text: str) -> Iterator[Prompt]:
    group = None
    for line in map(str.strip, text.splitlines()):
        if heading := _GROUP.fullmatch(line):
            group = heading["name"]
        elif not line.startswith("#"):
            prompt, _, image = line.partition("\t")
            yield Prompt(prompt.strip(), group, Path(image.strip()) if image else None)


def _vbench(text: str) -> Iterator[Prompt]:
    for row in json.loads(text):
        dimensions = row.get("dimension") or [None]
        yield Prompt(row["prompt_en"].strip(), dimensions[0])


def _drawbench(text: str) -> Iterator[Prompt]:
    for row in csv.DictReader(StringIO(text, newline="")):
        yield Prompt(row["Prompts"].strip(), row.get("Category") or None)
