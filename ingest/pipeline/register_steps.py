"""
Steps of one register column of many devices, within the limits of each register.

Devices whose readings all rise within the highest plausible step are processed in columns; the
others one reading at a time by `registers.Reader`, which gives the same result for the former.
`Bounds` has the limits of each device's registers in a fleet: rates, tolerances, moduli,
replacements.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from math import isfinite
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ingest import classes, intervals, profiles
from ingest.classes import QUANTITY_INDEX, SUN, Channel, DeviceClass
from ingest.intervals import Marks, Steps, heads
from ingest.model import INTERVAL_US, NULL, Device, Fleet, Float64, Int16, Int32, Int64, others
from ingest.pipeline.quality_state import NEVER, Register
from ingest.registers import (
    MARGIN,
    MARGIN_RATED,
    RETIRED_US,
    UNKNOWN,
    Mark,
    Meter,
    Other,
    Reader,
    clean,
    rates,
)
from ingest.sun import QUARTERS, lit, lit_of_day, lit_us

_Number = TypeVar("_Number", bound=np.generic)
RATED = "rated_power"
SUN_QUANTITY = "energy_export"
_FAR = int(np.iinfo(np.int64).max)
# days of light are not cached if they have more intervals than this multiple of the requested ones
_SPARSE = 8


@dataclass(frozen=True)
class RegisterColumn:
    """One register column of a class: its quantity and the power channel that may replace it."""

    channel: Channel
    quantity: int


class Bounds:
    """
    Limits of every register in a fleet, as columns and, for one device, as a Meter.

    Parameters
    ----------
    fleet : Fleet
    before : Bounds, optional
        Limits of an earlier version of the fleet.
    same : pair of int32 arrays, optional
        Unchanged devices, by index in this and the earlier fleet, whose limits are reused.
    """

    def __init__(
        self, fleet: Fleet, before: Bounds | None = None, same: tuple[Int32, Int32] | None = None
    ) -> None:
        self.fleet = fleet
        self._rates: dict[tuple[str, str], Float64] = {}
        self._maximum: dict[int, Float64] = {}
        if before is not None and same is not None:
            self._follow(before, *same)

    def _follow(self, before: Bounds, here: Int32, there: Int32) -> None:
        rest = others(len(self.fleet), here)

        def moved(old: NDArray[_Number], new: NDArray[_Number]) -> NDArray[_Number]:
            result = np.empty((*old.shape[:-1], len(self.fleet)), old.dtype)
            result[..., here], result[..., rest] = old[..., there], new
            return result

        self._places = moved(before._places, self._places_of(rest))
        self.next_swap_us = moved(before.next_swap_us, self._next_swaps_of(rest))
        for (class_id, name), rate in list(before._rates.items()):
            channel = classes.load()[class_id].channels[name]
            self._rates[class_id, name] = moved(rate, self._rates_of(channel, rest))
        for quantity, maximum in list(before._maximum.items()):
            self._maximum[quantity] = moved(maximum, self._maximum_of(quantity, rest))

    def columns(self, class_id: str) -> list[RegisterColumn]:
        """Return the register columns of a class, in column order."""
        device_class = classes.load()[class_id]
        return [RegisterColumn(c, QUANTITY_INDEX[str(c.quantity)]) for c in device_class.registers]

    def rate(self, class_id: str, channel: Channel) -> Float64:
        """Return the highest rate by fleet index; inf if unknown. [base units/us]"""
        key = (class_id, channel.name)
        if key not in self._rates:
            self._rates[key] = self._rates_of(channel, self._all)
        return self._rates[key]

    def _rates_of(self, channel: Channel, index: NDArray[np.intp]) -> Float64:
        limits = [_limit(channel, device) for device in self._devices(index)]
        return rates(limits, MARGIN_RATED if channel.limit == RATED else MARGIN)

    @property
    def _all(self) -> NDArray[np.intp]:
        return np.arange(len(self.fleet))

    def _devices(self, index: NDArray[np.intp]) -> Iterator[Device]:
        devices = self.fleet.devices
        return (devices[i] for i in index.tolist())

    @cached_property
    def next_swap_us(self) -> Int64:
        """Return the time of each device's first replacement; in the far future without one."""
        return self._next_swaps_of(self._all)

    def _next_swaps_of(self, index: NDArray[np.intp]) -> Int64:
        result = (
            min((r.at_us for r in d.replacements), default=_FAR) for d in self._devices(index)
        )
        return np.fromiter(result, np.int64, len(index))

    def counts(self, class_id: str, channel: Channel) -> NDArray[np.bool_] | None:
        """Return a mask of devices whose energy is counted, as their limit is known; None: all."""
        if channel.limit != RATED:
            return None
        bound = np.isfinite(self.rate(class_id, channel))
        return None if bound.all() else bound

    def interval_maximum(self, quantity: int) -> Float64:
        """Return the highest value of a 15-minute interval by fleet index; inf where unknown."""
        if quantity not in self._maximum:
            self._maximum[quantity] = self._maximum_of(quantity, self._all)
        return self._maximum[quantity]

    def _maximum_of(self, quantity: int, index: NDArray[np.intp]) -> Float64:
        result = np.full(len(index), np.inf)
        class_ids = [d.class_id for d in self._devices(index)]
        for class_id in set(class_ids):
            of = np.array([own_class == class_id for own_class in class_ids])
            for column in self.columns(class_id):
                if column.quantity == quantity:
                    rate = self.rate(class_id, column.channel)[index[of]]
                    result[of] = np.floor(rate * INTERVAL_US) + column.channel.tolerance
        return result

    def light(self, device: Int32, quantity: Int16, interval: Int64) -> NDArray[np.bool_]:
        """Return a mask of intervals in which a device can generate: PV modules not at night."""
        latitude, longitude = self._places
        result = np.ones(len(device), dtype=np.bool_)
        of = np.flatnonzero(
            (quantity == QUANTITY_INDEX[SUN_QUANTITY]) & np.isfinite(latitude[device])
        )
        north, east = latitude[device[of]], longitude[device[of]]
        if len(of) and (north == north[0]).all() and (east == east[0]).all():
            result[of] = _of_place(interval[of], float(north[0]), float(east[0]))
        else:
            result[of] = lit(interval[of] * INTERVAL_US, north, east)
        return result

    @cached_property
    def has_light(self) -> bool:
        """Return whether any device of the fleet is a solar plant at a known location."""
        return bool(np.isfinite(self._places[0]).any())

    @cached_property
    def _places(self) -> Float64:
        """Return latitude and longitude by fleet index; NaN for other than solar plants. [deg]"""
        return self._places_of(self._all)

    def _places_of(self, index: NDArray[np.intp]) -> Float64:
        nowhere = (np.nan, np.nan)
        known = classes.load()
        places = [
            d.place or nowhere if known[d.class_id].made_from(SUN_QUANTITY) == SUN else nowhere
            for d in self._devices(index)
        ]
        return np.array(places, dtype=np.float64).reshape(-1, 2).T

    def meter(self, index: int, channel: Channel) -> Meter:
        """Return all limits of one register of one device."""
        device = self.fleet.devices[index]
        moduli, exact = _moduli(classes.load()[device.class_id], device, channel)
        swaps = sorted(
            (r for r in device.replacements if r.channel == channel.name), key=lambda r: r.at_us
        )
        rate = float(self.rate(device.class_id, channel)[index])
        latitude, longitude = self._places[:, index].tolist()
        by_light = isfinite(latitude) and channel.made_from == SUN
        light = partial(lit_us, latitude, longitude) if by_light else None
        return Meter(rate, channel.tolerance, moduli, exact, tuple(swaps), light)


