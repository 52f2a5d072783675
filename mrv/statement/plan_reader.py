"""The plan extract read from `plan.json`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from ingest.model import Device, QualityLimits, Replacement
from mrv.countries import FIRST_COUNTRY
from mrv.documents.form import UNSET, UnsetType, read, text_in, write
from mrv.documents.monitoring import CalibrationShown, DesignDocument, LaboratoryResult
from mrv.documents.plan import (
    ChangedAfterwards,
    DeviceExtract,
    PlaceExtract,
    PlanExtract,
    ProjectExtract,
    UsageBefore,
)
from mrv.errors import CanonicalError, PeriodError
from mrv.registry.declared import Calibration, Declared, Sample
from mrv.registry.monitoring_plan import version_in
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
from mrv.rounding import decimal_of
from mrv.statement.plan_extract import MonitoringPlan
from mrv.statement.plan_json import (
    arrivals_in,
    asked_in,
    certified_in,
    check_meter_in,
    invoice_of,
    outside_in,
    span_in,
)
from mrv.statement.plan_writer import time_in, time_us, values_in


def read_plan(record: Mapping[str, Any]) -> MonitoringPlan:
    """
    Return the plan from `MonitoringPlan.to_json`.

    Raises
    ------
    CanonicalError
        If a key is missing or unknown or holds something else; it names the path.
    """
    plan = read(PlanExtract, record, "plan.json")
    try:
        return _plan_of(plan)
    except (ValueError, InvalidOperation, PeriodError) as bad:
        raise CanonicalError(
            f"plan.json is not a monitoring plan ({type(bad).__name__}: {bad}); get the pack again"
        ) from bad


def _plan_of(plan: PlanExtract) -> MonitoringPlan:
    devices = plan.devices
    return MonitoringPlan(
        project=_project_in(plan.project, _known(plan.accounting or FIRST)),
        devices=tuple(map(_device_in, devices)),
        serials={d.id: d.serial for d in devices},
        calibrations={d.id: tuple(map(_calibration_in, d.calibrations)) for d in devices},
        carried_ug=int(plan.carried.ug),
        carried_from=plan.carried.from_,
        checks=tuple(map(check_meter_in, plan.check_meters or ())),
        versions=tuple(version_in(write(one)) for one in plan.monitoring or ()),
        forward=plan.forward_actions or (),
        versions_before=tuple(version_in(write(one)) for one in plan.monitoring_before or ()),
        invoices=tuple(map(invoice_of, plan.invoices or ())),
        earlier=plan.earlier or (),
        corrected=plan.corrected or None,
        energy=plan.energy_roles or (),
        unclaimed=tuple(map(span_in, plan.unclaimed or ())),
        changed=plan.changed_parameters or (),
        accounting=_known(plan.accounting or FIRST),
        registry=plan.registry or (),
        samples=tuple(map(_sample_in, plan.laboratory or ())),
        history=tuple(map(_usage_in, plan.history or ())),
        fixed=tuple(
            FixedBefore(one.device, one.parameter, one.value, one.statement)
            for one in plan.fixed_before or ()
        ),
        arrivals=None if plan.arrivals is UNSET else arrivals_in(plan.arrivals),
        signed=None if plan.signed is UNSET else plan.signed,
        issue_signatures=_signatures(plan.issue_signatures),
        asked=asked_in(plan.evidence_asked),
        public_url=plan.public_url or None,
        accepted=plan.accepted_factors or (),
        documents=tuple(map(_document_in, plan.design_documents or ())),
        excluded=tuple(
            Excluded(one.device, one.rule, text_in(one.reason)) for one in plan.excluded or ()
        ),
        late=tuple(map(_changed_late_in, plan.changed_late or ())),
        replaced=tuple(
            (invoice_of(one.invoices[0]), invoice_of(one.invoices[1]), one.reason)
            for one in plan.replaced_invoices or ()
        ),
        outside=tuple(map(outside_in, plan.outside_period or ())),
        clocks={
            one.device: Clocked(int(one.told_h), int(one.passed_h)) for one in plan.clocks or ()
        },
        certified=certified_in(plan.certified or ()),
        ratings={
            d.id: tuple((time_us(r.from_), int(r.rated_power_w)) for r in d.ratings)
            for d in devices
            if d.ratings
        },
        meters={d.id: (d.maker or None, d.model or None) for d in devices if d.maker or d.model},
        points={d.id: (d.point or None, d.feeds or ()) for d in devices if d.point or d.feeds},
        gas={d.id: d.gas_basis for d in devices if d.gas_basis},
        calibrated_every={
            d.id: d.calibration_every for d in devices if d.calibration_every is not UNSET
        },
        declared=plan.declared or Declared(),
        common=plan.common_meters or (),
        row_signers=plan.row_signers or (),
    )


def _signatures(said: int | UnsetType) -> int:
    if said is UNSET:
        return 1
    if said < 2:  # noqa: PLR2004 - one is not written
        raise ValueError(f"{said} signatures to issue; the number must be 2 or more")
    return said


def _known(accounting: int) -> int:
    if accounting not in VERSIONS:
        raise PeriodError(
            f"the period was closed by version {accounting} of the accounting rules, "
            f"but this version of tonne supports {', '.join(map(str, VERSIONS))}; "
            "use the version that made the pack, or a newer one"
        )
    return accounting


def _country(record: ProjectExtract, accounting: int) -> str | None:
    """Return the project's country; the first rules knew the grid of one alone."""
    if isinstance(record.country, str):
        return record.country
    return FIRST_COUNTRY if accounting == FIRST else None


