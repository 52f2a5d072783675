"""Rules on single meters: identity, limits of the device, its other channels, certificates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil

import numpy as np

from ingest import classes
from ingest.model import HOUR_US, INTERVAL_US, Int64
from ingest.quality.energy_budget import METERS
from mrv.accounting.corroborated_energy import POWER, SUN, UNDECLARED, is_declared
from mrv.accounting.coverage import Service
from mrv.accounting.device_period import Kind, Monitored
from mrv.accounting.period_result import METER, CrossCheck
from mrv.accounting.register_scan import rated_at
from mrv.accounting.unreported_use import in_whole_units
from mrv.calendar import days, local_date
from mrv.model import SOLAR, TECHNOLOGY, ClassLimit
from mrv.registry.project import Certified, Uncorroborated
from mrv.rounding import amount, decimal_text, exact_sum
from mrv.rules.effects import Cap, CapEach, Exclude, Floor, Judged, Level, RuleReport, SetAside
from mrv.rules.equipment import above_power
from mrv.rules.facts import Facts, node
from mrv.rules.invoiced_use import left_by_invoices
from mrv.rules.metering import Metered
from mrv.texts import MAX_LINES, Text, Texts, text, texts_of

# an inverter may exceed its rated power for a time; metering has the same margin
MARGIN_PERCENT = 110
# share of a device's energy from which a second source is required: the materiality threshold
# (Circular 38/2023/TT-BCT)
MIN_UNCORROBORATED = Fraction(5, 100)
# uncorroborated share above which a wrong sign of the power is the probable cause
_NEXT_TO_ALL = 0.9


def lay_out(metered: Metered, certified: Uncorroborated | Certified) -> Int64:
    """Return values by interval number as an array over a device's intervals. [base units]"""
    result = np.zeros(len(metered.whole), dtype=np.int64)
    inside = (certified.number >= metered.whole.first) & (
        certified.number < metered.whole.first + len(metered.whole)
    )
    np.add.at(result, certified.number[inside] - metered.whole.first, certified.value[inside])
    return result


