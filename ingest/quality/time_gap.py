"""
Time gap test: a reading that came long after the one before.

After the QARTOD timing and gap test (IOOS, Manual for Real-Time Quality
Control).  What is long follows from the device's own rhythm, the median step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

STEPS = 3
LEAST_US = 900_000_000


def marks(time_us: NDArray[np.int64]) -> NDArray[np.bool_]:
    """
    Mark readings after a gap of more than three usual steps and a quarter of an hour.

    Parameters
    ----------
    time_us : int64 array, n
        In order. [us UTC]
    """
    found = np.zeros(len(time_us), dtype=np.bool_)
    steps = np.diff(time_us)
    if len(steps):
        found[1:] = steps > max(STEPS * float(np.median(steps)), LEAST_US)
    return found
