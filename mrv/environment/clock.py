"""Hours and days as the clock at a site shows them."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ingest.model import HOUR_US, INTERVAL_US, Int64
from mrv.calendar import local_date, midnight_us, offset_us


class Day(NamedTuple):
    """A local day and its half-open edges. [us UTC]"""

    begin_us: int
    end_us: int
    date: date
    timezone: str

    def hours(self) -> range:
        """Starts of its hours: 23, 24 or 25 of them. [us UTC]"""
        return range(self.begin_us, self.end_us, HOUR_US)

    def clock(self, start_us: int) -> int:
        """Which hour the clock shows at that instant, 0 to 23."""
        local = start_us + offset_us(start_us, self.timezone)
        return local // HOUR_US % 24


@lru_cache(maxsize=10_000)
def day_of(instant_us: int, timezone: str) -> Day:
    """Return the local day that holds an instant."""
    day = local_date(instant_us, timezone)
    end_us = midnight_us(day + timedelta(days=1), timezone)
    return Day(midnight_us(day, timezone), end_us, day, timezone)


def hour_starts(time_us: Int64, timezone: str) -> Int64:
    """
    Start of the local hour that holds each instant. [us UTC]

    Clocks change on a quarter hour; where one changes by half an hour, the hours
    beside the change are shorter, and cannot be complete.
    """
    quarter, at = np.unique(time_us // INTERVAL_US, return_inverse=True)
    offsets = [offset_us(q * INTERVAL_US, timezone) for q in quarter.tolist()]
    offset = np.array(offsets, dtype=np.int64)[at]
    return time_us - (time_us + offset) % HOUR_US
