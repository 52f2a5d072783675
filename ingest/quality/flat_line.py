"""
Flat line test: a value that stands still for longer than nature lets it.

After the QARTOD flat line test (IOOS, Manual for Real-Time Quality Control).  A
gateway that repeats the last value of a dead device under new times is found
this way, as is a sensor that hangs.  Where nothing happens anyway (power at
night) a floor keeps the test silent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def marks(
    values: NDArray[np.float64], time_us: NDArray[np.int64], longest_us: int, floor: float = 0.0
) -> NDArray[np.bool_]:
    """
    Mark all values of a run that stands still for longer than `longest_us`.

    Parameters
    ----------
    values : float64 array, n
        In time order.
    time_us : int64 array, n
        Strictly rising. [us UTC]
    longest_us : int
        Longest standstill that is nothing unusual. [us]
    floor : float
        Values no farther from zero than this are not looked at.
    """
    if not len(values):
        return np.zeros(0, dtype=np.bool_)
    begins = np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))
    ends = np.concatenate((begins[1:], [len(values)]))
    frozen = time_us[ends - 1] - time_us[begins] > longest_us
    return np.repeat(frozen, ends - begins) & (np.abs(values) > floor)
