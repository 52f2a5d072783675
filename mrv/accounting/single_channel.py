"""
Energy of the baseline that rests on one channel: a register that nothing else shows.

Where a device tells no power and no direct current, or tells them too seldom to be compared,
a register that runs fast is bounded by its rating and the sun alone: one that counts a third
too much passes both.  Such energy counts nothing until a check meter, or an invoice whose
document is kept, shows it too.  The condition says how much it is and what would show it.

The methodologies ask for a certified meter and for its comparison with what was sold, and a
certificate says how well the meter measures, not that its readings came from it.  No discount
would do in place of the evidence: any share would be a guess at how much of it is false.  What
seldom samples of power do show, less their sampling error, counts; so the claimant pays for
what is not known, as elsewhere, and whoever samples every quarter hour pays nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from ingest.model import INTERVAL_US
from ingest.quality.energy_budget import METERS
from mrv.accounting.device_period import Monitored
from mrv.accounting.period_result import INVOICE, CrossCheck
from mrv.registry.project import Besides
from mrv.rounding import decimal_text

RULE = "EVD-01"
# up to this share of a device's energy nobody asks: that from which a misstatement is material
# (Circular 38/2023/TT-BCT)
LEAST = Fraction(5, 100)
# part of a device's time that another witness has to cover
_COVERED = Fraction(95, 100)
_WH_PER_KWH = 1000
_SHOWN = 5


def witness_of(one: Monitored, besides: Besides, checks: Sequence[CrossCheck]) -> str | None:
    """Return the check meter or invoice that shows a device's energy; None where there is none."""
    documents = {
        f"{i.id}: {i.issuer}, {i.number}" for i in besides.invoices if i.sha256 and not i.doubt
    }
    for check in checks:
        if (
            check.holds
            and one.device.id in check.devices
            and check.quantity == one.needs.quantity
            and Fraction(check.tolerance_percent) <= Fraction(str(METERS)) * 100
            and Fraction(check.coverage) >= _COVERED
            and _spans(check, one)
            and (check.kind != INVOICE or check.against in documents)
        ):
            return f"{check.kind} {check.against}"
    return None


def _spans(check: CrossCheck, one: Monitored) -> bool:
    """Whether a check is about nearly all of a device's time in service."""
    begin, end = (
        one.service.first * INTERVAL_US,
        (one.service.first + one.service.intervals) * INTERVAL_US,
    )
    shared = min(end, check.to_us) - max(begin, check.from_us)
    return shared >= _COVERED * (end - begin)


def kwh(energy_wh: int) -> str:
    """Return energy as text in kWh."""
    return f"{energy_wh / _WH_PER_KWH:,.3f}"


def percent(part: int, whole: int) -> str:
    """Return a share as text in per cent, rounded up."""
    return decimal_text(Fraction(100 * part, whole) if whole else Fraction(0), 1, "up")
