"""Surveys, events and the registered design in registry files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from difflib import get_close_matches
from itertools import pairwise
from typing import Any, TypeVar

from ingest import classes
from ingest.classes import QUANTITIES, QUANTITY_INDEX
from mrv import factors
from mrv.errors import MethodologyError
from mrv.methodologies import find
from mrv.registry.declared import (
    HAPPENINGS,
    METHODS,
    SIDES,
    Default,
    Design,
    DesignedDevice,
    DesignedPopulation,
    EmissionSource,
    Event,
    JointReading,
    Phase,
    SharedMeter,
    Stratum,
    Survey,
)
from mrv.statement.conditions import WANTED, reasoned
from services.registry.entries import Device, Project, Registry
from services.registry.fields import Row, amount
from services.registry.located import Finding

Item = TypeVar("Item")
_MOST = 10**12
# a mean is rounded to a thousandth of it at most
_ROUNDED = 1_000
# events that say nothing of a whole project
_OF_DEVICES = ("moved", "anomaly")


DESIGN = (
    "document", "version", "date", "sha256", "devices", "phases", "latitude", "longitude",
    "populations", "sources", "replaced_until",
)  # fmt: skip


def survey(row: Row) -> Survey:
    """Return the survey in a row."""
    row.only(*(f.name for f in fields(Survey)))
    population = row.required("population", row.whole("population", 1), "how many there are")
    n = row.required("n", row.whole("n", 2), "how many were asked, 2 or more")
    mean = row.required("mean", row.number("mean", 0, _MOST), "the mean of the sample")
    if population and n and n > population:
        row.problem("n", f"{n} is above the population, {population}")
    strata = _rows(row, "strata", _stratum)
    sd = _decimal(row.number("sd", 0, _MOST))
    if sd is None and not strata and mean is not None and mean > 1:
        row.problem("sd", f"is missing: only a share has none, and the mean is {mean}")
    if strata and population and n and mean is not None:
        for text in _unlike(strata, population, n, Decimal(mean)):
            row.problem("strata", text)
    method: Any = row.optional("method")
    if method is not None and method not in METHODS:
        row.problem("method", f"{method!r} must be one of {', '.join(METHODS)}")
    participants = row.whole("participants", 1)
    if participants and population and participants > population:
        row.problem("participants", f"{participants} is above the population, {population}")
    clusters = row.whole("clusters", 2)
    if clusters and n and clusters > n:
        row.problem("clusters", f"{clusters} is above the size of the sample, {n}")
    return Survey(
        parameter=row.text("parameter"),
        population=population or 1,
        n=n or 2,
        mean=Decimal(mean or 0),
        drawn=row.text("drawn"),
        taken=row.required("taken", row.day("taken"), "the last local day of the survey"),
        sd=sd,
        confidence=_decimal(row.number("confidence", 50, 99)),
        precision=_decimal(row.number("precision", 0.1, 50)),
        sha256=_hash(row),
        strata=strata,
        method=method,
        participants=participants,
        replaced=row.whole("replaced", 0),
        clusters=clusters,
    )


def _stratum(row: Row) -> Stratum:
    row.only(*(f.name for f in fields(Stratum)))
    population = row.required("population", row.whole("population", 1), "how many there are") or 1
    n = row.required("n", row.whole("n", 2), "how many were asked, 2 or more") or 2
    mean = row.required("mean", row.number("mean", 0, _MOST), "the mean of its sample") or 0
    sd = _decimal(row.number("sd", 0, _MOST))
    if n > population:
        row.problem("n", f"{n} is above the population, {population}")
    if sd is None and mean > 1:
        row.problem("sd", f"is missing: only a share has none, and the mean is {mean}")
    return Stratum(row.text("name"), population, n, Decimal(mean), sd)


def _unlike(strata: Sequence[Stratum], population: int, n: int, mean: Decimal) -> Iterator[str]:
    """Yield texts where strata do not add up to their survey."""
    for name, count in (("population", population), ("n", n)):
        total = sum(getattr(stratum, name) for stratum in strata)
        if total != count:
            yield f"have {name} {total} together, and the survey {count}"
    whole = sum(stratum.population for stratum in strata)
    weighed = sum((s.population * s.mean for s in strata), start=Decimal(0)) / whole
    if abs(weighed - mean) * _ROUNDED > max(mean, weighed):
        yield f"have the mean {weighed:.6g}, weighted by population, and the survey {mean}"


def event(row: Row) -> Event:
    """Return the event in a row."""
    row.only("from", "to", "what", "found", "document", "devices", "by", "resolved")
    what = row.text("what")
    if what and what not in HAPPENINGS:
        row.problem("what", f"{what!r} must be one of {', '.join(HAPPENINGS)}")
    begins, ends = row.day("from"), row.day("to")
    first = row.required("from", begins, "the first local day")
    if begins and ends and ends <= begins:
        row.problem("to", f"{ends} is not after {begins}; it is the first day after the event")
    devices = row.all().get("devices") or []
    if not isinstance(devices, list) or not all(isinstance(device, str) for device in devices):
        row.problem("devices", f"{devices!r} must be a list of ids")
        devices = []
    if what in _OF_DEVICES and not devices:
        row.problem("devices", f"is missing: name the meters that the event {what} concerns")
    resolved = row.day("resolved")
    if begins and resolved and resolved < begins:
        row.problem("resolved", f"{resolved} is before {begins}, the first day of the event")
    if resolved and resolved > datetime.now(UTC).date() + timedelta(days=1):
        row.problem("resolved", f"{resolved} is in the future; enter it once it is done")
    if resolved and not row.has("by"):
        row.problem("by", "is missing: name the person who investigated the event")
    result: Any = what
    return Event(
        first, result, row.text("found"), ends, row.optional("document"), tuple(devices),
        row.optional("by"), resolved,
    )  # fmt: skip


def shared_meter(row: Row) -> SharedMeter:
    """Return the common meter of several users in a row."""
    row.only("main", "users", "lost", "readings")
    main = row.identifier("main")
    users = row.required("users", row.all().get("users"), "the meters of all its users") or []
    whole = isinstance(users, list) and all(isinstance(user, str) for user in users)
    again = whole and (main in users or len(set(users)) < len(users))
    if row.has("users") and (again or not whole or not users):
        row.problem("users", f"{users!r} must be a list of other meters, each once")
        users = []
    readings = tuple(sorted(_rows(row, "readings", _joint), key=lambda r: (r.quantity, r.begins)))
    for joint_reading, other in pairwise(readings):
        if joint_reading.quantity == other.quantity and other.begins < joint_reading.ends:
            both = (
                f"{joint_reading.begins} to {joint_reading.ends} and {other.begins} to {other.ends}"
            )
            row.problem(
                "readings", f"{both} overlap; {joint_reading.quantity} is read once for each day"
            )
    return SharedMeter(main, tuple(users), _decimal(row.number("lost", 0, 50)), readings)


def _joint(row: Row) -> JointReading:
    row.only("from", "to", "quantity", "amount", "unit", "document", "by", "sha256")
    begins = row.required("from", row.day("from"), "the first local day that was read")
    ends = row.required("to", row.day("to"), "the first local day after those")
    if begins and ends and ends <= begins:
        row.problem("to", f"{ends} is not after {begins}; the days are half-open")
    quantity = row.text("quantity")
    sha256 = row.required("sha256", _hash(row), "the SHA-256 of the record's file")
    return JointReading(
        begins, ends, quantity, amount(row, quantity), row.text("document"), row.text("by"),
        sha256,
    )  # fmt: skip


def default(row: Row) -> Default:
    """Return the reason for using a published default, in a row."""
    row.only(*(f.name for f in fields(Default)))
    reason = row.text("reason")
    if reason and not reasoned(reason):
        row.problem("reason", f"{reason!r} is not a sentence; {WANTED}")
    return Default(row.text("factor"), reason, row.optional("document"))


def design(row: Row) -> Design:
    """Return the registered design in a row."""
    row.only(*DESIGN)
    latitude, longitude = row.number("latitude", -90, 90), row.number("longitude", -180, 180)
    if (latitude is None) != (longitude is None):
        row.problem("latitude", "is given without longitude, or that without it; enter both")
    issued = row.required("date", row.day("date"), "the date of the document")
    sha256 = row.required("sha256", _hash(row), "the SHA-256 of its file")
    return Design(
        document=row.text("document"),
        version=row.text("version"),
        issued=issued,
        sha256=sha256,
        devices=_rows(row, "devices", _designed),
        phases=_rows(row, "phases", _phase),
        latitude=_decimal(latitude),
        longitude=_decimal(longitude),
        populations=_rows(row, "populations", _population),
        sources=_rows(row, "sources", _source),
        replaced_until=row.day("replaced_until"),
    )


def _designed(row: Row) -> DesignedDevice:
    row.only(*(f.name for f in fields(DesignedDevice)))
    number = row.required("number", row.whole("number", 1), "how many there are")
    return DesignedDevice(
        row.text("make"), row.text("model"), number or 1, row.optional("place"),
        row.whole("rated_power_w", 1),
    )  # fmt: skip


def _population(row: Row) -> DesignedPopulation:
    row.only(*(f.name for f in fields(DesignedPopulation)))
    number = row.required("number", row.whole("number", 1), "how many units there are")
    participants = row.whole("participants", 1)
    if participants and number and participants > number:
        row.problem("participants", f"{participants} is above the number of units, {number}")
    return DesignedPopulation(row.text("parameter"), number or 1, participants)


def _source(row: Row) -> EmissionSource:
    row.only(*(f.name for f in fields(EmissionSource)))
    side: Any = row.text("side")
    if side and side not in SIDES:
        row.problem("side", f"{side!r} must be one of {', '.join(SIDES)}")
    counted_by, reason = row.optional("counted_by"), row.optional("reason")
    if (counted_by is None) == (reason is None):
        row.problem("counted_by", "a source has `counted_by`, or the `reason` why it is excluded")
    if reason and not reasoned(reason):
        row.problem("reason", f"{reason!r} is not a sentence; {WANTED}")
    return EmissionSource(
        row.text("name"), row.text("gas"), side, counted_by, reason, row.optional("document")
    )


def _phase(row: Row) -> Phase:
    row.only(*(f.name for f in fields(Phase)))
    planned = row.required("planned", row.day("planned"), "the day that the design names")
    return Phase(
        row.text("name"), planned, row.day("commissioned"), row.optional("document"),
        row.optional("reason"),
    )  # fmt: skip


def _rows(row: Row, key: str, read: Callable[[Row], Item]) -> tuple[Item, ...]:
    inner = row.rows(key) or []
    result = tuple(read(row) for row in inner)
    for item in inner:
        row.problems.extend(item.problems)
    return result


def _hash(row: Row) -> str | None:
    given = row.optional("sha256")
    if given is not None and not re.fullmatch("[0-9a-f]{64}", given):
        row.problem("sha256", f"{given!r} is not a SHA-256 of a file: 64 digits 0-9 a-f")
    return given


def _decimal(given: Decimal | int | None) -> Decimal | None:
    return None if given is None else Decimal(given)


def document(project: Project) -> dict[str, Any]:
    """Return a project's surveys, events and design with the keys of registry files."""
    design_ = project.design
    return {
        "surveys": [
            _kept({**asdict(item), "strata": [_kept(asdict(each)) for each in item.strata]})
            for item in project.surveys or ()
        ],
        "events": [
            _kept({"from": item.begins, "to": item.ends, "what": item.what, "found": item.found,
                   "document": item.document, "devices": list(item.devices), "by": item.by,
                   "resolved": item.resolved})
            for item in project.events or ()
        ],
        "shared_meters": [
            _kept({
                "main": meter.main, "users": list(meter.users), "lost": meter.lost,
                "readings": [
                    {"from": r.begins, "to": r.ends, "quantity": r.quantity, "amount": r.value,
                     "unit": QUANTITIES[QUANTITY_INDEX[r.quantity]].unit, "document": r.document,
                     "by": r.by, "sha256": r.sha256}
                    for r in meter.readings
                ],
            })
            for meter in project.shared_meters or ()
        ],
        "defaults": [_kept(asdict(default)) for default in project.defaults or ()],
        "design": design_ and {
            "document": design_.document,
            "version": design_.version,
            "date": design_.issued,
            "sha256": design_.sha256,
            **_kept({
                "devices": [_kept(asdict(device)) for device in design_.devices],
                "phases": [_kept(asdict(phase)) for phase in design_.phases],
                "latitude": design_.latitude,
                "longitude": design_.longitude,
                "populations": [_kept(asdict(population)) for population in design_.populations],
                "sources": [_kept(asdict(source)) for source in design_.sources],
                "replaced_until": design_.replaced_until,
            }),
        },
    }  # fmt: skip


