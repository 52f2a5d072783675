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
# verifier says otherwise: tonne's own, and Viet Nam's (Circular 38/2023/TT-BCT). [%]
MATERIAL_PERCENT = 5


def cross_check_out(cross_check: CrossCheck, case: Case) -> CrossCheckShown:
    """Return a cross-check; that of a check meter with the extent of its readings."""
    meter = cross_check.kind == METER
    return CrossCheckShown(
        kind=cross_check.kind,
        against=cross_check.against,
        devices=cross_check.devices,
        parameter=cross_check.quantity,
        unit=cross_check.unit,
        from_=utc_text(cross_check.from_us),
        to=utc_text(cross_check.to_us),
        compared_share=cross_check.coverage,
        metered=cross_check.ours,
        witnessed=cross_check.theirs,
        difference_percent=cross_check.difference_percent,
        tolerance_percent=cross_check.tolerance_percent,
        effect_t=cross_check.effect_t,
        holds=cross_check.holds,
        detail=coded_or_words(cross_check.detail),
        readings=readings_out(case.reaches[case.fleet.by_id[cross_check.against]])
        if meter
        else None,
    )


def readings_out(reach: Reach) -> ReadingsReach:
    """Return the number of readings, and their extent beyond the period's edges."""
    return ReadingsReach(
        count=reach.readings,
        first=None if reach.first_us is None else utc_text(reach.first_us),
        last=None if reach.last_us is None else utc_text(reach.last_us),
        outside_period=reach.outside,
    )


def indicated(result: PeriodResult) -> Materiality:
    """
    Return the potential overstatement of failed cross-checks, net and absolute.

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
