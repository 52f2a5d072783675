"""
Rules MTR-05 and MTR-06: plausible consumption of a service, and the service that it permits.

MTR-05: each week is evaluated separately.  If its specific consumption is below the plausible
range, the upper end of the range is charged, as either the service or the consumption may be
wrong.  If a meter does not advance while others do, the project's highest specific consumption is
charged.

MTR-06: within the range a distance, flow or mass may still be too high.  Its specific consumption
is compared with the earlier one (issued statements of the last year, earlier parts of the period),
and with type approval or design.  The higher of the two values is the reference.  If the specific
consumption of about four weeks is below a share of the reference, only the service that the
consumption permits at the reference is credited, and these weeks are not added to the history.  The
share is nine tenths for vehicles and half for a plant, as storm water dilutes the inflow.  If
invoices agree with the consumption, a type approval (a test cycle) does not contradict a calibrated
odometer: down to four fifths of the approved consumption, the whole service is credited and
reported; the history still applies.  Weeks with a multiple of the reference are also reported.
These are tonne's own rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from ingest.model import HOUR_US, INTERVAL_US
from mrv.accounting.device_period import Stretch
from mrv.calendar import local_date
from mrv.rounding import decimal_text, figure
from mrv.rules.capacity import (
    above_design,
    consumption_of,
    metered_of,
    serving,
    too_large,
    used_of,
    using,
)
from mrv.rules.effects import Cap, Floor, Judged, Level, RuleReport
from mrv.rules.facts import Facts, node
from mrv.service_bounds import Consumption
from mrv.texts import Text, text

# share of the range's lower end for a single week, as batteries and tanks store energy between
# weeks; a whole period has the full range
_STORED = Fraction(4, 5)
# maximum share of time without data for a part to be added to the history
_LOST = Fraction(1, 10)
_Span = tuple[Fraction, Fraction]


# --- MTR-05: the range --------------------------------------------------------------------


class _Week(NamedTuple):
    """
    Stretch of a period: energy use for its service, and the meters that did not advance.

    `counted`: service within the design capacity, which is the relevant one for the consumption.
    """

    place: int
    used: Fraction
    served: Fraction
    counted: Fraction
    still: tuple[int, ...]
    moving: int

    def specific(self, of: Consumption) -> Fraction:
        return self.used / self.served * of.per_base


def specific_consumption(facts: Facts) -> Iterator[Judged]:
    """MTR-05: yield charges for consumption below its usual range, or a register at standstill."""
    for of in facts.methodology.consumptions:
        weeks = [*_weeks(facts, of)]
        span = None if of.span is None else of.span(facts.parameters)
        usual, least = _usual(of, weeks, span), _least(of, weeks, span)
        charged, still, high = list[Text](), list[Text](), list[Text]()
        for week in weeks:
            run, specific = (week.place, week.place + 1), week.specific(of)
            maximum, reason = _minimum_service(facts, of, week, span, usual, least)
            if maximum > week.used:
                for i, j in _charged(facts, of, week):
                    more = maximum - week.used
                    yield Floor(i, j, more, reason, facts.span_us(*run), week=week.place)
                charged.append(facts.in_time(of.uses, *run, reason))
                continue
            if not all(facts.unused(facts.views[i]) for i in week.still):
                still.append(
                    facts.in_time(of.uses, *run, text("MTR-05.still", device=_names(facts, week)))
                )
            if span is not None and specific > span[1]:
                # a consumption above the range is charged as measured: no finding
                above = {"value": figure(specific), "unit": of.unit, "most": figure(span[1])}
                high.append(facts.in_time(of.uses, *run, text("MTR-05.above_range", **above)))
        if weeks:
            yield RuleReport(not (charged or still), (*charged, *still, *high))


def _weeks(facts: Facts, of: Consumption) -> Iterator[_Week]:
    excess = above_design(facts, of.serves)
    for k in range(len(facts.stretches) - 1):
        there = [
            (i, m.stretches[k])
            for i, m in enumerate(facts.views)
            if m.bound.role in of.uses and m.stretches[k].time_us
        ]
        served = Fraction(sum(m.stretches[k].value for m in serving(facts.views, of)))
        if not served:
            continue
        used = sum(
            (s.value + (facts.views[i].rate or 0) * Fraction(s.lost_us, HOUR_US) for i, s in there),
            start=Fraction(0),
        )
        still = tuple(i for i, s in there if stands_still(s))
        counted = max(Fraction(0), served - excess.get(k, 0))
        yield _Week(k, used, served, counted, still, len(there) - len(still))


def stands_still(stretch: Stretch) -> bool:
    """Return whether a meter did not advance, although at least half of its time has data."""
    return bool(stretch.time_us) and not stretch.value and 2 * stretch.lost_us < stretch.time_us


def _minimum_service(
    facts: Facts, of: Consumption, week: _Week, span: _Span | None, usual: Fraction | None,
    least: Fraction,
) -> tuple[Fraction, Text]:  # fmt: skip
    """
    Return the minimum consumption of a week's service [base units], and the reason; 0 if not
    charged.
    """
    specific, names = week.specific(of), _names(facts, week)
    if span is not None and specific < least:
        return span[1] / of.per_base * week.counted, text(
            "MTR-05.below_range", value=figure(specific), unit=of.unit,
            least=figure(span[0]), most=figure(span[1]),
        )  # fmt: skip
    if week.still and usual is not None and week.moving:
        reason = text("MTR-05.usual", device=names, value=figure(usual), unit=of.unit)
        return usual / of.per_base * week.counted, reason
    if span is None and not week.moving:
        still = ((facts.views[i], facts.views[i].stretches[week.place]) for i in week.still)
        rates = ((m.rate or 0) * Fraction(s.time_us, HOUR_US) for m, s in still)
        return sum(rates, start=Fraction(0)), text("MTR-05.highest_rate", device=names)
    return Fraction(0), text("MTR-05.still", device=names)


def _names(facts: Facts, week: _Week) -> tuple[str, ...]:
    return tuple(facts.views[i].device.id for i in week.still)


def _least(of: Consumption, weeks: Sequence[_Week], span: _Span | None) -> Fraction:
    """
    Return the minimum specific consumption of a week. [unit of `of`]

    It is the lower end of the plausible range.  If the whole period is within the range, it is a
    part of that, as consumption may be recorded a week later.
    """
    if span is None or not weeks:
        return Fraction(0)
    used = sum((week.used for week in weeks), start=Fraction(0))
    whole = used / sum(week.served for week in weeks) * of.per_base
    return span[0] if whole < span[0] or len(weeks) == 1 else span[0] * _STORED


def _usual(of: Consumption, weeks: Sequence[_Week], span: _Span | None) -> Fraction | None:
    """
    Return the highest plausible specific consumption of weeks in which all registers advanced.
    [unit of `of`]

    None if there is no such week.
    """
    whole = [week.specific(of) for week in weeks if not week.still]
    inside = [value for value in whole if span is None or span[0] <= value <= span[1]]
    return max(inside, default=None)


def _charged(facts: Facts, of: Consumption, week: _Week) -> list[tuple[int, int]]:
    """Return the device and part to be charged: one at standstill, else the year's first."""
    year = local_date(facts.stretches[week.place] * INTERVAL_US, facts.timezone).year
    users = [i for i, m in enumerate(facts.views) if m.bound.role in of.uses and m.parts]
    ordered = [*(i for i in week.still if i in users), *users]
    where = [(i, j) for i in ordered for j, p in enumerate(facts.views[i].parts) if p.year == year]
    return (where or [(i, 0) for i in ordered])[:1]


