"""
The page of the metrics: what each process tells Prometheus, from the processes' own collectors.

Written by `make pages`, so that the page names no series that is not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from prometheus_client import CollectorRegistry

from ingest.mqtt.tls import Tls
from services.api.metrics import Measures
from services.edge.metrics import COUNTERS, GAUGES
from services.intake.broker_queue import BrokerQueue, Room
from services.issuer.watch_metrics import Looked
from services.logs import get_logger
from services.metrics import Metrics
from services.webhooks.sender import Sender

PAGE = "metrics.md"
_HEAD = """\
# Metrics

For: operators. These are the series that the processes of tonne expose at `/metrics` \
(`TONNE_METRICS_BIND`; the API at its own address). Names end with their unit; a counter ends \
with `_total` and only rises; no label holds a device's id. A histogram has `_bucket`, `_sum` and \
`_count`. Each process exposes its memory and processor time as `process_*` as well. \
[operations.md](operations.md) says which of them to look at; [runbook.md](runbook.md) what each \
alert means and what to do.

Written by `make pages` from the code; edit that instead.
"""
_BROKER = "tonne watch, of mosquitto"
_NO_DATABASE = "While the database is away these are gone, all but `tonne_database_up`."
_SUFFIX = {"counter": "_total", "info": "_info"}


class Row(NamedTuple):
    """A series: its name, kind, labels and text."""

    name: str
    kind: str
    labels: tuple[str, ...]
    text: str


def page() -> str:
    """Return the page."""
    return "\n".join(_lines()) + "\n"


def rows() -> dict[str, list[Row]]:
    """Return the series by the processes that have them."""
    metrics = Metrics()
    all_ = _told(metrics.registry)
    Looked(metrics)
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
            row for row in _told(metrics.registry) if row not in all_
        ],
        _BROKER: [row for row in _told(watched.registry) if row not in all_],
        "tonne watch, and tonne webhooks send": [
            row for row in _told(sending.registry) if row not in all_
        ],
        "tonne api": _told(api),
        "tonne edge": edge,
    }


def _told(registry: CollectorRegistry) -> list[Row]:
    # labels stand in the collector until a first value has them
    labels: dict[str, tuple[str, ...]] = {}
    for collector in registry._collector_to_names:  # noqa: SLF001
        for family in collector.collect():
            given = getattr(collector, "_labelnames", None) or getattr(family, "_labelnames", ())
            given = given or (family.samples[0].labels if family.type == "info" else ())
            labels[family.name] = tuple(given or ())
    return [
        Row(f"{one.name}{_SUFFIX.get(one.type, '')}", one.type, labels[one.name], one.documentation)
        for one in registry.collect()
        if one.name.startswith("tonne_")
    ]


def _lines() -> Iterator[str]:
    yield _HEAD
    for processes, found in rows().items():
        yield f"## {processes}\n"
        if "--no-watch" in processes:
            yield f"{_NO_DATABASE}\n"
        yield "| series | kind | labels | meaning |"
        yield "|---|---|---|---|"
        for row in found:
            labels = ", ".join(f"`{label}`" for label in row.labels)
            yield f"| `{row.name}` | {row.kind} | {labels} | {row.text} |"
        yield ""
