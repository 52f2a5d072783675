"""Which partition answers for each device of a registry version."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np

from ingest.model import Device, Fleet, Frame, Int32
from ingest.wire import partition_of


class Homes:
    """
    Home partitions, by fleet index: of the principal, so that what speaks as one is one's.

    A record holds devices of its own partition, unless a bridge wrote it when the
    topic had another number of partitions.
    """

    def __init__(self, homes: Int32, partitions: int) -> None:
        self._of, self._partitions = homes, partitions

    @property
    def by_device(self) -> Int32:
        """Partitions, by fleet index."""
        return self._of

    @classmethod
    def of_fleet(cls, fleet: Fleet, partitions: int) -> Homes:
        """Return the homes of a fleet's devices among so many partitions."""
        return cls(_homes(fleet.devices, partitions), partitions)

    def moved(self, fleet: Fleet, here: Int32, there: Int32) -> Homes:
        """
        Return the homes of a later version's devices.

        Parameters
        ----------
        here, there : int32 array
            Indices of devices that are as they were, in that version and in this.
        """
        new = np.ones(len(fleet), dtype=np.bool_)
        new[here] = False
        homes = np.empty(len(fleet), dtype=np.int32)
        homes[here] = self._of[there]
        changed = np.flatnonzero(new)
        homes[changed] = _homes([fleet.devices[k] for k in changed.tolist()], self._partitions)
        return Homes(homes, self._partitions)

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


def _homes(devices: Sequence[Device], partitions: int) -> Int32:
    return np.array(
        [partition_of(device.gateway or device.id, partitions) for device in devices],
        dtype=np.int32,
    )
