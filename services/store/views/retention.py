"""
What stands in the database longer than policy keeps it.

Anyone who removes it says so in a log that no one may read; the rows say it for certain.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta

from psycopg import Connection

# the time by which a row's age is told
_AGED_BY = {"dead_letter": "received", "webhook_event": "at", "clear_sky_day": "day"}


def overdue_s(conn: Connection, days: Mapping[str, int]) -> dict[str, float]:
    """
    Return for how long the oldest row of each table should be gone; by whole days of UTC. [s]

    Parameters
    ----------
    days : mapping of str to int
        Days for which rows of a table are kept, by its name; 0 keeps them, and has no answer.
    """
    midnight = datetime.combine(datetime.now(UTC), time(tzinfo=UTC))
    found = {}
    for table, kept in days.items():
        if kept:
            oldest = _oldest(conn, table, midnight - timedelta(days=kept))
            found[table] = (midnight - timedelta(days=kept) - oldest).total_seconds()
    return found


def _oldest(conn: Connection, table: str, before: datetime) -> datetime:
    """Return the time of a table's oldest row, `before` where none is older."""
    column = _AGED_BY[table]
    row = conn.execute(
        f"SELECT min({column}) FROM {table} WHERE {column} < %s",
        [before.date() if column == "day" else before],
    ).fetchone()
    if row is None or row[0] is None:
        return before
    return datetime.combine(row[0], time(tzinfo=UTC)) if column == "day" else row[0]
