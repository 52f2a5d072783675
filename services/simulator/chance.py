"""
Seeded chance.

Every random number belongs to a named stream of one seed, device and day.  No
stream depends on how much another one drew, so a longer run repeats a shorter
one and a device does not change when a neighbour joins the fleet.
"""

import math
from itertools import accumulate
from zlib import crc32

import numpy as np

from services.simulator.model import Floats


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
