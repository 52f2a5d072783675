"""
Prometheus metrics of `tonne watch`.

Only processes that watch have these series.  While the database is unreachable only
`tonne_database_up` is published, since old values would be misleading.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from services.clock import now_us
from services.issuer.audit import AuditReport
from services.metrics import Metrics
from services.store.api.webhooks import Waiting
from services.store.views.fleet_metrics import Gauges

_OVERDUE = "tonne_columnstore_overdue_chunks"
_WITNESSES = "tonne_log_cosignatures_waiting_seconds"
_TEXTS = {
    "tonne_database_up": "Whether the database answered the last request: 1 or 0",
    "tonne_fleet_dark_devices": "Devices without data because their gateway does not communicate",
    "tonne_remake_waiting_devices": "Devices whose intervals wait for their calculation",
    "tonne_database_bytes": "Size of the database on its disk",
    "tonne_database_free_bytes": "Free space of the database's disk, if visible",
    "tonne_database_failed_jobs": "TimescaleDB jobs that fail, built-in ones repeatedly",
    _OVERDUE: "Chunks that are old enough to be compressed and are not",
    "tonne_signer_waiting_requests": "Requests to the signer without an answer",
    "tonne_signer_waiting_seconds": "Time for which the oldest request to the signer has waited",
    "tonne_webhook_waiting_deliveries": "Events that wait to be delivered to webhooks",
    "tonne_webhook_waiting_seconds": "Time for which the oldest event for a webhook has waited",
    "tonne_webhook_dead_deliveries": "Events whose delivery to a webhook failed finally",
    "tonne_last_reading_time_seconds": "Device time of the newest reading, seconds since 1970",
    _WITNESSES: "Time for which heads of the log have had too few cosignatures",
    "tonne_log_audit_time_seconds": "Time at which the last audit ended, seconds since 1970",
}


class Looked(Collector):
    """Prometheus collector of a process that watches the database."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._now: Gauges | None = None
        self._values: dict[str, float] = {}
        self._breaks: dict[str, int] = {}
        self._counted: dict[str, int] = {}
        self._alarms: Mapping[tuple[str, str, str], int] = {}
        self._overdue: Mapping[str, float] = {}
        self._checked = Counter(
            "tonne_rebuild_checked_devices",
            "Devices whose stored intervals were recalculated and compared",
            registry=metrics.registry,
        )
        metrics.registry.register(self)

    def saw(self, gauges: Gauges) -> None:
        """Store the last gauges for publication."""
        self.lost()
        for (state, class_), count in gauges.devices.items():
            self._metrics.fleet_devices.labels(state, class_).set(count)
        for project, ratio in gauges.coverage.items():
            self._metrics.coverage_ratio.labels(project).set(ratio)
        for state, count in gauges.statements.items():
            # counted since the first statement ever, so that a restart takes nothing back
            self._metrics.statements.labels(state).inc(count - self._counted.get(state, 0))
        self._counted = dict(gauges.statements)
        self._values["tonne_fleet_dark_devices"] = gauges.dark_devices
        if gauges.last_reading_s is not None:
            self._values["tonne_last_reading_time_seconds"] = gauges.last_reading_s
        if gauges.overdue is not None:
            self._values[_OVERDUE] = gauges.overdue
        self._values["tonne_remake_waiting_devices"] = gauges.waiting
        self._values["tonne_signer_waiting_requests"] = gauges.asked.requests
        self._values["tonne_signer_waiting_seconds"] = gauges.asked.oldest_s
        self._values["tonne_database_bytes"] = gauges.size_bytes
        self._values["tonne_database_failed_jobs"] = gauges.failed_jobs
        if gauges.free_bytes is not None:
            self._values["tonne_database_free_bytes"] = gauges.free_bytes
        self._values["tonne_database_up"] = 1
        self._now = gauges

    def waits_for_witnesses(self, waiting_s: float) -> None:
        """Set how long the log's heads have waited for their cosignatures. [s]"""
        self._values[_WITNESSES] = waiting_s

    def webhooks(self, waiting: Waiting) -> None:
        """Set the numbers of undelivered webhook events of all senders."""
        self._values["tonne_webhook_waiting_deliveries"] = waiting.waiting
        self._values["tonne_webhook_waiting_seconds"] = waiting.oldest_s
        self._values["tonne_webhook_dead_deliveries"] = waiting.dead

    def overdue(self, seconds: Mapping[str, float]) -> None:
        """Set by how long the oldest row of each table exceeds its retention. [s]"""
        self._overdue = seconds

    def lost(self) -> None:
        """Publish only that the database is unreachable."""
        self._metrics.fleet_devices.clear()
        self._metrics.coverage_ratio.clear()
        self._now, self._overdue = None, {}
        for name in _TEXTS.keys() - {"tonne_log_audit_time_seconds"}:
            self._values.pop(name, None)
        self._values["tonne_database_up"] = 0

    def alarms(self, counts: Mapping[tuple[str, str, str], int] | None) -> None:
        """Set the number of alarms by (kind, severity, state); None if unknown."""
        self._alarms = counts or {}

    def audited(self, report: AuditReport) -> None:
        """Publish an audit's result until the next one."""
        self._breaks = {step.name: len(step.breaks) for step in report.steps}
        self._values["tonne_log_audit_time_seconds"] = now_us() / 1e6

    def compared(self, devices: int, differences: int) -> None:
        """Count devices rebuilt for comparison, and rows that differed."""
        self._checked.inc(devices)
        self._metrics.rebuild_mismatch.inc(differences)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the current values for a scrape."""
        known = dict(self._values)
        for name, text in _TEXTS.items():
            # a name without a value is told of all the same: rules look for it
            yield GaugeMetricFamily(name, text, known.get(name))
        yield _family(
            "tonne_log_audit_breaks",
            "Differences found by the last audit of the log, by step",
            ["step"],
            {(step,): count for step, count in self._breaks.items()},
        )
        yield _family(
            "tonne_alarms",
            "Alarms that are not cleared, by kind, severity and state (acknowledged or not)",
            ["kind", "severity", "state"],
            self._alarms,
        )
        yield _family(
            "tonne_retention_overdue_seconds",
            "Time for which the oldest row of a table has exceeded its retention",
            ["table"],
            {(table,): value for table, value in self._overdue.items()},
        )
        now = self._now
        states = {} if now is None else {(s,): now.gateways.get(s, 0) for s in ("online", "dark")}
        yield _family("tonne_fleet_gateways", "Gateways with devices, by state", ["state"], states)
        yield _family(
            "tonne_calibration_devices",
            "Devices of a project, by calibration: valid, expiring (60 days), expired or missing",
            ["project", "state"],
            {} if now is None else now.calibrations,
        )


def _family(
    name: str, text: str, labels: list[str], values: Mapping[Any, float]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family
