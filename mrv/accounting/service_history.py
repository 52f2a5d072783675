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

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from ingest.model import HOUR_US, INTERVAL_US
from mrv.accounting.device_period import Monitored, Raised
from mrv.accounting.period_result import Finding
from mrv.calendar import local_date, utc_text
from mrv.model import Methodology
from mrv.parameters.inputs import Inputs
from mrv.registry.project import Usage
from mrv.service_bounds import Consumption

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


def limited(
    monitored: Sequence[Monitored],
    methodology: Methodology,
    parameters: Inputs,
    history: Iterable[Usage],
    edges: Sequence[int],
    timezone: str,
    *,
    strictly: frozenset[str] = frozenset(),
) -> tuple[list[Monitored], list[Finding]]:
    """
    Take off what is served beyond what its use carries, and say so.

    Parameters
    ----------
    monitored : sequence of Monitored
        With the sums of each stretch, and with what was charged already.
    history : iterable of Usage
        Of issued statements of the project.
    edges : sequence of int
        Of the stretches. [interval numbers]
    strictly : frozenset of str
        Parameters of the design by which no more counts than electricity carries.

    Returns
    -------
    The devices with what they are limited by, and a condition for each such service.
    """
    found, said = list(monitored), list[Finding]()
    before = [*history]
    for one in methodology.consumptions:
        if one.by_history:
            models = _models(found, one, parameters)
            closer = Fraction(1) if one.by_design in strictly else one.closer or one.least
            said += _held(found, methodology, one, before, models, closer, edges, timezone)
            # what a plant does not give is asked for with its documents
            if not one.by_design:
                said += _named(found, methodology, one, models)
    return found, said


def _models(
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


def _witness(one: Consumption) -> str:
    return BY_DESIGN if one.by_design else BY_MODEL


def _named(
    monitored: Sequence[Monitored],
    methodology: Methodology,
    one: Consumption,
    models: Mapping[str, Fraction],
) -> list[Finding]:
    """Say which devices that serve give no value of their model."""
    serving = [
        m.device.id
        for m in monitored
        if m.bound.role in one.serves and any(s.value for s in m.stretches)
    ]
    bare = [name for name in dict.fromkeys(serving) if name not in models]
    if not bare or not one.by_model:
        return []
    more = f" and {len(bare) - _SHOWN} more" if len(bare) > _SHOWN else ""
    text = (
        f"{', '.join(bare[:_SHOWN])}{more}: no {one.by_model} is given, so that the range of the"
        " class alone holds what is claimed from the first day on; give that of the model, and in"
        " the project's `documents` its type approval"
    )
    return [Finding(_clause(methodology, one, BY_MODEL), False, text)]


def _clause(methodology: Methodology, one: Consumption, what: str) -> str:
    return f"{methodology.id}, plausibility of {' and '.join(one.serves)}: {what}"


def _held(
    found: list[Monitored],
    methodology: Methodology,
    one: Consumption,
    before: Sequence[Usage],
    models: Mapping[str, Fraction],
    closer: Fraction,
    edges: Sequence[int],
    timezone: str,
) -> list[Finding]:
    """Hold each part against its models and all that was before it; empty where there is none."""
    used = Fraction(sum(u.used for u in before))
    served = sum(u.served for u in before)
    told: dict[str, list[str]] = {}
    for part in _parts(found, one, edges):
        usual = used / served if served and one.least else Fraction(0)
        model = _of_models(found, one, part, models)
        most = max(usual, model)
        for what, rate in ((BEFORE, usual), (_witness(one), model)):
            if rate:
                told.setdefault(what, [])
        what = BEFORE if usual >= model else _witness(one)
        specific = _told(part.used / part.served * one.per_base)
        span = f"{utc_text(part.begin_us)} to {utc_text(part.end_us)}"
        if part.used < part.served * max(one.least * usual, closer * model):
            reason = (
                f"{specific} {one.unit}, and {WITNESSES[what].format(_told(most * one.per_base))}:"
                " what its use carries at that counts"
            )
            edges_ = part.first, part.last
            excess = part.served - part.used / most
            take_off(
                found, one.serves, edges_, part.begin_us, part.end_us, excess, reason, timezone
            )
            told[what].append(f"{span}: {reason}")
            continue
        if part.used < one.sure * model * part.served:
            beyond = float(100 - 100 * part.used / (model * part.served))
            told[_witness(one)].append(
                f"{span}: {specific} {one.unit}, and"
                f" {WITNESSES[_witness(one)].format(_told(model * one.per_base))}: {beyond:.1f} %"
                " of what was delivered is more than its electricity carries at that; it counts"
            )
        if model and part.used > one.most * model * part.served:
            what = _witness(one)
            of = (
                f"{one.by_design} is not that of this plant"
                if one.by_design
                else (f"{one.by_model} is not that of these models")
            )
            told[what].append(
                f"{span}: {specific} {one.unit}, and"
                f" {WITNESSES[what].format(_told(model * one.per_base))}: {of}, or a meter is at"
                " fault"
            )
        if part.whole:
            used, served = used + part.used, served + part.served
    return [
        Finding(_clause(methodology, one, what), not texts, _listed(texts))
        for what, texts in told.items()
    ]


def _listed(texts: Sequence[str]) -> str:
    more = f"; and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return "; ".join(texts[:_SHOWN]) + more


def _of_models(
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


def _parts(monitored: Sequence[Monitored], one: Consumption, edges: Sequence[int]) -> list[_Part]:
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
        r.quantity for p in one.parts for r in p.raised if span_us[0] <= r.start_us < span_us[1]
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


def take_off(
    found: list[Monitored],
    serves: Sequence[str],
    stretches: tuple[int, int],
    begin_us: int,
    end_us: int,
    excess: Fraction,
    reason: str,
    timezone: str,
) -> None:
    """
    Take an excess off the devices that served, each by its share of the service.

    What is left of the stretches is what is held against other bounds afterwards.

    Parameters
    ----------
    found : list of Monitored
        Changed in place.
    serves : sequence of str
        Roles.
    stretches : (int, int)
        Places of the stretches in which the excess was served, half-open.
    begin_us, end_us : int
        Their edges. [us UTC]
    excess : Fraction
        [base units]
    """
    first, last = stretches
    served = sum(s.value for m in found if m.bound.role in serves for s in m.stretches[first:last])
    if not served:
        return
    day = local_date(begin_us, timezone)
    for i, server in enumerate(found):
        if server.bound.role not in serves:
            continue
        left = excess * sum(s.value for s in server.stretches[first:last]) / served
        parts = list(server.parts)
        for j, whole in enumerate(parts):
            less = min(left, max(Fraction(0), server.counted(whole)))
            if (whole.year, whole.month or day.month) >= (day.year, day.month) and less:
                cut = Raised(
                    max(begin_us, server.service.first * INTERVAL_US), end_us, reason, less
                )
                parts[j] = replace(whole, limited=(*whole.limited, cut))
                left -= less
        kept = list(server.stretches)
        for place in range(first, last):
            kept[place] = replace(kept[place], value=int(kept[place].value * (1 - excess / served)))
        found[i] = replace(server, parts=tuple(parts), stretches=tuple(kept))


def _told(value: Fraction) -> str:
    return f"{float(value):.4g}"
