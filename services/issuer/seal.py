"""
Keep the log up to date: seal completed days and changes since.

Digests are calculated in one snapshot and appended in a separate transaction under the log's lock.
Sealing is announced before (`late_readings`), so that rows committed in between are noted as late
by their own transaction.  Manual changes are sealed only with a reason, which is recorded in the
log.  After an interruption the next run continues from the notes.

The sealer runs in a pipeline's process or alone.  It never stops the pipeline: an unreachable
database, a missing key or a manual change is logged, and the sealer tries again in the next round.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg import Connection, Cursor
from structlog.typing import FilteringBoundLogger

from ingest.errors import InputError, ServerError
from ingest.model import Fleet
from mrv.calendar import utc_text
from mrv.log.entries import DATA, arrival_part, data_entry
from mrv.signatures.day_digests import Digest
from mrv.statement.device_days import LATE_US, Arrived, rows_of
from services.clock import now_us
from services.clock import now_us as clock_us
from services.issuer import sealed_contents as records
from services.issuer import timestamps
from services.issuer import transitions as life
from services.issuer.close import open_corrections
from services.issuer.documents import Signer
from services.issuer.log_differences import (
    Changes,
    Compared,
    Registry,
    SealedDay,
    compared,
    detail_of,
    noted,
    sealed_day,
    underived,
)
from services.issuer.sealed_contents import SEAL_LIMIT_US, SETTLE_US, Job, ended, parts_of, together
from services.metrics import Metrics
from services.scraping import Background, Pulse
from services.store.archive_catalog import snapshot
from services.store.postgres.pool import connect
from services.store.statements import late_readings
from services.store.statements import sealed_days as seals
from services.store.statements import transparency_log as log
from services.store.statements.late_readings import Waiting
from services.store.statements.sealed_days import Seal
from services.store.timeseries.last_seen import by_day, by_hour
from services.store.timeseries.remake_requests import with_underived as to_make

_AT_ONCE = 50
_SEALER = "hashtextextended('tonne sealer', 0)"


@dataclass
class Report:
    """
    Result of a sealing run.

    `days`, `again`: days sealed for the first time, and again for late data.
    `entries`: kinds of the other entries.
    `refused`: differences from a seal by manual changes, not sealed.
    `late`: late readings of the same days, not sealed either.
    `corrections`: issued statements with changed readings, and the drafts that correct them.
    `waiting`: devices whose derived rows must be rebuilt first, as after an import.
    `late_s`: time by which the oldest unsealed day exceeded the limit of 36 hours. [s]
    """

    days: int = 0
    again: int = 0
    entries: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    corrections: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    late_s: float = 0.0


class Prepared(NamedTuple):
    """
    Log entry of a day, the leaves below it, and the sequence number of its seal.

    `notes` are those of its late readings.
    """

    job: Job
    sequence: int
    entry: bytes
    detail: bytes
    notes: list[int]


def seal(
    conn: Connection,
    signer: Signer,
    now_us: int,
    *,
    recheck: bool = False,
    accept: str | None = None,
    projects: Collection[str] | None = None,
    before: date | None = None,
) -> Report:
    """
    Seal all due days and changes, sign the log's head, and return the result.

    `conn` is in autocommit, as `tonne_mrv`.
    `signer`: key of the log.
    `now_us`: days that ended more than `SETTLE_US` before are due. [us UTC]
    `recheck`: compare all sealed days with the stored rows, not only those with late readings.
    `accept`: reason for which manual changes are sealed too.
    `projects`: only days of these projects; by default all, and days of devices without a project.
    `before`: only local days before this one, and these as soon as they have ended.
    """
    with _locked(conn):
        run = _Run(conn, signer, Registry(conn), accept, report := Report())
        until_us = now_us - SETTLE_US if before is None else now_us
        records.append_changes(conn, signer, report.entries, report.refused, accept)
        due = {(job.project, job.day): job for job in ended(conn, run.of.fleet, until_us)}
        known = seals.latest(conn)
        new = [job for key, job in due.items() if key not in known]
        if projects is not None:
            new = [job for job in new if job.project in projects]
        if before is not None:
            new = [job for job in new if job.day < before]
        oldest = min((job.to_us for job in new), default=now_us)
        report.late_s = max(0, now_us - oldest - SEAL_LIMIT_US) / 1e6
        if ends := [*(_utc(job.to_us) for job in new), *(span.end for span in known.values())]:
            late_readings.announce(conn, max(ends))
        for at in range(0, len(new), _AT_ONCE):
            with snapshot(conn):
                made = _prepare(conn, run.of.of_snapshot(), new[at : at + _AT_ONCE])
            _append(run, made)
            report.days += len(made)
        everything = recheck or accept is not None
        _seal_again(run, seals.latest(conn) if new else known, due, everything=everything)
        report.corrections += map(str, open_corrections(conn))
        records.append_records(conn, signer, report.entries, report.refused, accept)
    return report


@contextmanager
def _locked(conn: Connection) -> Iterator[None]:
    """Context of a lock: only one sealer works on a database at a time."""
    conn.execute(f"SELECT pg_advisory_lock({_SEALER})")
    try:
        yield
    finally:
        if not conn.closed:
            conn.execute(f"SELECT pg_advisory_unlock({_SEALER})")


class _Run(NamedTuple):
    """State shared by the steps of a sealing run."""

    conn: Connection
    signer: Signer
    of: Registry
    accept: str | None
    report: Report


def _seal_again(
    run: _Run,
    known: Mapping[tuple[str, date], Seal],
    due: Mapping[tuple[str, date], Job],
    *,
    everything: bool,
) -> None:
    """Seal changed days again, and delete their notes of late readings."""
    waiting = late_readings.waiting(run.conn)
    unsettled: list[Job] = []
    for seal_ in known.values() if everything else _to_compare(known, waiting):
        day = sealed_day(run.conn, seal_, due)
        made = _changed(run, day)
        if made is None:
            unsettled.append(day.job)
            continue
        _append(run, made)
        run.report.again += len(made)
    done = [w for w in waiting if not any(_touches(w, job) for job in unsettled)]
    late_readings.forget(run.conn, [x for x in done if x.device not in run.report.waiting])


def _to_compare(known: Mapping[tuple[str, date], Seal], waiting: Sequence[Waiting]) -> list[Seal]:
    """Return the sealed days within two days of late readings that their seal does not include."""
    covered: dict[date, set[frozenset[str]]] = {}
    for item in waiting:
        covered.setdefault(item.day, set()).add(item.sealed)
    margin = timedelta(days=2)

    def touched(seal_: Seal) -> bool:
        name = late_readings.name_of(seal_.project, seal_.day)
        first, last = seal_.begin.date() - margin, seal_.end.date() + margin
        return any(
            first <= day <= last and any(name not in names for names in every)
            for day, every in covered.items()
        )

    return [seal_ for seal_ in known.values() if touched(seal_)]


def _touches(waiting: Waiting, job: Job) -> bool:
    """Return whether a note concerns a device and a UTC day of a sealed day."""
    first, last = _utc(job.from_us).date(), _utc(job.to_us).date()
    return waiting.device in job.devices and first <= waiting.day <= last


def _utc(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1e6, UTC)


def _prepare(conn: Connection, fleet: Fleet, jobs: Sequence[Job]) -> list[Prepared]:
    """Return the log entries for the first seal of each day."""
    with conn.cursor() as cursor:
        return [
            _prepared(job, 1, fleet.version, parts, cursor, None, noted(cursor, job).ids)
            for run in together(jobs, lambda job: job)
            for job, parts in zip(run, parts_of(cursor, fleet, run), strict=True)
        ]


def _prepared(
    job: Job,
    sequence: int,
    version: int,
    parts: Mapping[str, Digest],
    cursor: Cursor,
    reason: str | None,
    notes: list[int],
) -> Prepared:
    arrival = arrival_of(cursor, job)
    entry = data_entry(job.entry(), sequence, version, parts, reason, arrival)
    return Prepared(job, sequence, entry, detail_of(parts), notes)


def arrival_of(cursor: Cursor, job: Job) -> dict[str, Any]:
    """Return the arrival times of a day's readings and the time of the seal, for the log entry."""
    span = job.from_us, job.to_us
    arrived = {
        summed.device: Arrived(*summed[2:])
        for summed in by_day(cursor, job.devices, span, span, LATE_US)
    }
    sums = sum(a.readings for a in arrived.values()), sum(a.late for a in arrived.values())
    sealed = utc_text(clock_us() // 1_000_000 * 1_000_000)
    return arrival_part(rows_of(arrived), sums, by_hour(cursor, job.devices, *span), sealed)


def _changed(run: _Run, day: SealedDay) -> list[Prepared] | None:
    """Return the next log entries of a changed day; None if it is too early to seal it again."""
    job, accept = day.job, run.accept
    with snapshot(run.conn), run.conn.cursor() as cursor:
        fleet = run.of.of_snapshot()
        (now,) = compared(cursor, fleet, [day], accept_joined=accept is None)
        if not now.differences and not now.joined:
            return []
        if accept is None and _refused(run, job, now.differences):
            return None
        reason, sequence = accept or _reason(now), day.seal.sequence + 1
        return [_prepared(job, sequence, fleet.version, now.parts, cursor, reason, now.notes)]


def _refused(run: _Run, job: Job, changes: Changes) -> bool:
    """
    Return whether a day must not be sealed: its rows must be rebuilt, or were changed manually.
    The reason is added to the report.
    """
    conn, of, report = run.conn, run.of, run.report
    wrong = underived(conn, of, job, changes)
    with conn.cursor() as cursor:
        pending = sorted(to_make(cursor, sorted({d.device for d in changes.derived}), job.to_us))
    if wrong and pending and not changes.by_hand:
        # differences only because `tonne run` has not derived these rows yet, after late readings
        # or an import
        rest = [difference for difference in changes.derived if difference.device not in pending]
        if not underived(conn, of, job, changes._replace(derived=rest)):
            report.waiting += [name for name in pending if name not in report.waiting]
            return True
    wrong = [*map(str, changes.by_hand), *wrong]
    if wrong:
        report.refused += [f"{job}: {text}" for text in wrong]
        report.late += [f"{job}: {difference}" for difference in changes.late]
    return bool(wrong)


def _reason(now: Compared) -> str:
    """Return why a day is sealed again."""
    if now.joined:
        return f"the registry now assigns {', '.join(now.joined)} to the project on that day"
    return "late readings" if now.differences.late else "derived rows recalculated"


def _append(run: _Run, made: Sequence[Prepared]) -> None:
    if not made:
        return
    conn, signer = run.conn, run.signer
    with conn.transaction():
        log.lock(conn)
        for prepared in made:
            index = log.append(conn, DATA, None, prepared.entry, prepared.detail)
            whose = prepared.job.project, prepared.job.day
            edges = _utc(prepared.job.from_us), _utc(prepared.job.to_us)
            seals.add_seal(conn, Seal(*whose, prepared.sequence, index, *edges))
            late_readings.sealed(conn, prepared.notes, late_readings.name_of(*whose))
        log.sign_head(conn, signer.holder.name, signer.key)


EVERY_S = 3_600
# delay of the first round, as the pipeline has more urgent work after its start [s]
FIRST_S = 600
PULSE = "sealing"


class Sealer(Background):
    """
    Seals in its own thread until it is stopped.

    `url`: database.
    `home`: folder with the log's key, created at first use.
    `key`: its name.
    `every_s`: time between two rounds. [s]
    `pulse`: health signal of a process that does nothing else, updated after each round.
    `stamps`: returns the time-stamp policy of the log's heads after each round; None for none.
    `first_s`: time before the first round. [s]
    """

    def __init__(
        self,
        url: str,
        home: Path,
        key: str,
        every_s: float,
        metrics: Metrics,
        log: FilteringBoundLogger,
        *,
        pulse: Pulse | None = None,
        stamps: Callable[[], timestamps.Policy | None] = timestamps.no_authority,
        first_s: float = FIRST_S,
    ) -> None:
        self._url, self._home, self._key, self._every_s = url, home, key, every_s
        self._metrics, self._log, self._pulse = metrics, log, pulse
        self._first_s, self._stamps = first_s, stamps
        super().__init__({"sealer": self._later})

    def _later(self) -> None:
        self._stopping.wait(self._first_s)
        self.run()

    def run(self) -> None:
        """Seal at intervals until stopped."""
        while not self._stopping.is_set():
            self.once()
            if self._pulse is not None:
                self._pulse.pause(PULSE, self._every_s, self._stopping)
            else:
                self._stopping.wait(self._every_s)

    def once(self) -> None:
        """Seal due days; errors are logged and counted."""
        try:
            with connect(self._url, role="tonne_mrv", name="tonne sealer", autocommit=True) as conn:
                signer = life.log_signer(conn, self._home, self._key)
                report = seal(conn, signer, now_us())
        except (InputError, ServerError, psycopg.Error) as error:
            self._metrics.seal_failures.inc()
            self._log.warning("not sealed", reason=" ".join(str(error).split()))
            return
        self._metrics.sealed_days.inc(report.days + report.again)
        self._metrics.seal_refused.set(len(report.refused))
        self._metrics.seal_late.set(report.late_s)
        self._metrics.seal_time.set(now_us() / 1e6)
        self._stamp()
        for what in report.refused[:10]:
            self._log.error("changed manually, not sealed", what=what)
        for what in report.late[:10]:
            self._log.warning("late; sealed after the manual change is resolved", what=what)
        for what in report.corrections:
            self._log.warning("issued statement to be corrected", what=what)
        if report.days or report.again or report.entries:
            self._log.info("sealed", days=report.days, again=report.again, also=report.entries)

    def _stamp(self) -> None:
        """Request time stamps of new seals; missing ones are requested again in the next round."""
        try:
            policy = self._stamps()
            if policy is None:
                return
            enough = policy.rule.threshold
            with connect(self._url, role="tonne_mrv", name="tonne stamps", autocommit=True) as conn:
                done = timestamps.request_missing(conn, policy)
                self._metrics.timestamp_waiting.set(timestamps.waiting_s(conn, enough))
        except (InputError, ServerError, psycopg.Error) as error:
            self._metrics.timestamp_failures.inc()
            self._log.warning("not stamped", reason=" ".join(str(error).split()))
            return
        self._metrics.timestamp_failures.inc(len(done.owed))
        for what in done.owed:
            self._log.warning("not stamped", reason=what)
        for what in done.got:
            self._log.info("stamped", what=what)
