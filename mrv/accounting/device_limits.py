"""
What one device cannot have done: quarter hours and days above what its kind can do.

A bus does not drive 119 km/h day and night, and an inverter does not make more than it
is rated for.  What is above such a bound is a fault of the meter and counts nothing for
the baseline, and nor does a day that is above it as a whole.  On the project's side it
stays, since it costs the claimant.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ingest.model import HOUR_US, INTERVAL_US, Int64
from mrv.accounting.coverage import Service
from mrv.calendar import days
from mrv.model import Most

# An inverter may run above its rating for a while; as metering allows it.
MARGIN_PERCENT = 110


def beyond_most(whole: Service, most: Most, timezone: str) -> Int64:
    """
    Quantity above what a device of a kind can count for in an hour and a day.

    Parameters
    ----------
    whole : Service
        n intervals.
    most : Most
    timezone : str
        Whose days.

    Returns
    -------
    int64 array, n
        What is above it; all of a day that is above its bound, for then nobody knows what
        of it was done. [base unit]
    """
    beyond = np.maximum(whole.value - most.per_hour * INTERVAL_US // HOUR_US, 0)
    if not len(whole):
        return beyond
    first, last = whole.first, whole.first + len(whole)
    for _, begin_us, end_us in days(first * INTERVAL_US, last * INTERVAL_US, timezone):
        begin = max(begin_us // INTERVAL_US - first, 0)
        end = min(-(-end_us // INTERVAL_US) - first, len(whole))
        if int(whole.value[begin:end].sum()) > most.per_day:
            beyond[begin:end] = whole.value[begin:end]
    return beyond


def beyond_rating(whole: Service, ratings: Sequence[tuple[int, int]]) -> Int64:
    """
    Energy above what the rated power of the time allows.

    Parameters
    ----------
    whole : Service
        n intervals.
    ratings : sequence of (int, int)
        From when on [us UTC] and rated power [W], in order of time; the first counts for
        all time before the second.

    Returns
    -------
    int64 array, n
        What is above it. [Wh]
    """
    if not ratings or not len(whole):
        return np.zeros(len(whole), dtype=np.int64)
    watt = rated_at(ratings, whole.first, len(whole))
    most = watt * MARGIN_PERCENT // 100 * INTERVAL_US // HOUR_US
    beyond: Int64 = np.maximum(whole.value - most, 0)
    return beyond


def rated_at(ratings: Sequence[tuple[int, int]], first: int, count: int) -> Int64:
    """
    Rated power of intervals from `first` on. [W]

    Parameters
    ----------
    ratings : sequence of (int, int)
        As for `beyond_rating`; at least one.
    """
    begins = np.array([-(-us // INTERVAL_US) for us, _ in ratings[1:]], dtype=np.int64)
    number = first + np.arange(count, dtype=np.int64)
    watt = np.array([w for _, w in ratings], dtype=np.int64)
    found: Int64 = watt[np.searchsorted(begins, number, side="right")]
    return found
