"""
Daily profiles of plants, in steps of five minutes, with mean one.

They are generated from a seed, or recorded at a real plant (`recorded:FILE`).
"""

from __future__ import annotations

import csv
import unittest
from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path

import numpy as np

Floats = np.ndarray
STEP_US = 300_000_000
HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000
_WEEK = 7
_SATURDAY = 5
_MONDAY = 4  # the day of 1970-01-05, counted from 1970-01-01


class Days:
    """
    Steps of five minutes of some local days, and their random numbers.

    Parameters
    ----------
    times_us : int64 array
        Beginnings of the steps. [us UTC]
    local : int64 array
        The same, as clocks on the wall show them.
    place : (float, float)
        Latitude and longitude. [deg]
    """

    def __init__(
        self,
        times_us: np.ndarray,
        local: np.ndarray,
        rng: np.random.Generator,
        place: tuple[float, float],
    ) -> None:
        self.times_us, self.place = times_us, place
        self.hour: Floats = local % DAY_US / HOUR_US
        self.number = local // DAY_US - local[0] // DAY_US
        self.weekend = (local // DAY_US - _MONDAY) % _WEEK >= _SATURDAY
        self.rng = rng

    def __len__(self) -> int:
        return len(self.hour)

    def wander(self, hours: float) -> Floats:
        """Return noise of mean 0 and deviation 1 with a correlation of some hours."""
        keep = float(np.exp(-STEP_US / HOUR_US / hours))
        steps = self.rng.standard_normal(len(self)) * np.sqrt(1 - keep * keep)
        found, value = np.empty(len(self)), self.rng.standard_normal()
        for i, step in enumerate(steps):
            value = keep * value + step
            found[i] = value
        return found

    def daily(self, share: float) -> Floats:
        """Return a factor for each day, about one."""
        some = 1 + share * self.rng.standard_normal(int(self.number[-1]) + 1)
        return np.clip(some, 0.2, None)[self.number]


def _bump(hour: Floats, at: float, width: float) -> Floats:
    return np.exp(-(((hour - at) / width) ** 2))


def sun(days: Days) -> Floats:
    """Return the sun of Hai Phong in spring: cloudy and clear days, nothing at night."""
    high = np.clip(np.sin((days.hour - 6.0) / 12.2 * np.pi), 0, None) ** 1.2
    day = np.clip(days.rng.beta(3, 1.6, int(days.number[-1]) + 1), 0.15, 1.0)[days.number]
    cloud = np.clip(1 + 0.25 * (1.05 - day) * 2 * days.wander(0.4), 0.1, 1.15)
    return np.asarray(high * day * cloud * ((days.hour > 6) & (days.hour < 18.2)))


def sky(days: Days) -> Floats:
    """Return the sun of the plant's own place and season: cloudy and clear days."""
    latitude, longitude = np.radians(days.place)
    passed = days.times_us / DAY_US
    tilt = np.radians(23.44) * np.sin(2 * np.pi * (passed - 79) / 365.2422)
    high = np.sin(latitude) * np.sin(tilt) - np.cos(latitude) * np.cos(tilt) * np.cos(
        2 * np.pi * passed + longitude
    )
    day = np.clip(days.rng.beta(3, 1.6, int(days.number[-1]) + 1), 0.15, 1.0)[days.number]
    cloud = np.clip(1 + 0.25 * (1.05 - day) * 2 * days.wander(0.4), 0.1, 1.15)
    return np.asarray(np.clip(high, 0, None) ** 1.2 * day * cloud)


def wind(days: Days) -> Floats:
    """Return the cube of the wind between cut-in and rated speed."""
    speed = np.clip(6.8 + 2.4 * days.wander(9), 0, 25)
    return np.clip((speed**3 - 27) / (12**3 - 27), 0, 1)


def flat(days: Days) -> Floats:
    """Return a constant profile."""
    return np.clip(1 + 0.06 * days.wander(2), 0.3, None) * days.daily(0.02)


def demand(days: Days) -> Floats:
    """Return the demand of water and transport: a morning and an evening peak."""
    shape = 0.55 + _bump(days.hour, 7.5, 2.5) + _bump(days.hour, 18.5, 3.0)
    return shape * np.clip(1 + 0.05 * days.wander(1), 0.3, None) * days.daily(0.04)


def shift(days: Days) -> Floats:
    """Return work from 7:00 to 17:00, half of it at a weekend."""
    on = (days.hour >= 7) & (days.hour < 17)
    more = np.clip(1 + 0.15 * days.wander(1), 0.2, None) * days.daily(0.06)
    return on * np.where(days.weekend, 0.5, 1.0) * more


def weekdays(days: Days) -> Floats:
    """Return the same, without weekends."""
    return np.where(days.weekend, 0.0, shift(days))


def night(days: Days) -> Floats:
    """Return charging from 22:00 to 5:00."""
    on = (days.hour >= 22) | (days.hour < 5)
    return on * np.clip(1 + 0.1 * days.wander(0.7), 0.3, None) * days.daily(0.03)


def route(days: Days) -> Floats:
    """Return a bus from 5:30 to 21:00, with stops."""
    on = (days.hour >= 5.5) & (days.hour < 21)
    return on * np.clip(1 + 0.3 * days.wander(0.3), 0.0, 2.2) * days.daily(0.05)


def lamps(days: Days) -> Floats:
    """Return street lamps from 17:30 to 5:30."""
    return np.where((days.hour >= 17.5) | (days.hour < 5.5), 1.0, 0.0)


def furnace(days: Days) -> Floats:
    """Return melts in two shifts, kept warm at night."""
    melting = (days.hour >= 6) & (days.hour < 22) & (days.hour % 2 < 1.6)
    power = np.where(melting, np.where(days.weekend, 0.5, 1.0), 0.03)
    return power * np.clip(1 + 0.05 * days.wander(1), 0.3, None) * days.daily(0.03)


def cooling(days: Days) -> Floats:
    """Return chillers of an office: high in the afternoon, lower at night and at a weekend."""
    power = 0.25 + _bump(days.hour, 14, 4.5) * np.where(days.weekend, 0.4, 1.0)
    return power * np.clip(1 + 0.08 * days.wander(1), 0.2, None) * days.daily(0.05)


def warm(days: Days) -> Floats:
    """Return degrees above 24 degC of a warm month."""
    return np.clip(2.5 + 4 * _bump(days.hour, 14, 5) + 1.2 * days.wander(30), 0, None)


def clock(days: Days) -> Floats:
    """Return elapsed time."""
    return np.ones(len(days))


SHAPES: dict[str, Callable[[Days], Floats]] = {
    one.__name__: one
    for one in (sun, sky, wind, flat, demand, shift, weekdays, night, route, lamps, furnace,
                cooling, warm, clock)
}  # fmt: skip


# where recordings are: those of the tests, and the folder beside the checkout
_RECORDED = (Path(__file__).parents[1] / "data", Path(__file__).parents[3] / "shared" / "data")


class NotThereError(unittest.SkipTest):
    """A recording is missing on this machine: a test that needs it is skipped with this message."""


@cache
def _recording(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return times [us, in the file's local time] and values of a recording."""
    found = [folder / f"{name}.csv" for folder in _RECORDED]
    file = next((one for one in found if one.exists()), None)
    if file is None:
        raise NotThereError(
            f"{name}.csv is in neither {' nor '.join(str(one.parent) for one in found)}"
        )
    with file.open(encoding="utf-8") as lines:
        rows = list(csv.reader(lines))[1:]
    at = [_clock_of(row[0]) for row in rows]
    epoch = datetime(1970, 1, 1)  # noqa: DTZ001 (a clock of a wall)
    values = dict[int, float]()
    for moment, row in zip(at, rows, strict=True):
        second = round((moment - epoch).total_seconds())
        # a third column marks what the recorder itself got wrong: there the day before stands in
        bad = row[2:3] == ["True"]
        values[second] = values.get(second - 86_400, 0.0) if bad else float(row[1] or 0)
    times = np.array(list(values), dtype=np.int64) * 1_000_000
    return times, np.array(list(values.values()))


def _clock_of(text: str) -> datetime:
    if "/" in text:  # month/day/year
        return datetime.strptime(text, "%m/%d/%Y %H:%M")  # noqa: DTZ007 (a clock of a wall)
    return datetime.fromisoformat(text).replace(tzinfo=None)


def recorded(days: Days, name: str, hours: float = 0) -> Floats:
    """
    Return a recording day by day from its first whole one on, repeated at its end.

    `hours` are added to the file's clock, so that noon is noon.
    """
    times, values = _recording(name)
    times = times + round(hours * HOUR_US)
    begin = -(-int(times[0]) // DAY_US) * DAY_US
    day = days.number % ((int(times[-1]) - begin) // DAY_US)
    wanted = begin + day * DAY_US + np.rint(days.hour * HOUR_US).astype(np.int64)
    return np.clip(np.interp(wanted, times, values), 0, None)


def course(days: Days, shape: str, *, exact: bool = False) -> Floats:
    """Return a profile of mean one; with `exact` unscaled, for time that passes by the clock."""
    kind, _, name = shape.partition(":")
    if kind == "recorded":
        name, _, hours = name.partition("@")
        found = recorded(days, name, float(hours or 0))
    else:
        found = SHAPES[shape](days)
    return found if exact else found / found.mean()
