"""
Scan of a meter's readings: breaks of the register's sequence, and unrecorded consumption.

A sequence breaks where the register falls, or rises more than its device can: the meter was
replaced or reset, or readings were false.  Metering uses the more conservative explanation, and
marks the time of the difference as unknown (`ingest.registers`); rule REG-03 names the register and
the missing registry entry.

A baseline register must not count too much (`corroborated_energy`); one of a charger, an auxiliary
or a fuel meter not too little.  The integral of power is compared with the register's rise over
each day and over the period.  If it is larger by the tolerance (two meters of class 2) and the
errors of its samples, the power's value counts, without tolerance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ingest import classes
from ingest.classes import QUANTITY_INDEX, Channel
from ingest.model import (
    HOUR_US,
    INTERVAL_US,
    NULL,
    Device,
    Fleet,
    Float64,
    Frame,
    Int64,
    IntervalRows,
)
from ingest.pipeline import fell
from ingest.quality import energy_budget
from ingest.quality.energy_budget import DAY, METERS, SIGMAS, SIGMAS_ALONE, integral
from mrv.accounting.coverage import role_needs
from mrv.accounting.evidenced_time import COVERED
from mrv.calendar import local_date, midnight_us
from mrv.methodologies import find
from mrv.model import RoleNeeds
from mrv.registry.project import Fallen, Project, ProjectDevice, Uncorroborated
from mrv.texts import text

# a register's own step: no less than its tolerance, no more than meters have
_LARGEST_STEP_WH = 10_000
# a rise above the limit by as much is none that the device made: as metering's own margin
_MARGIN = 1.2
# so many readings that are too high are a fault of reading, unless they come again and again
_FEW = 3
_HALF_DAY_US = 12 * HOUR_US
# device id and quantity
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Bound:
    """Register of a project: device and role, index in the fleet, channel."""

    device: ProjectDevice
    needs: RoleNeeds
    index: int
    class_id: str
    channel: Channel


def registers(project: Project, fleet: Fleet) -> Iterator[Bound]:
    """Yield the registers of a project's devices in their roles."""
    methodology = find(project.methodology, project.version)
    for bound in project.devices:
        needs = role_needs(methodology, bound, f"device {bound.device}")
        index = fleet.by_id.get(bound.device)
        if index is None:
            continue
        kind = fleet.devices[index].class_id
        for channel in classes.load()[kind].registers:
            if channel.quantity == needs.quantity:
                yield Bound(bound, needs, index, kind, channel)


def by_device(bounds: Iterable[Bound]) -> dict[int, tuple[Channel, ...]]:
    """Return registers by the fleet index of their device, each once."""
    channels: dict[int, dict[str, Channel]] = {}
    for bound in bounds:
        channels.setdefault(bound.index, {})[bound.channel.name] = bound.channel
    return {index: tuple(of.values()) for index, of in channels.items()}


def registers_of(
    block: Frame, wanted: Mapping[int, tuple[Channel, ...]]
) -> Iterator[tuple[int, slice, Channel]]:
    """Yield the wanted registers of a block sorted by device: its index, its rows, a register."""
    for index, of in devices_of(block):
        for channel in wanted.get(index, ()):
            yield index, of, channel


