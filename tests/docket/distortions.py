"""
What makes a case of a plant: what else happened there, or what is said of it otherwise.

Each is a function of a world and of values that the case's file gives.  Those of `HAPPENED` are
done first and are part of the truth; the others change readings, registry or papers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from datetime import date, datetime, timedelta
from itertools import chain, pairwise
from typing import Any

import numpy as np

from tests.docket.shapes import DAY_US, HOUR_US, STEP_US, Days
from tests.docket.world import (
    END,
    FIRST,
    OFFSET_US,
    PROJECT,
    TIMES_US,
    Readings,
    World,
    invoice,
    paper,
    rounded,
    seed_of,
    sha,
)

Distortion = Callable[..., None]
# units of the generic profile by base unit
_PAYLOAD = {"wh": ("kwh", 1000), "m": ("km", 1000), "ml": ("m3", 10**6), "g": ("kg", 1000)}
HAPPENED: dict[str, Distortion] = {}
SAID: dict[str, Distortion] = {}


def _happened(found: Distortion) -> Distortion:
    HAPPENED[found.__name__] = found
    return found


def _said(found: Distortion) -> Distortion:
    SAID[found.__name__] = found
    return found


def _at(on: str) -> tuple[str, str]:
    device, _, channel = on.partition(".")
    return device, channel


def _moment(text: str) -> int:
    """Read a local day or moment. [us UTC]"""
    wall = datetime.fromisoformat(text) - datetime(1970, 1, 1)  # noqa: DTZ001
    return round(wall.total_seconds()) * 1_000_000 - OFFSET_US


def _span(first: str | None, last: str | None) -> tuple[int, int]:
    """Times from a local day, or moment, to another."""
    begin = int(TIMES_US[0]) - DAY_US if first is None else _moment(first)
    return begin, int(TIMES_US[-1]) + DAY_US if last is None else _moment(last)


def _within(times_us: np.ndarray, first: str | None, last: str | None) -> np.ndarray:
    begin, end = _span(first, last)
    return (times_us >= begin) & (times_us < end)


# --- what happened ------------------------------------------------------------------------


@_happened
def made(
    world: World, on: str, by: float, first: str | None = None, last: str | None = None
) -> None:
    """A device made, used or delivered more or less than the plant's file says."""
    device, channel = _at(on)
    some = _within(TIMES_US, first, last)
    world.made[device][channel] = np.where(
        some, world.made[device][channel] * by, world.made[device][channel]
    )


@_happened
def stood(world: World, on: list[str], first: str, last: str) -> None:
    """Nothing was done for some days."""
    for one in on:
        made(world, one, 0.0, first, last)


@_happened
def alike(world: World, on: str, of: str, by: float, scatter: float) -> None:
    """Two devices do nearly the same: one sun, one wind, one load."""
    days = Days(TIMES_US, OFFSET_US, world.rng)
    more = by * np.clip(1 + scatter * days.wander(3), 0, None)
    for channel, values in world.made[of].items():
        world.made[on][channel] = values * more


@_happened
def in_turn(world: World, on: str, with_: str) -> None:
    """Two devices run in turn: each day one of them does what the first one did."""
    odd = Days(TIMES_US, OFFSET_US, world.rng).number % 2 == 1
    for channel, values in world.made[on].items():
        world.made[with_][channel] = np.where(odd, values, 0)
        world.made[on][channel] = np.where(odd, 0, values)


@_happened
def timetable(world: World, on: list[str], round_m: float) -> None:
    """Vehicles do the same rounds each day, half an hour apart: eight, at a weekend six."""
    days = Days(TIMES_US, OFFSET_US, world.rng)
    for place, device in enumerate(on):
        since = days.hour - 5.5 - place / 2
        drives = (since >= 0) & (since < np.where(days.weekend, 6, 8) * 1.6) & (since % 1.6 < 1.2)
        step = round_m * STEP_US / (1.2 * HOUR_US)
        world.made[device]["odometer_m"] = drives * step * (1 + 0.003 * days.wander(1))


@_happened
def flows_back(world: World, on: str, per_night: float) -> None:
    """From one to three by night nothing is delivered, and some of what was comes back."""
    device, channel = _at(on)
    hour = Days(TIMES_US, OFFSET_US, world.rng).hour
    back = -per_night * STEP_US / (2 * HOUR_US)
    world.made[device][channel] = np.where(
        (hour >= 1) & (hour < 3), back, world.made[device][channel]
    )


# --- readings -----------------------------------------------------------------------------


