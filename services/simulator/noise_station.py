"""Noise station: loud days, quiet nights, single events above them."""

import numpy as np

from services.simulator.day import Day, bump
from services.simulator.model import Block, Device


class NoiseStation:
    """A sound level meter beside an estate road; levels over one cadence."""

    def __init__(self, device: Device, seed: int) -> None:
        del device, seed  # all of it is in the day

    def readings(self, day: Day, number: np.ndarray) -> Block:
        """Readings of a day: LAeq, and LAmax which is never below it."""
        daytime = 1.0 / (1.0 + np.exp(-3.0 * (day.hour - 6.0)))
        evening = 1.0 / (1.0 + np.exp(-3.0 * (21.5 - day.hour)))
        rush = bump(day.hour, 7.5, 1.2) + bump(day.hour, 17.5, 1.5)
        laeq = 47.0 + 11.0 * daytime * evening + 4.0 * rush + 1.8 * day.wander("road", 600.0)
        events = day.rng("events").exponential(4.5, len(laeq))
        gauges = {"laeq_dba": np.round(laeq, 1), "lamax_dba": np.round(laeq + 3.0 + events, 1)}
        return Block(day.time_ms, number, {}, gauges)
