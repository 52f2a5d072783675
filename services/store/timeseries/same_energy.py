"""Quantities of devices in the 15-minute intervals with the largest values."""

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
_OF = """
SELECT d.number, r.* FROM unnest(%s::int4[], %s::text[]) AS d (number, id)
CROSS JOIN LATERAL (SELECT array_agg(at), array_agg(value) FROM ({}) i) r (at, value)
WHERE r.at IS NOT NULL
"""
# a device at a time by its key, and a message a device: rows by themselves cost most of a close
_AT = _OF.format("""
SELECT (a.number - 1)::int4 AS at, i.value FROM interval_quantity i
JOIN unnest(%s::timestamptz[]) WITH ORDINALITY a (start, number) ON a.start = i.start
WHERE i.device_id = d.id AND i.quantity = %s AND i.value > 0 AND i.start = ANY(%s::timestamptz[])
""")
_ALL = _OF.format("""
SELECT (extract(epoch FROM i.start - %s::timestamptz) / 900)::int4 AS at, i.value
FROM interval_quantity i WHERE i.device_id = d.id AND i.quantity = %s AND i.value > 0
AND i.start >= %s AND i.start < %s
""")
_TYPES = {"at": "int4", "value": "int8"}


def peaks(
    conn: Connection,
    devices: Sequence[str],
    quantity: str,
    period_us: tuple[int, int],
    maximum: int,
) -> list[int]:
    """Return the intervals with the largest quantities of up to `maximum` days. [number]"""
    edges = [utc_text(us) for us in period_us]
    rows = conn.execute(_PEAKS, [INTERVAL_US, list(devices), quantity, *edges, maximum])
    return sorted(int(number) for (number,) in rows)


def values_at(
    conn: Connection, devices: Sequence[str], quantity: str, numbers: Sequence[int]
) -> Int64:
    """Return devices' quantities in intervals, 0 without data. [n x k, base units]"""
    starts = [stamp(number * INTERVAL_US) for number in numbers]
    values: Int64 = np.zeros((len(devices), len(numbers)), dtype=np.int64)
    with conn.cursor() as cursor:
        arguments = [list(range(len(devices))), list(devices), starts, quantity, starts]
        rows = column_copy.fetch_runs(cursor, _AT, arguments, _TYPES)
    values[rows.run, rows.columns["at"]] = rows.columns["value"]
    return values


def all_series(
    conn: Connection, devices: Sequence[str], quantity: str, period_us: tuple[int, int]
) -> Int32:
    """Return devices' quantities in each interval of a period. [n x k, base unit]"""
    edges = [utc_text(us) for us in period_us]
    count = (period_us[1] - period_us[0]) // INTERVAL_US
    result: Int32 = np.zeros((len(devices), count), dtype=np.int32)
    with conn.cursor() as cursor:
        arguments = [list(range(len(devices))), list(devices), edges[0], quantity, *edges]
        rows = column_copy.fetch_runs(cursor, _ALL, arguments, _TYPES)
    at, value = rows.columns["at"], rows.columns["value"]
    result[rows.run, at] = np.minimum(value, np.iinfo(np.int32).max)
    return result
