"""What devices measured in the quarter hours in which some of them measured most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from psycopg import Connection

from ingest.model import INTERVAL_US, Int32, Int64
from mrv.calendar import utc_text
from services.store.postgres import column_copy
from services.store.postgres.timestamps import stamp

_NUMBER = "(extract(epoch FROM start) * 1000000)::bigint / %s"
_PEAKS = (
    f"SELECT {_NUMBER} FROM (SELECT DISTINCT ON (date_trunc('day', start)) start, sum(value) AS v"
    " FROM interval_quantity WHERE device_id = ANY(%s) AND quantity = %s AND start >= %s"
    " AND start < %s GROUP BY start ORDER BY date_trunc('day', start), v DESC) s"
    " WHERE v > 0 ORDER BY v DESC LIMIT %s"
)
_AT = """
SELECT (d.number - 1)::int4, (a.number - 1)::int4, i.value
FROM interval_quantity i
JOIN unnest(%s::text[]) WITH ORDINALITY d (id, number) ON d.id COLLATE "C" = i.device_id
JOIN unnest(%s::timestamptz[]) WITH ORDINALITY a (start, number) ON a.start = i.start
WHERE i.quantity = %s AND i.value > 0 AND i.start = ANY(%s::timestamptz[])
"""
_AT_TYPES = {"device": "int4", "number": "int4", "value": "int8"}
_SERIES = (
    f"SELECT {_NUMBER}, value FROM interval_quantity WHERE device_id = %s AND quantity = %s"
    " AND start >= %s AND start < %s"
)
_ALL = """
SELECT (d.number - 1)::int4, (extract(epoch FROM i.start - %s::timestamptz) / 900)::int4, i.value
FROM interval_quantity i
JOIN unnest(%s::text[]) WITH ORDINALITY d (id, number) ON d.id COLLATE "C" = i.device_id
WHERE i.quantity = %s AND i.value > 0 AND i.start >= %s AND i.start < %s
"""


def peaks(
    conn: Connection, devices: Sequence[str], quantity: str, period_us: tuple[int, int], most: int
) -> list[int]:
    """Return the quarter hours of `most` days in which devices together measured most. [number]"""
    edges = [utc_text(us) for us in period_us]
    rows = conn.execute(_PEAKS, [INTERVAL_US, list(devices), quantity, *edges, most])
    return sorted(int(number) for (number,) in rows)


def values_at(
    conn: Connection, devices: Sequence[str], quantity: str, numbers: Sequence[int]
) -> Int64:
    """Return what devices measured in some quarter hours, 0 where nothing. [n x k, base unit]"""
    starts = [stamp(number * INTERVAL_US) for number in numbers]
    values: Int64 = np.zeros((len(devices), len(numbers)), dtype=np.int64)
    with conn.cursor() as cursor:
        arguments = [list(devices), starts, quantity, starts]
        rows = column_copy.fetch(cursor, _AT, arguments, _AT_TYPES)
    values[rows["device"], rows["number"]] = rows["value"]
    return values


def series(conn: Connection, device: str, quantity: str, period_us: tuple[int, int]) -> Int32:
    """Return what a device measured in each quarter hour of a period. [base unit]"""
    first, last = (us // INTERVAL_US for us in period_us)
    edges = [utc_text(us) for us in period_us]
    values = np.zeros(last - first, dtype=np.int64)
    for number, value in conn.execute(_SERIES, [INTERVAL_US, device, quantity, *edges]):
        values[int(number) - first] = value
    found: Int32 = np.minimum(values, np.iinfo(np.int32).max).astype(np.int32)
    return found


def all_series(
    conn: Connection, devices: Sequence[str], quantity: str, period_us: tuple[int, int]
) -> Int32:
    """Return what devices measured in each quarter hour of a period. [n x k, base unit]"""
    edges = [utc_text(us) for us in period_us]
    count = (period_us[1] - period_us[0]) // INTERVAL_US
    found: Int32 = np.zeros((len(devices), count), dtype=np.int32)
    with conn.cursor() as cursor:
        arguments = [edges[0], list(devices), quantity, *edges]
        rows = column_copy.fetch(cursor, _ALL, arguments, _AT_TYPES)
    found[rows["device"], rows["number"]] = np.minimum(rows["value"], np.iinfo(np.int32).max)
    return found
