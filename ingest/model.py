"""
Types of the pipeline: devices, frames of readings, interval rows.

Quantities are integers in base units (Wh, mL, m, microseconds UTC); gauges are float64 in the unit
of their column's name.  An absent register is `NULL`, an absent gauge is NaN.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from operator import is_not
from typing import Any

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]
Int16 = NDArray[np.int16]
Float64 = NDArray[np.float64]
Column = NDArray[np.int64] | NDArray[np.float64]

NULL: int = int(np.iinfo(np.int64).min)
INTERVAL_US: int = 900_000_000
HOUR_US: int = 3_600_000_000
POWER_GAP_US: int = 900_000_000  # maximum time between two power readings that are integrated
# version of the metering rules, stated in rows and statements
METERING: int = 2
# time before a fall of a register in which its earlier values are compared with it
LOOK_BACK_US: int = 7 * 86_400_000_000


@dataclass(frozen=True, slots=True)
class Replacement:
    """
    A meter replacement: last value of the old register, first of the new. [base units]

    `same_meter`: whether only the register was reset, as by an update; the certificate remains
    valid.
    """

    channel: str
    at_us: int
    last: int
    first: int
    same_meter: bool = False

    @property
    def keeps_certificate(self) -> bool:
        """Return whether the meter is still the same: its register was reset or rolled over."""
        return self.same_meter or (self.first == 0 and str(self.last).strip("0") == "1")


@dataclass(frozen=True, slots=True)
class Exchange:
    """Two registers of a device whose values were sent under each other's name in [from, to)."""

    channel: str
    other: str
    from_us: int
    to_us: int


@dataclass(frozen=True, slots=True)
class QualityLimits:
    """
    Limits of the quality tests for one channel of a device, from a time on.

    Limits that are not given are those of the profile; channel "time" denotes the times of
    readings.
    """

    channel: str
    from_us: int
    limits: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Device:
    """
    Field device as registered.

    `timezone`, `country`: those of its site.
    `limits`: environmental standard of a station, and the requirements at its location.
    `quality`: limits of the quality tests.
    `place`: latitude and longitude of its site. [deg]
    """

    id: str
    site: str
    class_id: str
    profile: str = "generic"
    gateway: str | None = None
    rated_power_w: int | None = None
    installed_us: int = 0
    removed_us: int | None = None
    replacements: tuple[Replacement, ...] = ()
    timezone: str = "UTC"
    limits: Mapping[str, Any] = field(default_factory=dict, hash=False)
    quality: tuple[QualityLimits, ...] = field(default=(), hash=False)
    place: tuple[float, float] | None = None
    country: str | None = None
    exchanged: tuple[Exchange, ...] = ()


