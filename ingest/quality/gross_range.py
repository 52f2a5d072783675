"""
Gross range test: is a gauge inside what its sensor or its device can give?

After the QARTOD gross range test of ocean observing systems (IOOS, Manual for
Real-Time Quality Control): a value outside the span is not used.  A span may
follow the device's rated power, which is what finds watts sent as kilowatts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def outside(
    values: NDArray[np.float64], low: float | NDArray[np.float64], high: float | NDArray[np.float64]
) -> NDArray[np.bool_]:
    """
    Mark values outside [low, high]; absent values (NaN) are never outside.

    Parameters
    ----------
    values : float64 array, n
        In the unit of the channel.
    low, high : float or float64 array, n
        Bounds, NaN where none is known.
    """
    with np.errstate(invalid="ignore"):
        return (values < low) | (values > high)


def within(
    values: NDArray[np.float64], low: float | NDArray[np.float64], high: float | NDArray[np.float64]
) -> bool:
    """
    Return whether all values are there, finite and inside [low, high]: so it is nearly always.

    Parameters
    ----------
    values, low, high
        As of `outside`.
    """
    with np.errstate(invalid="ignore"):
        return bool(((values >= low) & (values <= high) & (np.abs(values) < np.inf)).all())