def _project_in(record: ProjectExtract, accounting: int) -> Project:
    return Project(
        id=record.id,
        name=record.name,
        methodology=record.methodology,
        version=record.version,
        timezone=record.timezone,
        country=_country(record, accounting),
        grid=record.grid or None,
        from_us=time_us(record.from_),
        to_us=time_us(record.to),
        parameters=values_in(record.parameters),
        expected=values_in(record.expected),
        action=record.action,
        devices=tuple(
            ProjectDevice(d.device, d.role, values_in(d.params), time_us(d.from_), time_in(d.to))
            for d in record.devices
        ),
    )


def _device_in(record: DeviceExtract) -> Device:
    rated = record.rated_power_w
    return Device(
        id=record.id,
        site=record.site,
        class_id=record.class_,
        profile=record.profile,
        gateway=record.gateway,
        rated_power_w=None if rated is None else int(rated),
        place=_place_in(record.place),
        installed_us=time_us(record.installed),
        removed_us=time_in(record.removed),
        replacements=tuple(
            Replacement(r.channel, time_us(r.at), int(r.last), int(r.first))
            for r in record.replacements
        ),
        quality=tuple(
            QualityLimits(q.channel, time_us(q.from_), _floats(values_in(q.limits)))
            for q in record.quality or ()
        ),
    )


def _place_in(record: PlaceExtract | UnsetType) -> tuple[float, float] | None:
    return None if record is UNSET else (float(record.latitude), float(record.longitude))


def _floats(value: Any) -> Any:
    """Limits as quality tests take them: what stands as decimal text was a float."""
    match value:
        case dict():
            return {name: _floats(inner) for name, inner in value.items()}
        case list():
            return [_floats(inner) for inner in value]
        case Decimal():
            return float(value)
    return value


def _calibration_in(record: CalibrationShown) -> Calibration:
    error, found = record.max_error_percent, record.found_error_percent
    return Calibration(
        date.fromisoformat(record.performed),
        date.fromisoformat(record.valid_until),
        record.certificate,
        record.accuracy_class,
        None if error is None else decimal_of(error),
        record.serial or None,
        record.channel or None,
        decimal_of(found) if isinstance(found, str) else None,
        bool(record.last_test),
    )


def _usage_in(one: UsageBefore) -> Usage:
    return Usage(one.statement, time_us(one.from_), time_us(one.to), int(one.used), int(one.served))


def _sample_in(one: LaboratoryResult) -> Sample:
    return Sample(
        one.parameter,
        one.sample,
        date.fromisoformat(one.taken),
        decimal_of(one.value),
        one.method,
        one.laboratory,
        one.sha256,
        one.signed or None,
    )


def _document_in(one: DesignDocument) -> Document:
    issued = None if one.issued is None else date.fromisoformat(one.issued)
    value = None if one.value is UNSET else Fraction(one.value)
    by_device = {k: Fraction(v) for k, v in (one.by_device or {}).items()}
    signed = one.signed or None
    return Document(
        one.parameter, one.document, one.by, issued, one.sha256, value, by_device, signed
    )


def _changed_late_in(one: ChangedAfterwards) -> ChangedLate:
    was, now = (
        None if paper is UNSET else _document_in(paper) for paper in (one.was, one.document)
    )
    before = None if one.before is UNSET else one.before
    return ChangedLate(
        one.device,
        one.parameter,
        before,
        time_us(one.changed),
        one.by,
        was,
        now,
        paper_only=one.before is UNSET,
    )
