"""
Comparison of metered quantities with check meters and invoices.

Nothing is deducted here.  If the difference exceeds the tolerance, the statement gives the
overstatement that follows if the other value is correct.  A replaced meter and its successor are
compared with an invoice together.

An invoice that extends beyond the period is compared over its own time, with what its meters
metered outside the period.  The whole difference is assigned to the period.  An invoice of a main
meter that also supplies others is compared with the sum of the calibrated meters that it names; the
difference is assigned to the project.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ingest.classes import QUANTITIES, QUANTITY_INDEX
from ingest.model import HOUR_US, INTERVAL_US, Fleet, Int64, IntervalRows
from mrv.accounting.device_period import Monitored
from mrv.accounting.device_results import Pricing
from mrv.accounting.evidenced_time import (
    COVERED,
    LESS,
    LONGEST_END_US,
    TOLERANCE,
    Span,
    may_be_evidence,
    name_of,
    served,
    successive,
)
from mrv.accounting.invoice_sums import exchanged, netted, offset_by_others
from mrv.accounting.period_result import EDGES, INVOICE, METER, CrossCheck
from mrv.calendar import utc_text
from mrv.parameters import exact
from mrv.registry.project import FIRST, CheckMeter, Invoice, MeteredOutside, SupportingData
from mrv.rounding import amount_text, decimal_text, exact_sum, exact_text, share_text, six_places
from mrv.texts import Text, text

_TOLERANCE_PLACES = 4
# tolerance of two meters of class 2 (IEC 62053-21 [M]), for the part of an invoice outside the
# period; a wider one would let a long invoice hide a difference in a short period [%]
ALIKE = Fraction(2)
# one signal under two ids: minimum number of intervals (a day), minimum sum [base units], and
# minimum share of equal intervals
_DAY, _MANY, _NEARLY = 96, 2_000_000, 0.95
SAME_SIGNAL = "cross_check.one_signal"
# texts of release 0.1.0
_UNKNOWN = "no quarter hour is known of both"
_DIFFER = "they differ by more than they may; find the reason, and correct or explain it"


class _Known(NamedTuple):
    """
    Interval numbers and quantities of a meter; intervals with unknown or missing time
    are omitted.
    """

    number: Int64
    value: Int64

    def within(self, first: int, last: int) -> _Known:
        kept = (self.number >= first) & (self.number < last)
        return _Known(self.number[kept], self.value[kept])


def outside(invoice: Invoice, period_us: Span) -> tuple[Span, ...] | None:
    """
    Return the parts of an invoice's time before and after a period. [us UTC]

    None if such a part is longer than a monthly invoice and than the invoice's time in the period.
    """
    begin, end = period_us
    within = min(end, invoice.to_us) - max(begin, invoice.from_us)
    ends = (invoice.from_us, begin), (end, invoice.to_us)
    result = tuple((a, b) for a, b in ends if a < b)
    return None if any(b - a > max(within, LONGEST_END_US) for a, b in result) else result


class _Outside(NamedTuple):
    """
    Quantity of an invoice outside the period or project. [base units]

    `known`, `whole`: number of intervals with data, and of all intervals.
    """

    value: int = 0
    known: int = 0
    whole: int = 0


class Rows:
    """Rows of a period by device and quantity; sorted at first use."""

    def __init__(self, rows: IntervalRows, fleet: Fleet) -> None:
        self._rows, self._fleet = rows, fleet

    @cached_property
    def _sorted(self) -> tuple[Int64, IntervalRows]:
        rows = self._rows.in_order()
        return rows.device.astype(np.int64) * len(QUANTITY_INDEX) + rows.quantity, rows

    def of(self, device: str, quantity: str) -> IntervalRows:
        """Return the rows of a device's quantity, in order."""
        keys, rows = self._sorted
        key = self._fleet.by_id.get(device, -1) * len(QUANTITY_INDEX) + QUANTITY_INDEX[quantity]
        return rows.within(*np.searchsorted(keys, [key, key + 1]).tolist())

    def known(self, device: str, quantity: str) -> _Known:
        """Return the intervals of a device without unknown or missing time, in order."""
        rows = self.of(device, quantity)
        whole = rows.measured_us + rows.estimated_us == INTERVAL_US
        return _Known(rows.start_us[whole] // INTERVAL_US, rows.value[whole])

    def between_readings(self, device: str, quantity: str) -> _Known:
        """
        Return the same without the first and the last register step, if these are longer than an
        hour.

        They can extend beyond the period, and the quantity of their intervals is a mean.  If there
        is no other step, all intervals are returned.
        """
        rows, known = self.of(device, quantity), self.known(device, quantity)
        mean = rows.estimated_us[rows.measured_us + rows.estimated_us == INTERVAL_US] == INTERVAL_US
        begins = np.flatnonzero((np.abs(np.diff(known.value)) > 1) | ~(mean[:-1] & mean[1:])) + 1
        if not begins[1:].size:  # only the first and the last step
            return known
        first = int(begins[0]) if mean[0] else 0
        last = int(begins[-1]) if mean[-1] else len(mean)
        return _Known(known.number[first:last], known.value[first:last])


def cross_checks(
    monitored: Sequence[Monitored],
    supporting: SupportingData,
    rows: Rows,
    years: Sequence[tuple[int, int, int]],
    pricing: Pricing,
) -> Iterator[CrossCheck]:
    """
    Yield the comparisons of a period's meters with check meters and invoices.

    `monitored`: counted quantity by device.  `rows`: interval rows of main and check meters.
    `years`: local calendar years of the period. [us UTC]
    """
    beside = {quantity[:4]: quantity for quantity in supporting.outside}
    bench = _Bench(monitored, rows, pricing, years, supporting.accounting == FIRST, beside)
    for meter in sorted(supporting.meters, key=lambda m: (m.main, m.check)):
        for item in monitored:
            if item.device.id == meter.main:
                yield bench.by_meter(item, meter)
    invoices = sorted(supporting.invoices, key=lambda i: (i.from_us, i.id))
    checks = [bench.by_invoice(invoice) for invoice in invoices]
    if not bench.by_first:
        evidence = {name_of(invoice) for invoice in invoices if may_be_evidence(invoice)}
        alike = {m.device.id: (m.bound.role, *sorted(m.params.items())) for m in monitored}
        earning = {(m.device.id, m.needs.quantity) for m in monitored if m.needs.side == "baseline"}
        checks = offset_by_others(exchanged(checks, evidence, alike), evidence, earning)
        checks = netted(checks, evidence, bench.counted)
    yield from checks


class _Against(NamedTuple):
    """Check meter or invoice, with its quantity and time. [us UTC]"""

    kind: str
    against: str
    devices: tuple[str, ...]
    quantity: str
    span: Span


class _Bench(NamedTuple):
    """Data that all comparisons of a period use: meters, rows, prices, years, rule set."""

    monitored: Sequence[Monitored]
    rows: Rows
    pricing: Pricing
    years: Sequence[tuple[int, int, int]]
    by_first: bool
    beside: Mapping[tuple[str, str, int, int], MeteredOutside]

    def by_meter(self, item: Monitored, meter: CheckMeter) -> CrossCheck:
        """
        Return the comparison with a check meter, in the time in which both are known.

        In the first and last register step of a meter read rarely, the quantity is a mean.  If a
        less favourable check meter agrees between its readings, and differs by at most a mean day
        for each of these steps more, it neither corroborates nor contradicts the meter.
        """
        quantity = item.needs.quantity
        whole = self._compared(item, meter, self.rows.known(meter.check, quantity))
        sign, theirs = 1 if item.needs.side == "baseline" else -1, int(whole.theirs)
        beyond = sign * (int(whole.ours) - theirs)
        if self.by_first or whole.holds is not False or beyond <= 0:
            return whole
        between = self.rows.between_readings(meter.check, quantity)
        inner = self._compared(item, meter, between)
        begin_us, end_us = item.span_us
        days = Fraction(whole.coverage) * Fraction(end_us - begin_us, 24 * HOUR_US)
        room = Fraction(whole.tolerance_percent) / 100 * theirs + 2 * theirs / days
        if not inner.holds or beyond > room:
            return whole
        return replace(whole, holds=None, detail=text(EDGES, device=meter.check))

    def _compared(self, item: Monitored, meter: CheckMeter, check: _Known) -> CrossCheck:
        """Return the comparison with intervals of a check meter."""
        quantity = item.needs.quantity
        first, last = (us // INTERVAL_US for us in item.span_us)
        main = self.rows.known(meter.main, quantity).within(first, last)
        number, ours, theirs = np.intersect1d(main.number, check.number, return_indices=True)
        values = main.value[ours], check.value[theirs]
        percent = exact(meter.percent, "check_percent")
        if not self.by_first:  # the tolerance is limited to that of an invoice
            percent = min(percent, TOLERANCE * 100)
        sums = exact_sum(values[0]), exact_sum(values[1])
        effect = self._effect(item, number, values[0] - values[1])
        if effect < 0 and item.metered and not item.counts and not self.by_first:
            effect = Fraction(0)  # none of the quantity is credited, so nothing is understated
        why: Text | str = ""
        if not len(ours):
            why = _UNKNOWN if self.by_first else text("cross_check.unknown")
        elif not self.by_first and _is_same_signal(*values):
            why = text(SAME_SIGNAL, device=meter.check, other=meter.main)
        return self._made(
            _Against(METER, meter.check, (meter.main,), quantity, item.span_us),
            (len(ours), last - first), sums, percent, effect, why,
        )  # fmt: skip

    def by_invoice(self, invoice: Invoice) -> CrossCheck:
        quantity, names = invoice.quantity, invoice.devices
        of = [m for m in self.monitored if m.device.id in names and self._meters(m, quantity)]
        first, last = invoice.from_us // INTERVAL_US, invoice.to_us // INTERVAL_US
        ours, known, effect = 0, 0, Fraction(0)
        for meter in of:
            begin, end = (us // INTERVAL_US for us in meter.span_us)
            rows = self.rows.known(meter.device.id, quantity)
            stretch = rows.within(max(first, begin), min(last, end))
            ours += exact_sum(stretch.value)
            known += len(stretch.number)
            # own use is deducted
            effect += self._effect(meter, *stretch) * (-1 if quantity == meter.needs.less else 1)
        beside = self._outside(invoice, of)
        why = self._incomparable(invoice, of, beside)
        percent = exact(invoice.percent, "tolerance_percent")
        whole = (last - first) * len(names)
        differs = Fraction(ours - invoice.value)
        if isinstance(beside, _Outside) and not (self.by_first or why):
            # meters that succeed each other: each covers a part of the time
            whole = served(of, first, last) + beside.whole
            known += beside.known
            percent = _of_both(percent, invoice.value, beside)
            within = min(differs + beside.value, Fraction(ours))
            differs = _left(of, within, invoice, ours)
        else:
            beside = _Outside()
        if ours:
            # the effect of a unit of the difference is that of a metered unit, in proportion to the
            # years
            effect = effect * differs / ours
        span = invoice.from_us, invoice.to_us
        return self._made(
            _Against(INVOICE, name_of(invoice), names, quantity, span),
            (known, whole), (ours + beside.value, invoice.value), percent, effect, why, beside,
        )  # fmt: skip

    def counted(self, check: CrossCheck) -> Fraction | None:
        """Return the counted quantity of project-side meters in an invoice's time; else None."""
        of = [m for m in self.monitored if m.device.id in check.devices
              and self._meters(m, check.quantity)]  # fmt: skip
        if any(m.needs.side != "project" for m in of):
            return None
        span_us = check.from_us, check.to_us
        return sum((m.quantity(span_us) - m.taken(span_us) for m in of), Fraction(0))

    def _meters(self, meter: Monitored, quantity: str) -> bool:
        """
        Return whether a meter measures a quantity: its role's, or the own use that the role
        deducts.
        """
        return quantity == meter.needs.quantity or (
            not self.by_first and quantity in meter.needs.quantities
        )

    def _outside(self, invoice: Invoice, of: Sequence[Monitored]) -> _Outside | Text:
        """
        Return the metered quantity of an invoice's time or meters outside period or project, or
        why it is unknown.
        """
        period_us = self.years[0][1], self.years[-1][2]
        spans = outside(invoice, period_us)
        ends = {"begin": utc_text(invoice.from_us), "end": utc_text(invoice.to_us)}
        beyond = text("cross_check.beyond", **ends)
        if spans is None:
            return beyond
        value, known, whole = 0, 0, 0
        for begin, end in spans:
            # of meters that succeed each other, the one installed at that edge of the period
            edge = 0 if begin < period_us[0] else 1
            there = {m.device.id for m in of if m.span_us[edge] == period_us[edge]}
            for name in sorted(there):
                other = self.beside.get((name, invoice.quantity, begin, end))
                known_us = other.known_us if other else 0
                if other is None or known_us < COVERED * (end - begin):
                    days = {"first": utc_text(begin), "last": utc_text(end)}
                    share = decimal_text(Fraction(100 * known_us, end - begin), 1, "down")
                    return text("cross_check.unread", device=name, percent=share, **ends, **days)
                value += other.value * (end - begin) // other.known_us
                known += other.known_us // INTERVAL_US
                whole += (end - begin) // INTERVAL_US
            if not there:
                return beyond
        for other in self._others(invoice, of):
            whole += (other.to_us - other.from_us) // INTERVAL_US
            value += other.value * (other.to_us - other.from_us) // other.known_us
            known += other.known_us // INTERVAL_US
        return _Outside(value, known, whole)

    def _others(self, invoice: Invoice, of: Sequence[Monitored]) -> list[MeteredOutside]:
        """Return the quantities of other projects' meters in an invoice's time, where known."""
        names = sorted(set(invoice.devices) - {m.device.id for m in of})
        span = invoice.from_us, invoice.to_us
        result = (self.beside.get((name, invoice.quantity, *span)) for name in names)
        return [
            check for check in result if check and check.known_us >= COVERED * (span[1] - span[0])
        ]

    def _effect(self, meter: Monitored, number: Int64, value: Int64) -> Fraction:
        """Return the reduction calculated from a quantity of a device. [tCO2e]"""
        total = Fraction(0)
        for year, begin_us, end_us in self.years:
            begin, end = np.searchsorted(number, [begin_us // INTERVAL_US, end_us // INTERVAL_US])
            if begin < end:
                total += exact_sum(value[begin:end]) * self.pricing.rate(meter, year)
        return total if meter.needs.side == "baseline" else -total

    def _incomparable(  # noqa: PLR0911 - each reason in the words of either rule set
        self, invoice: Invoice, of: Sequence[Monitored], beside: _Outside | Text
    ) -> Text | str:
        """Return why an invoice and its meters cannot be compared; empty if they can."""
        begin_us, end_us = self.years[0][1], self.years[-1][2]
        if self.by_first and (invoice.from_us < begin_us or invoice.to_us > end_us):
            return "reaches beyond the period; a period that holds all of it can be compared"
        if not (isinstance(beside, _Outside) or self.by_first):
            return beside
        there = {*(m.device.id for m in of), *(o.device for o in self._others(invoice, of))}
        absent = sorted(set(invoice.devices) - there)
        if absent:
            if self.by_first:
                return f"no {invoice.quantity} of {', '.join(absent)} counts in this period"
            return text("cross_check.absent", quantity=invoice.quantity, devices=tuple(absent))
        first = max(begin_us, invoice.from_us) // INTERVAL_US
        last = min(end_us, invoice.to_us) // INTERVAL_US
        partly = [m for m in of if served([m], first, last) < last - first]
        if not partly:
            return ""
        if self.by_first:
            names = ", ".join(m.device.id for m in partly)
            return f"{names} did not serve the project all that time"
        if successive(partly, first, last):
            return ""
        spans = tuple(self._service(m, (first, last)) for m in partly)
        return text("cross_check.partly", spans=spans)

    def _service(self, meter: Monitored, span: Span) -> Text:
        """Return the text on a meter's service time, and on the project meters that limit it."""
        begin, end = map(utc_text, meter.span_us)
        without = self._cut_by(meter, span)
        if not without:
            return text("cross_check.served", device=meter.device.id, begin=begin, end=end)
        return text(
            "cross_check.cut", device=meter.device.id, begin=begin, end=end, without=without
        )

    def _cut_by(self, meter: Monitored, span: Span) -> tuple[str, ...]:
        """
        Return the ids of project-side meters that limit a baseline meter's time
        within a span.
        """
        if meter.needs.side != "baseline":
            return ()
        (begin_us, end_us), (first, last) = meter.span_us, (number * INTERVAL_US for number in span)
        bound, device = meter.bound, meter.device
        began = max(bound.from_us, device.installed_us)
        later = begin_us > first and begin_us - INTERVAL_US >= began
        ends = [us for us in (bound.to_us, device.removed_us) if us is not None]
        sooner = end_us < last and (not ends or end_us + INTERVAL_US <= min(ends))
        others = [m for m in self.monitored if m.needs.side == "project"]
        cutting = [
            *(m for m in others if later and m.span_us[0] == begin_us),
            *(m for m in others if sooner and m.span_us[1] == end_us),
        ]
        return tuple(dict.fromkeys(f"{m.device.id} ({m.bound.role})" for m in cutting))

    def _made(
        self,
        of: _Against,
        compared: tuple[int, int],
        sums: tuple[int, int],
        percent: Fraction,
        effect: Fraction,
        why: Text | str,
        beside: _Outside = _Outside(),  # noqa: B008 - a tuple
    ) -> CrossCheck:
        """Return the cross-check of the meters' sum with that of the other source. [base units]"""
        ours, theirs = sums
        comparable = theirs and (self.by_first or not why)
        off = Fraction((ours - theirs) * 100, theirs) if comparable else None
        holds = None if why else abs(ours - theirs) * 100 <= percent * abs(theirs)
        unit = QUANTITIES[QUANTITY_INDEX[of.quantity]].unit
        detail: Text | str = why
        if not why and beside.whole:
            amount = amount_text(beside.value, unit)
            detail = (
                text("cross_check.with_outside", amount=amount)
                if holds
                else text("cross_check.too_far_with_outside", amount=amount)
            )
        elif not why and not holds:
            detail = _DIFFER if self.by_first else text("cross_check.too_far")
        return CrossCheck(
            of.kind, of.against, of.devices, of.quantity,
            unit=unit,
            from_us=of.span[0],
            to_us=of.span[1],
            coverage=share_text(*compared),
            ours=str(ours),
            theirs=str(theirs),
            difference_percent=None if off is None else decimal_text(off, 4, "half_even"),
            tolerance_percent=exact_text(percent),
            effect_t=six_places(effect),
            holds=holds,
            detail=detail,
            outside=beside.value,
        )  # fmt: skip


def _is_same_signal(main: Int64, check: Int64) -> bool:
    """
    Return whether two meters copy one signal: equal in nearly all intervals over a long time.

    Two independent meters of class 0.5 with whole kilowatt-hours differ in many of 2,000 intervals.
    """
    equal = (main == check)[(main > 0) | (check > 0)]
    enough = len(equal) >= _DAY and exact_sum(main) >= _MANY
    return bool(enough and equal.mean() >= _NEARLY)


def _of_both(percent: Fraction, theirs: int, beside: _Outside) -> Fraction:
    """
    Return an invoice's tolerance, as a share of its quantity within and outside the period. [%]

    The invoice's own tolerance applies to the part within the period, and at most `ALIKE` to the
    rest.  A tolerance that is too wide for evidence is returned unchanged.
    """
    if not beside.whole or not theirs or percent > TOLERANCE * 100:
        return percent
    share = min(Fraction(1), Fraction(beside.value, theirs))
    both = percent * (1 - share) + min(percent, ALIKE) * share
    return Fraction(decimal_text(both, _TOLERANCE_PLACES, "down"))


def _left(of: Sequence[Monitored], differs: Fraction, invoice: Invoice, known: int) -> Fraction:
    """
    Return the difference of counted quantity and invoice. [base units]  If the meters overstate the
    reduction, only the part that no rule has deducted is returned; if baseline meters understate
    it, the quantity that they counted in incomplete intervals is included.  `known`: the meters'
    quantity in complete intervals.
    """
    of = [m.own if m.own is not None and m.needs.less == invoice.quantity else m for m in of]
    sides = {m.needs.side for m in of if m.needs.quantity == invoice.quantity}
    favours = 1 if sides == {"baseline"} else -1
    span_us = invoice.from_us, invoice.to_us
    incomplete = sum(m.quantity(span_us) for m in of) - known
    if len(sides) != 1 or differs * favours <= 0:
        return min(Fraction(0), differs + incomplete) if favours > 0 else differs
    cuts = [cut for m in of for part in m.parts for cut in part.cuts]
    narrow = exact(invoice.percent, "tolerance_percent") <= TOLERANCE * 100
    if narrow and may_be_evidence(invoice) and any(cut.reason == LESS for cut in cuts):
        return Fraction(0)  # the invoice is applied instead of the meter
    taken = sum((m.taken(span_us) for m in of), start=Fraction(0))
    if favours < 0:
        taken -= incomplete
    return favours * max(Fraction(0), favours * (differs - taken))
