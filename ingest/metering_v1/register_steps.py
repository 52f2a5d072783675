"""
Steps of one register column of many devices: in columns where no decision is needed.

Devices whose readings all rise within their allowance are processed in columns. Others are read one
reading at a time by `registers.Reader`, with equal results for the first kind.

The state (mark and open interval of each register) can be calculated again from stored readings
(`recompute`); it is cached so that a batch in order needs no query.  Arrays by fleet index.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest import classes, profiles
from ingest.classes import QUANTITIES, QUANTITY_INDEX, Channel, DeviceClass
from ingest.metering_v1 import registers
from ingest.metering_v1.registers import (
    UNKNOWN,
    Mark,
    Marks,
    Meter,
    Reader,
    Steps,
    clean,
    heads,
    rates,
)
from ingest.model import Device, Fleet, Float64, Int16, Int32, Int64

NEVER = -(2**62)


@dataclass(slots=True)
class Register:
    """State of one quantity's register, in arrays over all devices."""

    known: NDArray[np.bool_]
    away: NDArray[np.bool_]
    value: Int64
    read_us: Int64
    changed_us: Int64
    open_us: Int64
    open_value: Int64
    open_measured: Int64
    open_estimated: Int64
    open_unknown: Int64
    power_us: Int64
    power_w: Float64


class MeterState:
    """
    State of a fleet's registers.

    `loaded` marks devices with valid state; others must be loaded before use.  `last_us` is the
    newest stored reading of each device.
    """

    def __init__(self, devices: int) -> None:
        self.loaded = np.zeros(devices, dtype=np.bool_)
        self.last_us = np.full(devices, NEVER, dtype=np.int64)
        self.registers = [_register(devices) for _ in QUANTITIES]

    def forget(self, devices: NDArray[np.int32] | None = None) -> None:
        """Discard the state of devices (all, if None) until loaded again."""
        self.loaded[slice(None) if devices is None else devices] = False


def _register(n: int) -> Register:
    def zeros() -> Int64:
        return np.zeros(n, dtype=np.int64)

    def never() -> Int64:
        return np.full(n, NEVER, dtype=np.int64)

    return Register(
        known=np.zeros(n, dtype=np.bool_),
        away=np.zeros(n, dtype=np.bool_),
        value=zeros(),
        read_us=never(),
        changed_us=never(),
        open_us=never(),
        open_value=zeros(),
        open_measured=zeros(),
        open_estimated=zeros(),
        open_unknown=zeros(),
        power_us=never(),
        power_w=np.zeros(n),
    )


_FAR = int(np.iinfo(np.int64).max)


@dataclass(frozen=True)
class RegisterColumn:
    """One register column of a class: its quantity and the power channel that may replace it."""

    channel: Channel
    quantity: int


class Bounds:
    """Limits of every register in a fleet, as columns and, for one device, as a Meter."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self._rates: dict[tuple[str, str], Float64] = {}

    def columns(self, class_id: str) -> list[RegisterColumn]:
        """Return the register columns of a class, in column order."""
        device_class = classes.load()[class_id]
        return [RegisterColumn(c, QUANTITY_INDEX[str(c.quantity)]) for c in device_class.registers]

    def rate(self, class_id: str, channel: Channel) -> Float64:
        """Return the highest plausible rate by fleet index; inf if unknown. [base units/us]"""
        key = (class_id, channel.name)
        if key not in self._rates:
            limits = [_limit(channel, device) for device in self.fleet.devices]
            self._rates[key] = rates(limits)
        return self._rates[key]

    @cached_property
    def next_swap_us(self) -> Int64:
        """
        Return the time of each device's first replacement; in the far future
        without one. [us UTC]
        """
        swaps = [min((r.at_us for r in d.replacements), default=_FAR) for d in self.fleet.devices]
        return np.array(swaps, dtype=np.int64)

    def meter(self, index: int, channel: Channel) -> Meter:
        """Return all limits of one register of one device."""
        device = self.fleet.devices[index]
        moduli, exact = _moduli(classes.load()[device.class_id], device, channel)
        swaps = sorted(
            (r for r in device.replacements if r.channel == channel.name), key=lambda r: r.at_us
        )
        rate = float(self.rate(device.class_id, channel)[index])
        return Meter(rate, channel.tolerance, moduli, exact, tuple(swaps))


def _limit(channel: Channel, device: Device) -> float | None:
    if channel.limit == "rated_power":
        return float(device.rated_power_w) if device.rated_power_w else None
    return None if channel.limit is None else float(channel.limit)


def _moduli(
    device_class: DeviceClass, device: Device, channel: Channel
) -> tuple[tuple[int, ...], bool]:
    profile = profiles.load()[device_class.id, device.profile]
    for source in profile.channels.values():
        if source.channel == channel.name:
            numerator, denominator, _ = classes.factor(source.unit, channel.unit)
            moduli = sorted(m * numerator // denominator for m in source.moduli)
            return tuple(moduli), source.exact_modulus
    return (), False


class Column(NamedTuple):
    """Readings of one register, sorted by device and time, without absent ones."""

    device: Int32
    time_us: Int64
    value: Int64


class Ends(NamedTuple):
    """State of each device's register after its last reading; arrays, one row per device."""

    device: Int32
    value: Int64
    read_us: Int64
    changed_us: Int64
    away: NDArray[np.bool_]

    def of(self, devices: Int32) -> Ends:
        """Return the rows of the given devices."""
        rows = np.isin(self.device, devices)
        return Ends(
            self.device[rows],
            self.value[rows],
            self.read_us[rows],
            self.changed_us[rows],
            self.away[rows],
        )


