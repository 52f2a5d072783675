"""
What a device of a kind does on most days, and more that only an invoice shows.

A bus can drive 500 km on one day, and no fleet does so day after day.  Odometers and chargers are
all the operator's, and scaled together they agree with each other.  So the mean of a device over a
period counts no more than what its kind does at most as a mean, unless invoices with the hashes of
their files show what was used for it (`invoiced_time`): the electricity of the chargers.  Of what
is above the mean of a kind that part does not count which rests on electricity of time without an
invoice, above the mean of the invoices.  A rule of tonne's own; the figures
and their source are the methodology's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from ingest.model import INTERVAL_US
from mrv.accounting.device_period import Monitored, Raised
from mrv.accounting.invoiced_amounts import BILLED, unshown_share
from mrv.accounting.invoiced_time import invoiced
from mrv.accounting.period_result import CrossCheck, Finding
from mrv.model import Methodology
from mrv.registry.project import Besides, Unusual
from mrv.rounding import decimal_text

CLAUSE = "tonne: no device does more than its kind does as a mean, unless invoices show it"
_DAY_US = 86_400_000_000
_PLACES = 6
_SHOWN = 3


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
    if besides.unusual is not None:
        return {}
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
                reason = BILLED if shown else f"{one.most.as_mean}: that counts"
                found[one.device.id] = Unusual(less, reason)
    return found


def within_usual(monitored: Sequence[Monitored], beyond: Mapping[str, Unusual]) -> list[Monitored]:
    """Take off what lies above the mean of a kind, in proportion to what counts."""
    return [_less(m, beyond[m.device.id]) if m.device.id in beyond else m for m in monitored]


def finding(beyond: Mapping[str, Unusual], users: Sequence[str], cost_t: Fraction) -> Finding:
    """
    Say which devices it is, what to give, and what it costs.

    Parameters
    ----------
    users : sequence of str
        Meters of what the service takes.
    cost_t : Fraction
        [tCO2e]
    """
    told = [f"{name}: {one.reason}" for name, one in beyond.items()]
    more = f"; and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    return Finding(
        CLAUSE,
        False,
        f"{'; '.join(told[:_SHOWN])}{more}. It costs"
        f" {decimal_text(max(cost_t, Fraction(0)), _PLACES, 'up')} t. Give the supplier's invoices"
        f" of {', '.join(users)} with the `sha256` of their files (`tonne invoice import`)",
    )


def _less(one: Monitored, beyond: Unusual) -> Monitored:
    counted = sum((one.counted(p) for p in one.parts), start=Fraction(0))
    if counted <= 0:
        return one
    share = min(Fraction(1), beyond.excess / counted)
    begin = one.service.first * INTERVAL_US
    end = begin + one.service.intervals * INTERVAL_US
    parts = tuple(
        replace(p, limited=(*p.limited, Raised(begin, end, beyond.reason, one.counted(p) * share)))
        for p in one.parts
    )
    return replace(one, parts=parts)
