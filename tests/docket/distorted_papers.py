"""What registry, documents and invoices of a plant say otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import numpy as np

from tests.docket.distorted_readings import commissioned, copied
from tests.docket.distorting import moment_of, said, times_within
from tests.docket.shapes import DAY_US
from tests.docket.world import (
    END,
    FIRST,
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

# --- registry -----------------------------------------------------------------------------


@said
def device(world: World, on: str, **values: Any) -> None:
    """The registry says something else of a device; an empty text is left out."""
    row = world.registered(on)
    row.update(values)
    for key in [k for k, v in values.items() if v == ""]:
        del row[key]


@said
def certificate(world: World, on: str, **values: Any) -> None:
    """A certificate says something else; without values there is none."""
    row = world.registered(on)
    if not values:
        del row["calibrations"]
        return
    row["calibrations"][0].update(values)
    for key in [k for k, v in values.items() if v == ""]:
        del row["calibrations"][0][key]


@said
def recalibrated(world: World, on: str, until: str, performed: str) -> None:
    """A certificate ends within the month, and another one follows it."""
    rows = world.registered(on)["calibrations"]
    day, end = date.fromisoformat(performed), date.fromisoformat(until)
    rows[0]["valid_until"] = end
    later = {"performed": day, "valid_until": day + timedelta(days=730)}
    rows.append({**rows[0], **later, "certificate": f"{rows[0]['certificate']}-2"})


@said
def succeeded(world: World, device: str, by: str, at: str) -> None:
    """Another meter stands in its place from a moment on, registered under an id of its own."""
    moment, row, bound = moment_of(at), deepcopy(world.registered(device)), world.bound(device)
    row |= {"id": by, "installed": f"{at}+07:00", "serial": f"S-{seed_of(by) % 10**7}"}
    row["calibrations"][0] |= {"serial": row["serial"], "certificate": f"C-{row['serial']}"}
    world.registered(device)["removed"] = f"{at}+07:00"
    world.document["devices"].append(row)
    world.project["devices"].append({**deepcopy(bound), "device": by})
    for one in world.project["documents"].values():
        if isinstance(one.get("value"), dict) and device in one["value"]:
            one["value"] = {**one["value"], by: one["value"][device]}
    for one in world.invoices:
        one["devices"] += [by] if device in one["devices"] else []
    old, new = world.readings[device], deepcopy(world.readings[device])
    before = int(np.searchsorted(old.time_us, moment)) - 1
    new.keep(new.time_us >= moment)
    for channel, values in old.columns.items():
        if values.dtype.kind == "i":
            new.columns[channel] = new.columns[channel] - values[before]
    old.keep(old.time_us < moment)
    world.readings[by] = new


@said
def claimed_too(world: World, on: str, **other: Any) -> None:
    """Another project, of another methodology, claims a device of this one."""
    bound = {"device": on, "role": other.pop("role")}
    world.document["projects"].append(
        {**deepcopy(world.project), "id": "second-claim", "documents": {}, "laboratory": [],
         "devices": [bound], **other}
    )  # fmt: skip


@said
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


@said
def typed(world: World, on: str = "", **values: Any) -> None:
    """A value of the project, or of a device's row in it, is another one; its documents stay."""
    (world.bound(on) if on else world.project["parameters"]).update(values)
    for key in [k for k, v in values.items() if v == ""]:
        del (world.bound(on) if on else world.project["parameters"])[key]


@said
def typed_later(world: World, *, stated: bool = False, **values: Any) -> None:
    """The same, after the readings came; `stated` by another document of each value."""

    def change(file: dict[str, Any]) -> None:
        project = file["projects"][0]
        project["parameters"].update(values)
        for name, value in values.items() if stated else ():
            new = {"document": f"Second report on {name}", "sha256": sha(f"second {name}")}
            project["documents"][name] |= {**new, "value": value}

    world.later.append(change)


@said
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


@said
def documented(world: World, of: list[str]) -> None:
    """Values have documents of another's hand that state what is typed."""
    given = world.project["parameters"]
    world.project["documents"] |= {name: paper(world, name, given) for name in of}


@said
def laboratory(world: World, of: list[str], **values: Any) -> None:
    """Results of a laboratory are otherwise; without values there are none."""
    rows = world.project["laboratory"]
    if not values:
        world.project["laboratory"] = [one for one in rows if one["parameter"] not in of]
        return
    for one in rows:
        if one["parameter"] in of or not of:
            one.update(values)


@said
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


@said
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


@said
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


@said
def unbound(world: World, on: str, reason: str = "", upstream_of: Sequence[str] = ()) -> None:
    """A meter of the site is left out of the project; or is said to supply others of it."""
    project = world.project
    project["devices"] = [one for one in project["devices"] if one["device"] != on]
    if reason:
        supplies = {"upstream_of": [*upstream_of]} if upstream_of else {}
        project["boundary"] = [{"device": on, "reason": reason, **supplies}]


@said
def elsewhere(world: World, device: str, metres: float) -> None:
    """A device is registered at a site of its own, some metres away."""
    place = world.document["sites"][0]
    north = place["latitude"] + metres / 111_320
    world.document["sites"].append({**place, "id": f"site-of-{device}", "latitude": north})
    world.registered(device)["site"] = f"site-of-{device}"


@said
def diagram(world: World) -> None:
    """A third party's line diagram of before the period shows what each meter measures."""
    world.project["documents"]["line_diagram"] = paper(world, "line_diagram", {})


@said
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


@said
def spelled(world: World, device: str, like: str) -> None:
    """A meter has the nameplate of another one, spelled otherwise."""
    letters, _, digits = world.registered(like)["serial"].partition("-")
    row = world.registered(device)
    row |= {"serial": f"{letters.lower()} 0{digits}", "maker": "MAKER Co., Ltd"}
    row["calibrations"][0]["serial"] = row["serial"]


