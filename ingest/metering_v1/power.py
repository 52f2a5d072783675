"""Steps from power, for devices without the register that the power could fill."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ingest.metering_v1 import rates
from ingest.metering_v1.intervals import ESTIMATED, Steps
from ingest.metering_v1.meter_state import Register
from ingest.metering_v1.register_bounds import RegisterColumn
from ingest.model import Float64, Int32, Int64


class Power(NamedTuple):
    """Power readings, sorted by device and time, absent ones left out. [W]"""

    device: Int32
    time_us: Int64
    power_w: Float64

    def of(self, devices: Int32) -> Power:
        """Return the rows of some devices."""
        rows = np.isin(self.device, devices)
        return Power(self.device[rows], self.time_us[rows], self.power_w[rows])


def steps(column: RegisterColumn, rows: Power, start: Register | None) -> Steps:
    """Energy steps between successive power readings, from the remembered last one if any."""
    head = np.ones(len(rows.device), dtype=np.bool_)
    head[1:] = rows.device[1:] != rows.device[:-1]
    from_us, from_w = np.empty_like(rows.time_us), np.empty_like(rows.power_w)
    from_us[1:], from_w[1:] = rows.time_us[:-1], rows.power_w[:-1]
    first = rows.device[head]
    if start is None:
        from_us[head], from_w[head] = rows.time_us[head] - rates.MAX_GAP_US - 1, 0.0
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
