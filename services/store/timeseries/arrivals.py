"""When readings came, by hour: counted in the transaction that stores them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from services.store.postgres.timestamps import stamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg import Cursor
    from psycopg.rows import TupleRow

    from ingest.model import Fleet, Frame, Int64
    from services.store.messages.dead_letter_write import Letters

HOUR_US = 3_600_000_000
_NOTE = (
    "INSERT INTO arrival_count AS a (device_id, made, arrived, readings)"
    " SELECT d.id, to_timestamp(d.made * 3600), to_timestamp(d.arrived * 3600), d.readings"
    " FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[])"
    " AS d (id, made, arrived, readings) ORDER BY d.id, d.made, d.arrived"
    " ON CONFLICT (device_id, made, arrived)"
    " DO UPDATE SET readings = a.readings + excluded.readings"
)
Counted = tuple[str, int, int, int]


def note(
    cursor: Cursor[TupleRow], fleet: Fleet, stored: Sequence[Frame], messages: Letters
) -> None:
    """
    Count readings that were stored or completed, by hour of their time and of their arrival.

    Parameters
    ----------
    stored : sequence of Frame
        Rows that changed what is stored; a repetition of a stored row is none of them.
    messages : Letters
        When each message was received.
    """
    counts: dict[tuple[int, int, int], int] = {}
    for frame in stored:
        received = _received_us(frame, messages) // HOUR_US
        for hour in np.unique(received).tolist():
            rows = received == hour
            made = frame.time_us[rows] // HOUR_US
            # a device is below 2**31, and an hour of 100,000 years below 2**30
            key = frame.device[rows].astype(np.int64) << 31 | made & 0x7FFFFFFF
            for one, count in zip(*np.unique(key, return_counts=True), strict=True):
                place = int(one) >> 31, int(one) & 0x7FFFFFFF, hour
                counts[place] = counts.get(place, 0) + int(count)
    if counts:
        rows_ = [(fleet.devices[d].id, made, hour, n) for (d, made, hour), n in counts.items()]
        cursor.execute(_NOTE, tuple(map(list, zip(*rows_, strict=True))))


def _received_us(frame: Frame, messages: Letters) -> Int64:
    when = messages.received_us
    if isinstance(when, int):
        return np.full(len(frame), when, dtype=np.int64)
    return np.asarray(when, dtype=np.int64)[frame.message]


def counted(
    cursor: Cursor[TupleRow], ids: Sequence[str], from_us: int, to_us: int
) -> list[Counted]:
    """
    Return device, hour of the reading [us UTC], hour of arrival [us UTC] and count.

    An hour belongs to the span in which it begins.
    """
    cursor.execute(
        "SELECT device_id, (extract(epoch FROM made) * 1000000)::bigint,"
        " (extract(epoch FROM arrived) * 1000000)::bigint, readings FROM arrival_count"
        " WHERE device_id = ANY(%s) AND made >= %s AND made < %s"
        " ORDER BY device_id, made, arrived",
        (list(ids), stamp(from_us), stamp(to_us)),
    )
    return [(str(d), int(made), int(arrived), int(n)) for d, made, arrived, n in cursor.fetchall()]
