"""
Watch the database at intervals, in a pipeline's process or alone.

Short rounds update gauges and the daily sums of dashboards.  Long rounds audit the log against the
database and compare a few devices' derived rows with their readings, to detect manual changes; as
they use one core, a pipeline's process does not run them.  Writes are limited to alarms, daily
sums, expected energy, preliminary accounts, compression of old chunks, and deletions by the
retention policy.  While the database is unreachable only `tonne_database_up` is published, since
old values would be misleading.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from prometheus_client import Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from psycopg import Connection

from ingest.errors import TonneError
from services.clock import now_us
from services.issuer import live_accounts
from services.issuer.audit import AuditReport, audit
from services.metrics import Metrics
from services.processing import pv_outlook
from services.processing.rebuild import rebuild
from services.scraping import Background, Pulse
from services.settings import Settings, local_urls
from services.settle import Plan
from services.store import webhooks
from services.store.archive_catalog import snapshot
from services.store.dead_letter_query import expire, tidy
from services.store.postgres import columnstore
from services.store.postgres.pool import connect
from services.store.registry import load as registry
from services.store.registry.load import load_book
from services.store.statements import transparency_log
from services.store.timeseries import last_seen, remake_requests
from services.store.views import fleet_metrics as gauges
from services.store.views.fleet_metrics import Gauges
from services.store.webhooks import Waiting

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


LOOK_S = 30.0
DAYS_S = 300.0
# minimum time between two updates of daily sums; the maximum is DAYS_S
_MINUTE_S = 60.0
# daily sums of a fleet of any size take at most 1/20 of the time
_DAYS_SHARE = 20
AUDIT_S = 21_600.0
COMPRESS_S = 3_600.0
EXPIRE_S = 21_600.0
# number of devices compared per audit, over one week; the whole fleet takes some days
_COMPARED = 5
_WEEK_US = 7 * 86_400_000_000
# a query without an answer in this time counts as an unreachable database
_PATIENCE = b"SET statement_timeout = '20s'"
_LONG = b"SET statement_timeout = '15min'"
# a chunk can only be compressed as a whole
_WHOLE_CHUNK = b"SET statement_timeout = '6h'"
PULSE = "watching"


@dataclass(frozen=True, slots=True)
class Keep:
    """
    Retention policy, and the monitored disk.

    `letter_days`, `event_days`, `sky_days`: days for which dead letters, webhook events and
    clear-sky data are kept; 0: no limit.  `disk`: a folder on the database's disk; the database's
    own by default.  `witnessed`: witnesses cosign the log's heads.
    """

    letter_days: int = 0
    disk: Path | None = None
    witnessed: bool = False
    event_days: int = 0
    sky_days: int = 0

    @property
    def days(self) -> dict[str, int]:
        """Return the days for which rows are kept, by table."""
        return {
            "dead_letter": self.letter_days,
            "webhook_event": self.event_days,
            "clear_sky_day": self.sky_days,
        }

    @staticmethod
    def by(settings: Settings) -> Keep:
        """Return the retention policy of the settings."""
        local = local_urls(settings.home).get("database_url") == settings.database_url
        return Keep(
            settings.dead_letter_days,
            settings.database_disk or (settings.home if local else None),
            settings.witness_policy is not None,
            settings.webhook_event_days,
            settings.clear_sky_days,
        )


def _shared(took_s: float) -> float:
    """
    Return the additional pause after summing daily sums for `took_s`, which limits the share of
    time that they take. [s]
    """
    return _DAYS_SHARE * took_s - DAYS_S


def _round(
    not_done: str,
    limit: bytes | None = _LONG,
    *,
    lost: Callable[[Watcher], None] = lambda _: None,
    pause_s: Callable[[float], float] = lambda _: 0.0,
) -> Callable[[Callable[[Watcher, Connection], None]], Callable[[Watcher], None]]:
    """
    Return a decorator that runs a round with a database connection.

    A failure is logged as a warning; the next round repeats the work.  `pause_s` returns the pause
    after a round, from the time that it took. [s]
    """

    def of(work: Callable[[Watcher, Connection], None]) -> Callable[[Watcher], None]:
        @wraps(work)
        def once(self: Watcher) -> None:
            began_s = time.monotonic()
            try:
                with connect(
                    self._url, role="tonne_watch", name="tonne watch", autocommit=True
                ) as conn:
                    if limit is not None:
                        conn.execute(limit)
                    work(self, conn)
            except (TonneError, psycopg.Error) as error:
                lost(self)
                if not self._stopping.is_set():
                    self._log.warning(not_done, error=" ".join(str(error).split()))
            self._stopping.wait(max(0.0, pause_s(time.monotonic() - began_s)))

        return once

    return of


class Watcher(Background):
    """
    Watches the database in its own threads until it is stopped.

    `url`: database; the login must be granted `tonne_watch`, or `tonne_mrv`, which includes it.
    `every_s`: time between two counts. [s]
    `audit_s`: time between two audits; none by default. [s]
    `pulse`: health signal of a process that does nothing else, updated after each round.
    `keep`: retention policy, and monitored disk.
    """

    def __init__(
        self,
        url: str,
        metrics: Metrics,
        log: FilteringBoundLogger,
        every_s: float = LOOK_S,
        audit_s: float | None = None,
        *,
        pulse: Pulse | None = None,
        keep: Keep | None = None,
    ) -> None:
        self._url, self._log, self._pulse = url, log, pulse
        self._keep = keep or Keep()
        self._published = WatcherMetrics(metrics)
        self._next = 0
        rounds = [
            ("watcher", self.look, every_s),
            ("alarms", self.update_alarms, every_s),
            ("today", self.add_up_today, DAYS_S),
            ("days", self.add_up, _MINUTE_S),
            ("outlook", self.update_outlook, DAYS_S),
            ("accounts", self.account, DAYS_S),
            ("columnstore", self.compress, COMPRESS_S),
            ("retention", self.expire, EXPIRE_S),
            ("arrivals", self.pack, EXPIRE_S),
        ]
        if audit_s is not None:
            rounds.append(("auditor", self.audit, audit_s))
        super().__init__({name: partial(self._repeat, work, s) for name, work, s in rounds})

    @_round("database not seen", _PATIENCE, lost=lambda self: self._published.lost())
    def look(self, conn: Connection) -> None:
        """Update all gauges once; an unreachable database is reported as such."""
        self._published.publish(gauges.read(conn, self._keep.disk))
        waits_s = transparency_log.waiting_s(conn) if self._keep.witnessed else 0.0
        self._published.waits_for_witnesses(waits_s)
        self._published.webhooks(webhooks.waiting(conn))
        self._published.overdue(gauges.overdue_s(conn, self._keep.days))

    @_round("alarms not seen", lost=lambda self: self._published.alarms(None))
    def update_alarms(self, conn: Connection) -> None:
        """Raise and clear alarms; without the database nothing is stored."""
        done = gauges.raise_alarms(conn)
        self._published.alarms(done.alarms)
        if done.raised or done.cleared:
            self._log.info("alarms", raised=done.raised, cleared=done.cleared)

    @_round("sums of today not calculated", pause_s=_shared)
    def add_up_today(self, conn: Connection) -> None:
        """Update the sums of yesterday and today; older days have a thread of their own."""
        gauges.refresh_today(conn)

    @_round("daily sums not calculated", pause_s=lambda s: min(_DAYS_SHARE * s, DAYS_S) - _MINUTE_S)
    def add_up(self, conn: Connection) -> None:
        """Update the sums of changed days; a failed round is repeated by the next."""
        if made := gauges.refresh_days(conn):
            self._log.debug("days added up", devices=made)

    @_round("expected amounts not calculated", pause_s=_shared)
    def update_outlook(self, conn: Connection) -> None:
        """Update the expected energy of PV plants, which pages and daily sums use."""
        pv_outlook.refresh_rates(conn)
        pv_outlook.refresh_months(conn)
        seen = pv_outlook.refresh_outlook(conn)
        if seen.skies or seen.trends:
            self._log.debug("PV checked", skies=seen.skies, trends=seen.trends)

    @_round("open period not calculated", pause_s=_shared)
    def account(self, conn: Connection) -> None:
        """Update outdated preliminary accounts."""
        if made := live_accounts.refresh(conn):
            self._log.debug("open time accounted", spans=made)

    @_round("chunks not compressed", _WHOLE_CHUNK)
    def compress(self, conn: Connection) -> None:
        """Compress old chunks if the server supports it; failures are retried in the next round."""
        done = columnstore.compress(conn)
        if done.compressed:
            self._log.info("chunks compressed", chunks=len(done.compressed))
        for chunk, why in done.failed:
            self._log.warning("chunk not compressed", table=chunk.table, error=why)

    def expire(self) -> None:
        """Delete rows older than the retention policy; a failure does not stop the others."""
        self._expire_letters()
        self._expire_events()
        self._expire_skies()

    @_round("dead letters not expired")
    def _expire_letters(self, conn: Connection) -> None:
        before = _days_ago(self._keep.letter_days)
        tidy(conn, before)
        if before and (gone := expire(conn, before, "tonne watch")):
            self._log.info("dead letters expired", letters=gone, before=f"{before:%F}")

    @_round("webhook events not expired")
    def _expire_events(self, conn: Connection) -> None:
        if before := _days_ago(self._keep.event_days):
            gone = webhooks.expire(conn, before)
            if gone.events:
                self._log.info("webhook events expired", **gone._asdict(), before=f"{before:%F}")

    @_round("clear skies not expired")
    def _expire_skies(self, conn: Connection) -> None:
        before = _days_ago(self._keep.sky_days)
        if before and (gone := pv_outlook.forget_skies(conn, before.date())):
            self._log.info("clear skies expired", days=gone, before=f"{before:%F}")

    @_round("arrivals not packed")
    def pack(self, conn: Connection) -> None:
        """Store the readings' times of arrival by day, for completed days."""
        before = datetime.now(UTC).date() - timedelta(days=last_seen.HOURLY_RETENTION_DAYS)
        last_seen.pack(conn, before)

    @_round("not audited", None)
    def audit(self, conn: Connection) -> None:
        """Audit the log, compare a few devices' rebuilt rows, and log differences as errors."""
        report = audit(conn, now_us())
        self._published.audited(report)
        if report.first_break is not None:
            self._log.error("the audit found differences", first_break=report.first_break)
        self._compare(conn)

    def _compare(self, conn: Connection) -> None:
        # read registry, rows and requests in one snapshot, as an import and the pipeline may commit
        # in the meantime
        with snapshot(conn):
            plan = Plan.of(registry.load_fleet(conn), registry.load_projects(conn), load_book(conn))
            if not (size := len(plan.fleet)):
                return
            # rows may differ while they wait for derivation from new readings or another registry
            # version
            subset = sorted({(self._next + j) % size for j in range(_COMPARED)})
            with conn.cursor() as cursor:
                requested = remake_requests.without(cursor, plan.fleet.ids(subset))
            chosen = [k for k in subset if plan.fleet.devices[k].id in requested]
            self._next = (self._next + _COMPARED) % size
            # the current interval is still being written
            end = now_us() // 900_000_000 * 900_000_000
            differences = rebuild(conn, plan, chosen, end - _WEEK_US, end, replace=False)
            with conn.cursor() as cursor:
                waiting = remake_requests.with_underived(cursor, [d.device for d in differences])
            differences = [d for d in differences if d.device not in waiting]
        self._published.compared(len(chosen), len(differences))
        for difference in differences[:10]:
            self._log.error(
                "interval differs from its readings",
                table=difference.table,
                key=" ".join(difference.key),
            )

    def _repeat(self, work: Callable[[], None], pause_s: float) -> None:
        while not self._stopping.is_set():
            work()
            if self._pulse is not None and work == self.look:
                self._pulse.pause(PULSE, pause_s, self._stopping)
            else:
                self._stopping.wait(pause_s)


