"""
Limits of a whole fleet as columns: one row a version of a device's limits.

A device has one version, and one more for each date on which the registry
changes its limits.  Those that are shares of the rated power are in the
channel's unit here; NaN says that a test is silent.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ingest import classes, profiles
from ingest.pipeline.flags import TIME

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ingest.classes import Channel
    from ingest.limits import Limits
    from ingest.model import Device, Fleet, Float64, Int64, QualityLimits

# a register that stands still counts as frozen only while its device surely works
AT_WORK = 0.2
# a whole and its phases may differ by this share of the rated power whatever they are
PHASES_FLOOR = 0.002
PHASES_LEAST_W = 10.0
_NO_FLOOR = -1.0
_EVER = -(2**62)
_S = 1_000_000


@dataclass(frozen=True, slots=True)
class Thresholds:
    """One channel's limits, by version."""

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
    What is unusual for each device of a fleet, and since when.

    Attributes
    ----------
    rated : float64 array, devices
        NaN where none is registered. [W]
    latitude, longitude : float64 array, devices
        NaN where none is known. [deg]
    """

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        rated = fleet.rated_w.astype(np.float64)
        self.rated: Float64 = np.where(rated > 0, rated, np.nan)
        nowhere = (np.nan, np.nan)
        places = np.array([d.place or nowhere for d in fleet.devices], dtype=np.float64)
        self.latitude, self.longitude = places.reshape(-1, 2).T
        self._versions(fleet.devices)
        self._channels: dict[tuple[str, str], Thresholds | None] = {}

    def _versions(self, devices: Sequence[Device]) -> None:
        begins = [[_EVER, *sorted({c.from_us for c in d.quality})] for d in devices]
        count = np.array([len(b) for b in begins], dtype=np.int64)
        self._first: Int64 = np.cumsum(count) - count
        self._count = count
        self._most = int(count.max(initial=0))
        self.begin_us: Int64 = np.array([us for b in begins for us in b], dtype=np.int64)
        self.device: Int64 = np.repeat(np.arange(len(devices)), count)

    def version(self, device: np.ndarray, time_us: Int64) -> Int64:
        """Which limits hold for each reading."""
        found: Int64 = self._first[device]
        if self._most <= 1:
            return found
        first, count = self._first[device], self._count[device]
        for k in range(1, self._most):
            later = np.flatnonzero(count > k)
            found[later] += time_us[later] >= self.begin_us[first[later] + k]
        return found

    def of(self, class_id: str, channel: str) -> Thresholds | None:
        """Limits of a class's channel, or of its times; None where no device has any."""
        key = (class_id, channel)
        if key not in self._channels:
            self._channels[key] = self._thresholds(class_id, channel)
        return self._channels[key]

    @cached_property
    def _by_profile(self) -> dict[tuple[str, str], Int64]:
        """Versions of the devices of each profile."""
        found: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for index, device in enumerate(self.fleet.devices):
            first = int(self._first[index])
            own = range(first, first + int(self._count[index]))
            found[device.class_id, device.profile].extend(own)
        return {key: np.array(own, dtype=np.int64) for key, own in found.items()}

    @cached_property
    def _changed(self) -> dict[tuple[str, str], list[int]]:
        """Devices with limits of their own, by class and channel."""
        found: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for index, device in enumerate(self.fleet.devices):
            for channel in {c.channel for c in device.quality}:
                found[device.class_id, channel].append(index)
        return found

    def _thresholds(self, class_id: str, channel: str) -> Thresholds | None:
        names = Thresholds.__slots__
        table = np.full((len(names), len(self.begin_us)), np.nan)
        for (class_, profile), own in self._by_profile.items():
            if class_ == class_id:
                self._fill(table, own, profile_limits(class_id, profile, channel))
        for index in self._changed.get((class_id, channel), ()):
            for version, limits in self._own(index, channel):
                self._fill(table, np.array([version]), limits)
        if np.isnan(table).all():
            return None
        return Thresholds(*table)

    def _own(self, index: int, channel: str) -> Iterator[tuple[int, Limits]]:
        """Limits of each of a device's versions, where it has its own."""
        device = self.fleet.devices[index]
        base = profile_limits(device.class_id, device.profile, channel)
        changes = sorted((c for c in device.quality if c.channel == channel), key=_from)
        first = int(self._first[index])
        for version in range(first, first + int(self._count[index])):
            held = [c for c in changes if c.from_us <= self.begin_us[version]]
            if held:
                yield version, base.changed(held[-1].limits, f"device {device.id}, {channel}")

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
            floor = limits.flat_floor_of_rated * rated
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


def profile_limits(class_id: str, profile_id: str, channel: str) -> Limits:
    """Limits of a channel (or of `time`): the class's, and where the profile differs its own."""
    device_class, profile = classes.load()[class_id], profiles.load()[class_id, profile_id]
    where = f"profile {profile_id}"
    if channel == TIME:
        return device_class.limits.changed(profile.limits, where)
    held: Channel = device_class.channels[channel]
    for source in profile.channels.values():
        if source.channel == channel:
            return held.limits.changed(source.limits, where)
    return held.limits
