"""Second projects at the site, deviations from the plan, and credit notes."""

from __future__ import annotations

from copy import deepcopy
from datetime import date, timedelta
from typing import Any

import numpy as np

from tests.docket.distorting import said
from tests.docket.world import PROJECT, World, begin, invoice, made_of, rounded, send, sha


@said
def other_plant(world: World, plant: str) -> None:
    """Another project at the site has another plant, with its invoices."""
    month = {"first": world.month.first, "end": world.month.end}
    other = begin(plant, f"{world.plant['id']} {plant}", month)
    send(other)
    ids = {name: f"{plant}-{name}" for name in other.devices}
    project = other.document["projects"][0]
    devices = [{**one, "device": ids[one["device"]]} for one in project["devices"]]
    world.document["projects"].append({**project, "id": "second", "devices": devices})
    for one in project["documents"].values():
        one["sha256"] = sha(f"second {one['sha256']}")
        if isinstance(one.get("value"), dict):
            one["value"] = {ids[n]: value for n, value in one["value"].items()}
    for row in other.document["devices"]:
        world.document["devices"].append({**row, "id": ids[row["id"]]})
    for one in other.invoices:
        more = {"id": f"second-{one['id']}", "devices": [ids[n] for n in one["devices"]]}
        world.invoices.append({**one, **more, "project": "second"})
    for name, new in ids.items():
        world.readings[new] = other.readings[name]
    world.closed = (PROJECT,)


@said
def also_bound(world: World, on: str, to: str) -> None:
    """Another project claims a device too."""
    project = next(one for one in world.document["projects"] if one["id"] == to)
    project["devices"].append(deepcopy(world.bound(on)))


@said
def shared_week(world: World, on: str, first: str) -> None:
    """Another project of the same methodology has a device from a day on."""
    bound = {**deepcopy(world.bound(on)), "from": date.fromisoformat(first)}
    bound.pop("to", None)
    world.document["projects"].append(
        {**deepcopy(world.project), "id": "second", "devices": [bound]}
    )


@said
def credit_note(world: World, of: str, share: float, *, same_file: bool = False) -> None:
    """A credit note takes back a share of an invoice; `same_file` as the invoice."""
    one = next(i for i in world.invoices if of in i["devices"])
    note = {
        "id": f"{one['id']}-cn", "number": f"{one['number']}-CN",
        "amount": rounded(-share * one["amount"], one["unit"]),
        "sha256": one["sha256"] if same_file else sha(f"{one['id']} note"),
    }  # fmt: skip
    world.invoices.append({**one, **note})


@said
def billed_before_too(world: World, of: list[str], days: int, by: float = 1.0) -> None:
    """An invoice of the days before is provided too, or covers both if `days` < 0."""
    for name in of:
        first = world.month.first - timedelta(days=abs(days))
        if days < 0:
            world.invoices = [one for one in world.invoices if name not in one["devices"]]
        one = invoice(world, name, first, world.month.end if days < 0 else world.month.first)
        world.invoices.append({**one, "amount": rounded(by * one["amount"], one["unit"])})


@said
def by_strata(world: World, parameter: str, strata: list[dict[str, Any]]) -> None:
    """The operator's own survey has strata, with populations that the operator states."""
    population, n = (sum(one[key] for one in strata) for key in ("population", "n"))
    mean = sum(one["mean"] * one["population"] for one in strata) / population
    world.project.setdefault("surveys", []).append({
        "parameter": parameter, "population": population, "n": n, "mean": round(mean, 4),
        "drawn": "every hundredth", "taken": date(2026, 2, 20), "sha256": sha(parameter),
        "strata": strata,
    })  # fmt: skip


@said
def deviates(world: World, first: str, last: str, without: list[str]) -> None:
    """The plan has a temporary deviation without the lines of some meters, marked as approved."""

    def change(file: dict[str, Any]) -> None:
        plan = file["projects"][0]["monitoring"]
        version = deepcopy(plan[-1])
        kept = [line for line in version["lines"] if line.get("device") not in without]
        version |= {
            "version": "deviation", "kind": "temporary_deviation", "lines": kept,
            "from": date.fromisoformat(first), "to": date.fromisoformat(last),
            "reason": "the meter is at the laboratory",
        }  # fmt: skip
        plan.append(version)

    world.later.append(change)


@said
def gateway_of(world: World, on: str, of: str) -> None:
    """A meter is registered as the gateway of another one, in no project, and sends nothing."""
    project = world.project
    project["devices"] = [one for one in project["devices"] if one["device"] != on]
    world.invoices = [one for one in world.invoices if on not in one["devices"]]
    del world.readings[on]
    world.registered(of)["gateway"] = on