def _of_place(interval: Int64, latitude: float, longitude: float) -> NDArray[np.bool_]:
    """Return a mask of 15-minute intervals with daylight at one place."""
    first, last = int(interval.min()) // QUARTERS, int(interval.max()) // QUARTERS
    if (last - first) * QUARTERS > _SPARSE * len(interval):
        place = np.full((2, len(interval)), [[latitude], [longitude]])
        return lit(interval * INTERVAL_US, *place)
    days = [lit_of_day(latitude, longitude, day) for day in range(first, last + 1)]
    return np.concatenate(days)[interval - first * QUARTERS]


def _limit(channel: Channel, device: Device) -> float | None:
    if channel.limit == RATED:
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
    """Readings of one register, sorted by device and time; readings without it are omitted."""

    device: Int32
    time_us: Int64
    value: Int64


class Ends(NamedTuple):
    """State of each device's register after its last reading; arrays, one row per device."""

    device: Int32
    value: Int64
    read_us: Int64
    changed_us: Int64
    other: Int64

    def of(self, devices: Int32) -> Ends:
        """Return the rows of the given devices."""
        rows = np.isin(self.device, devices)
        return Ends(
            self.device[rows],
            self.value[rows],
            self.read_us[rows],
            self.changed_us[rows],
            self.other[rows],
        )


