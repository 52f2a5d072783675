"""What is left of the baseline after the project: the one place that subtracts."""

from __future__ import annotations

from fractions import Fraction
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Amount = TypeVar("Amount", Fraction, NDArray[np.int64])


def reduction(baseline: Amount, project: Amount, leakage: Amount) -> Amount:
    """
    Emission reduction, negative where the project emits more than the baseline.

    ER = BE - PE - LE

    Parameters
    ----------
    baseline, project, leakage : Fraction or int64 array
        BE, PE, LE. [tCO2e, or ug]

    Returns
    -------
    Fraction or int64 array
        ER. [tCO2e, or ug]
    """
    return baseline - project - leakage
