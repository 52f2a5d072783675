"""
A page a dashboard: every panel's result, drawn from the very query.

    python -m tests.grafana.page --url postgresql://.. --out DIR [--prometheus http://..]

A test tool for looking at what queries give, where no Grafana server can be had.  It
draws numbers, lines, bars, tables, calendars and sites in their place, and nothing else.
"""

from __future__ import annotations

import argparse
import json
import urllib.parse
import urllib.request
from collections import defaultdict
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from services.store.postgres.pool import connect
from tests.grafana import city
from tests.grafana.macros import boards, span

_COLORS = ("#5794f2", "#73bf69", "#f2cc0c", "#ff9830", "#f2495c", "#b877d9", "#8ab8ff", "#96d98d")
_NAMED = {"text": "#ccccdc", "transparent": "none", "blue": _COLORS[0], "green": _COLORS[1],
          "yellow": _COLORS[2], "orange": _COLORS[3], "red": _COLORS[4], "purple": _COLORS[5]}  # fmt: skip
_WRITTEN = {
    "short": "", "none": "", "kwatt": "kW", "kwatth": "kWh", "lengthkm": "km", "m3": "m³",
    "conμgm3": "µg/m³", "currencyVND": "₫", "bytes": "B",
}  # fmt: skip
_STYLE = """
body{background:#111217;color:#ccccdc;font:13px sans-serif;margin:8px}
.grid{display:grid;grid-template-columns:repeat(24,1fr);grid-auto-rows:38px;gap:6px}
.panel{background:#181b1f;border:1px solid #2c3235;padding:6px;overflow:hidden;min-width:0}
.row{grid-column:1/-1;color:#fff;font-weight:bold;padding-top:14px}
h4{margin:0 0 4px;font-size:13px}.big{font-size:28px;white-space:nowrap}
table{border-collapse:collapse;font-size:11px}td,th{padding:2px 7px;text-align:left;
max-width:260px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
svg{width:100%;height:calc(100% - 62px)}.legend{font-size:10px;height:14px;overflow:hidden}
@media(max-width:600px){.grid{display:block}.panel{margin-bottom:6px}.panel.w{overflow:auto}}
"""


def draw(conn: Any, board: dict[str, Any], until: datetime, prometheus: str | None) -> str:
    """Draw a dashboard as a page."""
    parts = []
    for panel in board["panels"]:
        at = panel["gridPos"]
        if panel["type"] == "row":
            parts.append(f"<div class=row>{escape(panel['title'])}</div>")
            continue
        names, rows = results(conn, board, panel, until, prometheus)
        body = _KINDS[panel["type"]](panel, names, rows)
        place = f"grid-column:{at['x'] + 1}/span {at['w']};grid-row:span {at['h']}"
        parts.append(
            f"<div class='panel w' style='{place};height:{at['h'] * 44 - 20}px'"
            f" title='{escape(panel['description'], quote=True)}'>"
            f"<h4>{escape(panel['title'])}</h4>{body}</div>"
        )
    head = f"<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'><style>{_STYLE}</style>"
    return f"{head}<h2>{escape(board['title'])}</h2><div class=grid>{''.join(parts)}</div>"


def results(
    conn: Any, board: dict[str, Any], panel: dict[str, Any], until: datetime, prometheus: str | None
) -> tuple[list[str], list[Any]]:
    """Rows of all of a panel's queries; those of Prometheus as time, metric and value."""
    names: list[str] = ["time", "metric", "value"]
    rows: list[Any] = []
    for target in panel["targets"]:
        if "rawSql" in target:
            names, rows = city.ask(conn, board, target["rawSql"], until)
        elif prometheus is not None:
            rows += _from_prometheus(prometheus, target, until, board)
    return names, rows


def _from_prometheus(
    url: str, target: dict[str, Any], until: datetime, board: dict[str, Any]
) -> list[Any]:
    end = until.timestamp()
    seconds = min(span(board["time"]["from"]).total_seconds(), 3600)
    asked = {"query": target["expr"], "start": end - seconds, "end": end, "step": 5}
    query = f"{url}/api/v1/query_range?{urllib.parse.urlencode(asked)}"
    with urllib.request.urlopen(query, timeout=20) as answer:  # noqa: S310 - as told on the command line
        found = json.load(answer)["data"]["result"]
    rows = []
    for series in found:
        name = target.get("legendFormat") or "value"
        for key, value in series["metric"].items():
            name = name.replace("{{" + key + "}}", value)
        rows += [
            (datetime.fromtimestamp(t, UTC), name, float(v))
            for t, v in series["values"]
            if v != "NaN"
        ]
    return rows


