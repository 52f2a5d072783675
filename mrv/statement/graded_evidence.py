"""
Graded evidence of a statement: shares by grade, and the worklist of meters and values.

A value signed by a meter has grade A only if a third party's document shows its key, since the
operator enters the key in the registry and may hold it.
"""

from __future__ import annotations

from fractions import Fraction

from mrv.accounting.entered_values import undocumented
from mrv.calendar import local_date
from mrv.documents import period_account as wire_account
from mrv.documents.form import copied
from mrv.model import METER_KEYS
from mrv.rules.grades import shares as by_grade
from mrv.rules.grades import signed
from mrv.statement.evidence_case import Case
from mrv.statement.plan_writer import required_out
from mrv.statement.signed_energy import ENERGY, OF_METERS, shares


def evidence_out(case: Case) -> wire_account.Evidence:
    """Return the graded evidence of the reduction."""
    result = case.result
    items = signed(result.evidence, _signed_by_meter(case) if _keys_shown(case) else {})
    return wire_account.Evidence(
        shares=dict(by_grade(items, Fraction(result.claimed_t))),
        items=tuple(copied(wire_account.EvidenceItem, item) for item in items),
        asked=required_out(case.plan.required),
    )


def _keys_shown(case: Case) -> bool:
    """Return whether a third party's document, by the period's end, shows the meters' keys."""
    last = local_date(case.to_us - 1, case.plan.project.timezone)
    return undocumented(METER_KEYS, {METER_KEYS: ""}, case.plan.documents, last) is None


def _signed_by_meter(case: Case) -> dict[str, Fraction]:
    """Return the share of each meter's energy that the meter signed."""
    extract, devices = case.plan.signed, case.result.devices
    result = dict[str, Fraction]()
    for name in dict.fromkeys(d.device for d in devices if d.quantity in ENERGY):
        own = [device for device in devices if device.device == name]
        if extract is not None:
            kinds = shares(extract, case.fitting, own, case.rows, case.fleet).shares
            percent = (Fraction(s.share_percent) for s in kinds if s.kind in OF_METERS)
            result[name] = sum(percent, Fraction(0)) / 100
    return result
