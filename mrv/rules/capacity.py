"""
Rule MTR-07: design capacity of a plant, its design load, and its electricity.

A flow, mass or load that only the plant's own meters report is limited by the documented ex-ante
design capacity.  In each stretch of about a week, at most the capacity of its days is credited; a
single day may exceed it, as after rain.  Water above the limit is credited in a week whose load
does not exceed the load at capacity, since rain diluted it.  If less than a fifth of the capacity
was delivered over the period, the document may describe another plant; then the service is limited
by its electricity according to the design.  These are tonne's own rules.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from ingest.model import HOUR_US, INTERVAL_US
from mrv.accounting.device_period import Kind, Monitored
from mrv.accounting.evidenced_time import together_us
from mrv.model import Methodology
from mrv.parameters import Inputs, rounded
from mrv.registry.project import Loaded
from mrv.rounding import decimal_text, figure
from mrv.rules import Severity
from mrv.rules.effects import BUILT_FOR, CARRIED, Bound, Cap, Judged, Level, RuleReport
from mrv.rules.facts import Facts, node
from mrv.rules.plausible_values import means
from mrv.service_bounds import Capacity, Consumption
from mrv.texts import Text, text

_MIN_LOAD = Fraction(1, 5)
# shares of the load for which the electricity is sufficient by design: below the first the load is
# limited, below the second there is a finding (with storm water, concentrations are higher in dry
# weather)
_CARRIED, _SURE = Fraction(2, 3), Fraction(19, 20)
_DAY_US = 24 * HOUR_US
_LONGEST_YEAR = 366
# consumption added to a register: by a week's service (MTR-05), by the meter's own power (MTR-04)
CHARGES = (Kind.CONSUMPTION, Kind.SERVICE)


# --- capacities and consumptions of a methodology -----------------------------------------


def serving(monitored: Iterable[Monitored], item: Capacity | Consumption) -> list[Monitored]:
    """Return the meters of the service to which a capacity or consumption applies."""
    return [m for m in monitored if m.bound.role in item.serves]


def using(monitored: Iterable[Monitored], consumption: Consumption) -> list[Monitored]:
    """Return the meters of the energy that a service uses."""
    return [m for m in monitored if m.bound.role in consumption.uses]


def consumption_of(methodology: Methodology, capacity: Capacity) -> Consumption | None:
    """Return the electricity consumption of a plant's service; None where unknown."""
    return next(
        (c for c in methodology.consumptions if c.by_design and {*c.serves} >= {*capacity.serves}),
        None,
    )


def _time_us(there: Sequence[Monitored]) -> int:
    """Return the time in which at least one of a plant's meters was installed. [us]"""
    first = min((m.service.first for m in there), default=0)
    last = max((m.service.last for m in there), default=0)
    return together_us(there, first, last)


def at_capacity(there: Sequence[Monitored], capacity: Capacity, parameters: Inputs) -> Fraction:
    """Return a plant's delivery at its capacity over its meters' time. [base units]"""
    whole = sum(s.time_us for m in there for s in m.stretches) if capacity.each else _time_us(there)
    return Fraction(parameters[capacity.parameter]) * capacity.base_units * Fraction(whole, _DAY_US)


def too_large(facts: Facts, parameters: Inputs, least: Fraction = _MIN_LOAD) -> frozenset[str]:
    """
    Return the parameters of capacities that set no limit, as too little was delivered.

    `least`: share of a capacity below which it sets no limit.
    """
    result = set()
    for capacity in facts.methodology.capacities:
        there = serving(facts.views, capacity)
        delivered = sum(m.delivered for m in there)
        if (
            not capacity.of
            and capacity.parameter in parameters
            and delivered
            and delivered < least * at_capacity(there, capacity, parameters)
        ):
            result.add(capacity.parameter)
    return frozenset(result)


def _below_fifth(methodology: Methodology, capacity: Capacity, rate: Fraction) -> Text:
    """Return the text on a capacity that is no limit, as less than a fifth was delivered."""
    unit = methodology.parameters[capacity.parameter].unit
    return text("MTR-07.below_fifth", value=figure(rate), unit=unit, parameter=capacity.parameter)


