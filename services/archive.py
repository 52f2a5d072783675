"""
Moving of sealed days to the archive, once or repeatedly.

Device-days not yet archived are read, compared with the log's seal, written to files, read back and
compared again; then they are recorded, and completely archived chunks are dropped. Files are named
by their content, so an interrupted run can be repeated.

A failed round is logged, and the next one completes its work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

import numpy as np
import psycopg
from psycopg import Connection, Cursor
from structlog.typing import FilteringBoundLogger

from ingest.errors import InputError, ServerError
from ingest.model import Fleet, Frame
from mrv.calendar import utc_text
from mrv.signatures import canonical
from mrv.signatures.day_digests import DayLeaf
from mrv.statement import device_days
from mrv.statement.device_days import reading_leaves
from services import archived_files as home
from services import vault as parts
from services import vault_table
from services.archived_files import Archive
from services.clock import now_us
from services.issuer.log_differences import compared, sealed_day, sealed_leaves
from services.logs import get_logger
from services.store import archive_catalog as archived
from services.store.archive_catalog import Chunk, snapshot
from services.store.postgres.pool import connect
from services.store.registry import load as registry
from services.store.statements import late_readings
from services.store.statements import sealed_days as seals
from services.store.statements import transparency_log as log
from services.store.statements.sealed_days import Seal
from services.store.timeseries import readings
from services.store.timeseries.readings import arrival_flags_of
from services.vault import Day, Part

# number of readings of a block: two devices every ten seconds for a day; a device-day is never
# divided
_ROWS = 17_280
# delay that an archive run makes up for by a higher speed, at most [s]
_BEHIND_S = 1.0


class Pace:
    """Limit of an archive run's speed, in readings per second."""

    def __init__(self, rows_per_s: float | None) -> None:
        self._rows_per_s, self._until = rows_per_s, time.monotonic()

    def did(self, rows: int) -> None:
        """Wait as long as the speed limit requires after a number of rows."""
        if self._rows_per_s is None:
            return
        now = time.monotonic()
        self._until = max(self._until, now - _BEHIND_S) + rows / self._rows_per_s
        if self._until > now:
            time.sleep(self._until - now)


def batches(leaves: Iterable[DayLeaf]) -> Iterator[list[DayLeaf]]:
    """Yield device-days in order, in blocks of at most `_ROWS` readings, or of one device-day."""
    subset: list[DayLeaf] = []
    rows = 0
    for leaf in leaves:
        if subset and rows + leaf.rows > _ROWS:
            yield subset
            subset, rows = [], 0
        subset.append(leaf)
        rows += leaf.rows
    if subset:
        yield subset


@dataclass
class Report:
    """
    Results of an archive run.

    `days`, `parts`, `rows`, `bytes`: newly archived sealed days, their files, rows and bytes.
    `dropped`: chunks dropped from the database.
    `waiting`: chunks that could not be dropped yet, with the reason.
    `refused`: days that differ from their seal, which are not archived.
    """

    days: int = 0
    parts: int = 0
    rows: int = 0
    bytes: int = 0
    dropped: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


class Run(NamedTuple):
    """State shared by the steps of an archive run."""

    conn: Connection
    archive: Archive
    fleet: Fleet
    pace: Pace
    report: Report


def read_day(cursor: Cursor, fleet: Fleet, class_id: str, names: Sequence[str], day: Day) -> Frame:
    """Return readings of some devices on a day, stored and archived, by device and time."""
    after = {fleet.by_id[name]: day.from_us - 1 for name in names}
    return readings.fetch(cursor, fleet, class_id, after, day.to_us)


def leaves_of(fleet: Fleet, frame: Frame, day: Day) -> list[DayLeaf]:
    """Return the Merkle leaves of a day's readings, as in the log."""
    return [
        leaf
        for block in device_days.blocks(frame)
        for leaf in reading_leaves(fleet, block, day.timezone)
    ]


def archive_day(now: Run, seal: Seal) -> None:
    """Archive what is missing of a sealed day; once nothing is missing, record that."""
    entry, detail = log.at(now.conn, seal.entry)
    body = canonical.parse_object(entry.body)
    begin, end = (int(edge.timestamp() * 1e6) for edge in (seal.begin, seal.end))
    day = Day(seal.project, seal.day, body["timezone"], begin, end, seal.entry)
    have = {
        (part.class_id, name): leaf
        for part in archived.newest(archived.of_day(now.conn, seal.project, seal.day))
        for name, leaf in part.leaves.items()
    }
    todo = [
        leaf
        for leaf in sealed_leaves(body, detail)["readings"]
        if have.get((_class_of(leaf), leaf.device)) != leaf
    ]
    whole = True
    for (class_id, site), leaves in groupby(
        sorted(todo, key=_by_file(now.fleet)), _file(now.fleet)
    ):
        whole &= _archive_part(now, day, class_id, site, list(leaves))
    if whole:
        archived.add_day(now.conn, day)
        now.report.days += 1


