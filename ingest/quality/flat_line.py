"""
Flat line test: a value that stands still for longer than nature lets it.

After the QARTOD flat line test (IOOS, Manual for Real-Time Quality Control).  A
gateway that repeats the last value of a dead device under new times is found
this way, as is a sensor that hangs, and a register that stands still while its
device works.  Where nothing happens anyway (power at night) a floor keeps the
test silent.  A reading is judged by those before it only, as it arrives: the
first hours of a standstill could be weather.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def from_begin(
    marks: NDArray[np.bool_], since_us: NDArray[np.int64], head: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """
    Mark all of a standstill of which anything is marked, from its first reading on.

    For whoever has the whole series: the first hours of a standstill are no better than its
    last ones.  (Also pvanalytics marks whole runs, `mark="all"`.)

    Parameters
    ----------
    marks : bool array, n
        As `marks` gives them.
    since_us : int64 array, n
        Since when each value has stood there. [us UTC]
    head : intp array
        First row of each device.
    """
    if not marks.any():
        return marks
    new = np.ones(len(marks), dtype=np.bool_)
    new[1:] = since_us[1:] != since_us[:-1]
    new[head] = True
    begins = np.flatnonzero(new)
    found = np.logical_or.reduceat(marks, begins)
    return np.repeat(found, np.diff(np.append(begins, len(marks))))


def marks(
    values: NDArray[np.float64],
    time_us: NDArray[np.int64],
    since_us: NDArray[np.int64],
    longest_us: NDArray[np.float64] | float,
    floor: NDArray[np.float64] | float = -1.0,
) -> NDArray[np.bool_]:
    """
    Mark values that have stood still for longer than `longest_us`.

    Parameters
    ----------
    values : float64 array, n
    time_us, since_us : int64 array, n
        When it was read, and since when it has stood there. [us UTC]
    longest_us : float64 array, n, or float
        Longest standstill that is nothing unusual; NaN where none is known. [us]
    floor : float64 array, n, or float
        Values no farther from zero than this are not looked at.
    """
    with np.errstate(invalid="ignore"):
        return np.asarray((time_us - since_us > longest_us) & (np.abs(values) > floor))
