"""A project's monitoring plan in registry files: versions, lines, and what holds of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mrv.registry.monitoring_plan import Line, Version
from mrv.registry.plan_departures import departures, imprecise
from mrv.statement.conformity import meter
from mrv.texts import Text
from services.registry.entries import Device, Project
from services.registry.fields import Row
from services.registry.finding import Finding

_KEYS = ("parameter", "device", "channel", "option", "frequency", "accuracy_class", "qa_qc",
         "responsible")  # fmt: skip


def versions(row: Row) -> tuple[Version, ...] | None:
    """Read `monitoring` of a project; None where the file does not speak of it."""
    rows = row.rows("monitoring")
    if rows is None:
        return None
    found = tuple(_version(one) for one in rows)
    for one in rows:
        row.problems.extend(one.problems)
    names = [one.name for one in found]
    for name in sorted({n for n in names if names.count(n) > 1}):
        row.problem("monitoring", f"version {name!r} is given twice; number them")
    return found


def _version(row: Row) -> Version:
    row.only("version", "from", "responsible", "reason", "procedures", "lines")
    lines = row.rows("lines") or []
    found = tuple(_line(one) for one in lines)
    for one in lines:
        row.problems.extend(one.problems)
    if not lines and not row.problems:
        row.problem("lines", "is missing or empty; give a line for each role")
    procedures = row.mapping("procedures")
    for key, text in procedures.items():
        if not isinstance(text, str):
            row.problem("procedures", f"{key} = {text!r} must be text, in quotes")
    return Version(
        name=row.text("version"),
        begins=row.required("from", row.day("from"), "the local date from which it counts"),
        responsible=row.text("responsible"),
        reason=row.text("reason"),
        procedures=procedures,
        lines=found,
    )


def _line(row: Row) -> Line:
    row.only(*_KEYS)
    return Line(
        parameter=row.text("parameter"),
        device=row.identifier("device") if row.has("device") else None,
        channel=row.optional("channel"),
        option=row.text("option"),
        frequency=row.text("frequency"),
        accuracy_class=row.optional("accuracy_class"),
        qa_qc=row.text("qa_qc"),
        responsible=row.text("responsible"),
    )


def document(version: Version) -> dict[str, Any]:
    """Return a version with the keys of registry files."""
    lines = [
        {key: value for key in _KEYS if (value := getattr(line, key)) is not None}
        for line in version.lines
    ]
    return {
        "version": version.name,
        "from": version.begins,
        "responsible": version.responsible,
        "reason": version.reason,
        "procedures": dict(version.procedures),
        "lines": lines,
    }


def rewritten(stored: tuple[Version, ...], given: tuple[Version, ...] | None) -> list[str]:
    """Say which stored versions a file has otherwise: a plan is not rewritten."""
    known = {one.name: one for one in stored}
    return [
        f"monitoring: version {one.name!r} is stored and reads otherwise; a plan in force is not"
        " rewritten: leave it as it was and add another version with its own `from`"
        for one in given or ()
        if one.name in known and known[one.name] != one
    ]


def check(project: Project, devices: Mapping[str, Device]) -> Iterator[Finding]:
    """Hold the versions of a project's plan against its methodology and its meters."""
    meters = {
        d.device: meter(
            devices[d.device].class_id,
            devices[d.device].profile,
            devices[d.device].calibrations or (),
        )
        for d in project.devices
    }
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
        method = project.methodology, project.version
        for wrong in departures(version, method, bound, meters):
            yield _finding(project, version, wrong, warning=False)
        for wrong in imprecise(version, meters, bound):
            yield _finding(project, version, wrong, warning=True)


def _finding(project: Project, version: Version, wrong: Text, *, warning: bool) -> Finding:
    words = f"monitoring version {version.name}: {wrong}"
    return Finding(project.kind, project.id, words, warning=warning)
