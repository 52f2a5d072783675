"""
Meters of the project's side that report nothing while the service goes on (MTR-11, CLM-03).

A fan's meter without data is charged at the rated power that was entered, however small; an
auxiliary's meter that stands still counts nothing.  Neither moves a tonne here: the meter is to be
read, or its service to end with a document.  Electricity that stands still is asked for in each
stretch of about a week, fuel over the whole period, since a plant may start up once a month.  What
MTR-05 compares with its service is left to that rule where the meter reports.  Likewise a plant
that measures what it makes and has no meter of the electricity that it draws, and energy that two
roles of one plant claim.  Rules of tonne's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from ingest.model import HOUR_US
from mrv.accounting.device_period import Monitored, Stretch
from mrv.calendar import local_span
from mrv.quantity_text import amount
from mrv.rounding import decimal_text
from mrv.rules.consumption import stands_still
from mrv.rules.effects import Effect, Said
from mrv.rules.facts import Facts
from mrv.texts import Text, text

_PLACES = 6
_LISTED = 3
# units that are read off meters of electricity and fuel
_USED = ("Wh", "mL")


def project_side(facts: Facts) -> Iterator[Effect | Said]:
    """MTR-11: meters of the project's side that do not report, or stand still."""
    views = facts.price.views
    compared = {role for one in facts.methodology.consumptions for role in one.uses}
    served = [
        any(m.needs.side == "baseline" and m.stretches[k].value for m in views)
        for k in range(len(facts.stretches) - 1)
    ]
    texts = []
    for one in views:
        whole = one.service
        if one.needs.side != "project" or not whole.intervals or one.needs.unit not in _USED:
            continue
        if not whole.measured_us + whole.estimated_us:
            texts.append(_without_data(facts, one))
        elif one.bound.role not in compared:
            texts += _still(facts, one, served)
    if texts:
        yield Said(False, tuple(texts))
    missing = _missing(facts)
    if missing is not None:
        yield Said(False, missing)


def _where(one: Monitored) -> dict[str, str]:
    return {"device": one.device.id, "role": one.bound.role}


def _without_data(facts: Facts, one: Monitored) -> Text:
    """Say what a meter without any data counts."""
    value, tonnes = Fraction(0), Fraction(0)
    for part in one.parts:
        value += part.counted
        tonnes += part.counted * facts.price.pricing.rate(one, part.year)
    cost = decimal_text(tonnes, _PLACES, "up")
    values = {**_where(one), "cost": cost, **amount(value, one.needs.unit)}
    rate = one.device.rated_power_w
    if rate and one.needs.unit == "Wh":
        return text("MTR-11.no_data_rated", rated_w=rate, **values)
    return text("MTR-11.no_data", **values)


def _still(facts: Facts, one: Monitored, served: Sequence[bool]) -> Iterator[Text]:
    """Say when a meter stood still, and what it would have counted as at other times."""
    still = [k for k, part in enumerate(one.stretches) if served[k] and stands_still(part)]
    always = not any(part.value for part in one.stretches)
    if not still or (one.needs.unit != "Wh" and not always):
        return
    span_us = facts.span_us(still[0], still[-1] + 1)
    values = {**_where(one), **local_span(span_us, facts.timezone)}
    weeks, usual = len(still), _usual(one, [one.stretches[k] for k in still])
    if usual is None:
        yield text("MTR-11.still", weeks=weeks, **values)
        return
    tonnes = usual * facts.price.pricing.rate(one, one.parts[0].year)
    values |= {"cost": decimal_text(tonnes, _PLACES, "up"), **amount(usual, one.needs.unit)}
    if always:
        yield text("MTR-11.still_always", weeks=weeks, **values)
    else:
        yield text("MTR-11.still_usual", weeks=weeks, **values)


def _usual(one: Monitored, still: Sequence[Stretch]) -> Fraction | None:
    """What it would have counted in stretches, by its own mean or else its highest rate."""
    moved = [part for part in one.stretches if part.value]
    there = sum(part.time_us for part in still)
    if moved:
        known = sum(part.time_us - part.lost_us for part in moved)
        return Fraction(sum(part.value for part in moved) * there, known) if known else None
    return None if one.rate is None else one.rate * Fraction(there, HOUR_US)


def _missing(facts: Facts) -> Text | None:
    """Ask for the meter of a plant's own electricity, where its methodology counts it."""
    meters, views = facts.methodology.draw_meters, facts.price.views
    served = tuple(m.device.id for m in views if m.bound.role in meters)
    there = {m.bound.role for m in views}
    roles = tuple(role for role in dict.fromkeys(meters.values()) if role not in there)
    if not served or not roles:
        return None
    return text("MTR-11.no_meter", roles=roles, device=served[:_LISTED])


def claimed_twice(facts: Facts) -> Iterator[Effect | Said]:
    """CLM-03: two quantities of a plant that may be the same energy."""
    for one, other in facts.methodology.apart:
        names, tonnes = [], []
        for role in (one, other):
            views = [m for m in facts.price.views if m.bound.role == role]
            some = [m for m in views if any(map(m.counted, m.parts))]
            names.append(tuple(dict.fromkeys(m.device.id for m in some)))
            each = (p.counted * facts.price.pricing.rate(m, p.year) for m in some for p in m.parts)
            tonnes.append(decimal_text(sum(each, start=Fraction(0)), _PLACES, "up"))
        if all(names):
            yield Said(
                False,
                text(
                    "CLM-03.both", device=names[0], other=names[1], role=one, other_role=other,
                    cost=tonnes[0], other_cost=tonnes[1],
                ),
            )  # fmt: skip
