"""
Readings of a class that stand in several files of a pack, as one.

Days that were archived come as the archive's own files, each by device and time
for itself.  Devices are taken in turn from all of them, so that all rows of a
device come together.  A file is read once its first device is due, and no more than
a row group of each that is being read is held.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np

from mrv.packs.budget import USUAL, Budget, too_much
from mrv.packs.pack import Table
from mrv.packs.tables import ReadingsFile

# as many rows are worked through at once as stay in the processor's cache
_ROWS = 65_536


class _Own(NamedTuple):
    """A device's rows in one file."""

    name: str
    table: Table


@dataclass
class Readings:
    """
    Readings of a class, in a pack's files.

    Iterated, it gives one table after another, all rows of a device in one; a row
    that stands twice is given twice, for the verifier to name.

    Raises
    ------
    InputError
        While iterating: as the files raise, or where more rows than the budget has
        would be held at once.
    """

    budget: Budget = USUAL
    files: list[ReadingsFile] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """How many there are, as the files say themselves."""
        return sum(file.rows for file in self.files)

    def __iter__(self) -> Iterator[Table]:
        """Read them again."""
        if len(self.files) == 1:
            yield from self.files[0]
            return
        waiting: list[_Own] = []
        rows = 0
        for name, some in groupby(self._merged(), key=lambda own: own.name):
            found = list(some)
            own_rows = sum(len(own.table.time_us) for own in found)
            most = self.budget.device_values // self.files[0].columns
            if own_rows > most:
                raise too_much(f"readings of {name}", own_rows, most)
            one = _by_time(found)
            if waiting and rows + len(one.table.time_us) > _ROWS:
                yield _together(waiting)
                waiting, rows = [], 0
            waiting.append(one)
            rows += len(one.table.time_us)
        if waiting:
            yield _together(waiting)

    def _merged(self) -> Iterator[_Own]:
        """Devices of all files in their order; one that stands in several, file by file."""
        due = sorted(self.files, key=lambda file: file.first, reverse=True)
        held: dict[int, int] = {}  # values of each open file
        opened: list[tuple[str, int, _Own, Iterator[_Own]]] = []
        count = itertools.count()

        def push(devices: Iterator[_Own]) -> None:
            if (own := next(devices, None)) is not None:
                heapq.heappush(opened, (own.name, next(count), own, devices))
            if (values := sum(held.values())) > self.budget.held_values:
                raise too_much("values in several files", values, self.budget.held_values)

        while due or opened:
            while due and (not opened or due[-1].first <= opened[0][0]):
                push(_devices(due.pop(), held))
            if opened:
                _, _, own, devices = heapq.heappop(opened)
                yield own
                push(devices)


def _devices(file: ReadingsFile, held: dict[int, int]) -> Iterator[_Own]:
    """Devices of a file, one after another; tells how many values it holds meanwhile."""
    for table in file:
        held[id(file)] = len(table.time_us) * file.columns
        edges = np.flatnonzero(np.append(True, table.device[1:] != table.device[:-1])).tolist()
        for begin, end in pairwise([*edges, len(table.device)]):
            name = table.names[int(table.device[begin])]
            columns = {n: values[begin:end] for n, values in table.columns.items()}
            whose = np.zeros(end - begin, dtype=np.int32)
            yield _Own(name, Table((name,), whose, table.time_us[begin:end], columns))
    held.pop(id(file), None)


def _by_time(some: Sequence[_Own]) -> _Own:
    """One device's rows from several files."""
    if len(some) == 1:
        return some[0]
    found = _together(some)
    order = np.argsort(found.time_us, kind="stable")
    columns = {name: values[order] for name, values in found.columns.items()}
    whose = np.zeros(len(order), dtype=np.int32)
    return _Own(some[0].name, Table((some[0].name,), whose, found.time_us[order], columns))


def _together(some: Sequence[_Own]) -> Table:
    """Put tables one behind the other."""
    if len(some) == 1:
        return some[0].table
    tables = [own.table for own in some]
    return Table(
        tuple(own.name for own in some),
        np.repeat(np.arange(len(tables), dtype=np.int32), [len(t.time_us) for t in tables]),
        np.concatenate([t.time_us for t in tables]),
        {n: np.concatenate([t.columns[n] for t in tables]) for n in tables[0].columns},
    )
