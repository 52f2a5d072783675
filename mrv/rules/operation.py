"""
Rules MTR-08 to MTR-11 and CLM-03: clocks, electricity, weather and standstill of a plant's meters.

MTR-09: lamp hours are limited to those that the group's own electricity permits at the registered
number and power, in each part of about four weeks, with a tolerance of a twentieth for registers
and voltage.  MTR-10: a regression does not apply beyond a tenth above the warmest month of its
data.

MTR-11: a fan's meter without data is charged at the entered rated power; an auxiliary's meter that
does not advance is charged zero.  The rule deducts nothing: the meter must be read, or its
assignment be ended with a document.  Electricity is checked in each stretch of about a week, fuel
over the whole period; quantities compared by MTR-05 are excluded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from ingest import classes
from ingest.model import HOUR_US
from mrv.accounting.device_period import Kind, Monitored, Stretch
from mrv.accounting.entered_values import named, undocumented
from mrv.accounting.evidenced_time import together_us
from mrv.calendar import local_span
from mrv.model import LINE_DIAGRAM
from mrv.registry.project import Document
from mrv.rounding import amount, decimal_text, exact_sum, figure, six_places
from mrv.rules.consumption import stands_still
from mrv.rules.effects import Cap, Judged, Level, RuleReport
from mrv.rules.equipment import ROOM, serving, unknown_time, watts
from mrv.rules.facts import MATERIAL, Facts, node
from mrv.texts import Text, Value, text

_LISTED = 3
# units of meters of electricity and fuel
_USED = ("Wh", "mL")
_S_PER_HOUR = 3600
_WH_PER_KWH = 1000
# share of a regression's range by which a value may exceed it (ASHRAE Guideline 14) [M]
_BEYOND = Fraction(1, 10)
_MONTH_US = Fraction(36525, 1200) * 24 * HOUR_US


# --- MTR-08, MTR-09: hours of operation ---------------------------------------------------


def device_clocks(facts: Facts) -> Iterator[Judged]:
    """MTR-08: yield limits on reported hours above the time in which the readings arrived."""
    for i, meter in enumerate(facts.views):
        clock = facts.supporting.clocks.get(meter.device.id)
        if clock is None or meter.needs.unit != "s" or not facts.views[i].counts:
            continue
        reason = text("MTR-08.above_elapsed", hours=clock.reported_h, elapsed=clock.passed_h)
        yield Cap(node(Level.DEVICE, [i]), Fraction(clock.passed_h * _S_PER_HOUR), reason)
        yield text("MTR-08.clock", device=meter.device.id, reason=reason)


def own_electricity(facts: Facts) -> Iterator[Judged]:
    """MTR-09: yield limits on hours above those that a device's own electricity permits."""
    for name, energy in facts.supporting.drawn.items():
        of = [i for i, m in enumerate(facts.views) if m.device.id == name and m.needs.draws]
        meters = [facts.views[i] for i in of]
        for first, last in facts.months():
            edges = facts.stretches[first], facts.stretches[last]
            begin, end = np.searchsorted(energy.number, edges)
            number = energy.number[begin:end]
            value = energy.value[begin:end][serving(meters, number)]
            wh = exact_sum(value) if len(value) else 0
            hours = [facts.served([i], first, last) for i in of]
            unknown = [unknown_time(m, number, *edges) for m in meters]
            # groups of one controller share its electricity [W s]
            maximum = [
                max(Fraction(0), t - u) * watts(m)
                for m, t, u in zip(meters, hours, unknown, strict=True)
            ]
            carried = wh * _S_PER_HOUR * (1 + ROOM)
            if not len(number) or sum(maximum) <= carried:
                continue
            whole = sum(maximum)
            share = 1 - carried / whole
            for i, meter, t, m in zip(of, meters, hours, maximum, strict=True):
                if m:
                    reason = _carries(meter, wh * m / whole, m, share)
                    remaining = t - m / watts(meter) * share
                    weeks = node(Level.MONTH, [i], (first, last))
                    yield Cap(weeks, remaining, reason, moves_weeks=False)
                    time = local_span(facts.span_us(first, last), facts.timezone)
                    yield text("MTR-09.hours", device=name, reason=reason, **time)


def _carries(monitored: Monitored, wh: Fraction, maximum: Fraction, share: Fraction) -> Text:
    """Return the text on the hours that a group's share of its controller's energy permits."""
    hours = maximum / watts(monitored) / _S_PER_HOUR
    counted = hours * (1 - share)
    return text(
        "MTR-09.carries",
        energy=decimal_text(wh / _WH_PER_KWH, 3, "up"), hours=figure(hours, 6),
        carried=figure(counted / (1 + ROOM), 6), counted=figure(counted, 6),
        power=figure(watts(monitored) / _WH_PER_KWH, 6),
    )  # fmt: skip


