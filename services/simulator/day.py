"""One device's day: the times to read, the hour at its place, its chance."""

from dataclasses import dataclass

import numpy as np

from services.simulator.chance import stream, wander
from services.simulator.model import MS_PER_DAY, Device, Floats, Ints

_MS_PER_HOUR = 3_600_000


def zone_ms(longitude: float) -> int:
    """Offset of the nautical zone, whole hours from UTC by longitude alone. [ms]"""
    return round(longitude / 15) * _MS_PER_HOUR


@dataclass(frozen=True, slots=True)
class Day:
    """
    The part of one local day that a device reads.

    `number` counts local days since 1970; `time_ms` is an even grid inside it.
    """

    device: Device
    seed: int
    number: int
    time_ms: Ints

    @property
    def hour(self) -> Floats:
        """Local hour of the day by longitude, 0 <= hour < 24. [h]"""
        local = (self.time_ms + zone_ms(self.device.longitude)) % MS_PER_DAY
        hours: Floats = local / _MS_PER_HOUR
        return hours

    @property
    def weekend(self) -> bool:
        """Whether the local day is a Saturday or Sunday; 1970-01-01 was a Thursday."""
        return (self.number + 3) % 7 >= 5  # noqa: PLR2004

    def rng(self, name: str) -> np.random.Generator:
        """Random stream of this device, day and name."""
        return stream(self.seed, self.device.id, self.number, name)

    def wander(self, name: str, memory_s: float) -> Floats:
        """Correlated noise of standard deviation 1 along the day."""
        return wander(self.rng(name), len(self.time_ms), self.device.cadence_s, memory_s)


def bump(hour: Floats, centre: float, width: float) -> Floats:
    """Bell of height 1 around an hour of the day, across midnight too. [h]"""
    apart = np.abs((hour - centre + 12) % 24 - 12)
    bell: Floats = np.exp(-((apart / width) ** 2))
    return bell
