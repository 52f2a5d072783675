"""
Keep the log up to date: seal days that ended, and what changed since.

Digests are taken in one snapshot, and appended in a transaction of their own
under the log's lock.  Nothing that differs from its seal by hand is sealed
again unless somebody says why: the reason then stands in the log.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

from psycopg import Connection, Cursor

from ingest.model import Fleet
from mrv.calendar import utc_text
from mrv.log.entries import DATA, arrival_part, data_entry
from mrv.signatures import canonical
from mrv.signatures.day_digests import Digest
from mrv.statement.arrival import LATE_US, Arrived, rows_of
from services.clock import now_us as clock_us
from services.issuer import table_digests as records
from services.issuer.changes import Changes, compare, detail_of, sealed_leaves
from services.issuer.close import snapshot
from services.issuer.corrections import open_corrections
from services.issuer.moved_devices import as_sealed, without_joined
from services.issuer.sealed_day_contents import (
    PROMISED_US,
    SETTLE_US,
    Job,
    ended,
    parts_of,
    together,
)
from services.issuer.transitions import Signer
from services.processing.rebuild import rebuild
from services.settle import Plan
from services.store.registry import load as registry
from services.store.registry.factors import load_book
from services.store.statements import sealed_days as seals
from services.store.statements import transparency_log as log
from services.store.statements.sealed_days import LateDay, Seal
from services.store.timeseries.arrivals import by_day, by_hour
from services.store.timeseries.remake_requests import waiting as to_remake

_AT_ONCE = 50


@dataclass
class Report:
    """
    What a run sealed.

    Attributes
    ----------
    days, again : int
        Days sealed for the first time, and again because of what came later.
    entries : list of str
        Kinds of the entries beside them.
    refused : list of str
        What differs from its seal by hand, and was left as it is.
    corrections : list of str
        Issued statements whose readings changed, and the drafts that correct them.
    waiting : list of str
        Devices whose derived rows are to be made again first, as after an import.
    late_s : float
        How much longer than promised the oldest day waited before this run. [s]
    """

    days: int = 0
    again: int = 0
    entries: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    corrections: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    late_s: float = 0.0


class Prepared(NamedTuple):
    """An entry about a day, with what stands under it and where its seal will stand."""

    job: Job
    sequence: int
    entry: bytes
    detail: bytes


def seal(
    conn: Connection,
    signer: Signer,
    now_us: int,
    *,
    recheck: bool = False,
    accept: str | None = None,
    projects: Collection[str] | None = None,
) -> Report:
    """
    Seal what there is to seal, and sign the log's head.

    Parameters
    ----------
    conn : Connection
        In autocommit, as `tonne_mrv`.
    signer : Signer
        Key of the log.
    now_us : int
        Days that ended more than `SETTLE_US` before are due. [us UTC]
    recheck : bool
        Compare all sealed days with what is stored, and not only those that got
        late readings.
    accept : str, optional
        Seal what was changed by hand too, for this reason.
    projects : collection of str, optional
        Only days of these projects; all, and days of devices without one, where absent.
    """
    report = Report()
    records.append_changes(conn, signer, report.entries, report.refused, accept)
    fleet = registry.load_fleet(conn)
    due = list(ended(conn, fleet, now_us - SETTLE_US))
    known = seals.latest(conn)
    new = [job for job in due if (job.project, job.day) not in known]
    if projects is not None:
        new = [job for job in new if job.project in projects]
    oldest = min((job.to_us for job in new), default=now_us)
    report.late_s = max(0, now_us - oldest - PROMISED_US) / 1e6
    for at in range(0, len(new), _AT_ONCE):
        with snapshot(conn):
            made = _prepare(conn, fleet, new[at : at + _AT_ONCE])
        _append(conn, signer, made)
        report.days += len(made)
    late = seals.late_days(conn)
    plan = _Plan(conn, fleet)
    jobs = {(job.project, job.day): job for job in due}
    for seal_ in _to_compare(known, late, everything=recheck or accept is not None):
        job = jobs.get((seal_.project, seal_.day))
        if job is not None:
            made = _changed(conn, plan, job, seal_, known, late, accept, report)
            _append(conn, signer, made)
            report.again += len(made)
    # a day whose derived rows are still to be made again is compared once they are
    seals.forget_late(conn, [one for one in late if one.device not in report.waiting])
    report.corrections += map(str, open_corrections(conn))
    records.append_records(conn, signer, report.entries, report.refused, accept)
    return report


class _Plan:
    """The registry, compiled once a day differs from its seal: of a large fleet that takes long."""

    def __init__(self, conn: Connection, fleet: Fleet) -> None:
        self._conn, self.fleet = conn, fleet

    @cached_property
    def whole(self) -> Plan:
        """Registry in force, compiled."""
        return Plan.of(self.fleet, registry.load_projects(self._conn), load_book(self._conn))


def _to_compare(
    known: Mapping[tuple[str, date], Seal], late: Sequence[LateDay], *, everything: bool
) -> list[Seal]:
    """Sealed days that late readings touch; what follows from them may reach a day further."""
    if everything:
        return list(known.values())
    days = {one.day for one in late}
    margin = timedelta(days=2)
    return [
        seal_
        for seal_ in known.values()
        if any(seal_.begin.date() - margin <= day <= seal_.end.date() + margin for day in days)
    ]


def _prepare(conn: Connection, fleet: Fleet, jobs: Sequence[Job]) -> list[Prepared]:
    """Prepare the first seal of each day."""
    with conn.cursor() as cursor:
        return [
            _prepared(job, 1, fleet.version, (parts, arrival_of(cursor, job)), None)
            for run in together(jobs, lambda job: job)
            for job, parts in zip(run, parts_of(cursor, fleet, run), strict=True)
        ]


def _prepared(
    job: Job,
    sequence: int,
    version: int,
    held: tuple[Mapping[str, Digest], Mapping[str, Any]],
    reason: str | None,
) -> Prepared:
    parts, came = held
    entry = data_entry(job.entry(), sequence, version, parts, reason, came)
    return Prepared(job, sequence, entry, detail_of(parts))


def arrival_of(cursor: Cursor, job: Job) -> dict[str, Any]:
    """Return arrival of a day's readings and time of its seal, as the seal says them."""
    span = job.from_us, job.to_us
    found = {
        one.device: Arrived(*one[2:]) for one in by_day(cursor, job.devices, span, span, LATE_US)
    }
    sums = sum(one.readings for one in found.values()), sum(one.late for one in found.values())
    sealed = utc_text(clock_us() // 1_000_000 * 1_000_000)
    return arrival_part(rows_of(found), sums, by_hour(cursor, job.devices, *span), sealed)


def _changed(
    conn: Connection,
    plan: _Plan,
    job: Job,
    seal_: Seal,
    known: Mapping[tuple[str, date], Seal],
    late: Sequence[LateDay],
    accept: str | None,
    report: Report,
) -> list[Prepared]:
    """Prepare the next seal of a day that changed and may be sealed again."""
    noted = noted_days(late)
    with snapshot(conn), conn.cursor() as cursor:
        entry, detail = log.at(conn, seal_.entry)
        leaves = sealed_leaves(canonical.parse_object(entry.body), detail)
        job = as_sealed(job, leaves)
        (now,), came = parts_of(cursor, plan.fleet, [job]), arrival_of(cursor, job)
        waiting = to_remake(conn)
        found = compare(leaves, now, noted)
        joined: tuple[str, ...] = ()
        if accept is None:
            found, joined = without_joined(conn, plan.fleet, known.values(), job, leaves, found)
    if not found and not joined:
        return []
    reason = accept
    if reason is None:
        wrong = underived(conn, plan.whole, job, found)
        pending = sorted(waiting.keys() & {one.device for one in found.derived}) if wrong else []
        if pending and not found.by_hand:
            # rows that `tonne run` has not made again since an import
            rest = [one for one in found.derived if one.device not in pending]
            if not underived(conn, plan.whole, job, found._replace(derived=rest)):
                report.waiting += [name for name in pending if name not in report.waiting]
                return []
        wrong = [*map(str, found.by_hand), *wrong]
        if wrong:
            report.refused += [f"{job}: {one}" for one in wrong]
            return []
        reason = "late readings" if found.late else "derived rows made again"
        if joined:
            reason = f"the registry says that {', '.join(joined)} served on that day"
    return [_prepared(job, seal_.sequence + 1, plan.fleet.version, (now, came), reason)]


def noted_days(late: Sequence[LateDay]) -> set[tuple[str, str]]:
    """Devices and days that late readings may be of, whatever the zone."""
    return {
        (one.device, (one.day + timedelta(days=shift)).isoformat())
        for one in late
        for shift in (-1, 0, 1)
    }


def underived(conn: Connection, plan: Plan, job: Job, found: Changes) -> list[str]:
    """Derived rows that differ from their seal, and that readings and registry do not give."""
    names = {one.device for one in found.derived} & plan.fleet.by_id.keys()
    index = [plan.fleet.by_id[name] for name in sorted(names)]
    differ = rebuild(conn, plan, index, job.from_us, job.to_us, replace=False) if index else []
    return [
        f"{one.table} of {' '.join(one.key)} does not follow from the readings" for one in differ
    ]


def _append(conn: Connection, signer: Signer, made: Sequence[Prepared]) -> None:
    if not made:
        return
    with conn.transaction():
        log.lock(conn)
        for one in made:
            index = log.append(conn, DATA, None, one.entry, one.detail)
            edges = (
                datetime.fromtimestamp(us / 1e6, UTC) for us in (one.job.from_us, one.job.to_us)
            )
            seals.add(conn, seals.Seal(one.job.project, one.job.day, one.sequence, index, *edges))
        log.sign_head(conn, signer.holder.name, signer.key)
