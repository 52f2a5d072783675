"""
Scan of a meter's readings: breaks of the register's sequence.

A sequence breaks where the register falls, or rises by more than its device can produce: the meter
was replaced or reset, or readings were false.  Metering uses the more conservative explanation, and
marks the time of the difference as unknown (`ingest.registers`).  Rule REG-03 names the register
and the missing registry entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from ingest import classes
from ingest.classes import QUANTITY_INDEX, Channel
from ingest.model import HOUR_US, INTERVAL_US, NULL, Device, Fleet, Frame, Int64, IntervalRows
from ingest.pipeline import fell
from mrv.accounting.coverage import role_needs
from mrv.calendar import local_date, midnight_us
from mrv.methodologies import find
from mrv.model import RoleNeeds
from mrv.registry.project import Fallen, Project, ProjectDevice

# largest resolution of a register [Wh]; the smallest is its tolerance
_LARGEST_STEP_WH = 10_000
# a rise above the limit times this factor is implausible; metering has the same factor
_MARGIN = 1.2
# up to this number of consecutive high readings is a reading error, unless they recur
_FEW = 3
_HALF_DAY_US = 12 * HOUR_US
# maximum difference of two jumps of interchanged registers, as a share of the jump
SAME_LINE = Fraction(1, 50)
# device id and quantity
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Bound:
    """Register of a project's device in a role; `index`: fleet index of the device."""

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
    """Yield the wanted registers of a block's devices: fleet index, rows and channel of each."""
    for index, of in devices_of(block):
        for channel in wanted.get(index, ()):
            yield index, of, channel


