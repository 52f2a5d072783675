"""
Unit plausibility: is a series ten, a hundred or a thousand times too small?

One reading tells nothing: a cloudy morning is small too.  Days do: a plant
under the thickest clouds of a week and a half still shows its tenth, and one
whose peaks stay below a fiftieth for three days sends another unit, has
another rated power than registered, or does not work.  Series that are too
large are found sooner, by the bound that the rated power sets.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingest.limits import UnitLevel

# below this share of the least plausible peak a device is off, in whatever unit
OFF = 1 / 1_200


def below(
    values: NDArray[np.float64], peak: NDArray[np.float64], level: UnitLevel
) -> NDArray[np.float64]:
    """
    Series whose runs of 1.0 are the times in which no value reached a level.

    Parameters
    ----------
    values, peak, level
        As for `marks`.
    """
    with np.errstate(invalid="ignore"):
        return np.where(values >= level.share * peak, 0.0, 1.0)


def marks(
    values: NDArray[np.float64],
    time_us: NDArray[np.int64],
    since_us: NDArray[np.int64],
    peak: NDArray[np.float64],
    level: UnitLevel,
) -> NDArray[np.bool_]:
    """
    Mark values of a series that has stayed below a level for too long.

    Parameters
    ----------
    values : float64 array, n
    time_us, since_us : int64 array, n
        When it was read, and since when no value has reached the level. [us UTC]
    peak : float64 array, n
        Least that ten days of a device at work reach once; NaN where none is known.
    level : UnitLevel
    """
    with np.errstate(invalid="ignore"):
        small = (values < level.share * peak) & (values > OFF * peak)
    return np.asarray(small & (time_us - since_us > level.longest_us))
