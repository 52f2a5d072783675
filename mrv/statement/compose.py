"""
The words of a statement: one function, for the operator who closes and whoever checks.

A W3C Verifiable Credential (VC data model 2.0) without issuer and proof, which
come with the signature.  No wall clock and no float stands in it: the same
evidence gives the same bytes.  Quantities are decimal text in the unit that
their name carries; times are RFC 3339; shares have six places, rounded down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mrv.accounting.rounded_figures import DESIGN
from mrv.calendar import local_text, utc_text
from mrv.methodologies import find
from mrv.registry.monitoring_plan import version_out
from mrv.signatures import canonical
from mrv.statement.conformity import condition, planned, since_before
from mrv.statement.cross_check_json import cross_check_out, indicated, readings_out
from mrv.statement.evidence_case import identifier
from mrv.statement.plan_extract import calibration_out
from mrv.statement.prior_statements import difference, figures
from mrv.statement.status import status_entry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mrv.accounting.period_result import (
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
    from mrv.registry.monitoring_plan import Version
    from mrv.statement.evidence_case import Case

# The second context gives meaning to words that the first does not define.
CONTEXT = (
    "https://www.w3.org/ns/credentials/v2",
    "https://www.w3.org/ns/credentials/undefined-terms/v2",
)
TYPES = ("VerifiableCredential", "EmissionReductionStatement")
# A credential's id is a URL; this scheme needs nobody to register a domain.
URN = "urn:tonne:"
# Article 6 accounting uses the values of the fifth assessment report, over 100
# years (decision 18/CMA.1).  The methodologies here count CO2 alone, whose
# potential is 1 in every set.
GWP = {"set": "IPCC AR5 GWP-100", "CO2": "1"}
_S = 1_000_000


@dataclass(frozen=True, slots=True)
class Label:
    """What distinguishes statements of the same evidence: number, program, predecessor."""

    sequence: int
    code_version: str
    supersedes: str | None = None
    reason: str | None = None


def compose(case: Case, label: Label) -> dict[str, Any]:
    """
    Write the statement of a case.

    Raises
    ------
    PeriodError, MethodologyError, FactorError
        As `mrv.accounting.period.close` raises.
    """
    result = case.result
    name = identifier(result.project, result.from_us, result.to_us, result.timezone, label.sequence)
    body = {
        "@context": list(CONTEXT),
        "id": f"{URN}{name}",
        "type": list(TYPES),
        "validFrom": utc_text(result.to_us),
        "credentialStatus": status_entry(result.project, name),
        "credentialSubject": _subject(case, label, name),
    }
    return _with_difference(body, case.plan.corrected)


def _subject(case: Case, label: Label, name: str) -> dict[str, Any]:
    result, project = case.result, case.plan.project
    return {
        "id": f"{URN}project:{project.id}",
        "statement": name,
        "sequence": label.sequence,
        "project": {
            "id": project.id,
            "name": project.name,
            "creditingPeriod": _period(project.from_us, project.to_us, project.timezone),
            "action": project.action,
        },
        "methodology": _methodology(result),
        "monitoringPeriod": _period(result.from_us, result.to_us, result.timezone),
        # the first version had no number
        **({"metering": case.metering} if case.metering > 1 else {}),
        "emissions": _totals(result.net),
        "emissionsBeforeDeductions": _totals(result.gross),
        "carried": {
            "from": case.plan.carried_from,
            "in_ug": str(result.carried_ug),
            "out_ug": str(result.carry_ug),
        },
        "credited": {
            "t": str(result.credit_t),
            "rounding": "down",
            "vintages": [
                {"year": v.year, "reduction_t": v.reduction_t, "credited_t": str(v.credit_t)}
                for v in result.vintages
            ],
        },
        "gwp": dict(GWP),
        "factors": [_factor(f) for f in result.factors],
        "fixedParameters": [_fixed(p) for p in result.parameters],
        "monitoringPlan": [_version(v) for v in case.plan.versions],
        "monitoredParameters": [_parameter(case, d) for d in result.devices],
        "coverage": result.covered_share,
        "gaps": [_gap(g) for g in result.gaps],
        "deductions": [_deduction(d) for d in result.deductions],
        "applicability": [
            {"clause": f.clause, "holds": f.holds, "detail": f.detail}
            for f in (
                *result.applicability,
                condition(case.plan, result),
                *since_before(case.plan),
            )
        ],
        "comparisons": [_comparison(c) for c in result.comparisons if c.basis == DESIGN],
        "otherPeriods": [
            {"statement": c.basis, **_comparison(c)}
            for c in result.comparisons
            if c.basis != DESIGN
        ],
        "crossChecks": [cross_check_out(c, case) for c in result.cross_checks],
        "materiality": indicated(result).to_json(),
        "digests": case.digests(),
        "codeVersion": label.code_version,
        "supersedes": None
        if label.supersedes is None
        else {"statement": label.supersedes, "reason": label.reason},
    }


def _with_difference(body: dict[str, Any], corrected: Mapping[str, Any] | None) -> dict[str, Any]:
    """Say in a correction what it changes of the statement that it replaces."""
    replaces = body["credentialSubject"]["supersedes"]
    if replaces is not None and corrected is not None:
        replaces["difference"] = difference(corrected, figures(body, by_device=True))
    return body


def _version(one: Version) -> dict[str, Any]:
    return {
        "version": one.name,
        "from": one.begins.isoformat(),
        "responsible": one.responsible,
        "sha256": canonical.sha256_hex(canonical.encode(version_out(one))),
    }


def _comparison(one: Comparison) -> dict[str, Any]:
    return {
        "what": one.what,
        "expected": one.expected,
        "actual": one.actual,
        "difference_percent": one.difference_percent,
        # absent where it is all energy that is metered, as in statements from before it was said
        **({"roles": list(one.roles)} if one.roles else {}),
    }


def _methodology(result: PeriodResult) -> dict[str, str]:
    methodology = find(result.methodology, result.version)
    return {
        "id": result.methodology,
        "version": result.version,
        "title": methodology.title,
        "reference": methodology.reference,
    }


def _period(from_us: int, to_us: int, timezone: str) -> dict[str, str]:
    return {
        "from": utc_text(from_us),
        "to": utc_text(to_us),
        "localFrom": local_text(from_us, timezone),
        "localTo": local_text(to_us, timezone),
        "timezone": timezone,
    }


def _amount(one: Amount) -> dict[str, str]:
    return {"t": one.t, "ug": str(one.ug)}


def _totals(one: Totals) -> dict[str, Any]:
    return {
        "baseline": _amount(one.baseline),
        "project": _amount(one.project),
        "leakage": _amount(one.leakage),
        "reduction": _amount(one.reduction),
    }


def _factor(one: FactorUse) -> dict[str, Any]:
    return {
        "id": one.id,
        "kind": one.kind,
        "value": one.value,
        "unit": one.unit,
        "direction": one.direction,
        "validFrom": one.valid_from,
        "validTo": one.valid_to,
        "source": one.source,
        "certainty": one.certainty,
        "verified": one.verified,
        "provisional": one.provisional,
        "acceptedByProject": one.accepted,
        "sha256": one.sha256,
    }


def _fixed(one: ParameterUse) -> dict[str, Any]:
    return {
        "device": one.device,
        "parameter": one.name,
        "symbol": one.symbol,
        "value": one.value,
        "unit": one.unit,
        "meaning": one.meaning,
        "source": one.source,
        "certainty": one.certainty,
        "monitoringOption": one.option or None,
    }


def _parameter(case: Case, one: DeviceOutcome) -> dict[str, Any]:
    device = case.fleet.devices[case.fleet.by_id[one.device]]
    certificates = case.plan.calibrations.get(one.device, ())
    return {
        "device": one.device,
        "role": one.role,
        "side": one.side,
        "parameter": one.quantity,
        "symbol": one.symbol,
        "unit": one.unit,
        "source": one.source,
        "monitoringOption": one.option,
        "from": utc_text(one.from_us),
        "to": utc_text(one.to_us),
        "metered": str(one.metered),
        "outsideService": str(one.outside_service),
        "deducted": one.deducted,
        "substituted": one.substituted,
        "counted": one.counted,
        "emissions_t": one.emissions_t,
        "meter": {
            "class": device.class_id,
            "profile": device.profile,
            "serial": case.plan.serials.get(one.device),
            "accuracyClass": certificates[-1].accuracy_class if certificates else None,
            "replacements": one.replacements,
        },
        "calibrations": [calibration_out(c) for c in certificates],
        "plan": planned(case.plan, one.role, one.device),
        "readings": readings_out(case.reaches[case.fleet.by_id[one.device]]),
        "coverage": _coverage(one.coverage, one.side),
    }


def _coverage(one: Coverage, side: str) -> dict[str, str]:
    # on the project side all that is not known has something put in for it
    substituted = one.unknown_us + one.missing_us if side == "project" else 0
    return {
        "installed_s": _seconds(one.installed_us),
        "measured_s": _seconds(one.measured_us),
        "estimated_s": _seconds(one.estimated_us),
        "unknown_s": _seconds(one.unknown_us),
        "missing_s": _seconds(one.missing_us),
        "substituted_s": _seconds(substituted),
        "calibrated_s": _seconds(one.calibrated_us),
        "installedShare": one.installed_share,
        "measuredShare": one.measured_share,
        "estimatedShare": one.estimated_share,
        "unknownShare": one.unknown_share,
        "missingShare": one.missing_share,
        "calibratedShare": one.calibrated_share,
    }


def _gap(one: GapOutcome) -> dict[str, Any]:
    return {
        "device": one.device,
        "from": utc_text(one.start_us),
        "to": utc_text(one.end_us),
        "kind": one.kind,
        "time_s": _seconds(one.time_us),
        "rule": one.rule,
        "substituted": one.substituted,
        "cost_t": one.cost_t,
        "forgoneAtMost_t": one.forgone_at_most_t,
    }


def _deduction(one: Deduction) -> dict[str, Any]:
    return {
        "device": one.device,
        "from": utc_text(one.start_us),
        "to": utc_text(one.end_us),
        "reason": one.reason,
        "percent": one.percent,
        "quantity": one.quantity,
        "cost_t": one.cost_t,
    }


def _seconds(us: int) -> str:
    whole, rest = divmod(us, _S)
    return f"{whole}.{rest:06d}" if rest else str(whole)