def _steps(readings: Readings, channel: str) -> tuple[int, np.ndarray]:
    values = readings.columns[channel]
    return int(values[0]), np.diff(values)


def _rebuilt(start: int, steps: np.ndarray) -> np.ndarray:
    return np.concatenate([[start], start + np.cumsum(np.rint(steps).astype(np.int64))])


@_said
def scaled(
    world: World, on: str, by: float, first: str | None = None, last: str | None = None
) -> None:
    """A register counts, or a gauge shows, k times what there is."""
    device, channel = _at(on)
    some = world.readings[device]
    inside = _within(some.time_us, first, last)
    values = some.columns[channel]
    if values.dtype.kind == "i":
        start, steps = _steps(some, channel)
        values = _rebuilt(start, np.where(inside[1:], steps * by, steps))
    else:
        values = np.where(inside, values * by, values)
    some.columns[channel] = values


@_said
def wrong_unit(world: World, on: str, by: float, until: str) -> None:
    """A gateway sent another unit, register and all, until somebody mended it."""
    device, channel = _at(on)
    some = world.readings[device]
    before = some.time_us < _moment(until)
    values = some.columns[channel]
    some.columns[channel] = np.where(before, (values * by).astype(values.dtype), values)


@_said
def noise(world: World, on: str, share: float) -> None:
    """Readings of a channel scatter; a register by its steps, which add up to the same."""
    device, channel = _at(on)
    some = world.readings[device]
    values = some.columns[channel]
    if values.dtype.kind == "i":
        start, steps = _steps(some, channel)
        more = steps * (1 + share * world.rng.standard_normal(len(steps)))
        more = np.clip(more, 0, None)
        some.columns[channel] = _rebuilt(start, more * (steps.sum() / max(more.sum(), 1)))
    else:
        some.columns[channel] = values * (1 + share * world.rng.standard_normal(len(values)))


@_said
def clock(
    world: World, device: str, hours: float, first: str | None = None, last: str | None = None
) -> None:
    """A meter's clock is off; of two readings of one time the first is stored."""
    some = world.readings[device]
    inside = _within(some.time_us, first, last)
    some.time_us = np.where(inside, some.time_us + round(hours * HOUR_US), some.time_us)
    _, order = np.unique(some.time_us, return_index=True)
    some.time_us = some.time_us[order]
    some.columns = {name: values[order] for name, values in some.columns.items()}


@_said
def irregular(world: World, device: str, seconds: float) -> None:
    """A meter is read at odd times: its registers are those of then, its power the mean since."""
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


@_said
def silent(world: World, device: str, first: str, last: str) -> None:
    """No reading came for some time, and the register went on."""
    some = world.readings[device]
    some.keep(~_within(some.time_us, first, last))


@_said
def read_out(world: World, device: str, at: str) -> None:
    """A device keeps its readings until somebody reads them out."""
    world.arrived[device] = _moment(at)


@_said
def drift(world: World, device: str, minutes: float) -> None:
    """A meter's clock gains some minutes in the month."""
    some = world.readings[device]
    begin, end = _span(str(FIRST), str(END))
    passed = np.clip((some.time_us - begin) / (end - begin), 0, 1)
    some.time_us = some.time_us + np.rint(passed * minutes * 60_000_000).astype(np.int64)


@_said
def again_coarse(
    world: World, device: str, minutes: int, unit: int = 1, more: int = 0
) -> None:  # fmt: skip
    """Registers come a second time, a minute later: seldom, in large units, or a little higher."""
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


@_said
def rolls_over(world: World, on: str, modulus: int, at: str, early: int = 0) -> None:
    """A register begins again from zero at its modulus, or `early` by so much."""
    device, channel = _at(on)
    some = world.readings[device]
    after = some.time_us >= _moment(at)
    values = some.columns[channel]
    since = values - int(values[~after][-1])
    some.columns[channel] = np.where(after, since, since + modulus - early - (early == 0))


@_said
def wound_back(world: World, on: str, per_night: float) -> None:
    """A register runs backwards from ten in the evening to five in the morning."""
    device, channel = _at(on)
    some = world.readings[device]
    hour = (some.time_us + OFFSET_US) % DAY_US / HOUR_US
    night = ((hour >= 22) | (hour < 5))[1:]
    start, steps = _steps(some, channel)
    back = per_night / 7 * np.diff(some.time_us) / HOUR_US
    some.columns[channel] = _rebuilt(start, steps - np.where(night, back, 0))


