"""
Rule on changes of meters (REG-03): replacements, and registers that fall or rise.

The baseline is credited only while each role with project emissions has a device: the water of a
day between two power meters is not credited.  This is conservative, so it is an observation with
its tonnes.

A register that falls, or rises by more than its device can produce, is reported: the day, both
values, the difference in tonnes between the two possible causes, and the missing registry entry.
Reading errors, rollovers at the model's modulus and registered replacements are handled by metering
and not reported.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import islice, zip_longest
from typing import Any

from ingest import profiles
from ingest.model import HOUR_US, INTERVAL_US, LOOK_BACK_US
from ingest.profiles import FileRegister
from mrv.accounting.device_period import Monitored, limit_of
from mrv.accounting.device_results import Pricing, gap_outcomes
from mrv.accounting.period_result import GapOutcome
from mrv.accounting.register_scan import SAME_LINE
from mrv.calendar import local_date, local_span, local_text
from mrv.registry.project import Fallen, service_intervals
from mrv.rounding import amount, amount_text, decimal_text, six_places
from mrv.rules.effects import Judged, reported
from mrv.rules.facts import Facts
from mrv.rules.registry import overlapping
from mrv.texts import Text, Value, text

# number of consecutive days with a fall to about zero that identify a daily counter
_DAYS = 3
# about zero: at most this fraction (1/20) of the value before
_FOOT = 20
_DIGITS = range(3, 13)


def changed(facts: Facts) -> Iterator[Judged]:
    """REG-03: yield reports of time without a meter, or with two, at a change of meters."""
    price = facts.price
    texts = [*_between(facts, price.views, price.pricing), *_unserved(facts, price.pricing)]
    texts += [
        text("REG-03.twice", **overlap.values(price.pricing, facts.timezone))
        for overlap in overlapping(price.views, side="project")
        if overlap.equal
    ]
    yield from reported(texts, "observation")


def _between(facts: Facts, views: Sequence[Monitored], pricing: Pricing) -> Iterator[Text]:
    """Yield texts on baseline quantities metered while a role of the project side had no meter."""
    before: Monitored | None = None
    for meter, after in zip_longest(views, views[1:]):
        served = service_intervals(facts.project, meter.bound, meter.device, meter.needs.side)
        first, last = max(served[0], facts.stretches[0]), min(served[1], facts.stretches[-1])
        until = after.service.first if after and after.bound == meter.bound else last
        gaps = [(meter.service.last, until)]
        if before is None or before.bound != meter.bound:
            gaps.append((first, meter.service.first))
        before = meter
        if meter.needs.side != "baseline" or not meter.service.outside:
            continue
        # an interval in which one device is removed and the next installed is no gap
        named = [(b - a, a, b) for a, b in gaps if b - a > 1 and _idle(views, a, b)]
        if not named:
            continue
        _, begin, end = max(named)
        yield text(
            "REG-03.between", roles=_idle(views, begin, end), **_outside(meter, pricing),
            **local_span((begin * INTERVAL_US, end * INTERVAL_US), facts.timezone),
        )  # fmt: skip


def _outside(meter: Monitored, pricing: Pricing) -> dict[str, Value]:
    rate = pricing.rate(meter, meter.parts[-1].year) if meter.parts else Fraction(0)
    cost = six_places(meter.service.outside * rate, "up")
    return {
        "device": meter.device.id, "cost": cost, **amount(meter.service.outside, meter.needs.unit)
    }  # fmt: skip


def _unserved(facts: Facts, pricing: Pricing) -> Iterator[Text]:
    """
    Yield texts on quantities that a baseline meter metered before its installation or after
    removal.
    """
    for meter in facts.price.views:
        if meter.needs.side == "project" or 1000 * meter.service.outside <= meter.metered:
            continue
        edges = (("installed", meter.device.installed_us, meter.span_us[0]),
                 ("removed", meter.device.removed_us, meter.span_us[1]))  # fmt: skip
        for key, us, edge_us in edges:
            within = facts.period_us[0] < edge_us < facts.period_us[1]
            if us is not None and abs(us - edge_us) < INTERVAL_US and within:
                yield text("REG-03.unserved", key=key, time=local_text(us, facts.timezone),
                           **_outside(meter, pricing))  # fmt: skip


def _idle(views: Sequence[Monitored], begin: int, end: int) -> tuple[str, ...]:
    """Return roles of the project side without any device in intervals [begin, end)."""
    there = [m for m in views if m.needs.side == "project"]
    meeting = (m.bound.role for m in there if m.service.first < end and begin < m.service.last)
    return tuple(sorted({m.bound.role for m in there}.difference(meeting)))


def left_lines(facts: Facts) -> Iterator[Judged]:
    """REG-03: yield reports of registers with a break of sequence and no registered replacement."""
    for view in facts.price.views:
        fallen = facts.supporting.fallen.get((view.device.id, view.needs.quantity), ())
        causes = [*_causes(view, fallen, facts.price.pricing)] if fallen else []
        crossed = [fall for fall in fallen if fall.crossed]
        for k in range(0, len(crossed), 2):  # pairs of start and end
            ends = crossed[k : k + 2]
            lost = [gap for falls, gaps in causes if {*falls} & {*ends} for gap in gaps]
            if lost or any(fall.entered for fall in ends):
                yield _crossed(view, ends, lost, facts.timezone)
        for falls, gaps in causes:
            named = [*_left_by(falls[0], fallen), *falls]
            if named[0].crossed:
                continue
            yield from _named(view, named, gaps, facts.timezone)
            yield from _exchanged(view, falls[0], facts)
            yield from _of_other_role(view, facts)
        if view.needs.side == "baseline" and not facts.invoiced(view):
            yield from _caught_up(view, fallen, facts)


def _caught_up(meter: Monitored, fallen: Sequence[Fallen], facts: Facts) -> Iterator[Text]:
    """Yield a text on each rise after a standstill of over a week, distributed over a week."""
    for fall in fallen:
        if fall.stood_us > LOOK_BACK_US and fall.after > fall.before:
            times = fall.at_us - fall.stood_us, fall.at_us
            yield text(
                "REG-03.caught_up", device=meter.device.id, role=meter.bound.role,
                **local_span(times, facts.timezone),
                **amount(fall.after - fall.before, meter.needs.unit),
            )  # fmt: skip


def _crossed(
    meter: Monitored, ends: Sequence[Fallen], gaps: Iterable[GapOutcome], timezone: str
) -> Text:
    """Return the text on two registers with interchanged names, in the data or in the registry."""
    name, other = (
        profiles.register_of_column(meter.device.class_id, column).name
        for column in (ends[0].channel, ends[0].crossed)
    )
    begin, *end = (local_text(fall.at_us, timezone) for fall in ends)
    where = {"device": meter.device.id, "role": meter.bound.role, "register": name, "other": other}
    effect = _effect(meter, [*gaps])
    for entry in meter.device.exchanged:
        edges = entry.from_us, entry.to_us
        if any(f.entered and f.since_us < us <= f.at_us for f in ends for us in edges):
            first, last = (local_text(us, timezone) for us in edges)
            return text("REG-03.not_exchanged", **where, begin=first, end=last, effect=effect,
                        at=(begin, *end))  # fmt: skip
    row = (
        f"{{channel: {name}, with: {other}, from: {begin}, to: {(*end, '...')[0]}, reason: ...,"
        " document: ...}"
    )
    return text("REG-03.crossed", **where, at=begin, effect=effect, row=row)


def _exchanged(meter: Monitored, fall: Fallen, facts: Facts) -> Iterator[Text]:
    """Yield a text on each device whose register was interchanged with this one at a break."""
    near = abs(fall.after - fall.before) * SAME_LINE
    for candidate in facts.views:
        name, like = candidate.device.id, _kind(candidate) == _kind(meter)
        for other in (
            facts.supporting.fallen.get((name, candidate.needs.quantity), ()) if like else ()
        ):
            at_once = abs(other.at_us - fall.at_us) < HOUR_US
            if (
                at_once
                and max(abs(other.after - fall.before), abs(fall.after - other.before)) < near
            ):
                at = local_text(fall.at_us, facts.timezone)
                yield text("REG-03.exchanged", device=meter.device.id, other=name, at=at)


def _of_other_role(meter: Monitored, facts: Facts) -> Iterator[Text]:
    """
    Yield a warning if registers of other roles may have sent under a meter's id.

    Rows of `replacements` would count the quantity of one role as that of the other.
    """
    like = meter.device.class_id, meter.needs.quantity
    others = {
        candidate.device.id for candidate in facts.views
        if (candidate.device.class_id, candidate.needs.quantity) == like
        and _kind(candidate) != _kind(meter)
    } - {meter.device.id}  # fmt: skip
    if others:
        yield text("REG-03.other_role", device=meter.device.id, others=tuple(sorted(others)))


def _kind(meter: Monitored) -> tuple[Any, ...]:
    """Return the properties that determine a meter's account, except its id."""
    return meter.bound.role, meter.params, meter.device.rated_power_w


