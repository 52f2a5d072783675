"""Dead letters in groups, so that one broken device can be distinguished from a broken fleet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import Connection

from services.store.messages.dead_letter_query import Filter, where

GROUPS = {
    "reason": "d.reason",
    "device": "d.device_id",
    "principal": "d.principal",
    "topic": "d.topic",
    "day": "to_char(d.received AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
}


def group_letters(conn: Connection, wanted: Filter, by: Sequence[str]) -> list[dict[str, Any]]:
    """
    Count dead letters in groups, the largest first.

    Parameters
    ----------
    by : sequence of str
        One or more of `GROUPS`.

    Returns
    -------
    list of dict
        The group's names, then `refused`, `waiting` (never sent again), `first`
        and `last` (received), and `example`, the number of the newest letter.
    """
    condition, values = where(wanted)
    columns = ", ".join(GROUPS[name] for name in by)
    rows = conn.execute(
        f"SELECT {columns}, count(*), count(*) FILTER (WHERE NOT EXISTS "
        "(SELECT FROM dead_letter_replay r WHERE r.dead_letter_id = d.id)), "
        f"min(d.received), max(d.received), max(d.id) FROM dead_letter d {condition} "
        f"GROUP BY {', '.join(str(i + 1) for i in range(len(by)))} "
        f"ORDER BY {len(by) + 1} DESC, {', '.join(str(i + 1) for i in range(len(by)))}",
        values,
    )
    names = [*by, "refused", "waiting", "first", "last", "example"]
    return [dict(zip(names, row, strict=True)) for row in rows]
