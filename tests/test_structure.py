"""The house rules that a test can hold."""

import re
import subprocess
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
    assert {path.name: found for path in tracked("tests/*.py") if (found := imports.findall(path.read_text()))} == {}


@pytest.mark.parametrize("page", tracked("*.md"), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    # A path is what has a folder of this repository before its first slash; functions follow after a colon.
    folders = "service|workers|alphas|deploy|tests|demo|bench|docs"
    named = re.findall(rf"`((?:{folders})/[\w./-]+)(?::[\w.]+)?`", page.read_text())
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    missing = [name for name in named if not (ROOT / name).exists() and not made_on_the_spot(name)]
    missing += [link for link in links if not (page.parent / link).exists()]
    assert missing == []