def metered_of(
    meter: Monitored, first: int, last: int, span_us: tuple[int, int],
    charges: Collection[Kind] = (Kind.SERVICE,),
) -> Fraction:  # fmt: skip
    """Return a meter's quantity in a run of weeks, with charges by rules. [base units]"""
    charged = (
        -c.quantity
        for p in meter.parts
        for c in p.cuts
        if c.kind in charges and span_us[0] <= c.start_us < span_us[1]
    )
    own = sum(s.value for s in meter.stretches[first:last])
    return own + sum(charged, start=Fraction(0))


def used_of(
    meter: Monitored, first: int, last: int, span_us: tuple[int, int], of: Consumption
) -> Fraction:
    """
    Return a meter's consumption in a run of weeks, with charges for gaps and by rules. [base units]

    In gaps, at most what invoices leave.  If a plant's meter lacks data for less than half of the
    time, its mean rate applies to that time: its highest rate would permit any service.
    """
    stretches, rate = meter.stretches[first:last], meter.rate or Fraction(0)
    time, lost, value = (sum(s.time_us for s in stretches), sum(s.lost_us for s in stretches),
                         sum(s.value for s in stretches))  # fmt: skip
    if of.by_design and 0 < 2 * lost < time:
        rate = min(rate, Fraction(value * HOUR_US, time - lost))
    in_gaps = rate * Fraction(lost, HOUR_US)
    if meter.needs.side == "project":
        gaps = (c.within(span_us) for p in meter.parts for c in p.cuts if c.kind is Kind.GAP)
        in_gaps = min(in_gaps, -sum(gaps, start=Fraction(0)))
    return metered_of(meter, first, last, span_us, CHARGES) + in_gaps


def electricity(monitored: Sequence[Monitored], consumption: Consumption) -> Fraction:
    """Return the energy use of a service in the whole period, with charges. [base units]"""
    users = using(monitored, consumption)
    begin = min((m.service.first for m in users), default=0) * INTERVAL_US
    end = max((m.service.last for m in users), default=0) * INTERVAL_US
    used = (used_of(m, 0, len(m.stretches), (begin, end), consumption) for m in users)
    return sum(used, start=Fraction(0))


# --- a week's service ---------------------------------------------------------------------


class _Week(NamedTuple):
    """Service and design capacity of a plant or device in a week; `thinned`: diluted by rain."""

    of: tuple[int, ...]
    place: int
    served: Fraction
    limit: Fraction
    thinned: bool


def _weeks(facts: Facts, item: Capacity) -> Iterator[_Week]:
    every, capacity = facts.of_role(*item.serves), Fraction(facts.parameters[item.parameter])
    for of in ((i,) for i in every) if item.each else (every,):
        there = [facts.views[i] for i in of]
        for k in range(len(facts.stretches) - 1):
            served = facts.served(of, k, k + 1)
            time_us = together_us(there, facts.stretches[k], facts.stretches[k + 1])
            maximum = capacity * item.base_units * Fraction(time_us, _DAY_US)
            thinned = served > maximum and _thinned(facts, item, k, served, maximum)
            yield _Week(of, k, served, maximum, thinned)


def _capacities(facts: Facts) -> Iterator[Capacity]:
    for capacity in facts.methodology.capacities:
        moved = any(any(facts.solved.weeks[i]) for i in facts.of_role(*capacity.serves))
        if not capacity.of and moved and capacity.parameter in facts.parameters:
            yield capacity


def above_design(facts: Facts, roles: Sequence[str]) -> Mapping[int, Fraction]:
    """Return the service above the design capacity, by week. [base units]"""
    result: dict[int, Fraction] = {}
    for capacity in _capacities(facts):
        for week in _weeks(facts, capacity) if {*capacity.serves} <= {*roles} else ():
            if week.served > week.limit and not week.thinned:
                before = result.get(week.place, Fraction(0))
                result[week.place] = before + week.served - week.limit
    return result