class Fleet:
    """All devices of a registry version, the index of each id, and the fleet's topic templates."""

    __slots__ = ("by_id", "devices", "exchanged", "installed_us", "rated_w", "topics", "version")

    def __init__(
        self, devices: Iterable[Device], version: int = 0, topics: Iterable[str] = ()
    ) -> None:
        self.devices: list[Device] = list(devices)
        self.by_id: dict[str, int] = {d.id: i for i, d in enumerate(self.devices)}
        self.rated_w: Int64 = np.array([d.rated_power_w or 0 for d in self.devices], dtype=np.int64)
        self.installed_us: Int64 = np.array([d.installed_us for d in self.devices], dtype=np.int64)
        self.version = version
        self.topics: tuple[str, ...] = tuple(topics)
        self.exchanged: frozenset[int] = _with_exchanged(self.devices)

    def __len__(self) -> int:
        return len(self.devices)

    def following(self, changed: Iterable[Device], version: int) -> Fleet:
        """Return a later version of the fleet, with changed or added devices."""
        by_id = {d.id: d for d in changed}
        if not by_id.keys() <= self.by_id.keys():
            others = (d for d in self.devices if d.id not in by_id)
            return Fleet(sorted([*others, *by_id.values()], key=_id), version, self.topics)
        fleet = copy(self)
        fleet.version = version
        fleet.devices = list(self.devices)
        fleet.rated_w, fleet.installed_us = self.rated_w.copy(), self.installed_us.copy()
        for name, device in by_id.items():
            index = self.by_id[name]
            fleet.devices[index] = device
            fleet.rated_w[index] = device.rated_power_w or 0
            fleet.installed_us[index] = device.installed_us
        fleet.exchanged = _with_exchanged(fleet.devices)
        return fleet

    def by_own_name(self, frame: Frame) -> Frame:
        """Return readings with the values of interchanged registers under their own names."""
        for index in self.exchanged:
            mine = frame.device == index
            for exchange in self.devices[index].exchanged if mine.any() else ():
                inside = (
                    mine & (frame.time_us >= exchange.from_us) & (frame.time_us < exchange.to_us)
                )
                here, there = (frame.columns[name] for name in (exchange.channel, exchange.other))
                own = np.where(inside, there, here), np.where(inside, here, there)
                columns = dict(zip((exchange.channel, exchange.other), own, strict=True))
                frame = replace(frame, columns=frame.columns | columns)
        return frame

    def unchanged(self, before: Fleet) -> tuple[Int32, Int32]:
        """Return the indices, in this and the earlier version, of devices that have not changed."""
        if self.by_id is before.by_id:
            here = there = np.arange(len(self), dtype=np.int32)
            devices = before.devices
        else:
            result = np.array([before.by_id.get(d.id, -1) for d in self.devices], dtype=np.int32)
            here = np.flatnonzero(result >= 0).astype(np.int32)
            there = result[here]
            devices = [before.devices[old] for old in there.tolist()]
        ours = self.devices if len(here) == len(self) else [self.devices[i] for i in here.tolist()]
        other = np.fromiter(map(is_not, ours, devices), np.bool_, len(here))
        for k in np.flatnonzero(other).tolist():
            other[k] = ours[k] != devices[k]
        return here[~other], there[~other]

    def ids(self, indices: Sequence[int] | Int32) -> list[str]:
        """Return the device ids of fleet indices."""
        devices = self.devices
        return [devices[i].id for i in indices]


def _id(device: Device) -> str:
    return device.id


def _with_exchanged(devices: Iterable[Device]) -> frozenset[int]:
    return frozenset(i for i, device in enumerate(devices) if device.exchanged)


def others(n: int, devices: Int32) -> NDArray[np.intp]:
    """Return the fleet indices below `n` that are not in `devices`."""
    rest = np.ones(n, dtype=np.bool_)
    rest[devices] = False
    return np.flatnonzero(rest)


