"""
Whether another source corroborates a device's energy: a check meter, or an invoice with its file.

It covers nearly all of the device's time, and differs by no more than two meters may.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from ingest.model import INTERVAL_US
from ingest.quality.energy_budget import METERS
from mrv.accounting.device_period import Monitored
from mrv.accounting.period_result import INVOICE, CrossCheck
from mrv.registry.project import Besides
from mrv.texts import Text, text

# part of a device's time that another witness has to cover
_COVERED = Fraction(95, 100)


def agreeing(one: Monitored, besides: Besides, checks: Sequence[CrossCheck]) -> CrossCheck | None:
    """Return the comparison that corroborates a device's quantity; None where there is none."""
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
            return check
    return None


def witness_of(one: Monitored, besides: Besides, checks: Sequence[CrossCheck]) -> Text | None:
    """Return the check meter or invoice that corroborates a device; None where there is none."""
    check = agreeing(one, besides, checks)
    return None if check is None else witness_text(check)


def witness_text(check: CrossCheck) -> Text:
    """Name the check meter or the invoice of a comparison."""
    kind = text("cross_check.invoice" if check.kind == INVOICE else "cross_check.meter")
    return text("cross_check.witness", kind=kind, against=check.against)


def _spans(check: CrossCheck, one: Monitored) -> bool:
    """Whether a check is about nearly all of a device's time in service."""
    begin, end = (
        one.service.first * INTERVAL_US,
        (one.service.first + one.service.intervals) * INTERVAL_US,
    )
    shared = min(end, check.to_us) - max(begin, check.from_us)
    return shared >= _COVERED * (end - begin)