@_said
def clock_fast(world: World, device: str, at: str) -> None:
    """A clock was set back to the month's first day on another one, and is right at its end."""
    some = world.readings[device]
    begin, end, set_ = _moment(str(FIRST)), _moment(str(END)), _moment(at)
    some.keep(_within(some.time_us, str(FIRST), None))
    elapsed = (some.time_us - some.time_us[0]) // 1_000_000
    some.columns = {
        name: elapsed if values.dtype.kind == "i" else values
        for name, values in some.columns.items()
    }
    slow = (end - set_) / (end - begin)
    true = set_ + np.rint((some.time_us - begin) * slow).astype(np.int64)
    world.arrived[device] = np.where(some.time_us < end, true, some.time_us)
    world.registered(device)["installed"] = f"{FIRST}T00:00:00+07:00"


@_said
def lost(world: World, device: str, share: float) -> None:
    """Single readings were lost."""
    some = world.readings[device]
    some.keep(world.rng.random(len(some.time_us)) >= share)


@_said
def without(world: World, on: str, first: str | None = None, last: str | None = None) -> None:
    """A channel is not told."""
    device, channel = _at(on)
    some = world.readings[device]
    if first is None and last is None:
        del some.columns[channel]
        return
    values = some.columns[channel].astype(np.float64)
    some.columns[channel] = np.where(_within(some.time_us, first, last), np.nan, values)


