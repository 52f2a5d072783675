"""
Spike test: a value that stands away from both its neighbours, on the same side.

After the QARTOD spike test (IOOS, Manual for Real-Time Quality Control), which
compares with the mean of the neighbours.  Here the nearer neighbour counts, so
that a steep morning, where a value is far from one neighbour only, is no spike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEAR_US = 3_600_000_000


def marks(
    values: NDArray[np.float64], time_us: NDArray[np.int64], height: float
) -> NDArray[np.bool_]:
    """
    Mark values more than `height` away from both neighbours on the same side.

    Parameters
    ----------
    values : float64 array, n
        In time order.
    time_us : int64 array, n
        Neighbours farther than an hour are none. [us UTC]
    height : float
        In the unit of the values.
    """
    found = np.zeros(len(values), dtype=np.bool_)
    if len(values) < 3:  # noqa: PLR2004 (a value and its neighbours)
        return found
    step = np.diff(values)
    near = np.diff(time_us) <= NEAR_US
    rise, fall = step[:-1], -step[1:]
    both = np.minimum(np.abs(rise), np.abs(fall)) > height
    found[1:-1] = both & (np.sign(rise) == np.sign(fall)) & near[:-1] & near[1:]
    return found