def design_capacity(facts: Facts) -> Iterator[Judged]:
    """
    MTR-07: yield limits on a week's service above the documented design capacity.

    If invoices corroborate the service, it is an observation, as the design document is outdated.
    """
    for item in _capacities(facts):
        weeks = [*_weeks(facts, item)]
        capacity = Fraction(facts.parameters[item.parameter])
        unit = facts.methodology.parameters[item.parameter].unit
        texts, diluted = list[Text](), list[Text]()
        covered = {i: facts.invoiced(facts.views[i]) for i in facts.of_role(*item.serves)}
        for week in weeks:
            if week.served <= week.limit:
                continue
            settled = all(covered[i] for i in week.of)
            run = week.place, week.place + 1
            rate = capacity * week.served / week.limit if week.limit else week.served
            code = "MTR-07.invoiced" if settled else "MTR-07.above"
            reason = text(
                "MTR-07.diluted" if week.thinned else code,
                value=figure(rate), unit=unit, most=figure(capacity),
            )  # fmt: skip
            names = tuple(facts.views[i].device.id for i in week.of)
            what = text("value.of_devices", parameter=item.parameter, devices=names)
            line = facts.in_time(what if item.each else item.parameter, *run, reason)
            (diluted if week.thinned else texts).append(line)
            if not (week.thinned or settled):
                yield Cap(node(Level.WEEK, week.of, run), week.limit, reason)
        delivered = sum((week.served for week in weeks), start=Fraction(0))
        whole = sum((week.limit for week in weeks), start=Fraction(0))
        severity: Severity | None = None
        if not texts and delivered < _MIN_LOAD * whole:
            texts.append(_below_fifth(facts.methodology, item, capacity * delivered / whole))
            severity = "CL"  # a plant may operate far below its capacity
        severity = "observation" if texts and all(covered.values()) else severity
        yield RuleReport(not texts, tuple(texts or diluted), severity)


