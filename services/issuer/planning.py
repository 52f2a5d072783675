"""
Monitoring plans: a first draft, the meters' diagram, and due tasks.

Tasks are calibrations, surveys, samples, approvals of the plan, the next statement, forward
actions, and ends of registered versions and of the crediting period.  Each task has a day and a
responsible role; without a day it is open now.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from operator import itemgetter
from typing import Any, Literal, NamedTuple, get_args

import msgspec
from psycopg import Connection

from mrv.calendar import instant_us, local_date
from mrv.exports.registration import Registration
from mrv.methodologies import find
from mrv.model import Methodology
from mrv.registry import Declared, Sample, Survey
from mrv.registry.calibration import class_percent
from mrv.registry.calibration_interval import after
from mrv.registry.monitoring_plan import DEVIATION, PROCEDURES, Version, at
from mrv.registry.plan_departures import SURVEY_MONTHS, again, frequency_of
from mrv.registry.project import Project
from mrv.statement.conformity import meter, over_full_load
from mrv.statement.diagram import diagram, line_diagram
from mrv.texts import Text, render
from services.clock import now_us
from services.issuer.collect_evidence import plan_of
from services.issuer.further_evidence import open_actions
from services.registry import entries
from services.registry.entries import Registry
from services.registry.files import RETAINED, document
from services.registry.located import dump
from services.store.registry import load as registry
from services.store.registry import programme
from services.store.registry.entries_from_rows import SAMPLES, load_registry, load_versions
from services.store.registry.load import load_project
from services.store.statements import statements
from services.store.views.coverage import estimates
from services.store.views.programme_report import report_document

Kind = Literal[
    "calibration", "survey", "sample", "statement", "verification", "issue", "approval",
    "deviation", "forward_action", "anomaly", "registered_version", "crediting_period",
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)
State = Literal["overdue", "open", "soon", "later"]
SOON = timedelta(days=60)
# next step in each state of a statement that is not issued yet, and its role
_NEXT: dict[str, tuple[Kind, str]] = {
    "draft": ("statement", "operator"),
    "submitted": ("verification", "verifier"),
    "under_verification": ("verification", "verifier"),
    "verified": ("issue", "operator"),
}


class Due(NamedTuple):
    """Due task: kind, subject, last local day, and responsible role."""

    kind: Kind
    what: str
    day: date | None
    responsible: str | None

    def state(self, today: date) -> State:
        """Return whether the task's day is past, near or later; open if it has none."""
        if self.day is None:
            return "open"
        return "overdue" if self.day < today else "soon" if self.day <= today + SOON else "later"


@dataclass(frozen=True, slots=True)
class _PlanData:
    """Project with its plan data on its current local day."""

    project: Project
    versions: Sequence[Version]
    declared: Declared
    today: date

    @property
    def plan(self) -> Version | None:
        """Return the version in force; before the first one begins, the first one."""
        first = min(self.versions, key=lambda version: version.begins, default=None)
        return at(self.versions, self.today) or first

    def responsible(self, parameter: str = "", device: str | None = None) -> str | None:
        """Return the role responsible for a parameter or a meter, by the plan."""
        if self.plan is None:
            return None
        line = self.plan.line(parameter, device or "")
        return self.plan.responsible if line is None else line.responsible

    def next(self, parameter: str, last: date, months: int | None) -> date | None:
        """
        Return the day on which a parameter is due again; None if it is not repeated.

        `months`: interval of the methodology, for a parameter without one in the plan; None if
        none.
        """
        method = find(self.project.methodology, self.project.version)
        return again(self.plan, parameter, method, last, months)


def due(conn: Connection, project: str) -> tuple[date, list[Due]]:
    """
    Return a project's current local day and its due tasks: open ones first, then by day.

    Raises RegistryError if the project is unknown.
    """
    result = load_project(conn, project)
    (declared,) = conn.execute(
        "SELECT declared FROM project WHERE id = %s", [project]
    ).fetchone() or (None,)
    known = _PlanData(
        result,
        load_versions(conn).get(project, ()),
        Declared() if declared is None else msgspec.convert(declared, Declared),
        local_date(now_us(), result.timezone),
    )
    rows = [
        *_calibrations(conn, known),
        *_repeated(known, "survey", known.declared.surveys, SURVEY_MONTHS),
        *_repeated(known, "sample", SAMPLES.load(conn, [project])[project], None),
        *_plan(known),
        *_statements(conn, known),
        *_registered(conn, known),
    ]
    return known.today, sorted(
        rows, key=lambda row: (row.day or date.min, KINDS.index(row.kind), row.what)
    )


