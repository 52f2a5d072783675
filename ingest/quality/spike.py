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
    with np.errstate(invalid="ignore"):
        step = np.diff(values)
        away = np.abs(step)
        both = (away[:-1] > height[1:-1]) & (away[1:] > height[1:-1])
    at = np.flatnonzero(both)  # hardly any
    rise, fall = step[at], -step[at + 1]
    near = (device[at] == device[at + 2]) & (time_us[at + 1] - time_us[at] <= NEAR_US)
    near &= time_us[at + 2] - time_us[at + 1] <= NEAR_US
    found[at + 1] = near & (np.sign(rise) == np.sign(fall))
    return found
