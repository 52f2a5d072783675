"""
Parts of the plan extract as in `plan.json`: project, versions, certificates, samples;
decimals as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mrv.calendar import instant_us, utc_text
from mrv.countries import country_of
from mrv.documents.form import UNSET, UnsetType, read
from mrv.documents.monitoring import (
    CalibrationShown,
    DesignDocument,
    LaboratoryResult,
    PlanApproval,
)
from mrv.documents.plan import (
    BoundDevice,
    ChangedAfterwards,
    PlaceExtract,
    PlanVersionWhole,
    ProjectExtract,
    UsageBefore,
)
from mrv.registry import monitoring_plan
from mrv.registry.calibration_interval import Interval, limited
from mrv.registry.declared import Calibration, Sample
from mrv.registry.monitoring_plan import Approval, Version
from mrv.registry.project import FIRST, ChangedLate, Document, Project, Usage
from mrv.rounding import decimal_of, exact_text
from mrv.signatures.canonical import MAX_SAFE_INTEGER

_DECIMAL = "$decimal"


def number_out(value: Any) -> str | None:
    """Return a number as the text entered; a float as its shortest text."""
    if value is None:
        return None
    return repr(value) if isinstance(value, float) else str(value)


def values_out(value: Any) -> Any:
    """Return parameters of any shape; a number that JSON readers might round as text."""
    match value:
        case Mapping():
            return {name: values_out(inner) for name, inner in value.items()}
        case list() | tuple():
            return [values_out(inner) for inner in value]
        case bool() | str() | None:
            return value
        case int() if abs(value) <= MAX_SAFE_INTEGER:
            return value
    return {_DECIMAL: number_out(value)}


def values_in(value: Any) -> Any:
    """Return parameters from `values_out`."""
    match value:
        case dict() if value.keys() == {_DECIMAL}:
            return decimal_of(value[_DECIMAL])
        case dict():
            return {name: values_in(inner) for name, inner in value.items()}
        case list():
            return [values_in(inner) for inner in value]
    return value


def time_out(us: int | None) -> str | None:
    """Return a time as JSON, or null if open. [us UTC]"""
    return None if us is None else utc_text(us)


def time_us(text: str) -> int:
    """Return a time. [us UTC]"""
    return instant_us(text, "UTC")


def time_in(text: str | None) -> int | None:
    """Return a time from `time_out`. [us UTC]"""
    return None if text is None else time_us(text)


def place_out(place: tuple[float, float] | None) -> PlaceExtract | UnsetType:
    """Return a location as the shortest texts of the same numbers."""
    if place is None:
        return UNSET
    latitude, longitude = map(repr, map(float, place))
    return PlaceExtract(latitude=latitude, longitude=longitude)


def usage_out(usage: Usage) -> UsageBefore:
    """Return the consumption of an earlier statement's service as JSON."""
    return UsageBefore(
        statement=usage.statement,
        from_=utc_text(usage.from_us),
        to=utc_text(usage.to_us),
        used=str(usage.used),
        served=str(usage.served),
    )


def sample_out(sample: Sample) -> LaboratoryResult:
    """Return a laboratory result as in plan and statement."""
    return LaboratoryResult(
        parameter=sample.parameter,
        sample=sample.sample,
        taken=sample.taken.isoformat(),
        value=str(sample.value),
        method=sample.method,
        laboratory=sample.laboratory,
        sha256=sample.sha256,
        signed=sample.signed or UNSET,
    )


def document_out(document: Document) -> DesignDocument:
    """Return the document of a design value as in plan and statement."""
    return DesignDocument(
        parameter=document.parameter,
        document=document.document,
        by=document.by,
        issued=None if document.issued is None else document.issued.isoformat(),
        sha256=document.sha256,
        value=UNSET if document.value is None else exact_text(document.value),
        by_device={k: exact_text(v) for k, v in document.by_device.items()} or UNSET,
        signed=document.signed or UNSET,
        valid_until=UNSET if document.valid_until is None else document.valid_until.isoformat(),
    )


def changed_late_out(change: ChangedLate) -> ChangedAfterwards:
    """Return changes made after the period began, as JSON."""
    return ChangedAfterwards(
        device=change.device,
        parameter=change.parameter,
        changed=utc_text(change.changed_us),
        by=change.by,
        before=UNSET if change.paper_only else change.before,
        was=UNSET if change.was is None else document_out(change.was),
        document=UNSET if change.document is None else document_out(change.document),
    )


def calibration_out(calibration: Calibration, interval: Interval | None = None) -> CalibrationShown:
    """Return a certificate as in plan and statement; in the statement with its interval."""
    (limit,) = limited([calibration], interval)
    return CalibrationShown(
        certificate=calibration.certificate,
        performed=calibration.performed.isoformat(),
        valid_until=calibration.valid_until.isoformat(),
        accuracy_class=calibration.accuracy_class,
        max_error_percent=number_out(calibration.max_error_percent),
        serial=calibration.serial or UNSET,
        due=limit.valid_until.isoformat() if limit is not calibration else UNSET,
        channel=calibration.channel or UNSET,
        found_error_percent=number_out(calibration.found_error_percent) or UNSET,
        last_test=calibration.last_test or UNSET,
        laboratory=calibration.laboratory or UNSET,
        accreditation=calibration.accreditation or UNSET,
    )


def approval_shown(approval: Approval) -> PlanApproval:
    """Return a programme's decision on a version."""
    return read(PlanApproval, monitoring_plan.approval_out(approval), "an approval of the plan")


def version_out(version: Version) -> PlanVersionWhole:
    """Return a version of the project's own monitoring plan."""
    return read(
        PlanVersionWhole,
        monitoring_plan.extract_out(version),
        f"version {version.name} of the monitoring plan",
    )


def project_out(project: Project, accounting: int) -> ProjectExtract:
    """Return a project and its devices; without country under the first rules."""
    return ProjectExtract(
        id=project.id,
        name=project.name,
        methodology=project.methodology,
        version=project.version,
        timezone=project.timezone,
        country=(country_of(project) if accounting > FIRST else None) or UNSET,
        grid=project.grid or UNSET,
        from_=utc_text(project.from_us),
        to=utc_text(project.to_us),
        parameters=values_out(project.parameters),
        expected=values_out(project.expected),
        action=project.action,
        devices=tuple(
            BoundDevice(
                device=d.device,
                role=d.role,
                params=values_out(d.params),
                from_=utc_text(d.from_us),
                to=time_out(d.to_us),
            )
            for d in project.devices
        ),
    )
