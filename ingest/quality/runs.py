"""
Runs: since when a series has stood at one value.

Flat lines, frozen registers and peaks that stay too low are all runs that last
too long.  A run ends where the value changes, where the device was silent for
longer than `gap_us`, and where other limits begin to hold.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NEVER = -(2**62)


class Values(NamedTuple):
    """
    Readings, one device's together and in time order.

    `head` is the first row of each device, `limits` says which limits hold at a
    reading.
    """

    head: NDArray[np.intp]
    time_us: NDArray[np.int64]
    value: NDArray[np.float64]
    limits: NDArray[np.int64]


class Run(NamedTuple):
    """
    How each device stood at its last reading before: value, time, begin, limits.

    One row a device, in the order of `Values.head`; `last_us` is NEVER where nothing
    came before.
    """

    value: NDArray[np.float64]
    last_us: NDArray[np.int64]
    start_us: NDArray[np.int64]
    limits: NDArray[np.int64]


def starts(now: Values, gap_us: int, before: Run) -> NDArray[np.int64]:
    """
    Begin of the run that each reading stands in. [us UTC]

    Parameters
    ----------
    now : Values
        n readings.
    gap_us : int
        A longer silence ends a run. [us]
    before : Run
    """
    head, time_us, value, limits = now
    n = len(time_us)
    anew = np.ones(n, dtype=np.bool_)
    anew[1:] = (
        (value[1:] != value[:-1])
        | (time_us[1:] - time_us[:-1] > gap_us)
        | (limits[1:] != limits[:-1])
    )
    anew[head] = True
    resumed = (
        (value[head] == before.value)
        & (time_us[head] - before.last_us <= gap_us)
        & (limits[head] == before.limits)
    )
    begin = time_us.copy()
    begin[head[resumed]] = before.start_us[resumed]
    first = np.flatnonzero(anew)
    return np.repeat(begin[first], np.diff(np.append(first, n)))
