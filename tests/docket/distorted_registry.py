"""False or missing entries of a plant's registry and documents."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from datetime import date, timedelta
from typing import Any

import numpy as np

from tests.docket.distorted_readings import commissioned, copied
from tests.docket.distorting import at_channel, moment_of, restarted, said, times_within
from tests.docket.shapes import DAY_US
from tests.docket.world import PROJECT, Readings, World, paper, seed_of, sha

# --- registry -----------------------------------------------------------------------------


@said
def device(world: World, on: str, **values: Any) -> None:
    """The registry has other values of a device; an empty text is omitted."""
    row = world.registered(on)
    row.update(values)
    for key in [k for k, v in values.items() if v == ""]:
        del row[key]


@said
def certificate(world: World, on: str, **values: Any) -> None:
    """A certificate has other values; without values there is none."""
    row = world.registered(on)
    if not values:
        del row["calibrations"]
        return
    row["calibrations"][0].update(values)
    for key in [k for k, v in values.items() if v == ""]:
        del row["calibrations"][0][key]


@said
def mistyped(world: World, on: str, serial: str) -> None:
    """The serial number of a certificate is wrong in the registry until the month's end."""
    right = world.registered(on)["calibrations"][0]["serial"]
    certificate(world, on, serial=serial)
    world.later.append(lambda _: certificate(world, on, serial=right))


@said
def recalibrated(world: World, on: str, until: str, performed: str) -> None:
    """A certificate ends within the month, and another one follows."""
    rows = world.registered(on)["calibrations"]
    day, end = date.fromisoformat(performed), date.fromisoformat(until)
    rows[0]["valid_until"] = end
    later = {"performed": day, "valid_until": day + timedelta(days=730)}
    rows.append({**rows[0], **later, "certificate": f"{rows[0]['certificate']}-2"})


@said
def replaced(
    world: World, on: str, at: str, *, entered: bool = True, first: int = 0,
    document: bool = True, used: bool = False, same: bool = False,
    rollover: bool = False, later: bool = False, whole: bool = False,
) -> None:  # fmt: skip
    """A meter was replaced by another one, which is entered or not."""
    device, channel = at_channel(on)
    some = world.readings[device]
    moment = moment_of(world, at)
    after = some.time_us >= moment
    values = some.columns[channel]
    last = int(values[~after][-1])
    begin = int(last * 0.4) if used else first
    some.columns[channel] = np.where(after, values - last + begin, values)
    if entered:
        row = world.registered(device)
        old, row["serial"] = row["serial"], row["serial"] + ("" if same else "-B")
        swap = restarted(world, on, moment, last, begin, reason=f"meter {old} was faulty")
        if whole:
            swap["last"] //= 1
        if document:
            swap["document"] = "protocol of the replacement, with photographs"
        if later:  # entered after the readings came, as the serial and certificate are
            row["serial"] = old
            world.later.append(lambda file: _swapped_later(file, device, swap, at))
            return
        row.setdefault("replacements", []).append(swap)
        if same:
            swap |= {"reason": "update of the firmware", "same_meter": True}
            if rollover:
                swap["last"] = 10 ** len(str(int(swap["last"])))
                del swap["same_meter"]
            return
        _certified_anew(row, at)


def _certified_anew(row: dict[str, Any], at: str) -> None:
    """Return the certificate of a meter that was installed at some moment."""
    row["calibrations"].append({
        **row["calibrations"][0], "performed": date.fromisoformat(at[:10]) - timedelta(days=5),
        "certificate": f"C-{row['serial']}", "serial": row["serial"],
    })  # fmt: skip


def _swapped_later(file: dict[str, Any], device: str, swap: dict[str, Any], at: str) -> None:
    row = next(one for one in file["devices"] if one["id"] == device)
    row["serial"] += "-B"
    row.setdefault("replacements", []).append(swap)
    _certified_anew(row, at)


@said
def replacement(world: World, on: str, **more: float) -> None:
    """
    The `last` value of the old register, or the `first` of the new one,
    is entered with an error.
    """
    for edge, by in more.items():  # unit of the channel
        world.registered(on)["replacements"][0][edge] += by


