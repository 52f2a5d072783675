"""
Unit plausibility: is a whole series a hundred or a thousand times too small or large?

One reading tells nothing: a cloudy morning is small too.  The peak of some
days against the rated power does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_SPAN_US = 3 * 86_400_000_000
_SMALL, _LARGE = 0.02, 5.0


def factor(values: NDArray[np.float64], time_us: NDArray[np.int64], rated: float) -> int | None:
    """
    Power of ten that the series seems to be off by; None where nothing is odd.

    Parameters
    ----------
    values : float64 array, n
        In the unit of `rated`, in time order.
    time_us : int64 array, n
        Shorter than three days says nothing. [us UTC]
    rated : float
        What the device reaches at its best.

    Returns
    -------
    int or None
        3 where the values seem to be a thousandth of what they should be.
    """
    if len(values) == 0 or time_us[-1] - time_us[0] < LEAST_SPAN_US:
        return None
    peak = float(np.percentile(np.abs(values), 99)) / rated
    if peak == 0 or _SMALL <= peak <= _LARGE:
        return None
    return -round(float(np.log10(peak)))
