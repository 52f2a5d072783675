"""Parts of the plan extract as in `plan.json`: project, versions, certificates, samples.

Values and times of the plan extract as JSON holds them: decimals as text, no floats.
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


def usage_out(one: Usage) -> UsageBefore:
    """Return the consumption of an earlier statement's service as JSON."""
    return UsageBefore(
        statement=one.statement,
        from_=utc_text(one.from_us),
        to=utc_text(one.to_us),
        used=str(one.used),
        served=str(one.served),
    )


def sample_out(one: Sample) -> LaboratoryResult:
    """Return a laboratory result as in plan and statement."""
    return LaboratoryResult(
        parameter=one.parameter,
        sample=one.sample,
        taken=one.taken.isoformat(),
        value=str(one.value),
        method=one.method,
        laboratory=one.laboratory,
        sha256=one.sha256,
        signed=one.signed or UNSET,
    )


def document_out(one: Document) -> DesignDocument:
    """Return the document of a design value as in plan and statement."""
    return DesignDocument(
        parameter=one.parameter,
        document=one.document,
        by=one.by,
        issued=None if one.issued is None else one.issued.isoformat(),
        sha256=one.sha256,
        value=UNSET if one.value is None else exact_text(one.value),
        by_device={k: exact_text(v) for k, v in one.by_device.items()} or UNSET,
        signed=one.signed or UNSET,
    )


def changed_late_out(one: ChangedLate) -> ChangedAfterwards:
    """Return changes made after the period began, as JSON."""
    return ChangedAfterwards(
        device=one.device,
        parameter=one.parameter,
        changed=utc_text(one.changed_us),
        by=one.by,
        before=UNSET if one.paper_only else one.before,
        was=UNSET if one.was is None else document_out(one.was),
        document=UNSET if one.document is None else document_out(one.document),
    )


def calibration_out(one: Calibration, interval: Interval | None = None) -> CalibrationShown:
    """Return a certificate as in plan and statement; in the statement with its interval."""
    (limit,) = limited([one], interval)
    return CalibrationShown(
        certificate=one.certificate,
        performed=one.performed.isoformat(),
        valid_until=one.valid_until.isoformat(),
        accuracy_class=one.accuracy_class,
        max_error_percent=number_out(one.max_error_percent),
        serial=one.serial or UNSET,
        due=limit.valid_until.isoformat() if limit is not one else UNSET,
        channel=one.channel or UNSET,
        found_error_percent=number_out(one.found_error_percent) or UNSET,
        last_test=one.last_test or UNSET,
    )


def approval_shown(one: Approval) -> PlanApproval:
    """Return a programme's decision on a version."""
    return read(PlanApproval, monitoring_plan.approval_out(one), "an approval of the plan")


def version_out(one: Version) -> PlanVersionWhole:
    """Return a version of the project's own monitoring plan."""
    return read(
        PlanVersionWhole,
        monitoring_plan.extract_out(one),
        f"version {one.name} of the monitoring plan",
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