def of_largest_day(facts: Facts, metered: Metered, lost: Int64, unit: str) -> dict[str, str]:
    """
    Return the local day with the largest addition or deduction, that part of it, and what the
    meter counted on the day, as the values of a text: `day`, `day_part`, `day_metered`.
    """
    first = metered.whole.first
    span_us = first * INTERVAL_US, (first + len(lost)) * INTERVAL_US
    parts = {
        day: slice(begin // INTERVAL_US - first, end // INTERVAL_US - first)
        for day, begin, end in days(*span_us, facts.timezone)
    }
    sums = {day: exact_sum(lost[part]) for day, part in parts.items()}
    day = max(sums, key=lambda day: (sums[day], -day.toordinal()))
    counted = exact_sum(metered.whole.value[parts[day]])
    return {
        "day": day.isoformat(),
        "day_part": amount(sums[day], unit)["quantity"],
        "day_metered": amount(counted, unit)["quantity"],
    }


# --- meter: each interval -----------------------------------------------------------------


def _counting(facts: Facts) -> Iterator[tuple[int, Metered]]:
    for i, metered in enumerate(facts.metered):
        if metered.baseline and not facts.views[i].uncounted:
            yield i, metered


def _reported(
    texts: Sequence[Text], settled: Sequence[Text] = (), cause: Texts = ()
) -> Iterator[RuleReport]:
    """
    Yield a report on requirements not met, after their cause; if all are met, on
    resolved ones.
    """
    if texts:
        yield RuleReport(False, (*texts_of(cause), *texts))
    elif settled:
        yield RuleReport(True, tuple(settled))


def device_limits(facts: Facts) -> Iterator[Judged]:
    """MTR-01: yield deductions of a quantity above a device's rated power or class limit."""
    for i, metered in _counting(facts):
        base, kept = metered.base, metered.whole.value
        limit = text("MTR-01.above_rating", percent=MARGIN_PERCENT)
        name, unit, maximum = base.device.id, base.needs.unit, base.class_limit
        ratings = facts.supporting.ratings.get(name, ())
        if ratings and unit == "Wh":
            kept = kept - above_rating(metered.whole, ratings)
        if maximum is not None:
            kept = kept - above_class(replace(metered.whole, value=kept), maximum, facts.timezone)
            hour, day = amount(maximum.per_hour, unit), amount(maximum.per_day, unit)
            limit = text(
                "MTR-01.above_class",
                per_hour=hour["quantity"], per_day=day["quantity"], unit=hour["unit"],
            )  # fmt: skip
        above = exact_sum(metered.whole.value) - exact_sum(kept)
        if above:
            yield CapEach(i, kept, limit, plausible=True)
            on = of_largest_day(facts, metered, metered.whole.value - kept, unit)
            yield text("deduction.device", device=name, reason=limit, **on, **amount(above, unit))


def above_class(whole: Service, class_limit: ClassLimit, timezone: str) -> Int64:
    """
    Return the quantity above the hourly and daily limits of a device's class. [base units]

    Example: a bus cannot drive 119 km/h day and night.  On the project side the excess remains
    charged, which is conservative.

    `whole`: n intervals.
    `timezone`: time zone of the days.

    Returns
    -------
    int64 array, n
        Excess by interval, or since the register last rose; the whole quantity of a day above its
        limit, as its distribution is unknown. [base units]
    """
    if not len(whole):
        return whole.value
    number = np.arange(len(whole))
    rises = np.maximum.accumulate(np.where(whole.value > 0, number, -1))
    # a register with coarse steps, or behind a gateway that repeats values, is constant and then
    # catches up
    since = number - np.concatenate([[-1], rises[:-1]])
    beyond: Int64 = np.maximum(
        whole.value - class_limit.per_hour * INTERVAL_US // HOUR_US * since, 0
    )
    first, last = whole.first, whole.first + len(whole)
    for _, begin_us, end_us in days(first * INTERVAL_US, last * INTERVAL_US, timezone):
        begin = max(begin_us // INTERVAL_US - first, 0)
        end = min(-(-end_us // INTERVAL_US) - first, len(whole))
        if int(whole.value[begin:end].sum()) > class_limit.per_day:
            beyond[begin:end] = whole.value[begin:end]
    return beyond


def above_rating(whole: Service, ratings: Sequence[tuple[int, int]]) -> Int64:
    """
    Return the energy above the rated power at the time. [Wh]

    `whole`: n intervals.  `ratings`: as for `register_scan.rated_at`.
    """
    watt = rated_at(ratings, whole.first, len(whole))
    maximum = watt * MARGIN_PERCENT // 100 * INTERVAL_US // HOUR_US
    beyond: Int64 = np.maximum(whole.value - maximum, 0)
    return beyond


def own_channels(facts: Facts) -> Iterator[Judged]:
    """
    MTR-02: yield deductions of energy that the device's other channels do not corroborate.

    In the time of a check meter or an invoice that agrees with the register, the lower of the two
    quantities is credited instead.
    """
    texts, causes, settled = [], dict[Text, None](), []
    for i, metered in _counting(facts):
        name, needs = metered.base.device.id, metered.base.needs
        uncorroborated = facts.supporting.uncorroborated.get((name, needs.quantity), ())
        total, kept_each = np.zeros(len(metered.whole), dtype=np.int64), facts.solved.kept[i]
        settling = [*_settling(facts, i, metered)] if uncorroborated else []
        checks = [check for check, _ in settling]
        for subset in uncorroborated:
            before = exact_sum(np.minimum(total, kept_each))
            total = total + _outside_of(checks, metered, subset)
            above = exact_sum(np.minimum(total, kept_each)) - before
            if above:
                values = {"device": name, "reason": subset.reason}
                yield CapEach(i, metered.whole.value - total, subset.reason)
                lost = _outside_of(checks, metered, subset)
                values |= of_largest_day(facts, metered, lost, needs.unit)
                texts.append(text("deduction.device", **values, **amount(above, needs.unit)))
                cause = [*_cause(metered.base, subset.reason, above)]
                if subset.reason == POWER and not cause:
                    cause = [_power_below(facts, metered, lost)]
                causes |= dict.fromkeys(cause)
        less = exact_sum(np.minimum(total, kept_each))
        for check, remaining in settling:
            settled.append(text("MTR-02.settled", device=name, witness=check.witness))
            of = [
                k for k, m in _counting(facts)
                if m.base.device.id in check.devices and m.base.needs.quantity == check.quantity
            ]  # fmt: skip
            more = max(int(check.ours) - int(check.theirs), ceil(remaining))
            if more <= 0:
                continue
            less += more
            kept = sum(exact_sum(facts.solved.kept[k]) for k in of)
            stated = text("MTR-02.witnessed", witness=check.witness)
            yield Cap(node(Level.PERIOD, of), Fraction(kept - less), stated)
    yield from _reported(texts, settled, tuple(causes))


def _settling(
    facts: Facts, i: int, metered: Metered
) -> Iterator[tuple[CrossCheck, Fraction]]:  # fmt: skip
    """
    Yield the check meter, or successive invoices, that agree with the register in the time of
    uncorroborated energy.

    Each is yielded with the quantity of the period that it does not corroborate, which is less than
    the uncorroborated energy of its time. [base units]
    """
    name, quantity = metered.base.device.id, metered.base.needs.quantity
    doubted = facts.supporting.uncorroborated[name, quantity]
    reached = 0
    checks = facts.evidence.agreeing_in_part(facts.views[i])
    for check, remaining in sorted(
        checks, key=lambda of: (of[0].kind != METER, of[0].from_us, int(of[0].theirs))
    ):
        within = sum(
            exact_sum(lay_out(metered, subset) - _outside_of([check], metered, subset))
            for subset in doubted
        )
        # an offset invoice agrees only together with the others
        if check.from_us >= reached and not check.is_offset and within > remaining:
            yield check, remaining
            reached = check.to_us


def _outside_of(checks: Sequence[CrossCheck], metered: Metered, subset: Uncorroborated) -> Int64:
    """
    Return by interval the uncorroborated quantity outside the time of given checks.
    [base units]
    """
    result, first = lay_out(metered, subset), metered.whole.first
    for check in checks:
        begin, end = (max(0, us // INTERVAL_US - first) for us in (check.from_us, check.to_us))
        result[begin:end] = 0
    return result


def _cause(monitored: Monitored, reason: Text | str, above: int) -> Iterator[Text]:
    """
    Yield the possible cause, an error of the registry or of the meter.

    Either no technology of the plant is entered, or nearly no energy is corroborated, as the power
    has the wrong sign.
    """
    name, kind = monitored.device.id, monitored.device.class_id
    if (
        reason == SUN
        and is_declared(monitored.needs, kind)
        and monitored.params.get(TECHNOLOGY) != SOLAR
    ):
        yield text("MTR-02.technology", device=name, undeclared=UNDECLARED)
    if reason == POWER and above >= _NEXT_TO_ALL * monitored.metered:
        for channel in classes.load()[kind].registers:
            if (
                channel.quantity == monitored.needs.quantity
                and channel.direction < 0
                and channel.power
            ):
                yield text("MTR-02.sign", device=name, channel=channel.power, class_id=kind)


def _power_below(facts: Facts, metered: Metered, lost: Int64) -> Text:
    """
    Return the text on a deduction by the device's own power.

    It names the first and last day of the middle nine tenths of the deduction.
    """
    running = np.cumsum(lost)
    at = np.searchsorted(running, running[-1] * np.array([0.05, 0.95]))
    first, last = ((metered.whole.first + k) * INTERVAL_US for k in at.tolist())
    begin, end = (str(local_date(us, facts.timezone)) for us in (first, last))
    return text("MTR-02.power_below", device=metered.base.device.id, begin=begin, end=end)


def certified_elsewhere(facts: Facts) -> Iterator[Judged]:
    """CLM-01: yield the exclusion of energy certified by another scheme."""
    for i, metered in enumerate(facts.metered):
        key = metered.base.device.id, metered.base.needs.quantity
        for certified in facts.supporting.certified.get(key, ()):
            if metered.baseline:
                yield SetAside(
                    i, certified.certificate, certified.scheme, lay_out(metered, certified)
                )


def certified_twice(facts: Facts) -> Iterator[Judged]:
    """CLM-01: yield a report on certificates for more energy than their intervals have."""
    more: defaultdict[tuple[str, str], int] = defaultdict(int)
    for view in facts.views:
        for part in view.parts:
            for cut in part.cuts:
                if cut.certified is not None:
                    certificate, quantity = cut.certified
                    more[view.device.id, certificate] += quantity - int(cut.quantity)
    result = [
        f"{device}: certificate {name} is of {wh:,} Wh more than its intervals hold"
        for (device, name), wh in more.items()
        if wh
    ]
    if result:
        rest = [f"and {len(result) - MAX_LINES} more"] if len(result) > MAX_LINES else []
        yield RuleReport(False, "; ".join([*result[:MAX_LINES], *rest]))


def unrecorded_use(facts: Facts) -> Iterator[Judged]:
    """MTR-04: yield charges where a project-side register is below its integrated power or flow."""
    texts, settled = [], []
    for i, metered in enumerate(facts.metered):
        name, needs = metered.base.device.id, metered.base.needs
        gauge = facts.supporting.unrecorded.get((name, needs.quantity))
        if gauge is None or metered.baseline:
            continue
        check = facts.evidence.agreeing(facts.views[i], alone=True)
        if check is not None:
            settled.append(text("MTR-04.corroborated", device=name, witness=check.witness))
            continue
        more, total = lay_out(metered, gauge), 0
        first = metered.whole.first
        for witness, span, left in left_by_invoices(facts, facts.views[i]):
            begin, end = (max(us // INTERVAL_US - first, 0) for us in span)
            within = exact_sum(more[begin:end])
            if within > left:  # a supplier's invoice is better evidence than the meter's own power
                more[begin:end] = in_whole_units(more[begin:end].astype(float), float(left))
                if not left:
                    settled.append(text("MTR-04.corroborated", device=name, witness=witness))
        for j, (a, b) in enumerate(metered.edges):
            subset = more[a - metered.whole.first : b - metered.whole.first]
            at = np.flatnonzero(subset)
            if len(at):
                quantity = exact_sum(subset)
                span_us = (a + int(at[0])) * INTERVAL_US, (a + int(at[-1]) + 1) * INTERVAL_US
                yield Floor(i, j, Fraction(quantity), gauge.reason, span_us)
                total += quantity
        if total:
            values = {"device": name, "role": metered.base.bound.role, "reason": gauge.reason}
            values |= of_largest_day(facts, metered, more, needs.unit)
            texts.append(text("MTR-04.consumption", **values, **amount(total, needs.unit)))
    yield from _reported(texts, settled)


def single_channel(facts: Facts) -> Iterator[Judged]:
    """
    EVD-01: yield limits on baseline energy that depends on one register alone.

    Without power and DC power, or with too few values, only rated power and sun limit a register,
    which may then read a third too high.  Such energy is credited if a check meter, or an invoice
    with its file, corroborates it, or if the register is calibrated; then the finding requests the
    power data.
    """
    texts, settled, left_out, total, whole = [], [], [], 0, 0
    invoices = facts.supporting.required is not None and facts.supporting.required.quantities < "C"
    for i, metered in enumerate(facts.metered):
        name, needs, view = metered.base.device.id, metered.base.needs, facts.views[i]
        if invoices and metered.baseline and not facts.invoiced(view):
            # the programme requires a better grade than that of an instrument
            yield Exclude(i, text("EVD-01.reason_asked"))
            yield RuleReport(False, (text("EVD-01.below", device=name),))
            continue
        if not metered.baseline or needs.unit != "Wh":
            continue
        parts = () if view.uncounted else view.parts
        counts = sum(p.metered - int(p.cut(Kind.PLAUSIBILITY, Kind.CERTIFIED)) for p in parts)
        whole += counts
        alone = facts.supporting.alone.get((name, needs.quantity))
        if alone is None or counts <= 0:
            continue
        rests = lay_out(metered, alone)
        wh = exact_sum(rests)
        if wh <= MIN_UNCORROBORATED * counts:
            continue
        size = {**amount(wh, "Wh"), "percent": _percent(wh, counts)}
        check = facts.evidence.agreeing(view)
        if check is not None:
            settled.append(text("EVD-01.corroborated", device=name, witness=check.witness, **size))
        elif facts.invoiced(view):
            # corroborated by several successive invoices, or by a lower one, which is applied
            witness = next(facts.evidence.showing(view)).witness
            settled.append(text("EVD-01.corroborated", device=name, witness=witness, **size))
        elif facts.evidence.evidenced(view):
            settled.append(text("EVD-01.calibrated", device=name, **size))
            subset = facts.supporting.left_out.get((name, needs.quantity))
            wh = 0 if subset is None else exact_sum(lay_out(metered, subset))
            if wh > MIN_UNCORROBORATED * counts:
                size = {**amount(wh, "Wh"), "percent": _percent(wh, counts)}
                left_out.append(text("EVD-01.left_out", device=name, **size))
        else:
            why = tuple(facts.evidence.reasons(view))
            code = "EVD-01.device_why" if why else "EVD-01.device"
            texts.append(text(code, device=name, **size, **({"why": why} if why else {})))
            total += wh
            uncorroborated = facts.supporting.uncorroborated.get((name, needs.quantity), ())
            above = sum((lay_out(metered, some) for some in uncorroborated), start=rests)
            yield CapEach(i, metered.whole.value - above, alone.reason)
    size = {**amount(total, "Wh"), "percent": _percent(total, whole)}
    limits = {"tolerance": round(100 * METERS), "least": round(100 * MIN_UNCORROBORATED)}
    share = text("EVD-01.share", **limits, **size)
    yield from _reported(texts, settled, share)
    yield from _reported(left_out)


def equipment_power(facts: Facts) -> Iterator[Judged]:
    """MTR-12: yield a report on an entered power below that measured by the device's own meter."""
    yield from above_power(facts.price.views, facts.price.pricing, facts.timezone)


def equipment_efficiency(facts: Facts) -> Iterator[Judged]:
    """MTR-13: yield a report on an entered efficiency above the measured one."""
    yield from facts.price.performed.reported(facts.price.stated, facts.price.reduced)


def _percent(part: int, whole: int) -> str:
    return decimal_text(Fraction(100 * part, whole) if whole else Fraction(0), 1, "up")
