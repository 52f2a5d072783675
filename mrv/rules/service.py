"""Rules of services: what they consume, and what they deliver."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np

from ingest.model import HOUR_US, INTERVAL_US
from mrv.accounting import service_history
from mrv.accounting.design_capacity import LEAST_LOAD, consumption_of, foreign, subject, too_large
from mrv.accounting.device_period import Monitored
from mrv.accounting.own_electricity import ROOM, serving, short, unknown_time, watts
from mrv.accounting.plausible_service import raised
from mrv.accounting.regression_range import BEYOND, MONTH_US
from mrv.accounting.service_history import BEFORE, WITNESSES, models_of, named, witness
from mrv.accounting.thinned_water import counting, thinned
from mrv.accounting.time_in_service import together_us
from mrv.calendar import utc_text
from mrv.rounding import exact_sum
from mrv.rules.account import means
from mrv.rules.effects import Cap, Effect, Floor, Level, Said
from mrv.rules.facts import Facts, node
from mrv.rules.meters import listed
from mrv.service_bounds import Capacity, Consumption, Range

_DAY_US = 24 * HOUR_US
_SHOWN = 3
_S_PER_HOUR = 3600
_WH_PER_KWH = 1000


def specific_consumption(facts: Facts) -> Iterator[Effect | Said]:
    """MTR-05: consumption below the range of such services, or a meter that stands still."""
    views, said = raised(
        facts.views, facts.methodology, facts.parameters, facts.stretches, facts.timezone,
    )  # fmt: skip
    begins = {begin * INTERVAL_US: k for k, begin in enumerate(facts.stretches)}
    for i, (before, after) in enumerate(zip(facts.views, views, strict=True)):
        for j, (old, new) in enumerate(zip(before.parts, after.parts, strict=True)):
            for charge in new.raised[len(old.raised) :]:
                span = charge.start_us, charge.end_us
                yield Floor(i, j, charge.quantity, charge.reason, span, week=begins[span[0]])
    yield from (Said(one.holds, one.detail) for one in said)


def device_clocks(facts: Facts) -> Iterator[Effect | Said]:
    """MTR-08: more hours than elapsed while a device's readings came."""
    told = []
    for i, one in enumerate(facts.views):
        clock = facts.besides.clocks.get(one.device.id)
        if clock is None or one.needs.unit != "s" or not facts.solved.counted(i):
            continue
        hours = f"{clock.told_h} h, and came within {clock.passed_h}"
        most = Fraction(clock.passed_h * _S_PER_HOUR)
        reason = f"its readings tell of {hours}: that counts"
        yield Cap(node(Level.DEVICE, [i]), most, reason)
        told.append(
            f"{one.device.id}: its readings tell of {hours}; its clock runs too fast, or nobody"
            " heard it in time: no more than that counts"
        )
    if told:
        yield Said(False, "; ".join(told))


def service_by_energy(facts: Facts) -> Iterator[Effect | Said]:
    """MTR-06: a service beyond what its energy carries by history, model or design."""
    method = facts.methodology
    large = too_large(facts.views, method, facts.parameters)
    strictly = frozenset(
        taken.by_design
        for one in method.capacities
        if one.parameter in large and (taken := consumption_of(method, one)) is not None
    )
    views = _registered(facts)
    for one in method.consumptions:
        if one.by_history:
            closer = Fraction(1) if one.by_design in strictly else one.closer or one.least
            yield from _carried(facts, one, views, closer)
            if not one.by_design:
                said = named(views, one, models_of(views, one, facts.parameters))
                yield from (Said(f.holds, f.detail) for f in said)


def _registered(facts: Facts) -> list[Monitored]:
    """Return the devices with what standing still is charged, week by week, and nothing else."""
    weeks = {begin * INTERVAL_US for begin in facts.stretches}

    def of_weeks(one: Monitored) -> Monitored:
        return replace(one, parts=tuple(
            replace(p, raised=tuple(r for r in p.raised if {r.start_us, r.end_us} <= weeks))
            for p in one.parts
        ))  # fmt: skip

    return [of_weeks(one) for one in facts.views]


