"""Parts of every dashboard: variables, links to other dashboards, panels in rows, events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.source import word
from deploy.grafana.source.panels import DATABASE, Sql

TAG = "tonne"
Row = tuple[str, "Sequence[Builder[model.Panel]]"]


def board(
    uid: str,
    title: str,
    about: str,
    rows: Sequence[Row],
    *,
    variables: Sequence[Any] = (),
    marks: str | None = None,
    named: str = "Events",
    since: str = "now-7d",
    refresh: str = "1m",
) -> model.Dashboard:
    """
    Return a dashboard of panels in rows below its variables.

    `marks` is a query of `time`, `timeend`, `text` and `tags`, shown as annotations on all charts.
    On a phone Grafana stacks the panels in this order.
    """
    made = build.Dashboard(word(title)).uid(f"tonne-{uid}").description(word(about)).tags([TAG])
    # the server's time zone (GF_DATE_FORMATS_DEFAULT_TIMEZONE), so that local days begin at midnight
    made.time(since, "now").refresh(refresh).timezone("").readonly()
    made.tooltip(model.DashboardCursorSync.CROSSHAIR)
    link = build.DashboardLink(word("Dashboards")).type(model.DashboardLinkType.DASHBOARDS)
    made.link(link.tags([TAG]).as_dropdown(True).include_vars(True).keep_time(True))
    for variable in variables:
        made.with_variable(variable)
    if marks is not None:
        query: Any = Sql(marks, "table", "Anno")
        noted = build.AnnotationQuery().name(word(named)).datasource(DATABASE).enable(True)
        made.annotation(noted.icon_color("red").target(query))
    for name, panels in rows:
        made.with_row(build.Row(word(name)))
        for panel in panels:
            made.with_panel(panel)
    return _numbered(made.build())


def _numbered(made: model.Dashboard) -> model.Dashboard:
    """Return the dashboard with numbered panels; alerts and links refer to these numbers."""
    for number, panel in enumerate(made.panels or [], 1):
        panel.id_val = number
    return made


def events(*classes: str, device: str | None = None) -> str:
    """
    Return the annotation query for meters of some classes: replacements, resets, closed periods.

    Register resets are included only where a variable `device` selects 200 devices or fewer, as
    finding them reads every 15-minute interval.
    """
    listed = ", ".join(f"'{class_id}'" for class_id in classes)
    own = "" if device is None else f" AND d.id = ANY(ARRAY[${{{device}:sqlstring}}]::text[])"
    swaps = f"""
SELECT r.at AS time, '«meter replaced»: ' || d.id || ', ' || r.channel AS text, '«replaced»' AS tags
FROM device_replacement r JOIN device d ON d.id = r.device_id
WHERE $__timeFilter(r.at) AND d.class IN ({listed}){own}"""
    closings = f"""
SELECT m.closed, '«period closed»: ' || m.project_id || ', ' || m.local_from || '..' || m.local_to, '«closed»'
FROM monitoring_period m
WHERE $__timeFilter(m.closed) AND EXISTS (
    SELECT FROM project_device s JOIN device d ON d.id = s.device_id
    WHERE s.project_id = m.project_id AND d.class IN ({listed}){own})"""
    parts = [swaps, closings]
    if device is not None:
        chosen = f"ARRAY[${{{device}:sqlstring}}]::text[]"
        parts.append(f"""
SELECT f.start, '«register decreased»: ' || f.device_id || ', ' || f.quantity, '«reset»' FROM (
    SELECT i.device_id, i.quantity, i.start, i.register_value,
           lag(i.register_value) OVER (PARTITION BY i.device_id, i.quantity ORDER BY i.start) AS before
    FROM interval_quantity i
    WHERE $__timeFilter(i.start) AND i.device_id = ANY({chosen}) AND cardinality({chosen}) <= 200
      AND i.register_value IS NOT NULL
) f WHERE f.register_value < f.before""")
    return "\nUNION ALL".join(parts) + "\nORDER BY 1 DESC LIMIT 300"


def reach(device_days: int) -> str:
    """
    Return the SQL time range of a panel over all selected devices, shortened for large selections.

    `device_days`: maximum of selected devices times days, which keeps the query fast. PostgreSQL
    knows the resulting start when it plans the query.
    """
    days = f"{device_days} * INTERVAL '1 day' / greatest(cardinality(ARRAY[${{device:sqlstring}}]::text[]), 1)"
    return f"greatest($__timeFrom()::timestamptz, $__timeTo()::timestamptz - {days})"


def sites() -> build.QueryVariable:
    """Return the dashboard variable for sites; all are selected at first."""
    return _query(
        "site", "Site", "SELECT id AS __value, left(name, 80) AS __text FROM site ORDER BY name"
    )


def projects() -> build.QueryVariable:
    """Return the dashboard variable for projects."""
    return _query(
        "project",
        "Project",
        "SELECT id AS __value, left(name, 80) AS __text FROM project ORDER BY name",
    )


def devices(
    classes: str | tuple[str, ...], label: str, name: str = "device"
) -> build.QueryVariable:
    """Return the dashboard variable for devices of some classes at the selected sites."""
    named = [classes] if isinstance(classes, str) else classes
    listed = ", ".join(f"'{name}'" for name in named)
    return _query(
        name,
        label,
        f"SELECT id FROM device WHERE class IN ({listed}) AND site = ANY(ARRAY[${{site:sqlstring}}]::text[])"
        " AND (removed IS NULL OR removed > now()) ORDER BY id",
    )


def number(name: str, label: str, value: str, about: str) -> build.TextBoxVariable:
    """Return a dashboard variable for a number, such as an hour."""
    return (
        build.TextBoxVariable(name).label(word(label)).description(word(about)).default_value(value)
    )


def console_address() -> build.TextBoxVariable:
    """Return the dashboard variable for the console's base URL, used in links."""
    return number("console", "Console", "http://127.0.0.1:8080", "Address of tonne's console.")


def console(page: str) -> str:
    """Return the URL of a console page in the reader's language."""
    return "${console}/" + page


def _query(name: str, label: str, sql: str) -> build.QueryVariable:
    made = build.QueryVariable(name).label(word(label)).datasource(DATABASE).query(sql)
    made.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED).multi(True).include_all(True)
    return made.current(model.VariableOption(selected=True, text=word("All"), value="$__all"))