def _causes(
    meter: Monitored, fallen: Sequence[Fallen], pricing: Pricing
) -> Iterator[tuple[list[Fallen], list[GapOutcome]]]:
    """
    Yield the breaks of a register's sequence with one cause, and the unknown time due
    to them.
    """
    subset = [(fall, gaps) for fall, gaps in _touched(meter, fallen, pricing) if gaps]
    named = list[Fallen]()
    for each in (_daily([fall for fall, _ in subset]), _rising(meter, subset)):
        named += each
        if each:
            yield each, [gap for fall, gaps in subset if fall in each for gap in gaps]
    for fall, gaps in subset:
        # no replacement row is needed for a quantity that metering has already deducted
        off = fall.brief or (fall.taken_off and meter.needs.side == "baseline")
        if fall not in named and not (off and fall.after < fall.before):
            yield [fall], gaps


def _touched(
    meter: Monitored, fallen: Sequence[Fallen], pricing: Pricing
) -> Iterator[tuple[Fallen, list[GapOutcome]]]:
    """
    Yield each break of a register's sequence with the unknown time due to it, each gap once.

    A break before the device's service is assigned to the gap at the start of its service.
    """
    gaps = [gap for gap in gap_outcomes(meter, pricing) if gap.kind == "unknown"]
    starts, done = [gap.start_us for gap in gaps], 0
    first_us = meter.service.first * INTERVAL_US
    for fall in fallen:
        since_us, at_us = max(fall.since_us, first_us), max(fall.at_us, first_us + 1)
        end = bisect_left(starts, at_us)
        begin = end
        while begin > done and gaps[begin - 1].end_us > since_us // INTERVAL_US * INTERVAL_US:
            begin -= 1
        yield fall, gaps[begin:end]
        done = max(done, end)


