# ruff: noqa: INP001 - a script, run by `make pages` and `make schemas`
"""
Reference pages of the documentation, and JSON Schema of the signed documents.

Written by `make pages` from the schema, `services.settings` and the processes' metric collectors,
so that pages list exactly what exists.  `make schemas` writes the schemas from the types that read
the documents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry

from ingest.addresses import Tls
from mrv.documents import verification
from mrv.signatures.canonical import legible
from services.api.server import Measures
from services.edge.metrics import COUNTERS, GAUGES
from services.intake.broker_queue import BrokerQueue, Room
from services.issuer.watcher import WatcherMetrics
from services.logs import get_logger
from services.metrics import Metrics
from services.registry.schema import descriptions, schema, template
from services.settings import SECRETS, WORDS, Settings
from services.webhooks import Sender

METRICS_PAGE = "metrics.md"
_METRICS_HEAD = """\
# Metrics

For: operators. This page lists the series that the processes of tonne expose at `/metrics` \
(`TONNE_METRICS_BIND`; the API at its own address). Names end with their unit. A counter ends \
with `_total` and only increases. No label contains a device id. A histogram has `_bucket`, `_sum` \
and `_count`. Each process also exposes its memory and processor time as `process_*`. \
[monitoring.md](monitoring.md) lists the most important series; [runbook.md](runbook.md) describes \
each alert and the action to take.

Written by `make pages` from the code; edit that instead.
"""
_BROKER = "tonne watch, of mosquitto"
_NO_DATABASE = "While the database is not available, only `tonne_database_up` is exposed."
_SUFFIX = {"counter": "_total", "info": "_info"}
FOLDER = Path("docs")
_NOTE = "Written by `make pages` from the code; edit that instead."
_REGISTRY = """\
# Registry file

For: operators. Sites, devices and projects are entered in files: YAML, or XLSX workbooks, or for \
devices CSV with the same column names. `tonne registry import FILE` imports a file completely or \
not at all. `tonne registry check FILE` lists its errors and changes nothing. `tonne registry \
export` prints the registered data. An unknown key is rejected. Write numbers without quotes; text \
that looks like a number, such as the version "1.0", may have quotes or not.

`tonne registry template CLASS --country CODE` prints a complete example for a device class. \
`tonne registry template --methodology ID --country CODE`, with or without `--xlsx FILE`, creates \
a file with exactly the entries that a project of this methodology needs. The console has the same \
forms, and imports the completed file ([console.md](console.md)). \
`tonne registry schema > tonne.schema.json` writes a JSON Schema, with which editors complete keys \
and show these texts. Refer to it in the first line of a file: `# yaml-language-server: \
$schema=tonne.schema.json`.

If a file leaves out a section, or a list of a device or project, the registered data remain \
unchanged. Times have a UTC offset; days are local to the site.

## Workbooks

An XLSX file has a sheet for each section (`sites`, `devices`, `projects`), a row for each entry, \
and the keys below as column names. `tonne registry export --xlsx FILE` writes the whole registry \
in this form.

| in YAML | in a workbook |
|---|---|
| `crediting_period: {{from: ..}}` | column `crediting_period.from` |
| a list of an entry, such as `calibrations` of a device | sheet `devices.calibrations`, with the \
id of the entry in the column `of` |
| `parameters` and `documents` of a project | sheets `projects.parameters` (`of`, `key`, `value`) \
and `projects.documents` (`of`, `key`, `document`, `by`, ..) |
| data nested more deeply | a cell with YAML that begins with `{{`, `[` or `"` |
| a comment | a column or sheet with a name that begins with `#` |

Enter values, not formulas. Cells formatted as a percentage are rejected, because the stored \
number differs from the displayed one. The line number in an error message is the row of the sheet.

## An example

This is the output of `tonne registry template energy_meter --country DE`:

```yaml
{example}
```
"""
_AUTHORITY = """\
## Sections for registries and ministries

| contents | section | keys |
|---|---|---|
| a site's greenhouse gas inventory, entered by its operator | `facilities` | \
[exports.md](exports.md#viet-nam-greenhouse-gas-inventory-of-a-facility) |
| entries of a registry or authority | `registrations`, `authorizations`, `submissions` | \
[registries.md](registries.md) |
| factors and balances that the programme accepts | `acceptances` | \
[registries.md](registries.md) |\
"""
_SETTINGS = """\
# Settings

