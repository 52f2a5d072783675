"""
Energy integrated from power, for devices without a register.

Trapezoid between successive readings, never across more than the maximum gap: energy in a longer
gap is missing.  Always an estimate.
"""

from __future__ import annotations

import numpy as np

from ingest.model import POWER_GAP_US, Float64, Int64


def energy_steps(
    from_us: Int64,
    to_us: Int64,
    power_from_w: Float64,
    power_to_w: Float64,
    direction: int,
    *,
    up: bool = False,
) -> tuple[Int64, np.ndarray]:
    """
    Return the energy of each pair of power readings, and which pairs are valid. [Wh]

    Parameters
    ----------
    from_us, to_us : int64 array, n
        Times of the two readings. [us]
    power_from_w, power_to_w : float64 array, n
        Power at the two readings. [W]
    direction : int
        +1: positive power is counted; -1: negative power.
    up : bool
        Round up, for project consumption, where rounding down would favour the claimant.

    Returns
    -------
    energy_wh : int64 array, n
        (p0 + p1) / 2 * dt, each power clipped at 0, rounded down, or `up`. [Wh]
    counts : bool array, n
        False where the readings are further apart than the maximum gap.
    """
    p0 = np.maximum(power_from_w * direction, 0.0)
    p1 = np.maximum(power_to_w * direction, 0.0)
    elapsed = to_us - from_us
    counts = (elapsed <= POWER_GAP_US) & np.isfinite(p0) & np.isfinite(p1)
    energy = np.where(counts, (p0 + p1) * elapsed / 7.2e9, 0.0)
    whole = np.ceil(energy) if up else np.floor(energy)
    return whole.astype(np.int64), counts
