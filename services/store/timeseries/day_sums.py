"""Quantities of devices by local day, from stored daily sums or from 15-minute intervals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
from psycopg import Connection, Cursor

from ingest.model import Int64
from services.store.postgres import column_copy

# a local day begins at most so long before or after the day of UTC
_EDGE = timedelta(days=1)
# NULL where no day is made yet that ends so late
_WAITING = """
SELECT DISTINCT device_id FROM v_day_mark
WHERE begins < %s::date AND ends > %s::date AND device_id = ANY(%s)
UNION ALL SELECT NULL WHERE NOT EXISTS (SELECT FROM day_until WHERE until >= %s::date)
"""
_DAYS = """
SELECT (d.number - 1)::int4, q.day - %s::date, q.value::int8
FROM unnest(%s::text[]) WITH ORDINALITY d (id, number)
JOIN day_quantity q ON q.device_id = d.id COLLATE "C"
WHERE q.quantity = %s AND q.day >= %s::date AND q.day < %s::date AND q.value > 0
"""
_QUARTER_HOURS = """
SELECT number, day, sum(value)::int8
FROM (
    SELECT (d.number - 1)::int4 AS number, i.value,
           tonne_clock(s.timezone, i.start)::date - %s::date AS day
    FROM unnest(%s::text[]) WITH ORDINALITY d (id, number)
    JOIN device v ON v.id = d.id JOIN site s ON s.id = v.site
    JOIN interval_quantity i ON i.device_id = d.id COLLATE "C"
    WHERE i.quantity = %s AND i.start >= %s::date AND i.start < %s::date AND i.value > 0
) r
WHERE day >= 0 AND day < %s
GROUP BY 1, 2
"""
_TYPES = {"device": "int4", "day": "int4", "value": "int8"}


def day_sums(
    conn: Connection, devices: Sequence[str], quantity: str, first: date, end: date
) -> Int64:
    """
    Return devices' quantities on local days of their sites, 0 without data. [base units]

    Parameters
    ----------
    first, end : date
        End excluded.

    Returns
    -------
    int64 array, devices x days
    """
    result: Int64 = np.zeros((len(devices), (end - first).days), dtype=np.int64)
    around = (first - _EDGE, end + _EDGE)
    with conn.cursor() as cursor:
        waiting = _waiting(cursor, devices, around)
        made = [None if name in waiting else name for name in devices]
        wait = [name if name in waiting else None for name in devices]
        for query, subset, more in (
            (_DAYS, made, (first, end)),
            (_QUARTER_HOURS, wait, (*around, (end - first).days)),
        ):
            if any(subset):
                arguments = [first, subset, quantity, *more]
                rows = column_copy.fetch(cursor, query, arguments, _TYPES)
                result[rows["device"], rows["day"]] = rows["value"]
    return result


def _waiting(cursor: Cursor, devices: Sequence[str], around: tuple[date, date]) -> set[str]:
    """Return devices with outdated daily sums."""
    result = cursor.execute(_WAITING, [around[1], around[0], list(devices), around[1]])
    names = {name for (name,) in result}
    return set(devices) if None in names else names