@dataclass(frozen=True)
class Scan:
    """
    Rows of a period with which its readings are compared.

    `rows`: interval rows of the period, by device, quantity and start.  `first`, `last`: edges of
    the period. [interval numbers]  `into_day`: number of intervals of the local day before the
    period.
    """

    fleet: Fleet
    rows: IntervalRows
    first: int
    last: int
    into_day: int

    @staticmethod
    def edges(project: Project, period_us: tuple[int, int]) -> tuple[int, int, int]:
        """Return `first`, `last` and `into_day` of a period."""
        begin = midnight_us(local_date(period_us[0], project.timezone), project.timezone)
        first, last = (us // INTERVAL_US for us in period_us)
        return first, last, (period_us[0] - begin) // INTERVAL_US

    @cached_property
    def _keys(self) -> Int64:
        return self.rows.device.astype(np.int64) * len(QUANTITY_INDEX) + self.rows.quantity

    def laid_out(self, index: int, quantity: str, *names: str) -> list[Int64]:
        """Return the columns of a register's rows as arrays over the period's intervals."""
        key = index * len(QUANTITY_INDEX) + QUANTITY_INDEX[quantity]
        begin, end = np.searchsorted(self._keys, [key, key + 1])
        place = self.rows.start_us[begin:end] // INTERVAL_US - self.first
        result = []
        for name in names:
            column: Any = np.zeros(self.last - self.first, dtype=np.int64)
            column[place] = getattr(self.rows, name)[begin:end]
            result.append(column)
        return result

    def longer(self, time_us: Int64, longest_us: int) -> np.ndarray:
        """Return a mask of intervals within a step between readings of more than `longest_us`."""
        at = np.flatnonzero(np.diff(time_us) > longest_us)
        begins = time_us[at] // INTERVAL_US - self.first
        ends = -(-time_us[at + 1] // INTERVAL_US) - self.first
        marks = np.zeros(self.last - self.first + 1, dtype=np.int64)
        np.add.at(marks, np.clip(begins, 0, len(marks) - 1), 1)
        np.add.at(marks, np.clip(ends, 0, len(marks) - 1), -1)
        result: np.ndarray = np.cumsum(marks)[:-1] > 0
        return result


def devices_of(block: Frame) -> Iterator[tuple[int, slice]]:
    """Yield each device of a block that is sorted by device: its fleet index, and its rows."""
    heads = np.flatnonzero(np.append(True, block.device[1:] != block.device[:-1])).tolist()
    for begin, end in pairwise([*heads, len(block)] if len(block) else []):
        yield int(block.device[begin]), slice(begin, end)


def register_step(register: Int64, tolerance: int) -> float:
    """Return the step of a register, by its smallest rise. [base units]"""
    rise = np.diff(register)
    smallest = int(np.where(rise > 0, rise, _LARGEST_STEP_WH).min(initial=_LARGEST_STEP_WH))
    return float(max(tolerance, smallest))


def rated_at(ratings: Sequence[tuple[int, int]], first: int, count: int) -> Int64:
    """
    Return the rated power of `count` intervals from `first` on. [W]

    `ratings`: start [us UTC] and rated power [W], in order of time, at least one; the first also
    applies to all earlier time.
    """
    begins = np.array([-(-us // INTERVAL_US) for us, _ in ratings[1:]], dtype=np.int64)
    number = first + np.arange(count, dtype=np.int64)
    watt = np.array([w for _, w in ratings], dtype=np.int64)
    result: Int64 = watt[np.searchsorted(begins, number, side="right")]
    return result


@dataclass(frozen=True)
class FallenRegisters:
    """Registers of a project, by fleet index, and the period's edges. [us UTC]"""

    fleet: Fleet
    wanted: Mapping[int, tuple[Channel, ...]]
    from_us: int
    to_us: int

    @staticmethod
    def of(project: Project, fleet: Fleet, period_us: tuple[int, int]) -> FallenRegisters:
        """Return the registers of a project in a period."""
        return FallenRegisters(fleet, by_device(registers(project, fleet)), *period_us)

    def of_block(self, block: Frame) -> Iterator[tuple[Key, tuple[Fallen, ...]]]:
        """
        Yield breaks of registers' sequences, for the devices of a block of readings.

        `block`: whole devices, sorted by device and time.
        """
        for index, of, channel in registers_of(block, self.wanted):
            device, time_us = self.fleet.devices[index], block.time_us[of]
            register: Any = block.columns[channel.name][of]
            known = register != NULL
            if not known.all():
                time_us, register = time_us[known], register[known]
            fallen = self._of_one(device, channel, time_us, register)
            if fallen:
                yield (device.id, str(channel.quantity)), fallen

    def swapped(self, block: Frame) -> Iterator[tuple[Key, tuple[tuple[int, int], ...]]]:
        """
        Yield the steps of registers across entered replacements. [us UTC]

        `block`: as of `of_block`.
        """
        # of own use, too, which a role may deduct
        every = dict.fromkeys(self.wanted, (*classes.load()[block.class_id].registers,))
        for index, of, channel in registers_of(block, every):
            device = self.fleet.devices[index]
            rows = [row.at_us for row in device.replacements if row.channel == channel.name]
            time_us = block.time_us[of][block.columns[channel.name][of] != NULL] if rows else []
            after = np.searchsorted(time_us, rows)
            steps = {
                (int(time_us[at - 1]), int(time_us[at])) for at in after if 0 < at < len(time_us)
            }
            if steps:
                yield (device.id, str(channel.quantity)), tuple(sorted(steps))

    def _of_one(
        self, device: Device, channel: Channel, time_us: Int64, value: Int64
    ) -> tuple[Fallen, ...]:
        rise = np.diff(value)
        remaining = rise < -channel.tolerance
        falls = np.flatnonzero(remaining)
        remaining[falls] = fell(channel.tolerance, value[falls], value[falls + 1])
        maximum = np.full(len(rise), np.inf)
        limit = device.rated_power_w if channel.limit == "rated_power" else channel.limit
        if isinstance(limit, int):
            maximum = channel.tolerance + _MARGIN * limit * (np.diff(time_us) / HOUR_US)
            remaining |= rise > maximum
        for swap in device.replacements:
            if swap.channel == channel.name:
                at = int(np.searchsorted(time_us, swap.at_us))
                # a last value that the old register cannot have reached explains nothing
                if at == 0 or at > len(rise) or 0 <= swap.last - value[at - 1] <= maximum[at - 1]:
                    remaining[max(at - 1, 0) : at] = False
        places = np.flatnonzero(remaining & (time_us[1:] < self.to_us))
        # of what was before the period, the last one may still be unknown in it
        first = int(np.searchsorted(time_us[places + 1], self.from_us))
        places = places[max(first - 1, 0) :]
        since = np.searchsorted(time_us, time_us[places + 1] - _HALF_DAY_US)
        return tuple(
            Fallen(
                channel.name,
                int(time_us[k]),
                int(time_us[k + 1]),
                int(value[k]),
                int(value[k + 1]),
                brief=bool((value[max(k - _FEW, 0) : k] <= value[k + 1] + channel.tolerance).any()),
                taken_off=bool((value[day:k] <= value[k + 1] + channel.tolerance).any()),
            )
            for k, day in zip(places, since, strict=True)
        )


# class and quantity: the gauge of its rate, and how many base units its unit comes to in an hour
_RATES = {("fuel_meter", "flow"): ("rate_l_h", 1000)}
# steps in which a gauge may be rounded: watts of a kilowatt, litres an hour
_ROUNDED = {"Wh": (1000.0, 100.0, 10.0), "mL": (1000.0, 100.0, 10.0)}
_STARTING = 0.001
# an integral's least, and what binary fractions of a step may be off by
_LEAST_SAMPLES, _BINARY = 2, 1e-6
# the register shows samples to be off by more than their own spread does: up to so many times
_MOST_SCATTER = 2.0
# a step of the register that is longer is spread over days, and says nothing of each
_SPREAD_US = 2 * HOUR_US


class _Channel(NamedTuple):
    """Register on the project side and the gauge of its rate, in base units per hour."""

    quantity: str
    unit: str
    register: str
    tolerance: int
    gauge: str
    scale: int


class Unreported(NamedTuple):
    """Quantity of a gauge above its register, and whether it corroborates the whole register."""

    more: Uncorroborated | None
    agrees: bool


@dataclass(frozen=True)
class UnreportedUse(Scan):
    """Registers of the project's side with a gauge of their rate, by fleet index."""

    wanted: Mapping[int, tuple[_Channel, ...]]

    @staticmethod
    def of(
        project: Project, fleet: Fleet, rows: IntervalRows, period_us: tuple[int, int]
    ) -> UnreportedUse:
        """Return the registers of a period that are compared with their own gauge."""
        edges = Scan.edges(project, period_us)
        return UnreportedUse(fleet, rows, *edges, _wanted(project, fleet))

    def beyond(self, block: Frame) -> Iterator[tuple[Key, Unreported]]:
        """
        Yield quantities of gauges above their registers, for the devices of a block of readings.

        `block`: whole devices, sorted by device and time.
        """
        for index, of in devices_of(block):
            for channel in self.wanted.get(index, ()):
                more, agrees = self._more(block, of, index, channel)
                at = np.flatnonzero(more)
                if len(at) or agrees:
                    reason = text("MTR-04.below_gauge", channel=channel.gauge)
                    result = Uncorroborated(reason, self.first + at, more[at]) if len(at) else None
                    yield (
                        (self.fleet.devices[index].id, channel.quantity),
                        Unreported(result, agrees),
                    )

    def _more(self, block: Frame, of: slice, index: int, channel: _Channel) -> tuple[Int64, bool]:
        """
        Return by interval how far the gauge's integral exceeds the register, and whether both
        agree.
        """
        none = np.zeros(self.last - self.first, dtype=np.int64), False
        gauge: Any = block.columns[channel.gauge][of]
        register: Any = block.columns[channel.register][of]
        read, known = np.isfinite(gauge), register != NULL
        times = block.time_us[of]
        if np.count_nonzero(read) < _LEAST_SAMPLES or not known.any():
            return none
        rate = gauge[read] * channel.scale
        rated = self.fleet.devices[index].rated_power_w if channel.unit == "Wh" else None
        rate = np.where(rate < _STARTING * (rated or 0), 0.0, rate)
        at_us = times[read]
        gauged = integral(at_us, rate, at_us, self.first, self.last)
        names = "value", "measured_us", "estimated_us"
        value, measured_us, estimated_us = self.laid_out(index, channel.quantity, *names)
        whole = measured_us + estimated_us == INTERVAL_US
        # half more than the usual step of samples, and an hour at most
        longest_us = min(max(int(np.median(np.diff(at_us))) * 3 // 2, INTERVAL_US), HOUR_US)
        seen = gauged.known & whole & ~self.longer(at_us, longest_us)
        if not seen.any():
            return none
        step = register_step(register, channel.tolerance)
        rounded = _resolution(np.abs(rate[rate != 0]), _ROUNDED[channel.unit])
        allowed = np.where(gauged.energy_wh > 0, 0.5 * rounded * INTERVAL_US / HOUR_US, 0.0)
        sums = (value.astype(np.float64), gauged.energy_wh, gauged.variance, allowed)
        ours, theirs, variance, off = (np.where(seen, some, 0.0) for some in sums)
        scatter = energy_budget.scatter(value, gauged.energy_wh, seen, np.zeros_like(seen), step)
        both = _Compared(ours, theirs, variance, off, step).off_by(scatter)
        spread = self.longer(times[known], _SPREAD_US)
        more = max(
            (both.of_period(), both.of_days(self.into_day, spread)), key=lambda some: some.sum()
        )
        count = max(1, int(np.count_nonzero(whole)))
        return more, int(np.count_nonzero(seen)) >= COVERED * count and both.corroborated()


class _Compared(NamedTuple):
    """Rise of a register and quantity of its gauge by interval; 0 where not compared."""

    value: Float64
    shown: Float64
    variance: Float64
    rounded: Float64
    step: float

    def off_by(self, scatter: float) -> _Compared:
        """
        Return the comparison with sampling errors enlarged to the scatter of gauge and register.

        The factor is 1 to `_MOST_SCATTER`.
        """
        error = float(np.sqrt(self.variance.sum()))
        times = min(max(scatter / error, 1.0), _MOST_SCATTER) if error > 0 else 1.0
        return self._replace(variance=self.variance * times**2)

    def corroborated(self) -> bool:
        """Return whether the gauge's integral agrees with the register, within their tolerance."""
        value, gauged = float(self.value.sum()), float(self.shown.sum())
        doubt = SIGMAS * np.sqrt(self.variance.sum()) + self.step + self.rounded.sum()
        return gauged > 0 and value <= (1 + METERS) * gauged + doubt

    def of_period(self) -> Int64:
        """Return the gauge's excess over the whole period, in proportion to its intervals."""
        more = float(self.shown.sum() - self.value.sum())
        doubt = METERS * self.value.sum() + SIGMAS * np.sqrt(self.variance.sum())
        if more <= doubt + self.step + self.rounded.sum():
            return np.zeros(len(self.value), dtype=np.int64)
        return _whole(np.maximum(self.shown - self.value, 0.0), more)

    def of_days(self, into_day: int, spread: np.ndarray) -> Int64:
        """Return the gauge's excess on single days, less the register's catch-up on other days."""
        edges = into_day, -(into_day + len(self.value)) % DAY

        def by_day(of: Float64) -> Float64:
            days: Float64 = np.pad(of, edges).reshape(-1, DAY).sum(axis=1)
            return days

        value, gauged, variance, rounded = (by_day(column) for column in self[:4])
        doubt = SIGMAS_ALONE * np.sqrt(variance) + self.step + rounded
        judged = by_day(spread.astype(np.float64)) == 0
        short = judged & (gauged > (1 + METERS) * value + doubt)
        caught = value > (1 + METERS) * gauged + doubt
        more = float((gauged - value)[short].sum() - (value - gauged)[caught].sum())
        if more <= 0:
            return np.zeros(len(self.value), dtype=np.int64)
        of_short = np.repeat(short, DAY)[edges[0] : edges[0] + len(self.value)]
        return _whole(np.where(of_short, np.maximum(self.shown - self.value, 0.0), 0.0), more)


def _whole(weights: Float64, total: float) -> Int64:
    """Return a total distributed by weights in whole units; their sum is rounded up."""
    running = np.ceil(np.cumsum(weights) * (total / weights.sum()) - 1e-6).astype(np.int64)
    result: Int64 = np.diff(running, prepend=0)
    return result


def _resolution(values: Float64, steps: Sequence[float]) -> float:
    """Return the step that a gauge is rounded to; 0 where it is finer than all of `steps`."""
    for step in steps:
        off = np.abs(values / step - np.round(values / step))
        if not len(values) or float(off.max()) < _BINARY:
            return step
    return 0.0


def _wanted(project: Project, fleet: Fleet) -> dict[int, tuple[_Channel, ...]]:
    channels: dict[int, dict[str, _Channel]] = {}
    for register in registers(project, fleet):
        needs, channel = register.needs, register.channel
        if needs.side != "project" or needs.unit not in _ROUNDED:
            continue
        gauge, scale = channel.power, channel.direction
        if needs.unit != "Wh":
            gauge, scale = _RATES.get((register.class_id, needs.quantity), (None, 0))
        if gauge is not None:
            channels.setdefault(register.index, {})[channel.name] = _Channel(
                needs.quantity, needs.unit, channel.name, channel.tolerance, gauge, scale
            )
    return {index: tuple(of.values()) for index, of in channels.items()}
