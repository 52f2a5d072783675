"""Steps about what the log sealed: statements, tables, factors, days."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from psycopg import Connection

from mrv import factors
from mrv.factors.centres import centres
from mrv.log.entries import DATA
from mrv.signatures import canonical
from mrv.signatures.day_digests import DayLeaf
from services.issuer import table_digests as records
from services.issuer.audit_statements import standing
from services.issuer.audit_walk import Walk
from services.issuer.changes import Changes, compare, sealed_leaves
from services.issuer.close import snapshot
from services.issuer.moved_devices import as_sealed, job_of, without_joined
from services.issuer.seal import arrival_of, noted_days, underived
from services.issuer.sealed_day_contents import Job, ended, overdue, parts_of, together
from services.settle import Plan
from services.store.postgres.row_hashes import STATES, hashes, tables
from services.store.registry import load as registry
from services.store.registry.factors import load_book
from services.store.statements import sealed_days as seals
from services.store.statements import transparency_log as log
from services.store.timeseries.remake_requests import waiting as to_remake


def statements(walk: Walk) -> str:
    """Statements, their steps and claims are those that the log names."""
    walk.breaks += standing(walk.conn, walk.entries)
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
    conn = walk.conn
    plan = Plan.of(registry.load_fleet(conn), registry.load_projects(conn), load_book(conn))
    late = noted_days(seals.late_days(conn))
    latest = seals.latest(conn)
    walk.breaks += _seal_rows(walk)
    waiting = to_remake(conn).keys()
    walk.ended = list(ended(conn, plan.fleet, walk.now_us))
    jobs = {(job.project, job.day): job for job in walk.ended}
    for run in together(_sealed(conn, latest, jobs), lambda one: one.job):
        with snapshot(conn), conn.cursor() as cursor:
            held = parts_of(cursor, plan.fleet, [one.job for one in run])
        for one, parts in zip(run, held, strict=True):
            found = compare(one.leaves, parts, late)
            found, joined = without_joined(
                conn, plan.fleet, latest.values(), one.job, one.leaves, found
            )
            _compared(walk, plan, one, found, joined, waiting)
    return f"{len(latest)} days"


class _Sealed(NamedTuple):
    """A sealed day, what its entry says, and the leaves under it."""

    job: Job
    body: dict[str, Any]
    leaves: dict[str, tuple[DayLeaf, ...]]


def _sealed(
    conn: Connection, latest: Mapping[tuple[str, date], seals.Seal], jobs: Mapping[Any, Job]
) -> Iterator[_Sealed]:
    """Days by project and date, each with the devices that it is about or was sealed with."""
    for key, seal_ in sorted(latest.items()):
        entry, detail = log.at(conn, seal_.entry)
        body = canonical.parse_object(entry.body)
        leaves = sealed_leaves(body, detail)
        job = jobs.get(key) or job_of(body, ())
        yield _Sealed(as_sealed(job, leaves), body, leaves)


def _compared(
    walk: Walk,
    plan: Plan,
    one: _Sealed,
    found: Changes,
    joined: Sequence[str],
    waiting: Collection[str],
) -> None:
    """Tell how what a day holds differs from its seal."""
    job, body = one.job, one.body
    walk.breaks += [f"{job}: {what}" for what in found.by_hand]
    if joined:
        walk.notes.append(
            f"{job}: by the registry {', '.join(joined)} served on it, whose readings other days"
            " hold; `tonne log seal --recheck`"
        )
    pending = {one.device for one in found.derived} & {*waiting}
    if pending:
        walk.notes.append(
            f"{job}: rows of {', '.join(sorted(pending))} wait to be made again after an import;"
            " audit again when `tonne run` did that"
        )
    walk.breaks += [f"{job}: {what}" for what in underived(walk.conn, plan, job, found)]
    if not found and not joined and "arrival" in body:
        walk.breaks += _arrival(walk, job, body["arrival"])
    if found.late:
        walk.notes.append(f"{job}: late readings that `tonne log seal` enters")
    elif found.derived:
        walk.notes.append(f"{job}: derived rows were made again; `tonne log seal --recheck`")


def _arrival(walk: Walk, job: Job, said: dict[str, Any]) -> Iterator[str]:
    """When a day's readings arrived is counted once, with them, and not changed later."""
    with snapshot(walk.conn), walk.conn.cursor() as cursor:
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
            "SELECT project_id, day, sequence, index FROM data_seal"
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
