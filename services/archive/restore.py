"""
Lists of the archive's contents, and temporary restoring of readings into the database.

Existing rows stay; missing ones are added, one part per transaction.  The archive keeps its copy,
and a hold prevents the next run from dropping the rows. An interrupted command can be repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from psycopg import Connection

from mrv.calendar import utc_text
from services.archive import verify as home
from services.archive.verify import Wanted
from services.store.archive import archived_readings as cold
from services.store.archive import catalog as archived
from services.store.archive.archived_readings import ReadingSpan
from services.store.postgres.columnstore import lift_limit
from services.store.registry import load as registry
from services.vault.part import Part


class Month(NamedTuple):
    """Archived readings of a class in a month: days, files, readings, bytes."""

    month: str
    class_id: str
    days: int
    files: int
    rows: int
    bytes: int


def months(conn: Connection, wanted: Wanted) -> list[Month]:
    """Return the archive's contents by month and class."""
    by: dict[tuple[str, str], list[Any]] = {}
    for part in wanted.of(archived.every(conn)):
        by.setdefault((f"{part.day.day:%Y-%m}", part.class_id), []).append(part)
    return [
        Month(
            *key,
            len({p.day.day for p in some}),
            len(some),
            sum(p.rows for p in some),
            sum(p.bytes for p in some),
        )
        for key, some in sorted(by.items())
    ]


def files(conn: Connection, wanted: Wanted) -> list[dict[str, Any]]:
    """Return a row for every file of the archive."""
    return [
        {
            "path": part.path,
            "class": part.class_id,
            "site": part.site,
            "project": part.day.project or None,
            "day": part.day.day.isoformat(),
            "from": utc_text(part.day.from_us),
            "to": utc_text(part.day.to_us),
            "seal": part.day.seal,
            "devices": len(part.leaves),
            "rows": part.rows,
            "bytes": part.bytes,
            "sha256": part.sha256,
        }
        for part in wanted.of(archived.every(conn))
    ]


@dataclass
class Restored:
    """Number of parts read, and of readings restored."""

    parts: int = 0
    rows: int = 0


def restore(
    conn: Connection,
    wanted: Wanted,
    days: int,
    reason: str,
    step: Callable[[str], None] = lambda _: None,
) -> Restored:
    """
    Restore archived readings into the database; return their number.

    Parameters
    ----------
    conn : Connection
        Connection in autocommit, as `tonne_ingest`, like the pipeline.
    wanted : Wanted
        A time span, and devices if not all.
    days : int
        Number of days for which they stay.

    Raises
    ------
    DamagedError, VaultError
        If the archived readings differ from their seal, or cannot be read.
    """
    out = Restored()
    lift_limit(conn)
    home.find(conn)
    ids = [device.id for device in registry.load_fleet(conn).devices]
    parts = archived.newest(wanted.of(archived.every(conn)))
    archived.hold(conn, wanted.from_us, wanted.to_us, days, reason)
    for part in parts:
        step(part.path)
        out.parts += 1
        out.rows += _put_back(conn, part, wanted, frozenset(ids))
    return out


def _put_back(conn: Connection, part: Part, wanted: Wanted, known: frozenset[str]) -> int:
    names = sorted((wanted.devices or part.leaves.keys()) & part.leaves.keys() & known)
    begin, end = max(wanted.from_us, part.day.from_us), min(wanted.to_us, part.day.to_us)
    requests = [ReadingSpan(name, number, begin, end) for number, name in enumerate(names)]
    with conn.transaction(), conn.cursor() as cursor:
        archived.guard(cursor)
        result = cold.fetch(cursor, part.class_id, requests)
        if not result.frames:
            return 0
        name = cold.thaw(cursor, part.class_id, dict(enumerate(names)), result)
        cursor.execute(
            f"INSERT INTO reading_{part.class_id} SELECT * FROM {name} ON CONFLICT DO NOTHING"
        )
        return cursor.rowcount
