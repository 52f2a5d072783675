"""
Composition of a period's statement: one function for the close and for every check.

A W3C Verifiable Credential (VC data model 2.0) without issuer and proof, which
come with the signature.  No wall clock and no float stands in it: the same
evidence gives the same bytes.  Quantities are decimal text in the unit that
their name carries; times are RFC 3339; shares have six places, rounded down.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import msgspec

from mrv.accounting.device_results import adjusts
from mrv.accounting.period_result import (
    METERED,
    Amount,
    Comparison,
    Coverage,
    Deduction,
    DeviceOutcome,
    FactorUse,
    GapOutcome,
    ParameterUse,
    PeriodResult,
    Totals,
)
from mrv.accounting.rounded_figures import DESIGN
from mrv.calendar import days, local_text, utc_text
from mrv.documents import monitoring as wire_monitoring
from mrv.documents import period_account as wire_account
from mrv.documents import statement as wire
from mrv.documents.form import UNSET, UnsetType, coded, coded_or_words, read, words_of_0_1_0, write
from mrv.methodologies import find
from mrv.model import Calculation
from mrv.registry.monitoring_plan import Version, differences, replaced, version_out
from mrv.registry.project import FIRST
from mrv.rules import severity_of
from mrv.rules.grades import shares as by_grade
from mrv.rules.grades import signed
from mrv.signatures import canonical
from mrv.statement.conformity import conditions, planned, registered, since_before
from mrv.statement.cross_check_json import (
    cross_check_out,
    indicated,
    readings_out,
    registry_inputs,
    unusual_out,
)
from mrv.statement.device_days import summary
from mrv.statement.evidence_case import Case, identifier
from mrv.statement.metering_versions import FIRST as FIRST_METERING
from mrv.statement.plan_extract import NOWHERE, MonitoringPlan
from mrv.statement.plan_json import asked_out
from mrv.statement.plan_writer import approval_shown, calibration_out, document_out, sample_out
from mrv.statement.prior_statements import difference, figures
from mrv.statement.signed_energy import ENERGY, OF_METERS, shares
from mrv.statement.states import CONTEXT, URN
from mrv.statement.status import status_entry
from mrv.texts import signed_by_0_1_0

# what 0.1.0 wrote of its rules
_CLAUSES = {"FAC-02": signed_by_0_1_0("factor"), "PLN-01": signed_by_0_1_0("plan")}

TYPES = ("VerifiableCredential", "EmissionReductionStatement")
# Article 6 accounting uses the values of the fifth assessment report, over 100
# years (decision 18/CMA.1).  The methodologies here count CO2 alone, whose
# potential is 1 in every set.
GWP = wire_account.WarmingPotentials(set="IPCC AR5 GWP-100", co2="1")
_S = 1_000_000


@dataclass(frozen=True, slots=True)
class Label:
    """Data that distinguish statements of the same evidence: number, program, predecessor."""

    sequence: int
    code_version: str
    supersedes: str | None = None
    reason: str | None = None


def label_of(said: wire.Claims) -> Label:
    """Return the label of a statement."""
    replaced = said.supersedes
    if replaced is None:
        return Label(said.sequence, said.code_version)
    return Label(said.sequence, said.code_version, replaced.statement, replaced.reason)


def compose(case: Case, label: Label) -> dict[str, Any]:
    """
    Return the statement of a case as the JSON to be signed.

    Raises
    ------
    PeriodError, MethodologyError, FactorError
        As `mrv.rules.closing.close` raises.
    """
    found = write(composed(case, label))
    # a type does not look at what it is made of; whoever reads the statement does
    read(wire.Statement, found, "the statement that was composed")
    return found


def composed(case: Case, label: Label) -> wire.Statement:
    """Return the statement of a case, typed; errors as `compose`."""
    result = case.result
    name = identifier(result.project, result.from_us, result.to_us, result.timezone, label.sequence)
    return wire.Statement(
        context=CONTEXT,
        id=f"{URN}{name}",
        type=TYPES,
        valid_from=utc_text(result.to_us),
        credential_status=status_entry(result.project, name),
        credential_subject=_with_difference(_claims(case, label, name), case.plan),
    )


def _claims(case: Case, label: Label, name: str) -> wire.Claims:
    result, project, plan = case.result, case.plan.project, case.plan
    calculated = {factor.id: factor.calculation for factor in case.factors}
    return wire.Claims(
        id=f"{URN}project:{project.id}",
        statement=name,
        sequence=label.sequence,
        project=wire.ProjectNamed(
            id=project.id,
            name=project.name,
            crediting_period=_period(project.from_us, project.to_us, project.timezone),
            action=project.action,
        ),
        methodology=_methodology(result),
        monitoring_period=_period(result.from_us, result.to_us, result.timezone),
        # the first versions of both had no number
        metering=case.metering if case.metering > FIRST_METERING else UNSET,
        accounting=case.plan.accounting if case.plan.accounting > FIRST else UNSET,
        emissions=_totals(result.net),
        emissions_before_deductions=_totals(result.gross),
        carried=wire_account.Carried(
            from_=case.plan.carried_from, in_ug=str(result.carried_ug), out_ug=str(result.carry_ug)
        ),
        credited=_credited(result),
        gwp=GWP,
        factors=tuple(_factor(one, calculated.get(one.id)) for one in result.factors),
        fixed_parameters=tuple(map(_fixed, result.parameters)),
        monitoring_plan=tuple(_version(case.plan, one) for one in case.plan.versions),
        laboratory=tuple(map(sample_out, case.plan.samples)) or UNSET,
        design_documents=tuple(map(document_out, case.plan.documents)) or UNSET,
        accepted_factors=case.plan.accepted or UNSET,
        declared=case.plan.declared or UNSET,
        monitored_parameters=tuple(_parameter(case, d) for d in result.devices),
        coverage=result.covered_share,
        gaps=tuple(map(_gap, result.gaps)),
        deductions=tuple(_deduction(one, plan.accounting) for one in result.deductions),
        applicability=_conditions(case),
        rules=UNSET if plan.accounting == FIRST else _effects(result),
        evidence=UNSET if plan.accounting == FIRST else _evidence(case),
        comparisons=tuple(_comparison(c) for c in result.comparisons if c.basis == DESIGN),
        other_periods=tuple(_of_period(c) for c in result.comparisons if c.basis != DESIGN),
        cross_checks=tuple(cross_check_out(c, case) for c in result.cross_checks),
        unusual_readings=unusual_out(case) if case.plan.accounting > FIRST else UNSET,
        materiality=indicated(result).stated(),
        arrival=_arrival(case),
        signed_energy=_signed(case),
        issue_signatures=plan.issue_signatures if plan.issue_signatures > 1 else UNSET,
        digests=case.digests(),
        code_version=label.code_version,
        supersedes=None
        if label.supersedes is None
        else wire.Supersedes(statement=label.supersedes, reason=label.reason),
    )


def _with_difference(claims: wire.Claims, plan: MonitoringPlan) -> wire.Claims:
    """Say in a correction what it changes of the statement that it replaces."""
    replaces, corrected = claims.supersedes, plan.corrected
    if replaces is None or corrected is None:
        return claims
    now = None if plan.accounting == FIRST else registry_inputs(plan)
    changes = difference(corrected, figures(claims, by_device=True, registry=now))
    return msgspec.structs.replace(
        claims, supersedes=msgspec.structs.replace(replaces, difference=changes)
    )


def _conditions(case: Case) -> tuple[wire_account.Condition, ...]:
    plan, result = case.plan, case.result
    found = (
        *result.applicability,
        *conditions(plan, result),
        *since_before(plan),
        *registered(plan, result),
    )
    return tuple(
        wire_account.Condition(
            clause=_CLAUSES.get(f.rule, f.rule), holds=f.holds, detail=f.signed_by_0_1_0
        )
        if plan.accounting == FIRST
        else wire_account.Condition(
            rule=f.rule,
            holds=f.holds,
            texts=tuple(map(coded, f.lines)),
            severity=UNSET if f.holds else f.severity or severity_of(f.rule),
            tonnes=f.tonnes or UNSET,
            devices=f.devices or UNSET,
        )
        for f in found
    )


def _effects(result: PeriodResult) -> tuple[wire_account.RuleEffect, ...]:
    return tuple(
        wire_account.RuleEffect(
            rule=one.rule,
            deducted_alone_t=one.deducted_alone_t,
            returns_if_resolved_t=one.returns_if_resolved_t,
            applied=one.applied,
        )
        for one in result.rules
    )


def _arrival(case: Case) -> wire_monitoring.Arrival | UnsetType:
    """Say when readings of the project's meters arrived; nothing where no one counted."""
    found = case.plan.arrivals
    if found is None:
        return UNSET
    zone, mine = case.plan.project.timezone, {d.device for d in case.plan.project.devices}
    whole = {day.isoformat() for day, *_ in days(case.from_us, case.to_us, zone)}
    return summary(found, (x for x in case.readings.leaves if x.device in mine and x.day in whole))