@dataclass(slots=True)
class Frame:
    """Readings of one device class as columns, n rows in arrival order."""

    class_id: str
    device: Int32
    time_us: Int64
    message: Int32
    columns: dict[str, Column]
    flags: dict[int, dict[str, str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.time_us)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Frame:
        """Return the rows selected by an index or mask array, with their flags."""
        index = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        moved: dict[int, dict[str, str]] = {}
        if self.flags:
            moved = {k: self.flags[int(i)] for k, i in enumerate(index) if int(i) in self.flags}
        return Frame(
            self.class_id,
            self.device[index],
            self.time_us[index],
            self.message[index],
            {name: values[index] for name, values in self.columns.items()},
            moved,
        )

    @staticmethod
    def concat(frames: Sequence[Frame]) -> Frame:
        """Join frames of a class in the given order, as metering needs them."""
        if len(frames) == 1:
            return frames[0]
        flags: dict[int, dict[str, str]] = {}
        base = 0
        for frame in frames:
            flags |= {base + row: tests for row, tests in frame.flags.items()}
            base += len(frame)
        return Frame(
            frames[0].class_id,
            np.concatenate([f.device for f in frames]),
            np.concatenate([f.time_us for f in frames]),
            np.concatenate([f.message for f in frames]),
            {name: np.concatenate([f.columns[name] for f in frames]) for name in frames[0].columns},
            flags,
        )


OTHER_FIELDS = ("other_value", "other_read_us", "other_count", "other_first")
MARK_FIELDS = ("register", "read_us", "changed_us", *OTHER_FIELDS)


def _none() -> Int64:
    return np.empty(0, dtype=np.int64)


def absent(rows: int) -> Int64:
    """Return a column without values, stored as one repeated value."""
    result: Int64 = np.broadcast_to(np.int64(NULL), rows)
    return result


def is_absent(values: NDArray[Any]) -> bool:
    """Return whether a column is the repeated absent value of `absent`."""
    none = values.strides == (0,) and len(values) > 0
    return bool(none and (values[0] == NULL if values.dtype == np.int64 else np.isnan(values[0])))


def joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Join columns; one that is absent in all parts stays absent."""
    if parts[0].dtype == np.int64 and all(is_absent(part) or not len(part) for part in parts):
        return absent(sum(map(len, parts)))
    return np.concatenate(parts)


@dataclass(slots=True)
class IntervalRows:
    """
    Quantities of 15-minute intervals, n rows.

    `measured_us`: time within register steps of at most an hour.  `estimated_us`: time within
    longer steps, or integrated from power.  `unknown_us`: time within steps of unknown size (reset,
    impossible).  The rest of the interval is missing.

    `register`, `read_us` and `changed_us` are the register's last value in the interval, the time
    of that reading and of the last rise; NULL if it was not read.  `other_*` are a second sequence,
    waiting for confirmation or former (`ingest.registers.Other`); NULL without one.  Metering can
    continue from them without earlier data.
    """

    device: Int32
    quantity: Int16
    start_us: Int64
    value: Int64
    measured_us: Int64
    estimated_us: Int64
    unknown_us: Int64
    register: Int64 = field(default_factory=_none)
    read_us: Int64 = field(default_factory=_none)
    changed_us: Int64 = field(default_factory=_none)
    other_value: Int64 = field(default_factory=_none)
    other_read_us: Int64 = field(default_factory=_none)
    other_count: Int64 = field(default_factory=_none)
    other_first: Int64 = field(default_factory=_none)

    def __post_init__(self) -> None:
        for name in MARK_FIELDS:
            if len(getattr(self, name)) != len(self.start_us):
                setattr(self, name, np.full(len(self.start_us), NULL, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.start_us)

    @staticmethod
    def empty() -> IntervalRows:
        """Return interval rows of length zero."""
        none = _none()
        return IntervalRows(
            none.astype(np.int32), none.astype(np.int16), none, none, none, none, none
        )

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> IntervalRows:
        """Return the rows selected by an index or mask array."""
        count = len(self.start_us[rows])
        stored: list[Any] = [getattr(self, name) for name in INTERVAL_FIELDS]
        subset: list[Any] = [
            absent(count) if is_absent(column) else column[rows] for column in stored
        ]
        return IntervalRows(*subset)

    def within(self, begin: int, end: int) -> IntervalRows:
        """Return the rows of a range, without copying them."""
        stored: list[Any] = [getattr(self, name) for name in INTERVAL_FIELDS]
        return IntervalRows(*(column[begin:end] for column in stored))

    @staticmethod
    def concat(parts: Sequence[IntervalRows]) -> IntervalRows:
        """Join row sets in the order given."""
        if not parts:
            return IntervalRows.empty()
        columns: list[Any] = [joined([getattr(p, n) for p in parts]) for n in INTERVAL_FIELDS]
        return IntervalRows(*columns)


INTERVAL_FIELDS = (
    "device",
    "quantity",
    "start_us",
    "value",
    "measured_us",
    "estimated_us",
    "unknown_us",
    *MARK_FIELDS,
)


def quality(estimated_us: int, unknown_us: int) -> str:
    """
    Return the quality of an interval's value.

    `suspect` if a step's size is unknown, `estimated` if energy was distributed over a long step or
    integrated from power, else `measured`.
    """
    if unknown_us > 0:
        return "suspect"
    return "estimated" if estimated_us > 0 else "measured"