def _thinned(
    facts: Facts, capacity: Capacity, week: int, served: Fraction, maximum: Fraction
) -> bool:
    """Return whether rain diluted a week's delivery, so that its load is within the capacity."""
    strong = next(
        (c.of for c in facts.methodology.capacities if c.of and {*c.serves} == {*capacity.serves}),
        "",
    )
    channel = facts.supporting.channels.get(strong)
    if channel is None:
        return False
    laboratory = means(facts.supporting.samples, facts.methodology)
    if laboratory.get(strong, channel.value) < channel.value:
        # diluted water would be credited with the concentration of other samples
        return False
    begin, end = facts.span_us(week, week + 1)
    # a day is assigned to the stretch that contains its middle
    within = [begin <= (d.from_us + d.to_us) // 2 < end for d in channel.days]
    inside = _strength(d for d, there in zip(channel.days, within, strict=True) if there)
    outside = _strength(d for d, there in zip(channel.days, within, strict=True) if not there)
    return inside is not None and outside is not None and int(served) * inside <= maximum * outside


def _strength(days: Iterable[Loaded]) -> Fraction | None:
    """
    Return the mean concentration, weighted by flow; None without flow. [1/1000 of the channel's
    unit]
    """
    known = list(days)
    flow = sum(d.flow for d in known)
    return sum((d.load for d in known), start=Fraction(0)) / flow if flow else None


# --- the load of the period ---------------------------------------------------------------


def design_load(facts: Facts) -> Iterator[Judged]:
    """
    MTR-07: yield limits on a load, or an earlier year's service, above the design capacity.

    The concentration of the inflow is limited by the design load, and by the electricity for it.
    """
    price, method = facts.price, facts.methodology
    used, carried, reports = price.stated, set[str](), list[RuleReport]()
    for item in method.capacities:
        used, above = _years_within(facts, item, used)
        if above:
            reports.append(RuleReport(False, above))
        there = serving(facts.views, item)
        served = sum((m.counts for m in there), start=Fraction(0))
        if (
            not item.of
            or not used.get(item.of)
            or served <= 0
            or item.parameter not in price.stated
        ):
            continue
        capacity = Fraction(price.stated[item.parameter])
        maximum = capacity * item.base_units * Fraction(_time_us(there), _DAY_US)
        load, texts = served * used[item.of], list[Text]()
        if load > maximum:
            spec = method.parameters[item.of]
            less = {**used, item.of: rounded(maximum / served, spec)}
            texts.append(
                text(
                    "MTR-07.load", value=figure(capacity * load / maximum), most=figure(capacity),
                    load_unit=method.parameters[item.parameter].unit, parameter=item.of,
                    counted=figure(less[item.of]), unit=spec.unit,
                )
            )  # fmt: skip
            if price.reduced(less) < price.reduced(used):
                used = less
        elif load < _MIN_LOAD * maximum:
            texts.append(_below_fifth(method, item, capacity * load / maximum))
        powered, more = _powered(facts, item, used, served)
        texts += more
        if price.reduced(powered) < price.reduced(used):
            used = powered
            carried.add(item.of)
        reports.append(RuleReport(not texts, tuple(texts), _beyond_severity(facts, item, texts)))
    for name, value in used.items():
        if value != price.stated[name]:
            yield Bound(name, Fraction(value), CARRIED if name in carried else BUILT_FOR)
    yield from reports


def _beyond_severity(facts: Facts, capacity: Capacity, texts: list[Text]) -> Severity | None:
    """Return the severity if a plant operates far below its capacity or its design consumption."""
    taken, codes = consumption_of(facts.methodology, capacity), {each.code for each in texts}
    if codes == {"MTR-07.below_fifth"}:
        return "CL"
    if taken is None or codes != {"MTR-07.load_beyond"}:
        return None
    users = using(facts.views, taken)
    return "observation" if all(facts.evidence.agreeing(m) for m in users) else "CL"


def _powered(
    facts: Facts, capacity: Capacity, used: Inputs, served: Fraction
) -> tuple[Inputs, list[Text]]:
    """
    Return inputs with a load limited by the electricity for it, and texts.

    Rain dilutes the inflow without increasing load or electricity.  A higher load by laboratory
    results is accepted if the electricity is sufficient to pump the water.
    """
    method = facts.methodology
    taken = consumption_of(method, capacity)
    flow = next((c for c in method.capacities if not c.of and c.serves == capacity.serves), None)
    if taken is None or flow is None:
        return used, []
    names = flow.parameter, capacity.parameter, taken.by_design
    if not all(used.get(name) for name in names):
        return used, []
    water, strength, rate = (Fraction(used[name]) for name in names)
    power = electricity(facts.views, taken)
    load, carried = served * used[capacity.of], power * strength * taken.per_base / (rate * water)
    if carried >= _SURE * load:
        return used, []
    values = {
        "percent": decimal_text(100 - 100 * carried / load, 1, "up"),
        "value": figure(power / served * taken.per_base), "unit": taken.unit,
        "parameter": capacity.of,
    }  # fmt: skip
    analysed = capacity.of in reported_samples(facts)
    moved = power * taken.per_base >= _CARRIED * rate * served
    if carried >= _CARRIED * load or (analysed and moved):
        return used, [text("MTR-07.load_beyond", **values)]
    spec = method.parameters[capacity.of]
    less = {**used, capacity.of: rounded(carried / served, spec)}
    counted = {"counted": figure(less[capacity.of]), "counted_unit": spec.unit}
    return less, [text("MTR-07.load_carried", **values, **counted)]


def reported_samples(facts: Facts) -> frozenset[str]:
    """Return the parameters of which every laboratory result has the hash of its report."""
    samples = facts.supporting.samples
    unkept = {s.parameter for s in samples if not s.sha256}
    return frozenset(s.parameter for s in samples) - unkept


def _years_within(
    facts: Facts, capacity: Capacity, used: Inputs
) -> tuple[Inputs, tuple[Text, ...]]:
    """Return inputs with the service of earlier years limited to the design capacity, and texts."""
    above = []
    for name in capacity.years:
        if name not in used or capacity.parameter not in used:
            continue
        maximum = Fraction(used[capacity.parameter]) * _LONGEST_YEAR
        if used[name] <= maximum:
            continue
        unit = facts.methodology.parameters[name].unit
        above.append(
            text(
                "MTR-07.earlier_year", parameter=name, value=figure(Fraction(used[name])),
                unit=unit, most=figure(maximum), capacity=capacity.parameter,
            )
        )  # fmt: skip
        less = {**used, name: maximum}
        if facts.price.reduced(less) < facts.price.reduced(used):
            used = less
    return used, tuple(above)
