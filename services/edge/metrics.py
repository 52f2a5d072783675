"""
Status of a gateway's outbox for people, and its Prometheus metrics.

Only the gateway's own series are published, which saves memory for the outbox.  Labels contain no
device names.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Info, ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ingest.errors import InputError
from services.edge.outbox import Moment, Outbox
from services.edge.uplink import Link, Recorder

COUNTERS = {
    "tonne_edge_recorded_messages": "Messages recorded from sources",
    "tonne_edge_sent_messages": "Messages sent, counting repetitions",
    "tonne_edge_receipted_messages": "Messages deleted after their receipt",
    "tonne_edge_refused_messages": "Files, lines and payloads of sources that the gateway rejected",
    "tonne_edge_dropped_messages": "Messages deleted because the outbox was full",
    "tonne_edge_lost_messages": "Messages not recorded because the outbox was full",
}
GAUGES = {
    "tonne_edge_faulty_sources": "Sources with a fault now",
    "tonne_edge_link_up": "Whether tonne answers",
    "tonne_edge_clock_ahead_seconds": "Time by which this clock is ahead of tonne's",
    "tonne_edge_outbox_messages": "Messages without a receipt yet",
    "tonne_edge_outbox_bytes": "Used size of the outbox file",
    "tonne_edge_outbox_limit_bytes": "Maximum size of the outbox file",
    "tonne_edge_outbox_oldest_seconds": "Waiting time of the oldest message",
}


class OutboxStatus(NamedTuple):
    """
    Number of messages in an outbox, used size of its file, and age of the oldest message.

    `oldest_s` is 0 for an empty outbox, and None if the time of recording is unknown.
    """

    messages: int
    used_bytes: int
    oldest_s: float | None


def outbox_status(path: Path, now: Moment) -> OutboxStatus:
    """
    Return number and age of waiting messages, without blocking writers.

    Raises sqlite3.Error when the outbox cannot be read now.
    """
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1)) as db:
        (messages,) = db.execute("SELECT count(*) FROM message").fetchone()
        oldest = db.execute(
            "SELECT wall_ms, uptime_ms, boot FROM message ORDER BY seq LIMIT 1"
        ).fetchone()
        pages, free, size = (
            db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
    return OutboxStatus(
        messages, (pages - free) * size, 0.0 if oldest is None else _age_s(oldest, now)
    )


def _age_s(recorded: tuple[int | None, int | None, str | None], now: Moment) -> float | None:
    """
    Return a message's age by the machine's uptime where possible, as the wall clock may have
    been set. [s]
    """
    wall_ms, uptime_ms, boot = recorded
    if boot == now.boot and uptime_ms is not None:
        return max(now.uptime_ms - uptime_ms, 0) / 1000
    return None if wall_ms is None else max(now.wall_ms - wall_ms, 0) / 1000


def summary(path: Path) -> dict[str, object]:
    """
    Return the status of an outbox as a JSON object; it is opened read-only, also while in use.

    Raises InputError when there is none, or it cannot be read.
    """
    if not path.exists():
        raise InputError(f"{path}: there is no outbox; `tonne edge CONFIG` creates it")
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as db:
            waiting = db.execute(
                "SELECT device, count(*), min(wall_ms) FROM message GROUP BY device ORDER BY device"
            ).fetchall()
            refused = db.execute(
                "SELECT at_ms, source, reason FROM refused ORDER BY seq DESC LIMIT 20"
            ).fetchall()
            facts = dict(db.execute("SELECT name, value FROM fact"))
    except sqlite3.Error as error:
        raise InputError(
            f"{path} cannot be read as an outbox: {error}; name the outbox of the edge"
        ) from error
    return {
        "waiting": [dict(zip(("device", "messages", "since_ms"), w, strict=True)) for w in waiting],
        "dropped": int(facts.get("dropped", 0)),
        "lost": int(facts.get("lost", 0)),
        "rescued": facts.get("rescued"),
        "refused": [dict(zip(("at_ms", "source", "reason"), r, strict=True)) for r in refused],
    }


@dataclass(frozen=True, slots=True)
class GatewayMetrics(Collector):
    """Prometheus collector of one gateway."""

    outbox: Outbox
    recorder: Recorder
    link: Link

    def collect(self) -> Iterator[Metric]:
        """Return the metrics with current values."""
        with suppress(sqlite3.Error):  # unreadable values are omitted instead of repeating old ones
            yield from self._outbox()
        recorder, link = self.recorder, self.link
        counts = (
            recorder.recorded,
            link.sent,
            link.freed,
            recorder.refused,
            recorder.dropped,
            recorder.lost,
        )
        for (name, says), count in zip(COUNTERS.items(), counts, strict=True):
            yield CounterMetricFamily(name, says, count)
        yield _gauge("faulty_sources", recorder.faults)
        yield _gauge("link_up", int(link.up))
        if link.clock_ahead_s is not None:
            yield _gauge("clock_ahead_seconds", link.clock_ahead_s)

    def _outbox(self) -> Iterator[Metric]:
        status = outbox_status(self.outbox.path, self.recorder.clock.now())
        yield _gauge("outbox_messages", status.messages)
        yield _gauge("outbox_bytes", status.used_bytes)
        yield _gauge("outbox_limit_bytes", self.outbox.limit_bytes)
        if status.oldest_s is not None:
            yield _gauge("outbox_oldest_seconds", status.oldest_s)


def registry(metrics: GatewayMetrics) -> CollectorRegistry:
    """Return the Prometheus registry with the gateway's metrics, its build and its process."""
    result = CollectorRegistry()
    result.register(metrics)
    build = Info("tonne_build", "Version of the running program", registry=result)
    build.info({"version": version("tonne"), "python": python_version()})
    ProcessCollector(registry=result)
    return result


def _gauge(name: str, value: float) -> Metric:
    full = f"tonne_edge_{name}"
    return GaugeMetricFamily(full, GAUGES[full], value)
