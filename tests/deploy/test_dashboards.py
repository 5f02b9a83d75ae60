"""The dashboards as files: up to date, and each panel readable by someone who did not make it."""

import json
import subprocess
import sys
from typing import Any

import pytest
import yaml

from tests.deploy.containers import as_written
from tests.deploy.tools import ROOT

FOLDER = ROOT / "deploy" / "grafana" / "dashboards"
PROVISIONING = ROOT / "deploy" / "grafana" / "provisioning"
PAGES = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
PANELS = [(name, panel) for name, page in PAGES.items() for panel in page["panels"] if panel["type"] != "row"]


def test_the_files_are_what_the_generator_writes() -> None:
    # In a process of its own: what the library warns about is no error of ours.
    code = "import json; from deploy.grafana.__main__ import rendered; print(json.dumps(rendered()))"
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    written = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    assert json.loads(printed) == written, "run python -m deploy.grafana"


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
    assert panel["datasource"]["uid"] == datasource()["uid"]
    assert panel["targets"]
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    for target in panel["targets"]:
        assert target["legendFormat"], "Grafana would show the whole expression"
        assert target["datasource"]["uid"] == datasource()["uid"]


@pytest.mark.parametrize("page", PAGES.values(), ids=lambda page: page["uid"])
def test_panels_and_rows_have_numbers_of_their_own(page: dict[str, Any]) -> None:
    assert [panel["id"] for panel in page["panels"]] == list(range(1, len(page["panels"]) + 1))


@pytest.mark.parametrize("page", PAGES.values(), ids=lambda page: page["uid"])
def test_a_variable_asks_the_provisioned_datasource_and_begins_with_all(page: dict[str, Any]) -> None:
    for variable in page["templating"]["list"]:
        assert variable["datasource"]["uid"] == datasource()["uid"]
        assert variable["includeAll"] and variable["current"]["value"] == "$__all"


def test_the_datasource_is_the_prometheus_of_the_compose_file_at_its_pace() -> None:
    services, scraped = as_written()["services"], ROOT / "deploy" / "prometheus" / "prometheus.yml"
    assert datasource()["url"] == "http://prometheus:9090"
    assert services["prometheus"]["ports"][0].endswith(":9090")
    assert set(services["prometheus"]["networks"]) & set(services["grafana"]["networks"])
    assert datasource()["jsonData"]["timeInterval"] == yaml.safe_load(scraped.read_text())["global"]["scrape_interval"]


def test_grafana_finds_datasource_and_dashboards_where_the_compose_file_mounts_them() -> None:
    grafana = as_written()["services"]["grafana"]
    mounts = dict(mount.split(":")[:2] for mount in grafana["volumes"])
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "scalingcache.yml").read_text())["providers"]
    inside = provider["options"]["path"]
    assert mounts["./deploy/grafana/provisioning"] == "/etc/grafana/provisioning"  # where Grafana looks by itself
    assert mounts["./deploy/grafana/dashboards"] == inside
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home.startswith(f"{inside}/") and (FOLDER / home.removeprefix(f"{inside}/")).exists()


def datasource() -> dict[str, Any]:
    """The one that Grafana is given."""
    (provisioned,) = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yml").read_text())["datasources"]
    return dict(provisioned)


@pytest.mark.parametrize("page", PAGES.values(), ids=lambda page: page["uid"])
def test_panels_lie_side_by_side_within_the_page(page: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in page["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