def rows_json(rows: Sequence[Due], today: date) -> list[dict[str, str | None]]:
    """Return due tasks as JSON objects."""
    return [
        {"kind": row.kind, "what": row.what, "due": None if row.day is None else str(row.day),
         "state": row.state(today), "responsible": row.responsible}
        for row in rows
    ]  # fmt: skip


def _calibrations(conn: Connection, known: _PlanData) -> Iterator[Due]:
    """Yield each meter's next calibration: the first day that no certificate covers."""
    rows = conn.execute(
        "SELECT DISTINCT ON (device_id) device_id, role, valid_until FROM v_calibration_due"
        " WHERE project_id = %s ORDER BY device_id, role",
        [known.project.id],
    )
    for device, role, until in rows:
        yield Due("calibration", device, until, known.responsible(role, device))


def _repeated(
    known: _PlanData, kind: Kind, rows: Iterable[Survey | Sample], months: int | None
) -> Iterator[Due]:
    """Yield the next survey or sample of each parameter; a sample only if one is required."""
    last: dict[str, date] = {}
    for row in rows:
        last[row.parameter] = max(row.taken, last.get(row.parameter, row.taken))
    for parameter, taken in last.items():
        day = known.next(parameter, taken, months)
        if day is not None or kind == "survey":
            yield Due(kind, parameter, day, known.responsible(parameter))


def _plan(known: _PlanData) -> Iterator[Due]:
    for version in known.versions:
        if version.approval is None:
            yield Due("approval", version.name, None, version.responsible)
        if version.kind == DEVIATION and version.ends is not None and version.ends > known.today:
            yield Due("deviation", version.name, version.ends, version.responsible)
    for event in known.declared.events:
        if event.what == "anomaly" and event.resolved is None:
            what = f"{', '.join(event.devices)}, {event.begins}"
            yield Due("anomaly", what, None, event.by or known.responsible())


def _statements(conn: Connection, known: _PlanData) -> Iterator[Due]:
    """Yield the next statement, of the last one's length, and the next steps of open statements."""
    project = known.project
    every = statements.all_of(conn, project.id)
    issued = [stored for stored in every if stored.state == "issued"]
    end_us = max((stored.to_us for stored in issued), default=project.from_us)
    for stored in every:
        if (step := _NEXT.get(stored.state)) and stored.to_us > end_us:
            kind, role = step
            yield Due(kind, stored.id, None, role)
    last = max(issued, key=lambda stored: stored.to_us, default=None)
    begin = local_date(end_us, project.timezone)
    if last is None:
        yield Due("statement", f"{begin} ..", None, known.responsible())
    elif end_us < project.to_us:
        end = _end_of_next(local_date(last.from_us, project.timezone), begin)
        last_day = end - timedelta(days=1)
        yield Due("statement", f"{begin} .. {last_day}", end, known.responsible())
    for action in open_actions(conn, project.id, now_us()):
        what = f"{action.finding} ({action.statement})" if action.statement else action.finding
        yield Due("forward_action", what, None, known.responsible())


def _end_of_next(first: date, begin: date) -> date:
    """Return the end of the next period: as many months as [first, begin), or as many days."""
    months = (begin.year - first.year) * 12 + begin.month - first.month
    return after(begin, months) if months and begin.day == first.day else begin + (begin - first)


def unfit_plans(conn: Connection, project: str | None = None) -> dict[str, Text]:
    """Return the errors of ex-ante estimates that exceed the plant's full load, by project."""
    texts = {name: over_full_load(*row) for name, *row in estimates(conn, project)}
    return {name: error for name, error in texts.items() if error is not None}


def programme_report(conn: Connection, year: int | None, language: str = "en") -> dict[str, Any]:
    """
    Return the programme's report for a year (None: all years) as a JSON object.

    It includes errors of ex-ante estimates.
    """
    report, errors = report_document(conn, year, language), unfit_plans(conn)
    for own in (*(item["projects"] for item in report["systems"]), report["without_system"]):
        for item in own:
            error = errors.get(item["project"])
            item["plan_error"] = None if error is None else render(error, language)
    return report


def _registered(conn: Connection, known: _PlanData) -> Iterator[Due]:
    """Yield the ends of versions registered by the programme, and of the crediting period."""
    for entered in programme.load_entered(conn):
        record = entered.record
        if isinstance(record, Registration) and record.project == known.project.id:
            versions = (*record.forms, *record.methodologies, *record.designs)
            for version in versions:
                replaced = any(v.name == version.name and v.since > version.since for v in versions)
                if version.until is not None and not replaced:
                    what = f"{version.name} {version.version}"
                    yield Due("registered_version", what, version.until, known.responsible())
    last_day = local_date(known.project.to_us - 1, known.project.timezone)
    yield Due("crediting_period", str(last_day), last_day, known.responsible())


