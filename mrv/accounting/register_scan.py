"""Registers of a period whose readings are scanned: their rows, devices, steps and ratings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from ingest import classes
from ingest.classes import QUANTITY_INDEX, Channel
from ingest.model import INTERVAL_US, Fleet, Frame, Int64, IntervalRows
from mrv.accounting.device_bindings import role_needs
from mrv.calendar import local_date, midnight_us
from mrv.methodologies import find
from mrv.model import RoleNeeds
from mrv.registry.project import Project, ProjectDevice

# a register's own step: no less than its tolerance, no more than meters have
_LARGEST_STEP_WH = 10_000
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
