"""Energy meter of a works: base load, two shifts, a quiet weekend."""

import numpy as np

from services.simulator.chance import stream
from services.simulator.day import Day, bump
from services.simulator.model import Block, Device
from services.simulator.register import Register


class EnergyMeter:
    """A revenue meter whose maximum demand is `rated_power_w`."""

    def __init__(self, device: Device, seed: int) -> None:
        chance = stream(seed, device.id, "build")
        self._device = device
        self._import = Register(int(chance.integers(1_000_000, 60_000_000)))
        self._export = Register(0)

    def readings(self, day: Day, number: np.ndarray) -> Block:
        """Readings of a day: the load, and a supply that sags a little under it."""
        work = np.minimum(bump(day.hour, 10.0, 3.0) + 0.9 * bump(day.hour, 15.5, 3.0), 1.0)
        load = 0.2 + (0.15 if day.weekend else 0.6) * work
        share = np.clip(load * (1.0 + 0.06 * day.wander("load", 900.0)), 0.02, 1.0)
        power_mw = np.rint(share * self._device.rated_power_w * 1_000).astype(np.int64)
        voltage = 231.0 - 4.0 * share + 0.8 * day.wander("voltage", 300.0)
        return Block(
            time_ms=day.time_ms,
            number=number,
            registers={
                "energy_import_kwh": self._import.advance(day.time_ms, power_mw),
                "energy_export_kwh": self._export.advance(day.time_ms, -power_mw),
            },
            gauges={
                "active_power_kw": power_mw / 1e6,
                "voltage_v": np.round(voltage, 1),
                "frequency_hz": np.round(50.0 + 0.02 * day.wander("frequency", 120.0), 3),
            },
        )
