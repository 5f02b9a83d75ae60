"""What the three dashboards share: time, variables, links to one another."""

from collections.abc import Iterable, Sequence
from itertools import count
from typing import TypeAlias

from grafana_foundation_sdk.builders import dashboard, heatmap, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import dashboard as models

from deploy.grafana.panels import DATASOURCE

TAG = "scalingcache"
Panels: TypeAlias = Sequence[stat.Panel | timeseries.Panel | heatmap.Panel | statetimeline.Panel | table.Panel]


def board(uid: str, title: str, description: str) -> dashboard.Dashboard:
    """An empty dashboard with the `model` variable."""
    others = (
        dashboard.DashboardLink("Dashboards")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .keep_time(True)
        .include_vars(True)
        .as_dropdown(False)
    )
    return (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .time("now-3h", "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .link(others)
        .with_variable(variable("model", "Model", "label_values(scalingcache_queue_jobs, model)"))
    )


def variable(
    name: str, label: str, query: str, sort: models.VariableSort = models.VariableSort.ALPHABETICAL_ASC
) -> dashboard.QueryVariable:
    """A choice of label values, all of them at first."""
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .query({"query": query, "refId": name})
        .datasource(DATASOURCE)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(sort)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(models.VariableOption(selected=True, text="All", value="$__all"))
    )


def with_rows(page: dashboard.Dashboard, rows: Iterable[tuple[str, Panels]]) -> dashboard.Dashboard:
    """The page with these rows of panels, each under its title. Links to a panel name its number."""
    number = count(1)
    for title, panels in rows:
        page.with_row(dashboard.Row(title).id(next(number)))
        for panel in panels:
            page.with_panel(panel.id(next(number)))
    return page
