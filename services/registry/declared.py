"""Checks of surveys, events, the registered design and monitoring plans in registry files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from difflib import get_close_matches
from fractions import Fraction
from itertools import pairwise
from typing import Any

from mrv import factors
from mrv.errors import MethodologyError
from mrv.methodologies import find
from mrv.registry import (
    Default,
    Design,
    DesignedPopulation,
    EmissionSource,
    Event,
    JointReading,
    SharedMeter,
    Stratum,
    Survey,
)
from mrv.registry.monitoring_plan import DEVIATION, KINDS, REGISTERED, Approval, Version, blank
from mrv.registry.plan_departures import departures, imprecise, seldom
from mrv.registry.project import Document
from mrv.statement.conditions import WANTED, reasoned
from mrv.statement.conformity import meter, wet_gas
from mrv.texts import Text
from services.registry.entries import SIGNED, STATED, UNTIL, Device, Project, Registry
from services.registry.fields import Row
from services.registry.located import Finding
from services.registry.meters import counted

# tolerance for a rounded mean: 1/1000 of its value
_ROUNDING = 1_000
# events that concern devices, not a whole project
_OF_DEVICES = ("moved", "anomaly")


def survey(row: Row, item: Survey) -> None:
    """Record errors of a survey."""
    if item.population and item.n > item.population:
        row.problem("n", f"{item.n} is above the population, {item.population}; correct one")
    if item.sd is None and not item.strata and item.mean > 1:
        row.problem(
            "sd", f"is missing; enter it: only a share needs none, and the mean is {item.mean}"
        )
    if item.strata and item.population and item.n and row.has("mean"):
        for text in _different_sums(item.strata, item.population, item.n, item.mean):
            row.problem("strata", text)
    if item.participants and item.population and item.participants > item.population:
        row.problem(
            "participants",
            f"{item.participants} is above the population, {item.population}; correct one",
        )
    if item.clusters and item.n and item.clusters > item.n:
        row.problem(
            "clusters", f"{item.clusters} is above the size of the sample, {item.n}; correct one"
        )


def stratum(row: Row, item: Stratum) -> None:
    """Record errors of a part of a survey."""
    if item.population and item.n > item.population:
        row.problem("n", f"{item.n} is above the population, {item.population}; correct one")
    if item.sd is None and item.mean > 1:
        row.problem(
            "sd", f"is missing; enter it: only a share needs none, and the mean is {item.mean}"
        )


def _different_sums(
    strata: Sequence[Stratum], population: int, n: int, mean: Decimal
) -> Iterator[str]:
    """Yield texts on strata that do not add up to their survey."""
    for name, count in (("population", population), ("n", n)):
        total = sum(getattr(stratum, name) for stratum in strata)
        if total != count:
            yield f"their {name} is {total} in total, but the survey states {count}"
    whole = sum(stratum.population for stratum in strata)
    weighed = sum((s.population * s.mean for s in strata), start=Decimal(0)) / (whole or 1)
    if abs(weighed - mean) * _ROUNDING > max(mean, weighed):
        yield (f"their mean is {weighed:.6g}, weighted by population, but the survey states {mean}")


def event(row: Row, item: Event) -> None:
    """Record errors of an event."""
    begins, ends, resolved = row.day("from"), item.ends, item.resolved
    if begins and ends and ends <= begins:
        row.problem("to", f"{ends} is not after {begins}; it is the first day after the event")
    if item.what in _OF_DEVICES and not item.devices:
        row.problem("devices", f"is missing: name the meters that the event {item.what} concerns")
    if begins and resolved and resolved < begins:
        row.problem("resolved", f"{resolved} is before {begins}, the first day of the event")
    if resolved and resolved > datetime.now(UTC).date() + timedelta(days=1):
        row.problem(
            "resolved", f"{resolved} is in the future; enter the day after the event is resolved"
        )
    if resolved and not row.has("by"):
        row.problem("by", "is missing: name the person who investigated the event")


def users(row: Row) -> tuple[str, ...]:
    """Return the meters of a common meter's users; invalid ones are recorded as an error."""
    result = row.required("users", row.all().get("users"), "the meters of all its users") or []
    whole = isinstance(result, list) and all(isinstance(user, str) for user in result)
    again = whole and (row.optional("main") in result or len(set(result)) < len(result))
    if row.has("users") and (again or not whole or not result):
        row.problem("users", f"{result!r} must be a list of other meters, each once")
        return ()
    return tuple(result)


def shared_meter(row: Row, item: SharedMeter) -> None:
    """Record an error for overlapping joint readings of a common meter."""
    for reading, other in pairwise(item.readings):
        if reading.quantity == other.quantity and other.begins < reading.ends:
            both = f"{reading.begins} to {reading.ends} and {other.begins} to {other.ends}"
            row.problem("readings", f"{both} overlap; {reading.quantity} is read once for each day")


