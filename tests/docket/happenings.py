"""Events at a plant that differ from its file."""

from __future__ import annotations

import numpy as np

from tests.docket.distorting import at_channel, happened, moment_of, times_within
from tests.docket.shapes import DAY_US, HOUR_US, STEP_US
from tests.docket.world import World, days_of, made_of

# --- what happened ------------------------------------------------------------------------


@happened
def made(
    world: World, on: str, by: float, first: str | None = None, last: str | None = None
) -> None:
    """A device generated, used or delivered more or less than in the plant's file."""
    device, channel = at_channel(on)
    some = times_within(world, world.month.times_us, first, last)
    world.made[device][channel] = np.where(
        some, world.made[device][channel] * by, world.made[device][channel]
    )


@happened
def stood(world: World, on: list[str], first: str, last: str) -> None:
    """The plant stood still for some days."""
    for one in on:
        made(world, one, 0.0, first, last)


@happened
def ran(world: World, on: str, shape: str, per_day: float) -> None:
    """A device had another profile than in the plant's file, within its rated power."""
    device, channel = at_channel(on)
    rated = "rated_power_w" in world.devices[device]
    how = {"shape": shape, "per_day": per_day, "rated": rated}
    world.made[device][channel] = made_of(world, world.devices[device], how)


@happened
def alike(world: World, on: str, of: str, by: float, scatter: float) -> None:
    """Two devices behave nearly alike: one sun, one wind, one load."""
    days = days_of(world)
    more = by * np.clip(1 + scatter * days.wander(3), 0, None)
    for channel, values in world.made[of].items():
        world.made[on][channel] = values * more


@happened
def in_turn(world: World, on: str, with_: str) -> None:
    """Two devices run alternately: each day one of them does what the first one did."""
    odd = days_of(world).number % 2 == 1
    for channel, values in world.made[on].items():
        world.made[with_][channel] = np.where(odd, values, 0)
        world.made[on][channel] = np.where(odd, 0, values)


@happened
def timetable(world: World, on: list[str], round_m: float) -> None:
    """Vehicles make the same round trips each day, half an hour apart: eight, at a weekend six."""
    days = days_of(world)
    for place, device in enumerate(on):
        since = days.hour - 5.5 - place / 2
        drives = (since >= 0) & (since < np.where(days.weekend, 6, 8) * 1.6) & (since % 1.6 < 1.2)
        step = round_m * STEP_US / (1.2 * HOUR_US)
        world.made[device]["odometer_m"] = drives * step * (1 + 0.003 * days.wander(1))


@happened
def flows_back(world: World, on: str, per_night: float) -> None:
    """From 1:00 to 3:00 nothing is delivered, and some of the delivery flows back."""
    device, channel = at_channel(on)
    hour = days_of(world).hour
    back = -per_night * STEP_US / (2 * HOUR_US)
    world.made[device][channel] = np.where(
        (hour >= 1) & (hour < 3), back, world.made[device][channel]
    )


@happened
def capped(
    world: World, on: str, watt: float, first: str | None = None, last: str | None = None
) -> None:
    """A device is limited to some power: an export limit, a clipped inverter."""
    device, channel = at_channel(on)
    some = times_within(world, world.month.times_us, first, last)
    made = world.made[device][channel]
    most = watt * STEP_US / HOUR_US
    world.made[device][channel] = np.where(some, np.minimum(made, most), made)


@happened
def soiled(world: World, on: str, per_day: float, rain: str) -> None:
    """Dust takes a larger share each day, until the rain."""
    device, channel = at_channel(on)
    days = (world.month.times_us - world.month.from_us) / DAY_US
    since = (world.month.times_us - moment_of(world, rain)) / DAY_US
    dirty = np.where(since >= 0, since, np.clip(days, 0, None))
    world.made[device][channel] = world.made[device][channel] * (1 - per_day * dirty)


@happened
def burst(world: World, on: str, per_day: float, days: list[str], first: int, last: int) -> None:
    """A device does its whole work within some hours of some days."""
    device, channel = at_channel(on)
    hour = days_of(world).hour
    within = (hour >= first) & (hour < last)
    some = sum(
        times_within(world, world.month.times_us, one, f"{one}T23:59:59") for one in days
    ).astype(bool)  # fmt: skip
    share = per_day * STEP_US / HOUR_US / (last - first)
    world.made[device][channel] = np.where(some & within, share, 0.0)


@happened
def grows(world: World, on: str, by: float) -> None:
    """A device does more from day to day, or less: from one at the period's start to `by`."""
    device, channel = at_channel(on)
    month = world.month
    passed = (month.times_us - month.from_us) / (month.to_us - month.from_us)
    share = 1 + (by - 1) * np.clip(passed, 0, 1)
    world.made[device][channel] = world.made[device][channel] * share


@happened
def rests(world: World, on: list[str], first: int, last: int, weekday: int) -> None:
    """Nothing is done within some hours of one day of each week, Monday being 0."""
    days = days_of(world)
    local = world.month.local_us(world.month.times_us)
    within = (days.hour >= first) & (days.hour < last) & ((local // DAY_US + 3) % 7 == weekday)
    for one in on:
        device, channel = at_channel(one)
        made = world.made[device][channel]
        world.made[device][channel] = np.where(within, 0.0, made)
