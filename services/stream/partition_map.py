"""Which partition answers for each device of a registry version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ingest.wire import partition_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from ingest.model import Fleet, Frame, Int32


class Homes:
    """
    Home partitions, by fleet index: of the principal, so that what speaks as one is one's.

    A record holds devices of its own partition, unless a bridge wrote it when the
    topic had another number of partitions.
    """

    def __init__(self, fleet: Fleet, partitions: int) -> None:
        self._of: Int32 = np.array(
            [partition_of(device.gateway or device.id, partitions) for device in fleet.devices],
            dtype=np.int32,
        )

    def all(self, frames: Iterable[Frame]) -> list[int]:
        """Return the partitions that answer for the devices of these frames, ascending."""
        return sorted({int(p) for f in frames for p in np.unique(self._of[f.device])})

    def strangers(self, frames: Iterable[Frame], partitions: Collection[int]) -> Int32:
        """Return the devices of these frames that are of none of these partitions."""
        held = np.array(sorted(partitions), dtype=np.int32)
        found = [np.unique(f.device[~np.isin(self._of[f.device], held)]) for f in frames]
        empty: Int32 = np.empty(0, dtype=np.int32)
        return np.unique(np.concatenate([empty, *found]))

    def of(self, devices: Int32) -> list[int]:
        """Return the home partitions of devices, each once, ascending."""
        return [int(p) for p in np.unique(self._of[devices])]