def _carried(
    facts: Facts, one: Consumption, views: Sequence[Monitored], closer: Fraction
) -> Iterator[Effect | Said]:
    models = models_of(views, one, facts.parameters)
    used = Fraction(sum(u.used for u in facts.besides.history))
    served = Fraction(sum(u.served for u in facts.besides.history))
    of, told = facts.of_role(*one.serves), dict[str, list[str]]()
    by_model = witness(one)
    for part in service_history.parts(views, one, facts.stretches):
        usual = used / served if served and one.least else Fraction(0)
        model = service_history.of_models(views, one, part, models)
        for what, rate in ((BEFORE, usual), (by_model, model)):
            if rate:
                told.setdefault(what, [])
        what = BEFORE if usual >= model else by_model
        most = max(usual, model)
        takes = f"{_told(part.used / part.served * one.per_base)} {one.unit}, and"
        span = f"{utc_text(part.begin_us)} to {utc_text(part.end_us)}"
        if part.used < part.served * max(one.least * usual, closer * model):
            words = WITNESSES[what].format(_told(most * one.per_base))
            reason = f"{takes} {words}: what its use carries at that counts"
            weeks = part.first, part.last
            yield Cap(node(Level.MONTH, of, weeks), part.used / most, reason)
            told[what].append(f"{span}: {reason}")
            continue
        told_ = f"{span}: {takes} {WITNESSES[by_model].format(_told(model * one.per_base))}"
        if part.used < one.sure * model * part.served:
            beyond = float(100 - 100 * part.used / (model * part.served))
            told[by_model].append(
                f"{told_}: {beyond:.1f} % of what was delivered is more than its electricity"
                " carries at that; it counts"
            )
        if model and part.used > one.most * model * part.served:
            plant = "this plant" if one.by_design else "these models"
            told[by_model].append(
                f"{told_}: {one.by_design or one.by_model} is not that of {plant}, or a meter is"
                " at fault"
            )
        if part.whole:
            used, served = used + part.used, served + part.served
    for what, texts in told.items():
        text = listed(texts, _SHOWN)
        yield Said(not texts, service_history.subject(one, what, text))


def design_capacity(facts: Facts) -> Iterator[Effect | Said]:
    """MTR-07: a week's service beyond the documented design capacity."""
    for one in facts.methodology.capacities:
        of = facts.of_role(*one.serves)
        moved = any(any(facts.solved.weeks[i]) for i in of)
        if not one.of and moved and one.parameter in facts.parameters:
            yield from _within(facts, one, of)


def _within(facts: Facts, one: Capacity, of: tuple[int, ...]) -> Iterator[Effect | Said]:
    method, told, weaker = facts.methodology, list[str](), list[str]()
    samples = means(facts.besides.samples, method)
    channels = counting(facts.besides.channels, samples)
    capacity = Fraction(facts.parameters[one.parameter])
    there = [facts.views[i] for i in of]
    unit = method.parameters[one.parameter].unit
    delivered = whole = Fraction(0)
    for k, (begin, end) in enumerate(pairwise(facts.stretches)):
        served = facts.served(of, k, k + 1)
        time_us = (
            sum(m.stretches[k].time_us for m in there)
            if one.each
            else together_us(there, begin, end)
        )
        most = capacity * one.base_units * Fraction(time_us, _DAY_US)
        delivered, whole = delivered + served, whole + most
        if served <= most:
            continue
        rate = f"{_told(capacity * served / most)} {unit}" if most else "service"
        span = begin * INTERVAL_US, end * INTERVAL_US
        when = f"{utc_text(span[0])} to {utc_text(span[1])}"
        if thinned(method, one, channels, span, int(served), most):
            weaker.append(f"{when}: {rate}, thinned by rain")
            continue
        reason = f"{rate}, and the plant was built for {_told(capacity)}: that counts"
        yield Cap(node(Level.WEEK, of, (k, k + 1)), most, reason)
        told.append(f"{when}: {reason}")
    if not told and delivered < LEAST_LOAD * whole:
        told.append(foreign(method, one, capacity * delivered / whole))
    said = listed(told, _SHOWN) if told else "; ".join(weaker[:_SHOWN])
    yield Said(not told, f"{subject(method, one)}: {said}" if said else "")


