"""
Rate of change test: a value that its sensor could not have reached from the last one.

After the QARTOD rate of change test (IOOS, Manual for Real-Time Quality Control).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NEAR_US = 3_600_000_000
_MINUTE_US = 60_000_000


def marks(
    device: NDArray[np.int32],
    time_us: NDArray[np.int64],
    values: NDArray[np.float64],
    per_minute: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """
    Mark values that differ from the one before by more than the time allows.

    Parameters
    ----------
    device : int32 array, n
        Whose value; one device's stand together, in time order.
    time_us : int64 array, n
        A value more than an hour before says nothing. [us UTC]
    values : float64 array, n
    per_minute : float64 array, n
        Fastest change, in the unit of the values a minute; a minute at least is
        allowed.  NaN where none is known.
    """
    found = np.zeros(len(values), dtype=np.bool_)
    step_us = np.diff(time_us)
    near = (device[1:] == device[:-1]) & (step_us <= NEAR_US)
    with np.errstate(invalid="ignore"):
        allowed = per_minute[1:] * np.maximum(step_us / _MINUTE_US, 1.0)
        found[1:] = near & (np.abs(np.diff(values)) > allowed)
    return found
