"""
Device clock offsets: the shortest time from a reading to its receipt, by day of receipt.

A reading cannot arrive before it was made, so the day's minimum is the clock offset plus the
transmission time.  Buffered readings, repetitions and order do not change the minimum.  It is
stored to 0.1 s within an hour, beyond to the hour, so that a backlog does not write a row for each
reading.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from psycopg import Cursor

from ingest.model import HOUR_US, Fleet, Frame, Int32, Int64
from services.store.messages.dead_letter_write import Letters

_DAY_US = 86_400_000_000
_TENTH_US = 100_000
_NONE = np.iinfo(np.int64).max


class Clocks:
    """Stored clock offsets of each device's newest day of receipt, by fleet index."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._day = np.full(len(fleet), -1, dtype=np.int64)
        self._least: Int64 = np.full(len(fleet), _NONE, dtype=np.int64)

    def take_over(self, before: Clocks, here: Int32, there: Int32) -> None:
        """Copy the state of devices from an earlier fleet, by index `here` and `there`."""
        self._day[here], self._least[here] = before._day[there], before._least[there]

    def observe(
        self, cursor: Cursor, frames: Sequence[Frame], messages: Letters
    ) -> list[tuple[int, int, int]]:
        """
        Store new clock offsets of devices; return them for `remember` after the commit.

        Returns
        -------
        list of (device, day, least)
        """
        result: dict[tuple[int, int], int] = {}
        for frame in frames:
            device, day, least = _least(frame, messages)
            new = (day != self._day[device]) | (least < self._least[device])
            columns = (c[new].tolist() for c in (device, day, least))
            for index, on, lag in zip(*columns, strict=True):
                result[index, on] = min(lag, result.get((index, on), lag))
        rows = [(index, on, lag) for (index, on), lag in sorted(result.items())]
        if rows:
            indices, days, lags = zip(*rows, strict=True)
            cursor.execute(
                "INSERT INTO clock_lag AS c (device_id, day, least_us)"
                " SELECT d.id, date '1970-01-01' + d.day, d.least"
                " FROM unnest(%s::text[], %s::int[], %s::bigint[]) AS d (id, day, least)"
                " ON CONFLICT (device_id, day) DO UPDATE SET least_us = excluded.least_us"
                " WHERE excluded.least_us < c.least_us",
                (self._fleet.ids(indices), list(days), list(lags)),
            )
        return rows

    def remember(self, rows: Sequence[tuple[int, int, int]]) -> None:
        """Update the state with committed rows."""
        for device, day, least in rows:
            if day > self._day[device]:
                self._day[device], self._least[device] = day, least
            elif day == self._day[device]:
                self._least[device] = min(least, self._least[device])


def _least(frame: Frame, messages: Letters) -> tuple[Int32, Int64, Int64]:
    """Return the shortest delay by device and day of receipt, as (devices, days, delays)."""
    received = messages.received_us
    if isinstance(received, int):
        received_us: Int64 = np.full(len(frame), received, dtype=np.int64)
    else:
        received_us = np.asarray(received, dtype=np.int64)[frame.message]
    lag = received_us - frame.time_us
    lag -= lag % np.where(np.abs(lag) < HOUR_US, _TENTH_US, HOUR_US)
    day = received_us // _DAY_US
    order = np.lexsort((lag, day, frame.device))
    device, day = frame.device[order], day[order]
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (device[1:] != device[:-1]) | (day[1:] != day[:-1])
    return device[new], day[new], lag[order][new]