# --- MTR-10: a regression -----------------------------------------------------------------


def regression_range(facts: Facts) -> Iterator[Judged]:
    """MTR-10: yield limits on a variable outside the range of its baseline's regression."""
    parameters = facts.parameters
    for item in facts.methodology.ranges:
        if item.lowest not in parameters or item.highest not in parameters:
            continue
        least, maximum = Fraction(parameters[item.lowest]), Fraction(parameters[item.highest])
        unit, texts = facts.methodology.parameters[item.highest].unit, []
        of, bound = facts.of_role(item.role), maximum * (1 + _BEYOND)
        there = [facts.views[i] for i in of]
        for first, last in facts.months():
            time_us = together_us(there, facts.stretches[first], facts.stretches[last])
            if not time_us:
                continue
            length = Fraction(time_us) / _MONTH_US * item.base_units
            rate = facts.served(of, first, last) / length
            values = {"value": figure(rate), "unit": unit}
            if rate > bound:
                reason = text("MTR-10.above", most=figure(maximum), counted=figure(bound), **values)
                yield Cap(node(Level.MONTH, of, (first, last)), bound * length, reason)
                texts.append(facts.in_time(item.role, first, last, reason))
            elif rate < least * (1 - _BEYOND):
                reason = text("MTR-10.below", least=figure(least), **values)
                texts.append(facts.in_time(item.role, first, last, reason))
        yield RuleReport(not texts, tuple(texts))


# --- MTR-11, CLM-03: the project's side ----------------------------------------------------


def project_side(facts: Facts) -> Iterator[Judged]:
    """MTR-11: yield reports on project-side meters that do not transmit, or do not advance."""
    views = facts.price.views
    compared = {role for consumption in facts.methodology.consumptions for role in consumption.uses}
    served = [
        any(m.needs.side == "baseline" and m.stretches[k].value for m in views)
        for k in range(len(facts.stretches) - 1)
    ]
    for view in views:
        whole = view.service
        if view.own is not None and view.nets:
            yield from _unknown_own_use(facts, view)
        if view.needs.side != "project" or not len(whole) or view.needs.unit not in _USED:
            continue
        if not (whole.measured_us + whole.estimated_us).any():
            yield _without_data(facts, view)
        elif view.bound.role not in compared and not facts.unused(view):
            yield from _still(facts, view, served)
    missing = _missing(facts)
    if missing is not None:
        yield RuleReport(False, missing)


def _where(monitored: Monitored) -> dict[str, str]:
    return {"device": monitored.device.id, "role": monitored.bound.role}


def _without_data(facts: Facts, monitored: Monitored) -> Text:
    """Return the text on the charge for a meter's time without data."""
    lost = [(part.year, -part.cut(Kind.GAP)) for part in monitored.parts]
    tonnes = sum((q * facts.price.pricing.rate(monitored, year) for year, q in lost), Fraction(0))
    values = {
        **_where(monitored),
        "cost": six_places(tonnes),
        **amount(sum((q for _, q in lost), Fraction(0)), monitored.needs.unit),
    }
    rate = monitored.device.rated_power_w
    if rate and monitored.needs.unit == "Wh":
        return text("MTR-11.no_data_rated", rated_w=rate, **values)
    return text("MTR-11.no_data", **values)


def _unknown_own_use(facts: Facts, meter: Monitored) -> Iterator[RuleReport]:
    """Yield the report on the deduction for time without data of a generator's own use, if any."""
    price = facts.price.pricing.saves
    lost = [(c, price(meter, part.year)) for part in meter.parts for c in part.cuts if c.is_unknown]
    if not lost:
        return
    tonnes = sum((cut.quantity * rate for cut, rate in lost), start=Fraction(0))
    span_us = min(cut.start_us for cut, _ in lost), max(cut.end_us for cut, _ in lost)
    quantity = sum((cut.quantity for cut, _ in lost), start=Fraction(0))
    yield RuleReport(
        False,
        text(
            "MTR-11.own_use_unknown", device=meter.device.id, channel=meter.needs.less,
            cost=six_places(tonnes), **local_span(span_us, facts.timezone),
            **amount(quantity, meter.needs.unit),
        ),
        None if tonnes > MATERIAL * abs(facts.price.claimed_t) else "observation",
    )  # fmt: skip


def _cost(facts: Facts, meters: Sequence[Monitored]) -> str:
    """Return the emissions or savings of devices' counted quantity. [tCO2e]"""
    rate = facts.price.pricing.rate
    each = (part.counted * rate(meter, part.year) for meter in meters for part in meter.parts)
    return six_places(sum(each, start=Fraction(0)))


