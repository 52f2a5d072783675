"""
Night generation test: solar power while the sun is well below the horizon.

It finds clocks that are off by hours (a local time sent as UTC) and channels
that are swapped.  The few watts that an inverter draws or shows at night are no
generation, so there is a least power.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingest.sun import NIGHT_DEG, above, elevation_deg

__all__ = ["NIGHT_DEG", "elevation_deg", "marks"]


def marks(
    power: NDArray[np.float64],
    time_us: NDArray[np.int64],
    least: NDArray[np.float64],
    latitude: NDArray[np.float64],
    longitude: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """
    Mark power above `least` after civil twilight and before it.

    Parameters
    ----------
    power : float64 array, n
    time_us : int64 array, n
        [us UTC]
    least : float64 array, n
        Power that counts as generation, in the unit of `power`; NaN where none is known.
    latitude, longitude : float64 array, n
        Of the site, north and east positive; NaN where it is not known. [deg]
    """
    found = np.zeros(len(power), dtype=np.bool_)
    with np.errstate(invalid="ignore"):
        rows = np.flatnonzero((power > least) & np.isfinite(latitude))
    places = (_rows(latitude, rows), _rows(longitude, rows))
    found[rows] = ~above(time_us[rows], *places, NIGHT_DEG)
    return found


def _rows(values: NDArray[np.float64], rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """Some rows; a value that all have stays one in memory."""
    if values.strides == (0,) and len(values):
        return np.broadcast_to(values[0], rows.shape)
    return values[rows]