def _signed(case: Case) -> wire_monitoring.SignedEnergy | UnsetType:
    """Say what of the energy is signed; nothing where no one looked, or no meter counts energy."""
    said, outcomes = case.plan.signed, case.result.devices
    if said is None or not any(one.quantity in ENERGY for one in outcomes):
        return UNSET
    return shares(said, case.fitting, outcomes, case.rows, case.fleet)


def _evidence(case: Case) -> wire_account.Evidence:
    """Grade what the reduction rests on; what a meter signed itself is of the best grade."""
    result, backed = case.result, _signed(case)
    kinds = () if backed is UNSET else backed.shares
    percent = sum((Fraction(s.share_percent) for s in kinds if s.kind in OF_METERS), Fraction(0))
    meters = {one.device for one in result.devices if one.unit == "Wh"}
    items = signed(result.evidence, meters, percent / 100)
    reduction = Fraction(result.net.reduction.t)
    return wire_account.Evidence(
        shares=dict(by_grade(items, reduction)),
        items=tuple(
            wire_account.EvidenceItem(
                kind="meter" if one.kind == METERED else "parameter",
                name=one.name,
                role=one.role,
                grade=one.grade,
                tonnes=one.tonnes,
                shown_by=one.shown_by,
            )
            for one in items
        ),
        asked=asked_out(case.plan.asked),
    )