def _class_of(leaf: DayLeaf) -> str:
    return leaf.table.removeprefix("reading_")


def _file(fleet: Fleet) -> Callable[[DayLeaf], tuple[str, str]]:
    """Return a function from a device-day to (class, site): each pair has a file of its own."""

    def of(leaf: DayLeaf) -> tuple[str, str]:
        index = fleet.by_id.get(leaf.device)
        return _class_of(leaf), "unknown" if index is None else fleet.devices[index].site

    return of


def _by_file(fleet: Fleet) -> Callable[[DayLeaf], tuple[str, str, str]]:
    of = _file(fleet)
    return lambda leaf: (*of(leaf), leaf.device)


def _archive_part(now: Run, day: Day, class_id: str, site: str, leaves: list[DayLeaf]) -> bool:
    """Write one file; return whether its readings agree with the seal."""
    writer = vault_table.Writer(class_id)
    ends: dict[str, tuple[int, int]] = {}
    for batch in batches(leaves):
        # each device-day is compared with its seal, so batches may use different snapshots
        with snapshot(now.conn), now.conn.cursor() as cursor:
            names = [leaf.device for leaf in batch if leaf.device in now.fleet.by_id]
            frame = read_day(cursor, now.fleet, class_id, names, day)
            result = {leaf.device: leaf for leaf in leaves_of(now.fleet, frame, day)}
            wrong = [leaf for leaf in batch if result.get(leaf.device) != leaf]
            if wrong:
                _refuse(now, cursor, day, {leaf.device for leaf in wrong})
                return False
            flags = arrival_flags_of(cursor, class_id, names, day.from_us, day.to_us)
        ends |= _write(writer, now.fleet, frame, flags)
        now.pace.did(len(frame))
    data = writer.close()
    made, manifest = parts.of(
        now.archive.id, day, class_id, site, data, {leaf.device: leaf for leaf in leaves}
    )
    _keep(now, made, data, manifest)
    archived.add(now.conn, made, ends)
    now.report.parts += 1
    now.report.rows += made.rows
    now.report.bytes += made.bytes + len(manifest)
    return True


def _refuse(now: Run, cursor: Cursor, day: Day, devices: Collection[str]) -> None:
    """Record the reason why devices are not archived, from the snapshot in which they differed."""
    whose = f"{day.day} {day.project or 'without project'}"
    last = seals.last_of(now.conn, day.project, [day.day])[day.day]
    if last.entry != day.seal:
        now.report.waiting.append(f"{whose}: sealed again meanwhile; the next run archives it")
        return
    fleet = registry.load_fleet(now.conn)
    ((_, changes, *_),) = compared(cursor, fleet, [sealed_day(now.conn, last)])
    now.report.refused += [
        f"{difference.table} of {difference.device} on {difference.day} differs from its seal,"
        f" {difference.change}; "
        "see `tonne log audit`"
        for difference in changes.by_hand
        if difference.device in devices
    ]
    late = [difference.device for difference in changes.late if difference.device in devices]
    if late:
        now.report.waiting.append(
            f"{whose}: late readings of {', '.join(late)} are not sealed yet; run `tonne log seal`"
        )


def _write(
    writer: vault_table.Writer, fleet: Fleet, frame: Frame, content: Mapping[tuple[str, int], str]
) -> dict[str, tuple[int, int]]:
    """
    Write devices in order of their ids; return the times of each one's first and last
    row. [us UTC]
    """
    edges = np.flatnonzero(np.append(True, frame.device[1:] != frame.device[:-1]))
    ends = {}
    for begin, end in zip(edges.tolist(), [*edges[1:].tolist(), len(frame)], strict=True):
        name = fleet.devices[frame.device[begin]].id
        own = device_days.part(frame, begin, end)
        times = own.time_us.tolist()
        flags = {k: content[name, us] for k, us in enumerate(times) if (name, us) in content}
        writer.add(name, own, flags if content else {})
        ends[name] = times[0], times[-1]
    return ends


def _keep(now: Run, made: Part, data: bytes, manifest: bytes) -> None:
    """Write a file and its manifest, read both back, and compare the rows with their seal."""
    place = now.archive.place
    place.keep(made.path, data)
    place.keep(parts.manifest_path(made.path), manifest)
    # the bytes read back are those written; now their contents are compared
    vault_table.read_bytes(made, data, f"archive {place.url}: {made.path}")


def drop(now: Run, chunk: Chunk) -> None:
    """Drop a chunk if rows and archive, both read again, are equal."""
    what = f"{chunk.class_id} from {utc_text(chunk.from_us)} to {utc_text(chunk.to_us)}"
    trouble = _proof(now, chunk)
    if trouble:
        now.report.waiting.append(f"{what}: {trouble}")
        return
    why = archived.drop(now.conn, chunk)
    if why:
        now.report.waiting.append(f"{what}: {_REASONS.get(why, why)}")
    else:
        now.report.dropped.append(what)