def own_electricity(facts: Facts) -> Iterator[Effect | Said]:
    """MTR-09: more hours than a device's own electricity carries."""
    told = []
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
            beside = [unknown_time(m, number, *edges) for m in some]
            # groups of one controller share its electricity [W s]
            most = [
                max(Fraction(0), t - u) * watts(m)
                for m, t, u in zip(some, hours, beside, strict=True)
            ]
            carried = wh * _S_PER_HOUR * (1 + ROOM)
            if not len(number) or sum(most) <= carried:
                continue
            share = 1 - carried / sum(most)
            when = " to ".join(utc_text(us) for us in facts.span_us(first, last))
            for i, one, t, m in zip(of, some, hours, most, strict=True):
                if m:
                    reason = _carries(one, wh, m, share)
                    left = t - m / watts(one) * share
                    weeks = node(Level.MONTH, [i], (first, last))
                    yield Cap(weeks, left, reason, moves_weeks=False)
                    told.append(f"{name}, {when}: {reason}")
    if told:
        yield Said(
            False,
            f"{listed(told, _SHOWN)}: give the count of lamps that burn, and for lamps that are"
            " dimmed their measured mean power as kw_project",
        )


def _carries(one: Monitored, wh: int, most: Fraction, share: Fraction) -> str:
    hours = most / watts(one) / _S_PER_HOUR
    return (
        f"its electricity, {short(Fraction(wh, _WH_PER_KWH))} kWh, carries"
        f" {short(hours * (1 - share) / (1 + ROOM))} h at {short(watts(one) / _WH_PER_KWH)} kW, of"
        f" {short(hours)} h: that and a twentieth counts"
    )


def regression_range(facts: Facts) -> Iterator[Effect | Said]:
    """MTR-10: a variable beyond the range in which its baseline was regressed."""
    for one in facts.methodology.ranges:
        if one.least in facts.parameters and one.most in facts.parameters:
            yield from _range(facts, one)


def _range(facts: Facts, one: Range) -> Iterator[Effect | Said]:
    least, most = (Fraction(facts.parameters[name]) for name in (one.least, one.most))
    unit, told = facts.methodology.parameters[one.most].unit, []
    of, bound = facts.of_role(one.role), most * (1 + BEYOND)
    there = [facts.views[i] for i in of]
    for first, last in facts.months():
        edges = facts.stretches[first], facts.stretches[last]
        time_us = together_us(there, *edges)
        if not time_us:
            continue
        length = Fraction(time_us) / MONTH_US * one.base_units
        rate = facts.served(of, first, last) / length
        when = " to ".join(utc_text(us) for us in facts.span_us(first, last))
        now = f"{float(rate):.4g} {unit} a month"
        if rate > bound:
            had = f"{float(most):.4g} at most"
            reason = f"{now}, and its regression had {had}: a tenth above that counts"
            yield Cap(node(Level.MONTH, of, (first, last)), bound * length, reason)
            told.append(f"{when}: {now}, and the regression had {had}: {float(bound):.4g} counts")
        elif rate < least * (1 - BEYOND):
            told.append(f"{when}: {now}, and the regression had {float(least):.4g} at least")
    yield Said(not told, "; ".join(told))


def _told(value: Fraction) -> str:
    return f"{float(value):.4g}"
