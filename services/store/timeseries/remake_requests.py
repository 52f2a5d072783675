"""Devices whose derived rows are to be made again after a registry change."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg import Connection, Cursor
    from psycopg.rows import TupleRow

AT_ONCE = 50


def waiting(connection: Connection[TupleRow]) -> list[str]:
    """Return the ids of devices that are asked for."""
    rows = connection.execute("SELECT device_id FROM remake_request ORDER BY device_id")
    return [device_id for (device_id,) in rows]


def portions(ids: Sequence[str]) -> list[Sequence[str]]:
    """Cut ids into what one transaction makes again."""
    return [ids[at : at + AT_ONCE] for at in range(0, len(ids), AT_ONCE)]


def take(cursor: Cursor[TupleRow], ids: Sequence[str], version: int) -> list[str]:
    """
    Take requests to answer them in this transaction; return the devices.

    Parameters
    ----------
    version : int
        Of the registry that they are answered by; none is taken where there is a newer one.
    """
    cursor.execute(
        "DELETE FROM remake_request WHERE device_id IN (SELECT device_id"
        " FROM remake_request WHERE device_id = ANY(%s)"
        " ORDER BY device_id FOR UPDATE SKIP LOCKED)"
        " AND %s = (SELECT coalesce(max(version), 0) FROM registry_version)"
        " RETURNING device_id",
        (list(ids), version),
    )
    return [device_id for (device_id,) in cursor.fetchall()]
