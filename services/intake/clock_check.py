"""
Comparison of the machine's clock with the database's at start.

With a slow clock valid readings would be refused as being in the future, with a fast one wrong ones
accepted.
"""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from ingest.errors import InputError
from services.clock import now_us

APART_US = 30_000_000


def database_offset_us(connection: Connection[Any]) -> int:
    """Return how far the database's clock is ahead of the machine's. [us]"""
    row = connection.execute(
        "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
    ).fetchone()
    return abs(now_us() - int(row[0])) if row else 0


def require_same_time(connection: Connection[Any]) -> None:
    """
    Refuse to start with a wrong clock.

    Raises
    ------
    InputError
        When it differs by more than half a minute from the database's.
    """
    apart = database_offset_us(connection)
    if apart > APART_US:
        raise InputError(
            f"this machine's clock and the database's are {apart / 1e6:.0f} s apart; readings "
            "would be checked against a wrong time. Synchronise both: timedatectl set-ntp true"
        )
