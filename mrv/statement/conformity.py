"""Whether a period was monitored as its plan says, and as the methodology asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ingest import classes, profiles
from mrv.accounting.period_result import Finding, PeriodResult
from mrv.calendar import local_date, utc_text
from mrv.documents.coded import text_in
from mrv.documents.monitoring import Planned
from mrv.registry.monitoring_plan import Version
from mrv.registry.plan_departures import Meter, departures, imprecise
from mrv.registry.project import FIRST, Calibration

if TYPE_CHECKING:
    from mrv.statement.plan_extract import MonitoringPlan

RULE = "PLN-01"
CONSECUTIVE = "PLN-02"
FIXED, FACTORS = "PAR-01", "FAC-01"
_SHOWN = 5


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
    )


def condition(plan: MonitoringPlan, result: PeriodResult) -> Finding:
    """Hold a period against the versions of its plan; a condition as the methodology's own."""
    if not plan.versions:
        return Finding(
            RULE, False, "the project has none; `tonne plan draft` writes one to start from"
        )
    first = local_date(result.from_us, result.timezone)
    begins = plan.versions[0].begins
    found = [] if begins <= first else [f"version {plan.versions[0].name} begins on {begins}"]
    found += [f"version {v.name}: {text}" for v in plan.versions for text in _departs(plan, v)]
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return Finding(RULE, not found, "; ".join(found[:_SHOWN]) + more)


def since_before(plan: MonitoringPlan) -> Iterator[Finding]:
    """Name time that was left out since earlier statements, and what was fixed and changed."""
    # the close names what an issued statement had, with what it comes to
    if plan.changed and plan.accounting == FIRST:
        yield Finding(FIXED, False, "; ".join(plan.changed))
    spans = [f"{utc_text(begin)} to {utc_text(end)}" for begin, end in plan.unclaimed]
    if spans:
        more = f", and {len(spans) - _SHOWN} more" if len(spans) > _SHOWN else ""
        yield Finding(
            CONSECUTIVE,
            False,
            f"no issued statement covers {', '.join(spans[:_SHOWN])}{more}: what that time emitted"
            " more than it avoided would not be taken off; close and issue it too",
        )


def registered(plan: MonitoringPlan) -> Iterator[Finding]:
    """Name what the registry has to say of the period's meters."""
    for one in plan.registry:
        # factors of registry files that the account uses are named by the close
        if plan.accounting == FIRST or one.rule != FACTORS:
            yield Finding(one.rule, one.holds, tuple(map(text_in, one.texts)))


def _departs(plan: MonitoringPlan, version: Version) -> Iterator[str]:
    project = plan.project
    bound = [(d.device, d.role) for d in project.devices]
    meters = {
        d.id: meter(d.class_id, d.profile, plan.calibrations.get(d.id, ())) for d in plan.devices
    }
    yield from departures(version, (project.methodology, project.version), bound, meters)
    yield from imprecise(version, meters, bound)


def meter(class_id: str, profile: str, calibrations: Sequence[Calibration]) -> Meter:
    """Return what a plan is held against of a device; registers as registry files name them."""
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
