"""
Sum check: does a meter agree with those behind it, or with its check meter?

After the sum check of validating, estimating and editing (VEE) in metering
practice.  Two meters of good classes differ by their errors; what they may
differ by is a share of the larger, and never less than their resolution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def marks(
    whole: NDArray[np.int64], parts: NDArray[np.int64], share: float, resolution: int
) -> NDArray[np.bool_]:
    """
    Mark intervals in which a meter and the sum of others differ too much.

    Parameters
    ----------
    whole : int64 array, n
        What the meter counted. [base units]
    parts : int64 array, n
        What the others counted together. [base units]
    share : float
        Largest difference, as a share of the larger of the two.
    resolution : int
        Difference that says nothing. [base units]
    """
    allowed = np.maximum(share * np.maximum(whole, parts), float(resolution))
    return np.asarray(np.abs(whole - parts) > allowed)
