"""Monitoring plans of projects in registry files: versions, entries, and checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime

from mrv.errors import MethodologyError
from mrv.methodologies import find
from mrv.registry.monitoring_plan import DEVIATION, KINDS, REGISTERED, Approval, Version, blank
from mrv.registry.plan_departures import departures, imprecise, seldom
from mrv.statement.conformity import meter, wet_gas
from mrv.texts import Text
from services.registry.entries import Device, Project
from services.registry.fields import Row
from services.registry.located import Finding


def versions(row: Row, item: Project) -> None:
    """Record versions of a project's plan that are given twice."""
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
    """Record a decision in the future."""
    if not row.problems and item.day > datetime.now(UTC).date():
        row.problem("date", f"{item.day} is in the future; enter the decision after its date")


def rewritten(stored: tuple[Version, ...], values: tuple[Version, ...] | None) -> Iterator[str]:
    """Yield stored versions that a file changes, and new ones without kind."""
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
    """Yield new versions without relation to earlier ones, or without end."""
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


def check(project: Project, devices: Mapping[str, Device]) -> Iterator[Finding]:
    """Yield errors of a plan's versions against the project's methodology and meters."""
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
        return  # said elsewhere
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
