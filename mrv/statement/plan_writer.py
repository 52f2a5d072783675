"""Parts of the plan extract as `plan.json` holds them: project, versions, certificates, samples."""

from __future__ import annotations

from mrv.calendar import utc_text
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
from mrv.registry.monitoring_plan import Approval, Version
from mrv.registry.project import FIRST, Calibration, ChangedLate, Document, Project, Sample, Usage
from mrv.rounding import exact_text
from mrv.statement.plan_values import number_out, time_out, values_out


def place_out(place: tuple[float, float] | None) -> PlaceExtract | UnsetType:
    """Write a place as the shortest texts that read as the same numbers."""
    if place is None:
        return UNSET
    latitude, longitude = map(repr, map(float, place))
    return PlaceExtract(latitude=latitude, longitude=longitude)


def usage_out(one: Usage) -> UsageBefore:
    """Write what an earlier statement used for its service."""
    return UsageBefore(
        statement=one.statement,
        from_=utc_text(one.from_us),
        to=utc_text(one.to_us),
        used=str(one.used),
        served=str(one.served),
    )


def sample_out(one: Sample) -> LaboratoryResult:
    """Write a laboratory's result as plan and statement show it."""
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
    """Write what a value of the design stands in, as plan and statement show it."""
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
    """Write what was changed after the period began."""
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
    """Write a certificate as plan and statement show it; the statement with its interval."""
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
    """Write a programme's decision on a version."""
    return read(PlanApproval, monitoring_plan.approval_out(one), "an approval of the plan")


def version_out(one: Version) -> PlanVersionWhole:
    """Write a version of the project's own monitoring plan."""
    return read(
        PlanVersionWhole,
        monitoring_plan.extract_out(one),
        f"version {one.name} of the monitoring plan",
    )


def project_out(project: Project, accounting: int) -> ProjectExtract:
    """Write a project and who serves it; the first rules named no country."""
    return ProjectExtract(
        id=project.id,
        name=project.name,
        methodology=project.methodology,
        version=project.version,
        timezone=project.timezone,
        country=(country_of(project) if accounting > FIRST else None) or UNSET,
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
