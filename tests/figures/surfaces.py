"""
Every place that shows tonnes or energy, found from its definition, not from a list.

A new panel, field or figure is found automatically, and the test fails until it is compared with
the account.  Each figure is examined in several states of a city.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from services.processing import pv_outlook
from services.store.postgres.pool import connect
from services.store.views.fleet_metrics import refresh_days
from tests.grafana import city
from tests.grafana.fill import fill
from tests.grafana.fleet import Size, register
from tests.grafana.macros import boards, panels

_SMALL = Size(days=12, inverters=4)


def _just_past_midnight() -> str:
    """Return a zone in which the day began within the last hour."""
    hour = datetime.now(UTC).hour
    # its sign is the other way round: Etc/GMT+5 is five hours behind
    return f"Etc/GMT+{hour}" if hour <= 12 else f"Etc/GMT-{24 - hour}"


def _filled(url, home):
    city.make(url, home, _SMALL)


def _silent(url, home):
    fill(url, home, _SMALL, silent=timedelta(days=45))


def _midnight(url, home):
    fill(url, home, _SMALL, clock=_just_past_midnight())


def _never_heard(url, home):
    register(url, home, _SMALL, datetime.now(UTC))
    with connect(url, autocommit=True) as conn:
        conn.execute("UPDATE device SET commissioned = now()::date - 10")
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        pv_outlook.refresh_rates(conn)
        refresh_days(conn)


def _empty(url, home):
    del url, home


STATES = (_filled, _silent, _midnight, _never_heard, _empty)


_UNIT = re.compile(r"^(kwatth|suffix: (t|t/d|kWh.*))$")
_FIELD = re.compile(
    r"(_t|_ug|_t_per_year|_t_per_day|_t_so_far|_kwh|_wh|percent_of_expected|percent_of_target)$|^tCO2$|^value$"
)
_FIGURE = re.compile(
    r"tonnes\(|_t(_so_far)?\b|tCO2|months\[|_ug\b|reduction\.t\b|\bissued\b|\bmonitored\b"
)
_ROOT = Path(__file__).parents[2]


def of_panels() -> list[str]:
    """Return board, panel and column of each figure in tonnes or energy, without power."""
    found = []
    for board in boards():
        for panel in panels(board):
            where = f"{board['uid']}: {panel['title']}"
            if _UNIT.match(panel["fieldConfig"]["defaults"]["unit"]):
                found.append(where)
            for override in panel["fieldConfig"]["overrides"]:
                units = [o["value"] for o in override["properties"] if o["id"] == "unit"]
                if any(map(_UNIT.match, units)):
                    found.append(f"{where}: {override['matcher']['options']}")
    return sorted(found)


def of_alerts() -> list[str]:
    """Return alert rules of Grafana and Prometheus whose query names tonnes or energy."""
    found = []
    for file in sorted((_ROOT / "deploy").glob("grafana/alerting/en/*.yaml")):
        for group in yaml.safe_load(file.read_text())["groups"]:
            found += [r["title"] for r in group["rules"] if _named(str(r["data"]))]
    for file in sorted((_ROOT / "deploy").glob("prometheus/rules/*.yml")):
        for group in yaml.safe_load(file.read_text())["groups"]:
            found += [r["alert"] for r in group["rules"] if "alert" in r and _named(r["expr"])]
    return sorted(found)


def _named(query: str) -> bool:
    return re.search(r"_t\b|tonnes|avoided|emission|kwh|_ug\b", query) is not None


def of_api(schema: dict[str, Any]) -> list[str]:
    """Return the fields of answers to GET under /v1 with tonnes or energy."""
    found = set()
    for path, methods in schema["paths"].items():
        content = methods.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        body = content.get("application/json", {}).get("schema")
        if path.startswith("/v1/") and body is not None:
            found |= {f"{path}: {name}" for name in _fields(schema, body, ())}
    return sorted(found)


def _fields(schema: dict[str, Any], body: Any, seen: tuple[str, ...]) -> Iterator[str]:
    if isinstance(body, list):
        for one in body:
            yield from _fields(schema, one, seen)
        return
    if not isinstance(body, dict):
        return
    if "$ref" in body:
        name = body["$ref"].rpartition("/")[2]
        if name not in seen:
            yield from _fields(schema, schema["components"]["schemas"][name], (*seen, name))
        return
    for name, one in body.get("properties", {}).items():
        if _FIELD.search(name):
            yield name
        yield from _fields(schema, one, seen)
    for key in ("items", "anyOf", "allOf", "oneOf", "additionalProperties"):
        yield from _fields(schema, body.get(key), seen)


def of_console() -> list[str]:
    """Return the expressions of the console's pages that write tonnes."""
    found = []
    for file in sorted(
        resources.files("services.api.console").joinpath("templates").iterdir(),
        key=lambda f: f.name,
    ):
        text = file.read_text(encoding="utf-8")
        if file.name == "macros.html":
            continue  # what its callers give it
        for said in re.findall(r"\{\{ (.*?) \}\}", text):
            bare = re.sub(r'"[^"]*"', '""', said)
            if _FIGURE.search(bare) and not said.startswith('t("'):
                found.append(f"{file.name}: {said}")
            elif _FIGURE.search(bare):
                found += [f"{file.name}: {one}" for one in re.findall(r"tonnes=(.*)\)$", said)]
    return sorted(set(found))
