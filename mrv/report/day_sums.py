"""Daily sums of a device's intervals, within its service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ingest.classes import QUANTITY_INDEX
from ingest.model import Fleet, IntervalRows
from mrv.calendar import days, instant_us
from mrv.documents.monitoring import MonitoredParameter

_TIMES = ("measured_us", "estimated_us", "unknown_us")


class Day(NamedTuple):
    """
    A local day of a monitored parameter.

    `value` is None where nothing of the day was measured or estimated: missing,
    not zero.  Times are of the device's service on that day. [us]
    """

    parameter: int
    day: date
    from_us: int
    to_us: int
    value: int | None
    measured_us: int
    estimated_us: int
    unknown_us: int

    @property
    def missing_us(self) -> int:
        """Return the time without any data. [us]"""
        return self.to_us - self.from_us - self.measured_us - self.estimated_us - self.unknown_us


def day_sums(
    parameters: Sequence[MonitoredParameter], rows: IntervalRows, fleet: Fleet, timezone: str
) -> list[Day]:
    """
    Return daily sums, by monitored parameter and day.

    Parameters
    ----------
    parameters : sequence of MonitoredParameter
        Of a statement.
    rows : IntervalRows
        By device, quantity and start, as evidence comes.
    """
    count = len(QUANTITY_INDEX)
    keys = rows.device.astype(np.int64) * count + rows.quantity
    found: list[Day] = []
    for place, one in enumerate(parameters):
        key = fleet.by_id[one.device] * count + QUANTITY_INDEX[one.parameter]
        begin, end = np.searchsorted(keys, [key, key + 1])
        mine = rows.take(np.arange(begin, end))
        begin_us, end_us = (instant_us(edge, "UTC") for edge in (one.from_, one.to))
        found.extend(_of_one(place, mine, begin_us, end_us, timezone))
    return found


def _of_one(
    place: int, rows: IntervalRows, from_us: int, to_us: int, timezone: str
) -> Iterator[Day]:
    cut = (
        [
            (day, max(begin, from_us), min(end, to_us))
            for day, begin, end in days(from_us, to_us, timezone)
        ]
        if from_us < to_us
        else []
    )
    if not cut:
        return
    edges = np.searchsorted(rows.start_us, [*(begin for _, begin, _ in cut), cut[-1][2]])
    for (day, begin, end), (a, b) in zip(cut, pairwise(edges.tolist()), strict=True):
        value = sum(rows.value[a:b].tolist())
        times = [int(getattr(rows, name)[a:b].sum()) for name in _TIMES]
        known = value or times[0] + times[1]
        yield Day(place, day, begin, end, value if known else None, *times)