@dataclass(slots=True)
class Trace:
    """
    Steps of one register column, and the register's mark after each reading.

    `rewrites`: devices whose older steps would change, with a time before which marks are valid;
    their rows are omitted.  `spread`: devices whose catch-up step was distributed, with the start
    of that time.
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
    Return the steps between successive readings of a register, beginning with its stored state.

    `rows`: sorted by device and time, times unique per device and later than its stored state.
    `start`: stored state of the register.
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
    other = _others(start, first)
    if other is not None:
        fine_device &= _clear_of(other, start, first, rows, tail, column.channel.tolerance)
    good = np.repeat(fine_device, lengths)
    changed = _changed(rows, head, rise, start)
    whose: Int16 = np.full(len(rows.device), column.quantity, dtype=np.int16)
    opens = np.zeros(len(rows.device), dtype=np.bool_)
    opens[head] = new
    beside = np.broadcast_to(intervals.NO_OTHER, (len(rows.device), 4))
    if other is not None:
        beside = np.repeat(other, lengths, axis=0)
    marks = Marks(
        rows.device, whose, rows.time_us, rows.value, rows.time_us, changed, opens, beside
    )
    step = _places(good & ~opens)
    steps = _steps(
        rows.device[step], column.quantity, read_us[step], rows.time_us[step], rise[step], None
    )
    ends = Ends(first, rows.value[tail], rows.time_us[tail], changed[tail], beside[tail])
    out = Trace(steps, marks, ends, [], {}, {})
    if not fine_device.all():
        out.marks = Marks(*(values[good] for values in marks))
        _read_others(bounds, column, rows, head, fine_device, start, out)
    counts = bounds.counts(class_id, column.channel)
    if counts is not None:
        out.steps = _unbounded(out.steps, counts)
    return out


def _unbounded(steps: Steps, counts: NDArray[np.bool_]) -> Steps:
    """Return the steps, with those of devices without a limit marked as unknown."""
    free = np.flatnonzero(~counts[steps.device])
    if not len(free):
        return steps
    value, kind = steps.value.copy(), steps.kind.copy()
    value[free], kind[free] = 0, intervals.UNKNOWN
    return steps._replace(value=value, kind=kind)


def _others(start: Register, first: Int32) -> Int64 | None:
    """Return the second sequences of devices, one row each; None if no device has one."""
    there = start.known[first] & (start.other_read_us[first] != NEVER)
    if not there.any():
        return None
    names = ("other_value", "other_read_us", "other_count", "other_first")
    others = np.stack([getattr(start, name)[first] for name in names], axis=1)
    others[~there] = NULL
    return others


def _clear_of(
    other: Int64,
    start: Register,
    first: Int32,
    rows: Column,
    tail: NDArray[np.intp],
    tolerance: int,
) -> NDArray[np.bool_]:
    """Return a mask of devices whose readings all stay far from a stored second sequence."""
    value, _, count, since = other.T
    none = value == NULL
    kept = (count == 0) & (rows.time_us[tail] - np.abs(since) <= RETIRED_US)
    near = (value > start.value[first]) & (rows.value[tail] >= value - tolerance)
    clear: NDArray[np.bool_] = none | (kept & ~near)
    return clear


def _places(kept: NDArray[np.bool_]) -> NDArray[np.intp] | slice:
    """Return the indices of kept rows; a slice, without a copy, if consecutive."""
    places = np.flatnonzero(kept)
    if len(places) and places[-1] - places[0] + 1 == len(places):
        return slice(int(places[0]), int(places[-1]) + 1)
    return places


def _before(rows: Column, head: NDArray[np.intp], start: Register) -> tuple[Int64, Int64]:
    """Return value and time before each row; those of the row itself if there is no earlier one."""
    value, read = np.empty_like(rows.value), np.empty_like(rows.time_us)
    value[1:], read[1:] = rows.value[:-1], rows.time_us[:-1]
    first = rows.device[head]
    known = start.known[first]
    value[head] = np.where(known, start.value[first], rows.value[head])
    read[head] = np.where(known, start.read_us[first], rows.time_us[head])
    return value, read


def _changed(rows: Column, head: NDArray[np.intp], rise: Int64, start: Register) -> Int64:
    """Return the time of the register's last rise at each row; a first reading counts as a rise."""
    first = rows.device[head]
    risen = rise > 0
    risen[head] = True
    at = np.flatnonzero(risen)
    times = rows.time_us[at]
    stood = start.known[first] & (rise[head] <= 0)
    times[np.searchsorted(at, head[stood])] = start.changed_us[first[stood]]
    return np.repeat(times, np.diff(np.append(at, len(rise))))


