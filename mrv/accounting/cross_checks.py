"""
Metered quantities compared with check meters and invoices.

Nothing is taken off here.  Where the two differ by more than they may, the
statement says by how much the reduction would be too high if the other one were
right, and the verifier asks.  A meter that is replaced by a device with an id of its
own serves a part of an invoice's time, and its successor the rest: together they are
what the invoice is about.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ingest.classes import QUANTITIES, QUANTITY_INDEX
from ingest.model import INTERVAL_US, Fleet, Int64, IntervalRows
from mrv.accounting.device_period import Monitored
from mrv.accounting.device_results import Pricing
from mrv.accounting.evidenced_time import Span, name_of, served, successive
from mrv.accounting.period_result import INVOICE, METER, CrossCheck
from mrv.calendar import utc_text
from mrv.parameters.inputs import exact
from mrv.registry.project import FIRST, Besides, CheckMeter, Invoice
from mrv.rounding import decimal_text, exact_sum, exact_text, share_text
from mrv.texts import Text, text

_PLACES = 6
# as release 0.1.0 worded it
_UNKNOWN = "no quarter hour is known of both"
_DIFFER = "they differ by more than they may; find the reason, and correct or explain it"


class _Known(NamedTuple):
    """Intervals of a meter of which all time is known: their numbers and values."""

    number: Int64
    value: Int64

    def within(self, first: int, last: int) -> _Known:
        kept = (self.number >= first) & (self.number < last)
        return _Known(self.number[kept], self.value[kept])


class Rows:
    """The rows of a period, looked up by device and quantity; sorted when first asked."""

    def __init__(self, rows: IntervalRows, fleet: Fleet) -> None:
        self._rows, self._fleet = rows, fleet

    @cached_property
    def _sorted(self) -> tuple[Int64, IntervalRows]:
        rows = self._rows
        whole = rows.measured_us + rows.estimated_us == INTERVAL_US
        rows = rows.take(np.flatnonzero(whole))
        rows = rows.take(np.lexsort((rows.start_us, rows.quantity, rows.device)))
        return _key(rows.device.astype(np.int64), rows.quantity), rows

    def known(self, device: str, quantity: str) -> _Known:
        """Intervals of a device of which no time is unknown or missing, in order."""
        keys, rows = self._sorted
        key = _key(self._fleet.by_id.get(device, -1), QUANTITY_INDEX[quantity])
        begin, end = np.searchsorted(keys, [key, key + 1])
        return _Known(rows.start_us[begin:end] // INTERVAL_US, rows.value[begin:end])


def _key(device: Any, quantity: Any) -> Any:
    return device * len(QUANTITY_INDEX) + quantity


def cross_checks(
    monitored: Sequence[Monitored],
    besides: Besides,
    rows: Rows,
    years: Sequence[tuple[int, int, int]],
    pricing: Pricing,
) -> Iterator[CrossCheck]:
    """
    Compare the meters of a period with check meters and invoices.

    Parameters
    ----------
    monitored : sequence of Monitored
        What counts, by device.
    rows : Rows
        Of main and check meters.
    years : sequence of (year, begin, end)
        Local calendar years of the period. [us UTC]
    """
    bench = _Bench(monitored, rows, pricing, years, besides.accounting == FIRST)
    for meter in sorted(besides.meters, key=lambda m: (m.main, m.check)):
        for one in monitored:
            if one.device.id == meter.main:
                yield bench.by_meter(one, meter)
    for invoice in sorted(besides.invoices, key=lambda i: (i.from_us, i.id)):
        yield bench.by_invoice(invoice)


class _Against(NamedTuple):
    """A check meter or an invoice, what it measures, and its time. [us UTC]"""

    kind: str
    against: str
    devices: tuple[str, ...]
    quantity: str
    span: Span


class _Bench(NamedTuple):
    """What all comparisons of a period share: meters, rows, prices, years, the rule set."""

    monitored: Sequence[Monitored]
    rows: Rows
    pricing: Pricing
    years: Sequence[tuple[int, int, int]]
    by_first: bool

    def by_meter(self, one: Monitored, meter: CheckMeter) -> CrossCheck:
        """Compare a meter with its check meter, where both are known."""
        quantity = one.needs.quantity
        first, last = (us // INTERVAL_US for us in one.span_us)
        main = self.rows.known(meter.main, quantity).within(first, last)
        check = self.rows.known(meter.check, quantity)
        number, ours, theirs = np.intersect1d(main.number, check.number, return_indices=True)
        sums = exact_sum(main.value[ours]), exact_sum(check.value[theirs])
        unknown = _UNKNOWN if self.by_first else text("cross_check.unknown")
        return self._made(
            _Against(METER, meter.check, (meter.main,), quantity, one.span_us),
            (len(ours), last - first), sums, exact(meter.percent, "check_percent"),
            self._effect(one, number, main.value[ours] - check.value[theirs]),
            "" if len(ours) else unknown,
        )  # fmt: skip

    def by_invoice(self, invoice: Invoice) -> CrossCheck:
        """Compare the meters that an invoice names with it."""
        quantity, names = invoice.quantity, invoice.devices
        of = [m for m in self.monitored if m.device.id in names and m.needs.quantity == quantity]
        first, last = invoice.from_us // INTERVAL_US, invoice.to_us // INTERVAL_US
        ours, known, effect = 0, 0, Fraction(0)
        for one in of:
            begin, end = (us // INTERVAL_US for us in one.span_us)
            rows = self.rows.known(one.device.id, quantity)
            held = rows.within(max(first, begin), min(last, end))
            ours += exact_sum(held.value)
            known += len(held.number)
            effect += self._effect(one, *held)
        if ours:
            # the difference costs what the metered quantity does, years in their shares
            effect = effect * (ours - invoice.value) / ours
        why = self._incomparable(invoice, of)
        whole = (last - first) * len(names)
        if not (self.by_first or why):
            # of meters that follow each other each knows a part of the time
            whole = served(of, first, last)
        span = invoice.from_us, invoice.to_us
        return self._made(
            _Against(INVOICE, name_of(invoice), names, quantity, span),
            (known, whole), (ours, invoice.value), exact(invoice.percent, "tolerance_percent"),
            effect, why,
        )  # fmt: skip

    def _effect(self, one: Monitored, number: Int64, value: Int64) -> Fraction:
        """By how much a quantity of a device raises the reduction. [t CO2e]"""
        total = Fraction(0)
        for year, begin_us, end_us in self.years:
            begin, end = np.searchsorted(number, [begin_us // INTERVAL_US, end_us // INTERVAL_US])
            if begin < end:
                total += exact_sum(value[begin:end]) * self.pricing.rate(one, year)
        return total if one.needs.side == "baseline" else -total

    def _incomparable(  # noqa: PLR0911 - each reason in the words of either rule set
        self, invoice: Invoice, of: Sequence[Monitored]
    ) -> Text | str:
        """Say why an invoice is about something else than its meters `of`; empty if it is not."""
        if invoice.from_us < self.years[0][1] or invoice.to_us > self.years[-1][2]:
            if self.by_first:
                return "reaches beyond the period; a period that holds all of it can be compared"
            begin, end = utc_text(invoice.from_us), utc_text(invoice.to_us)
            return text("cross_check.beyond", begin=begin, end=end)
        absent = sorted(set(invoice.devices) - {m.device.id for m in of})
        if absent:
            if self.by_first:
                return f"no {invoice.quantity} of {', '.join(absent)} counts in this period"
            return text("cross_check.absent", quantity=invoice.quantity, devices=tuple(absent))
        first, last = invoice.from_us // INTERVAL_US, invoice.to_us // INTERVAL_US
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

    def _service(self, one: Monitored, span: Span) -> Text:
        """When a meter served, and which meters of the project's side it needs to count."""
        begin, end = map(utc_text, one.span_us)
        without = self._cut_by(one, span)
        if not without:
            return text("cross_check.served", device=one.device.id, begin=begin, end=end)
        return text("cross_check.cut", device=one.device.id, begin=begin, end=end, without=without)

    def _cut_by(self, one: Monitored, span: Span) -> tuple[str, ...]:
        """Name meters of the project's side that cut a baseline's time within a span."""
        if one.needs.side != "baseline":
            return ()
        (begin_us, end_us), (first, last) = one.span_us, (number * INTERVAL_US for number in span)
        bound, device = one.bound, one.device
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
    ) -> CrossCheck:
        """Return a comparison of `sums`, ours and theirs, over `compared` intervals of all."""
        ours, theirs = sums
        off = Fraction((ours - theirs) * 100, theirs) if theirs else None
        holds = None if why else abs(ours - theirs) * 100 <= percent * abs(theirs)
        differ = _DIFFER if self.by_first else text("cross_check.too_far")
        return CrossCheck(
            of.kind, of.against, of.devices, of.quantity,
            unit=QUANTITIES[QUANTITY_INDEX[of.quantity]].unit,
            from_us=of.span[0],
            to_us=of.span[1],
            coverage=share_text(*compared),
            ours=str(ours),
            theirs=str(theirs),
            difference_percent=None if off is None else decimal_text(off, 4, "half_even"),
            tolerance_percent=exact_text(percent),
            effect_t=decimal_text(effect, _PLACES, "up"),
            holds=holds,
            detail=why or ("" if holds else differ),
        )  # fmt: skip
