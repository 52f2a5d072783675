"""Steps about what the log sealed: statements, tables, factors, days."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from psycopg import Cursor

from mrv import factors
from mrv.factors.ledger import centres
from mrv.log.entries import DATA
from mrv.signatures import canonical
from services.issuer import table_digests as records
from services.issuer.audit_statements import standing
from services.issuer.audit_walk import Walk
from services.issuer.close import snapshot
from services.issuer.compared_days import (
    Compared,
    Registry,
    SealedDay,
    compared,
    sealed_day,
    underived,
)
from services.issuer.outside_period import changed
from services.issuer.seal import arrival_of
from services.issuer.sealed_day_contents import Job, ended, overdue, together
from services.store.postgres.row_hashes import STATES, hashes, tables
from services.store.statements import sealed_days as seals
from services.store.statements import transparency_log as log
from services.store.timeseries.underived import waiting as to_make


def statements(walk: Walk) -> str:
    """Statements, their steps and claims are those that the log names."""
    walk.breaks += standing(walk.conn, walk.entries)
    walk.notes += changed(walk.conn)
    return f"{sum(entry.kind == 'issued' for entry in walk.entries)} issued statements"


def states(walk: Walk) -> str:
    """Registry, plan, certificates and keys are as they were last entered."""
    counted = 0
    for kind in STATES:
        with snapshot(walk.conn):
            state = records.state_of(walk.conn, kind)
        if state.last is None:
            if any(state.now.values()):
                walk.notes.append(f"{kind} is not in the log yet; run `tonne log seal`")
            continue
        counted += sum(map(len, state.now.values()))
        for what in records.changes(state.sealed, state.now):
            if records.expected(walk.conn, kind, state.last, what):
                walk.notes.append(f"{what}; `tonne log seal` enters it")
            else:
                walk.breaks.append(what)
    return f"{counted} rows of {', '.join(STATES)}"


def append_only(walk: Walk) -> str:
    """What append-only tables ever held, they still hold; nothing was slipped in behind."""
    with snapshot(walk.conn):
        sealed = records.records_of(walk.conn)
        found = tables(walk.conn)
        now = hashes(walk.conn, found.records)
        backdated = records.backdated(walk.conn, sealed, now)
    walk.breaks += records.lost(sealed, now)
    walk.breaks += backdated
    fresh = sum(len(rows) for rows in now.values()) - sum(len(rows) for rows in sealed.values())
    if fresh > len(backdated):
        walk.notes.append(f"{fresh} rows since the last seal; `tonne log seal` enters them")
    if found.unknown:
        walk.notes.append(f"no seal covers {', '.join(found.unknown)}")
    return f"{sum(map(len, sealed.values()))} rows of {len(found.records)} append-only tables"


def sealed_days(walk: Walk) -> str:
    """What every sealed day held, it still holds."""
    conn, of = walk.conn, Registry(walk.conn)
    latest = seals.latest(conn)
    walk.breaks += _seal_rows(walk)
    walk.ended = list(ended(conn, of.fleet, walk.now_us))
    jobs = {(job.project, job.day): job for job in walk.ended}
    days = (sealed_day(conn, seal_, jobs) for _, seal_ in sorted(latest.items()))
    for run in together(days, lambda one: one.job):
        _look(walk, of, run, jobs)
    return f"{len(latest)} days"


def _look(
    walk: Walk, of: Registry, run: Sequence[SealedDay], jobs: Mapping[tuple[str, date], Job]
) -> None:
    """Compare days with their last seals in the snapshot."""
    with snapshot(walk.conn), walk.conn.cursor() as cursor:
        fleet = of.of_snapshot()
        last = seals.last_of(walk.conn, run[0].seal.project, [one.seal.day for one in run])
        runs = [run]
        if any(last[one.seal.day] != one.seal for one in run):
            # sealed again since they were read: maybe with other devices
            runs = [[sealed_day(walk.conn, last[one.seal.day], jobs)] for one in run]
        for some in runs:
            for now in compared(cursor, fleet, some):
                _say(walk, of, cursor, now)


def _say(walk: Walk, of: Registry, cursor: Cursor, now: Compared) -> None:
    """Tell how what a day holds differs from its seal."""
    job, body, found = now.day.job, now.day.body, now.found
    walk.breaks += [f"{job}: {what}" for what in found.by_hand]
    if now.joined:
        walk.notes.append(
            f"{job}: by the registry {', '.join(now.joined)} served on it, whose readings other"
            " days hold; `tonne log seal --recheck`"
        )
    pending = to_make(cursor, sorted({one.device for one in found.derived}), job.to_us)
    if pending:
        walk.notes.append(
            f"{job}: rows of {', '.join(sorted(pending))} wait to be made from their readings;"
            " audit again when `tonne run` did that"
        )
    walk.breaks += [f"{job}: {what}" for what in underived(walk.conn, of, job, found)]
    if not found and not now.joined and "arrival" in body:
        walk.breaks += _arrival(cursor, job, body["arrival"])
    if found.late:
        devices = ", ".join(dict.fromkeys(one.device for one in found.late))
        walk.notes.append(f"{job}: late readings of {devices}, which `tonne log seal` enters")
    elif found.derived:
        walk.notes.append(f"{job}: derived rows were made again; `tonne log seal --recheck`")


def _arrival(cursor: Cursor, job: Job, said: dict[str, Any]) -> Iterator[str]:
    """When a day's readings arrived is counted once, with them, and not changed later."""
    now = arrival_of(cursor, job)
    if {**now, "sealed": said.get("sealed")} != said:
        yield (
            f"{job}: the log sealed {said['late']} of {said['readings']} readings as late, and"
            f" {now['late']} of {now['readings']} are counted now: arrival_count or arrival_day"
            " was changed"
        )


