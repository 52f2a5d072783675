"""
Prometheus collector of a gateway.

Only its own series: those of a pipeline would stand at zero beside them, and the
memory is better used for the outbox.  No device's name is in a label.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from platform import python_version
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Info, ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from services.edge.outbox_status import held

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from services.edge.outbox import Outbox
    from services.edge.recorder import Recorder
    from services.edge.uplink import Link


@dataclass(frozen=True, slots=True)
class Told(Collector):
    """The series of one gateway."""

    outbox: Outbox
    recorder: Recorder
    link: Link

    def collect(self) -> Iterator[Metric]:
        """Return them as they are now."""
        with suppress(sqlite3.Error):  # what cannot be read is not told, rather than as it was
            yield from self._outbox()
        recorder, link = self.recorder, self.link
        for name, says, count in (
            ("recorded", "Messages that sources recorded", recorder.recorded),
            ("sent", "Messages sent, each time that one was", link.sent),
            ("receipted", "Messages let go of by their receipt", link.freed),
            ("refused", "What sources gave that cannot be forwarded", recorder.refused),
            ("dropped", "Messages that went to make room", recorder.dropped),
            ("lost", "Messages that found no room", recorder.lost),
        ):
            yield CounterMetricFamily(f"tonne_edge_{name}_messages", says, count)
        yield _gauge("faulty_sources", "Sources that have a fault now", recorder.faults)
        yield _gauge("link_up", "Whether tonne answers", int(link.up))
        if link.clock_ahead_s is not None:
            yield _gauge(
                "clock_ahead_seconds", "How far this clock is ahead of tonne's", link.clock_ahead_s
            )

    def _outbox(self) -> Iterator[Metric]:
        found = held(self.outbox.path, self.recorder.clock.now())
        yield _gauge("outbox_messages", "Messages that have no receipt yet", found.messages)
        yield _gauge("outbox_bytes", "What is in use of the outbox's file", found.used_bytes)
        yield _gauge("outbox_limit_bytes", "How large it may grow", self.outbox.limit_bytes)
        if found.oldest_s is not None:
            yield _gauge("outbox_oldest_seconds", "How long the oldest has waited", found.oldest_s)


def registry(told: Told) -> CollectorRegistry:
    """Return what is scraped: a gateway's series, its build and its process."""
    found = CollectorRegistry()
    found.register(told)
    build = Info("tonne_build", "Version that runs", registry=found)
    build.info({"version": version("tonne"), "python": python_version()})
    ProcessCollector(registry=found)
    return found


def _gauge(name: str, says: str, value: float) -> Metric:
    return GaugeMetricFamily(f"tonne_edge_{name}", says, value)
