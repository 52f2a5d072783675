"""
A simulated day: its times, the hour at its place, its seeded chance.

Seeded chance.

Every random number belongs to a named stream of one seed, device and day.  No
stream depends on how much another one drew, so a longer run repeats a shorter
one and a device does not change when a neighbour joins the fleet.

One device's day: the times to read, the hour at its place, its chance.
"""

import math
from dataclasses import dataclass
from itertools import accumulate
from zlib import crc32

import numpy as np

from services.simulator.model import MS_PER_DAY, Device, Floats, Ints

_MS_PER_HOUR = 3_600_000


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Random generator of its own for the seed and the names."""
    words = [crc32(str(name).encode()) for name in names]
    return np.random.Generator(np.random.SFC64([seed, *words]))


def wander(rng: np.random.Generator, count: int, step_s: float, memory_s: float) -> Floats:
    """
    Give a first-order autoregressive series of mean 0 and standard deviation 1.

    Parameters
    ----------
    count : int
        Number of samples.
    step_s, memory_s : float
        Time between samples and the time in which the correlation falls to 1/e. [s]
    """
    if count == 0:
        return np.empty(0)
    keep = math.exp(-step_s / memory_s)
    pushes = rng.standard_normal(count)
    pushes[1:] *= math.sqrt(1 - keep * keep)
    return np.array(list(accumulate(pushes.tolist(), lambda last, push: keep * last + push)))


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
