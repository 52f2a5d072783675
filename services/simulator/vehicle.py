"""Electric bus: a day of service with stops and layovers, charged at night."""

import numpy as np

from services.simulator.chance import stream
from services.simulator.day import Day
from services.simulator.model import Block, Device, Floats
from services.simulator.register import Register

_SERVICE_FROM, _SERVICE_TO, _CHARGED_BY = 5.5, 21.0, 4.0
_KWH_PER_KM, _BATTERY_KWH, _FULL = 0.95, 350.0, 95.0


class Vehicle:
    """A city bus with an odometer in whole metres."""

    def __init__(self, device: Device, seed: int) -> None:
        chance = stream(seed, device.id, "build")
        self._odometer = Register(int(chance.integers(2_000_000, 90_000_000)))

    def readings(self, day: Day, number: np.ndarray) -> Block:
        """Readings of a day: speed, the distance that it makes, the charge that it takes."""
        speed = _speed(day)
        mm_per_h = np.rint(speed * 1e6).astype(np.int64)
        odometer = self._odometer.advance(day.time_ms, mm_per_h)
        return Block(
            time_ms=day.time_ms,
            number=number,
            registers={"odometer_km": odometer},
            gauges={
                "soc_percent": np.round(_charge(day.hour, odometer - odometer[0]), 1),
                "speed_km_h": np.round(speed, 1),
            },
        )


def _speed(day: Day) -> Floats:
    """Speed along the day; a lap of 50 minutes ends with a layover of 12. [km/h]"""
    hour = day.hour
    shift = float(day.rng("departure").uniform(0.0, 1.0))
    serving = (hour >= _SERVICE_FROM) & (hour < _SERVICE_TO)
    on_lap = (hour + shift) % (62 / 60) < 50 / 60
    traffic = 22.0 + 12.0 * day.wander("traffic", 90.0)
    moving = serving & on_lap & (traffic > 4.0)  # slower is a bus stop or a red light  # noqa: PLR2004
    return np.where(moving, np.clip(traffic, 0.0, 60.0), 0.0)


def _charge(hour: Floats, driven_m: np.ndarray) -> Floats:
    """State of charge: falls with distance, rises in the depot until four in the morning. [%]"""
    used = 100 * driven_m / 1_000 * _KWH_PER_KM / _BATTERY_KWH
    in_depot_h = np.maximum(hour - _SERVICE_TO, 0.0)
    after_service = np.minimum(_FULL - used + 8.0 * in_depot_h, _FULL)
    before_dawn = np.minimum(_FULL - 8.0 * (_CHARGED_BY - hour), _FULL)
    return np.clip(np.where(hour < _CHARGED_BY, before_dawn, after_service), 5.0, 100.0)
