"""Catalogue of the archive in the database: location, parts, days, dropped chunks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

from psycopg import Connection, Cursor
from psycopg.pq import TransactionStatus

from ingest.errors import InputError
from mrv.signatures.day_digests import DayLeaf
from services.settings import Settings
from services.store.postgres.pool import stamp
from services.vault import Day, Part, Place

# shared lock for reading and writing old rows, exclusive lock for dropping them
_LOCK = "hashtextextended('tonne archived readings', 0)"
_US = "(extract(epoch FROM {}) * 1000000)::bigint"
_PART = (
    f"p.project_id, p.day, p.timezone, {_US.format('p.from_time')}, {_US.format('p.to_time')},"
    " p.seal_index, p.class_id, p.site, p.path, p.bytes, encode(p.sha256, 'hex'),"
    " encode(p.manifest, 'hex'), p.devices, p.counts, p.leaves"
)
_DAY_FIELDS, _HASH = 6, 32


class Home(NamedTuple):
    """Archive of a database: its id, and the location recorded at its creation."""

    id: str
    url: str


def guard(cursor: Cursor) -> None:
    """Prevent the dropping of chunks until the transaction ends; waits for a drop in progress."""
    cursor.execute(f"SELECT pg_advisory_xact_lock_shared({_LOCK})")


@contextmanager
def guarded(connection: Connection) -> Iterator[None]:
    """Context of the lock of `guard`, for several transactions."""
    connection.execute(f"SELECT pg_advisory_lock_shared({_LOCK})")
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute(f"SELECT pg_advisory_unlock_shared({_LOCK})")


@contextmanager
def snapshot(conn: Connection) -> Iterator[None]:
    """Context of one database snapshot (or the open transaction), in which no chunk is dropped."""
    fresh = conn.info.transaction_status is TransactionStatus.IDLE
    with conn.transaction():
        if fresh:
            conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        with conn.cursor() as cursor:
            guard(cursor)
        yield


def home(cursor: Cursor) -> Home | None:
    """Return the database's archive; None before the first run."""
    cursor.execute("SELECT id::text, url FROM archive_place")
    row = cursor.fetchone()
    return None if row is None else Home(*row)


def place_of(cursor: Cursor) -> Place:
    """Return the location of archived readings: from the settings, else the recorded one."""
    result = home(cursor)
    if result is None:
        raise InputError("this database has no archive; `tonne archive run` creates one")
    return opened(Settings().archive_url or result.url)


@lru_cache(maxsize=4)
def opened(url: str) -> Place:
    """Return the archive at a URL; its connections are cached for the process."""
    return Place(url)


def add_home(cursor: Cursor, place: Home) -> None:
    """Record the location of the archive; it cannot be changed."""
    cursor.execute("INSERT INTO archive_place (id, url) VALUES (%s, %s)", place)


def identity(conn: Connection) -> str:
    """Return an id of this database; a physical copy has the same id."""
    row = conn.execute(
        "SELECT s.system_identifier || '/' || d.oid FROM pg_control_system() s, pg_database d"
        " WHERE d.datname = current_database()"
    ).fetchone()
    return str(row[0]) if row else ""


def parts(
    cursor: Cursor, class_id: str, ids: Sequence[str], from_us: int, to_us: int
) -> list[Part]:
    """Return the parts that may contain readings of devices in [from, to), in order of creation."""
    cursor.execute(
        f"SELECT {_PART} FROM archive_part p WHERE p.class_id = %s"
        " AND p.from_time < %s AND p.to_time > %s AND p.devices && %s::text[] ORDER BY p.id",
        (class_id, stamp(to_us), stamp(from_us), list(ids)),
    )
    return [_part(row) for row in cursor.fetchall()]


def of_day(conn: Connection, project: str, day: date) -> list[Part]:
    """Return the parts of a sealed day, in order of creation."""
    rows = conn.execute(
        f"SELECT {_PART} FROM archive_part p WHERE p.project_id = %s AND p.day = %s ORDER BY p.id",
        (project, day),
    )
    return [_part(row) for row in rows]


def at(cursor: Cursor, paths: Sequence[str]) -> list[Part]:
    """Return the parts with the given file names, in order of creation."""
    cursor.execute(
        f"SELECT {_PART} FROM archive_part p WHERE p.path = ANY(%s) ORDER BY p.id", [list(paths)]
    )
    return [_part(row) for row in cursor.fetchall()]


def every(conn: Connection) -> list[Part]:
    """Return all parts, in order of creation."""
    return [_part(row) for row in conn.execute(f"SELECT {_PART} FROM archive_part p ORDER BY p.id")]


def newest(result: Sequence[Part], ids: Collection[str] | None = None) -> list[Part]:
    """
    Return the parts reduced to the device-days that no later part contains.

    `ids`: only these devices; None for all.
    """
    later: set[tuple[str, str, date, str]] = set()
    out: list[Part] = []
    for part in reversed(result):
        kept = {
            name: leaf
            for name, leaf in part.leaves.items()
            if (ids is None or name in ids)
            and (part.class_id, part.day.project, part.day.day, name) not in later
        }
        later.update((part.class_id, part.day.project, part.day.day, name) for name in kept)
        if kept:
            out.append(part._replace(leaves=kept))
    return out[::-1]


