"""
A service held against what it takes: by its models, and by what the project used before.

Inside the range of a class a distance may still be claimed too high, by an odometer that
runs fast.  What a kilometre took before is one witness: the project's issued statements of
the last year, and the earlier parts of the period itself.  What the vehicles' models take by
their type approval is the other, and holds from the first day on.  A part of about four weeks
that shows less than nine tenths of the higher of the two counts the service that its use
carries at that rate, and no more, and does not enter the history.  One that shows twice what
its models take and more is no less strange: the value is not that of these vehicles.  These
are rules of tonne's own: no methodology that was read has one.  A part is as long as four
weeks so that charging on other days than driving evens out.  Where no model's value is given,
what was claimed too high from the first day on is held by the range of the class alone, and a
condition says so.
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
from mrv.model import Consumption, Methodology
from mrv.registry.project import Usage

WEEKS = 4
LEAST = Fraction(9, 10)
# in service a vehicle takes up to half more than its approval says; twice that is another one
MOST = Fraction(2)
# a part of which more than a tenth of the time of its meters is lost says nothing of what is usual
_LOST = Fraction(1, 10)
_SHOWN = 3
BEFORE, BY_MODEL = "what it took before", "what its model takes"
WITNESSES = {
    BEFORE: "the project used {} before",
    BY_MODEL: "its models take {} by their type approval",
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
    history: Iterable[Usage],
    edges: Sequence[int],
    timezone: str,
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

    Returns
    -------
    The devices with what they are limited by, and a condition for each such service.
    """
    found, said = list(monitored), list[Finding]()
    before = [*history]
    for one in methodology.consumptions:
        if one.by_history:
            models = _models(found, one)
            said += _held(found, methodology, one, before, models, edges, timezone)
            said += _named(found, methodology, one, models)
    return found, said


def _models(monitored: Sequence[Monitored], one: Consumption) -> dict[str, Fraction]:
    """What the models of the devices that serve take by the base unit; the most of all values."""
    found: dict[str, Fraction] = {}
    for m in monitored:
        if m.bound.role in one.serves and one.by_model in m.params:
            value = Fraction(m.params[one.by_model]) / one.per_base
            found[m.device.id] = max(found.get(m.device.id, Fraction(0)), value)
    return found


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
    edges: Sequence[int],
    timezone: str,
) -> list[Finding]:
    """Hold each part against its models and all that was before it; empty where there is none."""
    used = Fraction(sum(u.used for u in before))
    served = sum(u.served for u in before)
    told: dict[str, list[str]] = {}
    for part in _parts(found, one, edges):
        usual = used / served if served else Fraction(0)
        model = _of_models(found, one, part, models)
        most = max(usual, model)
        for what, rate in ((BEFORE, usual), (BY_MODEL, model)):
            if rate:
                told.setdefault(what, [])
        what = BEFORE if usual >= model else BY_MODEL
        specific = _told(part.used / part.served * one.per_base)
        span = f"{utc_text(part.begin_us)} to {utc_text(part.end_us)}"
        if part.used < LEAST * most * part.served:
            reason = (
                f"{specific} {one.unit}, and {WITNESSES[what].format(_told(most * one.per_base))}:"
                " what its use carries at that counts"
            )
            _cut(found, one, part, part.served - part.used / most, reason, timezone)
            told[what].append(f"{span}: {reason}")
            continue
        if model and part.used > MOST * model * part.served:
            told[BY_MODEL].append(
                f"{span}: {specific} {one.unit}, and"
                f" {WITNESSES[BY_MODEL].format(_told(model * one.per_base))}: {one.by_model} is not"
                " that of these models, or a meter is at fault"
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
        used = sum((_used(m, first, last, span_us) for m in users), start=Fraction(0))
        if served:
            found.append(_Part(first, last, *span_us, used, served, lost <= _LOST * time))
    return found


def _used(one: Monitored, first: int, last: int, span_us: tuple[int, int]) -> Fraction:
    """Quantity of some stretches, with what is charged for lost time and for standing still."""
    rate = one.rate or Fraction(0)
    charged = (
        r.quantity for p in one.parts for r in p.raised if span_us[0] <= r.start_us < span_us[1]
    )
    metered = (s.value + rate * Fraction(s.lost_us, HOUR_US) for s in one.stretches[first:last])
    return sum((*metered, *charged), start=Fraction(0))


def _cut(
    found: list[Monitored],
    one: Consumption,
    part: _Part,
    excess: Fraction,
    reason: str,
    timezone: str,
) -> None:
    """Take an excess off the devices that served, each by its share of the service."""
    year = local_date(part.begin_us, timezone).year
    for i, server in enumerate(found):
        if server.bound.role not in one.serves:
            continue
        left = excess * sum(s.value for s in server.stretches[part.first : part.last]) / part.served
        parts = list(server.parts)
        for j, whole in enumerate(parts):
            less = min(left, max(Fraction(0), server.counted(whole)))
            if whole.year >= year and less:
                begin_us = max(part.begin_us, server.service.first * INTERVAL_US)
                cut = Raised(begin_us, part.end_us, reason, less)
                parts[j] = replace(whole, limited=(*whole.limited, cut))
                left -= less
        found[i] = replace(server, parts=tuple(parts))


def _told(value: Fraction) -> str:
    return f"{float(value):.4g}"
