"""
Bring archived readings back into the database, for as long as they are wanted.

What is there stays; what is missing is put beside it, a part a transaction.  The
archive keeps its copy, and a hold keeps the next run from dropping the rows.
Killed anywhere, the same command puts back what is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from psycopg import Connection

from services.archive import location as home
from services.archive.verify import Wanted
from services.store.archive import archived_readings as cold
from services.store.archive import catalog as archived
from services.store.archive.archived_readings import Asked
from services.store.postgres.columnstore import lift_limit
from services.store.registry import load as registry
from services.vault.part import Part


@dataclass
class Restored:
    """How many parts were read, and how many readings came back."""

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
    Bring readings back.

    Parameters
    ----------
    conn : Connection
        In autocommit, as `tonne_ingest`: readings are added as the pipeline adds them.
    wanted : Wanted
        A span, and devices if not all.
    days : int
        How long they stay.

    Raises
    ------
    DamagedError, VaultError
        If the archive cannot give them back as they were sealed.
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
    asked = [Asked(name, number, begin, end) for number, name in enumerate(names)]
    with conn.transaction(), conn.cursor() as cursor:
        archived.guard(cursor)
        found = cold.fetch(cursor, part.class_id, asked)
        if not found.frames:
            return 0
        name = cold.thaw(cursor, part.class_id, dict(enumerate(names)), found)
        cursor.execute(
            f"INSERT INTO reading_{part.class_id} SELECT * FROM {name} ON CONFLICT DO NOTHING"
        )
        return cursor.rowcount
