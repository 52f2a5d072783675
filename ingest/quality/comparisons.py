"""
Quality tests of a series compared with others, or with its device's usual peak.

Sum check: does a meter agree with those behind it, with its check meter, or with its phases?

After the sum check of validating, estimating and editing (VEE) in metering practice.  Meters differ
by their errors; the permitted difference is a share of the larger value, and at least the
resolution.

Unit plausibility: is a series ten, a hundred or a thousand times too small?

A single low reading may be a cloudy morning.  But peaks below a fiftieth of the rated power for
days indicate another unit, another rated power, or a defect: even under thick clouds a plant
reaches a tenth within ten days.  Series that are too large exceed the limit by rated power at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest import classes
from ingest.limits import UnitLevel
from ingest.model import Device

Amounts = NDArray[np.int64] | NDArray[np.float64]


def sums_differ(
    whole: Amounts,
    parts: Amounts,
    share: float | NDArray[np.float64],
    resolution: float | NDArray[np.float64],
) -> NDArray[np.bool_]:
    """
    Return a mask where a total and the sum of its parts differ too much.

    Parameters
    ----------
    whole : int64 or float64 array, n
        Total.
    parts : int64 or float64 array, n
        Sum of the parts; same unit.
    share : float or float64 array, n
        Largest permitted difference, as a share of the larger of the two; NaN if unknown.
    resolution : float or float64 array, n
        Difference that is always permitted, in the same unit.
    """
    with np.errstate(invalid="ignore"):
        larger = np.maximum(np.abs(whole), np.abs(parts))
        allowed = np.maximum(share * larger, resolution)
        return np.asarray(np.abs(whole - parts) > allowed)


# below this share of the least plausible peak a device is off, in whatever unit
OFF = 1 / 1_200


def below(
    values: NDArray[np.float64], peak: NDArray[np.float64], level: UnitLevel
) -> NDArray[np.float64]:
    """
    Return series with 1.0 where a value is below a level, for finding runs.

    Parameters
    ----------
    values, peak, level
        As for `wrong_scale`.
    """
    with np.errstate(invalid="ignore"):
        return np.where(values >= level.share * peak, 0.0, 1.0)


def wrong_scale(
    values: NDArray[np.float64],
    time_us: NDArray[np.int64],
    since_us: NDArray[np.int64],
    peak: NDArray[np.float64],
    level: UnitLevel,
) -> NDArray[np.bool_]:
    """
    Return a mask of values of a series that stayed below a level for too long.

    Parameters
    ----------
    values : float64 array, n
    time_us, since_us : int64 array, n
        Time of reading, and time since which no value has reached the level. [us UTC]
    peak : float64 array, n
        Lowest plausible peak within ten days of a working device; NaN if unknown.
    level : UnitLevel
    """
    with np.errstate(invalid="ignore"):
        small = (values < level.share * peak) & (values > OFF * peak)
    return np.asarray(small & (time_us - since_us > level.longest_us))


Quantities = Mapping[tuple[str, str], int]  # by start and quantity


class Difference(NamedTuple):
    """An interval in which a meter and the sum of the others differ. [base units]"""

    start: str
    quantity: str
    whole: int
    parts: int


def compare(
    device: Device, whole: Quantities, parts: Sequence[Quantities], share: float
) -> tuple[int, list[Difference]]:
    """
    Compare the intervals that all meters have measured.

    Parameters
    ----------
    device : Device
        The meter; its register tolerance is the smallest significant difference.
    whole : mapping of (start, quantity) to int
        Its intervals.
    parts : sequence of such mappings
        The other meters' intervals.
    share : float
        Largest difference, as a share of the larger of the two.

    Returns
    -------
    compared : int
        Number of compared intervals.
    differences : list of Difference
    """
    keys = sorted(key for key in whole if all(key in part for part in parts))
    remaining = np.array([whole[key] for key in keys], dtype=np.int64)
    right = np.array([sum(part[key] for part in parts) for key in keys], dtype=np.int64)
    tolerance = {c.quantity: max(c.tolerance, 1) for c in classes.load()[device.class_id].registers}
    differences: list[Difference] = []
    for quantity, resolution in tolerance.items():
        of = np.array([key[1] == quantity for key in keys], dtype=np.bool_)
        marks = sums_differ(remaining, right, share, resolution) & of
        differences.extend(
            Difference(*keys[i], int(remaining[i]), int(right[i])) for i in np.flatnonzero(marks)
        )
    return len(keys), differences
