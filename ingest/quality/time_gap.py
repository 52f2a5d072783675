"""
Time gap test: a reading that came long after the one before.

After the QARTOD timing and gap test (IOOS, Manual for Real-Time Quality
Control).  What is long follows from the device's own rhythm: three times the
step before.  A meter that reports hourly has no gap each hour.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STEPS = 3


def marks(
    device: NDArray[np.int32], time_us: NDArray[np.int64], least_us: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """
    Mark readings after a step longer than three of the steps before, and than `least_us`.

    Parameters
    ----------
    device : int32 array, n
        Whose reading; one device's stand together, in time order.
    time_us : int64 array, n
        The first two of a device are not judged: it has no rhythm yet. [us UTC]
    least_us : float64 array, n
        Shortest step that is called a gap; NaN where none is known. [us]
    """
    found = np.zeros(len(time_us), dtype=np.bool_)
    step = np.diff(time_us).astype(np.float64)
    same = device[1:] == device[:-1]
    with np.errstate(invalid="ignore"):
        long = step[1:] > np.maximum(STEPS * step[:-1], least_us[2:])
    found[2:] = long & same[1:] & same[:-1]
    return found
