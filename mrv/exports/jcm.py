"""
JCM export: monitoring spreadsheet, request for issuance, contribution report, design data.

The official spreadsheets were not available: a map file per methodology (`cell_map`) assigns values
to cells, of a given official file or of tonne's own layout, marked as such.  The contents of an
issuance request and of a sustainable development contribution report are unverified.  Contributions
besides the reduction and its renewable electricity are entered manually.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from ingest.classes import SUN
from mrv.calendar import instant_us, local_date
from mrv.documents.monitoring import MonitoredParameter
from mrv.documents.period_account import FactorUsed
from mrv.documents.statement import Claims
from mrv.exports import Draft, Source, days, number_of
from mrv.exports.registration import Registration
from mrv.methodologies import find
from mrv.model import DECLARED
from mrv.rules import titled
from mrv.texts import text

VALUES = ("statement", "project", "project_name", "methodology", "version", "first_day", "last_day",
          "reference_t", "project_t", "leakage_t", "reduction_t", "credited_t", "verifier",
          "verification", "coverage", "impacts", "crediting_first", "crediting_last",
          "expected_t_per_year", "expected_kwh_per_year")  # fmt: skip
COLUMNS = ("device", "role", "side", "parameter", "symbol", "amount", "unit", "option",
           "accuracy_class", "factor", "factor_value", "factor_unit", "emissions_t", "year",
           "vintage_reduction_t", "vintage_credited_t", "name", "party", "share_percent",
           "account", "allocated_t", "goal", "contribution", "contribution_amount",
           "contribution_unit", "basis", "class", "serial", "maker", "rated_kw", "installed",
           "meaning", "value", "source", "plan_version", "frequency", "qa_qc", "responsible",
           "clause", "holds", "detail")  # fmt: skip
_RENEWABLE = (SUN, DECLARED)
_WH_A_MWH, _PLACES = 10**6, Decimal("0.000001")


class Filled(NamedTuple):
    """Single values, rows by name, and missing entries."""

    values: dict[str, Any]
    rows: dict[str, list[dict[str, Any]]]
    draft: Draft


def jcm(source: Source, registration: Registration) -> Filled:
    """
    Return the values of a statement for the JCM's forms.

    The factor of a parameter is that factor of the statement by which its amount gives its
    emissions; if there is none, the row is empty and listed as missing.
    """
    claims, draft = source.claims, Draft()
    first, last = days(claims.monitoring_period)
    values: dict[str, Any] = {
        "statement": source.name,
        "project": registration.project_id,
        "project_name": claims.project.name,
        "methodology": claims.methodology.title,
        "version": claims.methodology.version,
        "first_day": first.isoformat(),
        "last_day": last.isoformat(),
        "reference_t": Decimal(claims.emissions.baseline.t),
        "project_t": Decimal(claims.emissions.project.t),
        "leakage_t": Decimal(claims.emissions.leakage.t),
        "reduction_t": Decimal(claims.emissions.reduction.t),
        "credited_t": source.credited,
        "verifier": source.opinion.issuer.name,
        "coverage": Decimal(claims.coverage),
        "impacts": registration.negative_impacts,
        **_planned(source),
    }
    ask = f"registrations[{claims.project.id}]"
    entered = next((v for v in registration.verifications if v.statement == source.name), None)
    values["verification"] = None if entered is None else entered.id
    for name, remedy in (
        ("project", text("registration.jcm_project", ask=ask)),
        ("verification", text("registration.jcm_verification", ask=ask)),
        ("impacts", text("registration.jcm_impacts", ask=ask)),
    ):
        if values[name] is None:
            draft.lacks("jcm", name, remedy)
    rows = {
        "parameters": [_parameter(draft, claims, p) for p in claims.monitored_parameters],
        "vintages": [
            {"year": v.year, "vintage_reduction_t": Decimal(v.reduction_t),
             "vintage_credited_t": int(v.credited_t)}
            for v in claims.credited.vintages
        ],
        "participants": _allocation(draft, registration, source.credited, ask),
        "contributions": _contributions(draft, source, registration, ask),
        **_design(source),
    }  # fmt: skip
    draft.tables = {"values": values, **rows}
    return Filled(values, rows, draft)


def _parameter(draft: Draft, claims: Claims, parameter: MonitoredParameter) -> dict[str, Any]:
    amount = Decimal(parameter.counted)
    row: dict[str, Any] = {
        "device": parameter.device, "role": parameter.role, "side": parameter.side,
        "parameter": parameter.parameter,
        "symbol": parameter.symbol or None, "amount": amount, "unit": parameter.unit,
        "option": parameter.monitoring_option, "accuracy_class": parameter.meter.accuracy_class,
        "emissions_t": Decimal(parameter.emissions_t),
    }  # fmt: skip
    if parameter.unit == "Wh":
        row |= {"amount": amount / _WH_A_MWH, "unit": "MWh"}
    factors = [
        f for f in claims.factors if _fits(f, row["amount"], row["unit"], row["emissions_t"])
    ]
    if len({f.value for f in factors}) == 1:
        factor = factors[0]
        row |= {"factor": factor.id, "factor_value": Decimal(factor.value),
                "factor_unit": factor.unit}  # fmt: skip
    else:
        draft.lacks(
            "jcm",
            f"factor of {parameter.device}",
            text("registration.jcm_factor", device=parameter.device),
        )
    return row


def _fits(factor: FactorUsed, amount: Decimal, unit: str, emissions: Decimal) -> bool:
    same = factor.unit.partition("/")[2] == unit
    return same and abs(amount * Decimal(factor.value) - emissions) <= _PLACES


def _allocation(
    draft: Draft, registration: Registration, credited: int, ask: str
) -> list[dict[str, Any]]:
    """Return the whole tonnes of each participant, rounded down; the rest is not allocated."""
    rows: list[dict[str, Any]] = []
    remaining = credited
    for participant in registration.participants:
        tonnes = int(credited * Decimal(participant.share_percent) / 100)
        rows.append(
            {
                "name": participant.name,
                "party": participant.side,
                "share_percent": Decimal(participant.share_percent),
                "account": participant.account,
                "allocated_t": tonnes,
            }
        )
        remaining -= tonnes
        if participant.account is None:
            account = text("registration.jcm_account", ask=ask, name=participant.name)
            draft.lacks("jcm", f"account of {participant.name}", account)
    if not rows:
        draft.lacks("jcm", "participants", text("registration.jcm_participants", ask=ask))
    elif remaining:
        draft.lacks("jcm", "allocation", text("registration.jcm_allocation", left=remaining))
    return rows


def _contributions(
    draft: Draft, source: Source, registration: Registration, ask: str
) -> list[dict[str, Any]]:
    """Return the goals with the statement's contribution, then entered ones with their document."""
    claims = source.claims
    roles = find(claims.methodology.id, claims.methodology.version).roles
    rows: list[dict[str, Any]] = [{
        "goal": "SDG 13", "contribution": "greenhouse gas emissions reduced",
        "contribution_amount": Decimal(claims.emissions.reduction.t), "contribution_unit": "tCO2e",
        "basis": source.name,
    }]  # fmt: skip
    made = [
        Decimal(parameter.counted)
        for parameter in claims.monitored_parameters
        if parameter.parameter == "energy_export" and roles[parameter.role].made_from in _RENEWABLE
    ]
    if made:
        rows.append(
            {
                "goal": "SDG 7",
                "contribution": "renewable electricity counted in the statement",
                "contribution_amount": sum(made) / _WH_A_MWH,
                "contribution_unit": "MWh",
                "basis": source.name,
            }
        )
    for contribution in registration.contributions:
        if contribution.statement == source.name:
            amount = None if contribution.amount is None else Decimal(contribution.amount)
            rows.append(
                {
                    "goal": contribution.goal,
                    "contribution": contribution.what,
                    "contribution_amount": amount,
                    "contribution_unit": contribution.unit,
                    "basis": contribution.document,
                }
            )
            if contribution.document is None:
                document = text("registration.jcm_document", ask=ask, goal=contribution.goal)
                draft.lacks("jcm", f"document of {contribution.goal}", document)
    return rows