# --- MTR-06: service that the consumption permits ----------------------------------------


@dataclass(frozen=True, slots=True)
class _Part:
    """
    About four weeks of a period: first week, week after the last, and their sums.

    `metered`: consumption without the charges of MTR-05.
    """

    first: int
    last: int
    used: Fraction
    metered: Fraction
    served: int
    whole: bool


def service_by_energy(facts: Facts) -> Iterator[Judged]:
    """
    MTR-06: yield limits on a service by its energy consumption.

    The lowest specific consumption is that of the history, of the type approval or of the design.
    """
    strictly = _strictly(facts)
    for of in facts.methodology.consumptions:
        if of.by_history:
            closer = _closer(of, strictly)
            models = _models(facts, of)
            yield from _carried(facts, of, models, closer)
            if of.by_model and not of.by_design:
                delivering = [m.device.id for m in serving(facts.views, of) if m.delivered]
                bare = tuple(name for name in dict.fromkeys(delivering) if name not in models)
                if bare:
                    yield text("MTR-06.no_model", device=bare, parameter=of.by_model)


def _strictly(facts: Facts) -> frozenset[str]:
    """
    Return the design parameters that apply without a margin, as no capacity limits
    the service.
    """
    method, large = facts.methodology, too_large(facts, facts.parameters)
    return frozenset(
        taken.by_design
        for capacity in method.capacities
        if capacity.parameter in large and (taken := consumption_of(method, capacity)) is not None
    )


