"""
Hourly means of station readings.

A reading is valid until the next one, at most 15 minutes (an hour for a field's water level), so
the last reading of an hour may cover the beginning of the next.  An hour is complete where three
quarters of it are covered.  Means have three decimals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.model import HOUR_US, Device, Float64, Frame, Int32, Int64
from mrv.environment import air
from mrv.environment.kinds import KIND_INDEX, MEANS, Values, hour_starts

_COVERS_US = 900_000_000
_SLOW_US = {"water_tube": HOUR_US}
NEEDED_US = HOUR_US * 3 // 4
PLACES = 3


def covers_us(class_id: str) -> int:
    """Return the longest time for which a reading of a device class is valid. [us]"""
    return _SLOW_US.get(class_id, _COVERS_US)


class _Hours(NamedTuple):
    """Complete hours of one channel: device, start, the channel's readings [begin, end)."""

    device: Int32
    start_us: Int64
    covered: Float64
    begin: NDArray[np.intp]
    end: NDArray[np.intp]


def hourly(devices: Sequence[Device], frame: Frame) -> Values:
    """
    Return the hourly means of stations of one class, for complete hours only.

    Parameters
    ----------
    devices : sequence of Device
        `frame.device` holds indices into it.
    frame : Frame
        Readings in order of device and time: all of each hour wanted, and those of
        the time before it given by `covers_us`.
    """
    start_us = starts(devices, frame.device, frame.time_us)
    parts = []
    for channel, kind in MEANS[frame.class_id].items():
        values: Float64 = frame.columns[channel].astype(np.float64)
        measured = np.isfinite(values)
        hours = _complete(frame, measured, start_us)
        mean = _means(values[measured], hours)
        parts.append(_values(kind, hours, mean))
    if frame.class_id == "noise_station":
        parts += _levels(frame, start_us)
    return Values.concat(parts)


def starts(devices: Sequence[Device], device: Int32, time_us: Int64) -> Int64:
    """Return the start of the local hour of each reading. [us UTC]"""
    out = np.empty(len(time_us), dtype=np.int64)
    present, at = np.unique(device, return_inverse=True)
    zones = [devices[d].timezone for d in present.tolist()]
    for zone in sorted(set(zones)):
        rows = np.array([z == zone for z in zones])[at]
        out[rows] = hour_starts(time_us[rows], zone)
    return out


def _complete(frame: Frame, measured: NDArray[np.bool_], start_us: Int64) -> _Hours:
    """Return the hours of which readings with a value cover three quarters."""
    device, time_us, start_us = frame.device[measured], frame.time_us[measured], start_us[measured]
    n = len(time_us)
    if not n:
        none = np.empty(0, dtype=np.intp)
        return _Hours(device, start_us, np.empty(0), none, none)
    following = time_us + covers_us(frame.class_id)
    same = device[1:] == device[:-1]
    following[:-1][same] = np.minimum(following[:-1], time_us[1:])[same]
    new = np.ones(n, dtype=np.bool_)
    new[1:] = ~same | (start_us[1:] != start_us[:-1])
    begin = np.flatnonzero(new)
    end = np.append(begin[1:], n)
    hour, owner = start_us[begin], device[begin]
    inside = np.minimum(following, start_us + HOUR_US) - time_us
    covered = np.add.reduceat(inside, begin)
    beyond = np.maximum(following[end - 1] - (hour + HOUR_US), 0)
    joined = (owner[1:] == owner[:-1]) & (hour[1:] == hour[:-1] + HOUR_US)
    covered[1:] += np.where(joined, beyond[:-1], 0)
    whole = covered >= NEEDED_US
    share = covered[whole] / HOUR_US
    return _Hours(owner[whole], hour[whole], share, begin[whole], end[whole])


def _means(values: Float64, hours: _Hours) -> Float64:
    """Return arithmetic means, summed in order so that the result does not depend on the batch."""
    count = hours.end - hours.begin
    hour = np.repeat(np.arange(len(count)), count)
    rows = np.arange(len(hour)) + np.repeat(hours.begin - np.cumsum(count) + count, count)
    total = np.bincount(hour, weights=values[rows], minlength=len(count))
    return np.asarray(np.round(total / count, PLACES), dtype=np.float64)


def _levels(frame: Frame, start_us: Int64) -> list[Values]:
    values = frame.columns["laeq_dba"]
    measured = np.isfinite(values)
    hours = _complete(frame, measured, start_us)
    levels = values[measured].tolist()
    result = [air.noise_hour(levels[b:e]) for b, e in zip(hours.begin, hours.end, strict=True)]
    return [
        _values(kind, hours, np.array([figures[kind] for figures in result], dtype=np.float64))
        for kind in air.HOURLY
    ]


def _values(kind: str, hours: _Hours, value: Float64) -> Values:
    kinds = np.full(len(value), KIND_INDEX[kind], dtype=np.int16)
    return Values(hours.device, kinds, hours.start_us, value, hours.covered)