def _days_ago(days: int) -> datetime | None:
    return datetime.now(UTC) - timedelta(days=days) if days else None


# --- metrics -----------------------------------------------------------------------------

_OVERDUE = "tonne_columnstore_overdue_chunks"
_WITNESSES = "tonne_log_cosignatures_waiting_seconds"
_TEXTS = {
    "tonne_database_up": "Whether the database answered the last request: 1 or 0",
    "tonne_fleet_dark_devices": "Devices without data because their gateway does not communicate",
    "tonne_remake_waiting_devices": "Devices whose intervals wait for their calculation",
    "tonne_database_bytes": "Size of the database on its disk",
    "tonne_database_free_bytes": "Free space of the database's disk, if visible",
    "tonne_database_failed_jobs": "Failing jobs of TimescaleDB (internal ones: repeatedly failing)",
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


class WatcherMetrics(Collector):
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

    def publish(self, gauges: Gauges) -> None:
        """Publish newly read gauges."""
        self.lost()
        for (state, class_), count in gauges.devices.items():
            self._metrics.fleet_devices.labels(state, class_).set(count)
        for project, ratio in gauges.coverage.items():
            self._metrics.coverage_ratio.labels(project).set(ratio)
        for state, count in gauges.statements.items():
            # counted since the first statement, so that a restart does not decrease the counter
            self._metrics.statements.labels(state).inc(count - self._counted.get(state, 0))
        self._counted = dict(gauges.statements)
        self._values["tonne_fleet_dark_devices"] = gauges.dark_devices
        if gauges.last_reading_s is not None:
            self._values["tonne_last_reading_time_seconds"] = gauges.last_reading_s
        if gauges.overdue is not None:
            self._values[_OVERDUE] = gauges.overdue
        self._values["tonne_remake_waiting_devices"] = gauges.waiting
        self._values["tonne_signer_waiting_requests"] = gauges.signer_requests.requests
        self._values["tonne_signer_waiting_seconds"] = gauges.signer_requests.oldest_s
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
        """Withdraw all gauges except the one that reports the database as unreachable."""
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
            # a gauge without a value is published too, since alert rules refer to it
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
