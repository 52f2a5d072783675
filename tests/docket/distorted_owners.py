"""What an owner says otherwise of roles, factors and surveys, and readings that he made up."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np

from tests.docket.distorted_readings import again, copied
from tests.docket.distorting import at_channel, moment_of, said
from tests.docket.shapes import DAY_US, HOUR_US
from tests.docket.world import World, made_of, sha


@said
def bound_as(world: World, on: str, role: str) -> None:
    """The project binds a device in another role."""
    world.bound(on)["role"] = role


@said
def unregistered(world: World, on: str) -> None:
    """A meter of the plant is not registered at all, and nobody bills what it measures."""
    world.document["devices"] = [one for one in world.document["devices"] if one["id"] != on]
    project = world.project
    project["devices"] = [one for one in project["devices"] if one["device"] != on]
    for name in [*project["documents"]]:
        paper = project["documents"][name]
        if isinstance(paper.get("value"), dict):
            paper["value"].pop(on, None)
            if not paper["value"]:
                del project["documents"][name]
    world.invoices = [one for one in world.invoices if on not in one["devices"]]
    del world.readings[on]


@said
def place_later(world: World, **values: Any) -> None:
    """The site says something else after the readings came and earlier statements were issued."""
    world.later.append(lambda file: file["sites"][0].update(values))


@said
def factor(world: World, kind: str, value: float, by: str, unit: str = "tCO2/MWh") -> None:
    """A factor is entered in the registry, with a document."""
    name = f"own-{kind.replace('.', '-')}"
    world.document.setdefault("factors", []).append({
        "id": name, "kind": kind, "unit": unit, "direction": "either", "value": value,
        "source": "Letter on the factor", "certainty": "R", "verified": True,
        "valid_from": date(2026, 1, 1),
        "document": {
            "document": "Letter on the factor", "by": by, "issued": date(2025, 12, 1),
            "sha256": sha(f"factor {kind}"),
        },
    })  # fmt: skip
    world.project["parameters"] = {**world.project["parameters"]}


@said
def surveyed(world: World, parameter: str, mean: float, sd: float = 0.0, n: int = 400) -> None:
    """A survey that the operator made himself is entered."""
    row = {
        "parameter": parameter, "population": 40000, "n": n, "mean": mean,
        "drawn": "every hundredth", "taken": date(2026, 2, 20), "sha256": sha(parameter),
    }  # fmt: skip
    world.project.setdefault("surveys", []).append(row | ({"sd": sd} if sd else {}))


@said
def same_file(world: World, of: list[str], like: str) -> None:
    """Documents of values have the hash of another value's file."""
    papers = world.project["documents"]
    for name in of:
        papers[name]["sha256"] = papers[like]["sha256"]


@said
def invented(world: World, on: str, shape: str, per_day: float, power: str = "") -> None:
    """A meter tells a course that nothing at the plant did, its power with it."""
    device, channel = at_channel(on)
    some = world.readings[device]
    how = {"shape": shape, "per_day": per_day, "rated": True}
    total = np.concatenate([[0.0], np.cumsum(made_of(world, world.devices[device], how))])
    at = np.searchsorted(world.month.times_us, some.time_us, side="right") - 1
    some.columns[channel] = 10**6 + np.floor(total[at]).astype(np.int64)
    if power:
        steps = np.diff(some.columns[channel], prepend=some.columns[channel][0])
        hours = np.diff(some.time_us, prepend=some.time_us[0] - HOUR_US // 4) / HOUR_US
        some.columns[power] = np.round(steps / hours, 2)


@said
def drifts(world: World, on: list[str], by: float, first: str, last: str) -> None:
    """Registers or gauges show more from day to day, from one to `by` times."""
    begin, end = moment_of(world, first), moment_of(world, last)
    for one in on:
        device, channel = at_channel(one)
        some = world.readings[device]
        more = 1 + (by - 1) * np.clip((some.time_us - begin) / (end - begin), 0, 1)
        values = some.columns[channel]
        if values.dtype.kind == "i":
            steps = np.rint(np.diff(values) * more[1:]).astype(np.int64)
            values = np.concatenate([[values[0]], values[0] + np.cumsum(steps)])
        else:
            values = np.round(values * more, 2)
        some.columns[channel] = values


@said
def only_hours(world: World, on: str, first: int, last: int, by: float = 1.0) -> None:
    """A gauge is told in some hours of the day alone, in which it shows more than its mean."""
    device, channel = at_channel(on)
    some = world.readings[device]
    hour = world.month.local_us(some.time_us) % DAY_US / HOUR_US
    inside = (hour >= first) & (hour < last)
    some.columns[channel] = np.where(inside, some.columns[channel] * by, np.nan)


@said
def past_in_another_order(world: World, on: str, days: int, scatter: float = 0.0) -> None:
    """A register's month is its own of some days before, in another order and under noise."""
    device, channel = at_channel(on)
    some = world.readings[device]
    again(world, device, days)
    copied(world, on, on, permute=True, scatter=scatter)
    some.columns[channel] = np.maximum.accumulate(some.columns[channel])