def _steps(
    device: Int32,
    quantity: int,
    from_us: Int64,
    to_us: Int64,
    value: Int64,
    unknown: NDArray[np.bool_] | None,
) -> Steps:
    kind = intervals.kind_of(from_us, to_us, unknown)
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
        other = _other(start, index)
        reader = Reader(
            bounds.meter(index, column.channel),
            _mark(start, index),
            waits=other if other is not None and other.count else None,
            left=[other] if other is not None and not other.count else [],
        )
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


def _other(start: Register, index: int) -> Other | None:
    if not start.known[index] or start.other_read_us[index] == NEVER:
        return None
    count, first = int(start.other_count[index]), int(start.other_first[index])
    other = Other(int(start.other_value[index]), int(start.other_read_us[index]), count, first)
    if not count and first < 0:
        other.first, other.more = -first, True
    return other


def _reader_steps(index: int, quantity: int, reader: Reader) -> Steps:
    table = np.array(reader.steps, dtype=np.int64).reshape(-1, 4)
    device: Int32 = np.full(len(table), index, dtype=np.int32)
    return _steps(device, quantity, table[:, 0], table[:, 1], table[:, 2], table[:, 3] == UNKNOWN)


def _reader_marks(
    index: int, quantity: int, reader: Reader, times: Int64, start: Register
) -> Marks:
    table = np.array(reader.marks, dtype=np.int64).reshape(-1, 7)
    n = len(table)
    first = np.zeros(n, dtype=np.bool_)
    first[0] = not start.known[index]
    device: Int32 = np.full(n, index, dtype=np.int32)
    whose: Int16 = np.full(n, quantity, dtype=np.int16)
    return Marks(device, whose, times, table[:, 0], table[:, 1], table[:, 2], first, table[:, 3:])


def _set_end(ends: Ends, k: int, reader: Reader) -> None:
    if reader.marks:
        ends.value[k], ends.read_us[k], ends.changed_us[k] = reader.marks[-1][:3]
        ends.other[k] = reader.marks[-1][3:]