def _kept(keys: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in keys.items() if value not in (None, [], ())}


def shared(registry: Registry) -> Iterator[Finding]:
    """Yield warnings if two projects have the same survey data, as each needs its own survey."""
    of: dict[str, list[Project]] = {}
    for project in registry.projects.values():
        for item in project.surveys or ():
            if item.sha256 is not None and project not in of.setdefault(item.sha256, []):
                of[item.sha256].append(project)
    for sha256, projects in of.items():
        for project in projects[1:]:
            text = (
                f"surveys: the data {sha256[:12]}... are those of {projects[0].id}, too; a survey"
                " is of one project's own population"
            )
            yield Finding(project.kind, project.id, text, warning=True)


def _of_meter(
    project: Project, meter: SharedMeter, devices: Mapping[str, Device]
) -> Iterator[Finding]:
    mine = {bound.device for bound in project.devices}
    missing = [name for name in (meter.main, *meter.users) if name not in devices]
    if missing:
        wrong = f"{', '.join(missing)} is not registered; add it under `devices`"
    elif not mine.intersection(meter.users):
        wrong = f"none of the users of {meter.main} is a meter of the project; name its meters, too"
    elif meter.main in mine:
        wrong = f"{meter.main} is a meter of the project; assign the meters of its users instead"
    elif not counted(devices[meter.main]).intersection(
        *(counted(devices[name]) for name in meter.users)
    ):
        wrong = f"{meter.main} and its users measure no common quantity; correct the devices"
    elif foreign := {r.quantity for r in meter.readings} - counted(devices[meter.main]):
        wrong = f"readings: {meter.main} does not measure {', '.join(sorted(foreign))}"
    else:
        return
    yield Finding(project.kind, project.id, f"shared_meters: {wrong}")


