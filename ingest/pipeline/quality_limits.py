"""
Limits of a fleet as columns, quality flags as columns, and series as input of quality tests.

A device has one version of limits, and one more for each date on which the registry changes them.
Shares of the rated power are converted to the channel's unit; NaN disables a test.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest import classes, profiles
from ingest.classes import Channel, Limits
from ingest.model import Device, Fleet, Float64, Int16, Int32, Int64, QualityLimits, others

Rows = NDArray[np.intp]


def heads(device: Int32) -> Rows:
    """Return the index of each device's first row; rows of a device are consecutive."""
    head = np.ones(len(device), dtype=np.bool_)
    head[1:] = device[1:] != device[:-1]
    return np.flatnonzero(head)


def each(values: NDArray[Any], rows: NDArray[np.integer[Any]]) -> NDArray[Any]:
    """Return `values[rows]`; a value common to all rows is stored once."""
    if len(rows) and (rows.strides == (0,) or _same(rows)):
        return np.broadcast_to(values[rows[:1]], rows.shape)
    result: NDArray[Any] = values[rows]
    return result


def _same(rows: NDArray[np.integer[Any]]) -> bool:
    return bool(rows[0] == rows[-1]) and bool((rows == rows[0]).all())


@dataclass(frozen=True, slots=True)
class Series:
    """
    Values sorted by device and time.

    `limits`: version of the limits at each reading.  `head`: first row of each device.
    """

    device: Int32
    time_us: Int64
    limits: Int64
    head: Rows
    value: Float64

    def __len__(self) -> int:
        return len(self.time_us)

    def of(self, value: Float64) -> Series:
        """Return this series with other values for the same readings."""
        return Series(self.device, self.time_us, self.limits, self.head, value)

    def take(self, rows: NDArray[np.bool_]) -> Series:
        """Return the rows selected by a mask."""
        index = np.flatnonzero(rows)
        device = self.device[index]
        return Series(
            device, self.time_us[index], self.limits[index], heads(device), self.value[index]
        )

    def tails(self) -> Rows:
        """Return the index of each device's last row."""
        return np.append(self.head[1:], len(self)) - 1

    def after(self, earlier: tuple[Series, ...]) -> tuple[Series, NDArray[np.bool_]]:
        """
        Return the series with earlier readings of each device in front.

        `earlier`: oldest first; each has one row per device, in the order of `head`.

        Returns
        -------
        whole : Series
        new : bool array
            Mask of the rows of the original series.
        """
        more = len(earlier)
        group = np.zeros(len(self), dtype=np.intp)
        group[self.head] = more
        own = np.arange(len(self)) + np.cumsum(group)
        head = self.head + more * np.arange(len(self.head))
        n = len(self) + more * len(self.head)
        new = np.zeros(n, dtype=np.bool_)
        new[own] = True
        parts = []
        for name in ("device", "time_us", "limits", "value"):
            values = getattr(self, name)
            out = np.empty(n, dtype=values.dtype)
            out[own] = values
            for k, series in enumerate(earlier):
                out[head + k] = getattr(series, name)
            parts.append(out)
        device, time_us, limits, value = parts
        return Series(device, time_us, limits, head, value), new


TIME = "time"
TESTS = (
    "gross_range",
    "rate_of_change",
    "spike",
    "flat_line",
    "frozen_register",
    "time_gap",
    "night_generation",
    "unit_scale",
    "phase_sum",
)
TEST_INDEX = {name: i for i, name in enumerate(TESTS)}
CHANNELS = (TIME, *sorted({c for d in classes.load().values() for c in d.channels}))
CHANNEL_INDEX = {name: i for i, name in enumerate(CHANNELS)}


