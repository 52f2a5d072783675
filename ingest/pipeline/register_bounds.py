"""Limits of the registers of a fleet: rates, tolerances, moduli, replacements, daylight."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from math import isfinite
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ingest import classes, profiles
from ingest.classes import QUANTITY_INDEX, SUN, Channel, DeviceClass
from ingest.model import INTERVAL_US, Device, Fleet, Float64, Int16, Int32, Int64, others
from ingest.registers import MARGIN, MARGIN_RATED, Meter, rates
from ingest.sun import QUARTERS, lit, lit_of_day, lit_us

_Number = TypeVar("_Number", bound=np.generic)
RATED = "rated_power"
SUN_QUANTITY = "energy_export"
_FAR = int(np.iinfo(np.int64).max)
# days of light are not cached if they have more intervals than this multiple of the requested ones
_SPARSE = 8


@dataclass(frozen=True)
class RegisterColumn:
    """One register column of a class: its quantity and the power channel that may replace it."""

    channel: Channel
    quantity: int


class Bounds:
    """
    Limits of every register in a fleet, as columns and, for one device, as a Meter.

    Parameters
    ----------
    fleet : Fleet
    before : Bounds, optional
        Limits of an earlier version of the fleet.
    same : pair of int32 arrays, optional
        Unchanged devices, by index in this and the earlier fleet, whose limits are reused.
    """

    def __init__(
        self, fleet: Fleet, before: Bounds | None = None, same: tuple[Int32, Int32] | None = None
    ) -> None:
        self.fleet = fleet
        self._rates: dict[tuple[str, str], Float64] = {}
        self._maximum: dict[int, Float64] = {}
        if before is not None and same is not None:
            self._follow(before, *same)

    def _follow(self, before: Bounds, here: Int32, there: Int32) -> None:
        rest = others(len(self.fleet), here)

        def moved(old: NDArray[_Number], new: NDArray[_Number]) -> NDArray[_Number]:
            result = np.empty((*old.shape[:-1], len(self.fleet)), old.dtype)
            result[..., here], result[..., rest] = old[..., there], new
            return result

        self._places = moved(before._places, self._places_of(rest))
        self.next_swap_us = moved(before.next_swap_us, self._next_swaps_of(rest))
        for (class_id, name), rate in list(before._rates.items()):
            channel = classes.load()[class_id].channels[name]
            self._rates[class_id, name] = moved(rate, self._rates_of(channel, rest))
        for quantity, maximum in list(before._maximum.items()):
            self._maximum[quantity] = moved(maximum, self._maximum_of(quantity, rest))

    def columns(self, class_id: str) -> list[RegisterColumn]:
        """Return the register columns of a class, in column order."""
        device_class = classes.load()[class_id]
        return [RegisterColumn(c, QUANTITY_INDEX[str(c.quantity)]) for c in device_class.registers]

    def rate(self, class_id: str, channel: Channel) -> Float64:
        """Return the highest rate by fleet index; inf if unknown. [base units/us]"""
        key = (class_id, channel.name)
        if key not in self._rates:
            self._rates[key] = self._rates_of(channel, self._all)
        return self._rates[key]

    def _rates_of(self, channel: Channel, index: NDArray[np.intp]) -> Float64:
        limits = [_limit(channel, device) for device in self._devices(index)]
        return rates(limits, MARGIN_RATED if channel.limit == RATED else MARGIN)

    @property
    def _all(self) -> NDArray[np.intp]:
        return np.arange(len(self.fleet))

    def _devices(self, index: NDArray[np.intp]) -> Iterator[Device]:
        devices = self.fleet.devices
        return (devices[i] for i in index.tolist())

    @cached_property
    def next_swap_us(self) -> Int64:
        """
        Return the time of each device's first replacement; in the far future
        without one. [us UTC]
        """
        return self._next_swaps_of(self._all)

    def _next_swaps_of(self, index: NDArray[np.intp]) -> Int64:
        result = (
            min((r.at_us for r in d.replacements), default=_FAR) for d in self._devices(index)
        )
        return np.fromiter(result, np.int64, len(index))

    def counts(self, class_id: str, channel: Channel) -> NDArray[np.bool_] | None:
        """Return a mask of devices whose energy is counted, as their limit is known; None: all."""
        if channel.limit != RATED:
            return None
        bound = np.isfinite(self.rate(class_id, channel))
        return None if bound.all() else bound

    def interval_maximum(self, quantity: int) -> Float64:
        """
        Return the highest value of a 15-minute interval by fleet index. [base units]

        `quantity`: index of the quantity.
        Infinite where the rate is unknown.
        """
        if quantity not in self._maximum:
            self._maximum[quantity] = self._maximum_of(quantity, self._all)
        return self._maximum[quantity]

    def _maximum_of(self, quantity: int, index: NDArray[np.intp]) -> Float64:
        result = np.full(len(index), np.inf)
        class_ids = [d.class_id for d in self._devices(index)]
        for class_id in set(class_ids):
            of = np.array([own_class == class_id for own_class in class_ids])
            for column in self.columns(class_id):
                if column.quantity == quantity:
                    rate = self.rate(class_id, column.channel)[index[of]]
                    result[of] = np.floor(rate * INTERVAL_US) + column.channel.tolerance
        return result

    def light(self, device: Int32, quantity: Int16, interval: Int64) -> NDArray[np.bool_]:
        """Return a mask of intervals in which a device can generate: PV modules not at night."""
        latitude, longitude = self._places
        result = np.ones(len(device), dtype=np.bool_)
        of = np.flatnonzero(
            (quantity == QUANTITY_INDEX[SUN_QUANTITY]) & np.isfinite(latitude[device])
        )
        north, east = latitude[device[of]], longitude[device[of]]
        if len(of) and (north == north[0]).all() and (east == east[0]).all():
            result[of] = _of_place(interval[of], float(north[0]), float(east[0]))
        else:
            result[of] = lit(interval[of] * INTERVAL_US, north, east)
        return result

    @cached_property
    def has_light(self) -> bool:
        """Return whether any device of the fleet is a solar plant at a known location."""
        return bool(np.isfinite(self._places[0]).any())

    @cached_property
    def _places(self) -> Float64:
        """
        Return latitude and longitude by fleet index, n x 2; NaN for other than
        solar plants. [deg]
        """
        return self._places_of(self._all)

    def _places_of(self, index: NDArray[np.intp]) -> Float64:
        nowhere = (np.nan, np.nan)
        known = classes.load()
        places = [
            d.place or nowhere if known[d.class_id].made_from(SUN_QUANTITY) == SUN else nowhere
            for d in self._devices(index)
        ]
        return np.array(places, dtype=np.float64).reshape(-1, 2).T

    def meter(self, index: int, channel: Channel) -> Meter:
        """Return all limits of one register of one device."""
        device = self.fleet.devices[index]
        moduli, exact = _moduli(classes.load()[device.class_id], device, channel)
        swaps = sorted(
            (r for r in device.replacements if r.channel == channel.name), key=lambda r: r.at_us
        )
        rate = float(self.rate(device.class_id, channel)[index])
        latitude, longitude = self._places[:, index].tolist()
        by_light = isfinite(latitude) and channel.made_from == SUN
        light = partial(lit_us, latitude, longitude) if by_light else None
        return Meter(rate, channel.tolerance, moduli, exact, tuple(swaps), light)


def _of_place(interval: Int64, latitude: float, longitude: float) -> NDArray[np.bool_]:
    """Return a mask of 15-minute intervals with daylight at one place."""
    first, last = int(interval.min()) // QUARTERS, int(interval.max()) // QUARTERS
    if (last - first) * QUARTERS > _SPARSE * len(interval):
        place = np.full((2, len(interval)), [[latitude], [longitude]])
        return lit(interval * INTERVAL_US, *place)
    days = [lit_of_day(latitude, longitude, day) for day in range(first, last + 1)]
    return np.concatenate(days)[interval - first * QUARTERS]


def _limit(channel: Channel, device: Device) -> float | None:
    if channel.limit == RATED:
        return float(device.rated_power_w) if device.rated_power_w else None
    return None if channel.limit is None else float(channel.limit)


def _moduli(
    device_class: DeviceClass, device: Device, channel: Channel
) -> tuple[tuple[int, ...], bool]:
    profile = profiles.load()[device_class.id, device.profile]
    for source in profile.channels.values():
        if source.channel == channel.name:
            numerator, denominator, _ = classes.factor(source.unit, channel.unit)
            moduli = sorted(m * numerator // denominator for m in source.moduli)
            return tuple(moduli), source.exact_modulus
    return (), False
