"""
JCM: a project's monitoring spreadsheet of a period, and the request for issuance.

The official spreadsheets were not to be had: which value stands in which cell is a map file a
methodology (`cell_map`), to be filled into the official file that is given, or into our own
layout, named as such.  The matter of an issuance request is from memory [M].
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from mrv.exports.draft import Draft
from mrv.exports.source import days

if TYPE_CHECKING:
    from mrv.documents.statement import Claims, FactorUsed, MonitoredParameter
    from mrv.exports.entered import Registration
    from mrv.exports.source import Source

VALUES = ("statement", "project", "project_name", "methodology", "version", "first_day", "last_day",
          "reference_t", "project_t", "leakage_t", "reduction_t", "credited_t", "verifier",
          "verification", "coverage")  # fmt: skip
COLUMNS = ("device", "role", "side", "parameter", "symbol", "amount", "unit", "option",
           "accuracy_class", "factor", "factor_value", "factor_unit", "emissions_t", "year",
           "vintage_reduction_t", "vintage_credited_t", "name", "party", "share_percent", "account",
           "allocated_t")  # fmt: skip
_WH_A_MWH, _PLACES = 10**6, Decimal("0.000001")


class Filled(NamedTuple):
    """Single values, rows by name, and what is missing."""

    values: dict[str, Any]
    rows: dict[str, list[dict[str, Any]]]
    draft: Draft


def jcm(source: Source, registration: Registration) -> Filled:
    """
    Return what a statement gives to the forms of the JCM.

    A parameter's factor is the one of the statement's factors by which its amount comes to its
    emissions; where none does, the row has none and it is named.
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
    }
    ask = f"enter registrations[{claims.project.id}]"
    entered = next((v for v in registration.verifications if v.statement == source.name), None)
    values["verification"] = None if entered is None else entered.id
    for name, remedy in (("project", "project_id"), ("verification", "verifications, id")):
        if values[name] is None:
            draft.lacks("jcm", name, f"{ask}.{remedy}")
    rows = {
        "parameters": [_parameter(draft, claims, one) for one in claims.monitored_parameters],
        "vintages": [
            {"year": v.year, "vintage_reduction_t": Decimal(v.reduction_t),
             "vintage_credited_t": int(v.credited_t)}
            for v in claims.credited.vintages
        ],
        "participants": _allocation(draft, registration, source.credited, ask),
    }  # fmt: skip
    draft.tables = {"values": values, **rows}
    return Filled(values, rows, draft)


def _parameter(draft: Draft, claims: Claims, one: MonitoredParameter) -> dict[str, Any]:
    amount = Decimal(one.counted)
    row: dict[str, Any] = {
        "device": one.device, "role": one.role, "side": one.side, "parameter": one.parameter,
        "symbol": one.symbol or None, "amount": amount, "unit": one.unit,
        "option": one.monitoring_option, "accuracy_class": one.meter.accuracy_class,
        "emissions_t": Decimal(one.emissions_t),
    }  # fmt: skip
    if one.unit == "Wh":
        row |= {"amount": amount / _WH_A_MWH, "unit": "MWh"}
    found = [f for f in claims.factors if _fits(f, row["amount"], row["unit"], row["emissions_t"])]
    if len({f.value for f in found}) == 1:
        factor = found[0]
        row |= {"factor": factor.id, "factor_value": Decimal(factor.value),
                "factor_unit": factor.unit}  # fmt: skip
    else:
        draft.lacks("jcm", f"factor of {one.device}",
                    "no single factor of the statement gives its emissions; write it in the form"
                    " by hand")  # fmt: skip
    return row


def _fits(factor: FactorUsed, amount: Decimal, unit: str, emissions: Decimal) -> bool:
    same = factor.unit.partition("/")[2] == unit
    return same and abs(amount * Decimal(factor.value) - emissions) <= _PLACES


def _allocation(
    draft: Draft, registration: Registration, credited: int, ask: str
) -> list[dict[str, Any]]:
    """Whole tonnes of each participant, rounded down; what is left is somebody's to say."""
    rows: list[dict[str, Any]] = []
    left = credited
    for one in registration.participants:
        tonnes = int(credited * Decimal(one.share_percent) / 100)
        rows.append({
            "name": one.name, "party": one.side, "share_percent": Decimal(one.share_percent),
            "account": one.account, "allocated_t": tonnes,
        })  # fmt: skip
        left -= tonnes
        if one.account is None:
            draft.lacks("jcm", f"account of {one.name}", f"{ask}.participants, account")
    if not rows:
        draft.lacks("jcm", "participants", f"{ask}.participants")
    elif left:
        draft.lacks("jcm", "allocation", f"{left} t are left by rounding down; the participants"
                    " agree whose they are")  # fmt: skip
    return rows
