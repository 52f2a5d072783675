"""
Rate of change test: a value that its sensor could not have reached from the last one.

After the QARTOD rate of change test (IOOS, Manual for Real-Time Quality Control).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MINUTE_US = 60_000_000


def marks(
    values: NDArray[np.float64], time_us: NDArray[np.int64], per_minute: float
) -> NDArray[np.bool_]:
    """
    Mark values that differ from the one before by more than the time allows.

    Parameters
    ----------
    values : float64 array, n
        In time order.
    time_us : int64 array, n
        Strictly rising. [us UTC]
    per_minute : float
        Fastest change, in the unit of the values a minute; a minute at least is allowed.
    """
    found = np.zeros(len(values), dtype=np.bool_)
    minutes = np.maximum(np.diff(time_us) / _MINUTE_US, 1.0)
    found[1:] = np.abs(np.diff(values)) > per_minute * minutes
    return found