@dataclass(frozen=True)
class Scan:
    """
    Interval rows of a period with which its readings are compared.

    `rows`: by device, quantity and start.  `first`, `last`: edges of the period. [interval numbers]
    `into_day`: number of intervals of the local day before the period.
    """

    fleet: Fleet
    rows: IntervalRows
    first: int
    last: int
    into_day: int

    @staticmethod
    def edges(project: Project, period_us: tuple[int, int]) -> tuple[int, int, int]:
        """
        Return the first interval of a period, the one after its last, and the number of
        intervals from local midnight to its start.
        """
        begin = midnight_us(local_date(period_us[0], project.timezone), project.timezone)
        first, last = (us // INTERVAL_US for us in period_us)
        return first, last, (period_us[0] - begin) // INTERVAL_US

    @cached_property
    def _keys(self) -> Int64:
        return self.rows.device.astype(np.int64) * len(QUANTITY_INDEX) + self.rows.quantity

    def laid_out(self, index: int, quantity: str, *names: str) -> list[Int64]:
        """
        Return columns of a register's rows, by their `names`, as arrays over all intervals; 0
        without a row.
        """
        key = index * len(QUANTITY_INDEX) + QUANTITY_INDEX[quantity]
        begin, end = np.searchsorted(self._keys, [key, key + 1])
        place = self.rows.start_us[begin:end] // INTERVAL_US - self.first
        result = []
        for name in names:
            column: Any = np.zeros(self.last - self.first, dtype=np.int64)
            column[place] = getattr(self.rows, name)[begin:end]
            result.append(column)
        return result

    def exchanged(
        self, block: Frame, of: slice, index: int, name: str
    ) -> Iterator[tuple[slice, int]]:
        """
        Yield intervals in which a register's readings arrived under another register's name, and
        the rise of the readings under its own name. [base units]

        `block`: readings under their registers' own names (`Fleet.by_own_name`).
        """
        for exchange in self.fleet.devices[index].exchanged:
            if name not in (exchange.channel, exchange.other):
                continue
            values: Any = block.columns[
                exchange.other if name == exchange.channel else exchange.channel
            ][of]
            inside = values != NULL
            for edge, later in ((exchange.from_us, True), (exchange.to_us, False)):
                inside &= (block.time_us[of] >= edge) == later
            under = values[inside]
            first, last = exchange.from_us // INTERVAL_US, -(-exchange.to_us // INTERVAL_US)
            begin, end = (min(max(n, self.first), self.last) - self.first for n in (first, last))
            yield slice(begin, end), int(under[-1] - under[0]) if len(under) else 0

    def longer(self, time_us: Int64, longest_us: int) -> np.ndarray:
        """Return a mask of intervals in a step between readings longer than `longest_us`."""
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
    if len(block) and block.device[0] == block.device[-1]:
        yield int(block.device[0]), slice(0, len(block))
        return
    heads = np.flatnonzero(np.append(True, block.device[1:] != block.device[:-1])).tolist()
    for begin, end in pairwise([*heads, len(block)] if len(block) else []):
        yield int(block.device[begin]), slice(begin, end)


def register_step(register: Int64, tolerance: int) -> float:
    """Return the resolution of a register, estimated by its smallest rise. [base units]"""
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
            breaks = self._of_channel(device, channel, time_us, register)
            edges = self._at_exchanges(device, channel, time_us, register)
            crossed = (_crossed(block, of, edge) for edge in edges)
            false = {edge.at_us: edge._replace(entered=True) for edge in crossed if edge.crossed}
            fallen = [_crossed(block, of, edge) for edge in breaks if edge.at_us not in false]
            fallen = sorted([*fallen, *false.values()], key=_at)
            if fallen:
                yield (device.id, str(channel.quantity)), tuple(fallen)

    def swapped(self, block: Frame) -> Iterator[tuple[Key, tuple[tuple[int, int], ...]]]:
        """
        Yield the steps of registers across entered replacements. [us UTC]

        `block`: as for `of_block`.
        """
        # also registers of own use, which a role may deduct
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

    def _of_channel(
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
                # a replacement explains the step only if the old register can have reached the
                # entered last value
                if at == 0 or at > len(rise) or 0 <= swap.last - value[at - 1] <= maximum[at - 1]:
                    remaining[max(at - 1, 0) : at] = False
        places = np.flatnonzero(remaining & (time_us[1:] < self.to_us))
        # the last break before the period may cause unknown time within it
        first = int(np.searchsorted(time_us[places + 1], self.from_us))
        places = places[max(first - 1, 0) :]
        since = np.searchsorted(time_us, time_us[places + 1] - _HALF_DAY_US)
        moved = np.append(-1, np.flatnonzero(rise))
        stood = time_us[places + 1] - time_us[moved[np.searchsorted(moved, places) - 1] + 1]
        return tuple(
            Fallen(
                channel.name,
                int(time_us[k]),
                int(time_us[k + 1]),
                int(value[k]),
                int(value[k + 1]),
                brief=bool((value[max(k - _FEW, 0) : k] <= value[k + 1] + channel.tolerance).any()),
                taken_off=bool((value[day:k] <= value[k + 1] + channel.tolerance).any()),
                stood_us=int(us),
            )
            for k, day, us in zip(places, since, stood, strict=True)
        )

    def _at_exchanges(
        self, device: Device, channel: Channel, time_us: Int64, value: Int64
    ) -> Iterator[Fallen]:
        """Yield a register's steps at both ends of each entered interchange of registers."""
        for row in device.exchanged:
            here = channel.name in (row.channel, row.other)
            if here and row.from_us < self.to_us and row.to_us > self.from_us:
                for k in (np.searchsorted(time_us, [row.from_us, row.to_us]) - 1).tolist():
                    if 0 <= k < len(time_us) - 1:
                        times, values = (some[k : k + 2].tolist() for some in (time_us, value))
                        yield Fallen(channel.name, *times, *values)


def _at(fall: Fallen) -> int:
    return fall.at_us


def _crossed(block: Frame, of: slice, fall: Fallen) -> Fallen:
    """Return a break with the register whose values continue it, if registers were interchanged."""
    places = np.searchsorted(block.time_us[of], [fall.since_us, fall.at_us])
    near = abs(fall.after - fall.before) * SAME_LINE
    for other in classes.load()[block.class_id].registers:
        values: Any = block.columns[other.name][of][places]
        moved = max(abs(int(values[0]) - fall.after), abs(int(values[1]) - fall.before))
        if other.name != fall.channel and moved < near:
            return fall._replace(crossed=other.name)
    return fall
