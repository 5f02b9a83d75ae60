"""The dashboards as files: up to date, and each panel readable by someone who did not make it."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.deploy.tools import ROOT

FOLDER = ROOT / "deploy" / "grafana" / "dashboards"
PAGES = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
PANELS = [(name, panel) for name, page in PAGES.items() for panel in page["panels"] if panel["type"] != "row"]


def test_the_files_are_what_the_generator_writes() -> None:
    # In a process of its own: what the library warns about is no error of ours.
    code = "import json; from deploy.grafana.__main__ import rendered; print(json.dumps(rendered()))"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    written = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    assert json.loads(said) == written, "run python -m deploy.grafana"


def test_there_are_the_three_dashboards() -> None:
    assert [page["title"] for page in PAGES.values()] == [
        "ScalingCache: Overview",
        "ScalingCache: Speed knob",
        "ScalingCache: Workers",
    ]
    assert len({page["uid"] for page in PAGES.values()}) == 3


@pytest.mark.parametrize(
    ("page", "panel"), PANELS, ids=lambda value: value if isinstance(value, str) else value["title"]
)
def test_a_panel_says_what_it_shows_in_which_unit_and_when_there_is_nothing(page: str, panel: dict[str, Any]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    assert panel["title"]
    assert len(panel["description"]) > 15
    assert defaults["unit"]
    assert defaults["noValue"]
    assert panel["datasource"]["uid"] == "prometheus"
    assert panel["targets"]
    for target in panel["targets"]:
        assert target["legendFormat"], "Grafana would show the whole expression"


@pytest.mark.parametrize("page", PAGES.values(), ids=lambda page: page["uid"])
def test_panels_lie_side_by_side_within_the_page(page: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in page["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