def _closer(of: Consumption, strictly: frozenset[str]) -> Fraction:
    return Fraction(1) if of.by_design in strictly else of.closer or of.lowest


def least_use(facts: Facts, of: Consumption) -> tuple[Fraction, Fraction]:
    """
    Return the minimum specific consumption of a service, and the rate applied if it is lower.

    Both in base units of the consumption per base unit of the service.
    """
    model = max(_models(facts, of).values(), default=Fraction(0))
    used = Fraction(sum(u.used for u in facts.supporting.history))
    served = Fraction(sum(u.served for u in facts.supporting.history))
    usual = used / served if served else Fraction(0)
    closer = _closer(of, _strictly(facts))
    least, rate, _ = _least_rate(of, usual, model, closer, invoiced=False)
    return least, rate


def _carried(
    facts: Facts, of: Consumption, models: Mapping[str, Fraction], closer: Fraction
) -> Iterator[Judged]:
    used = Fraction(sum(u.used for u in facts.supporting.history))
    served = Fraction(sum(u.served for u in facts.supporting.history))
    devices = facts.of_role(*of.serves)
    # an invoiced delivery is accepted, independently of the consumption by design
    settled = bool(devices) and all(facts.invoiced(facts.views[i]) for i in devices)
    invoiced = _invoiced_use(facts, of)
    texts: dict[str, list[Text]] = {}
    for part in _parts(facts, of):
        usual = used / served if served and of.lowest else Fraction(0)
        # a device without such a value is counted with zero consumption, so that the other devices'
        # values still limit the service
        model = sum(
            (
                models.get(m.device.id, Fraction(0)) * s.value / part.served
                for m in serving(facts.views, of)
                for s in m.stretches[part.first : part.last]
            ),
            start=Fraction(0),
        )
        for name, rate in (("history", usual), ("model", model)):
            if rate:
                texts.setdefault(name, [])
        specific = {"value": figure(part.used / part.served * of.per_base), "unit": of.unit}
        by_model = _basis(of, model, history=False)
        limit = part.served * max(of.lowest * usual, closer * model)
        maximum, history = max(usual, model), usual >= model
        least, rate, past = _least_rate(of, usual, model, closer, invoiced=invoiced)
        if part.used < part.served * least and not settled:
            reason = text("MTR-06.carried", basis=_basis(of, rate, history=past), **specific)
            weeks = node(Level.MONTH, devices, (part.first, part.last))
            yield Cap(weeks, part.used / rate, reason)
            line = facts.in_time(of.serves, part.first, part.last, reason)
            texts["history" if past else "model"].append(line)
            continue
        if part.used < max(limit, of.sure * model * part.served):
            if part.used >= limit:
                maximum, history = model, False
            percent = decimal_text(100 - 100 * part.used / (maximum * part.served), 1, "up")
            basis = _basis(of, maximum, history=history)
            reason = text("MTR-06.beyond", basis=basis, percent=percent, **specific)
            line = facts.in_time(of.serves, part.first, part.last, reason)
            texts["history" if history else "model"].append(line)
        if model and part.metered > of.highest * model * part.served:
            entered = of.by_design or of.by_model
            specific["value"] = figure(part.metered / part.served * of.per_base)
            reason = text("MTR-06.not_its_value", basis=by_model, parameter=entered, **specific)
            texts["model"].append(facts.in_time(of.serves, part.first, part.last, reason))
        if part.whole and part.used >= limit:
            used, served = used + part.used, served + part.served
    for lines in texts.values():
        yield RuleReport(not lines, tuple(lines), "observation" if settled and lines else None)