_REASONS = {
    "readers": "another process reads or writes old readings; the next run tries again",
    "late": "late readings are not sealed yet; run `tonne log seal`, then run again",
    "held": "kept since it was restored",
    "sealed again": "days in it differ from their latest seal; run again",
}


def _proof(now: Run, chunk: Chunk) -> str:
    """Return why a chunk must not be dropped; '' if it may."""
    with now.conn.cursor() as cursor:
        if archived.contains_restored(cursor, chunk):
            return _REASONS["held"]
        every = [d.id for d in now.fleet.devices if d.class_id == chunk.class_id]
        result = archived.newest(
            archived.parts(cursor, chunk.class_id, every, chunk.from_us, chunk.to_us)
        )
    if not result:
        return "no day of it is archived yet: days are archived after `tonne log seal` sealed them"
    for part in result:
        for leaves in batches(part.leaves.values()):
            subset = [leaf.device for leaf in leaves]
            with snapshot(now.conn), now.conn.cursor() as cursor:
                frame = read_day(cursor, now.fleet, chunk.class_id, subset, part.day)
                late = late_readings.waits(
                    cursor.connection, subset, part.day.from_us, part.day.to_us
                )
            now.pace.did(len(frame))
            same = {leaf.device: leaf for leaf in leaves_of(now.fleet, frame, part.day)}
            wrong = [name for name in subset if same.get(name) != part.leaves[name]]
            if late:
                return _REASONS["late"]
            if wrong:
                return f"device {wrong[0]} on {part.day.day} has readings in no part"
    return ""


_RUNNING = "hashtextextended('tonne archive run', 0)"
_MAX_LISTED = 10


def run(
    conn: Connection,
    url: str | None,
    before_us: int,
    *,
    rows_per_s: float | None = None,
    step: Callable[[str], None] = lambda _: None,
) -> Report:
    """
    Archive the sealed days that ended before a time; return the results.

    `conn`: connection in autocommit, as `tonne_archive`.
    `url`: location of the archive (folder or s3:// URL), required if the database has none yet.
    `before_us`: [us UTC]
    `rows_per_s`: maximum number of readings per second.
    `step`: called with the name of each step.
    Raises InputError if another run is active.
    Raises DamagedError or VaultError if the archive's location is wrong or cannot be used.
    """
    with _alone(conn):
        archive = home.find_or_make(conn, url)
        archive.place.clear()
        now = Run(conn, archive, registry.load_fleet(conn), Pace(rows_per_s), Report())
        done = archived.done(conn)
        for seal in sorted(seals.latest(conn).values(), key=lambda s: (s.end, s.project)):
            ends_us = int(seal.end.timestamp() * 1e6)
            if ends_us <= before_us and (seal.project, seal.day, seal.entry) not in done:
                step(f"{seal.day} {seal.project or 'without project'}")
                archive_day(now, seal)
        for chunk in archived.chunks(conn, before_us):
            step(f"{chunk.class_id} from {utc_text(chunk.from_us)}")
            drop(now, chunk)
    return now.report


@contextmanager
def _alone(conn: Connection) -> Iterator[None]:
    row = conn.execute(f"SELECT pg_try_advisory_lock({_RUNNING})").fetchone()
    if row != (True,):
        raise InputError("another `tonne archive` is running on this database; wait until it ends")
    try:
        yield
    finally:
        if not conn.closed:
            conn.execute(f"SELECT pg_advisory_unlock({_RUNNING})")


def forever(
    url: str, place: str | None, keep_us: int, every_s: float, *, rows_per_s: float | None = None
) -> None:
    """
    Archive repeatedly until stopped.

    `url`: database.
    `place`: location of the archive (folder or s3:// URL), required if the database has none yet.
    `keep_us`: time for which days stay in the database. [us]
    `every_s`: time from the start of a round to that of the next. [s]
    """
    log = get_logger("archive")
    while True:
        began = time.monotonic()
        archive_once(url, place, now_us() - keep_us, log, rows_per_s=rows_per_s)
        time.sleep(max(0.0, every_s - (time.monotonic() - began)))


def archive_once(
    url: str,
    place: str | None,
    before_us: int,
    log: FilteringBoundLogger,
    *,
    rows_per_s: float | None = None,
) -> bool:
    """Archive due days and log the result; return False after a failure."""
    try:
        with connect(url, role="tonne_archive", name="tonne archive", autocommit=True) as conn:
            report = run(conn, place, before_us, rows_per_s=rows_per_s)
    except (InputError, ServerError, psycopg.Error) as error:
        log.warning("not archived", reason=" ".join(str(error).split()))
        return False
    for what in report.refused[:_MAX_LISTED]:
        log.error("differs from its seal, not archived", what=what)
    log.info(
        "archived",
        days=report.days,
        files=report.parts,
        readings=report.rows,
        dropped=report.dropped,
        waiting=report.waiting[:_MAX_LISTED],
        refused=len(report.refused),
    )
    return not report.refused
