"""Exchanges that make good what was not read, and true invoices of other times than are said."""

from __future__ import annotations

from copy import deepcopy
from datetime import date
from typing import Any

import numpy as np

from tests.docket.distorted_registry import _certified_anew
from tests.docket.distorting import at_channel, moment_of, restarted, said, times_within
from tests.docket.world import UNITS, World, billed, invoice, rounded, sha


@said
def exchanged_unread(
    world: World, on: str, first: str, last: str, before: int = 0, after: int = 0,
    same: bool = False,
) -> None:  # fmt: skip
    """Nothing came for some time; an exchange in it says what was counted before and after it."""
    device, channel = at_channel(on)
    some, row = world.readings[device], world.registered(device)
    inside = times_within(world, some.time_us, first, last)
    values, at_us = some.columns[channel], moment_of(world, last)
    edge = np.flatnonzero(inside)
    old, new = int(values[edge[0] - 1]), int(values[edge[-1] + 1])
    some.keep(~inside)
    more = {"same_meter": True} if same else {}
    swap = restarted(world, on, at_us - 60_000_000, old + before, new - after,
                     document="protocol with photographs", **more)  # fmt: skip
    row.setdefault("replacements", []).append(swap)
    if not same:
        row["serial"] += "-B"
        _certified_anew(row, last)


@said
def updates(world: World, on: str, at: list[str], more: int) -> None:
    """A register begins again at some moments, and each time stood higher than it had shown."""
    device, channel = at_channel(on)
    some = world.readings[device]
    values = some.columns[channel]
    rows = world.registered(device).setdefault("replacements", [])
    for moment in at:
        at_us = moment_of(world, moment)
        after = some.time_us >= at_us
        last = int(values[~after][-1])
        values = np.where(after, values - last, values)
        rows.append(restarted(world, on, at_us, last + more, 0, document="log of the update",
                              same_meter=True))  # fmt: skip
    some.columns[channel] = values


@said
def ends_higher(world: World, device: str, by: float) -> None:
    """The last values of a meter's replacements are entered too high."""
    for row in world.registered(device)["replacements"]:
        row["last"] = round(row["last"] * by, 1)


@said
def billed_as(
    world: World, of: list[str], edges: list[str], entered: list[str] | None = None,
    apart: bool = False,
) -> None:  # fmt: skip
    """
    True invoices between times at which the meters were read, entered as of other times.

    `apart`: each pair of edges is an invoice; else each begins where the one before ends.
    """
    world.invoices = [one for one in world.invoices if not set(of) & set(one["devices"])]
    step = 2 if apart else 1
    for name in of:
        channel, unit = billed(world, name)
        for place in range(0, len(edges) - 1, step):
            begin, end = edges[place : place + 2]
            times = world.month.times_us
            read = times_within(world, times, begin, end)
            amount = float(world.made[name][channel][read].sum()) / UNITS[unit][0]
            at = (entered or edges)[place : place + 2]
            one = invoice(world, name, *(date.fromisoformat(edge[:10]) for edge in at))
            spans = dict(zip(("from", "to"), (world.month.wall(t).isoformat() for t in at),
                             strict=True))  # fmt: skip
            more = {"id": f"{one['id']}-{place}", "number": f"{one['number']}-{place}"}
            world.invoices.append(one | spans | more | {"amount": rounded(amount, one["unit"])})


@said
def lowest(world: World, on: str, reads: int) -> None:
    """A gauge tells the lowest value of each so many readings."""
    device, channel = at_channel(on)
    some = world.readings[device]
    of = np.arange(len(some.time_us)) // reads
    least = np.full(of[-1] + 1, np.inf)
    np.minimum.at(least, of, some.columns[channel])
    some.columns[channel] = least[of]


@said
def corrected_by_plan(world: World, role: str, percent: float) -> None:
    """The plan has a correction of the readings of a role's meters."""

    def change(file: dict[str, Any]) -> None:
        plan = file["projects"][0]["monitoring"] = deepcopy(file["projects"][0]["monitoring"])
        for line in plan[-1]["lines"]:
            if line["parameter"] == role:
                line["error_percent"] = percent

    world.later.append(change)


