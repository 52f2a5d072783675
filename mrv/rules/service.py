"""
What a service comes to at most: design capacity, clocks, its own electricity, a regression.

A flow, a mass or a load that only the plant's own meters report may be claimed too high by all of
them together.  The design capacity of the licence or design bounds it (MTR-07): each stretch of
about a week counts no more than its days at capacity; a day may be above it, as after rain.  Water
above it counts in a week in which the plant's analyser found it so much weaker that its load is no
more than the capacity would bring at the strength of the other weeks.

A lamp that is on takes its power: no more hours count than a group's own electricity carries at
the registered count and power, in each part of about four weeks (MTR-09), with a twentieth of room
for what two registers and the supply's voltage differ by.  A regression says nothing of weather
that its months did not have: beyond a tenth above its warmest month that counts (MTR-10).  These
are rules of tonne's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from ingest.model import HOUR_US
from mrv.accounting.design_capacity import LEAST_LOAD, below_fifth
from mrv.accounting.device_period import Monitored
from mrv.accounting.time_in_service import together_us
from mrv.calendar import local_span
from mrv.registry.project import Loaded, Measured
from mrv.rounding import decimal_text, exact_sum, figure
from mrv.rules import Severity
from mrv.rules.effects import Cap, Effect, Level, Said
from mrv.rules.equipment import ROOM, serving, unknown_time, watts
from mrv.rules.facts import Facts, node
from mrv.rules.plausible_values import means
from mrv.service_bounds import Capacity, Range
from mrv.texts import Text, text

_DAY_US = 24 * HOUR_US
_S_PER_HOUR = 3600
_WH_PER_KWH = 1000
# of the range of a regression, beyond which it is not asked (ASHRAE Guideline 14) [M]
BEYOND = Fraction(1, 10)
MONTH_US = Fraction(36525, 1200) * 24 * HOUR_US


# --- MTR-07: design capacity --------------------------------------------------------------


class _Week(NamedTuple):
    """What a week's service came to, what the plant was built for, and if rain thinned it."""

    place: int
    served: Fraction
    most: Fraction
    thinned: bool

    @property
    def above(self) -> bool:
        return self.served > self.most and not self.thinned


def _weeks(facts: Facts, one: Capacity) -> Iterator[_Week]:
    """Compare each week's service with a capacity."""
    of, capacity = facts.of_role(*one.serves), Fraction(facts.parameters[one.parameter])
    there = [facts.views[i] for i in of]
    for k in range(len(facts.stretches) - 1):
        served = facts.served(of, k, k + 1)
        time_us = (
            sum(m.stretches[k].time_us for m in there)
            if one.each
            else together_us(there, facts.stretches[k], facts.stretches[k + 1])
        )
        most = capacity * one.base_units * Fraction(time_us, _DAY_US)
        yield _Week(k, served, most, served > most and _thinned(facts, one, k, served, most))


def _capacities(facts: Facts) -> Iterator[Capacity]:
    """Yield the capacities that bound a service itself, where it was delivered."""
    for one in facts.methodology.capacities:
        moved = any(any(facts.solved.weeks[i]) for i in facts.of_role(*one.serves))
        if not one.of and moved and one.parameter in facts.parameters:
            yield one


def above_design(facts: Facts, roles: Sequence[str]) -> Mapping[int, Fraction]:
    """Return what of a service is above the design capacity, by stretch. [base units]"""
    found: dict[int, Fraction] = {}
    for one in _capacities(facts):
        if {*one.serves} <= {*roles}:
            for week in _weeks(facts, one):
                if week.above:
                    before = found.get(week.place, Fraction(0))
                    found[week.place] = before + week.served - week.most
    return found


def design_capacity(facts: Facts) -> Iterator[Effect | Said]:
    """
    MTR-07: a week's service beyond the documented design capacity.

    More than that which invoices state is an observation: the design document is out of date.
    """
    for one in _capacities(facts):
        of, weeks = facts.of_role(*one.serves), [*_weeks(facts, one)]
        capacity = Fraction(facts.parameters[one.parameter])
        unit, texts, diluted = facts.methodology.parameters[one.parameter].unit, [], []
        settled = bool(of) and all(facts.invoiced(facts.views[i]) for i in of)
        for week in weeks:
            if week.served <= week.most:
                continue
            rate = capacity * week.served / week.most if week.most else week.served
            values = {"value": figure(rate), "unit": unit, "most": figure(capacity)}
            if week.thinned:
                reason = text("MTR-07.diluted", **values)
                diluted.append(facts.in_time(one.parameter, week.place, week.place + 1, reason))
                continue
            reason = text("MTR-07.above", **values)
            if not settled:
                yield Cap(node(Level.WEEK, of, (week.place, week.place + 1)), week.most, reason)
            texts.append(facts.in_time(one.parameter, week.place, week.place + 1, reason))
        delivered = sum((week.served for week in weeks), start=Fraction(0))
        whole = sum((week.most for week in weeks), start=Fraction(0))
        if not texts and delivered < LEAST_LOAD * whole:
            texts.append(below_fifth(facts.methodology, one, capacity * delivered / whole))
        severity: Severity | None = "observation" if settled and texts else None
        yield Said(not texts, tuple(texts or diluted), severity)


