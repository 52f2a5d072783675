"""
Ambient air station: two rush hours, ozone in the afternoon, weather around them.

Concentrations are log-normal about a diurnal pattern, as ambient ones are; a
stagnant day lifts all primary pollutants together.
"""

import numpy as np

from services.simulator.day import Day, bump
from services.simulator.model import Block, Device, Floats


class AirStation:
    """A roadside station in a port city of the humid subtropics."""

    def __init__(self, device: Device, seed: int) -> None:
        del device, seed  # all of it is in the day

    def readings(self, day: Day, number: np.ndarray) -> Block:
        """Readings of a day."""
        hour = day.hour
        traffic = bump(hour, 7.5, 2.0) + bump(hour, 18.0, 2.5)
        light = bump(hour, 13.5, 3.5)
        stagnant = 0.35 * float(day.rng("stagnation").standard_normal())
        dust = stagnant + 0.25 * day.wander("dust", 5_400.0)
        pm2_5 = np.exp(np.log(24.0) + 0.5 * traffic + dust)
        temperature = 24.0 + 5.0 * light + 0.6 * day.wander("temperature", 7_200.0)
        gauges: dict[str, Floats] = {
            "pm2_5_ug_m3": pm2_5,
            "pm10_ug_m3": pm2_5 * (1.55 + 0.1 * np.tanh(day.wander("coarse", 3_600.0))),
            "so2_ug_m3": np.exp(np.log(14.0) + 0.2 * traffic + stagnant + self._gas(day, "so2")),
            "no2_ug_m3": np.exp(np.log(26.0) + 0.7 * traffic + stagnant + self._gas(day, "no2")),
            "co_ug_m3": np.exp(np.log(700.0) + 0.6 * traffic + stagnant + self._gas(day, "co")),
            "o3_ug_m3": np.exp(np.log(28.0) + 1.1 * light + self._gas(day, "o3")),
            "temperature_c": temperature,
            "humidity_percent": np.clip(
                88.0 - 18.0 * light + 3.0 * day.wander("humidity", 7_200.0), 20.0, 100.0
            ),
            "wind_speed_m_s": np.abs(1.6 + 1.2 * light + 0.7 * day.wander("wind", 900.0)),
        }
        rounded = {name: np.round(values, 1) for name, values in gauges.items()}
        return Block(day.time_ms, number, {}, rounded)

    @staticmethod
    def _gas(day: Day, name: str) -> Floats:
        gas: Floats = 0.18 * day.wander(name, 3_600.0)
        return gas
