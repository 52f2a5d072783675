"""
The plan extract of a period: what the registry said of project and meters.

An extract, so that a pack can be checked without the registry: the project and
its devices of the period, meter swaps, certificates, check meters, the versions
of the monitoring plan in force, invoices, what earlier periods left below zero,
and the figures of other statements that this one is compared with.  Numbers with
decimals stand as text; what is empty is left out, but for the oldest keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import msgspec

from ingest.model import Device, Fleet, QualityLimits, Replacement
from mrv.calendar import instant_us, utc_text
from mrv.documents.form import UNSET, UnsetType, read, write
from mrv.documents.plan import (
    BoundDevice,
    CarriedIn,
    DeviceExtract,
    FixedAsIssued,
    MeterReplaced,
    PlaceExtract,
    PlanExtract,
    PlanVersionWhole,
    ProjectExtract,
    QualityLimited,
    RatedFrom,
    RegistryCondition,
    Uncounted,
    UsageBefore,
)
from mrv.documents.statement import CalibrationShown, LaboratoryResult
from mrv.errors import CanonicalError, PeriodError
from mrv.registry.monitoring_plan import version_in, version_out
from mrv.registry.project import (
    EVIDENCE,
    FIRST,
    VERSIONS,
    Besides,
    Calibration,
    Certified,
    CheckMeter,
    FixedBefore,
    Invoice,
    Project,
    ProjectDevice,
    Sample,
    Usage,
)
from mrv.signatures.canonical import MAX_SAFE_INTEGER
from mrv.statement.plan_json import (
    arrivals_in,
    arrivals_out,
    certified_in,
    certified_out,
    check_meter_in,
    check_meter_out,
    earlier_in,
    invoice_named,
    invoice_of,
    span_in,
    span_out,
)

if TYPE_CHECKING:
    from mrv.documents.plan import SignedExtract, StatementFigures
    from mrv.registry.monitoring_plan import Version
    from mrv.statement.arrival import Arrivals

_DECIMAL = "$decimal"
# how inputs that only the plan holds are named (mrv/statement/registry_inputs)
PREFIX = "registry: "


@dataclass(frozen=True, slots=True)
class MonitoringPlan:
    """
    Registry extract of a period.

    Attributes
    ----------
    project : Project
        With the devices that serve it in the period, and no others.
    devices : tuple of Device
        Those devices and their check meters, by id; their places are the fleet
        indices of the evidence.
    serials : mapping of str to str or None
    calibrations : mapping of str to tuple of Calibration
    carried_ug : int
        What earlier periods left below zero, 0 or negative. [ug CO2e]
    carried_from : str or None
        The statement that left it, or several with commas.
    checks : tuple of CheckMeter
    versions : tuple of Version
        Of the project's own monitoring plan, in force within the period.
    invoices : tuple of Invoice
    earlier : tuple of StatementFigures
        `mrv.statement.prior_statements.figures` of the period before and of a year before.
    corrected : StatementFigures or None
        `mrv.statement.prior_statements.figures` of the statement that this one replaces.
    energy : tuple of str
        Roles that the design's energy is of (`mrv.accounting.design_cap.energy_roles`).
    unclaimed : tuple of (int, int)
        Spans before the period that no issued statement covers, though an earlier time
        has one. [us UTC]
    changed : tuple of str
        What was fixed ex ante and is another value than in the statement before.
    accounting : int
        Version of the rules of accounting.
    registry : tuple of RegistryCondition
        What of the registry does not hold.
    uncounted : mapping of str to str
        Devices that earn nothing until their registry is mended, and why.
    certified : mapping of (str, str) to tuple of Certified
        What certificates of energy certify, by device and quantity.
    ratings : mapping of str to tuple of (int, int)
        Rated powers from when on. [us UTC, W]
    meters : mapping of str to (maker, model)
    samples : tuple of Sample
        What laboratories found in the period.
    history : tuple of Usage
        What the project's issued statements of the last year used for its service.
    fixed : tuple of FixedBefore
        What was fixed ex ante otherwise than it is now.
    arrivals : mapping of str to mapping of str to Arrived, or None
        By device and local day; None where nobody counted.
    signed : SignedExtract or None
        Signed values of the period and keys of who signed; None where nobody looked.
    issue_signatures : int
        How many have to approve the issue; 1 where the preparer's own signature does.
    public_url : str or None
        Where anybody may ask whether the statement counts.
    """

    project: Project
    devices: tuple[Device, ...]
    serials: Mapping[str, str | None] = field(default_factory=dict)
    calibrations: Mapping[str, tuple[Calibration, ...]] = field(default_factory=dict)
    carried_ug: int = 0
    carried_from: str | None = None
    checks: tuple[CheckMeter, ...] = ()
    versions: tuple[Version, ...] = ()
    invoices: tuple[Invoice, ...] = ()
    earlier: tuple[StatementFigures, ...] = ()
    corrected: StatementFigures | None = None
    energy: tuple[str, ...] = ()
    unclaimed: tuple[tuple[int, int], ...] = ()
    changed: tuple[str, ...] = ()
    accounting: int = FIRST
    registry: tuple[RegistryCondition, ...] = ()
    uncounted: Mapping[str, str] = field(default_factory=dict)
    certified: Mapping[tuple[str, str], tuple[Certified, ...]] = field(default_factory=dict)
    ratings: Mapping[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    meters: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)
    samples: tuple[Sample, ...] = ()
    history: tuple[Usage, ...] = ()
    fixed: tuple[FixedBefore, ...] = ()
    arrivals: Arrivals | None = None
    signed: SignedExtract | None = None
    issue_signatures: int = 1
    public_url: str | None = None

    def besides(self) -> Besides:
        """Return what the period is held against beside its own readings."""
        return Besides(
            self.checks,
            self.invoices,
            tuple(map(earlier_in, self.earlier)),
            self.energy,
            self.accounting,
            self.ratings,
            self.uncounted,
            self.serials,
            self.samples,
            self.history,
            fixed=self.fixed,
            certified=self.certified,
        )

    def by_rules(self, accounting: int) -> MonitoringPlan:
        """Return the plan as an older version of the rules of accounting had it."""
        if accounting >= EVIDENCE:
            return self
        older = replace(
            self,
            accounting=accounting,
            devices=tuple(replace(d, quality=()) for d in self.devices),
            history=(),
            fixed=(),
            corrected=_as_before(self.corrected),
            arrivals=None,
            signed=None,
            issue_signatures=1,
            public_url=None,
        )
        if accounting > FIRST:
            return older
        none: Mapping[str, Any] = {}
        return replace(older, registry=(), uncounted=none, ratings=none, meters=none, samples=())

    def fleet(self) -> Fleet:
        """Return the devices as the pipeline takes them."""
        return Fleet(self.devices)

    def extract(self) -> PlanExtract:
        """Return the plan as `plan.json` holds it; what is empty is left out."""
        return PlanExtract(
            project=_project_out(self.project),
            devices=tuple(map(self._device_out, self.devices)),
            carried=CarriedIn(ug=str(self.carried_ug), from_=self.carried_from),
            check_meters=tuple(map(check_meter_out, self.checks)) or UNSET,
            monitoring=tuple(_version_out(one) for one in self.versions) or UNSET,
            invoices=tuple(map(invoice_named, self.invoices)) or UNSET,
            earlier=self.earlier or UNSET,
            corrected=self.corrected or UNSET,
            energy_roles=self.energy or UNSET,
            unclaimed=tuple(map(span_out, self.unclaimed)) or UNSET,
            changed_parameters=self.changed or UNSET,
            accounting=self.accounting if self.accounting > FIRST else UNSET,
            registry=self.registry or UNSET,
            uncounted=tuple(
                Uncounted(device=d, reason=text) for d, text in sorted(self.uncounted.items())
            )
            or UNSET,
            certified=certified_out(self.certified) or UNSET,
            laboratory=tuple(map(sample_out, self.samples)) or UNSET,
            history=tuple(map(_usage_out, self.history)) or UNSET,
            fixed_before=tuple(
                FixedAsIssued(
                    device=one.device,
                    parameter=one.parameter,
                    value=one.value,
                    statement=one.statement,
                )
                for one in self.fixed
            )
            or UNSET,
            arrivals=UNSET if self.arrivals is None else arrivals_out(self.arrivals),
            signed=UNSET if self.signed is None else self.signed,
            issue_signatures=self.issue_signatures if self.issue_signatures > 1 else UNSET,
            public_url=self.public_url or UNSET,
        )

    def to_json(self) -> dict[str, Any]:
        """Write the plan as canonical JSON can hold it: no floats."""
        return write(self.extract())

    def _device_out(self, device: Device) -> DeviceExtract:
        rated = device.rated_power_w
        return DeviceExtract(
            id=device.id,
            site=device.site,
            class_=device.class_id,
            profile=device.profile,
            gateway=device.gateway,
            rated_power_w=None if rated is None else str(rated),
            place=_place_out(device.place),
            installed=utc_text(device.installed_us),
            removed=_time_out(device.removed_us),
            serial=self.serials.get(device.id),
            replacements=tuple(
                MeterReplaced(
                    channel=r.channel, at=utc_text(r.at_us), last=str(r.last), first=str(r.first)
                )
                for r in device.replacements
            ),
            calibrations=tuple(map(calibration_out, self.calibrations.get(device.id, ()))),
            maker=self.meters.get(device.id, (None, None))[0] or UNSET,
            model=self.meters.get(device.id, (None, None))[1] or UNSET,
            ratings=tuple(
                RatedFrom(from_=utc_text(us), rated_power_w=str(watt))
                for us, watt in self.ratings.get(device.id, ())
            )
            or UNSET,
            quality=tuple(
                QualityLimited(
                    channel=q.channel, from_=utc_text(q.from_us), limits=_values_out(q.limits)
                )
                for q in (device.quality if self.accounting >= EVIDENCE else ())
            )
            or UNSET,
        )


def _place_out(place: tuple[float, float] | None) -> PlaceExtract | UnsetType:
    """Write a place as the shortest texts that read as the same numbers."""
    if place is None:
        return UNSET
    latitude, longitude = map(repr, map(float, place))
    return PlaceExtract(latitude=latitude, longitude=longitude)


def _place_in(record: PlaceExtract | UnsetType) -> tuple[float, float] | None:
    return None if record is UNSET else (float(record.latitude), float(record.longitude))


def _as_before(corrected: StatementFigures | None) -> StatementFigures | None:
    """Leave out what older rules did not compare."""
    if corrected is None or not corrected.inputs:
        return corrected
    kept = tuple(one for one in corrected.inputs if not one.name.startswith(PREFIX))
    return msgspec.structs.replace(corrected, inputs=kept)


def _usage_out(one: Usage) -> UsageBefore:
    return UsageBefore(
        statement=one.statement,
        from_=utc_text(one.from_us),
        to=utc_text(one.to_us),
        used=str(one.used),
        served=str(one.served),
    )


def _usage_in(one: UsageBefore) -> Usage:
    return Usage(one.statement, _time(one.from_), _time(one.to), int(one.used), int(one.served))


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
    )


def _sample_in(one: LaboratoryResult) -> Sample:
    return Sample(
        one.parameter,
        one.sample,
        date.fromisoformat(one.taken),
        Decimal(one.value),
        one.method,
        one.laboratory,
        one.sha256,
    )


def calibration_out(one: Calibration) -> CalibrationShown:
    """Write a certificate as plan and statement show it."""
    return CalibrationShown(
        certificate=one.certificate,
        performed=one.performed.isoformat(),
        valid_until=one.valid_until.isoformat(),
        accuracy_class=one.accuracy_class,
        max_error_percent=_number_out(one.max_error_percent),
        serial=one.serial or UNSET,
    )


def read_plan(record: Mapping[str, Any]) -> MonitoringPlan:
    """
    Read what `MonitoringPlan.to_json` wrote.

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
        project=_project_in(plan.project),
        devices=tuple(map(_device_in, devices)),
        serials={d.id: d.serial for d in devices},
        calibrations={d.id: tuple(map(_calibration_in, d.calibrations)) for d in devices},
        carried_ug=int(plan.carried.ug),
        carried_from=plan.carried.from_,
        checks=tuple(map(check_meter_in, plan.check_meters or ())),
        versions=tuple(version_in(write(one)) for one in plan.monitoring or ()),
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
        public_url=plan.public_url or None,
        uncounted={one.device: one.reason for one in plan.uncounted or ()},
        certified=certified_in(plan.certified or ()),
        ratings={
            d.id: tuple((_time(r.from_), int(r.rated_power_w)) for r in d.ratings)
            for d in devices
            if d.ratings
        },
        meters={d.id: (d.maker or None, d.model or None) for d in devices if d.maker or d.model},
    )


