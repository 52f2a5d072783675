"""
Cached state of each device for the quality tests, and of its registers for metering.

The state consists of the last readings, current runs and register values, in arrays by fleet
index.  With it, a batch in time order needs no database query.  It can be rebuilt from stored
readings (`services/store/timeseries/quality_flags`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest import classes
from ingest.classes import FLAT_PARTS, UNIT_LEVELS, Channel
from ingest.model import Float64, Int32, Int64, others
from ingest.pipeline.quality_limits import TIME, Checks

_HOUR_US = 3_600_000_000
NEAR_US = _HOUR_US  # maximum time between neighbours
FLAT_GAP_US = 6 * _HOUR_US
# after a longer standstill the test begins again: the register of a device at rest is constant
REST_US = 2 * _HOUR_US
UNIT_GAP_US = 24 * _HOUR_US


class RunKey(NamedTuple):
    """A monitored run of readings: its channel and its test (`flat`, or a level of the peaks)."""

    class_id: str
    channel: str
    purpose: str


@dataclass(slots=True)
class Pair:
    """The last two values of a channel (or times of a device), by fleet index."""

    time_us: Int64
    value: Float64
    before_us: Int64
    before: Float64


@dataclass(slots=True)
class Standing:
    """
    Current run of constant values by fleet index: value, last reading, begin.

    `part_us`, `part_wh`: if registers can corroborate the gauge, the first reading of the run in
    the current time segment, and the energy that the registers had counted by then. [us UTC, Wh]
    """

    value: Float64
    last_us: Int64
    start_us: Int64
    part_us: Int64
    part_wh: Float64


class Watch(NamedTuple):
    """
    A monitored run of a channel: key, longest gap within it, and longest relevant time.

    `registers`: registers that can corroborate the gauge.
    """

    key: RunKey
    gap_us: int
    longest_us: int
    registers: tuple[Channel, ...] = ()

    @property
    def reach_us(self) -> int:
        """Return the longest time over which a reading can affect the result of a run. [us]"""
        part_us = self.longest_us // FLAT_PARTS if self.registers else 0
        return self.longest_us + self.gap_us + part_us


class Standstill(NamedTuple):
    """
    Stored readings in which a gauge is constant, back to the start of the run.

    Grouped by device, in time order; `columns`: values of the registers of `watch`.
    """

    watch: Watch
    device: Int32
    time_us: Int64
    columns: Mapping[str, Int64]


def pairs_of(checks: Checks, class_id: str) -> list[str]:
    """Return the channels of a class whose last two values are needed."""
    result = [TIME] if checks.of(class_id, TIME) is not None else []
    for name in classes.load()[class_id].channels:
        limits = checks.of(class_id, name)
        if limits is not None and not (np.isnan(limits.spike) & np.isnan(limits.rate)).all():
            result.append(name)
    return result


def runs_of(checks: Checks, class_id: str, channel: Channel) -> list[Watch]:
    """Return the runs of a channel that are monitored for at least one device of the fleet."""
    limits = checks.of(class_id, channel.name)
    if limits is None:
        return []
    runs = []
    if not np.isnan(limits.flat_us).all() and _reports_state(channel):
        longest, key = int(np.nanmax(limits.flat_us)), RunKey(class_id, channel.name, "flat")
        gap_us = FLAT_GAP_US if channel.kind == "gauge" else REST_US
        runs.append(Watch(key, gap_us, longest, _registers(class_id, channel.name)))
    if channel.kind == "gauge" and not np.isnan(limits.peak).all():
        for k, level in enumerate(UNIT_LEVELS):
            key = RunKey(class_id, channel.name, str(k))
            runs.append(Watch(key, UNIT_GAP_US, level.longest_us))
    return runs


def _registers(class_id: str, gauge: str) -> tuple[Channel, ...]:
    return tuple(
        register for register in classes.load()[class_id].registers if register.power == gauge
    )


def _reports_state(channel: Channel) -> bool:
    """
    Return whether a channel's constant value is a finding: a gauge, or a register with
    a power.
    """
    return channel.kind == "gauge" or channel.power is not None


class Watched:
    """Last values and current runs of the fleet's devices, if `MeterState` has loaded them."""

    def __init__(self, devices: int) -> None:
        self._devices = devices
        self.pairs: dict[tuple[str, str], Pair] = {}
        self.runs: dict[RunKey, Standing] = {}

    def pair(self, class_id: str, channel: str) -> Pair:
        """Return the last two values of a channel."""
        key = (class_id, channel)
        if key not in self.pairs:
            n = self._devices
            self.pairs[key] = Pair(_never(n), np.full(n, np.nan), _never(n), np.full(n, np.nan))
        return self.pairs[key]

    def run(self, key: RunKey) -> Standing:
        """Return the state of a run."""
        if key not in self.runs:
            n = self._devices
            nan = np.full(n, np.nan)
            self.runs[key] = Standing(nan, _never(n), _never(n), _never(n), nan.copy())
        return self.runs[key]

    def reset(self, devices: Int32 | NDArray[np.intp]) -> None:
        """Reset the state of devices to that of devices without readings."""
        stored: list[Pair | Standing] = [*self.pairs.values(), *self.runs.values()]
        for item in stored:
            for field in fields(item):
                array = getattr(item, field.name)
                array[devices] = NEVER if array.dtype == np.int64 else np.nan

    def take_over(self, before: Watched, here: Int32, there: Int32) -> None:
        """
        Copy the state of devices from another fleet, from index `there` to `here`.

        The other state becomes unusable, as arrays may be shared.
        """
        if self._devices == before._devices and np.array_equal(here, there):
            self.pairs, self.runs = before.pairs, before.runs
            self.reset(others(self._devices, here))
        else:
            self.copy(before, here, there)

    def copy(self, other: Watched, devices: Int32, there: Int32 | None = None) -> None:
        """Copy the state of devices from another fleet; `there`: their indices in it."""
        self.reset(devices)
        old = devices if there is None else there
        for (class_id, channel), pair in other.pairs.items():
            _copy(pair, self.pair(class_id, channel), devices, old)
        for key, run in other.runs.items():
            _copy(run, self.run(key), devices, old)


