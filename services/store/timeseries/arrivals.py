"""
Arrival times of readings, counted by hour in the transaction that stores them.

`pack` combines past days into one row each, as hourly rows of a fleet are too many for years.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
from psycopg import Connection, Cursor

from ingest.model import Fleet, Frame, Int64
from mrv.calendar import utc_text
from services.store.messages.dead_letter_write import Letters
from services.store.postgres.pool import of_ids, of_numbers, stamp

HOUR_US = 3_600_000_000
# what is older is kept by day
HOURS_KEPT_DAYS = 7
_AT_ONCE = 500  # devices in one transaction
_NOTE = (
    "INSERT INTO arrival_count AS a (device_id, made, arrived, readings)"
    " SELECT d.id, to_timestamp(d.made * 3600), to_timestamp(d.arrived * 3600), d.readings"
    " FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[])"
    " AS d (id, made, arrived, readings) ORDER BY d.id, d.made, d.arrived"
    " ON CONFLICT (device_id, made, arrived)"
    " DO UPDATE SET readings = a.readings + excluded.readings"
)


class Summed(NamedTuple):
    """
    Readings of a device's day: number, number of late ones, and number of different hours.

    Attributes
    ----------
    day : int
        Index among the requested days.
    hours, span : int
        Different hours of arrival, and of the readings themselves.
    """

    device: str
    day: int
    readings: int
    late: int
    hours: int
    span: int


def note(cursor: Cursor, fleet: Fleet, stored: Sequence[Frame], messages: Letters) -> None:
    """
    Count new readings, and readings that gained a channel, by hour of time and of arrival.

    Parameters
    ----------
    stored : sequence of Frame
        Rows that changed what is stored; repetitions are not included.
    messages : Letters
        Time of receipt of each message.
    """
    if not any(map(len, stored)):
        return
    device = np.concatenate([frame.device for frame in stored])
    made = np.concatenate([frame.time_us // HOUR_US for frame in stored])
    arrived = np.concatenate([_received_us(frame, messages) // HOUR_US for frame in stored])
    order = np.lexsort((arrived, made, device))
    key = np.stack((device, made, arrived))[:, order]
    begins = np.flatnonzero(np.r_[True, (key[:, 1:] != key[:, :-1]).any(axis=0)])
    numbers = (*key[1:, begins], np.diff(begins, append=len(order)))
    ids = [fleet.devices[d].id for d in key[0, begins].tolist()]
    cursor.execute(_NOTE, (of_ids(ids), *(of_numbers(column.tolist()) for column in numbers)))


def _received_us(frame: Frame, messages: Letters) -> Int64:
    when = messages.received_us
    if isinstance(when, int):
        return np.full(len(frame), when, dtype=np.int64)
    return np.asarray(when, dtype=np.int64)[frame.message]


def by_day(
    cursor: Cursor,
    ids: Sequence[str],
    span_us: tuple[int, int],
    days_us: Sequence[int],
    late_us: int,
) -> list[Summed]:
    """
    Return arrivals by device and day, summed in the database.

    Parameters
    ----------
    span_us : tuple of int
        Readings of these times, end excluded. [us UTC]
    days_us : sequence of int
        Edges of consecutive days, one more than days; they contain the span.  An hour belongs to
        the day in which it begins. [us UTC]
    late_us : int
        Delay after the day's end from which an hour of arrival is late. [us]

    Returns
    -------
    list of Summed
        Counts by device and day.
    """
    cursor.execute(
        "WITH c AS (SELECT device_id, width_bucket(made, %(edges)s::timestamptz[]) AS day, made,"
        " arrived, readings FROM tonne_arrivals(%(ids)s, %(from)s, %(to)s))"
        " SELECT device_id, day, sum(readings)::bigint,"
        " coalesce(sum(readings) FILTER (WHERE arrived >= (%(late)s::timestamptz[])[day]), 0)"
        "::bigint, count(DISTINCT arrived), count(DISTINCT made) FROM c"
        " GROUP BY device_id, day ORDER BY device_id, day",
        {
            "ids": list(ids),
            "from": stamp(span_us[0]),
            "to": stamp(span_us[1]),
            "edges": [stamp(us) for us in days_us],
            "late": [stamp(end + late_us) for end in days_us[1:]],
        },
    )
    return [Summed(str(d), int(day) - 1, *map(int, more)) for d, day, *more in cursor.fetchall()]


def not_on_time(
    cursor: Cursor, ids: Sequence[str], from_us: int, to_us: int, late_us: int
) -> dict[str, tuple[int, int]]:
    """
    Return hours covered by readings and hours of their arrival, of devices that
    are always late.

    Parameters
    ----------
    from_us, to_us : int
        Readings of these times, half-open. [us UTC]
    late_us : int
        Delay after its hour from which a reading is late. [us]

    Returns
    -------
    dict of str to (int, int)
        By device whose first reading of the span and all before it were late: whole hours from the
        first to the last, and between their arrivals.
    """
    cursor.execute(
        "WITH c AS (SELECT device_id, made, min(arrived) AS arrived"
        " FROM tonne_arrivals(%(ids)s, %(from)s, %(to)s) GROUP BY device_id, made),"
        " e AS (SELECT device_id, min(made) AS made, max(made) AS last,"
        " (array_agg(arrived ORDER BY made))[1] AS arrived,"
        " (array_agg(arrived ORDER BY made DESC))[1] AS ended FROM c GROUP BY device_id)"
        " SELECT device_id, (extract(epoch FROM last - made) / 3600)::bigint + 1,"
        " (extract(epoch FROM ended - arrived) / 3600)::bigint + 1 FROM e"
        " WHERE arrived - made > %(late)s AND NOT EXISTS (SELECT FROM"
        " tonne_arrivals(ARRAY[e.device_id], '2000-01-01', %(from)s) AS b"
        " WHERE b.arrived - b.made <= %(late)s) ORDER BY device_id",
        {
            "ids": list(ids),
            "from": stamp(from_us),
            "to": stamp(to_us),
            "late": timedelta(microseconds=late_us),
        },
    )
    return {str(d): (int(answer), max(0, int(passed))) for d, answer, passed in cursor.fetchall()}


def by_hour(cursor: Cursor, ids: Sequence[str], from_us: int, to_us: int) -> dict[str, int]:
    """Return the number of a span's readings by hour of arrival, as UTC text."""
    cursor.execute(
        "SELECT (extract(epoch FROM arrived) * 1000000)::bigint, sum(readings)::bigint"
        " FROM tonne_arrivals(%s, %s, %s) GROUP BY arrived ORDER BY arrived",
        (list(ids), stamp(from_us), stamp(to_us)),
    )
    return {utc_text(int(us)): int(count) for us, count in cursor.fetchall()}


def arriving(conn: Connection, ids: Sequence[str], from_us: int, to_us: int) -> dict[str, int]:
    """
    Count readings of a span that arrived in this clock hour or the one before, by device.

    Parameters
    ----------
    ids : sequence of str
        Devices.
    from_us, to_us : int
        Readings of these times, half-open, by whole hours. [us UTC]
    """
    rows = conn.execute(
        "SELECT device_id, sum(readings)::bigint FROM arrival_count WHERE device_id = ANY(%s)"
        " AND made >= date_trunc('hour', %s::timestamptz) AND made < %s"
        " AND arrived >= date_trunc('hour', now()) - INTERVAL '1 hour' GROUP BY device_id",
        (list(ids), stamp(from_us), stamp(to_us)),
    )
    return {str(device): int(count) for device, count in rows.fetchall()}


def pack(conn: Connection, before: date) -> None:
    """Combine arrival rows from before a UTC day into daily rows, in several transactions."""
    beyond: str | None = ""
    while beyond is not None:
        row = conn.execute(
            "SELECT tonne_pack_arrivals(%s, %s, %s)", [before, beyond, _AT_ONCE]
        ).fetchone()
        beyond = None if row is None else row[0]