_DAY_US = 86_400_000_000


def diagram_of(
    conn: Connection, project_id: str, begin: str | None = None, *, single_line: bool = False
) -> str | None:
    """
    Return a diagram (SVG text) of a project's meters on a local day.

    `single_line`: the single-line diagram in place of the data flow; None if no meter has `feeds`.

    `begin`: the day, such as 2026-01-31; by default today, limited to the crediting period.  Raises
    RegistryError if the project is unknown.
    """
    project = registry.load_project(conn, project_id)
    if begin is None:
        us = min(max(now_us(), project.from_us), project.to_us - _DAY_US)
    else:
        us = instant_us(begin, project.timezone)
    plan = plan_of(conn, project_id, us, us + _DAY_US)
    return line_diagram(plan) if single_line else diagram(plan)


_HEAD = """\
# Complete each empty entry (''), and add the programme's decision as `approval`, for example:
#   responsible: Energy manager                  a role, not a person
#   approval: {by: Joint Committee, date: 2025-12-15, reference: JC-2025-17, sha256: ..}
#   organisation: the operator reads the meters
#   data flow: meter to gateway to tonne, four times an hour
#   emergency: a failed meter is replaced within a week
#   missing data: no reduction is credited
#   retention: ten years
#   qa_qc: compared with the monthly invoice
"""


def draft_of(conn: Connection, project_id: str) -> str:
    """
    Return a draft of a project's next plan version as a registry file.

    It has the lines and procedures of the last version, and accuracy classes (or errors) of
    certificates.  Entries that only the plant knows are empty; an import reports each empty entry.
    Data that an import keeps if a file omits them, such as documents, are omitted, so that an old
    draft does not overwrite newer ones.

    Raises RegistryError if the project is unknown.
    """
    registry.load_project(conn, project_id)  # called for its error, which lists the known projects
    stored = load_registry(conn)
    project = stored.projects[project_id]
    known = document(project)
    last = (known.get("monitoring") or [{}])[-1]
    planned = {line["parameter"] for line in last.get("lines", ())}
    version = {
        "version": str(len(project.monitoring or ()) + 1),
        **({} if not project.monitoring else {"kind": ""}),
        "from": project.crediting_from,
        "responsible": "",
        "reason": "first plan" if not project.monitoring else "",
        "procedures": dict.fromkeys(PROCEDURES, "") | last.get("procedures", {}),
        "lines": [
            *last.get("lines", ()),
            *(line for line in _lines(project, stored) if line["parameter"] not in planned),
        ],
    }
    needed = {key: value for key, value in known.items() if key not in RETAINED}
    return _HEAD + dump({"projects": [{**needed, "monitoring": [version]}]})


def _lines(project: entries.Project, stored: Registry) -> list[dict[str, Any]]:
    method = find(project.methodology, project.version)
    lines = []
    for role, need in method.roles.items():
        bound = [stored.devices[d.device] for d in project.devices if d.role == role]
        channels = {
            name
            for device in bound
            for name, quantity in meter(device.class_id, device.profile, ()).registers.items()
            if quantity == need.quantity
        }
        more = {"channel": min(channels, default="")}
        if need.quantity.startswith("energy"):
            more |= _least_accurate(bound)
        if bound:
            lines.append(_line(role, "C", method, **more))
    lines += [
        _line(name, spec.option, method) for name, spec in method.parameters.items() if spec.option
    ]
    return lines


def _least_accurate(devices: Iterable[entries.Device]) -> dict[str, str]:
    """
    Return `accuracy_class`: the largest class or error that the certificates of the meters state.

    Empty if a meter has no certificate with a class or error.
    """
    result: dict[str, str] = {}
    percent = Fraction(0)
    for device in devices:
        errors = [
            (of, name)
            for c in device.calibrations or ()
            for name in (c.accuracy_class or "", f"{c.max_error_percent} %")
            if (of := class_percent(name)) is not None
        ]
        if not errors:
            return {}
        of, name = max(errors, key=itemgetter(0))
        if of > percent:
            result, percent = {"accuracy_class": name}, of
    return result


def _line(parameter: str, option: str, method: Methodology, **more: str) -> dict[str, Any]:
    return {
        "parameter": parameter,
        "option": option,
        "frequency": frequency_of(parameter, method) or "continuous",
        **more,
        "qa_qc": "",
        "responsible": "",
    }
