"""
What readings have no rows yet: noted in the transaction that stores them, a row a commit.

Among workers it is a row a commit and home: the partition that answers for the devices.

Who makes the rows takes the note away in the transaction that holds them.  What a process left
behind, killed or cut off from the database, is folded into `remake_request`: there it waits by
device, in spans that one transaction can hold.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from psycopg import Connection, Cursor

from ingest.model import Fleet
from services.store.postgres.arrays import of_ids, of_numbers
from services.store.postgres.timestamps import FAR_US, stamp


def note(
    cursor: Cursor, fleet: Fleet, spans: Mapping[int, tuple[int, int]], home: int | None = None
) -> int:
    """
    Note devices with the first and the last reading that changed; return the note's number.

    Parameters
    ----------
    spans : mapping of int to (int, int)
        By fleet index. [us UTC]
    home : int, optional
        The partition of all these devices.
    """
    first, last = zip(*spans.values(), strict=True)
    cursor.execute(
        "INSERT INTO underived (devices, first, last, home) VALUES (%s::text[], %s, %s, %s)"
        " RETURNING id",
        (of_ids(fleet.ids(list(spans))), of_numbers(first), of_numbers(last), home),
    )
    row = cursor.fetchone()
    assert row is not None  # noqa: S101 (an INSERT that returns)
    return int(row[0])


def drop(cursor: Cursor, notes: Sequence[int]) -> bool:
    """Take notes away in the transaction that holds their rows; whether all were there."""
    cursor.execute("DELETE FROM underived WHERE id = ANY(%s)", (list(notes),))
    return cursor.rowcount == len(notes)


def fold(cursor: Cursor, homes: Collection[int] | None = None) -> None:
    """
    Turn notes into waiting devices; existing requests are extended.

    Parameters
    ----------
    homes : collection of int, optional
        Only notes of these partitions, or without one; else all.
    """
    cursor.execute("SELECT tonne_fold_underived(%s)", (None if homes is None else sorted(homes),))


def waiting(cursor: Cursor, ids: Sequence[str], before_us: int = FAR_US) -> set[str]:
    """Return the devices without rows for readings before a time, or any. [us UTC]"""
    cursor.execute(
        "SELECT DISTINCT device_id FROM v_underived WHERE device_id = ANY(%s) AND from_time < %s",
        (list(ids), stamp(before_us)),
    )
    return {device_id for (device_id,) in cursor.fetchall()}


def just_stored(cursor: Cursor, ids: Sequence[str]) -> bool:
    """Return whether rows of a device are about to be derived from new readings."""
    cursor.execute(
        "SELECT EXISTS (SELECT FROM underived WHERE devices && %s"
        " AND stored > clock_timestamp() - INTERVAL '1 minute')",
        (list(ids),),
    )
    return cursor.fetchone() == (True,)


def age_s(connection: Connection) -> float:
    """How long the oldest reading of a note has waited for its rows; 0 where none waits. [s]"""
    row = connection.execute(
        "SELECT extract(epoch FROM clock_timestamp() - min(stored))::double precision"
        " FROM underived"
    ).fetchone()
    return max(float(row[0]), 0.0) if row and row[0] is not None else 0.0
