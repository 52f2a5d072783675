"""
Prometheus collector of a gateway.

Only its own series: those of a pipeline would stand at zero beside them, and the
memory is better used for the outbox.  No device's name is in a label.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from platform import python_version

from prometheus_client import CollectorRegistry, Info, ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.edge.outbox import Outbox
from services.edge.outbox_status import held
from services.edge.recorder import Recorder
from services.edge.uplink import Link

COUNTERS = {
    "tonne_edge_recorded_messages": "Messages that sources recorded",
    "tonne_edge_sent_messages": "Messages sent, each time that one was",
    "tonne_edge_receipted_messages": "Messages let go of by their receipt",
    "tonne_edge_refused_messages": "What sources gave that cannot be forwarded",
    "tonne_edge_dropped_messages": "Messages that went to make room",
    "tonne_edge_lost_messages": "Messages that found no room",
}
GAUGES = {
    "tonne_edge_faulty_sources": "Sources that have a fault now",
    "tonne_edge_link_up": "Whether tonne answers",
    "tonne_edge_clock_ahead_seconds": "How far this clock is ahead of tonne's",
    "tonne_edge_outbox_messages": "Messages that have no receipt yet",
    "tonne_edge_outbox_bytes": "What is in use of the outbox's file",
    "tonne_edge_outbox_limit_bytes": "How large it may grow",
    "tonne_edge_outbox_oldest_seconds": "How long the oldest has waited",
}


@dataclass(frozen=True, slots=True)
class GatewayMetrics(Collector):
    """The series of one gateway."""

    outbox: Outbox
    recorder: Recorder
    link: Link

    def collect(self) -> Iterator[Metric]:
        """Return the series with their values of now."""
        with suppress(sqlite3.Error):  # what cannot be read is not told, rather than as it was
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
        found = held(self.outbox.path, self.recorder.clock.now())
        yield _gauge("outbox_messages", found.messages)
        yield _gauge("outbox_bytes", found.used_bytes)
        yield _gauge("outbox_limit_bytes", self.outbox.limit_bytes)
        if found.oldest_s is not None:
            yield _gauge("outbox_oldest_seconds", found.oldest_s)


def registry(told: GatewayMetrics) -> CollectorRegistry:
    """Return what Prometheus scrapes: a gateway's series, its build and its process."""
    found = CollectorRegistry()
    found.register(told)
    build = Info("tonne_build", "Version that runs", registry=found)
    build.info({"version": version("tonne"), "python": python_version()})
    ProcessCollector(registry=found)
    return found


def _gauge(name: str, value: float) -> Metric:
    full = f"tonne_edge_{name}"
    return GaugeMetricFamily(full, GAUGES[full], value)