def joint_reading(row: Row, item: JointReading) -> None:
    """Record errors of a joint reading."""
    if not row.problems and item.ends <= item.begins:
        row.problem(
            "to", f"{item.ends} is not after {item.begins}; `to` is the first day after the period"
        )


def default(row: Row, item: Default) -> None:
    """Record an error for the use of a published default if its reason is not a sentence."""
    if item.reason and not reasoned(item.reason):
        row.problem("reason", f"{item.reason!r} is not a sentence; {WANTED}")


def design(row: Row, item: Design) -> None:
    """Record an error for a latitude without longitude, or the reverse."""
    if (item.latitude is None) != (item.longitude is None):
        row.problem("latitude", "and longitude belong together; enter both")


def population(row: Row, item: DesignedPopulation) -> None:
    """Record an error for more participants than units."""
    if item.participants and item.number and item.participants > item.number:
        text = f"{item.participants} is above the number of units, {item.number}"
        row.problem("participants", text)


def source(row: Row, item: EmissionSource) -> None:
    """Record an error for a source that is neither counted nor excluded with a reason."""
    if (item.counted_by is None) == (item.reason is None):
        row.problem("counted_by", "a source has `counted_by`, or the `reason` why it is excluded")
    if item.reason and not reasoned(item.reason):
        row.problem("reason", f"{item.reason!r} is not a sentence; {WANTED}")


