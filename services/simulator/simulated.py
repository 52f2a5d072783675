"""A simulated device as a source of readings, one local day a block."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol

import numpy as np

from services.simulator.air_station import AirStation
from services.simulator.day import Day, zone_ms
from services.simulator.energy_meter import EnergyMeter
from services.simulator.ev_charger import EvCharger
from services.simulator.model import MS_PER_DAY, Block, Device
from services.simulator.noise_station import NoiseStation
from services.simulator.pv_inverter import PvInverter
from services.simulator.systems import BEHAVIOURS, System
from services.simulator.vehicle import Vehicle
from services.simulator.wastewater_plant import WastewaterPlant


class Model(Protocol):
    """Physics of one device; remembers its registers from day to day."""

    def readings(self, day: Day, number: np.ndarray) -> Block:
        """Readings at the day's times, `number` being their message numbers."""


MODELS: dict[str, Callable[[Device, int], Model]] = {
    "pv_inverter": PvInverter,
    "ev_charger": EvCharger,
    "vehicle": Vehicle,
    "energy_meter": EnergyMeter,
    "air_station": AirStation,
    "noise_station": NoiseStation,
    "wastewater_plant": WastewaterPlant,
    **{kind: partial(System, said=said) for kind, said in BEHAVIOURS.items()},
}


class Simulated:
    """
    Readings of one device over a half-open span of time.

    Readings fall on whole multiples of the cadence since 1970, as those of a
    clocked meter do, and are numbered by that multiple: a restarted device goes
    on counting where it would have been.

    Parameters
    ----------
    start_ms, end_ms : int
        Span; without an end the device goes on for ever. [ms since 1970 UTC]
    """

    def __init__(self, device: Device, seed: int, start_ms: int, end_ms: int | None) -> None:
        self.device = device
        self._seed = seed
        self._start_ms = start_ms
        self._end_ms = end_ms

    def blocks(self) -> Iterator[Block]:
        """Give a block for each local day of the span; the same blocks at every call."""
        model = MODELS[self.device.device_class](self.device, self._seed)
        step = self.device.cadence_s * 1_000
        zone = zone_ms(self.device.longitude)
        at = -(-self._start_ms // step)
        while self._end_ms is None or at * step < self._end_ms:
            day = (at * step + zone) // MS_PER_DAY
            midnight = (day + 1) * MS_PER_DAY - zone
            until = midnight if self._end_ms is None else min(midnight, self._end_ms)
            stop = -(-until // step)
            number = np.arange(at, stop, dtype=np.int64)
            yield model.readings(Day(self.device, self._seed, day, number * step), number)
            at = stop