@said
def succeeded(world: World, device: str, by: str, at: str, beside: str = "") -> None:
    """
    Another meter with its own id replaces one from a moment on; with
    `beside` both exist before.
    """
    begins = beside or at
    moment, row, bound = (
        moment_of(world, begins),
        deepcopy(world.registered(device)),
        world.bound(device),
    )
    row |= {
        "id": by,
        "installed": world.month.wall(begins).isoformat(),
        "serial": f"S-{seed_of(by) % 10**7}",
    }
    row["calibrations"][0] |= {"serial": row["serial"], "certificate": f"C-{row['serial']}"}
    world.registered(device)["removed"] = world.month.wall(at).isoformat()
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
    old.keep(old.time_us < moment_of(world, at))
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
    """A rated power is raised after the readings arrived, with an earlier start."""

    def change(file: dict[str, Any]) -> None:
        row = next(one for one in file["devices"] if one["id"] == on)
        paper = {"document": document} if document else {}
        paper |= {"sha256": sha(sha256)} if sha256 else {}
        row["ratings"] = [
            {"from": row["installed"], "rated_power_w": row["rated_power_w"]},
            {"from": world.month.wall(dated).isoformat(), "rated_power_w": watt, **paper},
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
    """The same, after readings arrived; `stated` by another document of each value."""

    def change(file: dict[str, Any]) -> None:
        project = file["projects"][0]
        project["parameters"].update(values)
        for name, value in values.items() if stated else ():
            new = {"document": f"Second report on {name}", "sha256": sha(f"second {name}")}
            project["documents"][name] |= {**new, "value": value}

    world.later.append(change)


@said
def documents(world: World, of: list[str], **values: Any) -> None:
    """Documents of values differ; without values there are none."""
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
    """Third parties' documents state the entered values."""
    given = world.project["parameters"]
    world.project["documents"] |= {name: paper(world, name, given) for name in of}


@said
def laboratory(world: World, of: list[str], **values: Any) -> None:
    """Laboratory results differ; without values there are none."""
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
    """A second meter is registered that does not exist: it sends what a first one sent."""
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
    """
    The total meter of a plant is registered as a further meter:
    it shows the sum of its meters.
    """
    second_id(world, of[0], name)
    own = world.readings[name]
    for other in of[1:]:
        for channel, values in world.readings[other].columns.items():
            own.columns[channel] = own.columns[channel] + values
    world.registered(name)["rated_power_w"] = sum(
        world.registered(one)["rated_power_w"] for one in of
    )


@said
def outside(
    world: World, like: str, name: str, per_day: float, reason: str = "", kind: str = ""
) -> None:
    """A meter of the site, of the class `kind`, measures something else: it is in no project."""
    row = {**deepcopy(world.registered(like)), "id": name}
    row["class"] = kind or row["class"]
    row["serial"] = f"S-{seed_of(name) % 10**7}"
    row.pop("calibrations", None)
    world.document["devices"].append(row)
    if reason:
        world.project.setdefault("boundary", []).append({"device": name, "reason": reason})
    some = world.readings[like]
    register = next(n for n, v in some.columns.items() if v.dtype.kind == "i")
    passed = some.time_us - some.time_us[0]
    values = np.floor(passed / DAY_US * per_day).astype(np.int64)
    world.readings[name] = Readings(row["class"], some.time_us.copy(), {register: values})


@said
def handed_over(world: World, to: str, last: str) -> None:
    """After a statement another project has all devices, which this one had up to a day."""

    def change(file: dict[str, Any]) -> None:
        first = file["projects"][0]
        file["projects"].append({**deepcopy(first), "id": to})
        for one in first["devices"]:
            one["to"] = date.fromisoformat(last)

    world.later.append(change)
    world.closed = (PROJECT, to)


@said
def unbound(world: World, on: str, reason: str = "", upstream_of: Sequence[str] = ()) -> None:
    """A meter of the site is excluded from the project, or is stated to supply others of it."""
    project = world.project
    project["devices"] = [one for one in project["devices"] if one["device"] != on]
    if reason:
        supplies = {"upstream_of": [*upstream_of]} if upstream_of else {}
        project["boundary"] = [{"device": on, "reason": reason, **supplies}]


@said
def elsewhere(world: World, device: str, metres: float) -> None:
    """A device is registered at a separate site, some metres away."""
    place = world.document["sites"][0]
    north = place["latitude"] + metres / 111_320
    world.document["sites"].append({**place, "id": f"site-of-{device}", "latitude": north})
    world.registered(device)["site"] = f"site-of-{device}"


@said
def diagram(world: World) -> None:
    """A third party's line diagram from before the period shows what each meter measures."""
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
    """A meter has the nameplate of another one, with another spelling."""
    letters, _, digits = world.registered(like)["serial"].partition("-")
    row = world.registered(device)
    row |= {"serial": f"{letters.lower()} 0{digits}", "maker": "MAKER Co., Ltd"}
    row["calibrations"][0]["serial"] = row["serial"]


@said
def main_meter(world: World, name: str, of: list[str], per_day: float, reason: str) -> None:
    """The site's main meter supplies meters of the project, and a further load of as much a day."""
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
    """A second project at another site claims the data of one or several meters of the first."""
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
    """A statement of earlier days was issued, with the registry data of that time."""
    world.issued.append((project, first, last))


@said
def predecessor(world: World, of: Sequence[str], stood: Sequence[str]) -> None:
    """Another project with other meters preceded it at the site; some of them did not advance."""
    bound, rows = [], []
    for name in of:
        row, old = deepcopy(world.registered(name)), f"old-{name}"
        row |= {
            "id": old,
            "serial": f"S-{seed_of(old) % 10**7}",
            "removed": world.month.midnight(world.month.first),
        }
        row["calibrations"][0] |= {"serial": row["serial"], "certificate": f"C-{row['serial']}"}
        rows.append(row)
        bound.append({**deepcopy(world.bound(name)), "device": old})
        some = deepcopy(world.readings[name])
        some.keep(times_within(world, some.time_us, None, str(world.month.first)))
        if name in stood:
            some.columns = {channel: 0 * values + 7 for channel, values in some.columns.items()}
        world.readings[old] = some
        commissioned(world, name, str(world.month.first))
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


@said
def bound(world: World, on: str, **values: Any) -> None:
    """A device belongs to the project from a day, or to a day."""
    world.bound(on).update({key: date.fromisoformat(one) for key, one in values.items()})


@said
def extended(world: World, on: str, watt: int, at: str) -> None:
    """A plant has more power from a day on, which was registered before."""
    row = world.registered(on)
    row["ratings"] = [
        {"from": row["installed"], "rated_power_w": row["rated_power_w"]},
        {"from": world.month.wall(at).isoformat(), "rated_power_w": watt,
         "document": "Data sheet of the extension", "sha256": sha(f"extension {on}")},
    ]  # fmt: skip
    row["rated_power_w"] = watt


@said
def project(world: World, **values: Any) -> None:
    """A section of the project has other values, or is added."""
    world.project.update(values)


@said
def place(world: World, **values: Any) -> None:
    """The site has other values."""
    world.document["sites"][0].update(values)


@said
def shared(world: World, on: str, by: float) -> None:
    """
    A scale also weighs for a neighbour; the neighbour's own scale of it is
    read, and in no project.
    """
    row = {**deepcopy(world.registered(on)), "id": f"{on}-neighbour"}
    row["serial"] = f"S-{seed_of(row['id']) % 10**7}"
    row["calibrations"][0] |= {"serial": row["serial"], "certificate": f"C-{row['serial']}"}
    world.document["devices"].append(row)
    some, theirs = world.readings[on], {}
    for name, values in some.columns.items():
        more = np.rint((values - values[0]) * by).astype(np.int64)
        some.columns[name], theirs[name] = values + more, more + 1000
    world.readings[row["id"]] = Readings(some.class_id, some.time_us.copy(), theirs)