For: operators. A process reads the variables `TONNE_*` from the environment, then from a file \
`.env` in its folder. An unknown name, or two settings that contradict each other, prevent the \
start, with the reason. A secret may be in a file: \
`TONNE_DATABASE_URL_FILE=/run/secrets/database_url`. Without URLs of database or broker, tonne \
uses the servers started by `tonne local up`.
"""
_COMPOSE = """
## In the compose files

Only `deploy/compose.yaml` and `deploy/compose.kafka.yaml` use these five variables, from the \
environment or from `deploy/.env`; no process of tonne reads them.

| setting | default | meaning |
|---|---|---|"""
_COMPOSED = {
    "MQTT_HOST": "Name under which devices find the broker; it is in the certificates "
    "of the broker and the enrolment service.",
    "BACKUP_AT": "Time of the daily base backup, `HH:MM` in UTC.",
    "GRAFANA_LANGUAGE": "Language of Grafana's boards and alerts: a folder of "
    "`deploy/grafana/dashboards`, "
    "such as vi. `tonne local up --grafana` also reads it.",
    "GRAFANA_TIMEZONE": "Time zone in which Grafana's boards begin a day, such as Europe/Berlin; "
    "`browser` is that of the reader. `TONNE_TIMEZONE` is its name in release "
    "0.1.0, used if this setting is absent.",
    "GRAFANA_WEEK_START": "First day of Grafana's weeks: saturday, sunday, monday; `browser` "
    "uses that of the reader. The console uses that of the site's country.",
}
_KINDS = {
    "string": "text", "integer": "whole number", "number": "number", "boolean": "yes or no",
    "object": "keys and values", "array": "list", "null": "null",
}  # fmt: skip
_MAX_LISTED = 6


class Row(NamedTuple):
    """One Prometheus metric: name, type, labels and help text."""

    name: str
    kind: str
    labels: tuple[str, ...]
    text: str


def metrics_page() -> str:
    """Return the reference page of all metrics."""
    return "\n".join(_lines()) + "\n"


def metrics_rows() -> dict[str, list[Row]]:
    """Return the metrics of each process, by process name."""
    metrics = Metrics()
    all_ = _metric_rows(metrics.registry)
    WatcherMetrics(metrics)
    watched = Metrics()
    BrokerQueue("mqtt://localhost", Tls(), Room(1, 1), watched, get_logger("pages"))
    sending = Metrics()
    Sender("", sending, get_logger("pages"))
    api = CollectorRegistry()
    Measures(api)
    edge = [Row(f"{name}_total", "counter", (), text) for name, text in COUNTERS.items()]
    edge += [Row(name, "gauge", (), text) for name, text in GAUGES.items()]
    return {
        "tonne run, bridge, worker, signer, watch": all_,
        "tonne watch, and tonne run without --no-watch": [
            row for row in _metric_rows(metrics.registry) if row not in all_
        ],
        _BROKER: [row for row in _metric_rows(watched.registry) if row not in all_],
        "tonne watch, and tonne webhooks send": [
            row for row in _metric_rows(sending.registry) if row not in all_
        ],
        "tonne api": _metric_rows(api),
        "tonne edge": edge,
    }


def _metric_rows(registry: CollectorRegistry) -> list[Row]:
    # a collector states its labels only while it has no values
    labels: dict[str, tuple[str, ...]] = {}
    for collector in registry._collector_to_names:  # noqa: SLF001
        for family in collector.collect():
            given = getattr(collector, "_labelnames", None) or getattr(family, "_labelnames", ())
            given = given or (family.samples[0].labels if family.type == "info" else ())
            labels[family.name] = tuple(given or ())
    return [
        Row(
            f"{metric.name}{_SUFFIX.get(metric.type, '')}",
            metric.type,
            labels[metric.name],
            metric.documentation,
        )
        for metric in registry.collect()
        if metric.name.startswith("tonne_")
    ]


def _lines() -> Iterator[str]:
    yield _METRICS_HEAD
    for processes, metrics in metrics_rows().items():
        yield f"## {processes}\n"
        if "--no-watch" in processes:
            yield f"{_NO_DATABASE}\n"
        yield "| series | kind | labels | meaning |"
        yield "|---|---|---|---|"
        for row in metrics:
            labels = ", ".join(f"`{label}`" for label in row.labels)
            yield f"| `{row.name}` | {row.kind} | {labels} | {row.text} |"
        yield ""


def pages() -> dict[str, str]:
    """Return the text of every reference page by file name."""
    return {"registry-file.md": _text(_registry()), "settings.md": _text(_settings()),
            METRICS_PAGE: metrics_page()}  # fmt: skip


def _text(lines: Iterator[str]) -> str:
    return "\n".join(lines) + "\n"


def _registry() -> Iterator[str]:
    yield _REGISTRY.format(example=template("energy_meter", "DE").rstrip())
    yield f"{_NOTE}\n"
    made = schema()["properties"]
    for where in descriptions():
        section = _subschema(made, where)
        name = where if where in {"programme", "projects.crediting_period"} else f"{where}[]"
        yield f"## {name}\n"
        if description := section.get("description"):
            yield f"{description}\n"
        yield "| key | value | meaning |"
        yield "|---|---|---|"
        for key, field in section["properties"].items():
            needed = " (required)" if key in section.get("required", ()) else ""
            yield f"| `{key}`{needed} | {_kind(field)} | {field['description']} |"
        yield ""
    yield _AUTHORITY


def _subschema(made: dict[str, Any], where: str) -> dict[str, Any]:
    field: dict[str, Any] = {"properties": made}
    for name in where.split("."):
        field = field["properties"][name]
        field = field.get("items", field)
    return field


def _kind(field: dict[str, Any]) -> str:
    if "enum" in field:
        known = [f"`{word}`" for word in field["enum"][:_MAX_LISTED]]
        return ", ".join(known) + (", .." if len(field["enum"]) > _MAX_LISTED else "")
    if field.get("format") == "date":
        return "day"
    if field.get("format") == "date-time":
        return "time"
    if "maxItems" in field:
        return "two numbers or null" if field["maxItems"] == 2 else f"{field['maxItems']} numbers"  # noqa: PLR2004
    if isinstance(field.get("type"), list):
        return " or ".join(_KINDS[kind] for kind in field["type"])
    return _KINDS.get(field.get("type", ""), "number")


def _settings() -> Iterator[str]:
    yield _SETTINGS
    yield f"{_NOTE}\n"
    yield "| setting | default | meaning |"
    yield "|---|---|---|"
    for names, meaning in _documented():
        variables = "<br>".join(f"`TONNE_{name.upper()}`{_or_file(name)}" for name in names)
        without = "<br>".join(_default(name) for name in names)
        yield f"| {variables} | {without} | {meaning} |"
    yield _COMPOSE
    for name, default in composed().items():
        yield f"| `{name}` | `{default}` | {_COMPOSED[name]} |"


def composed() -> dict[str, str]:
    """Return the environment variables in the compose files with their defaults."""
    texts: dict[str, str] = {}
    for file in sorted(Path("deploy").glob("compose*.yaml")):
        for name, default in re.findall(r"\$\{([A-Z_]+):-(.*?)\}+", file.read_text("utf-8")):
            texts[name] = default.rpartition(":-")[2]
    return texts


def _documented() -> Iterator[tuple[list[str], str]]:
    """Yield the names and descriptions of the settings, from the settings class."""
    attributes = cleandoc(Settings.__doc__ or "").partition("Attributes\n----------\n")[2]
    attributes = attributes.partition("\n\nRaises")[0]
    for head, text in re.findall(
        r"^(\w[\w, ]*) : .*\n((?:^ .*\n?)+)", attributes + "\n", re.MULTILINE
    ):
        yield head.split(", "), " ".join(text.split())


def _or_file(name: str) -> str:
    return ", `_FILE`" if name in SECRETS + WORDS else ""


def _default(name: str) -> str:
    value = Settings.model_fields[name].default
    if value is None or value == "":
        return "-"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def main() -> None:
    """Write the pages below the current folder."""
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


def schema_files() -> dict[str, bytes]:
    """Return name and bytes of every schema file."""
    return {f"{name}.json": legible(verification.schema(name)) for name in verification.DOCUMENTS}


def write_schemas() -> None:
    """Write all schemas, and remove schema files that are no longer needed."""
    folder = Path("docs/schemas")
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.json"):
        old.unlink()
    for name, data in schema_files().items():
        (folder / name).write_bytes(data)
