"""
Notes of stored readings without derived rows, one row per commit.

With workers it is a row per commit and partition.

The transaction that writes the derived rows deletes the note.  Notes left by an interrupted process
become `remake_request` rows, executed in spans that one transaction can hold.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from psycopg import Connection, Cursor

from ingest.model import Fleet
from services.store.postgres.values import FAR_US, of_ids, of_numbers, stamp


def note(
    cursor: Cursor, fleet: Fleet, spans: Mapping[int, tuple[int, int]], home: int | None = None
) -> int:
    """
    Note devices with the first and last changed reading; return the note's id.

    Parameters
    ----------
    spans : mapping of int to (int, int)
        Spans by fleet index. [us UTC]
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
    """Delete notes in the transaction that writes their rows; return whether all existed."""
    cursor.execute("DELETE FROM underived WHERE id = ANY(%s)", (list(notes),))
    return cursor.rowcount == len(notes)


def fold(cursor: Cursor, homes: Collection[int] | None = None) -> None:
    """
    Convert notes into requests; existing requests are extended.

    Parameters
    ----------
    homes : collection of int, optional
        Only notes of these partitions, or without partition; by default all.
    """
    cursor.execute("SELECT tonne_fold_underived(%s)", (None if homes is None else sorted(homes),))


def waiting(cursor: Cursor, ids: Sequence[str], before_us: int = FAR_US) -> set[str]:
    """Return devices with readings before a time that have no derived rows. [us UTC]"""
    cursor.execute(
        "SELECT DISTINCT device_id FROM v_underived WHERE device_id = ANY(%s) AND from_time < %s",
        (list(ids), stamp(before_us)),
    )
    return {device_id for (device_id,) in cursor.fetchall()}


def just_stored(cursor: Cursor, ids: Sequence[str]) -> bool:
    """Return whether derived rows of a device are about to be calculated from new readings."""
    cursor.execute(
        "SELECT EXISTS (SELECT FROM underived WHERE devices && %s"
        " AND stored > clock_timestamp() - INTERVAL '1 minute')",
        (list(ids),),
    )
    return cursor.fetchone() == (True,)


def age_s(connection: Connection) -> float:
    """Return how long the oldest noted reading has waited for its rows; 0 if none waits. [s]"""
    row = connection.execute(
        "SELECT extract(epoch FROM clock_timestamp() - min(stored))::double precision"
        " FROM underived"
    ).fetchone()
    return max(float(row[0]), 0.0) if row and row[0] is not None else 0.0
