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
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from ingest.model import INTERVAL_US
from ingest.quality.energy_budget import METERS
from mrv.accounting.device_period import Monitored
from mrv.accounting.device_results import Pricing
from mrv.accounting.period_result import INVOICE, CrossCheck, Finding
from mrv.registry.project import Besides
from mrv.rounding import decimal_text, exact_sum

RULE = "EVD-01"
# up to this share of a device's energy nobody asks: that from which a misstatement is material
# (Circular 38/2023/TT-BCT)
LEAST = Fraction(5, 100)
# part of a device's time that another witness has to cover
_COVERED = Fraction(95, 100)
_WH_PER_KWH = 1000
_SHOWN = 5


class Resting(NamedTuple):
    """What is said of energy that rests on one channel, and of which device and quantity it is."""

    findings: tuple[Finding, ...]
    uncounted: frozenset[tuple[str, str]]


def single_channel(
    monitored: Sequence[Monitored],
    besides: Besides,
    checks: Sequence[CrossCheck],
    years: Sequence[tuple[int, int, int]],
    pricing: Pricing,
) -> Resting:
    """
    Say how much energy of the baseline rests on one channel, and what it would come to.

    Parameters
    ----------
    monitored : sequence of Monitored
        What counts, by device.
    besides : Besides
        With what no second channel shows, and with the invoices.
    checks : sequence of CrossCheck
        Of the period.
    years : sequence of (year, begin, end)
        Local calendar years of the period. [us UTC]

    Returns
    -------
    Resting
        One condition, where there is such energy.
    """
    told, shown, total_wh, total_t, whole = [], [], 0, Fraction(0), 0
    uncounted = set()
    for one in monitored:
        if one.needs.side == "project" or one.needs.unit != "Wh":
            continue
        metered = sum(p.metered - p.implausible - p.certified for p in one.parts)
        whole += metered
        alone_wh, tonnes = _of_device(one, besides, years, pricing)
        if not alone_wh or alone_wh <= LEAST * metered or metered <= 0:
            continue
        text = f"{one.device.id}: {_kwh(alone_wh)} kWh, {_percent(alone_wh, metered)} % of its own"
        witness = witness_of(one, besides, checks)
        if witness is not None:
            shown.append(f"{text}, which {witness} shows")
            continue
        told.append(text)
        uncounted.add((one.device.id, one.needs.quantity))
        total_wh, total_t = total_wh + alone_wh, total_t + tonnes
    if told:
        summed = (
            f"{_kwh(total_wh)} kWh, {_percent(total_wh, whole)} % of the period's energy and"
            f" {decimal_text(total_t, 6, 'down')} t of its baseline, rest on a register alone and"
            " count 0: let the device tell its power at least every quarter of an hour, or give a"
            f" check meter or an invoice with its file, that may differ by at most {METERS:.0%}"
        )
        said = [Finding(RULE, False, "; ".join((summed, *_some(told))))]
    else:
        said = [Finding(RULE, True, "; ".join(_some(shown)))] if shown else []
    return Resting(tuple(said), frozenset(uncounted))


def without(besides: Besides, uncounted: frozenset[tuple[str, str]]) -> Besides:
    """Return what a period is held against where what rests on one channel counts nothing."""
    more = {key: (*besides.unshown.get(key, ()), besides.alone[key]) for key in uncounted}
    return replace(besides, unshown={**besides.unshown, **more}, alone={})


def _of_device(
    one: Monitored, besides: Besides, years: Sequence[tuple[int, int, int]], pricing: Pricing
) -> tuple[int, Fraction]:
    """Energy of a device in its service that its register alone shows. [Wh, tCO2e]"""
    found = besides.alone.get((one.device.id, one.needs.quantity))
    if found is None:
        return 0, Fraction(0)
    first, last = one.service.first, one.service.first + one.service.intervals
    energy, tonnes = 0, Fraction(0)
    for year, begin_us, end_us in years:
        edges = max(first, begin_us // INTERVAL_US), min(last, end_us // INTERVAL_US)
        begin, end = np.searchsorted(found.number, edges)
        part = exact_sum(found.value[begin:end]) if begin < end else 0
        energy += part
        tonnes += part * pricing.rate(one, year) if part else 0
    return energy, tonnes


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


def _kwh(energy_wh: int) -> str:
    return f"{energy_wh / _WH_PER_KWH:,.3f}"


def _percent(part: int, whole: int) -> str:
    return decimal_text(Fraction(100 * part, whole) if whole else Fraction(0), 1, "up")


def _some(told: Sequence[str]) -> list[str]:
    more = [f"and {len(told) - _SHOWN} more"] if len(told) > _SHOWN else []
    return [*told[:_SHOWN], *more]
