"""
Kinds of dashboard panels: each has a title, query, unit and description.

A panel states when it has no data. A line is interrupted where values are missing for longer than
usual, never drawn to zero. Table cells are shown as text, never as HTML.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from grafana_foundation_sdk.builders import (
    barchart,
    bargauge,
    geomap,
    prometheus,
    statushistory,
    timeseries,
)
from grafana_foundation_sdk.builders import common as make
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import stat as stats
from grafana_foundation_sdk.builders import table as tables
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.source import BLUE, GREY, colored, columns, headings, mapped, states, word

DATABASE = common.DataSourceRef(type_val="grafana-postgresql-datasource", uid="tonne-timescaledb")
PROMETHEUS = common.DataSourceRef(type_val="prometheus", uid="tonne-prometheus")
Steps = tuple[tuple[float | None, str], ...]
PLAIN: Steps = ((None, BLUE),)
# links to pages of the console; dashboards that use them have the variable `console`
PAGES = {
    "device_id": "${console}/devices/${__value.raw}",
    "project_id": "${console}/projects/${__value.raw}",
}
_HOUR_MS = 3_600_000
# minimum width of a figure [px]: Grafana's own minimum, 150, is too wide for a phone
_FIGURE_PX = 80
# minimum width of columns with a word or a count [px]
_SHORT = {
    "id": 54, "state": 80, "severity": 80, "clock": 80, "grade": 80, "gateway_state": 80, "day": 90,
    "days": 60, "devices": 70, "entries": 70, "letters": 70, "readings": 80, "statements": 90,
    "test": 120, "vn_wqi": 70, "part": 110, "online": 70, "counted": 80, "currency": 70, "first_day": 90, "last_day": 90, "pairs": 60,
}  # fmt: skip


class Sql(Builder[Dataquery], Dataquery):
    """Query of Grafana's PostgreSQL data source."""

    def __init__(self, text: str, form: str, ref: str) -> None:
        self._text = "\n".join(line.rstrip() for line in text.strip().splitlines())
        self._form, self._ref = form, ref

    def build(self) -> Dataquery:
        """Return the query itself: Grafana's panel builders call this method."""
        return self

    def to_json(self) -> dict[str, object]:
        """Return the query in Grafana's JSON form."""
        return {
            "datasource": DATABASE,
            "editorMode": "code",
            "format": self._form,
            "rawQuery": True,
            "rawSql": self._text,
            "refId": self._ref,
        }


def thresholds(steps: Steps) -> build.ThresholdsConfig:
    """Return the colours by value; the first step has no lower limit."""
    marks = [model.Threshold(value=value, color=color) for value, color in steps]
    return build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(marks)


_Panel = TypeVar("_Panel")


def _frame(panel: _Panel, title: str, about: str, unit: str, span: int, height: int) -> _Panel:
    """Return a panel with the common properties of all kinds set."""
    any_panel: Any = panel
    any_panel.title(word(title)).description(word(about)).datasource(DATABASE).span(span).height(
        height
    )
    any_panel.unit(unit).no_value(word("no data"))
    return panel


def _targets(panel: _Panel, queries: str | Sequence[str], form: str) -> _Panel:
    any_panel: Any = panel
    texts = [queries] if isinstance(queries, str) else queries
    for ref, text in zip("ABCDEF", texts, strict=False):
        any_panel.with_target(Sql(text, form, ref))
    return panel