def _still(facts: Facts, monitored: Monitored, served: Sequence[bool]) -> Iterator[Text]:
    """Yield findings on the times in which a meter did not advance, with the charge."""
    still = [k for k, part in enumerate(monitored.stretches) if served[k] and stands_still(part)]
    always = not any(part.value for part in monitored.stretches)
    if not still or (monitored.needs.unit != "Wh" and not always):
        return
    span_us = facts.span_us(still[0], still[-1] + 1)
    values = {**_where(monitored), **local_span(span_us, facts.timezone)}
    weeks, usual = len(still), _usual(monitored, [monitored.stretches[k] for k in still])
    if usual is None:
        yield text("MTR-11.still", weeks=weeks, **values)
        return
    tonnes = usual * facts.price.pricing.rate(monitored, monitored.parts[0].year)
    values |= {"cost": six_places(tonnes), **amount(usual, monitored.needs.unit)}
    yield text("MTR-11.still_always" if always else "MTR-11.still_usual", weeks=weeks, **values)


def _usual(monitored: Monitored, still: Sequence[Stretch]) -> Fraction | None:
    """
    Return the quantity of weeks at standstill, at the meter's mean or else highest rate. [base
    units]
    """
    moved = [part for part in monitored.stretches if part.value]
    there = sum(part.time_us for part in still)
    if moved:
        known = sum(part.time_us - part.lost_us for part in moved)
        return Fraction(sum(part.value for part in moved) * there, known) if known else None
    return None if monitored.rate is None else monitored.rate * Fraction(there, HOUR_US)


def _missing(facts: Facts) -> Text | None:
    """Return the text on a plant that lacks a required meter of its own electricity; else None."""
    meters, views = facts.methodology.draw_meters, facts.price.views
    served = tuple(m.device.id for m in views if m.bound.role in meters)
    there = {m.bound.role for m in views}
    roles = tuple(role for role in dict.fromkeys(meters.values()) if role not in there)
    if not served or not roles:
        return None
    return text("MTR-11.no_meter", roles=roles, device=served[:_LISTED])


def line_diagram(facts: Facts) -> Document | None:
    """Return a third party's line diagram from before the period, if there is one."""
    documents = [d for d in facts.supporting.documents if d.parameter == LINE_DIAGRAM]
    lacks = undocumented(LINE_DIAGRAM, {LINE_DIAGRAM: ""}, documents, facts.first)
    return documents[0] if lacks is None else None


def alone_by(facts: Facts, meter: Monitored) -> Document | None:
    """Return the line diagram that limits a meter's own use to that of its class, if any."""
    own_use = classes.load()[meter.device.class_id].own_use
    return line_diagram(facts) if own_use and meter.needs.less else None


def max_own_use(facts: Facts, meter: Monitored) -> Fraction:
    """
    Return the maximum own use of a generator through its meter in the period. [base units]

    It is the highest rate whenever the generator delivers nothing; for a generator alone behind its
    meter, the rate of its class.
    """
    begin, end = meter.span_us
    hours, own_use = Fraction(end - begin, HOUR_US), classes.load()[meter.device.class_id].own_use
    if own_use and alone_by(facts, meter):
        return Fraction(str(own_use.of_rated)) * (meter.device.rated_power_w or 0) * hours
    return max(Fraction(0), (meter.rate or 0) * hours - meter.counts)


def claimed_twice(facts: Facts) -> Iterator[Judged]:
    """CLM-03: yield reports on quantities that may be the same energy, without a line diagram."""
    document, documents = line_diagram(facts), facts.supporting.documents
    for value, other in facts.methodology.apart:
        names, tonnes = [], []
        for role in (value, other):
            every = (m for m in facts.price.views if m.bound.role == role)
            meters = [m for m in every if any(part.counted for part in m.parts)]
            names.append(tuple(dict.fromkeys(m.device.id for m in meters)))
            tonnes.append(_cost(facts, meters))
        if not all(names):
            continue
        both: dict[str, Value] = {"device": names[0], "role": value}
        both |= {"other": names[1], "other_role": other}
        if document is not None:
            yield RuleReport(True, text("CLM-03.apart", **both, document=named(document)))
            continue
        lacks = undocumented(LINE_DIAGRAM, {LINE_DIAGRAM: ""}, documents, facts.first) or ""
        request = text("document.lacking", parameter=LINE_DIAGRAM, lacks=lacks)
        priced = text("CLM-03.both", **both, cost=tonnes[0], other_cost=tonnes[1])
        yield RuleReport(False, (priced, request))
