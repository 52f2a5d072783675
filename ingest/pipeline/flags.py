"""Flags as columns: which reading, which of its channels, and what a test says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest import classes
from ingest.model import Int16, Int32, Int64

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
CHANNELS = (TIME, *sorted({c for one in classes.load().values() for c in one.channels}))
CHANNEL_INDEX = {name: i for i, name in enumerate(CHANNELS)}


@dataclass(frozen=True, slots=True)
class Flags:
    """n flags; `channel` and `test` index `CHANNELS` and `TESTS`."""

    device: Int32
    time_us: Int64
    channel: Int16
    test: Int16

    def __len__(self) -> int:
        return len(self.time_us)

    @staticmethod
    def of(channel: str, test: str, device: Int32, time_us: Int64) -> Flags:
        """One test's flags of one channel."""
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
        """Sorted, each flag once: two levels of a test may both say it."""
        order = np.lexsort((self.test, self.channel, self.time_us, self.device))
        rows = np.stack(
            [self.device[order], self.time_us[order], self.channel[order], self.test[order]]
        ).astype(np.int64)
        new = np.ones(len(order), dtype=np.bool_)
        new[1:] = (rows[:, 1:] != rows[:, :-1]).any(axis=0)
        return self.take(order[new])
