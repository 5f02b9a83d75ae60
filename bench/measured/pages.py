"""Writes what was measured into pages: the text after `<!-- measured: NAME MODEL -->`, to the end of that part."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from bench.measured import tables
from bench.prompt_following import Following
from workers.models.evaluation import Evaluation

PAGES = ("README.md", "docs/benchmarks.md", "demo/checkpoints/*/README.md")
_PART = re.compile(
    r"(?P<begin><!-- measured: (?P<name>[^\n]+?) -->\n)(?P<text>.*?)(?P<end><!-- end of measured -->)", re.S
)


class UnknownPart(ValueError):
    """A page asks for something that is not measured."""


def fill_pages(root: Path) -> list[Path]:
    """Write all pages of a repository; returns those that changed. Raises `UnknownPart`."""
    changed = []
    for page in sorted(path for pattern in PAGES for path in root.glob(pattern)):
        before = page.read_text()
        after = filled(before, root)
        if after != before:
            page.write_text(after)
            changed.append(page)
    return changed


def filled(text: str, root: Path) -> str:
    """A page with its parts written anew; a part whose measurement is not there stays. Raises `UnknownPart`."""

    def part(found: re.Match[str]) -> str:
        text = _text(found["name"], root)
        return found[0] if text is None else f"{found['begin']}\n{text}\n\n{found['end']}"

    return _PART.sub(part, text)


def _text(name: str, root: Path) -> str | None:
    kind, _, model = name.partition(" ")
    if kind in ("evaluation", "summary") and model:
        path = root / "alphas" / f"{model}.evaluation.json"
        table = tables.of_evaluation if kind == "evaluation" else tables.summary
        return table(Evaluation.load(path)) if path.exists() else None
    if kind == "following" and model:
        path = root / "alphas" / f"{model}.following.json"
        return tables.of_following(Following.load(path)) if path.exists() else None
    if name == "paper":
        return tables.of_paper(list(_evaluations(root, ".paper.evaluation.json")))
    if name == "headline":
        return tables.of_headline(list(_evaluations(root, ".evaluation.json")))
    raise UnknownPart(
        f"<!-- measured: {name} -->: there are `evaluation MODEL`, `summary MODEL`, `following MODEL`, `paper`, "
        "`headline`"
    )


def _evaluations(root: Path, ending: str) -> Iterator[Evaluation]:
    """Of all models, in the order of their names."""
    for path in sorted((root / "alphas").glob(f"*{ending}")):
        if "." not in path.name.removesuffix(ending):
            yield Evaluation.load(path)
