"""Monitoring plans of projects in registry files: versions, entries, and checks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from mrv.errors import MethodologyError
from mrv.methodologies import find
from mrv.registry.monitoring_plan import (
    DEVIATION,
    KINDS,
    REGISTERED,
    Approval,
    Kind,
    Line,
    Version,
    approval_out,
    blank,
)
from mrv.registry.plan_departures import departures, imprecise, seldom
from mrv.statement.conformity import meter, wet_gas
from mrv.texts import Text
from services.registry.entries import Device, Project
from services.registry.fields import Row
from services.registry.located import Finding

_HASH = re.compile(r"^[0-9a-f]{64}$")
_KEYS = ("parameter", "device", "channel", "option", "frequency", "accuracy_class", "qa_qc",
         "responsible", "error_percent")  # fmt: skip
# by which a plan may correct a reading [%]; more is not an error of a meter
_MOST_PERCENT = 50


def versions(row: Row) -> tuple[Version, ...] | None:
    """Return the versions in a project's `monitoring`; None if the file omits it."""
    rows = row.rows("monitoring")
    if rows is None:
        return None
    result = tuple(_version(row) for row in rows)
    for item in rows:
        row.problems.extend(item.problems)
    names = [version.name for version in result]
    for name in sorted({n for n in names if names.count(n) > 1}):
        row.problem("monitoring", f"version {name!r} is given twice; number them")
    return result


def _version(row: Row) -> Version:
    row.only(
        "version", "kind", "from", "to", "approval", "responsible", "reason", "procedures", "lines"
    )
    lines = row.rows("lines") or []
    result = tuple(_line(row) for row in lines)
    for line in lines:
        row.problems.extend(line.problems)
    if not lines and not row.problems:
        row.problem("lines", "is missing or empty; enter a line for each role")
    procedures = row.mapping("procedures")
    for key, text in procedures.items():
        if not isinstance(text, str):
            row.problem("procedures", f"{key} = {text!r} must be text, in quotes")
    kind = _kind(row)
    ends = row.day("to")
    begins = row.day("from")
    if begins is not None and ends is not None and ends <= begins:
        row.problem("to", f"{ends} is not after from: {begins}")
    approval = _approval(row)
    responsible = row.text("responsible")
    if approval is not None and _same(approval.by, responsible):
        row.problem("approval", f"by {approval.by!r} is who answers for the plan; name who decided")
    return Version(
        kind=kind,
        ends=ends,
        approval=approval,
        name=row.text("version"),
        begins=row.required("from", begins, "the local date from which it counts"),
        responsible=responsible,
        reason=row.text("reason"),
        procedures=procedures,
        lines=result,
    )


def _kind(row: Row) -> Kind:
    given = row.optional("kind") or REGISTERED
    known: Kind | None = next((kind for kind in KINDS if kind == given), None)
    if known is None:
        row.problem("kind", f"{given!r} must be one of {', '.join(KINDS)}")
    return known or REGISTERED


def _approval(row: Row) -> Approval | None:
    if not row.has("approval"):
        return None
    given = row.row("approval")
    given.only("by", "date", "reference", "sha256")
    day = given.required("date", given.day("date"), "the day of the decision")
    if day is not None and day > datetime.now(UTC).date():
        given.problem("date", f"{day} is in the future; enter the decision once it is taken")
    digest = given.optional("sha256")
    if digest is not None and not _HASH.match(digest):
        given.problem("sha256", f"{digest!r} is not a SHA-256 of 64 hexadecimal digits")
    approval = Approval(given.text("by"), day, given.text("reference"), digest)
    row.problems.extend(given.problems)
    return None if given.problems else approval


def _same(value: str, other: str) -> bool:
    return value.split() != [] and value.casefold().split() == other.casefold().split()


def _line(row: Row) -> Line:
    row.only(*_KEYS)
    error = row.number("error_percent", 0, _MOST_PERCENT)
    return Line(
        parameter=row.text("parameter"),
        device=row.identifier("device") if row.has("device") else None,
        channel=row.optional("channel"),
        option=row.text("option"),
        frequency=row.text("frequency"),
        accuracy_class=row.optional("accuracy_class"),
        qa_qc=row.text("qa_qc"),
        responsible=row.text("responsible"),
        error_percent=None if error is None else Decimal(error),
    )


def document(version: Version) -> dict[str, Any]:
    """Return a version with the keys of registry files."""
    lines = [
        {key: value for key in _KEYS if (value := getattr(line, key)) is not None}
        for line in version.lines
    ]
    result: dict[str, Any] = {"version": version.name}
    if version.kind != REGISTERED:
        result["kind"] = version.kind
    result["from"] = version.begins
    if version.ends is not None:
        result["to"] = version.ends
    if version.approval is not None:
        result["approval"] = approval_out(version.approval)
    return {
        **result,
        "responsible": version.responsible,
        "reason": version.reason,
        "procedures": dict(version.procedures),
        "lines": lines,
    }


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
                f"monitoring: version {version.name!r}: to is needed of a {DEVIATION}, and of no"
                " other version"
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