def _credited(result: PeriodResult) -> wire_account.Credited:
    return wire_account.Credited(
        t=str(result.credit_t),
        rounding="down",
        vintages=tuple(
            wire_account.Vintage(year=v.year, reduction_t=v.reduction_t, credited_t=str(v.credit_t))
            for v in result.vintages
        ),
    )


def _version(plan: MonitoringPlan, one: Version) -> wire_monitoring.PlanVersion:
    digest = canonical.sha256_hex(canonical.encode(version_out(one)))
    named = wire_monitoring.PlanVersion(
        version=one.name, from_=one.begins.isoformat(), responsible=one.responsible, sha256=digest
    )
    if plan.accounting == FIRST:
        return named
    before = replaced((*plan.versions_before, *plan.versions), one)
    return msgspec.structs.replace(
        named,
        kind=one.kind,
        to=UNSET if one.ends is None else one.ends.isoformat(),
        reason=one.reason,
        entered=UNSET if one.entered is None else utc_text(one.entered),
        approval=UNSET if one.approval is None else approval_shown(one.approval),
        differs=UNSET if before is None else tuple(map(coded, differences(before, one))),
    )


def _comparison(one: Comparison) -> wire_account.Comparison:
    return wire_account.Comparison(
        what=one.what,
        expected=one.expected,
        actual=one.actual,
        difference_percent=one.difference_percent,
        roles=one.roles or UNSET,
    )


def _of_period(one: Comparison) -> wire_account.PeriodComparison:
    return wire_account.PeriodComparison(
        statement=one.basis,
        what=one.what,
        expected=one.expected,
        actual=one.actual,
        difference_percent=one.difference_percent,
        roles=one.roles or UNSET,
    )


def _methodology(result: PeriodResult) -> wire.MethodologyNamed:
    methodology = find(result.methodology, result.version)
    return wire.MethodologyNamed(
        id=result.methodology,
        version=result.version,
        title=methodology.title,
        reference=methodology.reference,
    )


def _period(from_us: int, to_us: int, timezone: str) -> wire.Period:
    return wire.Period(
        from_=utc_text(from_us),
        to=utc_text(to_us),
        local_from=local_text(from_us, timezone),
        local_to=local_text(to_us, timezone),
        timezone=timezone,
    )


def _amount(one: Amount) -> wire_account.Amount:
    return wire_account.Amount(t=one.t, ug=str(one.ug))


def _totals(one: Totals) -> wire_account.Totals:
    return wire_account.Totals(
        baseline=_amount(one.baseline),
        project=_amount(one.project),
        leakage=_amount(one.leakage),
        reduction=_amount(one.reduction),
    )


def _factor(one: FactorUse, how: Calculation | None) -> wire_account.FactorUsed:
    return wire_account.FactorUsed(
        id=one.id,
        kind=one.kind,
        value=one.value,
        unit=one.unit,
        direction=one.direction,
        valid_from=one.valid_from,
        valid_to=one.valid_to,
        source=one.source,
        certainty=one.certainty,
        verified=one.verified,
        provisional=one.provisional,
        accepted_by_project=one.accepted,
        sha256=one.sha256,
        calculation=UNSET if how is None else wire_account.FactorCalculated(**how._asdict()),
    )


def _fixed(one: ParameterUse) -> wire_account.FixedParameter:
    return wire_account.FixedParameter(
        device=one.device,
        parameter=one.name,
        symbol=one.symbol,
        value=one.value,
        unit=one.unit,
        meaning=one.meaning,
        source=one.source,
        certainty=one.certainty,
        monitoring_option=one.option or None,
    )


