"""The examples of `docs/http.md`, as they stand there."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.deploy.tools import ROOT

PAGE = ROOT / "docs" / "http.md"
#: What can be run, by the name behind the fence. The rest is shown: headers, an event, what an example prints.
RUN, SHOWN = ("sh", "python", "js"), ("", "json", "text")
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Example:
    """A program, and what its section says that it prints; None where the section does not say."""

    name: str
    language: str
    text: str
    prints: str | None


def examples() -> list[Example]:
    """In the order of the page. Raises `ValueError` for a fence of an unknown language: nobody would run it."""
    return [each for section in PAGE.read_text().split("\n## ")[1:] for each in _of_section(section)]


def _of_section(section: str) -> Iterator[Example]:
    title = section.partition("\n")[0].lower().replace(" ", "-")
    blocks = _FENCED.findall(section)
    printed = [text for language, text in blocks if language == "text"]
    for language, text in blocks:
        if language in RUN:
            yield Example(f"{title}-{language}", language, text, "".join(printed) or None)
        elif language not in SHOWN:
            raise ValueError(f"{PAGE}: {title}: {language}")
