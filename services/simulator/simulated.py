"""
A simulated device as a source of readings, from any day on, or there all along.

A simulated device as a source of readings, one local day a block.

Devices that have been there all along: today until now at once, then as time goes.

A day's readings follow from its midnight, so a fleet that is started again on the
same day is identical again, and nothing of it is in conflict with what is stored.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

import numpy as np

from ingest import classes, profiles
from services.simulator.model import MS_PER_DAY, Block, Day, Device, SimulatorError, Source, zone_ms
from services.simulator.pv_inverter import PvInverter
from services.simulator.register import EnergyMeter
from services.simulator.stations import AirStation, NoiseStation, WastewaterPlant
from services.simulator.systems import BEHAVIOURS, System
from services.simulator.vehicles import EvCharger, Vehicle


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
    **{kind: partial(System, behaviour=behaviour) for kind, behaviour in BEHAVIOURS.items()},
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


def todays_sources(
    fleet: Sequence[Device],
    now_us: int,
    duration_us: int | None,
    seed: int,
    since_us: int | None = None,
) -> tuple[list[Source], int]:
    """
    Sources from each device's last midnight until `duration_us` from now, or for ever.

    Parameters
    ----------
    since_us : int, optional
        When the registers began to count, if before that midnight: they go on from what a
        simulation since then ended with. [us since 1970 UTC]

    Returns
    -------
    sources : list of Source
    start_ms : int
        The earliest of the midnights. [ms since 1970 UTC]
    """
    now_ms = now_us // 1_000
    end_ms = None if duration_us is None else (now_us + duration_us) // 1_000
    starts = [_midnight_ms(device, now_ms) for device in fleet]
    since_ms = None if since_us is None else since_us // 1_000
    sources: list[Source] = [
        _Part(Simulated(device, seed, min(start_ms, since_ms or start_ms), end_ms), start_ms)
        for device, start_ms in zip(fleet, starts, strict=True)
    ]
    return sources, min(starts)


class _Part:
    """The readings of a source that are sent: from one moment on, or until another."""

    def __init__(self, source: Source, from_ms: int = 0, until_ms: int | None = None) -> None:
        self.source, self._from_ms, self._until_ms = source, from_ms, until_ms

    @property
    def device(self) -> Device:
        """The device whose readings these are."""
        return self.source.device

    def blocks(self) -> Iterator[Block]:
        """Give the source's readings of that time."""
        for block in self.source.blocks():
            if self._until_ms is not None and block.time_ms[0] >= self._until_ms:
                return
            sent = block.time_ms >= self._from_ms
            if self._until_ms is not None:
                sent &= block.time_ms < self._until_ms
            if sent.any():
                yield Block(
                    block.time_ms[sent],
                    block.number[sent],
                    {name: one[sent] for name, one in block.registers.items()},
                    {name: one[sent] for name, one in block.gauges.items()},
                )


class _Stuck:
    """A device that sends on with registers that stand still and gauges at zero."""

    def __init__(self, source: Source, from_ms: int) -> None:
        self._source, self._from_ms = source, from_ms

    @property
    def device(self) -> Device:
        """The device whose readings these are."""
        return self._source.device

    def blocks(self) -> Iterator[Block]:
        """Give the source's readings as the broken device shows them."""
        last: dict[str, int] = {}
        for block in self._source.blocks():
            at = int(np.searchsorted(block.time_ms, self._from_ms))
            on = np.arange(len(block.time_ms)) < at
            registers = {}
            for name, counted in block.registers.items():
                stood = int(counted[at - 1]) if at else last.get(name, int(counted[0]))
                registers[name] = np.where(on, counted, stood)
                last[name] = int(registers[name][-1])
            gauges = {name: np.where(on, shown, 0.0) for name, shown in block.gauges.items()}
            yield replace(block, registers=registers, gauges=gauges)


def broken(
    sources: Sequence[Source], silent: Mapping[str, int], stuck: Mapping[str, int]
) -> list[Source]:
    """
    Sources of which some break: they fall silent, or go on sending but count no longer.

    Parameters
    ----------
    silent, stuck : mapping of device id to int
        From when on. [us since 1970 UTC]

    Raises
    ------
    SimulatorError
        When a name is none of the devices'.
    """
    known = {source.device.id for source in sources}
    for name in (*silent, *stuck):
        if name not in known:
            raise SimulatorError(f"{name!r} is to break, and is no device of the fleet")
    found: list[Source] = []
    for source in sources:
        name, shown = source.device.id, source
        if name in stuck and isinstance(shown, _Part):  # it may have broken before what is sent
            shown.source = _Stuck(shown.source, stuck[name] // 1_000)
        elif name in stuck:
            shown = _Stuck(shown, stuck[name] // 1_000)
        found.append(_Part(shown, until_ms=silent[name] // 1_000) if name in silent else shown)
    return found


def _midnight_ms(device: Device, now_ms: int) -> int:
    zone = zone_ms(device.longitude)
    return (now_ms + zone) // MS_PER_DAY * MS_PER_DAY - zone


def gauges_only(sources: Sequence[Source]) -> list[Source]:
    """
    Sources whose registers are not read; none of devices that show registers alone.

    A register that comes back after months of silence stands for every quarter hour of
    them; a device that is only to be heard leaves it out.

    Raises
    ------
    SimulatorError
        When no device is left.
    """
    kept: list[Source] = [_GaugesOnly(one) for one in sources if _shows_gauges(one.device)]
    if not kept:
        raise SimulatorError("--gauges-only leaves no device: these devices show registers alone")
    return kept


def _shows_gauges(device: Device) -> bool:
    channels = classes.load()[device.device_class].channels
    spoken = profiles.load()[device.device_class, device.profile].channels.values()
    return any(channels[source.channel].kind == "gauge" for source in spoken)


class _GaugesOnly:
    def __init__(self, source: Source) -> None:
        self._source = source

    @property
    def device(self) -> Device:
        """The device whose readings these are."""
        return self._source.device

    def blocks(self) -> Iterator[Block]:
        """Give the source's readings without registers."""
        for block in self._source.blocks():
            yield replace(block, registers={})
