"""
Contents of the log's seals: days with their readings, and digests of all other tables.

A project's local day contains the readings, intervals and emissions of the devices assigned to it
on that day.  For devices without a project, UTC days are sealed.

Registry, plan and certificates change only by imports, and each import is a new registry version: a
change without a new version is manual and is not sealed.  Rows may only be added to append-only
tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib.metadata import version
from typing import Any, NamedTuple, TypeVar

import numpy as np
from psycopg import Connection, Cursor

from ingest.model import Fleet
from mrv import factors
from mrv.calendar import days, narrowed, utc_text
from mrv.factors.ledger import to_record
from mrv.log.entries import FACTORS, RECORDS, Day, RowHash, read_tables, tables_detail, tables_entry
from mrv.model import Factor
from mrv.registry.project import ProjectDevice
from mrv.signatures import canonical
from mrv.signatures.day_digests import DayLeaf, Digest, digest_leaves
from mrv.statement import device_days
from mrv.statement.device_days import intervals_digest, leaves, reading_leaves
from services.issuer.documents import Signer
from services.store.archive_catalog import snapshot
from services.store.dead_letter_query import removed_of
from services.store.postgres.row_hashes import IMPORTED, STATES, WRITTEN, hashes, older_than, tables
from services.store.registry import load as registry
from services.store.statements import sealed_days as seals
from services.store.statements import transparency_log as log
from services.store.statements.transparency_log import Entry
from services.store.timeseries import readings
from services.store.timeseries import register_checkpoints as marks
from services.store.timeseries.interval_rows import intervals_of

HOUR_US = 3_600_000_000
# readings that arrive within this time are sealed with their day; later ones are sealed as late
SETTLE_US = 24 * HOUR_US
SEAL_LIMIT_US = 36 * HOUR_US
_DEVICES_AT_ONCE = 100  # of one day
T = TypeVar("T")


class Job(NamedTuple):
    """Local day to seal: project ('' for devices without one), time zone, start, end, devices."""

    project: str
    day: date
    timezone: str
    from_us: int
    to_us: int
    devices: tuple[str, ...]

    def entry(self) -> Day:
        """Return the day as in the log's entry."""
        edges = utc_text(self.from_us), utc_text(self.to_us)
        return Day(self.project or None, self.day.isoformat(), self.timezone, *edges)

    def __str__(self) -> str:
        whose = f"project {self.project}" if self.project else "devices without project"
        return f"{whose}, {self.day}"


@dataclass(frozen=True, slots=True)
class _AssignedDevices:
    """Devices that belong to a project's days by their assignment, or to no project's."""

    project: str
    timezone: str
    begin_us: int
    end_us: int
    bound: tuple[ProjectDevice, ...]
    others: tuple[str, ...] = ()

    def on(self, from_us: int, to_us: int) -> tuple[str, ...]:
        """
        Return the devices that belong to a day.

        For a project, those that it has during a part of the day; else those that no project has
        during the whole day.
        """
        spans = ((d.device, d.from_us, to_us if d.to_us is None else d.to_us) for d in self.bound)
        if self.project:
            return tuple(sorted({name for name, a, b in spans if a < to_us and b > from_us}))
        whole = {name for name, a, b in spans if a <= from_us and b >= to_us}
        return tuple(sorted({*self.others} - whole))


def ended(conn: Connection, fleet: Fleet, until_us: int) -> Iterator[Job]:
    """
    Yield days that ended by a time, of each project and of devices without one, oldest first.

    `until_us`: days that end later are omitted. [us UTC]
    """
    projects = registry.load_projects(conn)
    every = tuple(d.id for d in fleet.devices)
    serving = [
        _AssignedDevices(p.id, p.timezone, p.from_us, p.to_us, p.devices)
        for p in projects
        if p.devices
    ]
    bound = tuple(d for p in projects for d in p.devices)
    serving.append(_AssignedDevices("", "UTC", 0, until_us, bound, every))
    with conn.cursor() as cursor:
        began = seals.first_us(cursor, tuple({*every, *(d.device for d in bound)}))
    for item in serving:
        ids = every if not item.project else tuple({d.device for d in item.bound})
        first = min((began[name] for name in ids if name in began), default=None)
        if first is None:
            continue
        for day, begin, end in days(
            max(first, item.begin_us), min(until_us, item.end_us), item.timezone
        ):
            devices = item.on(begin, end)
            if end <= until_us and devices:
                zone = narrowed(item.timezone, begin, end)
                yield Job(item.project, day, zone, begin, end, devices)


class Overdue(NamedTuple):
    """Days not sealed within 36 hours of their end: still unsealed ones, and those sealed late."""

    waiting: list[Job]
    sealed_late: list[tuple[Job, datetime]]


