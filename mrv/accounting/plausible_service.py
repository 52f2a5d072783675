"""
Specific consumption of a service, held against its plausible range.

A kilometre takes electricity, a casting takes current.  Each stretch of about a week is
judged by itself, so that a meter that stood still for one of them does not hide in the
others.  Below the range its upper end is charged, since nobody knows which of the two is
wrong.  A meter that stood still while others moved is charged up to what the project used
at most for the same service in the stretches in which all moved.  Above the range nothing
is changed, and the condition holds: the claimed use costs the claimant more than its bound would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from ingest.model import HOUR_US, INTERVAL_US
from mrv.accounting.device_period import Monitored
from mrv.accounting.period_result import Finding
from mrv.calendar import local_date, utc_text
from mrv.model import Methodology
from mrv.parameters.inputs import Inputs
from mrv.service_bounds import Consumption

_WEEK = 7 * 24 * HOUR_US // INTERVAL_US
RULE = "MTR-05"
_SHOWN = 3
# Batteries and tanks carry over from week to week; what a period uses is held to the whole range.
_STORED = Fraction(4, 5)


class _Stretch(NamedTuple):
    """
    A stretch of a period: what it used for its service, and the meters that stood still.

    `counted` is what of the service is within the design capacity: the rest carries no use.
    """

    place: int
    begin_us: int
    end_us: int
    used: Fraction
    served: int
    counted: Fraction
    still: tuple[int, ...]
    moving: int

    def specific(self, one: Consumption) -> Fraction:
        return self.used / self.served * one.per_base


@dataclass(frozen=True, slots=True)
class Charge:
    """What a stretch is charged more, and why."""

    stretch: _Stretch
    quantity: Fraction
    reason: str


def stretches(first: int, last: int) -> tuple[int, ...]:
    """
    Return the edges of a period's stretches, about a week each. [interval numbers]

    They are of one length, so that no short rest of a period is judged by itself.
    """
    count = max(1, round((last - first) / _WEEK))
    return tuple(first + (last - first) * k // count for k in range(count + 1))


def raised(
    monitored: Sequence[Monitored],
    methodology: Methodology,
    parameters: Inputs,
    edges: Sequence[int],
    timezone: str,
    excess: Callable[[Consumption, int], Fraction],
) -> tuple[list[tuple[int, int, Charge]], list[Finding]]:
    """
    Charge services whose consumption is not plausible, and say so.

    Parameters
    ----------
    monitored : sequence of Monitored
        With the sums of each stretch.
    edges : sequence of int
        As `stretches` gives them.
    excess : callable
        Of the service in a stretch, what is above the design capacity. [base units]

    Returns
    -------
    Charges with the places of device and part, and a condition for each consumption.
    """
    found, said = [], []
    for one in methodology.consumptions:
        some = [*_stretches(monitored, one, edges, excess)]
        span = None if one.span is None else one.span(parameters)
        charges = [*_charges(monitored, one, some, span)]
        for charge in charges:
            found += [(i, j, charge) for i, j in _charged(monitored, one, charge, timezone)]
        if some:
            said.append(_finding(monitored, one, some, charges, span))
    return found, said


def _stretches(
    monitored: Sequence[Monitored],
    one: Consumption,
    edges: Sequence[int],
    excess: Callable[[Consumption, int], Fraction],
) -> Iterator[_Stretch]:
    for place, (begin, end) in enumerate(pairwise(edges)):
        users = [
            (i, m.stretches[place]) for i, m in enumerate(monitored) if m.bound.role in one.uses
        ]
        served = sum(m.stretches[place].value for m in monitored if m.bound.role in one.serves)
        if not served:
            continue
        there = [(i, s) for i, s in users if s.time_us]
        used = sum(
            (s.value + (monitored[i].rate or 0) * Fraction(s.lost_us, HOUR_US) for i, s in there),
            start=Fraction(0),
        )
        still = tuple(i for i, s in there if not s.value and 2 * s.lost_us < s.time_us)
        edges_us = begin * INTERVAL_US, end * INTERVAL_US
        counted = max(Fraction(0), served - excess(one, place))
        moving = len(there) - len(still)
        yield _Stretch(place, *edges_us, used, served, counted, still, moving)


def _charges(
    monitored: Sequence[Monitored],
    one: Consumption,
    some: Sequence[_Stretch],
    span: tuple[Fraction, Fraction] | None,
) -> Iterator[Charge]:
    usual, least = _usual(one, some, span), _least(one, some, span)
    for stretch in some:
        specific = stretch.specific(one)
        if span is not None and specific < least:
            most = span[1] / one.per_base * stretch.counted
            reason = (
                f"{_told(specific)} {one.unit}, and such services take {_told(span[0])} to"
                f" {_told(span[1])} ({one.source}): the highest of it counts"
            )
        elif stretch.still and usual is not None and stretch.moving:
            most = usual / one.per_base * stretch.counted
            reason = (
                f"{_names(monitored, stretch)} stood still while the service went on: as much"
                f" counts as the project used at most elsewhere, {_told(usual)} {one.unit}"
            )
        elif span is None and stretch.still and not stretch.moving:
            most = sum(
                (
                    (monitored[i].rate or 0)
                    * Fraction(monitored[i].stretches[stretch.place].time_us, HOUR_US)
                    for i in stretch.still
                ),
                start=Fraction(0),
            )
            reason = (
                f"{_names(monitored, stretch)} stood still while the service went on: the highest"
                " plausible rate counts"
            )
        else:
            continue
        if most > stretch.used:
            yield Charge(stretch, most - stretch.used, reason)


def _least(
    one: Consumption, some: Sequence[_Stretch], span: tuple[Fraction, Fraction] | None
) -> Fraction:
    """Least that a stretch may use: what is stored in one week and used in the next is left."""
    if span is None or not some:
        return Fraction(0)
    used = sum((s.used for s in some), start=Fraction(0))
    whole = used / sum(s.served for s in some) * one.per_base
    return span[0] if whole < span[0] or len(some) == 1 else span[0] * _STORED


def _usual(
    one: Consumption, some: Sequence[_Stretch], span: tuple[Fraction, Fraction] | None
) -> Fraction | None:
    """Most that the project used for its service where all meters moved; None where never."""
    whole = [s.specific(one) for s in some if not s.still]
    inside = [s for s in whole if span is None or span[0] <= s <= span[1]]
    return max(inside, default=None)


def _charged(
    monitored: Sequence[Monitored], one: Consumption, charge: Charge, timezone: str
) -> list[tuple[int, int]]:
    """Charge a meter that stood still, else the first that serves in that year."""
    year = local_date(charge.stretch.begin_us, timezone).year
    users = [i for i, m in enumerate(monitored) if m.bound.role in one.uses and m.parts]
    ordered = [*(i for i in charge.stretch.still if i in users), *users]
    where = [(i, j) for i in ordered for j, p in enumerate(monitored[i].parts) if p.year == year]
    return (where or [(i, 0) for i in ordered])[:1]


def _finding(
    monitored: Sequence[Monitored],
    one: Consumption,
    some: Sequence[_Stretch],
    charges: Sequence[Charge],
    span: tuple[Fraction, Fraction] | None,
) -> Finding:
    subject = " and ".join(one.uses)
    if span is not None:
        subject += f", {_told(span[0])} to {_told(span[1])} {one.unit}"
    charged = {c.stretch.place for c in charges}
    told = [f"{_time(c.stretch)}: {c.reason}" for c in charges]
    told += [
        f"{_time(s)}: {_names(monitored, s)} stood still; end its service with `to` if it is not"
        " in use"
        for s in some
        if s.still and s.place not in charged
    ]
    # bad luck of the claimant, and no condition
    rest = [
        f"{_time(s)}: {_told(s.specific(one))} {one.unit} are more than such services take"
        for s in some
        if span is not None and s.specific(one) > span[1] and s.place not in charged
    ]
    every = [*told, *rest]
    more = f"; and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    said = "; ".join(every[:_SHOWN]) + more
    return Finding(RULE, not told, f"{subject}: {said}" if said else "")


def _names(monitored: Sequence[Monitored], stretch: _Stretch) -> str:
    return ", ".join(monitored[i].device.id for i in stretch.still)


def _time(stretch: _Stretch) -> str:
    return f"{utc_text(stretch.begin_us)} to {utc_text(stretch.end_us)}"


def _told(value: Fraction) -> str:
    return f"{float(value):.4g}"
