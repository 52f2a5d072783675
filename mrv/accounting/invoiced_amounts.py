"""
What meters count beside what their invoices say.

A meter and its invoices may differ by 1 % over the period; beyond that the less favourable counts.
Time without an invoice counts as the mean of the meter's own invoices, or as metered where that is
less favourable, with no room: no other meter tells of that time.  Electricity that shows a service
shows no more of it in such time than its mean would.

A bus can drive 500 km on one day, and no fleet does so day after day.  Odometers and chargers are
all the operator's, and scaled together they agree with each other.  So the mean of a device over a
period counts no more than what its kind does at most as a mean, unless invoices show what was used
for it.  A rule of tonne's own; the figures and their source are the methodology's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from ingest.model import INTERVAL_US
from mrv.accounting.device_period import Monitored
from mrv.accounting.invoiced_time import holding, invoiced, time_of
from mrv.accounting.period_result import CrossCheck
from mrv.accounting.time_in_service import served
from mrv.model import Methodology
from mrv.quantity_text import amount_text
from mrv.registry.project import Besides
from mrv.rounding import exact_sum
from mrv.texts import Text, text

BILLED, MORE = text("invoice.less"), text("invoice.more")
_DAY_US = 86_400_000_000
# two meters of class 1 (IEC 62053-21) that tell the same
ALIKE = Fraction(1, 100)


@dataclass(frozen=True, slots=True)
class _Billed:
    """
    What the invoices of a role's meters say of it. [base units]

    `theirs` is of the invoices' time, `mean` what time without one counts as, and `ours`
    what the meters know of the invoices' time, `full` the same with what is lost in the mean.
    """

    theirs: Fraction
    mean: Fraction
    ours: Fraction
    full: Fraction

    @property
    def whole(self) -> Fraction:
        return self.theirs + self.mean


def _apart(
    role: Sequence[Monitored], besides: Besides, checks: Sequence[CrossCheck]
) -> Iterator[CrossCheck]:
    """Comparisons of a role's meters that count as evidence, none over the time of another."""
    held = {(c.from_us, c.to_us, c.against): c for m in role for c in holding(m, besides, checks)}
    reached: dict[str, int] = {}
    for _, check in sorted(held.items()):
        if any(check.from_us < reached.get(name, check.from_us) for name in check.devices):
            continue
        reached |= dict.fromkeys(check.devices, check.to_us)
        yield check


def gained(role: Sequence[Monitored], besides: Besides, checks: Sequence[CrossCheck]) -> Fraction:
    """Return what a reduction would be lower by by invoices in place of meters. [tCO2e]"""
    return sum((Fraction(c.effect_t) for c in _apart(role, besides, checks)), start=Fraction(0))


def _billed(
    role: Sequence[Monitored],
    monitored: Sequence[Monitored],
    besides: Besides,
    checks: Sequence[CrossCheck],
) -> _Billed | None:
    """Add up a role's invoices, of each meter by itself; None where there are none."""
    names = {m.device.id for m in role}
    quantity = role[0].needs.quantity
    theirs, time_us = dict.fromkeys(names, Fraction(0)), dict.fromkeys(names, 0)
    ours, full = Fraction(0), Fraction(0)
    for check in _apart(role, besides, checks):
        for name, share in _shares(check, quantity, monitored).items():
            if name in names:
                theirs[name] += share * int(check.theirs)
                time_us[name] += _served_us(name, role, check)
                ours += share * int(check.ours)
                full += share * int(check.ours) / Fraction(check.coverage)
    every_us = sum(time_us.values())
    if not every_us:
        return None
    all_theirs, mean = sum(theirs.values(), start=Fraction(0)), Fraction(0)
    for name in names:
        whole_us = sum(end - begin for m in role if m.device.id == name
                       for begin, end in [time_of(m)])  # fmt: skip
        # a meter all of whose invoices overlap those of others has the others' mean
        rate = theirs[name] / time_us[name] if time_us[name] else all_theirs / every_us
        mean += rate * max(0, whole_us - time_us[name])
    return _Billed(all_theirs, mean, ours, full)


def _served_us(name: str, role: Sequence[Monitored], check: CrossCheck) -> int:
    """Time of an invoice in which a meter served: one may follow another within it."""
    first, last = check.from_us // INTERVAL_US, check.to_us // INTERVAL_US
    return served((m for m in role if m.device.id == name), first, last) * INTERVAL_US


