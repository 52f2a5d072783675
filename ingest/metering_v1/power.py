"""
Steps from power, for devices without a register of the same quantity.

Energy is calculated by the trapezoidal rule between successive readings, but never across more than
the maximum gap: energy in a longer gap is missing.  It is always an estimate.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ingest.metering_v1.intervals import ESTIMATED, Steps
from ingest.metering_v1.register_bounds import Register, RegisterColumn
from ingest.model import Float64, Int32, Int64

MAX_GAP_US = 900_000_000


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
    Return the energy of each pair of power readings, and which pairs are valid.

    Parameters
    ----------
    from_us, to_us : int64 array, n
        Times of the two readings. [us]
    power_from_w, power_to_w : float64 array, n
        Power at the two readings. [W]
    direction : int
        +1 counts positive power, -1 negative power.
    up : bool
        Round up: for energy that is only ever a project's own use, where a watt-hour
        lost in each step would favour the claimant.

    Returns
    -------
    energy_wh : int64 array, n
        (p0 + p1) / 2 * dt, each power clipped at 0, rounded down, or `up`. [Wh]
    counts : bool array, n
        False where the pair is further apart than the maximum gap.
    """
    p0 = np.maximum(power_from_w * direction, 0.0)
    p1 = np.maximum(power_to_w * direction, 0.0)
    elapsed = to_us - from_us
    counts = (elapsed <= MAX_GAP_US) & np.isfinite(p0) & np.isfinite(p1)
    energy = np.where(counts, (p0 + p1) * elapsed / 7.2e9, 0.0)
    whole = np.ceil(energy) if up else np.floor(energy)
    return whole.astype(np.int64), counts


class Power(NamedTuple):
    """Power readings, sorted by device and time, without absent ones. [W]"""

    device: Int32
    time_us: Int64
    power_w: Float64

    def of(self, devices: Int32) -> Power:
        """Return the rows of the given devices."""
        rows = np.isin(self.device, devices)
        return Power(self.device[rows], self.time_us[rows], self.power_w[rows])


def steps(column: RegisterColumn, rows: Power, start: Register | None) -> Steps:
    """Return energy steps between successive power readings, from the stored last one if any."""
    head = np.ones(len(rows.device), dtype=np.bool_)
    head[1:] = rows.device[1:] != rows.device[:-1]
    from_us, from_w = np.empty_like(rows.time_us), np.empty_like(rows.power_w)
    from_us[1:], from_w[1:] = rows.time_us[:-1], rows.power_w[:-1]
    first = rows.device[head]
    if start is None:
        from_us[head], from_w[head] = rows.time_us[head] - MAX_GAP_US - 1, 0.0
    else:
        from_us[head], from_w[head] = start.power_us[first], start.power_w[first]
    energy, counts = energy_steps(
        from_us,
        rows.time_us,
        from_w,
        rows.power_w,
        column.channel.direction,
        up=column.channel.power_up,
    )
    n = int(counts.sum())
    return Steps(
        rows.device[counts],
        np.full(n, column.quantity, dtype=np.int16),
        from_us[counts],
        rows.time_us[counts],
        energy[counts],
        np.full(n, ESTIMATED, dtype=np.uint8),
    )


def last(rows: Power) -> Power:
    """Return each device's last power reading."""
    tail = np.ones(len(rows.device), dtype=np.bool_)
    tail[:-1] = rows.device[1:] != rows.device[:-1]
    return Power(rows.device[tail], rows.time_us[tail], rows.power_w[tail])
