"""
Runs: since when a series has stood at one value.

Flat lines, frozen registers and peaks that stay too low are all runs that last
too long.  A run ends where the value changes, where the device was silent for
longer than `gap_us`, and where other limits begin to hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEVER = -(2**62)


class Run(NamedTuple):
    """A run as it stood at the last reading before: its value, that reading, its begin."""

    value: NDArray[np.float64]
    last_us: NDArray[np.int64]
    start_us: NDArray[np.int64]
    limits: NDArray[np.int64]


def starts(
    device: NDArray[np.int32],
    time_us: NDArray[np.int64],
    value: NDArray[np.float64],
    limits: NDArray[np.int64],
    gap_us: int,
    before: Run,
) -> NDArray[np.int64]:
    """
    Begin of the run that each reading stands in.

    Parameters
    ----------
    device : int32 array, n
        Whose reading; one device's stand together, in time order.
    time_us : int64 array, n
        [us UTC]
    value : float64 array, n
    limits : int64 array, n
        Which limits hold at the reading.
    gap_us : int
        A longer silence ends a run. [us]
    before : Run
        How each reading's device stood before the first of these, n rows; `last_us`
        is NEVER where nothing came before.
    """
    n = len(device)
    head = np.ones(n, dtype=np.bool_)
    head[1:] = device[1:] != device[:-1]
    goes_on = np.zeros(n, dtype=np.bool_)
    goes_on[1:] = (
        (value[1:] == value[:-1])
        & (time_us[1:] - time_us[:-1] <= gap_us)
        & (limits[1:] == limits[:-1])
    )
    at = np.flatnonzero(head)
    resumed = (
        (value[at] == before.value[at])
        & (time_us[at] - before.last_us[at] <= gap_us)
        & (limits[at] == before.limits[at])
    )
    begin = time_us.copy()
    begin[at[resumed]] = before.start_us[at[resumed]]
    anew = np.where(head | ~goes_on, np.arange(n), 0)
    return begin[np.maximum.accumulate(anew)] if n else begin
