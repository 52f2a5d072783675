"""
Cached metering state of the live pipeline: each register's reference value and open interval.

It can be rebuilt from stored readings; with it a batch in order needs no query.  Arrays by fleet
index.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.model import Float64, Int32, Int64, others

NEVER = -(2**62)
FROM_START = NEVER  # of a device: from its first reading on


@dataclass(slots=True)
class Register:
    """
    State of one quantity's register, in arrays over all devices.

    `other_*` are a second sequence (`ingest.registers.Other`), `other_read_us` is NEVER without
    one.  `shown` devices have the register in other readings, so that nothing is estimated from
    power.
    """

    known: NDArray[np.bool_]
    away: NDArray[np.bool_]
    shown: NDArray[np.bool_]
    value: Int64
    read_us: Int64
    changed_us: Int64
    other_value: Int64
    other_read_us: Int64
    other_count: Int64
    other_first: Int64
    open_us: Int64
    open_value: Int64
    open_measured: Int64
    open_estimated: Int64
    open_unknown: Int64
    power_us: Int64
    power_w: Float64

    def seen_us(self, device: Int32) -> Int64:
        """Return the time of each device's last reading, in any register sequence."""
        read_us, other_us = self.read_us[device], self.other_read_us[device]
        return np.where(self.other_count[device] != 0, np.maximum(read_us, other_us), read_us)


class Registers(dict[int, Register]):
    """Registers by quantity, created on first use, as few quantities have devices."""

    def __init__(self, devices: int) -> None:
        super().__init__()
        self._devices = devices

    def __missing__(self, quantity: int) -> Register:
        self[quantity] = register = _register(self._devices)
        return register


class MeterState:
    """
    State of a fleet's registers.

    `loaded` marks devices with valid state; others must be loaded before use.  `last_us` is the
    newest stored reading of each device.
    """

    def __init__(self, devices: int) -> None:
        self.loaded = np.zeros(devices, dtype=np.bool_)
        self.last_us = np.full(devices, NEVER, dtype=np.int64)
        self.registers = Registers(devices)

    def take_over(self, before: MeterState, here: Int32, there: Int32) -> None:
        """
        Copy the state of devices from another fleet, from index `there` to `here`.

        The other state becomes unusable, as arrays may be shared.
        """
        if len(self.last_us) == len(before.last_us) and np.array_equal(here, there):
            self.loaded, self.last_us = before.loaded, before.last_us
            self.registers = before.registers
            self.reset(others(len(self.last_us), here))
            return
        self.loaded[here] = before.loaded[there]
        self.last_us[here] = before.last_us[there]
        for quantity, old in before.registers.items():
            register = self.registers[quantity]
            for name in Register.__slots__:
                getattr(register, name)[here] = getattr(old, name)[there]

    def reset(self, devices: NDArray[np.intp]) -> None:
        """Reset the state of devices to that of devices without readings; load it before use."""
        self.loaded[devices] = False
        self.last_us[devices] = NEVER
        for register in self.registers.values():
            for flags in (register.known, register.away, register.shown):
                flags[devices] = False
            for name in ("read_us", "changed_us", "other_read_us", "open_us", "power_us"):
                getattr(register, name)[devices] = NEVER

    def forget(self, devices: NDArray[np.int32] | None = None) -> None:
        """Discard the state of these devices (all if None); it is loaded again before use."""
        self.loaded[slice(None) if devices is None else devices] = False


def _register(n: int) -> Register:
    def zeros() -> Int64:
        return np.zeros(n, dtype=np.int64)

    def never() -> Int64:
        return np.full(n, NEVER, dtype=np.int64)

    return Register(
        known=np.zeros(n, dtype=np.bool_),
        away=np.zeros(n, dtype=np.bool_),
        shown=np.zeros(n, dtype=np.bool_),
        value=zeros(),
        read_us=never(),
        changed_us=never(),
        other_value=zeros(),
        other_read_us=never(),
        other_count=zeros(),
        other_first=zeros(),
        open_us=never(),
        open_value=zeros(),
        open_measured=zeros(),
        open_estimated=zeros(),
        open_unknown=zeros(),
        power_us=never(),
        power_w=np.zeros(n),
    )
