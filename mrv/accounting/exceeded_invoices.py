"""
What meters of a service that takes no electricity tell beyond invoices that say less.

Steam counts within what a plant was built for, by documents or by invoices.  Where an
invoice with its file is there and says less than its meters, by more than it may differ, what it
says counts for its time: the buyer paid for no more.  A meter that tells 1.9 times what is invoiced
does so at other times too, so that its time without an invoice counts in the same proportion.
A rule of tonne's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from ingest.model import INTERVAL_US
from mrv.accounting.device_period import Monitored
from mrv.accounting.invoiced_time import documents, holding
from mrv.accounting.period_result import INVOICE, CrossCheck
from mrv.registry.project import Besides
from mrv.rounding import exact_sum


class Exceeded(NamedTuple):
    """What meters of a role tell beyond their invoices [base units], and the words for it."""

    quantity: Fraction
    told: str


def exceeded(
    role: Sequence[Monitored], besides: Besides, checks: Sequence[CrossCheck]
) -> Exceeded | None:
    """
    Return what a role's meters count beyond invoices that say less; None where none does.

    Parameters
    ----------
    role : sequence of Monitored
        All meters of a role of the baseline.
    checks : sequence of CrossCheck
        Of the period.
    """
    names = {m.device.id for m in role}
    less = list(_less(names, role[0].needs.quantity, besides, checks))
    ours, theirs = (sum(int(v) for v in values) for values in
                    ((c.ours for c in less), (c.theirs for c in less)))  # fmt: skip
    if not ours:
        return None
    shown = {name for check in less for name in check.devices}
    bare = sum(_uncovered(m, less, besides, checks) for m in role if m.device.id in shown)
    more = ours - theirs + bare * (1 - Fraction(theirs, ours))
    metered = sum(p.metered for m in role for p in m.parts)
    counted = sum((m.counted(p) for m in role for p in m.parts), start=Fraction(0))
    beyond = more - (metered - counted)
    if beyond <= 0:
        return None
    papers = ", ".join(f"{c.against} by {c.difference_percent} %" for c in less)
    return Exceeded(
        beyond,
        f"{', '.join(sorted(shown))} told more than {papers}: what they show counts, and time"
        " without an invoice in the same proportion",
    )


def _less(
    names: set[str], quantity: str, besides: Besides, checks: Sequence[CrossCheck]
) -> Iterator[CrossCheck]:
    """Comparisons with invoices that say less, none over the time of another."""
    papers = documents(besides)
    reached: dict[str, int] = {}
    for check in sorted(checks, key=lambda c: (c.from_us, c.to_us, c.against)):
        most = int(check.theirs) * (1 + Fraction(check.tolerance_percent) / 100)
        if (
            check.kind != INVOICE
            or check.holds is not False
            or check.against not in papers
            or check.quantity != quantity
            or not {*check.devices} <= names
            or int(check.ours) <= most
            or any(check.from_us < reached.get(name, check.from_us) for name in check.devices)
        ):
            continue
        reached |= dict.fromkeys(check.devices, check.to_us)
        yield check


def _uncovered(
    one: Monitored, less: Sequence[CrossCheck], besides: Besides, checks: Sequence[CrossCheck]
) -> int:
    """What a meter told of time of which no invoice is. [base units]"""
    if one.series is None:
        return 0
    bare = np.ones(len(one.series), dtype=np.bool_)
    of = (c for c in less if one.device.id in c.devices)
    for check in (*of, *holding(one, besides, checks)):
        begin, end = (
            max(0, us // INTERVAL_US - one.service.first) for us in (check.from_us, check.to_us)
        )
        bare[begin:end] = False
    return exact_sum(one.series[bare].astype(np.int64)) if bare.any() else 0
