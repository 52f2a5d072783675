"""Slips of operators who enter true invoices and read true meters."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np

from tests.docket.distorting import at_channel, moment_of, said, times_within
from tests.docket.shapes import DAY_US, HOUR_US
from tests.docket.world import World


@said
def last_day_entered(world: World, of: list[str], corrected: bool = False) -> None:
    """
    Invoices state their last day, which is entered as `to`: a day too early.

    `corrected`: they are entered again with the day after it.
    """
    for one in [one for one in world.invoices if set(of) & set(one["devices"])]:
        if corrected:
            more = {"id": f"{one['id']}-2", "corrects": one["id"], "reason": "last day entered"}
            world.invoices.append({**one, **more})
        one["to"] -= timedelta(days=1)


@said
def in_units_of(world: World, of: list[str], unit: float) -> None:
    """Invoices state their amounts in large steps, as of a meter behind a transformer."""
    for one in world.invoices:
        if set(of) & set(one["devices"]):
            one["amount"] = round(one["amount"] / unit) * unit


@said
def issued_later(world: World, of: list[str], days: int) -> None:
    """Invoices arrive some weeks after their time."""
    for one in world.invoices:
        if set(of) & set(one["devices"]):
            one["issued"] = one["to"] + timedelta(days=days)


@said
def dead_band(world: World, on: str, share: float) -> None:
    """A gauge is sent only when it changed by a share; the other readings have no value."""
    device, channel = at_channel(on)
    values = world.readings[device].columns[channel]
    shown, last = np.full(len(values), np.nan), np.inf
    for i, value in enumerate(values):
        if not abs(value - last) <= share * max(abs(value), 1.0):
            shown[i] = last = value
    world.readings[device].columns[channel] = shown


@said
def sent_above(world: World, on: str, least: float) -> None:
    """A gauge is sent only while it is above a value."""
    device, channel = at_channel(on)
    values = world.readings[device].columns[channel]
    world.readings[device].columns[channel] = np.where(values >= least, values, np.nan)


@said
def frozen(world: World, device: str, first: str, last: str) -> None:
    """A gateway repeats a device's last values for some time, and then sends its true ones."""
    some = world.readings[device]
    inside = np.flatnonzero(times_within(world, some.time_us, first, last))
    for name, values in some.columns.items():
        held = values.copy()
        held[inside] = values[inside[0]]
        some.columns[name] = held


@said
def shifted_days(world: World, device: str, minutes: float, days: list[int]) -> None:
    """A device's clock is off on some days of the period, counted from zero."""
    some = world.readings[device]
    day = (some.time_us - world.month.from_us) // DAY_US
    off = np.where(np.isin(day, days), round(minutes * 60_000_000), 0)
    some.time_us = some.time_us + off
    _, order = np.unique(some.time_us, return_index=True)
    some.time_us = some.time_us[order]
    some.columns = {name: values[order] for name, values in some.columns.items()}


@said
def entered_often(world: World, of: list[str], days: int) -> None:
    """Invoices are entered again by their own file, each time with a day more, or a day less."""
    step = timedelta(days=1 if days > 0 else -1)
    for first in [one for one in world.invoices if set(of) & set(one["devices"])]:
        before = first
        for number in range(1, abs(days) + 1):
            end = date.fromisoformat(str(before["to"])[:10]) + step
            more = {"id": f"{first['id']}-{number}", "corrects": before["id"], "to": end}
            before = {**before, **more, "reason": "last day entered"}
            world.invoices.append(before)


@said
def creeps(world: World, on: str, first: str, last: str, hours: float) -> None:
    """A register counts one unit every few hours for some time, and then shows the rest at once."""
    device, channel = at_channel(on)
    some = world.readings[device]
    inside = np.flatnonzero(times_within(world, some.time_us, first, last))
    values = some.columns[channel]
    passed = some.time_us[inside] - some.time_us[inside[0]]
    values[inside] = values[inside[0]] + (passed // round(hours * HOUR_US)).astype(values.dtype)


@said
def flooded(world: World, on: str, first: str | None = None, last: str | None = None) -> None:
    """The level of a field is above the ground all the time."""
    device, channel = at_channel(on)
    some = world.readings[device]
    inside = times_within(world, some.time_us, first, last)
    values = some.columns[channel]
    some.columns[channel] = np.where(inside, 1 + abs(values), values)


@said
def drained(world: World, on: str, first: str, last: str) -> None:
    """The level of a field is below the ground for some time."""
    device, channel = at_channel(on)
    some = world.readings[device]
    inside = times_within(world, some.time_us, first, last)
    values = some.columns[channel]
    some.columns[channel] = np.where(inside, -1 - abs(values), values)


@said
def entered_again(world: World, id: str, **values: Any) -> None:  # noqa: A002
    """An invoice is entered again from its file, with other days."""
    one = next(i for i in world.invoices if i["id"] == id)
    more = {"id": f"{id}-2", "corrects": id, "reason": "a day was mistyped"}
    world.invoices.append({**one, **more, **values})


@said
def lent(world: World, device: str, first: str, last: str) -> None:
    """A device works for another project on some days, as it did a week before; rows state this."""
    some = world.readings[device]
    begin, end = np.searchsorted(some.time_us, [moment_of(world, day) for day in (first, last)])
    for channel, values in some.columns.items():
        if values.dtype.kind == "i":
            week = np.interp(some.time_us - 7 * DAY_US, some.time_us, values)
            elsewhere = np.clip(week, week[begin], week[end]) - week[begin]
            some.columns[channel] = values + np.rint(elsewhere).astype(np.int64)
    row = world.bound(device)
    world.project["devices"].append({**row, "from": date.fromisoformat(last)})
    row["to"] = date.fromisoformat(first)


@said
def fouled(world: World, on: str, by: float, first: str, cleaned: str) -> None:
    """A sensor shows increasingly more or less from a day on, until it is cleaned."""
    device, channel = at_channel(on)
    some = world.readings[device]
    begin, end = (moment_of(world, day) for day in (first, cleaned))
    share = np.clip((some.time_us - begin) / (end - begin), 0, 1) * (some.time_us < end)
    some.columns[channel] = np.round(some.columns[channel] * (1 + (by - 1) * share), 3)
