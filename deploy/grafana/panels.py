"""Panels as the dashboards use them: each has a description, a unit, a legend, and says so when it is empty."""

from typing import TypeVar

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import heatmap as heatmaps
from grafana_foundation_sdk.models import prometheus as queries

DATASOURCE = models.DataSourceRef(type_val="prometheus", uid="prometheus")
QUIET = "Nothing in this time range"

Panel = TypeVar("Panel", stat.Panel, timeseries.Panel, heatmap.Panel, statetimeline.Panel, table.Panel)
#: An expression and its legend, where `{{label}}` stands for a label's value.
Query = tuple[str, str]
#: From which value on a panel has which colour, ascending; the first value is not used.
Colours = tuple[tuple[float | None, str], ...]

GOOD_IS_ONE: Colours = ((None, "red"), (1, "green"))
GOOD_IS_ZERO: Colours = ((None, "green"), (1, "red"))
NEUTRAL: Colours = ((None, "blue"),)


def tile(title: str, description: str, expression: str, unit: str, colours: Colours = NEUTRAL) -> stat.Panel:
    """One number, with its course behind it."""
    panel = (
        stat.Panel()
        .color_mode(options.BigValueColorMode.VALUE)
        .graph_mode(options.BigValueGraphMode.AREA)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .height(4)
        .span(4)
    )
    return _described(panel, title, description, unit, [(expression, title)], colours)


def up_tile(title: str, description: str, expression: str) -> stat.Panel:
    """One word: up or down."""
    words = models.ValueMap(
        options={
            "0": models.ValueMappingResult(text="Down", color="red", index=0),
            "1": models.ValueMappingResult(text="Up", color="green", index=1),
        }
    )
    panel = tile(title, description, expression, "none", GOOD_IS_ONE)
    return panel.mappings([words]).graph_mode(options.BigValueGraphMode.NONE)


def curves(
    title: str, description: str, unit: str, *series: Query, stacked: bool = False, width: int = 8
) -> timeseries.Panel:
    """Lines over time."""
    panel = (
        timeseries.Panel()
        .height(8)
        .span(width)
        .axis_soft_min(0)
        .line_width(2)
        .fill_opacity(60 if stacked else 8)
        .show_points(options.VisibilityMode.AUTO)
        .legend(
            common.VizLegendOptions()
            .display_mode(options.LegendDisplayMode.TABLE)
            .placement(options.LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs(["mean", "max"])
        )
        .tooltip(common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI).sort(options.SortOrder.DESCENDING))
    )
    if stacked:
        panel.stacking(common.StackingConfig().mode(options.StackingMode.NORMAL))
    return _described(panel, title, description, unit, series)


def heat(title: str, description: str, unit: str, buckets: str, width: int = 8) -> heatmap.Panel:
    """The distribution over time; `buckets` is an expression of cumulative buckets by `le`."""
    panel = (
        heatmap.Panel()
        .height(8)
        .span(width)
        .calculate(False)
        .color(
            heatmap.HeatmapColorOptions()
            .mode(heatmaps.HeatmapColorMode.SCHEME)
            .scheme("Oranges")
            .scale(heatmaps.HeatmapColorScale.EXPONENTIAL)
            .exponent(0.5)
            .steps(64)
        )
        .y_axis(heatmap.YAxisConfig().unit(unit).axis_placement(options.AxisPlacement.LEFT))
        .cell_values(heatmap.CellValues().unit("none").decimals(0))
        .show_legend()
        .show_y_histogram()
    )
    return _described(panel, title, description, unit, [(buckets, "{{le}}")], as_heatmap=True)


def timeline(title: str, description: str, words: dict[int, tuple[str, str]], query: Query) -> statetimeline.Panel:
    """What was when; `words` gives each number its word and colour."""
    mapping = models.ValueMap(
        options={
            str(value): models.ValueMappingResult(text=text, color=colour, index=value)
            for value, (text, colour) in words.items()
        }
    )
    panel = statetimeline.Panel().height(8).span(12).mappings([mapping]).merge_values(True)
    return _described(panel, title, description, "none", [query])


def listing(title: str, description: str, expression: str, width: int = 12) -> table.Panel:
    """The labels of the series that are there now, as a table."""
    panel = (
        table.Panel()
        .height(8)
        .span(width)
        .with_transformation(
            models.DataTransformerConfig(
                id_val="organize",
                options={"excludeByName": {"Time": True, "Value": True, "__name__": True}},
            )
        )
    )
    return _described(panel, title, description, "none", [(expression, title)], as_table=True)


def _described(
    panel: Panel,
    title: str,
    description: str,
    unit: str,
    series: list[Query] | tuple[Query, ...],
    colours: Colours = NEUTRAL,
    *,
    as_heatmap: bool = False,
    as_table: bool = False,
) -> Panel:
    panel.title(title).description(description).unit(unit).datasource(DATASOURCE).no_value(QUIET)
    steps = [models.Threshold(value=value, color=colour) for value, colour in colours]
    panel.thresholds(dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))
    for index, (expression, legend) in enumerate(series):
        target = prometheus.Dataquery().expr(expression).legend_format(legend).ref_id("ABCDEFGH"[index])
        target.datasource(DATASOURCE)
        if as_table:
            target.instant().format(queries.PromQueryFormat.TABLE)
        else:
            target.range()
        if as_heatmap:
            target.format(queries.PromQueryFormat.HEATMAP)
        panel.with_target(target)
    return panel
