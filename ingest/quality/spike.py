"""
Spike test: a value that stands away from both its neighbours, on the same side.

After the QARTOD spike test (IOOS, Manual for Real-Time Quality Control), which
compares with the mean of the neighbours.  Here the nearer neighbour counts, so
that a steep morning, where a value is far from one neighbour only, is no spike.
The value after a reading decides about it: the mark comes with that one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NEAR_US = 3_600_000_000


def marks(
    device: NDArray[np.int32],
    time_us: NDArray[np.int64],
    values: NDArray[np.float64],
    height: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """
    Mark values more than `height` away from both neighbours on the same side.

    Parameters
    ----------
    device : int32 array, n
        Whose value; one device's stand together, in time order.
    time_us : int64 array, n
        Neighbours farther than an hour are none. [us UTC]
    values : float64 array, n
    height : float64 array, n
        In the unit of the values; NaN where none is known.
    """
    found = np.zeros(len(values), dtype=np.bool_)
    if len(values) < 3:  # noqa: PLR2004 (a value and its neighbours)
        return found
    near = (device[1:] == device[:-1]) & (np.diff(time_us) <= NEAR_US)
    with np.errstate(invalid="ignore"):
        step = np.diff(values)
        rise, fall = step[:-1], -step[1:]
        both = np.minimum(np.abs(rise), np.abs(fall)) > height[1:-1]
        found[1:-1] = both & (np.sign(rise) == np.sign(fall)) & near[:-1] & near[1:]
    return found