def _planned(source: Source) -> dict[str, Any]:
    project = source.plan.project
    first, end = (instant_us(edge, "UTC") for edge in (project.from_, project.to))
    # only the yearly figures; the registry may also state monthly ones
    yearly = {
        name: number_of(project.expected[name])
        for name in ("reduction_t_per_year", "energy_kwh_per_year")
        if name in project.expected
    }
    return {
        "crediting_first": local_date(first, project.timezone).isoformat(),
        "crediting_last": local_date(end - 1, project.timezone).isoformat(),
        "expected_t_per_year": yearly.get("reduction_t_per_year"),
        "expected_kwh_per_year": yearly.get("energy_kwh_per_year"),
    }


def _design(source: Source) -> dict[str, list[dict[str, Any]]]:
    claims, plan = source.claims, source.plan
    roles = {device.device: device.role for device in plan.project.devices}
    return {
        "equipment": [
            {"device": device.id, "role": roles.get(device.id, "check meter"),
             "class": device.class_,
             "serial": device.serial, "maker": device.maker or None,
             "rated_kw": None if (watt := device.rated_power_w) is None else Decimal(watt) / 1000,
             "installed": device.installed}
            for device in plan.devices
        ],
        "fixed": [
            {"device": fixed.device, "parameter": fixed.parameter, "symbol": fixed.symbol or None,
             "meaning": fixed.meaning, "value": fixed.value, "unit": fixed.unit,
             "source": fixed.source}
            for fixed in claims.fixed_parameters or ()
        ],
        "monitoring": [
            {"plan_version": version.version, "parameter": line.parameter, "device": line.device,
             "option": line.option, "frequency": line.frequency,
             "accuracy_class": line.accuracy_class, "qa_qc": line.qa_qc,
             "responsible": line.responsible}
            for version in plan.monitoring or ()
            for line in version.lines
        ],
        "conditions": [
            {
                "clause": titled(condition.name),
                "holds": "yes" if condition.holds else "no",
                "detail": condition.words(),
            }
            for condition in claims.applicability
        ],
    }  # fmt: skip
