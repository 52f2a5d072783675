"""Distortions of a plant's readings."""

from __future__ import annotations

import numpy as np

from tests.docket.distorting import at_channel, moment_of, restarted, said, span_of, times_within
from tests.docket.shapes import DAY_US, HOUR_US, STEP_US
from tests.docket.world import Readings, World

# --- readings -----------------------------------------------------------------------------


def _steps(readings: Readings, channel: str) -> tuple[int, np.ndarray]:
    values = readings.columns[channel]
    return int(values[0]), np.diff(values)


def _rebuilt(start: int, steps: np.ndarray) -> np.ndarray:
    return np.concatenate([[start], start + np.cumsum(np.rint(steps).astype(np.int64))])


@said
def scaled(
    world: World, on: str, by: float, first: str | None = None, last: str | None = None
) -> None:
    """A register counts, or a gauge shows, k times the true value."""
    device, channel = at_channel(on)
    some = world.readings[device]
    inside = times_within(world, some.time_us, first, last)
    values = some.columns[channel]
    if values.dtype.kind == "i":
        start, steps = _steps(some, channel)
        values = _rebuilt(start, np.where(inside[1:], steps * by, steps))
    else:
        values = np.where(inside, values * by, values)
    some.columns[channel] = values


@said
def wrong_unit(world: World, on: str, by: float, until: str, first: str | None = None) -> None:
    """A gateway sends another unit, for the register too, until it is corrected."""
    device, channel = at_channel(on)
    some = world.readings[device]
    before = times_within(world, some.time_us, first, until)
    values = some.columns[channel]
    some.columns[channel] = np.where(before, (values * by).astype(values.dtype), values)


@said
def noise(world: World, on: str, share: float) -> None:
    """Readings of a channel have noise; of a register, its steps, with the same sum."""
    device, channel = at_channel(on)
    some = world.readings[device]
    values = some.columns[channel]
    if values.dtype.kind == "i":
        start, steps = _steps(some, channel)
        more = steps * (1 + share * world.rng.standard_normal(len(steps)))
        more = np.clip(more, 0, None)
        some.columns[channel] = _rebuilt(start, more * (steps.sum() / max(more.sum(), 1)))
    else:
        some.columns[channel] = values * (1 + share * world.rng.standard_normal(len(values)))


@said
def clock(
    world: World, device: str, hours: float, first: str | None = None, last: str | None = None
) -> None:
    """A meter's clock is off; of two readings of one time the first is stored."""
    some = world.readings[device]
    inside = times_within(world, some.time_us, first, last)
    some.time_us = np.where(inside, some.time_us + round(hours * HOUR_US), some.time_us)
    _, order = np.unique(some.time_us, return_index=True)
    some.time_us = some.time_us[order]
    some.columns = {name: values[order] for name, values in some.columns.items()}


