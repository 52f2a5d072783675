"""Energy steps from power, for devices without the register that power could replace."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest import rates
from ingest.intervals import ESTIMATED, UNKNOWN, Steps
from ingest.model import POWER_GAP_US, Float64, Int32, Int64
from ingest.pipeline.meter_state import Register
from ingest.pipeline.register_bounds import RegisterColumn


class Power(NamedTuple):
    """Power readings, sorted by device and time, without absent ones. [W]"""

    device: Int32
    time_us: Int64
    power_w: Float64

    def of(self, devices: Int32) -> Power:
        """Return the rows of the given devices."""
        rows = np.isin(self.device, devices)
        return Power(self.device[rows], self.time_us[rows], self.power_w[rows])


def steps(
    column: RegisterColumn,
    rows: Power,
    start: Register | None,
    bound: NDArray[np.bool_] | None = None,
) -> Steps:
    """
    Return energy steps between successive power readings, from the stored last one if any.

    Those of a device without a `bound` are unknown.
    """
    head = np.ones(len(rows.device), dtype=np.bool_)
    head[1:] = rows.device[1:] != rows.device[:-1]
    from_us, from_w = np.empty_like(rows.time_us), np.empty_like(rows.power_w)
    from_us[1:], from_w[1:] = rows.time_us[:-1], rows.power_w[:-1]
    first = rows.device[head]
    if start is None:
        from_us[head], from_w[head] = rows.time_us[head] - POWER_GAP_US - 1, 0.0
    else:
        from_us[head], from_w[head] = start.power_us[first], start.power_w[first]
    energy, counts = rates.energy_steps(
        from_us,
        rows.time_us,
        from_w,
        rows.power_w,
        column.channel.direction,
        up=column.channel.power_up,
    )
    n = int(counts.sum())
    device = rows.device[counts]
    kind = np.full(n, ESTIMATED, dtype=np.uint8)
    if bound is not None:
        energy[~bound[rows.device]] = 0
        kind[~bound[device]] = UNKNOWN
    return Steps(
        device,
        np.full(n, column.quantity, dtype=np.int16),
        from_us[counts],
        rows.time_us[counts],
        energy[counts],
        kind,
    )


def last(rows: Power) -> Power:
    """Return each device's last power reading."""
    tail = np.ones(len(rows.device), dtype=np.bool_)
    tail[:-1] = rows.device[1:] != rows.device[:-1]
    return Power(rows.device[tail], rows.time_us[tail], rows.power_w[tail])