def _seal_rows(walk: Walk) -> Iterator[str]:
    """Where each day's seal stands is said twice: in the table, and in the log."""
    said = {}
    for entry in walk.entries:
        if entry.kind == DATA:
            body = canonical.parse_object(entry.body)
            said[entry.index] = (body["project"] or "", body["day"], body["sequence"])
    stored = {
        int(index): (project, day.isoformat(), int(sequence))
        for project, day, sequence, index in walk.conn.execute(
            "SELECT project_id, day, sequence, index FROM data_seal WHERE index < %s",
            [len(walk.entries)],  # a sealer may have gone on since the log was read
        )
    }
    for index in sorted(said.keys() | stored.keys()):
        if said.get(index) != stored.get(index):
            yield (
                f"entry {index} seals {said.get(index, 'no day')},"
                f" data_seal says {stored.get(index, 'nothing')}"
            )


def lateness(walk: Walk) -> str:
    """Every day was sealed in the time promised, by the log's clock."""
    found = overdue(walk.ended, seals.first_sealed(walk.conn), walk.now_us)
    walk.breaks += [
        f"{job} ended more than 36 hours ago and is not sealed" for job in found.waiting
    ]
    walk.notes += [
        f"{job} was sealed at {at:%Y-%m-%dT%H:%M:%SZ}, more than 36 hours after its end"
        for job, at in found.sealed_late
    ]
    late = len(found.sealed_late)
    return f"36 hours after a day's end; {late} days were sealed later than that"


def published_factors(walk: Walk) -> str:
    """The program publishes the factors that were entered last."""
    last = log.last(walk.conn, "factors")
    if last is None:
        walk.notes.append("factors are not in the log yet; run `tonne log seal`")
        return "none"
    own, said = (canonical.parse_object(b) for b in (records.factors_entry(), last.body))
    # the book only grows: what an older tonne published is in it, without what came since
    before = canonical.parse_object(records.factors_entry(centres(factors.load())))
    if said == before:
        walk.notes.append("factors were added since; `tonne log seal` enters them")
    elif own != said:
        same = own["codeVersion"] == said["codeVersion"]
        text = f"the log has factors {said['sha256'][:16]} of {said['codeVersion']}, this program"
        (walk.breaks if same else walk.notes).append(f"{text} has {own['sha256'][:16]}")
    return f"{said['factors']} factors"
