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


def usage_out(usage: Usage) -> UsageBefore:
    """Write what an earlier statement used for its service."""
    return UsageBefore(
        statement=usage.statement,
        from_=utc_text(usage.from_us),
        to=utc_text(usage.to_us),
        used=str(usage.used),
        served=str(usage.served),
    )


def sample_out(sample: Sample) -> LaboratoryResult:
    """Write a laboratory's result as plan and statement show it."""
    return LaboratoryResult(
        parameter=sample.parameter,
        sample=sample.sample,
        taken=sample.taken.isoformat(),
        value=str(sample.value),
        method=sample.method,
        laboratory=sample.laboratory,
        sha256=sample.sha256,
    )


def document_out(document: Document) -> DesignDocument:
    """Write what a value of the design stands in, as plan and statement show it."""
    return DesignDocument(
        parameter=document.parameter,
        document=document.document,
        by=document.by,
        issued=None if document.issued is None else document.issued.isoformat(),
        sha256=document.sha256,
        value=UNSET if document.value is None else exact_text(document.value),
        by_device={k: exact_text(v) for k, v in document.by_device.items()} or UNSET,
    )


def changed_late_out(changed_late: ChangedLate) -> ChangedAfterwards:
    """Write what was changed after the period began."""
    return ChangedAfterwards(
        device=changed_late.device,
        parameter=changed_late.parameter,
        changed=utc_text(changed_late.changed_us),
        by=changed_late.by,
        before=UNSET if changed_late.paper_only else changed_late.before,
        was=UNSET if changed_late.was is None else document_out(changed_late.was),
        document=UNSET if changed_late.document is None else document_out(changed_late.document),
    )


def calibration_out(calibration: Calibration, interval: Interval | None = None) -> CalibrationShown:
    """Write a certificate as plan and statement show it; the statement with its interval."""
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
    )


def approval_shown(approval: Approval) -> PlanApproval:
    """Write a programme's decision on a version."""
    return read(PlanApproval, monitoring_plan.approval_out(approval), "an approval of the plan")


def version_out(version: Version) -> PlanVersionWhole:
    """Write a version of the project's own monitoring plan."""
    return read(
        PlanVersionWhole,
        monitoring_plan.extract_out(version),
        f"version {version.name} of the monitoring plan",
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