@_said
def every(world: World, device: str, minutes: int) -> None:
    """A device is read less often, and all that it tells."""
    some = world.readings[device]
    some.keep(some.time_us // 60_000_000 % minutes < world.devices[device].get("minutes", 15))


@_said
def sparse(world: World, on: str, minutes: int) -> None:
    """A gauge is told less often than the register."""
    device, channel = _at(on)
    some = world.readings[device]
    seldom = (some.time_us // (5 * 60_000_000)) % (minutes // 5) == 0
    some.columns[channel] = np.where(seldom, some.columns[channel], np.nan)


@_said
def power_of(world: World, on: str, of: str, times: float = 1.0) -> None:
    """A gauge shows what its register, as it is told, would need."""
    device, channel = _at(on)
    some = world.readings[device]
    steps = np.diff(some.columns[of], prepend=some.columns[of][0])
    hours = np.diff(some.time_us, prepend=some.time_us[0] - HOUR_US // 4) / HOUR_US
    some.columns[channel] = np.round(times * steps / hours, 2)


@_said
def sampled(world: World, on: str, of: str, times: float = 1.0) -> None:
    """A gauge shows the moment of its reading, and not the mean since the last one."""
    device, channel = _at(on)
    some = world.readings[device]
    step = np.clip(np.searchsorted(TIMES_US, some.time_us) - 1, 0, len(TIMES_US) - 1)
    some.columns[channel] = np.round(world.made[device][of][step] * HOUR_US / STEP_US * times, 2)


@_said
def stuck(world: World, on: str, first: str, last: str, *, catches_up: bool = False) -> None:
    """A register or gauge stands still; what was counted meanwhile comes at once, or never."""
    device, channel = _at(on)
    some = world.readings[device]
    inside = np.flatnonzero(_within(some.time_us, first, last))
    values = some.columns[channel].copy()
    gone = values[inside[-1]] - values[inside[0]]
    values[inside] = values[inside[0]]
    if not catches_up and values.dtype.kind == "i":
        values[inside[-1] + 1 :] -= gone
    some.columns[channel] = values


@_said
def replaced(
    world: World, on: str, at: str, *, entered: bool = True, first: int = 0,
    document: bool = True, used: bool = False,
) -> None:  # fmt: skip
    """A meter was replaced by another one, which the registry says or not."""
    device, channel = _at(on)
    some = world.readings[device]
    moment = _moment(at)
    after = some.time_us >= moment
    values = some.columns[channel]
    last = int(values[~after][-1])
    begin = int(last * 0.4) if used else first
    some.columns[channel] = np.where(after, values - last + begin, values)
    if entered:
        row = world.registered(device)
        old, row["serial"] = row["serial"], f"{row['serial']}-B"
        # as the generic profile has it
        name, unit = _PAYLOAD[channel.rsplit("_", 1)[1]]
        swap = {
            "at": f"{at}+07:00" if len(at) > len("2026-03-01") else f"{at}T00:00:00+07:00",
            "channel": f"{channel.rsplit('_', 1)[0]}_{name}",
            "last": last / unit,
            "first": begin / unit,
            "reason": f"meter {old} was faulty",
        }
        if document:
            swap["document"] = "protocol of the replacement, with photographs"
        row["replacements"] = [swap]
        day = date.fromisoformat(at[:10])
        row["calibrations"].append({
            **row["calibrations"][0], "performed": day - timedelta(days=5),
            "certificate": f"C-{row['serial']}", "serial": row["serial"],
        })  # fmt: skip


@_said
def replacement_last(world: World, on: str, by: float) -> None:
    """The old register's last value is entered too high. [unit of the channel]"""
    world.registered(on)["replacements"][0]["last"] += by


@_said
def commissioned(world: World, device: str, at: str) -> None:
    """A device came within the month: it is registered, tested and read from then on."""
    row = world.registered(device)
    row["installed"] = f"{at}T00:00:00+07:00"
    some = world.readings[device]
    some.keep(~_within(some.time_us, None, at))


@_said
def again(world: World, device: str, days: int) -> None:
    """A meter's month is its own of some days before, sent a second time."""
    some = world.readings[device]
    back = days * DAY_US
    inside = _within(some.time_us, str(FIRST), None)
    for channel, values in some.columns.items():
        then = np.interp(some.time_us - back, some.time_us, values)
        if values.dtype.kind == "i":
            begin = int(np.flatnonzero(inside)[0])
            then = np.rint(then - then[begin]) + values[begin]
        some.columns[channel] = np.where(inside, then, values).astype(values.dtype)


@_said
def coarse(world: World, on: str, unit: int) -> None:
    """A register counts in large units."""
    device, channel = _at(on)
    some = world.readings[device]
    some.columns[channel] = some.columns[channel] // unit * unit


@_said
def jumped(world: World, on: str, at: str, by: int) -> None:
    """A register stands higher from a moment on, without anything having been counted."""
    device, channel = _at(on)
    some = world.readings[device]
    after = some.time_us >= _moment(at)
    some.columns[channel] = np.where(after, some.columns[channel] + by, some.columns[channel])


@_said
def standby(world: World, on: str, watt: float) -> None:
    """A gauge shows what the device itself draws, where it makes nothing."""
    device, channel = _at(on)
    values = world.readings[device].columns[channel]
    world.readings[device].columns[channel] = np.where(values <= 0, -watt, values)


@_said
def swapped(world: World, on: str, with_: str) -> None:
    """Two meters send under each other's name."""
    one, other = world.readings[on], world.readings[with_]
    world.readings[on], world.readings[with_] = other, one


@_said
def repair(world: World, device: str, first: str, last: str) -> None:
    """A meter was away: nothing came, and its register did not go on."""
    some = world.readings[device]
    inside = _within(some.time_us, first, last)
    where = np.flatnonzero(inside)
    for channel, values in some.columns.items():
        if values.dtype.kind == "i":
            gone = values[where[-1]] - values[where[0]]
            values[where[-1] :] -= gone
            some.columns[channel] = values
    some.keep(~inside)


@_said
def by_night(world: World, on: str, per_day: float, first: int = 19, last: int = 5) -> None:
    """A register of the sun counts by night too."""
    device, channel = _at(on)
    some = world.readings[device]
    hour = (some.time_us + OFFSET_US) % DAY_US / HOUR_US
    dark = (hour >= first) | (hour < last)
    start, steps = _steps(some, channel)
    steps = steps + np.where(dark[1:], per_day * DAY_US / HOUR_US / (24 - first + last) / 96, 0)
    some.columns[channel] = _rebuilt(start, steps)


@_said
def copied(
    world: World, on: str, of: str, by: float = 1.0, shift_minutes: int = 0,
    permute: bool = False, scatter: float = 0.0, gauges: bool = True,
) -> None:  # fmt: skip
    """A meter tells what another one told: scaled, shifted, with its days in another order."""
    device, channel = _at(on)
    source, other = _at(of)
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
    """Readings with their days in another order."""
    day = (times_us + OFFSET_US) // DAY_US
    groups = [np.flatnonzero(day == one) for one in np.unique(day)]
    whole = max(map(len, groups))
    full = [i for i, one in enumerate(groups) if len(one) == whole]
    order = dict(zip(full, world.rng.permutation(full).tolist(), strict=True))
    return np.concatenate([groups[order.get(i, i)] for i in range(len(groups))])


# --- registry -----------------------------------------------------------------------------


@_said
def device(world: World, on: str, **values: Any) -> None:
    """The registry says something else of a device; an empty text is left out."""
    row = world.registered(on)
    row.update(values)
    for key in [k for k, v in values.items() if v == ""]:
        del row[key]


@_said
def certificate(world: World, on: str, **values: Any) -> None:
    """A certificate says something else; without values there is none."""
    row = world.registered(on)
    if not values:
        del row["calibrations"]
        return
    row["calibrations"][0].update(values)
    for key in [k for k, v in values.items() if v == ""]:
        del row["calibrations"][0][key]


@_said
def rating(
    world: World, on: str, watt: int, *, dated: str, document: str = "", sha256: str = ""
) -> None:
    """A rated power is raised after the readings came, from a time of before."""

    def change(file: dict[str, Any]) -> None:
        row = next(one for one in file["devices"] if one["id"] == on)
        paper = {"document": document} if document else {}
        paper |= {"sha256": sha(sha256)} if sha256 else {}
        row["ratings"] = [
            {"from": row["installed"], "rated_power_w": row["rated_power_w"]},
            {"from": f"{dated}T00:00:00+07:00", "rated_power_w": watt, **paper},
        ]
        row["rated_power_w"] = watt

    world.later.append(change)


@_said
def typed(world: World, on: str = "", **values: Any) -> None:
    """A value of the project, or of a device's row in it, is another one; its documents stay."""
    (world.bound(on) if on else world.project["parameters"]).update(values)
    for key in [k for k, v in values.items() if v == ""]:
        del (world.bound(on) if on else world.project["parameters"])[key]


@_said
def typed_later(world: World, *, stated: bool = False, **values: Any) -> None:
    """The same, after the readings came; `stated` by another document of each value."""

    def change(file: dict[str, Any]) -> None:
        project = file["projects"][0]
        project["parameters"].update(values)
        for name, value in values.items() if stated else ():
            new = {"document": f"Second report on {name}", "sha256": sha(f"second {name}")}
            project["documents"][name] |= {**new, "value": value}

    world.later.append(change)


@_said
def documents(world: World, of: list[str], **values: Any) -> None:
    """Documents of values are otherwise; without values there is none."""
    for name in of or list(world.project["documents"]):
        if not values:
            world.project["documents"].pop(name, None)
            world.project["parameters"] = dict(world.project["parameters"])
            continue
        world.project["documents"][name].update(values)
        for key in [k for k, v in values.items() if v == ""]:
            del world.project["documents"][name][key]


@_said
def documented(world: World, of: list[str]) -> None:
    """Values have documents of another's hand that state what is typed."""
    given = world.project["parameters"]
    world.project["documents"] |= {name: paper(world, name, given) for name in of}


@_said
def laboratory(world: World, of: list[str], **values: Any) -> None:
    """Results of a laboratory are otherwise; without values there are none."""
    rows = world.project["laboratory"]
    if not values:
        world.project["laboratory"] = [one for one in rows if one["parameter"] not in of]
        return
    for one in rows:
        if one["parameter"] in of or not of:
            one.update(values)


@_said
def second_id(
    world: World, of: str, name: str, *, serial: str | None = None,
    by: float = 1.0, scatter: float = 0.0, shift_minutes: int = 0, permute: bool = False,
    gauges: bool = True,
) -> None:  # fmt: skip
    """A second meter is registered that is none: it tells what a first one told."""
    row, bound = deepcopy(world.registered(of)), deepcopy(world.bound(of))
    row["id"], bound["device"] = name, name
    if serial == "":
        for key in ("serial", "maker", "calibrations"):
            row.pop(key, None)
    else:
        row["serial"] = serial or f"S-{seed_of(name) % 10**7}"
        row["calibrations"][0] |= {"serial": row["serial"], "certificate": f"C-{row['serial']}"}
    world.document["devices"].append(row)
    world.project["devices"].append(bound)
    theirs = world.readings[of]
    registers = [n for n, v in theirs.columns.items() if v.dtype.kind == "i"]
    world.readings[name] = Readings(
        theirs.class_id, theirs.time_us.copy(), {registers[0]: theirs.columns[registers[0]] + 7}
    )
    copied(
        world, f"{name}.{registers[0]}", f"{of}.{registers[0]}", by=by, scatter=scatter,
        shift_minutes=shift_minutes, permute=permute, gauges=gauges,
    )  # fmt: skip


@_said
def display(world: World, of: list[str], name: str) -> None:
    """The display of a plant is registered as one more meter: it shows the sum of its meters."""
    second_id(world, of[0], name)
    own = world.readings[name]
    for other in of[1:]:
        for channel, values in world.readings[other].columns.items():
            own.columns[channel] = own.columns[channel] + values
    world.registered(name)["rated_power_w"] = sum(
        world.registered(one)["rated_power_w"] for one in of
    )


@_said
def outside(world: World, like: str, name: str, per_day: float, reason: str = "") -> None:
    """A meter of the site serves something else: it is in no project."""
    row = {**deepcopy(world.registered(like)), "id": name}
    row["serial"] = f"S-{seed_of(name) % 10**7}"
    row.pop("calibrations", None)
    world.document["devices"].append(row)
    if reason:
        world.project.setdefault("boundary", []).append({"device": name, "reason": reason})
    some = world.readings[like]
    register = next(n for n, v in some.columns.items() if v.dtype.kind == "i")
    passed = some.time_us - some.time_us[0]
    values = np.floor(passed / DAY_US * per_day).astype(np.int64)
    world.readings[name] = Readings(some.class_id, some.time_us.copy(), {register: values})


@_said
def unbound(world: World, on: str, reason: str = "", upstream_of: Sequence[str] = ()) -> None:
    """A meter of the site is left out of the project; or is said to supply others of it."""
    project = world.project
    project["devices"] = [one for one in project["devices"] if one["device"] != on]
    if reason:
        supplies = {"upstream_of": [*upstream_of]} if upstream_of else {}
        project["boundary"] = [{"device": on, "reason": reason, **supplies}]


@_said
def elsewhere(world: World, device: str, metres: float) -> None:
    """A device is registered at a site of its own, some metres away."""
    place = world.document["sites"][0]
    north = place["latitude"] + metres / 111_320
    world.document["sites"].append({**place, "id": f"site-of-{device}", "latitude": north})
    world.registered(device)["site"] = f"site-of-{device}"


@_said
def diagram(world: World) -> None:
    """A third party's line diagram of before the period shows what each meter measures."""
    world.project["documents"]["line_diagram"] = paper(world, "line_diagram", {})


@_said
def apart(world: World, devices: list[str]) -> None:
    """Devices of the project are in another one, which is never closed."""
    theirs = [one for one in world.project["devices"] if one["device"] in devices]
    world.document["projects"].append(
        {**deepcopy(world.project), "id": "other-project", "devices": theirs}
    )
    world.project["devices"] = [one for one in world.project["devices"] if one not in theirs]
    for project in world.document["projects"]:
        mine = {one["device"] for one in project["devices"]}
        for one in project["documents"].values():
            if isinstance(one.get("value"), dict):
                one["value"] = {name: v for name, v in one["value"].items() if name in mine}
    world.invoices = [one for one in world.invoices if not set(devices) & set(one["devices"])]
    world.closed = (PROJECT,)


@_said
def spelled(world: World, device: str, like: str) -> None:
    """A meter has the nameplate of another one, spelled otherwise."""
    letters, _, digits = world.registered(like)["serial"].partition("-")
    row = world.registered(device)
    row |= {"serial": f"{letters.lower()} 0{digits}", "maker": "MAKER Co., Ltd"}
    row["calibrations"][0]["serial"] = row["serial"]


@_said
def main_meter(world: World, name: str, of: list[str], per_day: float, reason: str) -> None:
    """The site's main meter supplies meters of the project, and what else draws as much a day."""
    outside(world, of[0], name, per_day, reason)
    world.registered(name)["rated_power_w"] = 1_000_000
    world.project["boundary"][-1]["upstream_of"] = of
    ((register, others),) = world.readings[name].columns.items()
    supplied = (world.readings[one].columns[register] for one in of)
    world.readings[name].columns[register] = sum(supplied, others)


@_said
def other_project(
    world: World, of: str, by: float = 1.0, scatter: float = 0.0, *, permute: bool = False,
    shift_minutes: int = 0, plus: Sequence[str] = (),
) -> None:  # fmt: skip
    """A second project at another site claims what a meter, or several, of the first one report."""
    site = {**world.document["sites"][0], "id": "site-2", "latitude": 20.9}
    row = {**deepcopy(world.registered(of)), "id": f"{of}-2", "site": "site-2"}
    row["serial"] = f"S-{seed_of(row['id']) % 10**7}"
    row["calibrations"][0] |= {"serial": row["serial"], "certificate": f"C-{row['serial']}"}
    bound = {**deepcopy(world.bound(of)), "device": row["id"]}
    project = {**deepcopy(world.project), "id": "first-project", "devices": [bound]}
    world.document["sites"].append(site)
    world.document["devices"].append(row)
    world.document["projects"].append(project)
    theirs = world.readings[of]
    register = next(n for n, v in theirs.columns.items() if v.dtype.kind == "i")
    world.readings[row["id"]] = Readings(
        theirs.class_id, theirs.time_us.copy(), {register: theirs.columns[register] + 11}
    )
    copied(
        world, f"{row['id']}.{register}", f"{of}.{register}", by=by, scatter=scatter,
        permute=permute, shift_minutes=shift_minutes,
    )  # fmt: skip
    for other in plus:
        for channel, values in world.readings[other].columns.items():
            world.readings[row["id"]].columns[channel] += values
        row["rated_power_w"] += world.registered(other)["rated_power_w"]


@_said
def issued(world: World, first: str, last: str, project: str = PROJECT) -> None:
    """A statement of earlier days was issued, by what the registry said then."""
    world.issued.append((project, first, last))


@_said
def predecessor(world: World, of: Sequence[str], stood: Sequence[str]) -> None:
    """Before it there was another project of other meters at the site, of which some stood."""
    bound, rows = [], []
    for name in of:
        row, old = deepcopy(world.registered(name)), f"old-{name}"
        row |= {
            "id": old,
            "serial": f"S-{seed_of(old) % 10**7}",
            "removed": f"{FIRST}T00:00:00+07:00",
        }
        row["calibrations"][0] |= {"serial": row["serial"], "certificate": f"C-{row['serial']}"}
        rows.append(row)
        bound.append({**deepcopy(world.bound(name)), "device": old})
        some = deepcopy(world.readings[name])
        some.keep(_within(some.time_us, None, str(FIRST)))
        if name in stood:
            some.columns = {channel: 0 * values + 7 for channel, values in some.columns.items()}
        world.readings[old] = some
        commissioned(world, name, str(FIRST))
    world.document["devices"] += rows
    before = {**deepcopy(world.project), "id": "before", "devices": bound}
    for one in before["documents"].values():
        if isinstance(one.get("value"), dict):
            one["value"] = {f"old-{name}": value for name, value in one["value"].items()}
    world.document["projects"].append(before)
    world.closed = (PROJECT,)


@_said
def registered(world: World, programme: str, on: str) -> None:
    """A programme registered the project on some day."""
    world.document["registrations"] = [{
        "project": PROJECT, "programme": programme, "registry": programme, "project_id": "1",
        "registered": date.fromisoformat(on),
    }]  # fmt: skip


# --- papers -------------------------------------------------------------------------------


@_said
def certified(world: World, on: str, first: str, last: str, share: float) -> None:
    """Certificates of origin are of a share of what a device delivered on some days."""
    end = date.fromisoformat(last)
    day, made = date.fromisoformat(first), world.made.get(on)
    of = [made] if made is not None else [m for m in world.made.values() if "energy_export_wh" in m]
    inside = _within(TIMES_US, first, last)
    wh = sum(float(one["energy_export_wh"][inside].sum()) for one in of)
    world.certificates.append({"device": on, "begin": day, "end": end, "wh": int(share * wh)})


@_said
def checked(world: World, on: str, by: float) -> None:
    """A second meter, calibrated, measures the same, and is entered as its check meter."""
    row = {**deepcopy(world.registered(on)), "id": f"{on}-check", "check_of": on}
    row["serial"] = f"S-{seed_of(row['id']) % 10**7}"
    row["calibrations"][0] |= {"serial": row["serial"], "certificate": f"C-{row['serial']}"}
    world.document["devices"].append(row)
    some = world.readings[on]
    columns = {
        name: values[0] + np.rint((values - values[0]) * by).astype(np.int64)
        if values.dtype.kind == "i" else values
        for name, values in some.columns.items()
    }  # fmt: skip
    world.readings[row["id"]] = Readings(some.class_id, some.time_us.copy(), columns)


@_said
def unchecked(world: World, device: str) -> None:
    """A check meter is not there."""
    world.document["devices"] = [one for one in world.document["devices"] if one["id"] != device]
    del world.readings[device]


@_said
def not_approved(world: World) -> None:
    """The monitoring plan has no approval by the programme."""
    world.approved = False


@_said
def no_invoices(world: World, of: list[str] | None = None) -> None:
    """Invoices are not there."""
    world.invoices = [
        one for one in world.invoices if of is not None and not set(of) & set(one["devices"])
    ]


@_said
def invoices(world: World, by: float = 1.0, of: list[str] | None = None, **values: Any) -> None:
    """Invoices are of another amount, or say something else."""
    for one in world.invoices:
        if of is None or set(of) & set(one["devices"]):
            one["amount"] = rounded(one["amount"] * by, one["unit"])
            one.update(values)
            for key in [k for k, v in values.items() if v == ""]:
                del one[key]


@_said
def billed_from_5th(world: World, of: list[str], day: int = 5) -> None:
    """A supplier bills from the fifth of a month to the fifth of the next."""
    world.invoices = [one for one in world.invoices if not set(of) & set(one["devices"])]
    edges = [date(2026, month, day) for month in (2, 3, 4)]
    for name in of:
        world.invoices += [invoice(world, name, a, b) for a, b in pairwise(edges)]


@_said
def billed_by_weeks(world: World, of: list[str]) -> None:
    """A supplier bills each week."""
    billed_over(world, of, str(FIRST), str(END), 7)


@_said
def billed_over(world: World, of: list[str], first: str, end: str, days: int = 0) -> None:
    """A supplier bills some time at once, or in parts of some days."""
    world.invoices = [one for one in world.invoices if not set(of) & set(one["devices"])]
    begin, after = date.fromisoformat(first), date.fromisoformat(end)
    step = days or (after - begin).days
    for name in of:
        for past in range(0, (after - begin).days, step):
            day = begin + timedelta(days=past)
            world.invoices.append(invoice(world, name, day, day + timedelta(days=step)))


@_said
def billed_with(world: World, of: list[str], other: str, like: str, per_day: float) -> None:
    """One invoice for several meters and one that serves something else, which is read too."""
    outside(world, like, other, per_day, "not of the project")
    row = world.registered(other)
    (certificate,) = deepcopy(world.registered(like)["calibrations"])
    row["calibrations"] = [{**certificate, "serial": row["serial"], "certificate": "C-other"}]
    some = [one for one in world.invoices if set(of) & set(one["devices"])]
    world.invoices = [one for one in world.invoices if not set(of) & set(one["devices"])]
    whole = sum(one["amount"] for one in some) + per_day / 1000 * (END - FIRST).days
    world.invoices.append(
        {**some[0], "devices": [*of, other], "amount": rounded(whole, some[0]["unit"])}
    )


@_said
def billed_together(world: World, of: list[str], more: float = 0.0) -> None:
    """One invoice for several meters, and for what else hangs on the line."""
    some = [one for one in world.invoices if set(of) & set(one["devices"])]
    world.invoices = [one for one in world.invoices if not set(of) & set(one["devices"])]
    whole = sum(one["amount"] for one in some) * (1 + more)
    world.invoices.append(
        {**some[0], "devices": list(of), "amount": rounded(whole, some[0]["unit"])}
    )


@_said
def billed_too(world: World, of: list[str], issuer: str) -> None:
    """A third party states what devices did, each by itself, beside the other invoices."""
    world.invoices += [invoice(world, name, FIRST, END, issuer=issuer) for name in of]


@_said
def billed_until(world: World, of: str, end: str) -> None:
    """The true invoice of the first part of the month alone is given."""
    world.invoices = [one for one in world.invoices if of not in one["devices"]]
    world.invoices.append(invoice(world, of, FIRST, date.fromisoformat(end)))


@_said
def own_bill(world: World, of: str, by: float, issuer: str) -> None:
    """An invoice by a company that the owner chose."""
    one = invoice(world, of, FIRST, END, issuer=issuer)
    world.invoices.append({**one, "amount": rounded(one["amount"] * by, one["unit"])})


@_said
def contradicting(world: World, of: str, by: float, *, same_file: bool = False) -> None:
    """A second invoice of the same time says something else, of another file or of the same."""
    one = next(i for i in world.invoices if of in i["devices"])
    second = {
        "id": f"{one['id']}-2",
        "number": f"{one['number']}-2",
        "amount": rounded(one["amount"] * by, one["unit"]),
        "sha256": one["sha256"] if same_file else sha(f"{one['id']} second"),
    }
    world.invoices.append({**one, **second})


@_said
def corrected(world: World, of: str, wrong: float, reason: str = "typing error") -> None:
    """An invoice was entered with a wrong amount, and another one corrects it."""
    one = next(i for i in world.invoices if of in i["devices"])
    right = {**one, "id": f"{one['id']}-2", "number": f"{one['number']}-2", "corrects": one["id"],
             "reason": reason, "sha256": sha(f"{one['id']} corrected")}  # fmt: skip
    one["amount"] = rounded(one["amount"] * wrong, one["unit"])
    world.invoices.append(right)


def apply(
    world: World, steps: list[dict[str, dict[str, Any]]], kinds: dict[str, Distortion]
) -> None:
    """Do those of a case's distortions that are of some kinds, in their order."""
    for name, values in chain.from_iterable(one.items() for one in steps):
        if name in kinds:
            kinds[name](world, **values)
        elif name not in HAPPENED | SAID:
            raise ValueError(
                f"no distortion is called {name!r}; tests/docket/distortions.py has them"
            )
