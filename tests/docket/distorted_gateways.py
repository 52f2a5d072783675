"""Distortions by gateways and transmitters."""

from __future__ import annotations

import numpy as np

from ingest.profiles import register_of_column
from tests.docket.distorting import at_channel, moment_of, restarted, said, times_within
from tests.docket.shapes import DAY_US, HOUR_US
from tests.docket.world import World

SECOND_US = 1_000_000


@said
def as_float(world: World, on: str, unit: int) -> None:
    """A register is sent as a 32-bit floating-point number in some unit."""
    device, channel = at_channel(on)
    some = world.readings[device]
    shown = (some.columns[channel] / unit).astype(np.float32).astype(np.float64) * unit
    some.columns[channel] = np.rint(shown).astype(np.int64)


@said
def in_steps(world: World, on: str, unit: float) -> None:
    """A gauge is rounded to large units, as on displays."""
    device, channel = at_channel(on)
    some = world.readings[device]
    some.columns[channel] = np.round(some.columns[channel] / unit) * unit


@said
def stamped(world: World, device: str, first: str, last: str, at: str) -> None:
    """A gateway without a clock gives buffered readings the time at which it sends them."""
    some = world.readings[device]
    inside = np.flatnonzero(times_within(world, some.time_us, first, last))
    sent = moment_of(world, at) + SECOND_US // 2
    some.time_us[inside] = sent + np.arange(len(inside)) * 2 * SECOND_US
    order = np.argsort(some.time_us, kind="stable")
    some.time_us = some.time_us[order]
    some.columns = {name: values[order] for name, values in some.columns.items()}


@said
def cached(world: World, device: str, reads: int) -> None:
    """A gateway reads a device only every few polls, and repeats its last value in between."""
    some = world.readings[device]
    last = np.arange(len(some.time_us)) // reads * reads
    some.columns = {name: values[last] for name, values in some.columns.items()}


@said
def echoed(world: World, device: str, seconds: int, first: str, last: str) -> None:
    """A restarted gateway sends all of some days a second time, a few seconds later."""
    some = world.readings[device]
    inside = np.flatnonzero(times_within(world, some.time_us, first, last))
    times = np.concatenate([some.time_us, some.time_us[inside] + seconds * SECOND_US])
    order = np.argsort(times, kind="stable")
    some.columns = {
        name: np.concatenate([values, values[inside]])[order]
        for name, values in some.columns.items()
    }
    some.time_us = times[order]


@said
def zero_at_restart(world: World, on: str, at: list[str]) -> None:
    """A gateway sends one zero after its restart, before it has read the meter."""
    device, channel = at_channel(on)
    some = world.readings[device]
    for one in at:
        some.columns[channel][int(np.searchsorted(some.time_us, moment_of(world, one)))] = 0


@said
def spikes(world: World, on: str, value: float, at: list[str]) -> None:
    """A gauge has its highest value in single readings, as with a loose wire."""
    device, channel = at_channel(on)
    some = world.readings[device]
    for one in at:
        some.columns[channel][int(np.searchsorted(some.time_us, moment_of(world, one)))] = value


