"""Files of prompts: plain text, VBench's JSON, DrawBench's CSV."""

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from workers.jobs.errors import InvalidRequest

_GROUP = re.compile(r"#\s*group:\s*(?P<name>.+)")


@dataclass(frozen=True)
class Prompt:
    """`group` is what kind of prompt it is, where its file says."""

    text: str
    group: str | None = None


def read_prompts(path: Path, limit: int | None = None) -> list[Prompt]:
    """The first `limit` prompts of a file, told apart by its ending.

    .json: VBench's list of objects with `prompt_en` and `dimension`, of which the first is the group.
    .csv: DrawBench's columns `Prompts` and `Category`, which is the group.
    anything else: one prompt a line. Empty lines and lines that start with # are skipped, but `# group: name` names the
        group of the prompts after it.
    Raises `InvalidRequest` when the file is not what its ending says, or has no prompt.
    """
    reader = {".json": _vbench, ".csv": _drawbench}.get(path.suffix.lower(), _plain)
    try:
        prompts = [prompt for prompt in reader(path.read_text(encoding="utf-8-sig")) if prompt.text][:limit]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidRequest("prompts", f"{path}: not a prompt file of its kind: {error!r}") from error
    if not prompts:
        raise InvalidRequest("prompts", f"{path} has no prompts")
    return prompts


def _plain(text: str) -> Iterator[Prompt]:
    group = None
    for line in map(str.strip, text.splitlines()):
        if heading := _GROUP.fullmatch(line):
            group = heading["name"]
        elif not line.startswith("#"):
            yield Prompt(line, group)


def _vbench(text: str) -> Iterator[Prompt]:
    for row in json.loads(text):
        dimensions = row.get("dimension") or [None]
        yield Prompt(row["prompt_en"].strip(), dimensions[0])


def _drawbench(text: str) -> Iterator[Prompt]:
    for row in csv.DictReader(StringIO(text, newline="")):
        yield Prompt(row["Prompts"].strip(), row.get("Category") or None)