def shown(value: Any, unit: str = "", decimals: int | None = None) -> str:
    """Write a value about as Grafana would."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, (int, float)) or type(value).__name__ == "Decimal":
        number = float(value)
        if unit == "percentunit":
            return f"{number * 100:.{1 if decimals is None else decimals}f} %"
        if unit == "s" and number >= 120:
            return f"{number / 86400:.1f} d" if number > 172_800 else f"{number / 3600:.1f} h"
        suffix = _WRITTEN.get(unit, unit.removeprefix("suffix: "))
        places = decimals if decimals is not None else (0 if number == int(number) else 2)
        return f"{number:,.{places}f} {suffix}".strip()
    return str(value)


def color(panel: dict[str, Any], value: float) -> str:
    """Colour of a value by the panel's thresholds."""
    found = "text"
    for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]:
        if step["value"] is None or value >= step["value"]:
            found = step["color"]
    return _NAMED.get(found, found)


def _unit(panel: dict[str, Any]) -> tuple[str, int | None]:
    defaults = panel["fieldConfig"]["defaults"]
    return defaults["unit"], defaults.get("decimals")


def _stat(panel: dict[str, Any], names: list[str], rows: list[Any]) -> str:
    value = rows[-1][-1] if rows else None
    if value is None:
        return "<div class=big style='color:#888'>no data</div>"
    tint = color(panel, float(value))
    return f"<div class=big style='color:{tint}'>{escape(shown(value, *_unit(panel)))}</div>"