@said
def hourly_mean(world: World, on: str) -> None:
    """A building's control sends the mean power of the hour before, each 15-minute interval."""
    device, channel = at_channel(on)
    some = world.readings[device]
    hour, of = np.unique(some.time_us // HOUR_US, return_inverse=True)
    mean = np.bincount(of, some.columns[channel]) / np.bincount(of)
    some.columns[channel] = np.round(mean[np.clip(of - 1, 0, len(hour) - 1)], 2)


@said
def power_cuts(world: World, device: str, hour: float, minutes: float, days: list[str]) -> None:
    """The modem has no battery: on some days it is off for a while."""
    some = world.readings[device]
    local = world.month.local_us(some.time_us) % DAY_US / HOUR_US
    off = (local >= hour) & (local < hour + minutes / 60)
    that = sum(
        times_within(world, some.time_us, one, f"{one}T23:59:59") for one in days
    ).astype(bool)  # fmt: skip
    some.keep(~(off & that))


@said
def crossed(
    world: World, device: str, of: list[str], first: str, last: str, *, entered: bool = False
) -> None:
    """Two channels of a device were mapped to each other's name, until it was noticed."""
    some = world.readings[device]
    inside = times_within(world, some.time_us, first, last)
    here, there = (some.columns[channel] for channel in of)
    for channel, own, other in ((of[0], here, there), (of[1], there, here)):
        some.columns[channel] = np.where(inside, other, own)
    if entered:
        of_class = world.registered(device)["class"]
        names = [register_of_column(of_class, channel).name for channel in of]
        row = dict(zip(("channel", "with"), names, strict=True))
        row |= dict(zip(("from", "to"), (world.month.wall(t).isoformat() for t in (first, last)),
                        strict=True))  # fmt: skip
        row |= {"reason": "an update of the gateway", "document": "the gateway's mapping"}
        world.registered(device)["exchanged_channels"] = [row]


@said
def exchange_entered(
    world: World, device: str, of: list[str], spans: list[list[str]], *, restarts: bool = False
) -> None:
    """
    Channels are entered as sent under each other's name, which they were not.

    `restarts`: replacements of the first channel at each edge join its values.
    """
    row, some = world.registered(device), world.readings[device]
    names = [register_of_column(row["class"], channel).name for channel in of]
    here, there = (some.columns[channel] for channel in of)
    for begin, end in spans:
        times = (world.month.wall(at).isoformat() for at in (begin, end))
        row.setdefault("exchanged_channels", []).append(
            dict(zip(("channel", "with", "from", "to"), (*names, *times), strict=True))
            | {"reason": "an update of the gateway", "document": "the gateway's mapping"}
        )
        edges = ((begin, here, there), (end, there, here)) if restarts else ()
        for at, before, after in edges:
            at_us = moment_of(world, at)
            place = int(np.searchsorted(some.time_us, at_us))
            last, first = int(before[place - 1]), int(after[place])
            more = {"document": "protocol with photographs", "same_meter": True}
            row.setdefault("replacements", []).append(
                restarted(world, f"{device}.{of[0]}", at_us, last, first, **more)
            )


@said
def also_counts(world: World, on: str, of: str, times: float, start: int = 10**6) -> None:
    """A device has a further register, which counts in proportion to its first one."""
    device, channel = at_channel(on)
    columns = world.readings[device].columns
    values = columns[of]
    columns[channel] = start + np.floor((values - values[0]) * times).astype(np.int64)


@said
def limited(world: World, on: str, **limits: object) -> None:
    """Limits of the quality tests of a channel are entered."""
    device, channel = at_channel(on)
    first = world.month.midnight(world.month.before(20))
    row = {"channel": channel, "from": first, "reason": "by the maker", **limits}
    world.registered(device).setdefault("quality", []).append(row)


@said
def written_down(world: World, device: str, weekdays: list[int], hour: float, unit: int) -> None:
    """A meter is read by hand on some days of the week, at about an hour, in whole units."""
    some = world.readings[device]
    local = world.month.local_us(some.time_us)
    day, clock = local // DAY_US, local % DAY_US / HOUR_US
    asked = np.isin((day + 3) % 7, weekdays)
    kept = np.zeros(len(day), dtype=bool)
    for one in np.unique(day[asked]):
        that = np.flatnonzero(day == one)
        late = hour + 0.4 * world.rng.standard_normal()
        kept[that[np.argmin(abs(clock[that] - late))]] = True
    some.keep(kept)
    some.columns = {
        name: values // unit * unit if values.dtype.kind == "i" else values * np.nan
        for name, values in some.columns.items()
    }


@said
def sent_daily(world: World, device: str, hour: float) -> None:
    """A gateway keeps its readings and sends those of a day together at an hour of the next one."""
    some = world.readings[device]
    local = world.month.local_us(some.time_us)
    wait = DAY_US + round(hour * HOUR_US) - local % DAY_US
    world.arrived[device] = some.time_us + wait


@said
def sent_at_turns(world: World, on: str, *, lowest: bool = False) -> None:
    """A gauge is sent only where it is above both of its neighbours, or below them."""
    device, channel = at_channel(on)
    values = world.readings[device].columns[channel]
    sign = -1 if lowest else 1
    inner = sign * values[1:-1]
    turns = (inner >= sign * values[:-2]) & (inner >= sign * values[2:])
    shown = np.full(len(values), np.nan)
    shown[1:-1] = np.where(turns, values[1:-1], np.nan)
    world.readings[device].columns[channel] = shown


@said
def frozen_daily(world: World, devices: list[str], first: int, last: int) -> None:
    """A gateway repeats the values of an hour of each day until another one."""
    for name in devices:
        some = world.readings[name]
        local = world.month.local_us(some.time_us)
        day, hour = local // DAY_US, local % DAY_US / HOUR_US
        held = (hour >= first) & (hour < last)
        for one in np.unique(day[held]):
            at = np.flatnonzero(held & (day == one))
            for values in some.columns.values():
                values[at] = values[at[0]]


@said
def begins_near(world: World, on: str, of: str, more: int) -> None:
    """A register stands by some amount above another one."""
    device, channel = at_channel(on)
    other, name = at_channel(of)
    values = world.readings[device].columns[channel]
    start = int(world.readings[other].columns[name][0]) + more
    world.readings[device].columns[channel] = values - int(values[0]) + start
