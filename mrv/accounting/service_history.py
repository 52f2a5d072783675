"""
A service held against what it takes: by its models or design, and by what was used before.

Inside the range of a class a distance may still be claimed too high, by an odometer that
runs fast, and a flow or a mass by a meter or a scale that does.  What a kilometre or a cubic
metre took before is one witness: the project's issued statements of the last year, and the
earlier parts of the period itself.  What the vehicles' models take by their type approval, or
the plant by its design, is the other, and holds from the first day on.  A part of about four
weeks that shows less than a share of the higher of the two counts the service that its use
carries at that rate, and no more, and does not enter the history.  The share is nine tenths of
what vehicles take, and half of what a plant does: storm water thins the inflow, and a blower
runs the same for less.  One that shows a multiple of what its models or its design take is no
less strange: the value is not theirs.  These are rules of tonne's own: no methodology that was
read has one.  A part is as long as four weeks so that charging on other days than driving evens
out.  Where no such value is given, what was claimed too high from the first day on is held by
the range of the class alone, and a condition says so.

The share of what a plant takes by its design is nine tenths where what it delivers is weighed or
counted, and 0.95 for pumps.  Down to 0.95 of it a condition says so.  Of a plant whose capacity
is more than five times what it delivered no more counts than its electricity carries by the
design.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from ingest.model import HOUR_US, INTERVAL_US
from mrv.accounting.cuts import Kind
from mrv.accounting.device_period import Monitored
from mrv.accounting.period_result import Finding
from mrv.parameters.inputs import Inputs
from mrv.service_bounds import Consumption

RULE = "MTR-06"
WEEKS = 4
# a part of which more than a tenth of the time of its meters is lost says nothing of what is usual
_LOST = Fraction(1, 10)
_TIMES = "time_us", "lost_us"
_SHOWN = 3
BEFORE, BY_MODEL = "what it took before", "what its model takes"
BY_DESIGN = "what its design takes"
WITNESSES = {
    BEFORE: "the project used {} before",
    BY_MODEL: "its models take {} by their type approval",
    BY_DESIGN: "its design takes {}",
}


@dataclass(frozen=True, slots=True)
class _Part:
    """Some weeks of a period: first and last stretch, half-open, and their sums."""

    first: int
    last: int
    begin_us: int
    end_us: int
    used: Fraction
    served: int
    whole: bool


def models_of(
    monitored: Sequence[Monitored], one: Consumption, parameters: Inputs
) -> dict[str, Fraction]:
    """What devices that serve take by the base unit, by model or design; the most of all values."""
    found: dict[str, Fraction] = {}
    for m in monitored:
        given = parameters if one.by_design else m.params
        name = one.by_design or one.by_model
        if m.bound.role in one.serves and name in given:
            value = Fraction(given[name]) / one.per_base
            found[m.device.id] = max(found.get(m.device.id, Fraction(0)), value)
    return found


def witness(one: Consumption) -> str:
    """Return what a consumption is compared with beside its history."""
    return BY_DESIGN if one.by_design else BY_MODEL


def named(
    monitored: Sequence[Monitored], one: Consumption, models: Mapping[str, Fraction]
) -> list[Finding]:
    """Say which devices that serve give no value of their model."""
    serving = [
        m.device.id
        for m in monitored
        if m.bound.role in one.serves and any(s.value for s in m.stretches)
    ]
    bare = [name for name in dict.fromkeys(serving) if name not in models]
    if bare and one.by_design:
        text = (
            f"no {one.by_design} is given, so that nothing holds what {', '.join(one.serves)} is"
            " claimed to be from the first day on; give what the plant takes by its design or its"
            " commissioning, and in the project's `documents` where that stands"
        )
        return [Finding(RULE, False, subject(one, BY_DESIGN, text))]
    if not bare or not one.by_model:
        return []
    more = f" and {len(bare) - _SHOWN} more" if len(bare) > _SHOWN else ""
    text = (
        f"{', '.join(bare[:_SHOWN])}{more}: no {one.by_model} is given, so that the range of the"
        " class alone holds what is claimed from the first day on; give that of the model, and in"
        " the project's `documents` its type approval"
    )
    return [Finding(RULE, False, subject(one, BY_MODEL, text))]


def subject(one: Consumption, what: str, text: str) -> str:
    """Return the text of a finding with the service and what it was compared with."""
    return f"{' and '.join(one.serves)}, {what}: {text}" if text else ""


def of_models(
    monitored: Sequence[Monitored], one: Consumption, part: _Part, models: Mapping[str, Fraction]
) -> Fraction:
    """
    What the models of a part take by the base unit, each by its share of the service.

    A device without a value takes nothing of it: it is held by the others' no less.
    """
    return sum(
        (
            models.get(m.device.id, Fraction(0)) * s.value / part.served
            for m in monitored
            if m.bound.role in one.serves
            for s in m.stretches[part.first : part.last]
        ),
        start=Fraction(0),
    )


def parts(monitored: Sequence[Monitored], one: Consumption, edges: Sequence[int]) -> list[_Part]:
    """Cut the period into parts of about four weeks, those without service left out."""
    weeks = len(edges) - 1
    count = max(1, weeks // WEEKS)
    users = [m for m in monitored if m.bound.role in one.uses]
    servers = [m for m in monitored if m.bound.role in one.serves]
    found = []
    for first, last in pairwise(weeks * k // count for k in range(count + 1)):
        served = sum(s.value for m in servers for s in m.stretches[first:last])
        both = [s for m in (*users, *servers) for s in m.stretches[first:last]]
        lost, time = sum(s.lost_us for s in both), sum(s.time_us for s in both)
        span_us = edges[first] * INTERVAL_US, edges[last] * INTERVAL_US
        used = sum((used_of(m, first, last, span_us, one) for m in users), start=Fraction(0))
        if served:
            found.append(_Part(first, last, *span_us, used, served, lost <= _LOST * time))
    return found


def used_of(
    one: Monitored, first: int, last: int, span_us: tuple[int, int], of: Consumption
) -> Fraction:
    """
    Quantity of some stretches, with what is charged for lost time and for standing still.

    A plant's meter that is lost for less than half of the time used as much then as else: what
    lost time is charged, which is little beside methane, would carry any service.
    """
    rate = one.rate or Fraction(0)
    time, lost = (sum(getattr(s, n) for s in one.stretches[first:last]) for n in _TIMES)
    if of.by_design and 0 < 2 * lost < time:
        known = sum(s.value for s in one.stretches[first:last])
        rate = min(rate, Fraction(known * HOUR_US, time - lost))
    charged = (
        -c.quantity
        for p in one.parts
        for c in p.cuts
        if c.kind is Kind.SERVICE and span_us[0] <= c.start_us < span_us[1]
    )
    metered = (s.value + rate * Fraction(s.lost_us, HOUR_US) for s in one.stretches[first:last])
    return sum((*metered, *charged), start=Fraction(0))


def electricity(monitored: Sequence[Monitored], one: Consumption) -> Fraction:
    """Return what a service used in the whole period, with what is charged for it. [base units]"""
    users = [m for m in monitored if m.bound.role in one.uses]
    begin = min((m.service.first for m in users), default=0) * INTERVAL_US
    end = max((m.service.first + m.service.intervals for m in users), default=0) * INTERVAL_US
    return sum(
        (used_of(m, 0, len(m.stretches), (begin, end), one) for m in users), start=Fraction(0)
    )


def _told(value: Fraction) -> str:
    return f"{float(value):.4g}"