def _shares(
    check: CrossCheck, quantity: str, monitored: Sequence[Monitored]
) -> dict[str, Fraction]:
    """Split one invoice of several meters by what they metered in its time."""
    metered = dict.fromkeys(check.devices, 0)
    for m in monitored:
        if m.device.id in metered and m.needs.quantity == quantity:
            metered[m.device.id] += _metered(m, check)
    whole = sum(metered.values())
    return {
        name: Fraction(value, whole) if whole else Fraction(1, len(metered))
        for name, value in metered.items()
    }


def _metered(one: Monitored, check: CrossCheck) -> int:
    if one.series is None:
        return sum(p.metered for p in one.parts)
    first = one.service.first
    begin, end = (max(0, us // INTERVAL_US - first) for us in (check.from_us, check.to_us))
    return exact_sum(one.series[begin:end].astype(np.int64))


def beyond(
    role: Sequence[Monitored],
    monitored: Sequence[Monitored],
    besides: Besides,
    checks: Sequence[CrossCheck],
    alike: Fraction,
) -> Fraction:
    """
    Return what meters of a role count more than their invoices allow, or less. [base units]

    Parameters
    ----------
    role : sequence of Monitored
        Those that invoices show.
    monitored : sequence of Monitored
        All of the period.
    alike : Fraction
        Share of what the invoices say by which the meters may differ from it.
    """
    billed = _billed(role, monitored, besides, checks)
    if billed is None:
        return Fraction(0)
    counted = sum((m.counted(p) for m in role for p in m.parts), start=Fraction(0))
    if role[0].needs.side == "baseline":
        far, uncovered = counted - billed.whole, counted - billed.ours - billed.mean
    else:
        far, uncovered = billed.whole - counted, billed.mean - (counted - billed.full)
    # what differs by less is the same
    found = far if far > alike * billed.whole else Fraction(0)
    return max(Fraction(0), found, uncovered if billed.mean else Fraction(0))


def unshown_share(
    users: Sequence[Monitored],
    monitored: Sequence[Monitored],
    besides: Besides,
    checks: Sequence[CrossCheck],
) -> Fraction:
    """
    Return the share of a service's electricity that only its meters show, above the mean.

    That is what they report of time without an invoice beyond what the invoices have in the mean.
    """
    billed = _billed(users, monitored, besides, checks)
    metered = sum(p.metered for m in users for p in m.parts)
    if billed is None or not billed.mean or not metered:
        return Fraction(0)
    more = metered - billed.ours - billed.mean
    return more / metered if more > ALIKE * billed.mean else Fraction(0)


class Unusual(NamedTuple):
    """
    What a device did beyond the highest mean of its kind [base units], and why.

    `per_day` is its mean, `most` that of its kind.
    """

    excess: Fraction
    reason: Text
    per_day: Text
    most: Text


def unusual(
    monitored: Sequence[Monitored],
    methodology: Methodology,
    besides: Besides,
    checks: Sequence[CrossCheck],
) -> Mapping[str, Unusual]:
    """
    Find devices whose mean is above the highest of their kind, and what they used is not invoiced.

    Parameters
    ----------
    monitored : sequence of Monitored
        As it counts.
    checks : sequence of CrossCheck
        Of the period.
    """
    found = {}
    for consumption in methodology.consumptions:
        users = [m for m in monitored if m.bound.role in consumption.uses]
        shown = bool(users) and all(invoiced(m, besides, checks) for m in users)
        share = unshown_share(users, monitored, besides, checks) if shown else Fraction(1)
        for one in monitored:
            if one.bound.role not in consumption.serves or one.most is None:
                continue
            days = Fraction(one.service.intervals * INTERVAL_US, _DAY_US)
            mean = one.most.per_day_as_mean * max(days, Fraction(1))
            counted = sum((one.counted(p) for p in one.parts), start=Fraction(0))
            if one.most.per_day_as_mean and counted > mean and share:
                less = min(counted - mean, share * counted)
                most = amount_text(one.most.per_day_as_mean, one.needs.unit)
                reason = BILLED if shown else text("EVD-04.class_mean", most=most)
                per_day = amount_text(counted / max(days, Fraction(1)), one.needs.unit)
                found[one.device.id] = Unusual(less, reason, per_day, most)
    return found
