"""
Move sealed days to the archive, then drop what is wholly there.

A day's readings are read in one snapshot and must be what the log sealed.  They
are written, read back, decoded and held against the same leaves; only then is
the part recorded.  A chunk of the database is dropped once all that it holds
was read again from both places and is the same.  Killed anywhere, the next run
does what is missing: files are named by what they hold, so writing one again
writes the same.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ingest.errors import InputError
from mrv import canonical
from mrv.calendar import utc_text
from mrv.statement import evidence
from mrv.statement.device_days import reading_leaves
from services.archive import home
from services.archive.pace import Pace, batches
from services.issuer.changes import sealed_leaves
from services.issuer.close import snapshot
from services.store import archived, log, readings, registry, seals
from services.store.readings import said_of
from services.vault import part as parts
from services.vault import table
from services.vault.part import Day, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from psycopg import Connection, Cursor
    from psycopg.rows import TupleRow

    from ingest.model import Fleet, Frame
    from mrv.digest import DayLeaf
    from services.archive.home import Archive
    from services.store.archived import Chunk
    from services.store.seals import Seal

_DAY_US = 86_400_000_000
_RUNNING = "hashtextextended('tonne archive run', 0)"


@dataclass
class Report:
    """
    What a run did.

    Attributes
    ----------
    days, parts, rows, bytes : int
        Sealed days that are in the archive now, files made for them, and what those hold.
    dropped : list of str
        Chunks that left the database.
    waiting : list of str
        What could not be dropped yet, and why.
    refused : list of str
        Days that are not as they were sealed: left where they are.
    """

    days: int = 0
    parts: int = 0
    rows: int = 0
    bytes: int = 0
    dropped: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


class Run(NamedTuple):
    """What the steps of a run share."""

    conn: Connection[TupleRow]
    archive: Archive
    fleet: Fleet
    pace: Pace
    report: Report


def run(
    conn: Connection[TupleRow],
    url: str | None,
    before_us: int,
    *,
    rows_per_s: float | None = None,
    step: Callable[[str], None] = lambda _: None,
) -> Report:
    """
    Archive the sealed days that ended before a time.

    Parameters
    ----------
    conn : Connection
        In autocommit, as `tonne_archive`.
    url : str, optional
        Where, if this is the first run and no setting says it.
    before_us : int
        [us UTC]
    rows_per_s : float, optional
        Readings that the run may work through in a second.
    step : callable, optional
        Told what is done next, for people who watch.

    Raises
    ------
    InputError
        If another run is at work.
    DamagedError, VaultError
        As the archive's place is found.
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
                _archive_day(now, seal)
        for chunk in archived.chunks(conn, before_us):
            step(f"{chunk.class_id} from {utc_text(chunk.from_us)}")
            _drop(now, chunk)
    return now.report


@contextmanager
def _alone(conn: Connection[TupleRow]) -> Iterator[None]:
    row = conn.execute(f"SELECT pg_try_advisory_lock({_RUNNING})").fetchone()
    if row != (True,):
        raise InputError("another `tonne archive` is at work on this database; let it end")
    try:
        yield
    finally:
        if not conn.closed:
            conn.execute(f"SELECT pg_advisory_unlock({_RUNNING})")


def _archive_day(now: Run, seal: Seal) -> None:
    """Archive what of a sealed day is not archived yet, and note when all of it is."""
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
    for (class_id, site), some in groupby(sorted(todo, key=_by_file(now.fleet)), _file(now.fleet)):
        whole &= _archive_part(now, day, class_id, site, list(some))
    if whole:
        archived.add_day(now.conn, day)
        now.report.days += 1


def _class_of(leaf: DayLeaf) -> str:
    return leaf.table.removeprefix("reading_")


def _file(fleet: Fleet) -> Callable[[DayLeaf], tuple[str, str]]:
    """Class and site by which readings are filed."""

    def of(leaf: DayLeaf) -> tuple[str, str]:
        index = fleet.by_id.get(leaf.device)
        return _class_of(leaf), "unknown" if index is None else fleet.devices[index].site

    return of


def _by_file(fleet: Fleet) -> Callable[[DayLeaf], tuple[str, str, str]]:
    of = _file(fleet)
    return lambda leaf: (*of(leaf), leaf.device)