def _signatures(said: int | UnsetType) -> int:
    if said is UNSET:
        return 1
    if said < 2:  # noqa: PLR2004 - one is not written
        raise ValueError(f"{said} signatures of an issue; 2 or more are written")
    return said


def _known(accounting: int) -> int:
    if accounting not in VERSIONS:
        raise PeriodError(
            f"the period was closed by version {accounting} of the rules of accounting, this tonne"
            f" knows {', '.join(map(str, VERSIONS))}; use the tonne that made the pack, or a newer"
            " one"
        )
    return accounting


def _version_out(one: Version) -> PlanVersionWhole:
    return read(PlanVersionWhole, version_out(one), f"version {one.name} of the monitoring plan")


def _project_out(project: Project) -> ProjectExtract:
    return ProjectExtract(
        id=project.id,
        name=project.name,
        methodology=project.methodology,
        version=project.version,
        timezone=project.timezone,
        from_=utc_text(project.from_us),
        to=utc_text(project.to_us),
        parameters=_values_out(project.parameters),
        expected=_values_out(project.expected),
        action=project.action,
        devices=tuple(
            BoundDevice(
                device=d.device,
                role=d.role,
                params=_values_out(d.params),
                from_=utc_text(d.from_us),
                to=_time_out(d.to_us),
            )
            for d in project.devices
        ),
    )


