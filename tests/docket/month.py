"""The period of a case at its place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np

from mrv.calendar import midnight_us
from tests.docket.shapes import DAY_US, HOUR_US, STEP_US

# weeks beside a period are there too, as they are in the field: invoices reach into them
BEFORE_DAYS, AFTER_DAYS = 27, 8


@dataclass(frozen=True)
class Month:
    """
    A period of a place.

    Attributes
    ----------
    zone : str
        IANA name.
    first, end : date
        Local days; `end` is the first day after it.
    after_days : int
        Days after it of which there are readings too.
    """

    zone: str = "Asia/Ho_Chi_Minh"
    first: date = date(2026, 3, 2)
    end: date = date(2026, 3, 30)
    after_days: int = AFTER_DAYS

    def before(self, days: int) -> date:
        """Return a local day before the period."""
        return self.first - timedelta(days=days)

    def sampled(self) -> list[date]:
        """Return days on which samples are taken: one in each calendar month."""
        days = [self.first + timedelta(days=i) for i in range((self.end - self.first).days)]
        tenth = [day for i, day in enumerate(days) if i in (0, 9) or day.day == 10]
        by_month = {(day.year, day.month): day for day in tenth}
        return [*by_month.values()] if len(days) > 9 else [days[len(days) // 2]]

    def midnight(self, day: date) -> str:
        """Return the beginning of a local day, in the form of the registry file."""
        return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(self.zone)).isoformat()

    def wall(self, text: str) -> datetime:
        """Return a local day or moment from its text."""
        return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(self.zone))

    @cached_property
    def from_us(self) -> int:
        """Return the begin. [us UTC]"""
        return midnight_us(self.first, self.zone)

    @cached_property
    def to_us(self) -> int:
        """Return the end. [us UTC]"""
        return midnight_us(self.end, self.zone)

    @cached_property
    def times_us(self) -> np.ndarray:
        """Return time steps of the period and of the weeks before and after it. [us UTC]"""
        begin, end = self.from_us - BEFORE_DAYS * DAY_US, self.to_us + self.after_days * DAY_US
        return np.arange(begin, end, STEP_US, dtype=np.int64)

    @cached_property
    def inside(self) -> np.ndarray:
        """Return a mask of steps within the period."""
        return (self.times_us >= self.from_us) & (self.times_us < self.to_us)

    def local_us(self, times_us: np.ndarray) -> np.ndarray:
        """Return times in local time. [us]"""
        edges = [*range(int(times_us[0]), int(times_us[-1]) + HOUR_US, HOUR_US)]
        zone = ZoneInfo(self.zone)
        off = np.array([
            round((datetime.fromtimestamp(us // 10**6, zone).utcoffset() or timedelta())
            .total_seconds()) * 10**6 for us in (edge // HOUR_US * HOUR_US for edge in edges)
        ], dtype=np.int64)  # fmt: skip
        return times_us + off[times_us // HOUR_US - edges[0] // HOUR_US]
