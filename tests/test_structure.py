"""The house rules that a test can hold."""

import re
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MOST_LINES = 300


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.splitlines()]


def made_on_the_spot(name: str) -> bool:
    """Whether git ignores the path: a command makes it, the repository does not have it."""
    return subprocess.run(["git", "check-ignore", "--quiet", name], cwd=ROOT, check=False).returncode == 0


def test_no_source_file_is_longer_than_a_screenful_of_scrolling() -> None:
    long = {
        str(path.relative_to(ROOT)): n
        for path in tracked("*.py", "*.lua")
        if (n := len(path.read_text().splitlines())) > MOST_LINES
    }
    assert long == {}


def test_no_test_imports_another_or_a_conftest() -> None:
    """What several need is in a module of its own: tests can then be moved, and run one file at a time."""
    imports = re.compile(r"^\s*(?:from|import) .*\b(?:test_\w+|conftest)\b.*$", re.M)
    assert {
        path.name: imported for path in tracked("tests/*.py") if (imported := imports.findall(path.read_text()))
    } == {}


@pytest.mark.parametrize("page", tracked("*.md"), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    # A path is what has a folder of this repository before its first slash; functions follow after a colon.
    folders = "service|workers|alphas|deploy|tests|demo|bench|docs"
    named = re.findall(rf"`((?:{folders})/[\w./-]+)(?::[\w.]+)?`", page.read_text())
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    missing = [name for name in named if not (ROOT / name).exists() and not made_on_the_spot(name)]
    missing += [link for link in links if not (page.parent / link).exists()]
    assert missing == []


#: Not prose: headings, tables, pictures, indented code.
NOT_PROSE = re.compile(r"\s*(?:#|\||!\[|$)| {4}")
LIST_ITEM = re.compile(r"\s*(?:-|\d+\.) ")
#: A list item's mark and a paragraph's first words in bold.
LEAD = re.compile(r"\s*(?:(?:-|\d+\.) )?(?:\*\*[^*]+\*\*)?\s*")
SENTENCE_END = r"(?<!\bEq)(?<!\bAlg)(?<!\be\.g)[.!?:][)\"*]*"


def prose(page: Path) -> Iterator[list[str]]:
    """Each paragraph and list item as its lines, without the text of code and the targets of links."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.M | re.S)
    text = re.sub(r"`[^`\n]*`", "`code`", re.sub(r"\]\([^)]*\)", "]", text))
    lines: list[str] = []
    for line in [*text.splitlines(), ""]:
        if lines and (NOT_PROSE.match(line) or LIST_ITEM.match(line)):
            yield lines
            lines = []
        if not NOT_PROSE.match(line):
            lines.append(line)


@pytest.mark.parametrize("page", tracked("*.md"), ids=lambda path: str(path.relative_to(ROOT)))
def test_prose_has_one_sentence_a_line(page: Path) -> None:
    two = re.compile(SENTENCE_END.replace(":", "") + r" +[A-Z`*(\[]")
    for lines in prose(page):
        assert [line for line in lines if two.search(LEAD.sub("", line, count=1))] == []
        assert [line for line, _ in pairwise(lines) if not re.search(SENTENCE_END + "$", line)] == []