@said
def main_meter(world: World, name: str, of: list[str], per_day: float, reason: str) -> None:
    """The site's main meter supplies meters of the project, and what else draws as much a day."""
    outside(world, of[0], name, per_day, reason)
    world.registered(name)["rated_power_w"] = 1_000_000
    world.project["boundary"][-1]["upstream_of"] = of
    ((register, others),) = world.readings[name].columns.items()
    supplied = (world.readings[one].columns[register] for one in of)
    world.readings[name].columns[register] = sum(supplied, others)


@said
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


@said
def issued(world: World, first: str, last: str, project: str = PROJECT) -> None:
    """A statement of earlier days was issued, by what the registry said then."""
    world.issued.append((project, first, last))


@said
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
        some.keep(times_within(some.time_us, None, str(FIRST)))
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


@said
def registered(world: World, programme: str, on: str) -> None:
    """A programme registered the project on some day."""
    world.document["registrations"] = [{
        "project": PROJECT, "programme": programme, "registry": programme, "project_id": "1",
        "registered": date.fromisoformat(on),
    }]  # fmt: skip


# --- papers -------------------------------------------------------------------------------


@said
def certified(world: World, on: str, first: str, last: str, share: float) -> None:
    """Certificates of origin are of a share of what a device delivered on some days."""
    end = date.fromisoformat(last)
    day, made = date.fromisoformat(first), world.made.get(on)
    of = [made] if made is not None else [m for m in world.made.values() if "energy_export_wh" in m]
    inside = times_within(TIMES_US, first, last)
    wh = sum(float(one["energy_export_wh"][inside].sum()) for one in of)
    world.certificates.append({"device": on, "begin": day, "end": end, "wh": int(share * wh)})


@said
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


@said
def unchecked(world: World, device: str) -> None:
    """A check meter is not there."""
    world.document["devices"] = [one for one in world.document["devices"] if one["id"] != device]
    del world.readings[device]


@said
def not_approved(world: World) -> None:
    """The monitoring plan has no approval by the programme."""
    world.approved = False


@said
def no_invoices(world: World, of: list[str] | None = None) -> None:
    """Invoices are not there."""
    world.invoices = [
        one for one in world.invoices if of is not None and not set(of) & set(one["devices"])
    ]


@said
def invoices(world: World, by: float = 1.0, of: list[str] | None = None, **values: Any) -> None:
    """Invoices are of another amount, or say something else."""
    for one in world.invoices:
        if of is None or set(of) & set(one["devices"]):
            one["amount"] = rounded(one["amount"] * by, one["unit"])
            one.update(values)
            for key in [k for k, v in values.items() if v == ""]:
                del one[key]


@said
def billed_from_5th(world: World, of: list[str], day: int = 5) -> None:
    """A supplier bills from the fifth of a month to the fifth of the next."""
    world.invoices = [one for one in world.invoices if not set(of) & set(one["devices"])]
    edges = [date(2026, month, day) for month in (2, 3, 4)]
    for name in of:
        world.invoices += [invoice(world, name, a, b) for a, b in pairwise(edges)]


@said
def billed_by_weeks(world: World, of: list[str]) -> None:
    """A supplier bills each week."""
    billed_over(world, of, str(FIRST), str(END), 7)


@said
def billed_over(world: World, of: list[str], first: str, end: str, days: int = 0) -> None:
    """A supplier bills some time at once, or in parts of some days."""
    world.invoices = [one for one in world.invoices if not set(of) & set(one["devices"])]
    begin, after = date.fromisoformat(first), date.fromisoformat(end)
    step = days or (after - begin).days
    for name in of:
        for past in range(0, (after - begin).days, step):
            day = begin + timedelta(days=past)
            world.invoices.append(invoice(world, name, day, day + timedelta(days=step)))


@said
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


@said
def billed_together(world: World, of: list[str], more: float = 0.0) -> None:
    """One invoice for several meters, and for what else hangs on the line."""
    some = [one for one in world.invoices if set(of) & set(one["devices"])]
    world.invoices = [one for one in world.invoices if not set(of) & set(one["devices"])]
    whole = sum(one["amount"] for one in some) * (1 + more)
    world.invoices.append(
        {**some[0], "devices": list(of), "amount": rounded(whole, some[0]["unit"])}
    )


@said
def billed_too(world: World, of: list[str], issuer: str) -> None:
    """A third party states what devices did, each by itself, beside the other invoices."""
    world.invoices += [invoice(world, name, FIRST, END, issuer=issuer) for name in of]


@said
def billed_until(world: World, of: str, end: str) -> None:
    """The true invoice of the first part of the month alone is given."""
    world.invoices = [one for one in world.invoices if of not in one["devices"]]
    world.invoices.append(invoice(world, of, FIRST, date.fromisoformat(end)))


@said
def own_bill(world: World, of: str, by: float, issuer: str) -> None:
    """An invoice by a company that the owner chose."""
    one = invoice(world, of, FIRST, END, issuer=issuer)
    world.invoices.append({**one, "amount": rounded(one["amount"] * by, one["unit"])})


@said
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


@said
def corrected(
    world: World, of: str, wrong: float, reason: str = "typing error", *, same_file: bool = False
) -> None:
    """An invoice was entered with a wrong amount, and another one, or its own file, corrects it."""
    one = next(i for i in world.invoices if of in i["devices"])
    right = {**one, "id": f"{one['id']}-2", "corrects": one["id"], "reason": reason}
    if not same_file:
        right |= {"number": f"{one['number']}-2", "sha256": sha(f"{one['id']} corrected")}
    one["amount"] = rounded(one["amount"] * wrong, one["unit"])
    world.invoices.append(right)
