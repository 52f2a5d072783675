"""Quantities of devices by local day, span and interval, and registers above the rated power."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from psycopg import Connection, Cursor

from ingest.classes import QUANTITIES
from ingest.model import INTERVAL_US, Int32, Int64
from mrv.calendar import utc_text
from mrv.texts import Text, text
from services.store.postgres import binary_copy
from services.store.postgres.pool import stamp

# maximum difference between the start of a local day and that of the UTC day
_EDGE = timedelta(days=1)
# returns a row with NULL if the daily sums do not reach the end of the days
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

    `first`, `end`: end excluded.

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
                rows = binary_copy.fetch(cursor, query, arguments, _TYPES)
                result[rows["device"], rows["day"]] = rows["value"]
    return result


def _waiting(cursor: Cursor, devices: Sequence[str], around: tuple[date, date]) -> set[str]:
    """
    Return devices with outdated daily sums; all devices if the sums end before the span.

    `around`: the span, its last day excluded.
    """
    result = cursor.execute(_WAITING, [around[1], around[0], list(devices), around[1]])
    names = {name for (name,) in result}
    return set(devices) if None in names else names


_UNITS = {q.name: q.unit for q in QUANTITIES}


class YearSum(NamedTuple):
    """Sum in base units, its unit, and the measured share of the span."""

    value: int
    unit: str
    measured: Fraction


def year_sums(
    conn: Connection, meters: Iterable[tuple[str, str]], from_us: int, to_us: int
) -> dict[tuple[str, str], YearSum]:
    """
    Return the sums of meters in [from, to), by device and quantity.

    Meters without interval rows in the span are omitted.  The measured share excludes estimated and
    unknown time.
    """
    sums: dict[tuple[str, str], YearSum] = {}
    for device, quantity in meters:
        row = conn.execute(
            "SELECT sum(value)::bigint, sum(measured_us)::bigint FROM interval_quantity"
            " WHERE device_id = %s AND quantity = %s AND start >= %s AND start < %s",
            (device, quantity, stamp(from_us), stamp(to_us)),
        ).fetchone()
        if row is not None and row[0] is not None:
            share = min(Fraction(int(row[1]), to_us - from_us), Fraction(1))
            sums[device, quantity] = YearSum(int(row[0]), _UNITS[quantity], share)
    return sums


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
# one look-up and one array per device, as more of them, or exact decimals of extract(), would take
# most of the time of a close
_AT = _OF.format("""
SELECT (a.number - 1)::int4 AS at, i.value FROM interval_quantity i
JOIN unnest(%s::timestamptz[]) WITH ORDINALITY a (start, number) ON a.start = i.start
WHERE i.device_id = d.id AND i.quantity = %s AND i.value > 0 AND i.start = ANY(%s::timestamptz[])
""")
_ALL = _OF.format("""
SELECT (date_part('epoch', i.start - %s::timestamptz) / 900)::int4 AS at, i.value
FROM interval_quantity i WHERE i.device_id = d.id AND i.quantity = %s AND i.value > 0
AND i.start >= %s AND i.start < %s
""")
_PEAK_TYPES = {"at": "int4", "value": "int8"}


def peaks(
    conn: Connection,
    devices: Sequence[str],
    quantity: str,
    period_us: tuple[int, int],
    maximum: int,
) -> list[int]:
    """
    Return the number of the interval with the largest sum, for each of up to `maximum` days.

    Intervals are numbered from 1970-01-01 UTC; the numbers are sorted.
    """
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
        rows = binary_copy.fetch_runs(cursor, _AT, arguments, _PEAK_TYPES)
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
        rows = binary_copy.fetch_runs(cursor, _ALL, arguments, _PEAK_TYPES)
    at, value = rows.columns["at"], rows.columns["value"]
    result[rows.run, at] = np.minimum(value, np.iinfo(np.int32).max)
    return result


# a register that rises at least this many times faster than the rated power has a wrong unit
_MIN_RATIO = 10
_KILO = 1000
# if the energy is unknown for most of the time: the median power between readings of the register,
# in the sequence with the last reading
_RISING = """
WITH doubted AS (
    SELECT q.device_id, q.quantity, d.rated_power_w
    FROM interval_quantity q JOIN device d ON d.id = q.device_id AND d.rated_power_w IS NOT NULL
    WHERE q.start >= %(begin)s AND q.start < %(end)s
        AND q.quantity IN ('energy_export', 'energy_import')
        AND (%(ids)s::text[] IS NULL OR q.device_id = ANY (%(ids)s))
    GROUP BY q.device_id, q.quantity, d.rated_power_w
    HAVING 2 * sum(q.unknown_us) > count(*) * 900000000
), stood AS (
    SELECT d.device_id, d.quantity, d.rated_power_w,
        CASE WHEN q.other_read >= q.register_read THEN q.other_value
            ELSE q.register_value END AS wh,
        greatest(q.register_read, q.other_read) AS read
    FROM doubted d JOIN interval_quantity q USING (device_id, quantity)
    WHERE q.start >= %(begin)s AND q.start < %(end)s AND q.register_read IS NOT NULL
), rises AS (
    SELECT device_id, quantity, rated_power_w, wh - lag(wh) OVER w AS wh,
        extract(epoch FROM read - lag(read) OVER w) AS seconds
    FROM stood WINDOW w AS (PARTITION BY device_id, quantity ORDER BY read)
)
SELECT device_id, rated_power_w,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY wh * 3600.0 / seconds)
FROM rises WHERE wh > 0 AND seconds > 0
GROUP BY device_id, quantity, rated_power_w ORDER BY device_id, quantity
"""


class Beyond(NamedTuple):
    """Device, its rated power, and the median power of its register's increase. [W]"""

    device: str
    rated_power_w: int
    rising_w: float

    def text(self) -> Text:
        """Return the finding's text."""
        rated = self.rated_power_w
        return text(
            "MTR-01.unit_slip", device=self.device, rising=f"{self.rising_w:.0f}",
            times=f"{self.rising_w / rated:.0f}", rated=rated, kilo=rated * _KILO,
        )  # fmt: skip


def beyond_rating(
    conn: Connection, from_us: int, to_us: int, devices: Sequence[str] | None = None
) -> Iterator[Beyond]:
    """
    Yield devices whose registers rise many times faster than their rated power.

    `from_us`, `to_us`: span, end excluded. [us UTC]
    `devices`: all by default.
    """
    ids = None if devices is None else [*devices]
    arguments = {"begin": stamp(from_us), "end": stamp(to_us), "ids": ids}
    for row in conn.execute(_RISING, arguments):
        beyond = Beyond(*row)
        if beyond.rising_w >= _MIN_RATIO * beyond.rated_power_w:
            yield beyond
