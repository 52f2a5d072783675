"""Station hours and days that a batch affects, and which of them can have a value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from ingest.classes import QUANTITY_INDEX
from ingest.model import HOUR_US, Fleet, Frame, Int64, IntervalRows
from mrv.environment import CLASSES
from mrv.environment.air import DAY_REACH_HOURS
from mrv.environment.hours import NEEDED_US, covers_us, starts
from mrv.environment.kinds import Day, day_of
from services.store.timeseries.indicator_values import Span

FLOW = QUANTITY_INDEX["flow"]
PLANT = "wastewater_plant"
_HOURS_AT_ONCE = 1_000


class Touched:
    """Hours and days of stations whose values may have changed."""

    def __init__(self, fleet: Fleet, last_us: Int64) -> None:
        self._fleet = fleet
        self._last_us = last_us
        self._newest: dict[int, int] = {}
        self._hours: dict[int, set[int]] = {}
        self._days: dict[int, set[Day]] = {}

    def __bool__(self) -> bool:
        return bool(self._hours or self._days)

    def readings(self, frame: Frame) -> None:
        """Add the hours of stored readings."""
        if frame.class_id not in CLASSES or not len(frame):
            return
        devices = self._fleet.devices
        for time_us in (frame.time_us, frame.time_us + covers_us(frame.class_id) - 1):
            hour = starts(devices, frame.device, time_us)
            pairs = np.unique(np.stack([frame.device.astype(np.int64), hour]), axis=1)
            for device, start in pairs.T.tolist():
                self._hours.setdefault(device, set()).add(start)
        for device in np.unique(frame.device).tolist():
            newest = int(frame.time_us[frame.device == device].max())
            before = self._newest.get(device, int(self._last_us[device]))
            self._newest[device] = max(newest, before)

    def join(self, other: Touched) -> None:
        """Add the devices and times of another batch of the same fleet."""
        self.heard(other._newest)
        for device, hours in other._hours.items():
            self._hours.setdefault(device, set()).update(hours)
        for device, days in other._days.items():
            self._days.setdefault(device, set()).update(days)

    def flows(self, rows: IntervalRows) -> None:
        """Add the days of written interval rows."""
        of = np.flatnonzero(rows.quantity == FLOW)
        for device, start in zip(rows.device[of].tolist(), rows.start_us[of].tolist(), strict=True):
            result = self._fleet.devices[device]
            if result.class_id == PLANT:  # pumps and fuel meters count a flow too
                self._days.setdefault(device, set()).add(day_of(start, result.timezone))

    def heard(self, newest_us: Mapping[int, int]) -> None:
        """Add the newest readings of devices received by other processes. [us UTC]"""
        for device, us in newest_us.items():
            self._newest[device] = max(us, self._newest.get(device, us))

    def flows_from(self, device: int, from_us: int, to_us: int) -> None:
        """Add the days of a plant's recalculated interval rows in [from, to)."""
        result = self._fleet.devices[device]
        if result.class_id != PLANT:
            return
        newest = min(self._newest.get(device, int(self._last_us[device])), to_us)
        day = day_of(from_us, result.timezone)
        while day.begin_us <= newest:
            self._days.setdefault(device, set()).add(day)
            day = day_of(day.end_us, result.timezone)

    def drop(self, devices: Iterable[int]) -> None:
        """Remove stations that are recalculated from all their readings."""
        for device in devices:
            self._hours.pop(device, None)
            self._days.pop(device, None)

    def portions(self) -> Iterator[tuple[list[Span], dict[int, set[Day]]]]:
        """Yield runs of hours with the affected days, in portions of limited size."""
        spans: list[Span] = []
        days: dict[int, set[Day]] = {}
        size = 0
        for device in sorted(self._hours.keys() | self._days.keys()):
            newest = self._newest.get(device, int(self._last_us[device]))
            covers = covers_us(self._fleet.devices[device].class_id)
            hours = sorted(h for h in self._hours.get(device, ()) if _may_count(h, newest, covers))
            spans += _runs(device, hours)
            of_hours = _days_of(self._fleet, device, hours)
            every = self._days.get(device, set()) | of_hours
            result = {day for day in every if _may_be_known(day, newest)}
            if result:
                days[device] = result
            size += len(hours) + len(result)
            if size >= _HOURS_AT_ONCE:
                yield spans, days
                spans, days, size = [], {}, 0
        if size:
            yield spans, days


def _may_count(start_us: int, newest_us: int, covers: int) -> bool:
    """
    Return whether readings can cover three quarters of an hour by now; before, it has no
    value.
    """
    return newest_us - start_us >= NEEDED_US - covers


def _may_be_known(day: Day, newest_us: int) -> bool:
    """Return whether readings can cover three quarters of a day by now."""
    return 4 * (newest_us - day.begin_us) >= 3 * (day.end_us - day.begin_us)


def _runs(device: int, hours: Sequence[int]) -> list[Span]:
    """Return consecutive hours as one span each."""
    out: list[Span] = []
    for start in hours:
        if out and start <= out[-1].to_us:
            out[-1] = Span(device, out[-1].from_us, start + HOUR_US)
        else:
            out.append(Span(device, start, start + HOUR_US))
    return out


def _days_of(fleet: Fleet, device: int, hours: Iterable[int]) -> set[Day]:
    """Return the days affected by hours: their own, and for air those of the eight-hour means."""
    result = fleet.devices[device]
    reach = DAY_REACH_HOURS * HOUR_US if result.class_id == "air_station" else 0
    return {day_of(at, result.timezone) for h in hours for at in {h, h + reach}}