def stat(
    title: str,
    sql: str,
    unit: str,
    about: str,
    *,
    steps: Steps = PLAIN,
    span: int = 4,
    decimals: int | None = None,
    graph: bool = False,
) -> stats.Panel:
    """Return a panel with one figure, coloured by thresholds."""
    panel = _targets(_frame(stats.Panel(), title, about, unit, span, 3), sql, "table")
    mode = common.BigValueGraphMode.AREA if graph else common.BigValueGraphMode.NONE
    panel.graph_mode(mode).color_mode(common.BigValueColorMode.VALUE)
    panel.reduce_options(make.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    panel.thresholds(thresholds(steps))
    return panel if decimals is None else panel.decimals(decimals)


def series(
    title: str,
    sql: str | Sequence[str],
    unit: str,
    about: str,
    *,
    span: int = 12,
    height: int = 8,
    stacked: bool = False,
    steps: Steps | None = None,
    right: Mapping[str, str] | None = None,
    broken_ms: float = _HOUR_MS,
    fill: int = 10,
) -> timeseries.Panel:
    """
    Return a chart of lines over time; `right` assigns fields with another unit to the right
    axis.
    """
    panel = _targets(
        _frame(timeseries.Panel(), title, about, unit, span, height), sql, "time_series"
    )
    panel.span_nulls(False).insert_nulls(broken_ms).fill_opacity(fill).line_width(1)
    panel.legend(_legend()).tooltip(_tooltip())
    if stacked:
        panel.stacking(make.StackingConfig().mode(common.StackingMode.NORMAL))
    if steps is not None:
        style = make.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        panel.thresholds(thresholds(steps)).thresholds_style(style)
    for name, other in (right or {}).items():
        panel.override_by_name(
            name,
            [
                _set("unit", other),
                _set("custom.axisPlacement", "right"),
                _set("custom.fillOpacity", 0),
            ],
        )
    return panel


def bars(
    title: str,
    sql: str,
    unit: str,
    about: str,
    *,
    x: str = "day",
    span: int = 12,
    height: int = 8,
    stacked: bool = True,
    steps: Steps | None = None,
    colors: Sequence[str] = (),
) -> barchart.Panel:
    """Return a bar chart over a text field, such as local days."""
    panel = _targets(_frame(barchart.Panel(), title, about, unit, span, height), sql, "table")
    panel.x_field(x).legend(_legend()).tooltip(_tooltip()).show_value(common.VisibilityMode.NEVER)
    panel.stacking(common.StackingMode.NORMAL if stacked else common.StackingMode.NONE)
    panel.x_tick_label_rotation(-45).x_tick_label_spacing(100)
    for name, heading in headings(sql).items():
        panel.override_by_name(name, [_set("displayName", word(heading))])
    stacks = (name for name in re.findall(r"AS (\w+),?$", sql, re.MULTILINE) if name != x)
    for name, color in zip(stacks, colors, strict=False):
        panel.override_by_name(name, [_set("color", {"mode": "fixed", "fixedColor": color})])
    if steps is not None:
        panel.thresholds(thresholds(steps)).color_scheme(_by_threshold())
    return panel


def levels(
    title: str,
    sql: str,
    unit: str,
    about: str,
    *,
    steps: Steps,
    span: int = 8,
    height: int = 8,
    high: float | None = None,
) -> bargauge.Panel:
    """Return a bar gauge with one bar per row of a query with the columns `metric` and `value`."""
    panel = _targets(_frame(bargauge.Panel(), title, about, unit, span, height), sql, "table")
    panel.orientation(common.VizOrientation.HORIZONTAL).display_mode(
        common.BarGaugeDisplayMode.BASIC
    )
    panel.reduce_options(
        make.ReduceDataOptions().calcs(["lastNotNull"]).values(True).fields("/.*/")
    )
    panel.thresholds(thresholds(steps)).min(0)
    return panel if high is None else panel.max(high)


def table(
    title: str,
    sql: str,
    about: str,
    *,
    units: Mapping[str, str] | None = None,
    span: int = 12,
    height: int = 8,
    links: Mapping[str, str] | None = None,
    steps: Mapping[str, Steps] | None = None,
    decimals: Mapping[str, int] | None = None,
) -> tables.Panel:
    """
    Return a table in the query's row order; states are coloured, name and state are the
    first columns.
    """
    panel = _targets(_frame(tables.Panel(), title, about, "none", span, height), sql, "table")
    panel.mappings(states()).filterable(True).show_header(True)
    panel.thresholds(thresholds(((None, GREY),)))
    names = headings(sql)
    # ids in the last SELECT link to their pages
    listed = sql[sql.rfind("\nSELECT") :].partition("FROM")[0]
    own = {name: page for name, page in PAGES.items() if re.search(rf"\b{name}\b", listed)}
    links = {**own, **(links or {})}
    short = _SHORT.keys() & set(re.findall(r"(\w+)\s*(?:,|$)", listed))
    fields = {*names, *(units or {}), *(links or {}), *(steps or {}), *(decimals or {}), *short}
    for name in sorted(fields):
        named = [_set("displayName", word(names[name]))] if name in names else []
        panel.override_by_name(name, named + _column(name, units, links, steps, decimals))
    for name, codes in columns().items():
        if re.search(rf"\b{name}\s*(?:,|$)", listed):
            panel.override_by_name(name, [_set("mappings", mapped(codes))])
    panel.override_by_regexp(
        "/^(state|clock|grade|gateway_state|severity)$/",
        [_set("custom.cellOptions", {"type": "color-text"})],
    )
    return panel


def _column(
    name: str,
    units: Mapping[str, str] | None,
    links: Mapping[str, str] | None,
    steps: Mapping[str, Steps] | None,
    decimals: Mapping[str, int] | None,
) -> list[model.DynamicConfigValue]:
    properties = []
    if name in (units or {}):
        properties += [_set("unit", (units or {})[name]), _set("custom.minWidth", _FIGURE_PX)]
    elif name in _SHORT:
        properties.append(_set("custom.minWidth", _SHORT[name]))
    if name in (decimals or {}):
        properties.append(_set("decimals", (decimals or {})[name]))
    if name in (links or {}):
        properties.append(_set("links", [{"title": word("Open"), "url": (links or {})[name]}]))
    if name in (steps or {}):
        marks = [{"value": value, "color": color} for value, color in (steps or {})[name]]
        properties.append(_set("thresholds", {"mode": "absolute", "steps": marks}))
        properties.append(_set("custom.cellOptions", {"type": "color-text"}))
    return properties


def timeline(
    title: str,
    sql: str,
    about: str,
    *,
    unit: str = "none",
    steps: Steps | None = None,
    words: Mapping[str, str] | None = None,
    span: int = 24,
    height: int = 8,
) -> statushistory.Panel:
    """Return a status history, one row per series, coloured by value or word."""
    panel = _targets(
        _frame(statushistory.Panel(), title, about, unit, span, height), sql, "time_series"
    )
    panel.show_value(common.VisibilityMode.NEVER).row_height(0.9)
    panel.legend(_legend()).tooltip(_tooltip())
    if steps is not None:
        panel.thresholds(thresholds(steps)).color_scheme(_by_threshold())
    return panel if words is None else panel.mappings(colored(words))


def site_map(
    title: str, sql: str, unit: str, about: str, *, steps: Steps, span: int = 8, height: int = 10
) -> geomap.Panel:
    """Return a map of sites, coloured by `value`; the tooltip has the site's name."""
    panel = _targets(_frame(geomap.Panel(), title, about, unit, span, height), sql, "table")
    location = (
        make.FrameGeometrySource()
        .mode(common.FrameGeometrySourceMode.COORDS)
        .latitude("latitude")
        .longitude("longitude")
    )
    style = {
        "color": {"field": "value", "fixed": "text"},
        "size": {"fixed": 10, "min": 6, "max": 18},
        "text": {"fixed": "", "mode": "field", "field": "value"},
        "opacity": 0.8,
        "symbol": {"fixed": "img/icons/marker/circle.svg", "mode": "fixed"},
    }
    layer = make.MapLayerOptions().type("markers").name(word("sites")).location(location)
    layer.config({"style": style, "showLegend": False})
    # Grafana's own coasts and borders below tiles from the network, for servers without internet
    land = (
        make.MapLayerOptions()
        .type("geojson")
        .name(word("land"))
        .config(
            {
                "src": "public/maps/countries.geojson",
                "rules": [],
                "style": {"color": {"fixed": "text"}, "opacity": 0.1, "lineWidth": 1},
            }
        )
        .tooltip(False)
    )
    panel.layers([land, layer]).view(geomap.MapViewConfig().id("fit").all_layers(True).zoom(10))
    panel.basemap(make.MapLayerOptions().type("default").name(word("base")))
    panel.thresholds(thresholds(steps)).color_scheme(_by_threshold())
    return panel


def money(which: str) -> tables.Panel:
    """
    Return a table of cost, savings and revenue of metered energy at the registered tariffs.

    `which`: SQL condition on the rows of `v_day_money`.
    """
    return table(
        "Cost, saved and earned",
        f"""
SELECT kind, round(sum(amount), 2) AS money, currency, sum(energy_kwh) AS energy_kwh, min(day)::text AS first_day, max(day)::text AS last_day
FROM v_day_money WHERE $__timeFilter(time) AND {which} GROUP BY kind, currency ORDER BY currency, kind
""",
        "Metered energy of whole local days times the site's tariffs. Cost: energy bought; earned: energy sold; saved: own"
        " generation used. Currencies are not added; empty where the registry has no `tariffs`.",
        units={"energy_kwh": "kwatth"},
        decimals={"energy_kwh": 0},
        span=24,
        height=5,
    )


def avoided(title: str, which: str, about: str, *, span: int = 4) -> stats.Panel:
    """
    Return a figure of avoided tonnes of projects on local days.

    `which`: SQL condition on `project_id`.
    """
    sql = f"SELECT sum(avoided_t) AS avoided_t FROM v_account_day WHERE $__timeFilter(time) AND {which}"
    return stat(title, sql, "suffix: t", about, decimals=2, span=span)


def serving(devices: str) -> str:
    """Return an SQL condition on `project_id` for projects that use some of the devices."""
    return f"project_id IN (SELECT m.project_id FROM project_device m WHERE m.device_id IN ({devices}))"


def prom(
    title: str,
    exprs: Mapping[str, str],
    unit: str,
    about: str,
    *,
    span: int = 12,
    height: int = 8,
    steps: Steps | None = None,
    stacked: bool = False,
    texts: Mapping[str, str] | None = None,
) -> timeseries.Panel:
    """Return a chart of Prometheus expressions by legend; `texts` translates codes in legends."""
    panel = _frame(timeseries.Panel(), title, about, unit, span, height).datasource(PROMETHEUS)
    for ref, (legend, expr) in zip("ABCDEF", exprs.items(), strict=False):
        panel.with_target(
            prometheus.Dataquery()
            .datasource(PROMETHEUS)
            .expr(expr)
            .legend_format(legend if "{{" in legend else word(legend))
            .range()
            .ref_id(ref)
        )
    panel.span_nulls(False).fill_opacity(10).legend(_legend()).tooltip(_tooltip())
    for code, text in (texts or {}).items():
        panel.override_by_name(code, [_set("displayName", text)])
    if stacked:
        panel.stacking(make.StackingConfig().mode(common.StackingMode.NORMAL))
    if steps is not None:
        style = make.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        panel.thresholds(thresholds(steps)).thresholds_style(style)
    return panel


def prom_stat(
    title: str,
    expr: str,
    unit: str,
    about: str,
    *,
    steps: Steps = PLAIN,
    span: int = 4,
    words: Mapping[str, str] | None = None,
) -> stats.Panel:
    """Return a current figure from Prometheus; `words` translates codes."""
    panel = _frame(stats.Panel(), title, about, unit, span, 3).datasource(PROMETHEUS)
    panel.with_target(
        prometheus.Dataquery().datasource(PROMETHEUS).expr(expr).instant().ref_id("A")
    )
    panel.color_mode(common.BigValueColorMode.VALUE).graph_mode(common.BigValueGraphMode.NONE)
    panel.reduce_options(make.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    if words is not None:
        named = {
            n: model.ValueMappingResult(text=word(w), index=k)
            for k, (n, w) in enumerate(words.items())
        }
        panel.mappings([model.ValueMap(options=named)])
    return panel.thresholds(thresholds(steps))


def _set(name: str, value: object) -> model.DynamicConfigValue:
    return model.DynamicConfigValue(id_val=name, value=value)


def _by_threshold() -> build.FieldColor:
    return build.FieldColor().mode(model.FieldColorModeId.THRESHOLDS)


def _legend() -> make.VizLegendOptions:
    mode = common.LegendDisplayMode.LIST
    legend = make.VizLegendOptions().display_mode(mode).placement(common.LegendPlacement.BOTTOM)
    return legend.show_legend(True).calcs([])


def _tooltip() -> make.VizTooltipOptions:
    return (
        make.VizTooltipOptions()
        .mode(common.TooltipDisplayMode.MULTI)
        .sort(common.SortOrder.DESCENDING)
    )
