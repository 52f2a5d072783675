"""False entries of an owner (roles, factors, surveys), and invented readings."""

from __future__ import annotations

from copy import deepcopy
from datetime import date
from typing import Any

import numpy as np

from tests.docket.distorted_readings import again, copied
from tests.docket.distorting import at_channel, moment_of, said
from tests.docket.shapes import DAY_US, HOUR_US
from tests.docket.world import PROJECT, Readings, World, made_of, paper, seed_of, sha


@said
def bound_as(world: World, on: str, role: str) -> None:
    """The project binds a device in another role."""
    world.bound(on)["role"] = role


@said
def unregistered(world: World, on: str) -> None:
    """A meter of the plant is not registered, and no invoice covers its quantity."""
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
    """The site's entry is changed after readings arrived and earlier statements were issued."""
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
    """A survey by the operator is entered."""
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
    """A meter sends values that nothing at the plant caused, also of its power."""
    device, channel = at_channel(on)
    some = world.readings[device]
    how = {"shape": shape, "per_day": per_day, "rated": "rated_power_w" in world.devices[device]}
    total = np.concatenate([[0.0], np.cumsum(made_of(world, world.devices[device], how))])
    at = np.searchsorted(world.month.times_us, some.time_us, side="right") - 1
    some.columns[channel] = 10**6 + np.floor(total[at]).astype(np.int64)
    if power:
        steps = np.diff(some.columns[channel], prepend=some.columns[channel][0])
        hours = np.diff(some.time_us, prepend=some.time_us[0] - HOUR_US // 4) / HOUR_US
        some.columns[power] = np.round(steps / hours, 2)


@said
def drifts(world: World, on: list[str], by: float, first: str, last: str) -> None:
    """Registers or gauges report increasingly more each day, from one to `by` times."""
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
    """A gauge is sent only in the hours of the day in which it is above its mean."""
    device, channel = at_channel(on)
    some = world.readings[device]
    hour = world.month.local_us(some.time_us) % DAY_US / HOUR_US
    inside = (hour >= first) & (hour < last)
    some.columns[channel] = np.where(inside, some.columns[channel] * by, np.nan)


@said
def scaled_at_hours(world: World, on: str, by: float, first: int, last: int) -> None:
    """A register counts k times the true value within some hours of each day."""
    device, channel = at_channel(on)
    some = world.readings[device]
    hour = world.month.local_us(some.time_us)[1:] % DAY_US / HOUR_US
    inside = (hour > first) & (hour <= last)
    values = some.columns[channel]
    steps = np.rint(np.diff(values) * np.where(inside, by, 1)).astype(np.int64)
    some.columns[channel] = np.concatenate([[values[0]], values[0] + np.cumsum(steps)])


@said
def past_in_another_order(world: World, on: str, days: int, scatter: float = 0.0) -> None:
    """A register's month consists of its own earlier days, in another order and with noise."""
    device, channel = at_channel(on)
    some = world.readings[device]
    again(world, device, days)
    copied(world, on, on, permute=True, scatter=scatter)
    some.columns[channel] = np.maximum.accumulate(some.columns[channel])


@said
def wired_backwards(world: World, on: str, to: str) -> None:
    """A meter is wired in the reverse direction: another register counts."""
    device, channel = at_channel(on)
    columns = world.readings[device].columns
    columns[to] = columns.pop(channel)


@said
def bound_again(world: World, on: str, **values: Any) -> None:
    """The project has a device in a second row."""
    days = {key: date.fromisoformat(one) for key, one in values.items()}
    world.project["devices"].append({**world.bound(on), **days})


@said
def changed_later(world: World, on: str = "", bound: str = "", **values: Any) -> None:
    """The entry of a device, or of its row in the project, is changed after readings arrived."""

    def change(file: dict[str, Any]) -> None:
        rows = file["projects"][0]["devices"] if bound else file["devices"]
        key = "device" if bound else "id"
        next(one for one in rows if one[key] == (bound or on)).update(values)

    world.later.append(change)


@said
def event(world: World, **values: Any) -> None:
    """An event of the plant is entered."""
    world.project.setdefault("events", []).append(values)


@said
def sun_behind(world: World, behind: str, name: str, per_day: float, claimed_by: str = "") -> None:
    """PV behind a meter of the plant's consumption, which then counts less; as another project."""
    device, channel = at_channel(behind)
    some = world.readings[device]
    row = {**deepcopy(world.registered(device)), "id": name, "class": "pv_inverter"}
    row["serial"] = f"S-{seed_of(name) % 10**7}"
    row["rated_power_w"] = round(per_day / 4)
    row["calibrations"][0] |= {"serial": row["serial"], "certificate": f"C-{row['serial']}"}
    made = made_of(world, row, {"shape": "sun", "per_day": per_day, "rated": True})
    total = np.concatenate([[0.0], np.cumsum(made)])
    at = np.searchsorted(world.month.times_us, some.time_us, side="right") - 1
    counted = np.floor(total[at]).astype(np.int64)
    some.columns[channel] = np.maximum.accumulate(some.columns[channel] - counted)
    del some.columns["active_power_w"]
    if not claimed_by:
        return
    world.document["devices"].append(row)
    columns = {"energy_export_wh": counted}
    world.readings[name] = Readings("pv_inverter", some.time_us.copy(), columns)
    world.document["projects"].append({
        **deepcopy(world.project), "id": "sun", "methodology": claimed_by, "version": "1.0",
        "devices": [{"device": name, "role": "generation", "case": 1}], "laboratory": [],
        "parameters": {"accept_factors": ["jcm-vn-am007-case-1"]},
        "documents": {"case": {**paper(world, "case", {}), "value": {name: 1}}},
    })  # fmt: skip
    world.closed = (PROJECT,)
