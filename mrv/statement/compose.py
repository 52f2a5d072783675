"""
Composition of a period's statement, by the same function at the close and at every check.

A statement is a W3C Verifiable Credential (VC data model 2.0); the signature adds issuer and
proof.  The same evidence gives the same bytes.  Quantities are decimal text in the unit of their
name; times are RFC 3339; shares have six places, rounded down.

The statement includes the evidence by grade, in total and by meter and value.  A value signed by a
meter has grade A only if a third party's document states the meter's key, since the operator enters
the key in the registry and may have its secret part.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import msgspec

from mrv.accounting.device_results import adjusts
from mrv.accounting.entered_values import undocumented
from mrv.accounting.period_result import (
    Amount,
    Comparison,
    Coverage,
    Deduction,
    DeviceOutcome,
    ParameterUse,
    PeriodResult,
    Totals,
)
from mrv.accounting.rounded_figures import DESIGN
from mrv.calendar import days, local_date, local_text, utc_text
from mrv.documents import (
    UNSET,
    UnsetType,
    coded,
    coded_or_words,
    copied,
    read,
    words_of_0_1_0,
    write,
)
from mrv.documents import monitoring as wire_monitoring
from mrv.documents import period_account as wire_account
from mrv.documents import statement as wire
from mrv.methodologies import find
from mrv.model import METER_KEYS
from mrv.registry.calibration_interval import longest
from mrv.registry.monitoring_plan import Version, differences, replaced
from mrv.registry.project import FIRST
from mrv.rounding import plain_text
from mrv.rules import needs_of, severity_of
from mrv.rules.grades import shares as by_grade
from mrv.rules.grades import signed
from mrv.signatures import canonical
from mrv.statement.analysers import daily_means
from mrv.statement.conformity import conditions, planned, registered, since_before
from mrv.statement.cross_check_json import (
    cross_check_out,
    gap_out,
    indicated,
    readings_out,
    registry_inputs,
    seconds,
    unusual_out,
)
from mrv.statement.device_days import summary
from mrv.statement.earlier_statements import difference, figures
from mrv.statement.evidence import FIRST as FIRST_METERING
from mrv.statement.evidence_case import Case, identifier
from mrv.statement.plan_extract import NOWHERE, MonitoringPlan
from mrv.statement.plan_writer import (
    calibration_out,
    decision_out,
    document_out,
    required_out,
    sample_out,
    version_out,
)
from mrv.statement.signed_energy import ENERGY, OF_METERS, shares
from mrv.statement.states import CONTEXT, URN, status_entry
from mrv.texts import signed_by_0_1_0

# clauses of rules in 0.1.0
_CLAUSES = {"FAC-02": signed_by_0_1_0("factor"), "PLN-01": signed_by_0_1_0("plan")}

TYPES = ("VerifiableCredential", "EmissionReductionStatement")
# Article 6 accounting uses the values of the fifth assessment report, over 100
# years (decision 18/CMA.1).  The potential of CO2 is 1 in every set.
GWP = wire_account.WarmingPotentials(set="IPCC AR5 GWP-100", co2="1")


@dataclass(frozen=True, slots=True)
class Label:
    """Data that distinguish statements with the same evidence: number, program, predecessor."""

    sequence: int
    code_version: str
    supersedes: str | None = None
    reason: str | None = None


def label_of(claims: wire.Claims) -> Label:
    """Return number, program and predecessor of a statement."""
    replaced = claims.supersedes
    if replaced is None:
        return Label(claims.sequence, claims.code_version)
    return Label(claims.sequence, claims.code_version, replaced.statement, replaced.reason)


def compose(case: Case, label: Label) -> dict[str, Any]:
    """Return the statement of a case as the JSON to be signed. Raises the errors of a close."""
    result = write(composed(case, label))
    # a type's fields are checked when it is read, not when it is created
    read(wire.Statement, result, "the statement that was composed")
    return result


def composed(case: Case, label: Label) -> wire.Statement:
    """Return the statement of a case as a type; errors as `compose`."""
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
        # statements do not state the first version of the metering or accounting rules
        metering=case.metering if case.metering > FIRST_METERING else UNSET,
        accounting=case.plan.accounting if case.plan.accounting > FIRST else UNSET,
        emissions=_totals(result.net),
        emissions_before_deductions=_totals(result.gross),
        carried=wire_account.Carried(
            from_=case.plan.carried_from, in_ug=str(result.carried_ug), out_ug=str(result.carry_ug)
        ),
        credited=_credited(result),
        gwp=GWP,
        factors=result.factors,
        fixed_parameters=tuple(_fixed(case, use) for use in result.parameters),
        monitoring_plan=tuple(_version(case.plan, version) for version in case.plan.versions),
        laboratory=tuple(map(sample_out, case.plan.samples)) or UNSET,
        design_documents=tuple(map(document_out, case.plan.documents)) or UNSET,
        accepted_factors=case.plan.accepted or UNSET,
        declared=case.plan.declared or UNSET,
        monitored_parameters=tuple(_parameter(case, d) for d in result.devices),
        coverage=result.covered_share,
        gaps=tuple(gap_out(gap, case) for gap in result.gaps),
        deductions=tuple(_deduction(d, plan.accounting) for d in result.deductions),
        applicability=_conditions(case),
        rules=UNSET if plan.accounting == FIRST else result.rules,
        evidence=UNSET if plan.accounting == FIRST else evidence_out(case),
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
    """Return the claims of a correction, with the differences from the replaced statement."""
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
    findings = (
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
            remedy=UNSET if f.holds else needs_of(f.rule) or UNSET,
        )
        for f in findings
    )


def _arrival(case: Case) -> wire_monitoring.Arrival | UnsetType:
    """Return the data on the arrival of the readings; UNSET if not recorded."""
    arrived = case.plan.arrivals
    if arrived is None:
        return UNSET
    zone, mine = case.plan.project.timezone, {d.device for d in case.plan.project.devices}
    whole = {day.isoformat() for day, *_ in days(case.from_us, case.to_us, zone)}
    return summary(
        arrived, (x for x in case.readings.leaves if x.device in mine and x.day in whole)
    )


def _signed(case: Case) -> wire_monitoring.SignedEnergy | UnsetType:
    """Return the signed share of the energy; UNSET if not compared, or without energy meters."""
    extract, outcomes = case.plan.signed, case.result.devices
    if extract is None or not any(outcome.quantity in ENERGY for outcome in outcomes):
        return UNSET
    return shares(extract, case.fitting, outcomes, case.rows, case.fleet)


def _credited(result: PeriodResult) -> wire_account.Credited:
    return wire_account.Credited(
        t=str(result.credit_t),
        rounding="down",
        vintages=tuple(
            wire_account.Vintage(year=v.year, reduction_t=v.reduction_t, credited_t=str(v.credit_t))
            for v in result.vintages
        ),
    )


def _version(plan: MonitoringPlan, version: Version) -> wire_monitoring.PlanVersion:
    digest = canonical.sha256_hex(canonical.encode(version_out(version)))
    named = wire_monitoring.PlanVersion(
        version=version.name,
        from_=version.begins.isoformat(),
        responsible=version.responsible,
        sha256=digest,
    )
    if plan.accounting == FIRST:
        return named
    before = replaced((*plan.versions_before, *plan.versions), version)
    return msgspec.structs.replace(
        named,
        kind=version.kind,
        to=UNSET if version.ends is None else version.ends.isoformat(),
        reason=version.reason,
        entered=UNSET if version.entered is None else utc_text(version.entered),
        approval=UNSET if version.approval is None else decision_out(version.approval),
        differs=UNSET if before is None else tuple(map(coded, differences(before, version))),
    )


def _comparison(comparison: Comparison) -> wire_account.Comparison:
    return copied(wire_account.Comparison, comparison, roles=comparison.roles or UNSET)


def _of_period(comparison: Comparison) -> wire_account.PeriodComparison:
    kind, roles = wire_account.PeriodComparison, comparison.roles or UNSET
    return copied(kind, comparison, statement=comparison.basis, roles=roles)


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


def _amount(amount: Amount) -> wire_account.Amount:
    return wire_account.Amount(t=amount.t, ug=str(amount.ug))


def _totals(totals: Totals) -> wire_account.Totals:
    return wire_account.Totals(
        baseline=_amount(totals.baseline),
        project=_amount(totals.project),
        leakage=_amount(totals.leakage),
        reduction=_amount(totals.reduction),
    )


def _fixed(case: Case, use: ParameterUse) -> wire_account.FixedParameter:
    kind, option = wire_account.FixedParameter, use.option or None
    days_ = _analysed(case, use) or UNSET
    return copied(kind, use, parameter=use.name, monitoring_option=option, days=days_)


def _analysed(case: Case, use: ParameterUse) -> tuple[wire_account.MeasuredDay, ...]:
    """Return the days of the analyser that measures a parameter, by channel."""
    project = case.plan.project
    spec = find(project.methodology, project.version).parameters.get(use.name)
    if case.plan.accounting == FIRST or use.device or spec is None or not spec.channels:
        return ()
    return tuple(
        wire_account.MeasuredDay(
            day=str(local_date(day.from_us, project.timezone)), flow=str(day.flow),
            mean=plain_text(mean, 12),
            max_error_percent=plain_text(error, 12) if error else UNSET,
            channel=channel if spec.channels[2:] else UNSET,
        )
        for channel, day, mean, error in daily_means(spec, case.channels.get(use.name))
    )  # fmt: skip


def _parameter(case: Case, outcome: DeviceOutcome) -> wire_monitoring.MonitoredParameter:
    index = case.fleet.by_id[outcome.device]
    certificates = case.plan.calibrations.get(outcome.device, ())
    return copied(
        wire_monitoring.MonitoredParameter,
        outcome,
        parameter=outcome.quantity,
        monitoring_option=outcome.option,
        from_=utc_text(outcome.from_us),
        to=utc_text(outcome.to_us),
        metered=str(outcome.metered),
        outside_service=str(outcome.outside_service),
        deducted=outcome.deducted if case.plan.accounting == FIRST else UNSET,
        adjusted=UNSET if case.plan.accounting == FIRST else _adjusted(outcome),
        meter=_meter(case, outcome),
        calibrations=tuple(
            calibration_out(c, case.calibration_intervals.get(outcome.device)) for c in certificates
        ),
        plan=planned(case.plan, outcome.role, outcome.device),
        readings=readings_out(case.reaches[index]),
        coverage=_coverage(outcome.coverage, outcome.side),
    )


def _meter(case: Case, outcome: DeviceOutcome) -> wire_monitoring.Meter:
    device = case.fleet.devices[case.fleet.by_id[outcome.device]]
    interval = case.calibration_intervals.get(outcome.device)
    certificates = case.plan.calibrations.get(outcome.device, ())
    return wire_monitoring.Meter(
        class_=device.class_id,
        profile=device.profile,
        serial=case.plan.serials.get(outcome.device),
        accuracy_class=certificates[-1].accuracy_class if certificates else None,
        replacements=outcome.replacements,
        maker=case.plan.meters.get(outcome.device, (None, None))[0] or UNSET,
        model=case.plan.meters.get(outcome.device, (None, None))[1] or UNSET,
        ratings=tuple(
            wire_monitoring.Rated(from_=utc_text(us), rated_power_w=str(watt))
            for us, watt in case.plan.ratings.get(outcome.device, ())
        )
        or UNSET,
        calibration_every=UNSET
        if interval in (None, longest())
        else wire_monitoring.CalibrationEvery(months=interval.months, source=interval.source),
        point=case.plan.points.get(outcome.device, NOWHERE)[0] or UNSET,
        feeds=case.plan.points.get(outcome.device, NOWHERE)[1] or UNSET,
        gas_basis=case.plan.gas.get(outcome.device, UNSET),
    )


def _adjusted(outcome: DeviceOutcome) -> str:
    sign = -1 if outcome.side == "baseline" else 1
    return adjusts(outcome.side, sign * Fraction(outcome.deducted))


def _coverage(coverage: Coverage, side: str) -> wire_monitoring.CoverageShown:
    # on the project side all unknown and missing time is substituted
    substituted = coverage.unknown_us + coverage.missing_us if side == "project" else 0
    return copied(
        wire_monitoring.CoverageShown,
        coverage,
        installed_s=seconds(coverage.installed_us),
        measured_s=seconds(coverage.measured_us),
        estimated_s=seconds(coverage.estimated_us),
        unknown_s=seconds(coverage.unknown_us),
        missing_s=seconds(coverage.missing_us),
        substituted_s=seconds(substituted),
        calibrated_s=seconds(coverage.calibrated_us),
    )


def _deduction(deduction: Deduction, accounting: int) -> wire_account.Deduction:
    return wire_account.Deduction(
        device=deduction.device,
        kind=UNSET if accounting == FIRST else deduction.kind,
        from_=utc_text(deduction.start_us),
        to=utc_text(deduction.end_us),
        reason=words_of_0_1_0(deduction.reason)
        if accounting == FIRST
        else coded_or_words(deduction.reason),
        percent=deduction.percent,
        quantity=deduction.quantity if accounting == FIRST else UNSET,
        adjustment=UNSET if accounting == FIRST else deduction.quantity,
        cost_t=deduction.cost_t,
    )


def evidence_out(case: Case) -> wire_account.Evidence:
    """Return the graded evidence of the reduction."""
    result = case.result
    items = signed(result.evidence, _signed_by_meter(case) if _keys_documented(case) else {})
    return wire_account.Evidence(
        shares=dict(by_grade(items, Fraction(result.claimed_t))),
        items=items,
        asked=required_out(case.plan.required),
    )


def _keys_documented(case: Case) -> bool:
    """Return whether a third party's document by the period's end states the meters' keys."""
    last = local_date(case.to_us - 1, case.plan.project.timezone)
    return undocumented(METER_KEYS, {METER_KEYS: ""}, case.plan.documents, last) is None


def _signed_by_meter(case: Case) -> dict[str, Fraction]:
    """Return by device the share of its energy that its meter signed, 0 to 1."""
    extract, devices = case.plan.signed, case.result.devices
    result = dict[str, Fraction]()
    for name in dict.fromkeys(d.device for d in devices if d.quantity in ENERGY):
        own = [device for device in devices if device.device == name]
        if extract is not None:
            kinds = shares(extract, case.fitting, own, case.rows, case.fleet).shares
            percent = (Fraction(s.share_percent) for s in kinds if s.kind in OF_METERS)
            result[name] = sum(percent, Fraction(0)) / 100
    return result
