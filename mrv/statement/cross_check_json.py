"""Cross-checks by check meters and invoices, as the JSON of a statement."""

from __future__ import annotations

from fractions import Fraction

from mrv.accounting.period_result import INVOICE, METER, CrossCheck, PeriodResult
from mrv.calendar import utc_text
from mrv.documents.coded import coded_or_words
from mrv.documents.monitoring import CrossCheck as CrossCheckShown
from mrv.documents.monitoring import ReadingsReach
from mrv.statement.evidence_case import Case
from mrv.statement.evidence_pass import Reach
from mrv.statement.materiality import Materiality

# From which share of the reduction on a misstatement is material, unless the
# verifier says otherwise: Circular 38/2023/TT-BCT, and the usual figure. [%]
MATERIAL_PERCENT = 5


def cross_check_out(one: CrossCheck, case: Case) -> CrossCheckShown:
    """Write a cross-check; of a check meter with how far its readings reach."""
    meter = one.kind == METER
    return CrossCheckShown(
        kind=one.kind,
        against=one.against,
        devices=one.devices,
        parameter=one.quantity,
        unit=one.unit,
        from_=utc_text(one.from_us),
        to=utc_text(one.to_us),
        compared_share=one.coverage,
        metered=one.ours,
        witnessed=one.theirs,
        difference_percent=one.difference_percent,
        tolerance_percent=one.tolerance_percent,
        effect_t=one.effect_t,
        holds=one.holds,
        detail=coded_or_words(one.detail),
        readings=readings_out(case.reaches[case.fleet.by_id[one.against]]) if meter else None,
    )


def readings_out(one: Reach) -> ReadingsReach:
    """How many readings, and how far they reach beyond the period's edges."""
    return ReadingsReach(
        count=one.readings,
        first=None if one.first_us is None else utc_text(one.first_us),
        last=None if one.last_us is None else utc_text(one.last_us),
        outside_period=one.outside,
    )


def indicated(result: PeriodResult) -> Materiality:
    """
    Add up the possible overstatement of cross-checks that do not hold, net and absolute.

    Check meters and invoices may witness the same energy, so the kind that says
    more counts, not both.
    """
    by_kind = [
        [Fraction(c.effect_t) for c in result.cross_checks if c.kind == kind and c.holds is False]
        for kind in (METER, INVOICE)
    ]
    worst = max(by_kind, key=lambda effects: sum(map(abs, effects), start=Fraction(0)))
    return Materiality(
        Fraction(MATERIAL_PERCENT),
        sum(worst, start=Fraction(0)),
        sum(map(abs, worst), start=Fraction(0)),
        Fraction(result.net.reduction.t),
    )