def _archive_part(now: Run, day: Day, class_id: str, site: str, leaves: list[DayLeaf]) -> bool:
    """Make one file; whether its readings are what was sealed."""
    writer = table.Writer(class_id)
    ends: dict[str, tuple[int, int]] = {}
    for some in batches(leaves):
        # each device-day is held against its seal, so each batch may see a state of its own
        with snapshot(now.conn), now.conn.cursor() as cursor:
            names = [leaf.device for leaf in some if leaf.device in now.fleet.by_id]
            frame = read_day(cursor, now.fleet, class_id, names, day)
            found = {leaf.device: leaf for leaf in leaves_of(now.fleet, frame, day)}
            wrong = [leaf for leaf in some if found.get(leaf.device) != leaf]
            said = said_of(cursor, class_id, names, day.from_us, day.to_us)
        if wrong:
            _refuse(now, day, wrong)
            return False
        ends |= _write(writer, now.fleet, frame, said)
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


def _refuse(now: Run, day: Day, wrong: Sequence[DayLeaf]) -> None:
    if _noted(now.conn, {leaf.device for leaf in wrong}):
        now.report.waiting.append(
            f"{day.day} {day.project or 'without project'}: late readings wait for their seal;"
            " `tonne log seal`"
        )
        return
    now.report.refused.append(
        f"{wrong[0].table} of {wrong[0].device} on {wrong[0].day} is not as it was sealed;"
        " `tonne log audit` tells more"
    )


def _noted(conn: Connection[TupleRow], devices: set[str]) -> bool:
    """Whether late readings of some of these devices wait for their seal."""
    return any(one.device in devices for one in seals.late_days(conn))


def read_day(
    cursor: Cursor[TupleRow], fleet: Fleet, class_id: str, names: Sequence[str], day: Day
) -> Frame:
    """Readings of some devices on a day, stored and archived, by device and time."""
    after = {fleet.by_id[name]: day.from_us - 1 for name in names}
    return readings.fetch(cursor, fleet, class_id, after, day.to_us)


def leaves_of(fleet: Fleet, frame: Frame, day: Day) -> list[DayLeaf]:
    """Leaves of a day's readings, as the log has them."""
    return [
        leaf
        for block in evidence.blocks(frame)
        for leaf in reading_leaves(fleet, block, day.timezone)
    ]


def _write(
    writer: table.Writer, fleet: Fleet, frame: Frame, said: Mapping[tuple[str, int], str]
) -> dict[str, tuple[int, int]]:
    """Write devices in order of their ids; return the times of each one's first and last row."""
    edges = np.flatnonzero(np.append(True, frame.device[1:] != frame.device[:-1]))
    ends = {}
    for begin, end in zip(edges.tolist(), [*edges[1:].tolist(), len(frame)], strict=True):
        name = fleet.devices[frame.device[begin]].id
        own = evidence.part(frame, begin, end)
        times = own.time_us.tolist()
        flags = {k: said[name, us] for k, us in enumerate(times) if (name, us) in said}
        writer.add(name, own, flags if said else {})
        ends[name] = times[0], times[-1]
    return ends


def _keep(now: Run, made: Part, data: bytes, manifest: bytes) -> None:
    """Write a file and its manifest, read both back, and hold the rows against their seal."""
    place = now.archive.place
    place.keep(made.path, data)
    place.keep(parts.manifest_path(made.path), manifest)
    # the bytes that came back are those that were written; now what they say
    table.read_bytes(made, data, f"archive {place.url}: {made.path}")


def _drop(now: Run, chunk: Chunk) -> None:
    """Drop a chunk if all of it is in the archive, read again from both places."""
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
    "readers": "somebody reads or writes old readings; the next run tries again",
    "late": "late readings wait for their seal; `tonne log seal`, then run again",
    "held": "held since it was restored",
    "sealed again": "days in it are not archived as they were sealed last; run again",
}


def _proof(now: Run, chunk: Chunk) -> str:
    """What speaks against dropping a chunk; '' for nothing."""
    with now.conn.cursor() as cursor:
        if archived.held(cursor, chunk):
            return _REASONS["held"]
        every = [d.id for d in now.fleet.devices if d.class_id == chunk.class_id]
        found = archived.newest(
            archived.parts(cursor, chunk.class_id, every, chunk.from_us, chunk.to_us)
        )
    if not found:
        return "nothing of it is archived yet"
    for one in found:
        for leaves in batches(one.leaves.values()):
            some = [leaf.device for leaf in leaves]
            with snapshot(now.conn), now.conn.cursor() as cursor:
                frame = read_day(cursor, now.fleet, chunk.class_id, some, one.day)
            now.pace.did(len(frame))
            same = {leaf.device: leaf for leaf in leaves_of(now.fleet, frame, one.day)}
            wrong = [name for name in some if same.get(name) != one.leaves[name]]
            if wrong and _noted(now.conn, set(wrong)):
                return _REASONS["late"]
            if wrong:
                return f"device {wrong[0]} on {one.day.day} has readings that no part holds"
    return ""