def _project_in(record: ProjectExtract) -> Project:
    return Project(
        id=record.id,
        name=record.name,
        methodology=record.methodology,
        version=record.version,
        timezone=record.timezone,
        from_us=_time(record.from_),
        to_us=_time(record.to),
        parameters=_values_in(record.parameters),
        expected=_values_in(record.expected),
        action=record.action,
        devices=tuple(
            ProjectDevice(d.device, d.role, _values_in(d.params), _time(d.from_), _time_in(d.to))
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
        installed_us=_time(record.installed),
        removed_us=_time_in(record.removed),
        replacements=tuple(
            Replacement(r.channel, _time(r.at), int(r.last), int(r.first))
            for r in record.replacements
        ),
        quality=tuple(
            QualityLimits(q.channel, _time(q.from_), _floats(_values_in(q.limits)))
            for q in record.quality or ()
        ),
    )


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
    error = record.max_error_percent
    return Calibration(
        date.fromisoformat(record.performed),
        date.fromisoformat(record.valid_until),
        record.certificate,
        record.accuracy_class,
        None if error is None else Decimal(error),
        record.serial or None,
    )


def _number_out(value: Any) -> str | None:
    """Write a number as the text that was typed; a float as its shortest text."""
    if value is None:
        return None
    return repr(value) if isinstance(value, float) else str(value)


def _values_out(value: Any) -> Any:
    """Write parameters of any shape; a number that JSON readers might round as its text."""
    match value:
        case Mapping():
            return {name: _values_out(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_values_out(inner) for inner in value]
        case bool() | str() | None:
            return value
        case int() if abs(value) <= MAX_SAFE_INTEGER:
            return value
    return {_DECIMAL: _number_out(value)}


def _values_in(value: Any) -> Any:
    match value:
        case dict() if value.keys() == {_DECIMAL}:
            return Decimal(value[_DECIMAL])
        case dict():
            return {name: _values_in(inner) for name, inner in value.items()}
        case list():
            return [_values_in(inner) for inner in value]
    return value


def _time_out(us: int | None) -> str | None:
    return None if us is None else utc_text(us)


def _time(text: str) -> int:
    return instant_us(text, "UTC")


def _time_in(text: str | None) -> int | None:
    return None if text is None else _time(text)