@said
def same_goods(world: World, of: list[str], scatter: float, **values: Any) -> None:
    """A second project at the site claims what passes meters of its own after the first one's."""
    project = {**deepcopy(world.project), "id": "second", "devices": [], "laboratory": []} | values
    for name in of:
        row, bound = deepcopy(world.registered(name)), deepcopy(world.bound(name))
        other = f"{name}-2"
        row |= {"id": other, "serial": f"S-{other}"}
        row["calibrations"][0] |= {"serial": row["serial"], "certificate": f"C-{other}"}
        world.document["devices"].append(row)
        some = deepcopy(world.readings[name])
        for channel, reads in some.columns.items():
            if reads.dtype.kind == "i":
                steps = np.diff(reads) * (1 + scatter * world.rng.standard_normal(len(reads) - 1))
                steps = np.clip(np.rint(steps), 0, None).astype(np.int64)
                some.columns[channel] = np.concatenate([[10**6], 10**6 + np.cumsum(steps)])
        some.time_us = some.time_us + 7_000_000
        world.readings[other] = some
        project["devices"].append({**bound, "device": other})
    for one in project["documents"].values():
        if isinstance(one.get("value"), dict):
            one["value"] = {f"{n}-2": v for n, v in one["value"].items() if n in of}
    world.document["projects"].append(project)


@said
def lines_corrected(world: World, of: list[str], by: float, all_lines: bool = True) -> None:
    """Lines of a document are corrected by another document, to a share of their sum."""
    for name in of:
        lines = [one for one in world.invoices if name in one["devices"]]
        total = sum(one["amount"] for one in lines)
        for one in lines if all_lines else lines[:1]:
            share = one["amount"] / total if all_lines else 1.0
            new = {"id": f"{one['id']}-new", "number": f"{one['number']}-new"}
            new |= {"corrects": one["id"], "reason": "adjusted", "sha256": sha(f"{name} adjusted")}
            amount = rounded(share * total * by, one["unit"])
            world.invoices.append({**one, **new, "amount": amount})


@said
def line_added(world: World, of: str, share: float) -> None:
    """A document gets a further line, of a share of its amount; below 0 a rebate."""
    one = next(i for i in world.invoices if of in i["devices"])
    amount = rounded(one["amount"] * share, one["unit"])
    world.invoices.append({**one, "id": f"{one['id']}-line", "amount": amount})


@said
def draw_billed(
    world: World, of: str, by: float = 1.0, first: str = "", end: str = "", **values: Any
) -> None:
    """The supplier's invoice of what a generator draws is provided too."""
    days = [str(world.month.first), str(world.month.end)]
    begin, after = (given or usual for given, usual in zip((first, end), days, strict=True))
    one = invoice(world, of, date.fromisoformat(begin), date.fromisoformat(after))
    inside = times_within(world, world.month.times_us, begin, after)
    amount = float(world.made[of]["energy_import_wh"][inside].sum()) / 1000 * by
    more = {"id": f"{one['id']}-draw", "number": f"{one['number']}-draw"}
    more |= {
        "sha256": sha(f"draw {of}"),
        "quantity": "energy_import",
        "amount": rounded(amount, one["unit"]),
    }
    world.invoices.append(one | more | values)


@said
def lines_corrected_apart(world: World, of: list[str], by: float, **values: Any) -> None:
    """Each line of a document is corrected by a document of its own, to a share of the line."""
    lines = [one for one in world.invoices if {*of} & {*one["devices"]}]
    for one in lines:
        new = {"id": f"{one['id']}-new", "number": f"{one['number']}-{one['id']}"}
        new |= {"corrects": one["id"], "reason": "adjusted", "sha256": sha(f"{one['id']} adjusted")}
        world.invoices.append(
            {**one, **new, "amount": rounded(one["amount"] * by, one["unit"]), **values}
        )
