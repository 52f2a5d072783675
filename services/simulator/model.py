"""
What a simulated field device is, and what it says.

A `Source` gives the readings of one device as blocks of columns; faults and
encoding come after it and do not care whether the columns were simulated or
recorded.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from ingest.errors import InputError

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]

MS_PER_DAY = 86_400_000

# Base units (Wh, mL, m, g, s, K s) in one payload unit, by the last part of a channel's name.
BASE_PER_UNIT = {
    "kwh": 1_000, "m3": 1_000_000, "nm3": 1_000_000, "km": 1_000, "l": 1_000, "kg": 1_000,
    "t": 1_000_000, "h": 3_600, "kd": 86_400, "count": 1,
}  # fmt: skip


class SimulatorError(InputError):
    """A fleet, fault list or recording cannot be simulated; the message says why."""


@dataclass(frozen=True, slots=True)
class Device:
    """
    One field device.

    `principal` is the MQTT name it speaks under: its own, or its gateway's.
    `rated_power_w` [W], `cadence_s` [s], coordinates in degrees north and east;
    `per_day` what it counts on a working day, in the unit of its payload.
    """

    id: str
    device_class: str
    principal: str
    latitude: float
    longitude: float
    rated_power_w: int
    cadence_s: int
    profile: str = "generic"
    per_day: float = 0.0

    @property
    def topic(self) -> str:
        """Telemetry topic of the device, direct or through its gateway."""
        if self.principal == self.id:
            return f"tonne/v1/{self.id}/telemetry"
        return f"tonne/v1/{self.principal}/{self.id}/telemetry"


@dataclass(slots=True)
class Block:
    """
    Readings of one device in time order.

    `time_ms` [ms since 1970 UTC], `number` the message numbers, `registers` in
    whole base units [Wh, mL, m], `gauges` in the unit that their name carries.
    """

    time_ms: Ints
    number: Ints
    registers: dict[str, Ints]
    gauges: dict[str, Floats]


class Source(Protocol):
    """Readings of one device, block after block."""

    @property
    def device(self) -> Device:
        """The device whose readings these are."""

    def blocks(self) -> Iterator[Block]:
        """Give the readings from the beginning, in time order."""


class Outgoing(NamedTuple):
    """
    One message to publish.

    `ids` are the message numbers that a receipt must name before the device may
    forget it; empty for a message that nobody can receipt (garbage).
    """

    device_id: str
    topic: str
    payload: bytes
    ts_us: int
    send_us: int
    ids: tuple[int, ...]


def base_per_unit(channel: str) -> int:
    """Base units in one payload unit of a register channel, `energy_export_kwh` -> 1000."""
    return BASE_PER_UNIT[channel.rsplit("_", 1)[1]]