@said
def readings_of_common(
    world: World, main: str, like: str, of: list[str], by: float, **more: Any
) -> None:
    """A common meter counts what its users consume, and a joint reading of it is entered."""
    row = {**deepcopy(world.registered(like)), "id": main, "serial": "S-COMMON"}
    row["calibrations"][0] |= {"serial": "S-COMMON", "certificate": "C-COMMON"}
    row["rated_power_w"] = sum(world.registered(one)["rated_power_w"] for one in of)
    world.document["devices"].append(row)
    some = deepcopy(world.readings[like])
    for channel, values in some.columns.items():
        total = sum(world.readings[one].columns[channel] for one in of)
        some.columns[channel] = values * 0 + (total * by).astype(values.dtype)
    world.readings[main] = some
    world.project["shared_meters"] = [{"main": main, "users": of, **more}]


@said
def corrected_often(world: World, of: list[str], by: list[float]) -> None:
    """Invoices are true, and repeatedly corrected, each time to a share of the amount before."""
    for name in of:
        last = next(one for one in world.invoices if name in one["devices"])
        for number, share in enumerate(by, 2):
            new = {**last, "id": f"i-{name}-{number}", "number": f"{name}-{number}"}
            new |= {"amount": rounded(last["amount"] * share, last["unit"])}
            new |= {"corrects": last["id"], "reason": "adjusted", "sha256": sha(new["id"])}
            world.invoices.append(new)
            last = new


@said
def billed_first(world: World, of: list[str], first: str, end: str) -> None:
    """A true invoice of some days is provided in addition to the others."""
    days = date.fromisoformat(first), date.fromisoformat(end)
    for name in of:
        one = invoice(world, name, *days)
        world.invoices.append({**one, "id": f"{one['id']}-part", "number": f"{one['number']}-part"})


@said
def smaller_for_days(world: World, on: str, watt: int, first: str, last: str) -> None:
    """According to the registry a device had less power for some days."""
    row = world.registered(on)
    row["ratings"] = [
        {"from": row["installed"], "rated_power_w": row["rated_power_w"]},
        {"from": world.month.wall(first).isoformat(), "rated_power_w": watt},
        {"from": world.month.wall(last).isoformat(), "rated_power_w": row["rated_power_w"]},
    ]


@said
def invented_plant(world: World, of: str, name: str, shape: str, per_day: float) -> None:
    """
    A second project claims a plant that does not exist, with the invoice
    file of the first one.
    """
    row, bound = deepcopy(world.registered(of)), deepcopy(world.bound(of))
    row |= {"id": name, "serial": "S-INVENTED"}
    row["calibrations"][0] |= {"serial": "S-INVENTED", "certificate": "C-INVENTED"}
    bound["device"] = name
    world.document["devices"].append(row)
    project = {**deepcopy(world.project), "id": "second", "devices": [bound]}
    for one in project["documents"].values():
        if isinstance(one.get("value"), dict):
            one["value"] = {name: next(iter(one["value"].values()))}
    world.document["projects"].append(project)
    some = world.readings[name] = deepcopy(world.readings[of])
    how = {"shape": shape, "per_day": per_day, "rated": True}
    made = made_of(world, world.devices[of], how)
    total = np.concatenate([[0.0], np.cumsum(made)])
    at = np.searchsorted(world.month.times_us, some.time_us, side="right") - 1
    channel = next(n for n, v in some.columns.items() if v.dtype.kind == "i")
    some.columns = {channel: 10**6 + np.floor(total[at]).astype(np.int64)}
    one = next(one for one in world.invoices if of in one["devices"])
    inside = (world.month.times_us >= world.month.from_us) & (
        world.month.times_us < world.month.to_us
    )
    amount = rounded(float(made[inside].sum()) / 1000, one["unit"])
    more = {"id": f"i-{name}", "project": "second", "devices": [name], "amount": amount}
    world.invoices.append({**one, **more, "number": f"{name}-0203"})


@said
def billed_across(world: World, of: str, with_: str) -> None:
    """One true invoice covers a meter and one of another project."""
    world.invoices = [one for one in world.invoices if not {of, with_} & {*one["devices"]}]
    first, second = (invoice(world, one, world.month.first, world.month.end) for one in (of, with_))
    amount = rounded(first["amount"] + second["amount"], first["unit"])
    world.invoices.append({**first, "devices": [of, with_], "amount": amount})
