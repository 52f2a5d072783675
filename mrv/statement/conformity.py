"""Whether a period was monitored as its plan says, and as the methodology asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING

from ingest import classes, profiles
from mrv.accounting.period_result import Finding, PeriodResult
from mrv.calendar import local_date, utc_text
from mrv.documents.coded import text_in
from mrv.documents.form import UNSET
from mrv.documents.monitoring import Planned
from mrv.registry.monitoring_plan import Version, blank, called
from mrv.registry.plan_departures import Meter, departures, imprecise
from mrv.registry.project import FIRST, Calibration
from mrv.statement.implementation import as_designed
from mrv.texts import MOST_LINES, Text, devices_of, lines, text

if TYPE_CHECKING:
    from mrv.statement.plan_extract import MonitoringPlan

RULE = "PLN-01"
CONSECUTIVE = "PLN-02"
FIXED = "PAR-01"
# of an estimate, which changes no tonne
_ESTIMATES = ("PLN-01.full_load", "PLN-01.capacity")
_SAID = 500  # characters of a request that a finding repeats


def planned(plan: MonitoringPlan, role: str, device: str) -> Planned | None:
    """What the newest version in force says of a device in a role."""
    line = plan.versions[-1].line(role, device) if plan.versions else None
    if line is None:
        return None
    return Planned(
        version=plan.versions[-1].name,
        channel=line.channel,
        option=line.option,
        frequency=line.frequency,
        accuracy_class=line.accuracy_class,
        qa_qc=line.qa_qc,
        responsible=line.responsible,
        error_percent=UNSET if line.error_percent is None else str(line.error_percent),
    )


def condition(plan: MonitoringPlan, result: PeriodResult) -> Finding:
    """Compare a period with the versions of its plan."""
    if not plan.versions:
        return Finding(RULE, False, text("PLN-01.none"))
    first = local_date(result.from_us, result.timezone)
    earliest = min(plan.versions, key=lambda v: v.begins)
    found = list[Text]()
    if earliest.begins > first:
        begins = str(earliest.begins)
        found.append(text("PLN-01.begins", version=earliest.name, begins=begins))
    if plan.accounting > FIRST:
        found += [each for one in plan.versions for each in _entered(one, first, result.timezone)]
    if plan.accounting > FIRST:
        found += as_designed(plan, result)
    found += [
        text("PLN-01.departs", version=version.name, wrong=wrong)
        for version in plan.versions
        for wrong in _departs(plan, version)
    ]
    # an estimate of another plant, or that none reaches, is a fault of the plan
    estimate = bool(found) and all(one.code in _ESTIMATES for one in found)
    return Finding(RULE, not found, lines(found), "observation" if estimate else "")


def _entered(one: Version, first: date, timezone: str) -> Iterator[Text]:
    """Say what a version lacks: approval, entry before the days that it counts for, procedures."""
    counts = max(first, one.begins)
    if one.approval is None:
        yield text("PLN-01.not_approved", version=one.name, kind=called(one.kind))
    # a date alone is typed at any time; the hash names the document that shows it
    approval = one.approval
    approved = approval is not None and bool(approval.sha256) and approval.day <= counts
    if one.entered is not None and not approved:
        entered = local_date(one.entered, timezone)
        if entered > counts:
            yield text(
                "PLN-01.entered_late", version=one.name, entered=str(entered), begin=str(counts)
            )
    if missing := blank(one):
        yield text("PLN-01.no_procedure", version=one.name, procedures=missing)


def since_before(plan: MonitoringPlan) -> Iterator[Finding]:
    """Name time left out since earlier statements, their forward actions, and what changed."""
    # the close names what an issued statement had, with what it comes to
    if plan.changed and plan.accounting == FIRST:
        yield Finding(FIXED, False, "; ".join(plan.changed))
    spans = [
        text("PLN-02.left_out", begin=utc_text(begin), end=utc_text(end))
        for begin, end in plan.unclaimed
    ]
    if spans and plan.accounting == FIRST:
        yield Finding(CONSECUTIVE, False, _as_0_1_0(plan.unclaimed))
    elif spans:
        yield Finding(CONSECUTIVE, False, (*lines(spans), text("PLN-02.close")))
    # each by itself: a verifier closes it with a reason of its own
    for one in plan.forward:
        yield Finding(
            CONSECUTIVE,
            False,
            text(
                "PLN-02.forward",
                finding=one.finding,
                statement=one.statement or text("PLN-02.validation"),
                said=one.text if len(one.text) <= _SAID else f"{one.text[:_SAID]}...",
            ),
        )


def _as_0_1_0(unclaimed: Sequence[tuple[int, int]]) -> str:
    """Return what tonne 0.1.0 signed of time that no statement covers."""
    spans = [f"{utc_text(begin)} to {utc_text(end)}" for begin, end in unclaimed]
    more = f", and {len(spans) - MOST_LINES} more" if len(spans) > MOST_LINES else ""
    return (
        f"no issued statement covers {', '.join(spans[:MOST_LINES])}{more}: what that time emitted"
        " more than it avoided would not be taken off; close and issue it too"
    )


def registered(plan: MonitoringPlan) -> Iterator[Finding]:
    """Return the findings of the registry's rules."""
    for one in plan.registry:
        texts = tuple(map(text_in, one.texts))
        yield Finding(one.rule, one.holds, texts, one.severity or "", devices=devices_of(texts))


def _departs(plan: MonitoringPlan, version: Version) -> Iterator[Text]:
    project = plan.project
    bound = [(d.device, d.role) for d in project.devices]
    meters = {
        d.id: meter(d.class_id, d.profile, plan.calibrations.get(d.id, ())) for d in plan.devices
    }
    yield from departures(version, (project.methodology, project.version), bound, meters)
    yield from imprecise(version, meters, bound)


def meter(class_id: str, profile: str, calibrations: Sequence[Calibration]) -> Meter:
    """Return what a plan is compared with of a device; registers as registry files name them."""
    device_class = classes.load().get(class_id)
    generic, own = (profiles.load().get((class_id, name)) for name in ("generic", profile))
    if device_class is None or generic is None or own is None:
        return Meter({}, calibrations)
    reads = {source.channel for source in own.channels.values()}
    quantities = {r.name: str(r.quantity) for r in device_class.registers if r.name in reads}
    return Meter(
        {
            source.path: quantities[source.channel]
            for source in generic.channels.values()
            if source.channel in quantities
        },
        calibrations,
    )
