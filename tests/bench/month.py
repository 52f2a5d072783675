"""A month of sunny days for as many inverters as are asked for."""

from __future__ import annotations

import numpy as np

from ingest import classes
from ingest.model import NULL, Frame
from mrv.calendar import instant_us

QUARTER_US, MINUTE_US = 900_000_000, 60_000_000
BEGIN_US, END_US = (instant_us(day, "Asia/Ho_Chi_Minh") for day in ("2026-03-01", "2026-04-01"))


def frame(devices: list[int] | range, step_us: int) -> Frame:
    """Readings of inverters, the sun's power and a register that it fills."""
    times = np.arange(BEGIN_US, END_US, step_us, dtype=np.int64) + 17_000_000
    hour = ((times + 7 * 3_600_000_000) % 86_400_000_000) / 3_600_000_000
    power = np.maximum(np.sin((hour - 6) / 12 * np.pi), 0) * 80_000
    energy = np.cumsum(power * step_us / 3_600_000_000).astype(np.int64)
    many = len(devices)
    columns = {}
    for channel in classes.load()["pv_inverter"].channels.values():
        if channel.kind == "register":
            columns[channel.name] = np.full(many * len(times), NULL, dtype=np.int64)
        else:
            columns[channel.name] = np.full(many * len(times), np.nan)
    columns["energy_export_wh"] = np.concatenate([energy + 1000 * d for d in devices])
    columns["active_power_w"] = np.tile(np.round(power, 1), many)
    index = np.repeat(np.array(list(devices), dtype=np.int32), len(times))
    nobody = np.zeros(many * len(times), dtype=np.int32)
    return Frame("pv_inverter", index, np.tile(times, many), nobody, columns)
