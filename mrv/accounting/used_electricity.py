"""
Electricity that a project uses, and who else than its own meter shows it.

A fan's meter of which the transformer ratio is typed ten times too low tells a tenth, and the rest
of a plant looks the same.  So a condition asks for the supplier's invoices, as for fuel.  It holds
where they cover the use as `invoiced_time` says, where a check meter agrees with it, or where the
meter's own power is recorded and agrees with its register.  What vehicles are charged with is asked
for by itself (`service_evidence`).

Nobody is asked where all that is not shown would change less than a hundredth of the reduction at
its highest plausible value: the rated power of the meter over all of its time, or ten times what it
told where that is more.  The condition says what that would cost.  Nothing is taken off.  A rule of
tonne's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from ingest.model import HOUR_US, INTERVAL_US
from mrv.accounting.device_period import Monitored
from mrv.accounting.device_results import Pricing
from mrv.accounting.invoice_evidence import with_reasons
from mrv.accounting.invoiced_time import invoiced
from mrv.accounting.period_result import CrossCheck, Finding
from mrv.accounting.single_channel import witness_of
from mrv.model import Methodology
from mrv.quantity_text import quantity_text
from mrv.registry.project import Besides
from mrv.rounding import decimal_text

RULE = "EVD-07"
# of the reduction: what would change it by less is not asked for
_NEGLIGIBLE = Fraction(1, 100)
_TIMES = 10
_PLACES = 6


def used_electricity(
    monitored: Sequence[Monitored],
    methodology: Methodology,
    besides: Besides,
    checks: Sequence[CrossCheck],
    reduction_t: Fraction,
    pricing: Pricing,
) -> Iterator[Finding]:
    """
    Say which electricity of the project nobody but its own meter tells.

    Parameters
    ----------
    monitored : sequence of Monitored
        As it counts.
    checks : sequence of CrossCheck
        Of the period.
    reduction_t : Fraction
        Of the period. [tCO2e]
    """
    charging = {r for one in methodology.consumptions if one.by_model for r in one.uses}
    there = [
        m
        for m in monitored
        if m.needs.side == "project"
        and m.needs.unit == "Wh"
        and m.bound.role not in charging
        and m.service.intervals
    ]
    if not there or reduction_t <= 0:
        return
    shown = [(m, _witness(m, besides, checks)) for m in there]
    alone = [m for m, witness in shown if not witness]
    if not alone:
        told = dict.fromkeys(f"{m.device.id}: {witness}" for m, witness in shown)
        yield Finding(RULE, True, "; ".join(told))
        return
    more = [_at_most(m, pricing) for m in alone]
    tonnes = sum((t for _, t in more), start=Fraction(0))
    if tonnes < _NEGLIGIBLE * reduction_t:
        return
    counted = sum((m.counted(p) for m in alone for p in m.parts), start=Fraction(0))
    why = with_reasons([m.device.id for m in alone], alone, besides, checks)
    yield Finding(
        RULE,
        False,
        f"no invoice with its file shows what {why} used: {_kwh(counted)} count, and a lower figure"
        f" would leave more. At rated power all the time, or at ten times what was told, it would"
        f" be {_kwh(counted + sum(wh for wh, _ in more))}, which would take off"
        f" {decimal_text(tonnes, _PLACES, 'up')} t. Give the supplier's invoices of it"
        " with the `sha256` of their files (`quantity: energy_import`, `tonne invoice import`), or"
        " a check meter, or let the meter tell its power every quarter of an hour",
    )


def _witness(one: Monitored, besides: Besides, checks: Sequence[CrossCheck]) -> str:
    """Say what shows a meter's electricity; empty where nothing does."""
    if invoiced(one, besides, checks):
        return "its invoices"
    witness = witness_of(one, besides, checks)
    if witness is not None:
        return str(witness)
    gauged = (one.device.id, one.needs.quantity) in besides.gauged
    return "its own power" if gauged else ""


def _at_most(one: Monitored, pricing: Pricing) -> tuple[Fraction, Fraction]:
    """Return what a meter may have used at most beyond what counts. [Wh, tCO2e]"""
    metered = sum(part.metered for part in one.parts)
    counted = sum((one.counted(part) for part in one.parts), start=Fraction(0))
    rated = (one.rate or Fraction(0)) * Fraction(one.service.intervals * INTERVAL_US, HOUR_US)
    more = max(rated, Fraction(_TIMES * metered)) - counted
    if more <= 0:
        return Fraction(0), Fraction(0)
    return more, more * max(pricing.rate(one, part.year) for part in one.parts)


def _kwh(energy_wh: Fraction) -> str:
    return quantity_text(energy_wh, "Wh")