def _copy(source: Pair | Standing, target: Pair | Standing, devices: Int32, there: Int32) -> None:
    for field in fields(source):
        getattr(target, field.name)[devices] = getattr(source, field.name)[there]


def _never(n: int) -> Int64:
    return np.full(n, NEVER, dtype=np.int64)


NEVER = -(2**62)
FROM_START = NEVER  # meter a device again from its first reading on


@dataclass(slots=True)
class Register:
    """
    State of one quantity's register, in arrays over all devices.

    `other_*`: a second sequence (`ingest.registers.Other`); `other_read_us` is NEVER without one.
    `transmitted`: the device sends the register in other readings, so nothing is estimated from
    power.
    """

    known: NDArray[np.bool_]
    away: NDArray[np.bool_]
    transmitted: NDArray[np.bool_]
    value: Int64
    read_us: Int64
    changed_us: Int64
    other_value: Int64
    other_read_us: Int64
    other_count: Int64
    other_first: Int64
    open_us: Int64
    open_value: Int64
    open_measured: Int64
    open_estimated: Int64
    open_unknown: Int64
    power_us: Int64
    power_w: Float64

    def seen_us(self, device: Int32) -> Int64:
        """Return the time of each device's last reading, in any register sequence. [us UTC]"""
        read_us, other_us = self.read_us[device], self.other_read_us[device]
        return np.where(self.other_count[device] != 0, np.maximum(read_us, other_us), read_us)


class Registers(dict[int, Register]):
    """Register states by quantity, created on first use, as few quantities occur in a fleet."""

    def __init__(self, devices: int) -> None:
        super().__init__()
        self._devices = devices

    def __missing__(self, quantity: int) -> Register:
        self[quantity] = register = _register(self._devices)
        return register


class MeterState:
    """
    State of a fleet's registers.

    `loaded` marks devices with valid state; others must be loaded before use.  `last_us` is the
    newest stored reading of each device.
    """

    def __init__(self, devices: int) -> None:
        self.loaded = np.zeros(devices, dtype=np.bool_)
        self.last_us = np.full(devices, NEVER, dtype=np.int64)
        self.registers = Registers(devices)

    def take_over(self, before: MeterState, here: Int32, there: Int32) -> None:
        """
        Copy the state of devices from another fleet, from index `there` to `here`.

        The other state becomes unusable, as arrays may be shared.
        """
        if len(self.last_us) == len(before.last_us) and np.array_equal(here, there):
            self.loaded, self.last_us = before.loaded, before.last_us
            self.registers = before.registers
            self.reset(others(len(self.last_us), here))
            return
        self.loaded[here] = before.loaded[there]
        self.last_us[here] = before.last_us[there]
        for quantity, old in before.registers.items():
            register = self.registers[quantity]
            for name in Register.__slots__:
                getattr(register, name)[here] = getattr(old, name)[there]

    def reset(self, devices: NDArray[np.intp]) -> None:
        """Reset devices to the state without readings; their state must be loaded before use."""
        self.loaded[devices] = False
        self.last_us[devices] = NEVER
        for register in self.registers.values():
            for flags in (register.known, register.away, register.transmitted):
                flags[devices] = False
            for name in ("read_us", "changed_us", "other_read_us", "open_us", "power_us"):
                getattr(register, name)[devices] = NEVER

    def forget(self, devices: NDArray[np.int32] | None = None) -> None:
        """Discard the state of these devices (all if None); it is loaded again before use."""
        self.loaded[slice(None) if devices is None else devices] = False


def _register(n: int) -> Register:
    def zeros() -> Int64:
        return np.zeros(n, dtype=np.int64)

    def never() -> Int64:
        return np.full(n, NEVER, dtype=np.int64)

    return Register(
        known=np.zeros(n, dtype=np.bool_),
        away=np.zeros(n, dtype=np.bool_),
        transmitted=np.zeros(n, dtype=np.bool_),
        value=zeros(),
        read_us=never(),
        changed_us=never(),
        other_value=zeros(),
        other_read_us=never(),
        other_count=zeros(),
        other_first=zeros(),
        open_us=never(),
        open_value=zeros(),
        open_measured=zeros(),
        open_estimated=zeros(),
        open_unknown=zeros(),
        power_us=never(),
        power_w=np.zeros(n),
    )
