"""
Queries of panels as Grafana sends them: variables filled in, macros expanded.

They follow Grafana's PostgreSQL data source with `timescaledb: true`: times are UTC literals,
groups are `time_bucket` over seconds.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

BOARDS = Path(__file__).parents[2] / "deploy/grafana/dashboards/en"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "M": 2_592_000, "y": 31_536_000}


@dataclass(frozen=True, slots=True)
class Target:
    """One query of one panel."""

    board: str
    panel: str
    kind: str
    query: str
    form: str
    source: str

    @property
    def name(self) -> str:
        """Return the name used in tests."""
        return f"{self.board}: {self.panel}"


def boards(language: str = "en") -> list[dict[str, Any]]:
    """Return the committed dashboards of a language."""
    folder = BOARDS.parent / language
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    """Return panels that display data."""
    return [p for p in board["panels"] if p["type"] != "row"]


def targets(source: str) -> list[Target]:
    """Return every query of every panel for one kind of data source."""
    found = []
    for board in boards():
        for panel in panels(board):
            for target in panel["targets"]:
                if target["datasource"]["type"] == source:
                    query = target.get("rawSql") or target["expr"]
                    form = target.get("format", "")
                    found.append(
                        Target(board["uid"], panel["title"], panel["type"], query, form, source)
                    )
    return found


def span(text: str) -> timedelta:
    """Return the time span of `now-7d`."""
    number, unit = re.fullmatch(r"now-(\d+)([smhdwMy])", text).groups()
    return timedelta(seconds=int(number) * _UNITS[unit])


def choices(conn: Any, board: dict[str, Any]) -> dict[str, list[str]]:
    """Return the values of a dashboard's variables with all selected, by their own queries."""
    found: dict[str, list[str]] = {}
    for variable in board.get("templating", {}).get("list", []):
        if variable["type"] == "query":
            rows = conn.execute(expand(variable["query"], found, _AT, _AT)).fetchall()
            found[variable["name"]] = [row[0] for row in rows]
        else:
            found[variable["name"]] = [variable["query"]]
    return found


_AT = datetime(2026, 1, 1, tzinfo=UTC)


def expand(query: str, chosen: dict[str, list[str]], since: datetime, until: datetime) -> str:
    """Return a query as Grafana sends it."""
    step_s = max(60, round((until - since).total_seconds() / 1000))
    text = query.replace("$__interval_ms", str(step_s * 1000)).replace("$__interval", f"{step_s}s")

    def quoted(match: re.Match[str]) -> str:
        return ",".join("'" + value.replace("'", "''") + "'" for value in chosen[match[1]])

    text = re.sub(r"\$\{(\w+):sqlstring\}", quoted, text)
    begin, end = (f"'{t.strftime('%Y-%m-%dT%H:%M:%SZ')}'" for t in (since, until))
    text = re.sub(r"\$__timeFilter\(([^()]+)\)", rf"\1 BETWEEN {begin} AND {end}", text)
    text = text.replace("$__timeFrom()", begin).replace("$__timeTo()", end)
    text = re.sub(r"\$__timeGroup\(([^(),]+),\s*'?(\d+)([smhdw])'?\)", _bucket, text)
    if left := re.search(r"\$\w+|\$\{", text):
        raise ValueError(f"{left[0]} is left in: {text}")
    return text


def _bucket(match: re.Match[str]) -> str:
    seconds = int(match[2]) * _UNITS[match[3]]
    return f"time_bucket('{seconds}.000s',{match[1]})"