def _daily(falls: Sequence[Fallen]) -> list[Fallen]:
    """Return the falls to about zero if they are those of a daily counter; else an empty list."""
    zero = [fall for fall in falls if 0 <= _FOOT * fall.after <= fall.before]
    days = _days(zero)
    return zero if len(days) >= _DAYS and 2 * len(days) > days[-1] - days[0] else []


def _rising(meter: Monitored, subset: Sequence[tuple[Fallen, list[GapOutcome]]]) -> list[Fallen]:
    """Return upward breaks that are too frequent or too long to be meter replacements."""
    falls = [fall for fall, _ in subset]
    return falls if _beyond(meter, falls, [gap for _, gaps in subset for gap in gaps]) else []


def _beyond(meter: Monitored, falls: Sequence[Fallen], gaps: Iterable[GapOutcome]) -> bool:
    """
    Return whether upward breaks occur on several days, or affect most of the time.

    No meter is replaced so often: the registered rated power is too low, or the unit is wrong.
    """
    begin, end = meter.span_us
    mostly = 2 * sum(gap.time_us for gap in gaps) > end - begin
    return all(fall.after > fall.before for fall in falls) and (
        mostly or len(_days(falls)) >= _DAYS
    )


def _days(falls: Sequence[Fallen]) -> list[int]:
    return sorted({fall.at_us // (24 * HOUR_US) for fall in falls})


def _left_by(jump: Fallen, fallen: Sequence[Fallen]) -> list[Fallen]:
    """
    Return the earlier fall that an upward jump reverses, as the register continues its old
    sequence; empty if there is none.
    """
    falls = (
        fall
        for fall in reversed(fallen)
        if fall.at_us < jump.at_us and fall.after <= jump.before < fall.before <= jump.after
    )
    return [*islice(falls, 1)]


def _effect(meter: Monitored, lost: Sequence[GapOutcome]) -> Text:
    if not lost:
        return text("REG-03.none_unknown")
    tonnes = sum(
        (Fraction(g.cost_t) + Fraction(g.forgone_at_most_t or 0) for g in lost), start=Fraction(0)
    )
    hours = decimal_text(Fraction(sum(g.time_us for g in lost), HOUR_US), 2, "up")
    code = "REG-03.charged" if meter.needs.side == "project" else "REG-03.forgone"
    return text(code, hours=hours, cost=six_places(tonnes))


def _named(
    meter: Monitored, falls: Sequence[Fallen], gaps: Iterable[GapOutcome], timezone: str
) -> Iterator[Text]:
    lost = list(gaps)
    effect = _effect(meter, lost)
    register = profiles.register_of_column(meter.device.class_id, falls[0].channel)
    where: dict[str, Value] = {
        "device": meter.device.id, "role": meter.bound.role, "register": register.name,
    }  # fmt: skip
    rises = _beyond(meter, falls, lost)
    if len(falls) >= _DAYS or rises:
        first, last = (str(local_date(fall.at_us, timezone)) for fall in (falls[0], falls[-1]))
        where |= {"first": first, "last": last, "effect": effect}
        if rises:
            unit, limit = meter.needs.unit, limit_of(meter.device, meter.needs.quantity)
            largest = max(
                Fraction((f.after - f.before) * HOUR_US, f.at_us - f.since_us) for f in falls
            )
            rates = {"most": amount_text(largest, unit), "limit": amount_text(limit or 0, unit)}
            yield text("REG-03.rises_daily", count=len(_days(falls)), **rates, **where)
        else:
            yield text("REG-03.daily", count=len(falls), **where)
        return
    rows = tuple(_row(register, fall, timezone) for fall in falls)
    moves = tuple(_move(register, fall, timezone) for fall in falls)
    yield text("REG-03.left_line", moves=moves, effect=effect, rows=rows, **where)
    if lost and any(fall.after > fall.before for fall in falls):
        yield text("REG-03.clock", device=meter.device.id)
    full = _full(register.to_file(falls[0].before)) if falls[0].after < falls[0].before else None
    if full is not None:
        yield text("REG-03.rollover", device=meter.device.id, register=register.name, last=full)


def _move(register: FileRegister, fall: Fallen, timezone: str) -> Text:
    last, first = (register.to_file(n) for n in (fall.before, fall.after))
    time = local_span((fall.since_us, fall.at_us), timezone)
    values = {"before": _plain(last), "after": _plain(first), **time}
    return text("REG-03.falls", **values) if last > first else text("REG-03.jumps", **values)


def _row(register: FileRegister, fall: Fallen, timezone: str) -> str:
    """Return the registry entry that would record the replacement."""
    last, first = (_plain(register.to_file(n)) for n in (fall.before, fall.after))
    return (
        f"{{channel: {register.name}, at: {local_text(fall.at_us, timezone)}, last: {last},"
        f" first: {first}, reason: ..., document: ...}}"
    )


def _full(last: Decimal) -> int | None:
    """Return the rollover value of a register near its highest value; else None."""
    return next((10**n for n in _DIGITS if Decimal("0.97") * 10**n <= last < 10**n), None)


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"
