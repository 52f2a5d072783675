"""
Limits of each device's registers in a fleet: rates, tolerances, moduli, replacements; and their
cached state.

The state (mark and open interval of each register) can be calculated again from stored readings
(`recompute`); it is cached so that a batch in order needs no query.  Arrays by fleet index.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ingest import classes, profiles, units
from ingest.classes import QUANTITIES, QUANTITY_INDEX, Channel, DeviceClass
from ingest.metering_v1.registers import Meter, rates
from ingest.model import Device, Fleet, Float64, Int64

NEVER = -(2**62)


@dataclass(slots=True)
class Register:
    """State of one quantity's register, in arrays over all devices."""

    known: NDArray[np.bool_]
    away: NDArray[np.bool_]
    value: Int64
    read_us: Int64
    changed_us: Int64
    open_us: Int64
    open_value: Int64
    open_measured: Int64
    open_estimated: Int64
    open_unknown: Int64
    power_us: Int64
    power_w: Float64


class MeterState:
    """
    State of a fleet's registers.

    `loaded` marks devices with valid state; others must be loaded before use.  `last_us` is the
    newest stored reading of each device.
    """

    def __init__(self, devices: int) -> None:
        self.loaded = np.zeros(devices, dtype=np.bool_)
        self.last_us = np.full(devices, NEVER, dtype=np.int64)
        self.registers = [_register(devices) for _ in QUANTITIES]

    def forget(self, devices: NDArray[np.int32] | None = None) -> None:
        """Discard the state of devices (all, if None) until loaded again."""
        self.loaded[slice(None) if devices is None else devices] = False


def _register(n: int) -> Register:
    def zeros() -> Int64:
        return np.zeros(n, dtype=np.int64)

    def never() -> Int64:
        return np.full(n, NEVER, dtype=np.int64)

    return Register(
        known=np.zeros(n, dtype=np.bool_),
        away=np.zeros(n, dtype=np.bool_),
        value=zeros(),
        read_us=never(),
        changed_us=never(),
        open_us=never(),
        open_value=zeros(),
        open_measured=zeros(),
        open_estimated=zeros(),
        open_unknown=zeros(),
        power_us=never(),
        power_w=np.zeros(n),
    )


_FAR = int(np.iinfo(np.int64).max)


@dataclass(frozen=True)
class RegisterColumn:
    """One register column of a class: its quantity and the power channel that may replace it."""

    channel: Channel
    quantity: int


class Bounds:
    """Limits of every register in a fleet, as columns and, for one device, as a Meter."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self._rates: dict[tuple[str, str], Float64] = {}

    def columns(self, class_id: str) -> list[RegisterColumn]:
        """Return the register columns of a class, in column order."""
        device_class = classes.load()[class_id]
        return [RegisterColumn(c, QUANTITY_INDEX[str(c.quantity)]) for c in device_class.registers]

    def rate(self, class_id: str, channel: Channel) -> Float64:
        """
        Return the highest plausible base units per microsecond, by fleet
        index; inf where unknown.
        """
        key = (class_id, channel.name)
        if key not in self._rates:
            limits = [_limit(channel, device) for device in self.fleet.devices]
            self._rates[key] = rates(limits)
        return self._rates[key]

    @cached_property
    def next_swap_us(self) -> Int64:
        """
        Return the time of each device's first meter replacement; far in the future where there is
        none.
        """
        swaps = [min((r.at_us for r in d.replacements), default=_FAR) for d in self.fleet.devices]
        return np.array(swaps, dtype=np.int64)

    def meter(self, index: int, channel: Channel) -> Meter:
        """Return all limits of one register of one device."""
        device = self.fleet.devices[index]
        moduli, exact = _moduli(classes.load()[device.class_id], device, channel)
        swaps = sorted(
            (r for r in device.replacements if r.channel == channel.name), key=lambda r: r.at_us
        )
        rate = float(self.rate(device.class_id, channel)[index])
        return Meter(rate, channel.tolerance, moduli, exact, tuple(swaps))


def _limit(channel: Channel, device: Device) -> float | None:
    if channel.limit == "rated_power":
        return float(device.rated_power_w) if device.rated_power_w else None
    return None if channel.limit is None else float(channel.limit)


def _moduli(
    device_class: DeviceClass, device: Device, channel: Channel
) -> tuple[tuple[int, ...], bool]:
    profile = profiles.load()[device_class.id, device.profile]
    for source in profile.channels.values():
        if source.channel == channel.name:
            numerator, denominator, _ = units.factor(source.unit, channel.unit)
            moduli = sorted(m * numerator // denominator for m in source.moduli)
            return tuple(moduli), source.exact_modulus
    return (), False