def _part(row: Sequence[Any]) -> Part:
    day, rest = Day(*row[:_DAY_FIELDS]), row[_DAY_FIELDS:]
    class_id, site, path, size, sha256, manifest, devices, counts, hashes = rest
    text, table = hashes.hex(), f"reading_{class_id}"
    leaves = {
        name: DayLeaf(name, day.day.isoformat(), table, rows, text[at : at + 2 * _HASH])
        for name, rows, at in zip(devices, counts, range(0, len(text), 2 * _HASH), strict=True)
    }
    return Part(day, class_id, site, path, size, sha256, manifest, leaves)


def add(conn: Connection, part: Part, ends: Mapping[str, tuple[int, int]]) -> None:
    """
    Record a part that has been written and verified.

    `ends`: times of each device's first and last reading in it. [us UTC]
    """
    day = part.day
    with conn.transaction():
        conn.execute(
            "INSERT INTO archive_part (project_id, day, timezone, from_time, to_time, seal_index,"
            " class_id, site, path, bytes, sha256, manifest, rows, devices, counts, leaves)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                day.project, day.day, day.timezone, stamp(day.from_us), stamp(day.to_us), day.seal,
                part.class_id, part.site, part.path, part.bytes, bytes.fromhex(part.sha256),
                bytes.fromhex(part.manifest), part.rows, list(part.leaves),
                [leaf.rows for leaf in part.leaves.values()],
                b"".join(bytes.fromhex(leaf.sha256) for leaf in part.leaves.values()),
            ),
        )  # fmt: skip
        conn.execute(
            "INSERT INTO archive_reach AS r (device_id, class_id, first_time, last_time)"
            " SELECT d.id, %s, d.first, d.last"
            " FROM unnest(%s::text[], %s::timestamptz[], %s::timestamptz[]) AS d (id, first, last)"
            " ON CONFLICT (device_id) DO UPDATE SET"
            " first_time = least(r.first_time, excluded.first_time),"
            " last_time = greatest(r.last_time, excluded.last_time)",
            (
                part.class_id,
                list(ends),
                [stamp(first) for first, _ in ends.values()],
                [stamp(last) for _, last in ends.values()],
            ),
        )


def done(conn: Connection) -> set[tuple[str, date, int]]:
    """Return the completely archived days with their seals: project, day, index in the log."""
    rows = conn.execute("SELECT project_id, day, seal_index FROM archive_day")
    return {(project, day, int(index)) for project, day, index in rows}


def waiting(conn: Connection, before_us: int) -> tuple[int, date | None]:
    """Return how many sealed days that ended before a time are not archived, and the oldest one."""
    row = conn.execute(
        "SELECT count(*), min(s.day) FROM (SELECT DISTINCT ON (project_id, day) project_id, day,"
        " index, to_time FROM data_seal ORDER BY project_id, day, sequence DESC) s"
        " WHERE s.to_time <= %s AND NOT EXISTS (SELECT FROM archive_day a"
        " WHERE (a.project_id, a.day, a.seal_index) = (s.project_id, s.day, s.index))",
        [stamp(before_us)],
    ).fetchone()
    return (int(row[0]), row[1]) if row else (0, None)


def add_day(conn: Connection, day: Day) -> None:
    """Record that a sealed day is completely in the archive."""
    conn.execute(
        "INSERT INTO archive_day (project_id, day, seal_index) VALUES (%s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        (day.project, day.day, day.seal),
    )


def reach(cursor: Cursor, ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return the times of devices' first and last archived reading. [us UTC]"""
    cursor.execute(
        f"SELECT device_id, {_US.format('first_time')}, {_US.format('last_time')}"
        " FROM archive_reach WHERE device_id = ANY(%s)",
        [list(ids)],
    )
    return {name: (int(first), int(last)) for name, first, last in cursor.fetchall()}


class Chunk(NamedTuple):
    """Chunk of a class's readings in the database: start and end. [us UTC]"""

    class_id: str
    from_us: int
    to_us: int


def chunks(conn: Connection, until_us: int) -> list[Chunk]:
    """Return the chunks of readings that end by a time, oldest first."""
    rows = conn.execute(
        f"SELECT hypertable_name, {_US.format('range_start')}, {_US.format('range_end')}"
        " FROM timescaledb_information.chunks WHERE hypertable_schema = 'public'"
        " AND hypertable_name LIKE 'reading\\_%%' AND range_end <= %s ORDER BY 2, 1",
        [stamp(until_us)],
    )
    return [Chunk(name.removeprefix("reading_"), int(a), int(b)) for name, a, b in rows]


def drop(conn: Connection, chunk: Chunk) -> str:
    """Drop a chunk; return an empty text, or the reason why it cannot be dropped."""
    row = conn.execute(
        "SELECT tonne_drop_archived(%s, %s, %s)",
        (chunk.class_id, stamp(chunk.from_us), stamp(chunk.to_us)),
    ).fetchone()
    return str(row[0]) if row else ""


def keep_restored(conn: Connection, from_us: int, to_us: int, days: int, reason: str) -> None:
    """Keep restored readings of [from, to) in the database for a number of days."""
    conn.execute(
        "INSERT INTO archive_hold (from_time, to_time, until, reason)"
        " VALUES (%s, %s, now() + make_interval(days => %s), %s)",
        (stamp(from_us), stamp(to_us), days, reason),
    )


def contains_restored(cursor: Cursor, chunk: Chunk) -> bool:
    """Return whether a chunk contains restored readings to be kept."""
    cursor.execute(
        "SELECT EXISTS (SELECT FROM archive_hold WHERE until > now()"
        " AND from_time < %s AND to_time > %s)",
        (stamp(chunk.to_us), stamp(chunk.from_us)),
    )
    return cursor.fetchone() == (True,)