def _parameter(case: Case, one: DeviceOutcome) -> wire_monitoring.MonitoredParameter:
    index = case.fleet.by_id[one.device]
    certificates = case.plan.calibrations.get(one.device, ())
    return wire_monitoring.MonitoredParameter(
        device=one.device,
        role=one.role,
        side=one.side,
        parameter=one.quantity,
        symbol=one.symbol,
        unit=one.unit,
        source=one.source,
        monitoring_option=one.option,
        from_=utc_text(one.from_us),
        to=utc_text(one.to_us),
        metered=str(one.metered),
        outside_service=str(one.outside_service),
        deducted=one.deducted if case.plan.accounting == FIRST else UNSET,
        adjusted=UNSET if case.plan.accounting == FIRST else _adjusted(one),
        substituted=one.substituted,
        counted=one.counted,
        emissions_t=one.emissions_t,
        meter=_meter(case, one),
        calibrations=tuple(
            calibration_out(c, case.calibration_intervals.get(one.device)) for c in certificates
        ),
        plan=planned(case.plan, one.role, one.device),
        readings=readings_out(case.reaches[index]),
        coverage=_coverage(one.coverage, one.side),
    )


def _meter(case: Case, one: DeviceOutcome) -> wire_monitoring.Meter:
    device = case.fleet.devices[case.fleet.by_id[one.device]]
    interval = case.calibration_intervals.get(one.device)
    certificates = case.plan.calibrations.get(one.device, ())
    return wire_monitoring.Meter(
        class_=device.class_id,
        profile=device.profile,
        serial=case.plan.serials.get(one.device),
        accuracy_class=certificates[-1].accuracy_class if certificates else None,
        replacements=one.replacements,
        maker=case.plan.meters.get(one.device, (None, None))[0] or UNSET,
        model=case.plan.meters.get(one.device, (None, None))[1] or UNSET,
        ratings=tuple(
            wire_monitoring.Rated(from_=utc_text(us), rated_power_w=str(watt))
            for us, watt in case.plan.ratings.get(one.device, ())
        )
        or UNSET,
        calibration_every=UNSET
        if interval is None
        else wire_monitoring.CalibrationEvery(months=interval.months, source=interval.source),
        point=case.plan.points.get(one.device, NOWHERE)[0] or UNSET,
        feeds=case.plan.points.get(one.device, NOWHERE)[1] or UNSET,
        gas_basis=case.plan.gas.get(one.device, UNSET),
    )


def _adjusted(one: DeviceOutcome) -> str:
    """Return what is added to the metered quantity of a device. [base unit]"""
    sign = -1 if one.side == "baseline" else 1
    return adjusts(one.side, sign * Fraction(one.deducted))


def _coverage(one: Coverage, side: str) -> wire_monitoring.CoverageShown:
    # on the project side all that is not known has something put in for it
    substituted = one.unknown_us + one.missing_us if side == "project" else 0
    return wire_monitoring.CoverageShown(
        installed_s=_seconds(one.installed_us),
        measured_s=_seconds(one.measured_us),
        estimated_s=_seconds(one.estimated_us),
        unknown_s=_seconds(one.unknown_us),
        missing_s=_seconds(one.missing_us),
        substituted_s=_seconds(substituted),
        calibrated_s=_seconds(one.calibrated_us),
        installed_share=one.installed_share,
        measured_share=one.measured_share,
        estimated_share=one.estimated_share,
        unknown_share=one.unknown_share,
        missing_share=one.missing_share,
        calibrated_share=one.calibrated_share,
    )


def _gap(one: GapOutcome) -> wire_account.Gap:
    return wire_account.Gap(
        device=one.device,
        from_=utc_text(one.start_us),
        to=utc_text(one.end_us),
        kind=one.kind,
        time_s=_seconds(one.time_us),
        rule=one.rule,
        substituted=one.substituted,
        cost_t=one.cost_t,
        forgone_at_most_t=one.forgone_at_most_t,
    )


def _deduction(one: Deduction, accounting: int) -> wire_account.Deduction:
    return wire_account.Deduction(
        device=one.device,
        kind=UNSET if accounting == FIRST else one.kind,
        from_=utc_text(one.start_us),
        to=utc_text(one.end_us),
        reason=words_of_0_1_0(one.reason) if accounting == FIRST else coded_or_words(one.reason),
        percent=one.percent,
        quantity=one.quantity if accounting == FIRST else UNSET,
        adjustment=UNSET if accounting == FIRST else one.quantity,
        cost_t=one.cost_t,
    )


def _seconds(us: int) -> str:
    whole, rest = divmod(us, _S)
    return f"{whole}.{rest:06d}" if rest else str(whole)
