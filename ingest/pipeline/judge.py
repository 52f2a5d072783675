"""
Judge stored readings of a device: what is unusual, by the limits of class and profile.

These tests need what came before and after a reading, so they look at whole
spans once stored, not at a batch that arrives.  They mark, and change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ingest import classes, profiles
from ingest.model import NULL
from ingest.quality import (
    flat_line,
    gross_range,
    night_generation,
    rate_of_change,
    spike,
    time_gap,
    unit_scale,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ingest.classes import Channel
    from ingest.limits import Limits
    from ingest.model import Device, Float64, Frame, Int64

    Marks = NDArray[np.bool_]

# a register that stands still counts as frozen only while its device surely works
_AT_WORK = 0.2
_S = 1_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """Readings of a channel that a test marked: indices into the frame."""

    test: str
    channel: str
    rows: NDArray[np.intp]
    detail: str = ""


def limits_of(device: Device, channel: Channel) -> Limits:
    """Limits of a device's channel: the class's, and where the profile differs its own."""
    for source in profiles.load()[device.class_id, device.profile].channels.values():
        if source.channel == channel.name:
            return channel.limits.changed(source.limits, f"profile {device.profile}")
    return channel.limits


def judge(device: Device, frame: Frame, place: tuple[float, float] | None = None) -> list[Finding]:
    """
    Judge a device's readings.

    Parameters
    ----------
    device : Device
    frame : Frame
        Its readings in time order.
    place : (float, float), optional
        Latitude and longitude of its site; without it nights are not known. [deg]
    """
    found = [Finding("time_gap", "time", np.flatnonzero(time_gap.marks(frame.time_us)))]
    for channel in classes.load()[device.class_id].channels.values():
        limits = limits_of(device, channel)
        if channel.kind == "gauge":
            found.extend(_gauge(device, frame, channel, limits, place))
        elif limits.flat_s is not None and channel.power is not None:
            found.extend(_register(device, frame, channel, limits.flat_s))
    return [one for one in found if len(one.rows)]


def _gauge(
    device: Device,
    frame: Frame,
    channel: Channel,
    limits: Limits,
    place: tuple[float, float] | None,
) -> Iterator[Finding]:
    held: Float64 = frame.columns[channel.name]  # type: ignore[assignment]
    rows = np.flatnonzero(~np.isnan(held))
    values, time_us = held[rows], frame.time_us[rows]
    for test, marks in _tests(device, values, time_us, limits, place):
        yield Finding(test, channel.name, rows[marks])
    rated = device.rated_power_w
    if limits.bound_of_rated is not None and rated:
        power = unit_scale.factor(values, time_us, rated)
        if power is not None:
            detail = f"peaks are 10**{-power} of {rated} W rated; check unit and rated power"
            yield Finding("unit_scale", channel.name, rows, detail)


def _tests(
    device: Device,
    values: Float64,
    time_us: Int64,
    limits: Limits,
    place: tuple[float, float] | None,
) -> Iterator[tuple[str, Marks]]:
    rated = float(device.rated_power_w or 0)
    bound, height = limits.bound, limits.spike
    if rated and limits.bound_of_rated is not None:
        bound = (limits.bound_of_rated[0] * rated, limits.bound_of_rated[1] * rated)
    if rated and limits.spike_of_rated is not None:
        height = limits.spike_of_rated * rated
    if bound is not None:
        yield "gross_range", gross_range.outside(values, *bound)
    if height is not None:
        yield "spike", spike.marks(values, time_us, height)
    if limits.rate_per_minute is not None:
        yield "rate_of_change", rate_of_change.marks(values, time_us, limits.rate_per_minute)
    if limits.flat_s is not None:
        floor = limits.flat_floor_of_rated * rated
        yield "flat_line", flat_line.marks(values, time_us, int(limits.flat_s * _S), floor)
    if rated and limits.night_of_rated is not None and place is not None:
        least = limits.night_of_rated * rated
        yield "night_generation", night_generation.marks(values, time_us, least, *place)


def _register(device: Device, frame: Frame, channel: Channel, flat_s: float) -> Iterator[Finding]:
    """Find a register that stands still while its device is at work."""
    power: Float64 = frame.columns[channel.power or ""]  # type: ignore[assignment]
    values = frame.columns[channel.name]
    if not device.rated_power_w:
        return
    with np.errstate(invalid="ignore"):
        at_work = power * channel.direction > _AT_WORK * device.rated_power_w
    rows = np.flatnonzero(at_work & (values != NULL))
    marks = flat_line.marks(
        values[rows].astype(np.float64), frame.time_us[rows], int(flat_s * _S), -1.0
    )
    yield Finding("frozen_register", channel.name, rows[marks])
