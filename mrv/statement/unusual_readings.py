"""
Unusual readings of a period, recalculated from the evidence only.

The quality tests of the pipeline, asked once more of readings and registry limits that stand in
the pack, so that anyone who verifies finds the same.  A standstill is marked from its begin on:
here
its end is known, as it is not while readings arrive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ingest.model import INTERVAL_US, Fleet, Frame, Int16, Int32, Int64
from ingest.pipeline.quality_limits import TESTS, Checks
from ingest.pipeline.quality_state import Watched
from ingest.pipeline.quality_tests import judge


@dataclass(frozen=True, slots=True)
class Unusual:
    """
    Quarter hours with readings flagged by a test, n rows by device, test and interval.

    `readings` are how many of them.
    """

    device: Int32
    test: Int16
    interval: Int64
    readings: Int64

    @staticmethod
    def concat(parts: Sequence[Unusual]) -> Unusual:
        """Return the joined results of blocks of devices, in order."""
        if not parts:
            none = np.zeros(0, dtype=np.int64)
            return Unusual(none.astype(np.int32), none.astype(np.int16), none, none)
        names = Unusual.__slots__
        columns = [np.concatenate([getattr(p, name) for p in parts]) for name in names]
        if (columns[0][1:] >= columns[0][:-1]).all():
            return Unusual(*columns)  # blocks of whole devices, each in order
        order = np.lexsort((columns[2], columns[1], columns[0]))
        return Unusual(*(column[order] for column in columns))

    def of(self, test: str) -> Unusual:
        """Return the flags of one test."""
        rows = np.flatnonzero(self.test == TESTS.index(test))
        return Unusual(*(getattr(self, name)[rows] for name in Unusual.__slots__))

    def days(self, edges: Sequence[int]) -> frozenset[tuple[int, int]]:
        """Return device and day index of all flags; edges of days. [us UTC]"""
        place = np.searchsorted(edges, self.interval * INTERVAL_US, side="right") - 1
        return frozenset(zip(self.device.tolist(), place.tolist(), strict=True))


@dataclass(frozen=True)
class Judge:
    """Quality tests of a fleet's readings in a period, half-open. [us UTC]"""

    fleet: Fleet
    from_us: int
    to_us: int

    @cached_property
    def _checks(self) -> Checks:
        return Checks(self.fleet)

    def of(self, block: Frame) -> Unusual:
        """
        Return the flags of a block.

        Parameters
        ----------
        block : Frame
            Whole devices, sorted by device and time.
        """
        flags = judge(self._checks, Watched(len(self.fleet)), [block], whole=True).flags
        inside = (flags.time_us >= self.from_us) & (flags.time_us < self.to_us)
        flags = flags.take(inside)
        if not len(flags):
            return Unusual.concat([])
        # a reading counts once a test, whichever of its channels are unusual
        reading = np.stack([flags.device, flags.test, flags.time_us]).astype(np.int64)
        device, test, time_us = np.unique(reading, axis=1)
        quarter = np.stack([device, test, time_us // INTERVAL_US])
        (device, test, interval), count = np.unique(quarter, axis=1, return_counts=True)
        return Unusual(
            device.astype(np.int32), test.astype(np.int16), interval, count.astype(np.int64)
        )
