"""
How much of its time a device was measured, and where it was not.

Each microsecond of a device's service is measured, estimated, unknown (inside a
register step of unknown size) or missing (no step at all).  What an
unknown or missing one costs depends on the side of the account; the period
charges it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ingest.model import INTERVAL_US, Int64, IntervalRows
from mrv.calendar import utc_text
from mrv.errors import PeriodError
from mrv.rounding import exact_sum

_KINDS = ("unknown", "missing")


@dataclass(frozen=True, slots=True)
class Service:
    """
    A device's intervals [first, last), one element each, gaps filled with zero.

    `outside` is what its rows hold outside of them: metered, but before it was
    installed, after it was removed, or while it served another project.
    """

    first: int
    value: Int64
    measured_us: Int64
    estimated_us: Int64
    unknown_us: Int64
    missing_us: Int64
    outside: int

    def __len__(self) -> int:
        return len(self.value)

    def cut(self, first: int, last: int) -> Service:
        """Return the part within intervals [first, last)."""
        begin, end = (min(max(edge - self.first, 0), len(self)) for edge in (first, last))
        return Service(
            self.first + begin,
            self.value[begin:end],
            self.measured_us[begin:end],
            self.estimated_us[begin:end],
            self.unknown_us[begin:end],
            self.missing_us[begin:end],
            0,
        )


@dataclass(frozen=True, slots=True)
class Served:
    """
    A device's service in sums: what is left of its intervals once they are accounted.

    Thousands of devices with all their intervals would not fit in memory.
    """

    first: int
    intervals: int
    measured_us: int
    estimated_us: int
    unknown_us: int
    missing_us: int
    outside: int

    @staticmethod
    def of(whole: Service) -> Served:
        """Sum a service."""
        return Served(
            whole.first,
            len(whole),
            exact_sum(whole.measured_us),
            exact_sum(whole.estimated_us),
            exact_sum(whole.unknown_us),
            exact_sum(whole.missing_us),
            whole.outside,
        )


@dataclass(frozen=True, slots=True)
class Gap:
    """Successive intervals with unknown or missing time; `time_us` is that time alone."""

    start_us: int
    end_us: int
    kind: str
    time_us: int


def service(rows: IntervalRows, first: int, last: int, device: str) -> Service:
    """
    Lay a device's rows of one quantity out over its intervals [first, last).

    Parameters
    ----------
    rows : IntervalRows
        Of one device and quantity, in any order.
    first, last : int
        Interval numbers since the epoch; an empty range is allowed.
    device : str
        For errors.

    Raises
    ------
    PeriodError
        If two rows have the same start, a value is negative, or a row accounts
        for more or less time than an interval has.
    """
    place = rows.start_us // INTERVAL_US - first
    _check(rows, device)
    inside = (place >= 0) & (place < last - first)
    columns = {}
    for name in ("value", "measured_us", "estimated_us", "unknown_us"):
        columns[name] = np.zeros(max(0, last - first), dtype=np.int64)
        columns[name][place[inside]] = getattr(rows, name)[inside]
    known = columns["measured_us"] + columns["estimated_us"] + columns["unknown_us"]
    return Service(
        first=first,
        missing_us=INTERVAL_US - known,
        outside=exact_sum(rows.value[~inside]),
        **columns,
    )


def _check(rows: IntervalRows, device: str) -> None:
    times = (rows.measured_us, rows.estimated_us, rows.unknown_us)
    total = times[0] + times[1] + times[2]
    wrong = (total > INTERVAL_US) | (rows.value < 0)
    for time in times:
        wrong |= time < 0
    if wrong.any():
        at = int(rows.start_us[np.flatnonzero(wrong)[0]])
        raise PeriodError(
            f"device {device}: the interval at {utc_text(at)} has a negative value, or more than"
            " its 15 minutes; run `tonne rebuild` for it"
        )
    starts = np.sort(rows.start_us)
    twice = np.flatnonzero(starts[1:] == starts[:-1])
    if len(twice):
        raise PeriodError(
            f"device {device}: the interval at {utc_text(int(starts[twice[0]]))} comes"
            " twice; give each interval once"
        )


def gaps(part: Service) -> list[Gap]:
    """Runs of unknown and of missing time, by start."""
    found = [
        gap
        for kind, time in zip(_KINDS, (part.unknown_us, part.missing_us), strict=True)
        for gap in _runs(time, kind, part.first)
    ]
    return sorted(found, key=lambda g: (g.start_us, g.kind))


def _runs(time: Int64, kind: str, first: int) -> list[Gap]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], time > 0, [0]]).astype(np.int8)))
    return [
        Gap(
            (first + begin) * INTERVAL_US,
            (first + end) * INTERVAL_US,
            kind,
            exact_sum(time[begin:end]),
        )
        for begin, end in edges.reshape(-1, 2).tolist()
    ]
