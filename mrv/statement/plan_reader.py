"""The plan extract read from `plan.json`."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from ingest.model import Device, Exchange, QualityLimits, Replacement
from mrv.countries import FIRST_COUNTRY
from mrv.documents import UNSET, UnsetType, read, text_in
from mrv.documents.monitoring import DesignDocument
from mrv.documents.plan import (
    ChangedAfterwards,
    DeviceExtract,
    PlaceExtract,
    PlanExtract,
    ProjectExtract,
)
from mrv.errors import CanonicalError, PeriodError
from mrv.registry import Calibration, Declared, Sample
from mrv.registry.project import (
    FIRST,
    VERSIONS,
    ChangedLate,
    Clocked,
    Document,
    Excluded,
    FixedBefore,
    Project,
    ProjectDevice,
    Usage,
)
from mrv.statement.plan_extract import MonitoringPlan
from mrv.statement.plan_writer import (
    arrivals_in,
    certified_in,
    check_meter_in,
    invoice_of,
    outside_in,
    registered,
    required_in,
    span_in,
    time_us,
    values_in,
    version_of,
)


def read_plan(record: Mapping[str, Any]) -> MonitoringPlan:
    """
    Return the plan from the result of `MonitoringPlan.to_json`.

    Raises CanonicalError, with the path of a key that is missing, unknown or of another type.
    """
    plan = read(PlanExtract, record, "plan.json")
    try:
        return _plan_of(plan)
    except (ValueError, InvalidOperation, PeriodError) as bad:
        raise CanonicalError(
            f"plan.json is not a monitoring plan ({type(bad).__name__}: {bad}); obtain the"
            f" pack again from its sender"
        ) from bad


def _plan_of(plan: PlanExtract) -> MonitoringPlan:
    devices = plan.devices
    return MonitoringPlan(
        project=_project_in(plan.project, _known(plan.accounting or FIRST)),
        devices=tuple(map(_device_in, devices)),
        serials={d.id: d.serial for d in devices},
        calibrations={
            d.id: tuple(registered(Calibration, c) for c in d.calibrations) for d in devices
        },
        carried_ug=int(plan.carried.ug),
        carried_from=plan.carried.from_,
        checks=tuple(map(check_meter_in, plan.check_meters or ())),
        versions=tuple(map(version_of, plan.monitoring or ())),
        forward=plan.forward_actions or (),
        versions_before=tuple(map(version_of, plan.monitoring_before or ())),
        invoices=tuple(map(invoice_of, plan.invoices or ())),
        earlier=plan.earlier or (),
        corrected=plan.corrected or None,
        energy=plan.energy_roles or (),
        unclaimed=tuple(map(span_in, plan.unclaimed or ())),
        changed=plan.changed_parameters or (),
        accounting=_known(plan.accounting or FIRST),
        registry=plan.registry or (),
        samples=tuple(registered(Sample, item) for item in plan.laboratory or ()),
        history=tuple(registered(Usage, item) for item in plan.history or ()),
        fixed=tuple(registered(FixedBefore, item) for item in plan.fixed_before or ()),
        arrivals=None if plan.arrivals is UNSET else arrivals_in(plan.arrivals),
        signed=None if plan.signed is UNSET else plan.signed,
        issue_signatures=_signatures(plan.issue_signatures),
        required=required_in(plan.evidence_asked),
        public_url=plan.public_url or None,
        accepted=plan.accepted_factors or (),
        documents=tuple(map(_document_in, plan.design_documents or ())),
        excluded=tuple(
            Excluded(excluded.device, excluded.rule, text_in(excluded.reason))
            for excluded in plan.excluded or ()
        ),
        late=tuple(map(_changed_late_in, plan.changed_late or ())),
        replaced=tuple(
            (invoice_of(invoice.invoices[0]), invoice_of(invoice.invoices[1]), invoice.reason)
            for invoice in plan.replaced_invoices or ()
        ),
        outside=tuple(map(outside_in, plan.outside_period or ())),
        clocks={
            clock.device: Clocked(int(clock.told_h), int(clock.passed_h))
            for clock in plan.clocks or ()
        },
        certified=certified_in(plan.certified or ()),
        ratings={
            d.id: tuple((time_us(r.from_), int(r.rated_power_w)) for r in d.ratings)
            for d in devices
            if d.ratings
        },
        meters={d.id: (d.maker or None, d.model or None) for d in devices if d.maker or d.model},
        points={d.id: (d.point or None, d.feeds or ()) for d in devices if d.point or d.feeds}
        | {
            c.main: (c.point or None, c.feeds or ())
            for c in plan.common_meters or ()
            if c.point or c.feeds
        },
        gas={d.id: d.gas_basis for d in devices if d.gas_basis},
        calibrated_every={
            d.id: d.calibration_every for d in devices if d.calibration_every is not UNSET
        },
        declared=plan.declared or Declared(),
        common=plan.common_meters or (),
        row_signers=plan.row_signers or (),
    )


def _signatures(number: int | UnsetType) -> int:
    if number is UNSET:
        return 1
    if number < 2:  # noqa: PLR2004 - one is not written
        raise ValueError(
            f"the plan requires {number} signatures for an issue; the number must be 2 or more"
        )
    return number


def _known(accounting: int) -> int:
    if accounting not in VERSIONS:
        raise PeriodError(
            f"the period was closed by version {accounting} of the accounting rules, "
            f"but this version of tonne supports {', '.join(map(str, VERSIONS))}; "
            "use the version that made the pack, or a newer one"
        )
    return accounting


def _country(record: ProjectExtract, accounting: int) -> str | None:
    """Return the project's country; in rule set 1 there was only one."""
    if isinstance(record.country, str):
        return record.country
    return FIRST_COUNTRY if accounting == FIRST else None


def _project_in(record: ProjectExtract, accounting: int) -> Project:
    return registered(
        Project,
        record,
        country=_country(record, accounting),
        parameters=values_in(record.parameters),
        expected=values_in(record.expected),
        devices=tuple(
            registered(ProjectDevice, bound, params=values_in(bound.params))
            for bound in record.devices
        ),
    )


def _device_in(record: DeviceExtract) -> Device:
    return registered(
        Device,
        record,
        class_id=record.class_,
        place=_place_in(record.place),
        replacements=tuple(registered(Replacement, item) for item in record.replacements),
        quality=tuple(
            registered(QualityLimits, item, limits=_floats(values_in(item.limits)))
            for item in record.quality or ()
        ),
        exchanged=tuple(
            registered(Exchange, item, other=item.with_) for item in record.exchanged_channels or ()
        ),
    )


def _place_in(record: PlaceExtract | UnsetType) -> tuple[float, float] | None:
    return None if record is UNSET else (float(record.latitude), float(record.longitude))


def _floats(value: Any) -> Any:
    """Return limits with decimal text converted to floats, for quality tests."""
    match value:
        case dict():
            return {name: _floats(inner) for name, inner in value.items()}
        case list():
            return [_floats(inner) for inner in value]
        case Decimal():
            return float(value)
    return value


def _document_in(document: DesignDocument) -> Document:
    by_device = {name: Fraction(value) for name, value in (document.by_device or {}).items()}
    return registered(Document, document, by_device=by_device)


def _changed_late_in(change: ChangedAfterwards) -> ChangedLate:
    was, now = (
        None if paper is UNSET else _document_in(paper) for paper in (change.was, change.document)
    )
    only, before = change.before is UNSET, change.before or None
    return registered(ChangedLate, change, before=before, was=was, document=now, paper_only=only)