def shared(registry: Registry) -> Iterator[Finding]:
    """Yield warnings for survey data used by several projects: each needs its own survey."""
    of: dict[str, list[Project]] = {}
    for project in registry.projects.values():
        for item in project.surveys or ():
            if item.sha256 is not None and project not in of.setdefault(item.sha256, []):
                of[item.sha256].append(project)
    for sha256, projects in of.items():
        for project in projects[1:]:
            text = (
                f"surveys: the data {sha256[:12]}... are those of {projects[0].id}, too;"
                " survey each project's own population"
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


def check_declared(project: Project, devices: Mapping[str, Device]) -> Iterator[Finding]:
    """Yield errors of surveys, events, design, common meters and defaults with unknown names."""
    try:
        method = find(project.methodology, project.version)
    except MethodologyError:
        return  # another check reports it
    specs = method.parameters
    if project.design is not None:
        yield from _of_design(project, project.design, (*method.roles, *specs))
    for item in project.surveys or ():
        if item.parameter not in specs:
            known = ", ".join(specs)
            what = f"{item.parameter!r} is not a numeric parameter of {project.methodology}"
            text = f"surveys: {what}; known: {known}"
            yield Finding(project.kind, project.id, text)
    for shared in project.shared_meters or ():
        yield from _of_meter(project, shared, devices)
    kinds = factors.load().kinds()
    for published_default in project.defaults or ():
        if published_default.factor not in kinds:
            near = (
                ", ".join(get_close_matches(published_default.factor, kinds, 3))
                or "see docs/factors.md"
            )
            text = (
                f"defaults: no factor is of kind {published_default.factor!r}; did you mean {near}?"
            )
            yield Finding(project.kind, project.id, text)
    unknown = {name for e in project.events or () for name in e.devices if name not in devices}
    for name in sorted(unknown):
        text = f"events: device {name!r} is not registered; add it under `devices`"
        yield Finding(project.kind, project.id, text)


def _of_design(project: Project, own: Design, known: Sequence[str]) -> Iterator[Finding]:
    """
    Yield errors of a design: sources counted by an unknown role or parameter, and a crediting
    period that ends after the equipment would have been replaced.
    """
    for source in own.sources:
        if source.counted_by is not None and source.counted_by not in known:
            text = (
                f"design.sources: {source.counted_by!r} is not a monitored quantity of"
                f" {project.methodology};"
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


def versions(row: Row, item: Project) -> None:
    """Record errors for plan versions that appear twice."""
    names = [version.name for version in item.monitoring or ()]
    for name in sorted({n for n in names if names.count(n) > 1}):
        row.problem(
            "monitoring", f"version {name!r} appears twice; use a different number for each version"
        )


def version(row: Row, item: Version) -> None:
    """Record errors of a version of a plan."""
    if not item.lines and not row.problems:
        row.problem("lines", "is missing or empty; enter a line for each role")
    procedures: Mapping[str, object] = item.procedures
    for key, text in procedures.items():
        if not isinstance(text, str):
            row.problem("procedures", f"{key} = {text!r} must be text, in quotes")
    begins = row.day("from")
    if begins and item.ends and item.ends <= begins:
        row.problem("to", f"{item.ends} is not after from: {begins}")
    by = item.approval.by if item.approval else ""
    if by.split() and by.casefold().split() == item.responsible.casefold().split():
        row.problem(
            "approval", f"by {by!r} is responsible for the plan; enter the body that approved it"
        )


def approval(row: Row, item: Approval) -> None:
    """Record an error if the decision has a date in the future."""
    if not row.problems and item.day > datetime.now(UTC).date():
        row.problem("date", f"{item.day} is in the future; enter the decision after its date")


def rewritten(stored: tuple[Version, ...], values: tuple[Version, ...] | None) -> Iterator[str]:
    """Yield errors for stored plan versions that a file would change."""
    known = {version.name: version for version in stored}
    for version in values or ():
        before = known.get(version.name)
        if before is None:
            continue
        approval = version.approval or before.approval
        if before.approval not in (None, approval):
            yield (
                f"monitoring: the stored approval of version {version.name!r} is different, and"
                " cannot be changed; for another decision, add another version"
            )
        elif replace(version, approval=approval, entered=before.entered) != replace(
            before, approval=approval
        ):
            yield (
                f"monitoring: the stored version {version.name!r} is different, and cannot be"
                " changed; add another version with its own `from`"
            )


def without_kind(stored: tuple[Version, ...], values: tuple[Version, ...] | None) -> Iterator[str]:
    """
    Yield errors for new plan versions of the wrong kind.

    Also for deviations without an end, and for other versions with one.
    """
    known = {version.name for version in stored}
    every = sorted((*stored, *(v for v in values or () if v.name not in known)), key=_begins)
    for version in every:
        if (version.kind == DEVIATION) != (version.ends is not None):
            yield (
                f"monitoring: version {version.name!r}: `to` is required for a"
                f" {DEVIATION}, and not allowed in another version"
            )
    for version in every[1:]:
        if version.kind == REGISTERED and version.name not in known:
            yield (
                f"monitoring: version {version.name!r} follows version {every[0].name!r} and cannot"
                " be"
                f" {REGISTERED!r}; write one of {', '.join(KINDS[1:])}"
            )


def _begins(version: Version) -> date:
    return version.begins


def check_plans(project: Project, devices: Mapping[str, Device]) -> Iterator[Finding]:
    """Yield errors and warnings on plan versions, by the project's methodology and meters."""
    meters = {
        d.device: meter(
            devices[d.device].class_id,
            devices[d.device].profile,
            devices[d.device].calibrations or (),
        )
        for d in project.devices
    }
    method = project.methodology, project.version
    try:
        find(*method)
    except MethodologyError:
        return  # another check reports it
    bases = {d.device: devices[d.device].attributes.get("gas_basis") for d in project.devices}
    given = {device: basis for device, basis in bases.items() if basis}
    every = [(d.device, d.role) for d in project.devices]
    for wrong in wet_gas(*method, every, given):
        yield Finding(project.kind, project.id, f"devices: {wrong}", warning=True)
    versions = sorted(project.monitoring or (), key=lambda v: v.begins)
    for number, version in enumerate(versions):
        ends = versions[number + 1].begins if number + 1 < len(versions) else project.crediting_to
        begins = max(version.begins, project.crediting_from)
        bound = [
            (d.device, d.role)
            for d in project.devices
            if (d.from_date or project.crediting_from) < max(ends, begins)
            and (d.to_date or project.crediting_to) > begins
        ]
        for name in blank(version, surveyed=bool(project.surveys)):
            words = f"monitoring version {version.name}: procedures has no {name!r}; describe it"
            yield Finding(project.kind, project.id, words, warning=True)
        for wrong in departures(version, method, bound, meters):
            yield _finding(project, version, wrong, warning=False)
        for wrong in (*seldom(version, method), *imprecise(version, method, meters, bound)):
            yield _finding(project, version, wrong, warning=True)


def _finding(project: Project, version: Version, wrong: Text, *, warning: bool) -> Finding:
    words = f"monitoring version {version.name}: {wrong}"
    return Finding(project.kind, project.id, words, warning=warning)


def document_of(name: str, given: str | Mapping[str, Any]) -> Document:
    """Return the document of a parameter from a project's `documents`."""
    if isinstance(given, str):
        return Document(name, given)
    return Document(
        name,
        given["document"],
        given.get("by"),
        date.fromisoformat(issued) if (issued := given.get("issued")) else None,
        given.get("sha256"),
        signed=given.get(SIGNED),
        valid_until=date.fromisoformat(until) if (until := given.get(UNTIL)) else None,
        **_stated_values(given.get(STATED)),
    )


def _stated_values(given: str | Mapping[str, str] | None) -> dict[str, Any]:
    if given is None:
        return {}
    if isinstance(given, str):
        return {"value": Fraction(given)}
    return {"by_device": {device: Fraction(text) for device, text in given.items()}}