def _least_rate(
    of: Consumption, usual: Fraction, model: Fraction, closer: Fraction, *, invoiced: bool
) -> tuple[Fraction, Fraction, bool]:
    """
    Return the minimum specific consumption, the rate applied below it, and whether it is
    historical.

    Both are in base units of consumption per base unit of service.

    If the consumption is invoiced, the history takes precedence over the type approval, a test
    cycle.
    """
    by_past, by_model = of.lowest * usual, (of.driven if invoiced else closer) * model
    if invoiced:
        past = by_past >= by_model
        return max(by_past, by_model), usual if past else model, past
    return max(by_past, by_model), max(usual, model), usual >= model


def _invoiced_use(facts: Facts, of: Consumption) -> bool:
    """
    Return whether the consumption of vehicles is invoiced, or measured by calibrated meters.

    For a plant, invoices of the delivery itself are required.
    """
    uses, serves = facts.of_role(*of.uses), facts.of_role(*of.serves)
    return (
        bool(of.by_model and uses)
        and all(facts.invoiced(facts.views[i]) for i in uses)
        and not any(facts.shared_invoice(facts.views[i]) for i in uses)
        and all(facts.evidence.evidenced(facts.views[i]) for i in serves)
    )


def _basis(of: Consumption, rate: Fraction, *, history: bool) -> Text:
    values = {"value": figure(rate * of.per_base), "unit": of.unit}
    if history:
        return text("MTR-06.history", **values)
    return text("MTR-06.design" if of.by_design else "MTR-06.type_approval", **values)


def _parts(facts: Facts, of: Consumption) -> Iterator[_Part]:
    """Yield parts of the period of about four weeks, without those that have no service."""
    users, servers = using(facts.views, of), serving(facts.views, of)
    for first, last in facts.months():
        served = sum(s.value for m in servers for s in m.stretches[first:last])
        both = [s for m in (*users, *servers) for s in m.stretches[first:last]]
        lost, time = sum(s.lost_us for s in both), sum(s.time_us for s in both)
        span_us = facts.span_us(first, last)
        used = sum((used_of(m, first, last, span_us, of) for m in users), start=Fraction(0))
        metered = sum((metered_of(m, first, last, span_us) for m in users), start=Fraction(0))
        if served:
            yield _Part(first, last, used, metered, served, lost <= _LOST * time)


def _models(facts: Facts, of: Consumption) -> dict[str, Fraction]:
    """
    Return by device its specific consumption by type approval or design; the highest of several.

    In base units of consumption per base unit of service.
    """
    result: dict[str, Fraction] = {}
    for m in serving(facts.views, of):
        parameters = facts.parameters if of.by_design else m.params
        name = of.by_design or of.by_model
        if name in parameters:
            value = Fraction(parameters[name]) / of.per_base
            result[m.device.id] = max(result.get(m.device.id, Fraction(0)), value)
    return result