def overdue(
    jobs: Iterable[Job], sealed: Mapping[tuple[str, date], datetime], now_us: int
) -> Overdue:
    """
    Return the days that were not sealed within `SEAL_LIMIT_US` of their end.

    `sealed`: time of the first seal of each sealed day, by project and day.
    """
    result = Overdue([], [])
    for job in jobs:
        at = sealed.get((job.project, job.day))
        due = datetime.fromtimestamp((job.to_us + SEAL_LIMIT_US) / 1e6, UTC)
        if at is None and job.to_us <= now_us - SEAL_LIMIT_US:
            result.waiting.append(job)
        elif at is not None and at > due:
            result.sealed_late.append((job, at))
    return result


def together(days: Iterable[T], job_of: Callable[[T], Job]) -> Iterator[list[T]]:
    """
    Yield runs of consecutive days with the same devices, to be read together.
    Memory is bounded: a run has at most `_DEVICES_AT_ONCE` device-days, or one day.
    """
    run: list[T] = []
    for day in days:
        if run and not _follows(job_of(run[-1]), job_of(day), len(run)):
            yield run
            run = []
        run.append(day)
    if run:
        yield run


def _follows(before: Job, job: Job, days: int) -> bool:
    return (
        job.from_us == before.to_us
        and (job.project, job.timezone, job.devices)
        == (before.project, before.timezone, before.devices)
        and job.day > before.day
        and (days + 1) * len(job.devices) <= _DEVICES_AT_ONCE
    )


def parts_of(cursor: Cursor, fleet: Fleet, run: Sequence[Job]) -> list[dict[str, Digest]]:
    """
    Return the digests of each day of a run: `readings`, `intervals`, `emissions`.

    `run`: days from one result of `together`.
    """
    result: list[dict[str, list[DayLeaf]]] = [
        {"readings": [], "intervals": [], "emissions": []} for _ in run
    ]
    place = {job.day.isoformat(): k for k, job in enumerate(run)}

    def add(part: str, members: Iterable[DayLeaf]) -> None:
        for leaf in members:
            result[place[leaf.day]][part].append(leaf)

    zone, begin_us, end_us = run[0].timezone, run[0].from_us, run[-1].to_us
    known = [name for name in run[0].devices if name in fleet.by_id]
    for at in range(0, len(known), _DEVICES_AT_ONCE):
        subset = known[at : at + _DEVICES_AT_ONCE]
        index = [fleet.by_id[name] for name in subset]
        for class_id, members in marks.by_class(fleet, index).items():
            after = dict.fromkeys(members, begin_us - 1)
            frame = readings.fetch(cursor, fleet, class_id, after, end_us)
            for block in device_days.blocks(frame):
                add("readings", reading_leaves(fleet, block, zone))
        rows = intervals_of(cursor, fleet, begin_us, end_us, list(subset), marks=False)
        add("intervals", intervals_digest(fleet, rows, zone).leaves)
        stored = seals.emissions_of(cursor, fleet, subset, begin_us, end_us)
        order = np.argsort(stored.device, kind="stable")
        columns: dict[str, Any] = {name: values[order] for name, values in stored.columns.items()}
        key = stored.device[order], stored.start_us[order]
        add("emissions", leaves(fleet, "interval_emission", key, columns, zone))
    return [{name: digest_leaves(some) for name, some in parts.items()} for parts in result]


Rows = dict[str, dict[str, str]]


class State(NamedTuple):
    """Current tables of a kind, and those in the log's last entry."""

    now: dict[str, list[RowHash]]
    last: Entry | None
    sealed: Rows


def state_of(conn: Connection, kind: str) -> State:
    """
    Return the current row digests of a kind's tables, and those of the log's last entry.

    Raises LogError if the digests stored with the entry do not lead to its roots.
    """
    now = hashes(conn, STATES[kind])
    result = log.details(conn, kind)
    if not result:
        return State(now, None, {})
    entry, detail = result[-1]
    return State(now, entry, read_tables(canonical.parse_object(entry.body), detail or b"{}"))


def changes(sealed: Mapping[str, Mapping[str, str]], now: Mapping[str, list[RowHash]]) -> list[str]:
    """Return texts on rows that are missing, added or changed since they were sealed."""
    result = []
    for name in sorted({*sealed, *now}):
        was, is_ = sealed.get(name, {}), dict(now.get(name, []))
        for key in sorted(was.keys() | is_.keys()):
            if key not in is_:
                result.append(f"{name} {key!r} is missing")
            elif key not in was:
                result.append(f"{name} {key!r} was added")
            elif was[key] != is_[key]:
                result.append(f"{name} {key!r} was changed")
    return result