def _thinned(facts: Facts, one: Capacity, week: int, served: Fraction, most: Fraction) -> bool:
    """Whether what a week delivered above a capacity carries no more load than it."""
    strong = next(
        (c.of for c in facts.methodology.capacities if c.of and {*c.serves} == {*one.serves}), None
    )
    channel = None if strong is None else facts.besides.channels.get(strong)
    if strong is None or channel is None or not _counts(facts, strong, channel):
        return False
    begin, end = facts.span_us(week, week + 1)
    # a day counts in the stretch that holds its middle
    within = [begin <= (d.from_us + d.to_us) // 2 < end for d in channel.days]
    inside = _strength(d for d, there in zip(channel.days, within, strict=True) if there)
    outside = _strength(d for d, there in zip(channel.days, within, strict=True) if not there)
    return inside is not None and outside is not None and int(served) * inside <= most * outside


def _counts(facts: Facts, name: str, channel: Measured) -> bool:
    """Whether no laboratory found less: weak water would be paid by other samples' strength."""
    laboratory = means(facts.besides.samples, facts.methodology)
    return name not in laboratory or laboratory[name] >= channel.value


def _strength(days: Iterable[Loaded]) -> Fraction | None:
    """Return the load by what flowed; None where nothing did. [thousandths of the channel's]"""
    known = list(days)
    flow = sum(d.flow for d in known)
    return sum((d.load for d in known), start=Fraction(0)) / flow if flow else None


# --- MTR-08, MTR-09: hours of operation ---------------------------------------------------


def device_clocks(facts: Facts) -> Iterator[Effect | Said]:
    """MTR-08: more hours than elapsed while a device's readings came."""
    texts = []
    for i, one in enumerate(facts.views):
        clock = facts.besides.clocks.get(one.device.id)
        if clock is None or one.needs.unit != "s" or not facts.solved.counted(i):
            continue
        reason = text("MTR-08.above_elapsed", hours=clock.told_h, elapsed=clock.passed_h)
        yield Cap(node(Level.DEVICE, [i]), Fraction(clock.passed_h * _S_PER_HOUR), reason)
        texts.append(text("MTR-08.clock", device=one.device.id, reason=reason))
    if texts:
        yield Said(False, tuple(texts))


def own_electricity(facts: Facts) -> Iterator[Effect | Said]:
    """MTR-09: more hours than a device's own electricity carries."""
    texts = []
    for name, energy in facts.besides.drawn.items():
        of = [i for i, m in enumerate(facts.views) if m.device.id == name and m.needs.draws]
        some = [facts.views[i] for i in of]
        for first, last in facts.months():
            edges = facts.stretches[first], facts.stretches[last]
            begin, end = np.searchsorted(energy.number, edges)
            number = energy.number[begin:end]
            value = energy.value[begin:end][serving(some, number)]
            wh = exact_sum(value) if len(value) else 0
            hours = [facts.served([i], first, last) for i in of]
            unknown = [unknown_time(m, number, *edges) for m in some]
            # groups of one controller share its electricity [W s]
            most = [
                max(Fraction(0), t - u) * watts(m)
                for m, t, u in zip(some, hours, unknown, strict=True)
            ]
            carried = wh * _S_PER_HOUR * (1 + ROOM)
            if not len(number) or sum(most) <= carried:
                continue
            share = 1 - carried / sum(most)
            for i, one, t, m in zip(of, some, hours, most, strict=True):
                if m:
                    reason = _carries(one, wh, m, share)
                    left = t - m / watts(one) * share
                    weeks = node(Level.MONTH, [i], (first, last))
                    yield Cap(weeks, left, reason, moves_weeks=False)
                    time = local_span(facts.span_us(first, last), facts.timezone)
                    texts.append(text("MTR-09.hours", device=name, reason=reason, **time))
    if texts:
        yield Said(False, tuple(texts))


def _carries(one: Monitored, wh: int, most: Fraction, share: Fraction) -> Text:
    hours = most / watts(one) / _S_PER_HOUR
    return text(
        "MTR-09.carries",
        energy=decimal_text(Fraction(wh, _WH_PER_KWH), 3, "up"), hours=figure(hours, 6),
        carried=figure(hours * (1 - share) / (1 + ROOM), 6),
        power=figure(watts(one) / _WH_PER_KWH, 6),
    )  # fmt: skip


# --- MTR-10: a regression -----------------------------------------------------------------


def regression_range(facts: Facts) -> Iterator[Effect | Said]:
    """MTR-10: a variable beyond the range in which its baseline was regressed."""
    for one in facts.methodology.ranges:
        if one.least in facts.parameters and one.most in facts.parameters:
            yield from _range(facts, one)


def _range(facts: Facts, one: Range) -> Iterator[Effect | Said]:
    least, most = (Fraction(facts.parameters[name]) for name in (one.least, one.most))
    unit, texts = facts.methodology.parameters[one.most].unit, []
    of, bound = facts.of_role(one.role), most * (1 + BEYOND)
    there = [facts.views[i] for i in of]
    for first, last in facts.months():
        time_us = together_us(there, facts.stretches[first], facts.stretches[last])
        if not time_us:
            continue
        length = Fraction(time_us) / MONTH_US * one.base_units
        rate = facts.served(of, first, last) / length
        values = {"value": figure(rate), "unit": unit}
        if rate > bound:
            reason = text("MTR-10.above", most=figure(most), counted=figure(bound), **values)
            yield Cap(node(Level.MONTH, of, (first, last)), bound * length, reason)
            texts.append(facts.in_time(one.role, first, last, reason))
        elif rate < least * (1 - BEYOND):
            reason = text("MTR-10.below", least=figure(least), **values)
            texts.append(facts.in_time(one.role, first, last, reason))
    yield Said(not texts, tuple(texts))
