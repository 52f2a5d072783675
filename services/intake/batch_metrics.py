"""Prometheus counts of a batch, common to all processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from psycopg import Connection
from structlog.typing import FilteringBoundLogger

from ingest.decode import Rejected
from ingest.model import Fleet, Frame, Int64
from ingest.pipeline.admit import Admitted
from ingest.reading import SIGNED_VALUE
from services.metrics import Metrics
from services.processing.batch import Committed
from services.store.messages.principal_status import Status, keep


def count_messages(
    metrics: Metrics, codecs: Sequence[str], rejected: Iterable[Rejected], kept: str
) -> None:
    """Count messages by codec and result: `refused`, or the given result for the others."""
    others = Counter(codecs)
    refused = {r.message for r in rejected if r.reason != SIGNED_VALUE}
    if refused:
        them = Counter(codecs[k] for k in refused)
        for codec, count in them.items():
            metrics.messages.labels(codec, "refused").inc(count)
        others.subtract(them)
    for codec, count in others.items():
        metrics.messages.labels(codec, kept).inc(count)


def count_lag(metrics: Metrics, frames: Iterable[Frame], received_us: int) -> None:
    """Observe the age of readings at their receipt."""
    for frame in frames:
        metrics.event_lag.observe((received_us - _median(frame.time_us)) / 1e6)


def _median(values: Int64) -> float:
    """Return the median; ten times as fast as `np.median` on the rows of a batch."""
    middle = (len(values) - 1) // 2, len(values) // 2
    result = np.partition(values, middle)
    return (int(result[middle[0]]) + int(result[middle[1]])) / 2


def count_commit(metrics: Metrics, committed: Committed) -> None:
    """Count the rows of a transaction."""
    for refusal in committed.rejected:
        metrics.dead_letters.labels(refusal.reason).inc()
    for event in committed.events:
        metrics.counter_events.labels(event).inc()
    for test, count in committed.flags.items():
        metrics.quality_flags.labels(test).inc(count)
    for table, rows in committed.rows.items():
        metrics.commit_rows.labels(table).inc(rows)
    for reason, count in committed.left_out.items():
        metrics.dead_letters_left_out.labels(reason).inc(count)
    for outcome, count in committed.signed.items():
        metrics.signed_values.labels(outcome).inc(count)
    metrics.late_readings.inc(committed.late)


_TOLD = 1_000
_SHOWN = 80


class Ignored:
    """Unknown channels, each logged once; limited in number per device."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._told: set[tuple[str, str, str]] = set()

    def log_new(self, admitted: Admitted) -> None:
        """Log the ones not reported yet."""
        for key in admitted.ignored.keys() - self._told:
            if len(self._told) >= _TOLD:
                return
            self._told.add(key)
            self._log.warning(
                "channel ignored", device_class=key[0], profile=key[1], channel=key[2][:80]
            )


class Statuses:
    """Stores status messages of principals; unusable ones are logged once per principal."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._told: set[str] = set()

    def keep(self, connection: Connection, fleet: Fleet, lines: Iterable[Status]) -> None:
        """Store the last status message of each registered principal."""
        for item in keep(connection, fleet, lines):
            if item.principal in self._told or len(self._told) >= _TOLD:
                continue
            self._told.add(item.principal)
            known = item.principal in fleet.by_id
            self._log.warning(
                "status ignored",
                principal=item.principal[:_SHOWN],
                why='not {"state": "online"} or "offline"' if known else "not in the registry",
            )