def expected(conn: Connection, kind: str, last: Entry, what: str) -> bool:
    """
    Return whether a command of tonne explains a change since the last entry of a kind of table.  An
    import creates a new registry version.  Enrolling a key adds a row; revoking it sets its end,
    and its limits can be replaced.
    """
    if kind in IMPORTED:
        versions = canonical.parse_object(last.body)["registryVersion"]
        return registry.registry_version(conn) > int(versions)
    if kind != "keys":
        return False
    key = what.split("'")[1]
    if what.endswith("was added"):
        return not older_than(conn, "enrolled_key", "valid_from", last.appended, [key])
    *_, detail = log.at(conn, last.index)
    sealed = read_tables(canonical.parse_object(last.body), detail or b"{}")["enrolled_key"]
    bare = dict(hashes(conn, ("enrolled_key",), without=("valid_until", "bounds"))["enrolled_key"])
    return what.endswith("was changed") and sealed.get(key) == bare.get(key)


def records_of(conn: Connection) -> Rows:
    """Return the sealed digests of append-only tables, except of rows deleted after retention."""
    records: Rows = {}
    for entry, detail in log.details(conn, RECORDS):
        for name, rows in read_tables(canonical.parse_object(entry.body), detail or b"{}").items():
            records.setdefault(name, {}).update(rows)
    _without_expired(conn, records)
    return records


def _without_expired(conn: Connection, rows: Rows) -> None:
    """Remove dead letters whose deletion is recorded in the log."""
    deleted = removed_of(conn, [int(key) for key in rows.get("dead_letter", {})])
    for name in ("dead_letter", "dead_letter_replay"):
        kept = rows.get(name, {})
        for key in [key for key in kept if int(key.split(" ", 1)[0]) in deleted]:
            del kept[key]


def lost(sealed: Rows, now: Mapping[str, list[RowHash]]) -> list[str]:
    """Return texts on sealed rows that are missing or changed."""
    return [what for what in changes(sealed, now) if not what.endswith("was added")]


def backdated(conn: Connection, sealed: Rows, now: Mapping[str, list[RowHash]]) -> list[str]:
    """Return texts on rows that are not sealed, although dated before the last seal."""
    last = log.last(conn, RECORDS)
    if last is None:
        return []
    result = []
    for name, rows in now.items():
        new = [key for key, _ in rows if key not in sealed.get(name, {})]
        if new and name in WRITTEN:
            older = older_than(conn, name, WRITTEN[name], last.appended, new)
            result += [f"{name} {key!r} was added after the seal" for key in older]
    return result


def append_changes(
    conn: Connection, signer: Signer, done: list[str], refused: list[str], accept: str | None = None
) -> None:
    """
    Enter changes of registry, plan, certificates, keys, claims and factors in the log.

    `done`: receives the kinds entered.
    `refused`: receives texts on manual changes, which are not entered.
    `accept`: reason for which manual changes are entered too.
    """
    for kind in STATES:
        with snapshot(conn):
            state = state_of(conn, kind)
            version = registry.registry_version(conn)
        result = changes(state.sealed, state.now)
        if state.last is not None and not result:
            continue
        stated = {} if state.last is None else canonical.parse_object(state.last.body)
        by_hand = kind in IMPORTED and stated and stated["registryVersion"] == version
        if by_hand and accept is None:
            refused += [f"{what}, and no import made this change" for what in result]
            continue
        entry = tables_entry(kind, state.now, registryVersion=version, reason=accept)
        _append(conn, signer, kind, entry, tables_detail(state.now))
        done.append(kind)
    entry = factors_entry()
    last = log.last(conn, FACTORS)
    if last is None or last.body != entry:
        _append(conn, signer, FACTORS, entry, None)
        done.append(FACTORS)


def append_records(
    conn: Connection, signer: Signer, done: list[str], refused: list[str], accept: str | None = None
) -> None:
    """
    Enter new rows of append-only tables in the log.

    `done`: receives the kind `RECORDS` if there are new rows.
    `refused`: receives texts on sealed rows that are missing or changed.
    `accept`: reason for manual changes, recorded in the entry.
    """
    with snapshot(conn):
        sealed = records_of(conn)
        now = hashes(conn, tables(conn).records)
    refused += lost(sealed, now)
    new = {
        name: [row for row in rows if row[0] not in sealed.get(name, {})]
        for name, rows in now.items()
    }
    new = {name: rows for name, rows in new.items() if rows}
    if new:
        _append(
            conn, signer, RECORDS, tables_entry(RECORDS, new, reason=accept), tables_detail(new)
        )
        done.append(RECORDS)


def factors_entry(book: Iterable[Factor] | None = None) -> bytes:
    """Return the log entry of the factors published by this version, or of some of them."""
    listed = [to_record(factor) for factor in (factors.load() if book is None else book)]
    return canonical.encode(
        {
            "event": FACTORS,
            "codeVersion": f"tonne {version('tonne')}",
            "factors": str(len(listed)),
            "sha256": canonical.sha256_hex(canonical.encode(listed)),
        }
    )


def _append(
    conn: Connection, signer: Signer, kind: str, entry: bytes, detail: bytes | None
) -> None:
    with conn.transaction():
        log.lock(conn)
        log.append(conn, kind, None, entry, detail)
        log.sign_head(conn, signer.holder.name, signer.key)
