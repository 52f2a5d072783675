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
from fractions import Fraction

from ingest.model import INTERVAL_US
from mrv.accounting.device_period import Monitored
from mrv.accounting.invoiced_amounts import BILLED, unshown_share
from mrv.accounting.invoiced_time import invoiced
from mrv.accounting.period_result import CrossCheck
from mrv.model import Methodology
from mrv.registry.project import Besides, Unusual

RULE = "EVD-04"
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


def finding(beyond: Mapping[str, Unusual], users: Sequence[str]) -> str:
    """
    Say which devices it is, what to give, and in place of `{cost}` what it costs. [tCO2e]

    Parameters
    ----------
    users : sequence of str
        Meters of what the service takes.
    """
    told = [f"{name}: {one.reason}" for name, one in beyond.items()]
    more = f"; and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    return (
        f"{'; '.join(told[:_SHOWN])}{more}. It costs {{cost}} t. Give the supplier's invoices"
        f" of {', '.join(users)} with the `sha256` of their files (`tonne invoice import`)"
    )