@dataclass(slots=True)
class Trace:
    """
    Steps of one register column, and the mark after each reading.

    `rewrites` are devices whose older steps would change, each with a time before which marks are
    valid; their rows are omitted. `spread` are devices whose catch-up step was distributed, with
    the start of that time.
    """

    steps: Steps
    marks: Marks
    ends: Ends
    events: list[str]
    rewrites: dict[int, int]
    spread: dict[int, int]


def trace(
    bounds: Bounds, class_id: str, column: RegisterColumn, rows: Column, start: Register
) -> Trace:
    """
    Return the steps between successive readings of a register, beginning with its stored mark.

    `rows`: sorted by device and time; times unique per device and later than its mark.
    `start`: stored marks.
    """
    head = heads(rows.device)
    first, lengths = rows.device[head], np.diff(np.append(head, len(rows.device)))
    tail = head + lengths - 1
    new = ~start.known[first]
    value, read_us = _before(rows, head, start)
    rise = rows.value - value
    rate = np.repeat(bounds.rate(class_id, column.channel)[first], lengths)
    fine = clean(rate, column.channel.tolerance, rows.time_us - read_us, rise)
    fine[head] |= new
    fine_device = np.logical_and.reduceat(fine, head) if len(head) else fine
    # times ascend: if a device's last reading is before the replacement, all are
    fine_device &= ~start.away[first] & (rows.time_us[tail] < bounds.next_swap_us[first])
    good = np.repeat(fine_device, lengths)
    changed = _changed(rows, head, rise, start)
    whose: Int16 = np.full(len(rows.device), column.quantity, dtype=np.int16)
    opens = np.zeros(len(rows.device), dtype=np.bool_)
    opens[head] = new
    marks = Marks(rows.device, whose, rows.time_us, rows.value, changed, opens)
    step = _places(good & ~opens)
    steps = _steps(
        rows.device[step], column.quantity, read_us[step], rows.time_us[step], rise[step], None
    )
    away = np.zeros(len(head), dtype=np.bool_)
    ends = Ends(first, rows.value[tail], rows.time_us[tail], changed[tail], away)
    out = Trace(steps, marks, ends, [], {}, {})
    if not fine_device.all():
        out.marks = Marks(*(values[good] for values in marks))
        _read_others(bounds, column, rows, head, fine_device, start, out)
    return out


def _places(kept: NDArray[np.bool_]) -> NDArray[np.intp] | slice:
    """Return the indices of kept rows; a slice, without a copy, if consecutive."""
    places = np.flatnonzero(kept)
    if len(places) and places[-1] - places[0] + 1 == len(places):
        return slice(int(places[0]), int(places[-1]) + 1)
    return places