@dataclass(frozen=True, slots=True)
class Flags:
    """Quality flags, n rows; `channel` and `test` index `CHANNELS` and `TESTS`."""

    device: Int32
    time_us: Int64
    channel: Int16
    test: Int16

    def __len__(self) -> int:
        return len(self.time_us)

    @staticmethod
    def of(channel: str, test: str, device: Int32, time_us: Int64) -> Flags:
        """Return one flag for each (device, time): all of one channel and one test."""
        n = len(device)
        return Flags(
            device,
            time_us,
            np.full(n, CHANNEL_INDEX[channel], dtype=np.int16),
            np.full(n, TEST_INDEX[test], dtype=np.int16),
        )

    @staticmethod
    def concat(parts: Sequence[Flags]) -> Flags:
        """Join flags in the order given."""
        if not parts:
            none = np.zeros(0, dtype=np.int16)
            return Flags(none.astype(np.int32), none.astype(np.int64), none, none)
        names = Flags.__slots__
        return Flags(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Flags:
        """Return the flags selected by an index or mask array."""
        return Flags(self.device[rows], self.time_us[rows], self.channel[rows], self.test[rows])

    def distinct(self) -> Flags:
        """
        Return the flags sorted, without duplicates; two levels of a test may give the
        same flag.
        """
        order = np.lexsort((self.test, self.channel, self.time_us, self.device))
        rows = np.stack(
            [self.device[order], self.time_us[order], self.channel[order], self.test[order]]
        ).astype(np.int64)
        new = np.ones(len(order), dtype=np.bool_)
        new[1:] = (rows[:, 1:] != rows[:, :-1]).any(axis=0)
        return self.take(order[new])


# Power below which a constant value is ignored: in the four hours between two comparisons with
# registers (FLAT_PARTS), such a power does not advance a register of whole kilowatt-hours.
FLAT_LEAST_W = 250.0
# A constant register is at fault only if its device certainly operates: above this share of the
# rated power, and above a power that advances a register of whole kilowatt-hours within its longest
# usual constant time.
AT_WORK = 0.05
AT_WORK_LEAST_W = 500.0
# permitted difference between a total and its phases, as a share of the rated power
PHASES_FLOOR = 0.002
PHASES_LEAST_W = 10.0
_NO_FLOOR = -1.0
_EVER = -(2**62)
_S = 1_000_000


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Limits of one channel: an array for each limit, by version of the limits."""

    low: Float64
    high: Float64
    spike: Float64
    rate: Float64
    flat_us: Float64
    floor: Float64
    night: Float64
    peak: Float64
    share: Float64
    gap_us: Float64
    sleep_us: Float64


class Checks:
    """
    Limits of each device of a fleet, by time.

    Attributes
    ----------
    rated, at_work : float64 array, devices
        Rated power, and the power above which a register must rise; NaN without rated power. [W]
    latitude, longitude : float64 array, devices
        NaN if unknown. [deg]

    Parameters
    ----------
    fleet : Fleet
    before : Checks, optional
        Limits of an earlier version of the fleet.
    same : pair of int32 arrays, optional
        Unchanged devices, by index in this and the earlier fleet, whose limits are reused.
    """

    def __init__(
        self, fleet: Fleet, before: Checks | None = None, same: tuple[Int32, Int32] | None = None
    ) -> None:
        self.fleet = fleet
        rated = fleet.rated_w.astype(np.float64)
        self.rated: Float64 = np.where(rated > 0, rated, np.nan)
        self.at_work: Float64 = np.maximum(AT_WORK * self.rated, AT_WORK_LEAST_W)
        self._versions(fleet.devices)
        self._channels: dict[tuple[str, str], Thresholds | None] = {}
        if before is None or same is None:
            self.latitude, self.longitude = self._places(range(len(fleet)))
        else:
            self._follow(before, *same)

    def _places(self, index: Sequence[int]) -> Float64:
        nowhere = (np.nan, np.nan)
        devices = self.fleet.devices
        result = np.array([devices[i].place or nowhere for i in index], dtype=np.float64)
        return result.reshape(-1, 2).T

    def _follow(self, before: Checks, here: Int32, there: Int32) -> None:
        rest = others(len(self.fleet), here)
        places = np.empty((2, len(self.fleet)))
        places[:, rest] = self._places(rest.tolist())
        places[:, here] = before.latitude[there], before.longitude[there]
        self.latitude, self.longitude = places
        ours = _runs(self._first[here], self._count[here])
        theirs = _runs(before._first[there], before._count[there])
        of_profile = self._of_profiles(rest.tolist())
        for (class_id, channel), thresholds in list(before._channels.items()):
            table = self._nothing()
            if thresholds is not None:
                for row, name in enumerate(Thresholds.__slots__):
                    table[row, ours] = getattr(thresholds, name)[theirs]
            self._fill_devices(table, class_id, channel, of_profile, rest.tolist())
            self._channels[class_id, channel] = _thresholds(table)

    def _versions(self, devices: Sequence[Device]) -> None:
        self._changing = [index for index, d in enumerate(devices) if d.quality]
        dates = {
            index: sorted({c.from_us for c in devices[index].quality}) for index in self._changing
        }
        self._count: Int64 = np.ones(len(devices), dtype=np.int64)
        for index, result in dates.items():
            self._count[index] += len(result)
        self._first: Int64 = np.cumsum(self._count) - self._count
        self._maximum = int(self._count.max(initial=0))
        self.begin_us: Int64 = np.full(int(self._count.sum()), _EVER, dtype=np.int64)
        for index, result in dates.items():
            first = int(self._first[index]) + 1
            self.begin_us[first : first + len(result)] = result
        self.device: Int64 = np.repeat(np.arange(len(devices)), self._count)

    def version(self, device: np.ndarray, time_us: Int64) -> Int64:
        """Return the number of the limits' version that applies to each reading."""
        if self._maximum <= 1:
            return each(self._first, device)
        first, count = self._first[device], self._count[device]
        result: Int64 = first.copy()
        for k in range(1, self._maximum):
            later = np.flatnonzero(count > k)
            result[later] += time_us[later] >= self.begin_us[first[later] + k]
        return result

    def of(self, class_id: str, channel: str) -> Thresholds | None:
        """Return the limits of a class's channel, or of its times; None if no device has any."""
        key = (class_id, channel)
        if key not in self._channels:
            self._channels[key] = self._thresholds(class_id, channel)
        return self._channels[key]

    @cached_property
    def _by_profile(self) -> dict[tuple[str, str], Int64]:
        return self._of_profiles(range(len(self.fleet)))

    def _of_profiles(self, index: Sequence[int]) -> dict[tuple[str, str], Int64]:
        """Return the row indices of devices' versions, by class and profile."""
        result: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        devices = self.fleet.devices
        for i in index:
            result[devices[i].class_id, devices[i].profile].append(i)
        return {key: _runs(self._first[own], self._count[own]) for key, own in result.items()}

    def _thresholds(self, class_id: str, channel: str) -> Thresholds | None:
        table = self._nothing()
        self._fill_devices(table, class_id, channel, self._by_profile, self._changing)
        return _thresholds(table)

    def _nothing(self) -> Float64:
        return np.full((len(Thresholds.__slots__), len(self.begin_us)), np.nan)

    def _fill_devices(
        self,
        table: Float64,
        class_id: str,
        channel: str,
        of_profile: dict[tuple[str, str], Int64],
        index: Sequence[int],
    ) -> None:
        """Write the limits of devices' channels: the profile's, replaced by their own."""
        for (class_, profile), own in of_profile.items():
            if class_ == class_id:
                self._fill(table, own, profile_limits(class_id, profile, channel))
        devices = self.fleet.devices
        for i in index:
            if devices[i].class_id == class_id and devices[i].quality:
                for version, limits in self._own(i, channel):
                    self._fill(table, np.array([version]), limits)

    def _own(self, index: int, channel: str) -> Iterator[tuple[int, Limits]]:
        device = self.fleet.devices[index]
        base = profile_limits(device.class_id, device.profile, channel)
        changes = sorted((c for c in device.quality if c.channel == channel), key=_from)
        first = int(self._first[index])
        for version in range(first, first + int(self._count[index])):
            quality_limitses = [c for c in changes if c.from_us <= self.begin_us[version]]
            if quality_limitses:
                yield (
                    version,
                    base.changed(quality_limitses[-1].limits, f"device {device.id}, {channel}"),
                )

    def _fill(self, table: Float64, versions: Int64, limits: Limits) -> None:
        rated = self.rated[self.device[versions]]
        low: Float64 | float | None
        high: Float64 | float | None
        low, high = limits.bound or (None, None)
        if limits.bound_of_rated is not None:
            low, high = (share * rated for share in limits.bound_of_rated)
        spike: Float64 | float | None = limits.spike
        floor: Float64 | float | None = limits.flat_floor
        if limits.spike_of_rated is not None:
            spike = limits.spike_of_rated * rated
        if limits.flat_floor_of_rated is not None:
            floor = np.maximum(limits.flat_floor_of_rated * rated, FLAT_LEAST_W)
        elif floor is None and limits.flat_s is not None:
            floor = _NO_FLOOR
        night, peak = limits.night_of_rated, limits.peak_of_rated
        rows = (
            low,
            high,
            spike,
            limits.rate_per_minute,
            None if limits.flat_s is None else limits.flat_s * _S,
            floor,
            None if night is None else night * rated,
            None if peak is None else peak * rated,
            limits.phases_share,
            None if limits.gap_s is None else limits.gap_s * _S,
            None if limits.sleep_s is None else limits.sleep_s * _S,
        )
        for row, value in enumerate(rows):
            table[row, versions] = np.nan if value is None else value


def _from(change: QualityLimits) -> int:
    return change.from_us


def _thresholds(table: Float64) -> Thresholds | None:
    return None if np.isnan(table).all() else Thresholds(*table)


def _runs(first: Int64, count: Int64) -> Int64:
    """Return first[0], first[0] + 1, ... (count[0] numbers), then count[1] from first[1] on, ..."""
    begins = np.cumsum(count) - count
    return np.repeat(first - begins, count) + np.arange(int(count.sum()))


def profile_limits(class_id: str, profile_id: str, channel: str) -> Limits:
    """Return the limits of a channel (or `time`): the profile's, else those of the class."""
    device_class, profile = classes.load()[class_id], profiles.load()[class_id, profile_id]
    where = f"profile {profile_id}"
    if channel == TIME:
        return device_class.limits.changed(profile.limits, where)
    limited: Channel = device_class.channels[channel]
    for source in profile.channels.values():
        if source.channel == channel:
            return limited.limits.changed(source.limits, where)
    return limited.limits
