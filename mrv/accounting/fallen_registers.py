"""
Readings at which a register left its line: it fell, or rose beyond what its device can make.

Its meter was replaced or reset, or its readings were false.  Metering counts the more conservative
of both and leaves as much time unknown as the two are apart (`ingest.registers`); the rule REG-03
names the register and the row of the registry that settles it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ingest.classes import Channel
from ingest.model import HOUR_US, NULL, Device, Fleet, Frame, Int64
from mrv.accounting.register_scan import Key, devices_of, registers
from mrv.registry.project import Fallen, Project

# a rise above the limit by as much is none that the device made: as metering's own margin
_MARGIN = 1.2
# so many readings that are too high are a fault of reading, unless they come again and again
_FEW = 3


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
        found: dict[int, dict[str, Channel]] = {}
        for one in registers(project, fleet):
            found.setdefault(one.index, {})[one.channel.name] = one.channel
        wanted = {index: tuple(of.values()) for index, of in found.items()}
        return FallenRegisters(fleet, wanted, *period_us)

    def of_block(self, block: Frame) -> Iterator[tuple[Key, tuple[Fallen, ...]]]:
        """
        Return where registers left their line, for the devices of a block of readings.

        Parameters
        ----------
        block : Frame
            Whole devices, sorted by device and time.
        """
        for index, of in devices_of(block):
            for channel in self.wanted.get(index, ()):
                device = self.fleet.devices[index]
                register: Any = block.columns[channel.name][of]
                known = register != NULL
                found = self._of_one(device, channel, block.time_us[of][known], register[known])
                if found:
                    yield (device.id, str(channel.quantity)), found

    def _of_one(
        self, device: Device, channel: Channel, time_us: Int64, value: Int64
    ) -> tuple[Fallen, ...]:
        rise = np.diff(value)
        left = rise < -channel.tolerance
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
