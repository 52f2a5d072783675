"""
Sum check: does a meter agree with those behind it, with its check meter, or with its phases?

After the sum check of validating, estimating and editing (VEE) in metering
practice.  Two meters of good classes differ by their errors; what they may
differ by is a share of the larger, and never less than their resolution.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Amounts = NDArray[np.int64] | NDArray[np.float64]


def marks(
    whole: Amounts,
    parts: Amounts,
    share: float | NDArray[np.float64],
    resolution: float | NDArray[np.float64],
) -> NDArray[np.bool_]:
    """
    Mark where a whole and the sum of its parts differ too much.

    Parameters
    ----------
    whole : int64 or float64 array, n
        What the meter counted, or its total.
    parts : int64 or float64 array, n
        What the others counted together, or the sum of its phases; same unit.
    share : float or float64 array, n
        Largest difference, as a share of the larger of the two; NaN where none is known.
    resolution : float or float64 array, n
        Difference that says nothing, in the same unit.
    """
    with np.errstate(invalid="ignore"):
        larger = np.maximum(np.abs(whole), np.abs(parts))
        allowed = np.maximum(share * larger, resolution)
        return np.asarray(np.abs(whole - parts) > allowed)