def _before(rows: Column, head: NDArray[np.intp], start: Register) -> tuple[Int64, Int64]:
    """
    Return value [base units] and time [us UTC] before each row; its own if there is
    no earlier one.
    """
    value, read = np.empty_like(rows.value), np.empty_like(rows.time_us)
    value[1:], read[1:] = rows.value[:-1], rows.time_us[:-1]
    first = rows.device[head]
    known = start.known[first]
    value[head] = np.where(known, start.value[first], rows.value[head])
    read[head] = np.where(known, start.read_us[first], rows.time_us[head])
    return value, read


def _changed(rows: Column, head: NDArray[np.intp], rise: Int64, start: Register) -> Int64:
    """
    Return the time of the register's last rise at each row; a first reading is a
    rise. [us UTC]
    """
    first = rows.device[head]
    last = np.where(rise > 0, np.arange(len(rise)), 0)
    last[head] = head
    last = np.maximum.accumulate(last)
    times = rows.time_us.copy()
    stood = start.known[first] & (rise[head] <= 0)
    times[head[stood]] = start.changed_us[first[stood]]
    return times[last]


def _steps(
    device: Int32,
    quantity: int,
    from_us: Int64,
    to_us: Int64,
    value: Int64,
    unknown: NDArray[np.bool_] | None,
) -> Steps:
    kind = registers.kind_of(from_us, to_us, unknown)
    whose: Int16 = np.full(len(device), quantity, dtype=np.int16)
    return Steps(device, whose, from_us, to_us, value, kind)


def _read_others(
    bounds: Bounds,
    column: RegisterColumn,
    rows: Column,
    head: NDArray[np.intp],
    fine_device: NDArray[np.bool_],
    start: Register,
    out: Trace,
) -> None:
    """Process the other devices one reading at a time, and add their results to `out`."""
    limits = np.append(head, len(rows.device))
    steps, marks = [out.steps], [out.marks]
    for k in np.flatnonzero(~fine_device):
        index = int(rows.device[head[k]])
        if start.away[index]:
            out.rewrites[index] = int(start.read_us[index]) + 1
            continue
        reader = Reader(bounds.meter(index, column.channel), _mark(start, index))
        times, values = (
            rows.time_us[limits[k] : limits[k + 1]],
            rows.value[limits[k] : limits[k + 1]],
        )
        for moment, value in zip(times.tolist(), values.tolist(), strict=True):
            reader.read(moment, value)
        out.events.extend(reader.events)
        if reader.rewrites_us is not None:
            out.rewrites[index] = reader.rewrites_us + 1
            continue
        if reader.spread_from_us is not None:
            out.spread[index] = reader.spread_from_us
        steps.append(_reader_steps(index, column.quantity, reader))
        marks.append(_reader_marks(index, column.quantity, reader, times, start))
        _set_end(out.ends, int(k), reader)
    out.steps = Steps(*(np.concatenate(c) for c in zip(*steps, strict=True)))
    out.marks = Marks(*(np.concatenate(c) for c in zip(*marks, strict=True)))


def _mark(start: Register, index: int) -> Mark | None:
    if not start.known[index]:
        return None
    return Mark(int(start.value[index]), int(start.read_us[index]), int(start.changed_us[index]))


def _reader_steps(index: int, quantity: int, reader: Reader) -> Steps:
    table = np.array(reader.steps, dtype=np.int64).reshape(-1, 4)
    device: Int32 = np.full(len(table), index, dtype=np.int32)
    return _steps(device, quantity, table[:, 0], table[:, 1], table[:, 2], table[:, 3] == UNKNOWN)


def _reader_marks(
    index: int, quantity: int, reader: Reader, times: Int64, start: Register
) -> Marks:
    table = np.array(reader.marks, dtype=np.int64)
    n = len(table)
    first = np.zeros(n, dtype=np.bool_)
    first[0] = not start.known[index]
    device: Int32 = np.full(n, index, dtype=np.int32)
    whose: Int16 = np.full(n, quantity, dtype=np.int16)
    return Marks(device, whose, times, table[:, 0], table[:, 2], first)


def _set_end(ends: Ends, k: int, reader: Reader) -> None:
    mark = reader.mark
    ends.away[k] = reader.away is not None
    if mark is not None:
        ends.value[k], ends.read_us[k], ends.changed_us[k] = (
            mark.value,
            mark.read_us,
            mark.changed_us,
        )