def _table(panel: dict[str, Any], names: list[str], rows: list[Any]) -> str:
    units = {
        o["matcher"]["options"]: {p["id"]: p["value"] for p in o["properties"]}
        for o in panel["fieldConfig"]["overrides"]
    }
    head = "".join(
        f"<th style='min-width:{units.get(n, {}).get('custom.minWidth', 150) - 14}px'>"
        f"{escape(units.get(n, {}).get('displayName', n))}</th>"
        for n in names
    )
    lines = []
    for row in rows[:60]:
        cells = (
            shown(v, units.get(n, {}).get("unit", ""), units.get(n, {}).get("decimals"))
            for n, v in zip(names, row, strict=True)
        )
        lines.append("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in cells) + "</tr>")
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>" if rows else "no data"


def by_name(names: list[str], rows: list[Any]) -> dict[str, list[tuple[Any, Any]]]:
    """Series: a column each, or a `metric` each where there is such a column."""
    found: dict[str, list[tuple[Any, Any]]] = defaultdict(list)
    labelled = len(names) == 3 and any(isinstance(r[1], str) for r in rows)
    for row in rows:
        if labelled:
            found[row[1]].append((row[0], row[2]))
        else:
            for name, value in zip(names[1:], row[1:], strict=True):
                found[name].append((row[0], value))
    return found


def _lines(panel: dict[str, Any], names: list[str], rows: list[Any]) -> str:
    series = by_name(names, rows)
    points = [(x, float(y)) for p in series.values() for x, y in p if y is not None]
    if not points:
        return "no data"
    left, right = min(p[0] for p in points), max(p[0] for p in points)
    width = max(1.0, (right - left).total_seconds())
    top = max(p[1] for p in points) or 1
    low = min(0.0, *(p[1] for p in points))
    other = {o["matcher"]["options"] for o in panel["fieldConfig"]["overrides"]}
    broken_s = panel["fieldConfig"]["defaults"]["custom"].get("insertNulls", 3.6e6)
    gap_s = (
        broken_s if isinstance(broken_s, (int, float)) and broken_s is not True else 3.6e6
    ) / 1000
    drawn = []
    for k, (name, line) in enumerate(series.items()):
        values = [float(y) for _, y in line if y is not None]
        own = max(values, default=1) or 1 if name in other else top
        path, last = "", None
        for x, y in line:
            if y is None:
                last = None
                continue
            sx = (x - left).total_seconds() / width * 1000
            sy = 200 - (float(y) - low) / (own - low or 1) * 195
            joined = last is not None and (x - last).total_seconds() <= gap_s
            path += f"{'L' if joined else 'M'}{sx:.1f} {sy:.1f}"
            last = x
        drawn.append(
            f"<path d='{path}' stroke='{_COLORS[k % 8]}' fill=none vector-effect=non-scaling-stroke />"
        )
    svg = f"<svg viewBox='0 0 1000 200' preserveAspectRatio=none>{''.join(drawn)}</svg>"
    return f"<div class=legend>max {escape(shown(top, *_unit(panel)))}</div>{svg}{_legend(list(series))}"


def _bars(panel: dict[str, Any], names: list[str], rows: list[Any]) -> str:
    at = names.index(panel["options"]["xField"])
    rest = [k for k in range(len(names)) if k != at]
    if not rows:
        return "no data"
    stacked = panel["options"]["stacking"] == "normal"
    heights = [[float(r[k] or 0) for k in rest] for r in rows]
    top = max(sum(h) if stacked else max(h) for h in heights) or 1
    step, drawn = 1000 / len(rows), []
    for i, row in enumerate(heights):
        base = 200.0
        for j, value in enumerate(row):
            tall = value / top * 195
            x = i * step + (0 if stacked else j * step / len(row) * 0.8)
            wide = step * 0.8 / (1 if stacked else len(row))
            y = base - tall if stacked else 200 - tall
            base = y if stacked else base
            drawn.append(
                f"<rect x={x:.1f} y={y:.1f} width={wide:.1f} height={tall:.1f} fill='{_COLORS[j % 8]}' />"
            )
    svg = f"<svg viewBox='0 0 1000 200' preserveAspectRatio=none>{''.join(drawn)}</svg>"
    ends = f"{rows[0][at]} … {rows[-1][at]}, top {shown(top, *_unit(panel))}"
    return f"<div class=legend>{escape(ends)}</div>{svg}{_legend([names[k] for k in rest])}"


def _levels(panel: dict[str, Any], names: list[str], rows: list[Any]) -> str:
    top = max((float(r[1]) for r in rows), default=1) or 1
    return (
        "".join(
            f"<div style='margin:2px 0'><span style='display:inline-block;width:30%'>{escape(str(r[0]))}</span>"
            f"<span style='display:inline-block;background:{color(panel, float(r[1]))};width:{float(r[1]) / top * 50:.0f}%'>&nbsp;</span> "
            f"{escape(shown(r[1], *_unit(panel)))}</div>"
            for r in rows
        )
        or "no data"
    )


def _calendar(panel: dict[str, Any], names: list[str], rows: list[Any]) -> str:
    series = by_name(names, rows)
    times = sorted({x for line in series.values() for x, _ in line})
    if not times:
        return "no data"
    lines = []
    for name, line in series.items():
        known = dict(line)
        cells = "".join(
            f"<span style='flex:1;height:18px;margin:1px;background:"
            f"{color(panel, float(known[t])) if known.get(t) is not None else 'none'}'></span>"
            for t in times
        )
        lines.append(
            f"<div style='display:flex'><span style='width:80px'>{escape(name)}</span>{cells}</div>"
        )
    return f"<div class=legend>{shown(times[0])} … {shown(times[-1])}</div>" + "".join(lines)


def _map(panel: dict[str, Any], names: list[str], rows: list[Any]) -> str:
    found = [dict(zip(names, r, strict=True)) for r in rows]
    return (
        "".join(
            f"<div><span style='color:{color(panel, float(f['value'] or 0))}'>●</span>"
            f" {escape(f['name'][:40])} ({f['latitude']:.2f}, {f['longitude']:.2f}): {escape(shown(f['value']))}</div>"
            for f in found
        )
        or "no data"
    )


def _legend(names: list[str]) -> str:
    found = (
        f"<span style='color:{_COLORS[k % 8]}'>■</span> {escape(n)} " for k, n in enumerate(names)
    )
    return f"<div class=legend>{''.join(found)}</div>"


_KINDS = {
    "stat": _stat,
    "table": _table,
    "timeseries": _lines,
    "barchart": _bars,
    "bargauge": _levels,
    "status-history": _calendar,
    "geomap": _map,
}


def main() -> None:
    """Write the pages."""
    parser = argparse.ArgumentParser(prog="python -m tests.grafana.page", description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--prometheus")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with connect(options.url, role="tonne_grafana", autocommit=True) as conn:
        for board in boards():
            text = draw(conn, board, datetime.now(UTC), options.prometheus)
            (options.out / f"{board['uid']}.html").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