@said
def irregular(world: World, device: str, seconds: float) -> None:
    """
    A meter is read at odd times: its registers are those of that time,
    its power the mean since.
    """
    some = world.readings[device]
    off = np.clip(world.rng.normal(0, seconds, len(some.time_us)), -400, 400)
    then = some.time_us + np.asarray(off * 1e6, dtype=np.int64)
    hours = np.diff(then, prepend=then[0] - HOUR_US // 4) / HOUR_US
    for name, values in some.columns.items():
        if values.dtype.kind == "i":
            some.columns[name] = np.floor(np.interp(then, some.time_us, values)).astype(np.int64)
    for name, how in world.devices[device].get("shows", {}).items():
        if "of" in how:
            of = some.columns[how["of"]]
            mean = np.diff(of, prepend=of[0]) / hours * how.get("times", 1.0)
            some.columns[name] = np.round(mean, 2)
    some.time_us = then


@said
def silent(world: World, device: str, first: str, last: str) -> None:
    """No reading arrives for some time, while the register continues."""
    some = world.readings[device]
    some.keep(~times_within(world, some.time_us, first, last))


@said
def read_out(world: World, device: str, at: str) -> None:
    """A device stores its readings until it is read out."""
    world.arrived[device] = moment_of(world, at)


@said
def drift(world: World, device: str, minutes: float) -> None:
    """A meter's clock gains some minutes in the month."""
    some = world.readings[device]
    begin, end = span_of(world, str(world.month.first), str(world.month.end))
    passed = np.clip((some.time_us - begin) / (end - begin), 0, 1)
    some.time_us = some.time_us + np.rint(passed * minutes * 60_000_000).astype(np.int64)


@said
def again_coarse(
    world: World, device: str, minutes: int, unit: int = 1, more: int = 0
) -> None:  # fmt: skip
    """
    Registers are sent a second time, a minute later: seldom, in large
    units, or slightly higher.
    """
    some = world.readings[device]
    minute_us = 60_000_000
    at = np.flatnonzero(some.time_us // (5 * minute_us) % (minutes // 5) == 0)
    times = np.concatenate([some.time_us, some.time_us[at] + minute_us])
    order = np.argsort(times, kind="stable")
    for name, values in some.columns.items():
        second = (
            values[at] // unit * unit + more if values.dtype.kind == "i" else values[at] * np.nan
        )
        some.columns[name] = np.concatenate([values, second])[order]
    some.time_us = times[order]


@said
def rolls_over(world: World, on: str, modulus: int, at: str, early: int = 0) -> None:
    """A register starts again from zero at its modulus, or `early` by some amount."""
    device, channel = at_channel(on)
    some = world.readings[device]
    after = some.time_us >= moment_of(world, at)
    values = some.columns[channel]
    since = values - int(values[~after][-1])
    some.columns[channel] = np.where(after, since, since + modulus - early - (early == 0))


@said
def wound_back(world: World, on: str, per_night: float) -> None:
    """A register runs backwards from 22:00 to 5:00."""
    device, channel = at_channel(on)
    some = world.readings[device]
    hour = world.month.local_us(some.time_us) % DAY_US / HOUR_US
    night = ((hour >= 22) | (hour < 5))[1:]
    start, steps = _steps(some, channel)
    back = per_night / 7 * np.diff(some.time_us) / HOUR_US
    some.columns[channel] = _rebuilt(start, steps - np.where(night, back, 0))


@said
def clock_fast(world: World, device: str, at: str) -> None:
    """A clock is set back on another day, and runs fast so that it is right at the month's end."""
    some = world.readings[device]
    begin, end, set_ = (
        moment_of(world, str(world.month.first)),
        moment_of(world, str(world.month.end)),
        moment_of(world, at),
    )
    some.keep(times_within(world, some.time_us, str(world.month.first), None))
    elapsed = (some.time_us - some.time_us[0]) // 1_000_000
    some.columns = {
        name: elapsed if values.dtype.kind == "i" else values
        for name, values in some.columns.items()
    }
    slow = (end - set_) / (end - begin)
    true = set_ + np.rint((some.time_us - begin) * slow).astype(np.int64)
    world.arrived[device] = np.where(some.time_us < end, true, some.time_us)
    world.registered(device)["installed"] = world.month.midnight(world.month.first)


@said
def lost(world: World, device: str, share: float) -> None:
    """Single readings are lost."""
    some = world.readings[device]
    some.keep(world.rng.random(len(some.time_us)) >= share)


@said
def without(world: World, on: str, first: str | None = None, last: str | None = None) -> None:
    """A channel is not sent."""
    device, channel = at_channel(on)
    some = world.readings[device]
    if first is None and last is None:
        del some.columns[channel]
        return
    values = some.columns[channel].astype(np.float64)
    some.columns[channel] = np.where(times_within(world, some.time_us, first, last), np.nan, values)


@said
def every(
    world: World, device: str, minutes: int, first: str | None = None, last: str | None = None
) -> None:
    """A device is read less often, in all its channels."""
    some = world.readings[device]
    seldom = some.time_us // 60_000_000 % minutes < world.devices[device].get("minutes", 15)
    some.keep(seldom | ~times_within(world, some.time_us, first, last))


@said
def sparse(world: World, on: str, minutes: int) -> None:
    """A gauge is sent less often than the register."""
    device, channel = at_channel(on)
    some = world.readings[device]
    seldom = (some.time_us // (5 * 60_000_000)) % (minutes // 5) == 0
    some.columns[channel] = np.where(seldom, some.columns[channel], np.nan)


@said
def power_of(world: World, on: str, of: str, times: float = 1.0) -> None:
    """A gauge is calculated from the register that is sent."""
    device, channel = at_channel(on)
    some = world.readings[device]
    steps = np.diff(some.columns[of], prepend=some.columns[of][0])
    hours = np.diff(some.time_us, prepend=some.time_us[0] - HOUR_US // 4) / HOUR_US
    some.columns[channel] = np.round(times * steps / hours, 2)


@said
def sampled(world: World, on: str, of: str, times: float = 1.0) -> None:
    """A gauge shows the moment of its reading instead of the mean since the last one."""
    device, channel = at_channel(on)
    some = world.readings[device]
    step = np.clip(
        np.searchsorted(world.month.times_us, some.time_us) - 1, 0, len(world.month.times_us) - 1
    )
    some.columns[channel] = np.round(world.made[device][of][step] * HOUR_US / STEP_US * times, 2)


@said
def stuck(world: World, on: str, first: str, last: str, *, catches_up: bool = False) -> None:
    """A register or gauge is constant; the quantity counted meanwhile follows at once, or never."""
    device, channel = at_channel(on)
    some = world.readings[device]
    inside = np.flatnonzero(times_within(world, some.time_us, first, last))
    values = some.columns[channel].copy()
    gone = values[inside[-1]] - values[inside[0]]
    values[inside] = values[inside[0]]
    if not catches_up and values.dtype.kind == "i":
        values[inside[-1] + 1 :] -= gone
    some.columns[channel] = values


@said
def commissioned(world: World, device: str, at: str) -> None:
    """A device is added within the month: it is registered, tested and read from then on."""
    row = world.registered(device)
    row["installed"] = world.month.wall(at).isoformat()
    some = world.readings[device]
    some.keep(~times_within(world, some.time_us, None, at))


@said
def again(world: World, device: str, days: int) -> None:
    """A meter's month consists of its own earlier days, sent a second time."""
    some = world.readings[device]
    back = days * DAY_US
    inside = times_within(world, some.time_us, str(world.month.first), None)
    for channel, values in some.columns.items():
        then = np.interp(some.time_us - back, some.time_us, values)
        if values.dtype.kind == "i":
            begin = int(np.flatnonzero(inside)[0])
            then = np.rint(then - then[begin]) + values[begin]
        some.columns[channel] = np.where(inside, then, values).astype(values.dtype)


@said
def coarse(world: World, on: str, unit: int) -> None:
    """A register counts in large units."""
    device, channel = at_channel(on)
    some = world.readings[device]
    some.columns[channel] = some.columns[channel] // unit * unit


@said
def jumped(world: World, on: str, at: str, by: int) -> None:
    """A register is higher from a moment on, although nothing was counted."""
    device, channel = at_channel(on)
    some = world.readings[device]
    after = some.time_us >= moment_of(world, at)
    some.columns[channel] = np.where(after, some.columns[channel] + by, some.columns[channel])


@said
def standby(world: World, on: str, watt: float) -> None:
    """A gauge shows the device's own consumption while it generates nothing."""
    device, channel = at_channel(on)
    values = world.readings[device].columns[channel]
    world.readings[device].columns[channel] = np.where(values <= 0, -watt, values)


@said
def swapped(
    world: World, on: str, with_: str, first: str | None = None, last: str | None = None,
    entered: bool = False,
) -> None:  # fmt: skip
    """Two meters of one class send under each other's name, always or for some days."""
    some = (world.readings[on], world.readings[with_])
    inside = [times_within(world, one.time_us, first, last) for one in some]
    for name, own, other in ((on, 0, 1), (with_, 1, 0)) if entered else ():
        world.registered(name)["replacements"] = [
            restarted(
                world,
                f"{name}.{channel}",
                moment_of(world, at),
                before,
                after,
                document="the gateway's log",
                same_meter=True,
            )
            for at, pair in ((first, (own, other)), (last, (other, own)))
            for channel, values in some[own].columns.items()
            if values.dtype.kind == "i"
            for before, after in [
                tuple(
                    int(some[k].columns[channel][some[k].time_us < moment_of(world, str(at))][-1])
                    for k in pair
                )
            ]
        ]
    for name, own, other in ((on, 0, 1), (with_, 1, 0)):
        times = np.concatenate(
            [some[own].time_us[~inside[own]], some[other].time_us[inside[other]]]
        )
        order = np.argsort(times, kind="stable")
        columns = {
            channel: np.concatenate(
                [values[~inside[own]], some[other].columns[channel][inside[other]]]
            )[order]
            for channel, values in some[own].columns.items()
        }
        world.readings[name] = Readings(some[own].class_id, times[order], columns)


@said
def asleep(world: World, device: str, first: int, last: int) -> None:
    """A device is off at some hours of each day, as a logger powered by the modules."""
    some = world.readings[device]
    hour = world.month.local_us(some.time_us) % DAY_US / HOUR_US
    inside = (hour >= first) & (hour < last)
    some.keep(~inside if first < last else (hour >= last) & (hour < first))


@said
def repair(world: World, device: str, first: str, last: str) -> None:
    """A meter was removed for repair: no readings, and its register did not advance."""
    some = world.readings[device]
    inside = times_within(world, some.time_us, first, last)
    where = np.flatnonzero(inside)
    for channel, values in some.columns.items():
        if values.dtype.kind == "i":
            gone = values[where[-1]] - values[where[0]]
            values[where[-1] :] -= gone
            some.columns[channel] = values
    some.keep(~inside)


@said
def by_night(world: World, on: str, per_day: float, first: int = 19, last: int = 5) -> None:
    """A solar meter's register counts at night too."""
    device, channel = at_channel(on)
    some = world.readings[device]
    hour = world.month.local_us(some.time_us) % DAY_US / HOUR_US
    dark = (hour >= first) | (hour < last)
    start, steps = _steps(some, channel)
    steps = steps + np.where(dark[1:], per_day * DAY_US / HOUR_US / (24 - first + last) / 96, 0)
    some.columns[channel] = _rebuilt(start, steps)


@said
def copied(
    world: World, on: str, of: str, by: float = 1.0, shift_minutes: int = 0,
    permute: bool = False, scatter: float = 0.0, gauges: bool = True,
) -> None:  # fmt: skip
    """A meter sends what another one sent: scaled, shifted, or with its days in another order."""
    device, channel = at_channel(on)
    source, other = at_channel(of)
    theirs, ours = world.readings[source], world.readings[device]
    steps = np.diff(theirs.columns[other], prepend=theirs.columns[other][0]) * by
    order = _permuted(world, theirs.time_us) if permute else np.arange(len(steps))
    more = np.clip(1 + scatter * world.rng.standard_normal(len(steps)), 0, None)
    start = int(ours.columns[channel][0])
    ours.time_us = theirs.time_us + shift_minutes * 60_000_000
    ours.columns = {channel: start + np.cumsum(np.rint(steps[order] * more).astype(np.int64))}
    for name, values in theirs.columns.items():
        if gauges and values.dtype.kind == "f":
            ours.columns[name] = np.round(values[order] * by * more, 2)


def _permuted(world: World, times_us: np.ndarray) -> np.ndarray:
    """Return readings with their days in another order."""
    day = world.month.local_us(times_us) // DAY_US
    groups = [np.flatnonzero(day == one) for one in np.unique(day)]
    whole = max(map(len, groups))
    full = [i for i, one in enumerate(groups) if len(one) == whole]
    order = dict(zip(full, world.rng.permutation(full).tolist(), strict=True))
    return np.concatenate([groups[order.get(i, i)] for i in range(len(groups))])


@said
def goes_on(world: World, device: str, at: str) -> None:
    """From a moment on a device repeats elsewhere what it did a week before."""
    some = world.readings[device]
    after = some.time_us >= moment_of(world, at)
    for channel, values in some.columns.items():
        if values.dtype.kind == "i":
            week = np.interp(some.time_us - 7 * DAY_US, some.time_us, values)
            begin = int(np.flatnonzero(after)[0])
            more = np.clip(week - week[begin], 0, None)
            some.columns[channel] = np.where(after, values + np.rint(more), values).astype(np.int64)


@said
def starts_anew(world: World, on: str, hour: float, entered: bool = False) -> None:
    """A register counts the day, and starts again from zero at an hour of each day."""
    device, channel = at_channel(on)
    some = world.readings[device]
    day = (world.month.local_us(some.time_us) - round(hour * HOUR_US)) // DAY_US
    values = some.columns[channel]
    _, place, of = np.unique(day, return_index=True, return_inverse=True)
    some.columns[channel] = values - values[place][of]
    if entered:
        more = {"document": "display at each day's end", "same_meter": True}
        ends, lasts = some.time_us[place[1:]].tolist(), np.diff(values[place]).tolist()
        world.registered(device)["replacements"] = [
            restarted(world, on, end, last, 0, **more)
            for end, last in zip(ends, lasts, strict=True)
        ]


@said
def digits(world: World, on: str, modulus: int, entered: bool = False) -> None:
    """A register has few digits, and rolls over, which is entered or not."""
    device, channel = at_channel(on)
    some = world.readings[device]
    round_ = some.columns[channel] // modulus
    some.columns[channel] = some.columns[channel] % modulus
    if entered:
        world.registered(device)["replacements"] = [
            restarted(world, on, us, modulus, 0, document="photograph")
            for us in some.time_us[1:][np.diff(round_) > 0].tolist()
        ]


@said
def buffered(
    world: World, device: str, first: str, last: str, at: str, shuffle: bool = False
) -> None:
    """Readings of some days were buffered and arrived together; `shuffle` in no order."""
    some = world.readings[device]
    then = world.arrived.get(device, some.time_us)
    came = np.array(then, dtype=np.int64)
    inside = np.flatnonzero(times_within(world, some.time_us, first, last))
    minutes = world.rng.permutation(len(inside)) if shuffle else np.arange(len(inside))
    came[inside] = moment_of(world, at) + minutes * 60_000_000
    world.arrived[device] = came


@said
def fine(world: World, device: str, minutes: int) -> None:
    """A device is read each minute, or every few; its registers rise evenly in between."""
    some, step = world.readings[device], minutes * 60_000_000
    near = times_within(world, some.time_us, str(world.month.first), str(world.month.end))
    inside = some.time_us[near]
    then = np.arange(inside[0], inside[-1] + 1, step)
    times = np.unique(np.concatenate([some.time_us[~near], then]))
    for name, values in some.columns.items():
        if values.dtype.kind == "i":
            some.columns[name] = np.floor(np.interp(times, some.time_us, values)).astype(np.int64)
        else:  # a mean since the reading before
            place = np.clip(np.searchsorted(some.time_us, times), 0, len(values) - 1)
            some.columns[name] = values[place]
    some.time_us = times
