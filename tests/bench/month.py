"""A month of sunny days for a number of inverters."""

import numpy as np
from numpy.typing import NDArray

from ingest import classes
from ingest.model import NULL, Frame
from mrv.calendar import instant_us

DAY_US, QUARTER_US, MINUTE_US = 86_400_000_000, 900_000_000, 60_000_000
BEGIN_US, END_US = (instant_us(day, "Asia/Ho_Chi_Minh") for day in ("2026-03-01", "2026-04-01"))


def frame(devices: list[int] | range, step_us: int, *, weather: bool = False) -> Frame:
    """
    Return readings of inverters with the sun's power, and a register that follows it.

    All are identical; with `weather` each has its own clouds.
    """
    times = np.arange(BEGIN_US, END_US, step_us, dtype=np.int64) + 17_000_000
    hour = ((times + 7 * 3_600_000_000) % 86_400_000_000) / 3_600_000_000
    power = np.maximum(np.sin((hour - 6) / 12 * np.pi), 0) * 80_000
    many = len(devices)
    powers = [power] * many
    if weather:
        powers = [power * _clouds(d, (times - BEGIN_US) // DAY_US) for d in devices]
    energies = [np.cumsum(p * step_us / 3_600_000_000).astype(np.int64) for p in powers]
    columns = {}
    for channel in classes.load()["pv_inverter"].channels.values():
        if channel.kind == "register":
            columns[channel.name] = np.full(many * len(times), NULL, dtype=np.int64)
        else:
            columns[channel.name] = np.full(many * len(times), np.nan)
    columns["energy_export_wh"] = np.concatenate(
        [energy + 1000 * d for energy, d in zip(energies, devices, strict=True)]
    )
    columns["active_power_w"] = np.round(np.concatenate(powers), 1)
    index = np.repeat(np.array(list(devices), dtype=np.int32), len(times))
    nobody = np.zeros(many * len(times), dtype=np.int32)
    return Frame("pv_inverter", index, np.tile(times, many), nobody, columns)


def _clouds(device: int, day: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the transmission of a device's own sky, by day and reading."""
    draw = np.random.default_rng(device)
    of_day = draw.uniform(0.3, 1, int(day.max()) + 1)
    found: NDArray[np.float64] = of_day[day] * draw.uniform(0.6, 1, len(day))
    return found