def counted(device: Device) -> set[str]:
    """Return the quantities that a device counts."""
    known = classes.load().get(device.class_id)
    return {str(r.quantity) for r in known.registers if r.quantity} if known else set()


def check(project: Project, devices: Mapping[str, Device]) -> Iterator[Finding]:
    """Yield errors of surveys and events for a parameter or device outside the project."""
    try:
        method = find(project.methodology, project.version)
    except MethodologyError:
        return  # said elsewhere
    specs = method.parameters
    if project.design is not None:
        yield from _of_design(project, project.design, (*method.roles, *specs))
    for item in project.surveys or ():
        if item.parameter not in specs:
            known = ", ".join(specs)
            what = f"{item.parameter!r} is not a number of {project.methodology}"
            text = f"surveys: {what}; known: {known}"
            yield Finding(project.kind, project.id, text)
    for meter in project.shared_meters or ():
        yield from _of_meter(project, meter, devices)
    kinds = factors.load().kinds()
    for one_default in project.defaults or ():
        if one_default.factor not in kinds:
            near = (
                ", ".join(get_close_matches(one_default.factor, kinds, 3)) or "see docs/factors.md"
            )
            text = f"defaults: no factor is of kind {one_default.factor!r}; did you mean {near}?"
            yield Finding(project.kind, project.id, text)
    unknown = {name for e in project.events or () for name in e.devices if name not in devices}
    for name in sorted(unknown):
        text = f"events: device {name!r} is not registered; add it under `devices`"
        yield Finding(project.kind, project.id, text)


def _of_design(project: Project, own: Design, known: Sequence[str]) -> Iterator[Finding]:
    """
    Yield sources counted by an unknown role or parameter, and a crediting period beyond the
    replacement.
    """
    for source in own.sources:
        if source.counted_by is not None and source.counted_by not in known:
            text = (
                f"design.sources: {source.counted_by!r} counts nothing of {project.methodology};"
                f" known: {', '.join(known)}"
            )
            yield Finding(project.kind, project.id, text)
    until = own.replaced_until
    if until is not None and project.crediting_to > until:
        text = (
            f"crediting_period: {project.crediting_to} is after {until}, design.replaced_until:"
            " the equipment would have been replaced then anyway; end the crediting period there"
        )
        yield Finding(project.kind, project.id, text)
