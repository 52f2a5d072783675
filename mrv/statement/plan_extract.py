"""
The plan extract of a period: registry data of project and meters.

With it a pack can be checked without the registry: the project and its devices of the period, meter
replacements, certificates, check meters, the versions of the monitoring plan in force, invoices,
negative balances of earlier periods, and figures of other statements for comparison.  Decimals are
text; empty keys are omitted, except the oldest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from ingest.model import Device, Fleet
from mrv.calendar import utc_text
from mrv.documents import UNSET, coded, write
from mrv.documents.monitoring import FactorAccepted
from mrv.documents.plan import (
    CarriedIn,
    ChannelsExchanged,
    ClockAhead,
    CommonMetered,
    DeviceExtract,
    ExcludedDevice,
    FixedAsIssued,
    ForwardAction,
    InvoiceReplaced,
    MeterReplaced,
    PlanExtract,
    QualityLimited,
    RatedFrom,
    RegistryCondition,
    RowSigner,
    SignedExtract,
    StatementFigures,
    UsageBefore,
)
from mrv.parameters import USUAL, RequiredGrades
from mrv.registry import Calibration, Declared, Sample
from mrv.registry.monitoring_plan import Version, as_first
from mrv.registry.project import (
    FIRST,
    Certified,
    ChangedLate,
    CheckMeter,
    Clocked,
    Document,
    Excluded,
    FixedBefore,
    Invoice,
    MeteredOutside,
    Project,
    SupportingData,
    Usage,
)
from mrv.statement.device_days import Arrivals
from mrv.statement.plan_writer import (
    arrivals_out,
    as_document,
    calibration_out,
    certified_out,
    changed_late_out,
    check_meter_out,
    common_in,
    document_out,
    earlier_in,
    invoice_named,
    outside_out,
    place_out,
    project_out,
    required_out,
    sample_out,
    span_out,
    values_out,
    version_document,
)

# prefix of inputs that are in the plan only (`cross_check_json.registry_inputs`)
PREFIX = "registry: "

Point = tuple[str | None, tuple[str, ...]]
NOWHERE: Point = (None, ())


@dataclass(frozen=True, slots=True)
class MonitoringPlan:
    """
    Registry extract of a period.

    `project`: the project, with the devices that serve it in the period.
    `devices`: those devices and their check meters, by id; their positions are the fleet indices of
    the evidence.
    `carried_ug`: negative balance of earlier periods, 0 or below. [ug CO2e]
    `carried_from`: statements of that balance, separated by commas.
    `versions`: versions of the project's monitoring plan in force in the period.
    `versions_before`: versions that these correct, change or deviate from, not in force themselves.
    `earlier`: `mrv.statement.earlier_statements.figures` of the period before and of a year before.
    `corrected`: `mrv.statement.earlier_statements.figures` of the statement that this one replaces.
    `energy`: roles of the design's energy (`mrv.accounting.rounded_figures.energy_roles`).
    `unclaimed`: earlier spans without an issued statement, after the first issued one. [us UTC]
    `changed`: values fixed ex ante that differ from the previous statement.
    `accounting`: version of the rules of accounting.
    `registry`: registry rules that are not met.
    `excluded`: devices excluded until the registry is corrected, with rule and reason.
    `certified`: energy in certificates, by device and quantity.
    `ratings`: rated powers, each from a time on. [us UTC, W]
    `meters`: mapping of str to (maker, model).
    `samples`: laboratory results of the period.
    `history`: consumption and service in the project's issued statements of the last year.
    `fixed`: values fixed ex ante that differ from the present ones.
    `arrivals`: arrival of the readings by device and local day; None if not recorded.
    `signed`: signed values of the period and the signers' keys; None if not examined.
    `issue_signatures`: number of operators that must approve the issue; 1: the preparer's signature
    is sufficient.
    `public_url`: public address of the statement's status.
    `accepted`: factors of registry files with an acceptance.
    `documents`: design capacities of the plant.
    `clocks`: hours reported by readings of a device, and the fewer hours in which they arrived.
    `late`: values fixed ex ante that were changed after the period began.
    `replaced`: corrected invoices, each with its correction and the reason.
    `outside`: quantities metered in invoiced time outside the period.
    `points`: monitoring point of each device, and its loads.
    `gas`: gas basis of a device, `dry` or `wet`, where stated.
    `forward`: open requests of the validation and of earlier verifications.
    `calibrated_every`: interval of calibration by device, where the registry has one. [months]
    `required`: grades of evidence required by the programme.
    `declared`: surveys, events, the registered design, common meters.
    `common`: quantities of common meters and their users in the period.
    `row_signers`: signers of invoices, laboratory results or documents of the period.
    """

    project: Project
    devices: tuple[Device, ...]
    serials: Mapping[str, str | None] = field(default_factory=dict)
    calibrations: Mapping[str, tuple[Calibration, ...]] = field(default_factory=dict)
    carried_ug: int = 0
    carried_from: str | None = None
    checks: tuple[CheckMeter, ...] = ()
    versions: tuple[Version, ...] = ()
    versions_before: tuple[Version, ...] = ()
    invoices: tuple[Invoice, ...] = ()
    earlier: tuple[StatementFigures, ...] = ()
    corrected: StatementFigures | None = None
    energy: tuple[str, ...] = ()
    unclaimed: tuple[tuple[int, int], ...] = ()
    changed: tuple[str, ...] = ()
    accounting: int = FIRST
    registry: tuple[RegistryCondition, ...] = ()
    excluded: tuple[Excluded, ...] = ()
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
    accepted: tuple[FactorAccepted, ...] = ()
    documents: tuple[Document, ...] = ()
    clocks: Mapping[str, Clocked] = field(default_factory=dict)
    late: tuple[ChangedLate, ...] = ()
    replaced: tuple[tuple[Invoice, Invoice, str], ...] = ()
    outside: tuple[MeteredOutside, ...] = ()
    calibrated_every: Mapping[str, int] = field(default_factory=dict)
    required: RequiredGrades = USUAL
    forward: tuple[ForwardAction, ...] = ()
    points: Mapping[str, Point] = field(default_factory=dict)
    gas: Mapping[str, str] = field(default_factory=dict)
    declared: Declared = field(default_factory=Declared)
    common: tuple[CommonMetered, ...] = ()
    row_signers: tuple[RowSigner, ...] = ()

    def supporting(self) -> SupportingData:
        """Return the data for comparison with the period, other than its own readings."""
        return SupportingData(
            self.checks,
            self.invoices,
            tuple(map(earlier_in, self.earlier)),
            self.energy,
            self.accounting,
            self.ratings,
            self.excluded,
            self.serials,
            self.samples,
            self.history,
            fixed=self.fixed,
            certified=self.certified,
            accepted={factor.factor: factor.acceptance for factor in self.accepted},
            documents=self.documents,
            clocks=self.clocks,
            late=self.late,
            replaced=self.replaced,
            outside=self.outside,
            calibrated_every=self.calibrated_every,
            required=self.required,
            surveys=self.declared.surveys,
            common=tuple(map(common_in, self.common)),
            versions=self.versions,
        )

    def by_first_rules(self) -> MonitoringPlan:
        """Return the plan in the form of rule set 1."""
        none: Mapping[str, Any] = {}
        return replace(
            self,
            accounting=FIRST,
            documents=(),
            clocks=none,
            registry=(),
            late=(),
            replaced=(),
            outside=(),
            excluded=(),
            ratings=none,
            meters=none,
            samples=(),
            devices=tuple(replace(d, quality=()) for d in self.devices),
            history=(),
            fixed=(),
            corrected=_as_before(self.corrected),
            arrivals=None,
            signed=None,
            issue_signatures=1,
            public_url=None,
            accepted=(),
            calibrated_every=none,
            required=USUAL,
            declared=Declared(),
            common=(),
            row_signers=(),
            versions=tuple(map(as_first, self.versions)),
            versions_before=(),
            forward=(),
            points=none,
            gas=none,
        )

    def fleet(self) -> Fleet:
        """Return the devices in the form of the pipeline."""
        return Fleet(self.devices)

    def extract(self) -> PlanExtract:
        """Return the plan as in `plan.json`; empty parts are omitted."""
        return PlanExtract(
            project=project_out(self.project, self.accounting),
            devices=tuple(map(self._device_out, self.devices)),
            carried=CarriedIn(ug=str(self.carried_ug), from_=self.carried_from),
            check_meters=tuple(map(check_meter_out, self.checks)) or UNSET,
            monitoring=tuple(map(version_document, self.versions)) or UNSET,
            monitoring_before=tuple(map(version_document, self.versions_before)) or UNSET,
            invoices=tuple(map(invoice_named, self.invoices)) or UNSET,
            earlier=self.earlier or UNSET,
            corrected=self.corrected or UNSET,
            energy_roles=self.energy or UNSET,
            unclaimed=tuple(map(span_out, self.unclaimed)) or UNSET,
            changed_parameters=self.changed or UNSET,
            accounting=self.accounting if self.accounting > FIRST else UNSET,
            registry=self.registry or UNSET,
            excluded=tuple(
                ExcludedDevice(
                    device=excluded.device, rule=excluded.rule, reason=coded(excluded.reason)
                )
                for excluded in sorted(self.excluded)
            )
            or UNSET,
            certified=certified_out(self.certified) or UNSET,
            laboratory=tuple(map(sample_out, self.samples)) or UNSET,
            history=tuple(as_document(UsageBefore, usage) for usage in self.history) or UNSET,
            fixed_before=tuple(as_document(FixedAsIssued, fixed) for fixed in self.fixed) or UNSET,
            arrivals=UNSET if self.arrivals is None else arrivals_out(self.arrivals),
            signed=UNSET if self.signed is None else self.signed,
            issue_signatures=self.issue_signatures if self.issue_signatures > 1 else UNSET,
            evidence_asked=required_out(self.required),
            public_url=self.public_url or UNSET,
            accepted_factors=self.accepted or UNSET,
            design_documents=tuple(map(document_out, self.documents)) or UNSET,
            clocks=tuple(
                ClockAhead(device=d, told_h=str(clocked.reported_h), passed_h=str(clocked.passed_h))
                for d, clocked in sorted(self.clocks.items())
            )
            or UNSET,
            changed_late=tuple(map(changed_late_out, self.late)) or UNSET,
            replaced_invoices=tuple(
                InvoiceReplaced(invoices=(invoice_named(old), invoice_named(new)), reason=reason)
                for old, new, reason in self.replaced
            )
            or UNSET,
            outside_period=tuple(map(outside_out, self.outside)) or UNSET,
            forward_actions=self.forward or UNSET,
            declared=self.declared or UNSET,
            common_meters=tuple(map(self._common_out, self.common)) or UNSET,
            row_signers=self.row_signers or UNSET,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the plan as canonical JSON, without floats."""
        return write(self.extract())

    def _common_out(self, common_metered: CommonMetered) -> CommonMetered:
        point, feeds = self.points.get(common_metered.main, NOWHERE)
        placed = {"point": point or UNSET, "feeds": feeds or UNSET}
        return msgspec.structs.replace(common_metered, **placed)

    def _device_out(self, device: Device) -> DeviceExtract:
        maker, model = self.meters.get(device.id, (None, None))
        point, feeds = self.points.get(device.id, NOWHERE)
        return as_document(
            DeviceExtract,
            device,
            class_=device.class_id,
            place=place_out(device.place),
            serial=self.serials.get(device.id),
            replacements=tuple(as_document(MeterReplaced, item) for item in device.replacements),
            calibrations=tuple(map(calibration_out, self.calibrations.get(device.id, ()))),
            maker=maker or UNSET,
            model=model or UNSET,
            ratings=tuple(
                RatedFrom(from_=utc_text(us), rated_power_w=str(watt))
                for us, watt in self.ratings.get(device.id, ())
            )
            or UNSET,
            quality=tuple(
                as_document(QualityLimited, q, limits=values_out(q.limits))
                for q in (device.quality if self.accounting > FIRST else ())
            )
            or UNSET,
            calibration_every=self.calibrated_every.get(device.id, UNSET),
            point=point or UNSET,
            feeds=feeds or UNSET,
            gas_basis=self.gas.get(device.id, UNSET),
            exchanged_channels=tuple(
                as_document(ChannelsExchanged, item, with_=item.other) for item in device.exchanged
            )
            or UNSET,
        )


def _as_before(corrected: StatementFigures | None) -> StatementFigures | None:
    """Return the figures without those that rule set 1 did not compare."""
    if corrected is None or not corrected.inputs:
        return corrected
    kept = tuple(value for value in corrected.inputs if not value.name.startswith(PREFIX))
    return msgspec.structs.replace(corrected, inputs=kept)
