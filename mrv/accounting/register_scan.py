"""
Registers of a period whose readings are scanned, and where they left their line.

A register leaves its line where it falls, or rises beyond what its device can make: its meter was
replaced or reset, or its readings were false.  Metering counts the more conservative of both and
leaves as much time unknown as the two are apart (`ingest.registers`); the rule REG-03 names the
register and the row of the registry that settles it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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

# a register's own step: no less than its tolerance, no more than meters have
_LARGEST_STEP_WH = 10_000
# a rise above the limit by as much is none that the device made: as metering's own margin
_MARGIN = 1.2
# so many readings that are too high are a fault of reading, unless they come again and again
_FEW = 3
# device id and quantity
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Bound:
    """A register of a project: its device and role, its place in the fleet, its channel."""

    device: ProjectDevice
    needs: RoleNeeds
    index: int
    class_id: str
    channel: Channel


def registers(project: Project, fleet: Fleet) -> Iterator[Bound]:
    """Yield the registers of what a project's devices measure in their roles."""
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


def by_device(some: Iterable[Bound]) -> dict[int, tuple[Channel, ...]]:
    """Return registers by the fleet index of their device, each once."""
    found: dict[int, dict[str, Channel]] = {}
    for one in some:
        found.setdefault(one.index, {})[one.channel.name] = one.channel
    return {index: tuple(of.values()) for index, of in found.items()}


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
    A period whose readings are compared with its rows.

    Attributes
    ----------
    rows : IntervalRows
        Of the period, by device, quantity and start.
    first, last : int
        Edges of the period. [interval numbers]
    into_day : int
        Quarter hours of the local day before the period.
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
        """Return columns of a register's rows, by the intervals of the period."""
        key = index * len(QUANTITY_INDEX) + QUANTITY_INDEX[quantity]
        begin, end = np.searchsorted(self._keys, [key, key + 1])
        place = self.rows.start_us[begin:end] // INTERVAL_US - self.first
        found = []
        for name in names:
            column: Any = np.zeros(self.last - self.first, dtype=np.int64)
            column[place] = getattr(self.rows, name)[begin:end]
            found.append(column)
        return found


def devices_of(block: Frame) -> Iterator[tuple[int, slice]]:
    """Yield each device of a block that is sorted by device: its fleet index, and its rows."""
    heads = np.flatnonzero(np.append(True, block.device[1:] != block.device[:-1])).tolist()
    for begin, end in pairwise([*heads, len(block)] if len(block) else []):
        yield int(block.device[begin]), slice(begin, end)


def register_step(register: Int64, tolerance: int) -> float:
    """Return the step of a register, as it shows in its smallest rise. [base units]"""
    rise = np.diff(register)
    smallest = int(np.where(rise > 0, rise, _LARGEST_STEP_WH).min(initial=_LARGEST_STEP_WH))
    return float(max(tolerance, smallest))


def rated_at(ratings: Sequence[tuple[int, int]], first: int, count: int) -> Int64:
    """
    Rated power of intervals from `first` on. [W]

    Parameters
    ----------
    ratings : sequence of (int, int)
        From when on [us UTC] and rated power [W], in order of time, at least one; the first counts
        for all time before the second.
    """
    begins = np.array([-(-us // INTERVAL_US) for us, _ in ratings[1:]], dtype=np.int64)
    number = first + np.arange(count, dtype=np.int64)
    watt = np.array([w for _, w in ratings], dtype=np.int64)
    found: Int64 = watt[np.searchsorted(begins, number, side="right")]
    return found


@dataclass(frozen=True)
class FallenRegisters:
    """Registers of a project, by fleet index, and the period's edges. [us UTC]"""

    fleet: Fleet
    wanted: Mapping[int, tuple[Channel, ...]]
    from_us: int
    to_us: int

    @staticmethod
    def of(project: Project, fleet: Fleet, period_us: tuple[int, int]) -> FallenRegisters:
        """Return what is looked at in a period."""
        return FallenRegisters(fleet, by_device(registers(project, fleet)), *period_us)

    def of_block(self, block: Frame) -> Iterator[tuple[Key, tuple[Fallen, ...]]]:
        """
        Return where registers left their line, for the devices of a block of readings.

        Parameters
        ----------
        block : Frame
            Whole devices, sorted by device and time.
        """
        for index, of, channel in registers_of(block, self.wanted):
            device, register = self.fleet.devices[index], block.columns[channel.name][of]
            known = register != NULL
            found = self._of_one(device, channel, block.time_us[of][known], register[known])
            if found:
                yield (device.id, str(channel.quantity)), found

    def _of_one(
        self, device: Device, channel: Channel, time_us: Int64, value: Int64
    ) -> tuple[Fallen, ...]:
        rise = np.diff(value)
        left = fell(channel.tolerance, value[:-1], value[1:])
        limit = device.rated_power_w if channel.limit == "rated_power" else channel.limit
        if isinstance(limit, int):
            most = channel.tolerance + _MARGIN * limit * (np.diff(time_us) / HOUR_US)
            left |= rise > most
        for swap in device.replacements:
            if swap.channel == channel.name:
                at = int(np.searchsorted(time_us, swap.at_us))
                left[max(at - 1, 0) : at] = False
        places = np.flatnonzero(left & (time_us[1:] < self.to_us))
        # of what was before the period, the last one may still be unknown in it
        first = int(np.searchsorted(time_us[places + 1], self.from_us))
        return tuple(
            Fallen(
                channel.name,
                int(time_us[k]),
                int(time_us[k + 1]),
                int(value[k]),
                int(value[k + 1]),
                brief=bool((value[max(k - _FEW, 0) : k] <= value[k + 1] + channel.tolerance).any()),
            )
            for k in places[max(first - 1, 0) :].tolist()
        )
