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
from mrv.accounting.period_result import INVOICE, METER, CrossCheck
from mrv.accounting.time_in_service import served, successive
from mrv.calendar import utc_text
from mrv.parameters.inputs import exact
from mrv.registry.project import FIRST, Besides, CheckMeter, Invoice
from mrv.rounding import decimal_text, exact_sum, exact_text, share_text
from mrv.texts import Text, text

_PLACES = 6
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


class _Bench(NamedTuple):
    """What all checks of a period share: rows, prices, edges, years in intervals, rule set."""

    rows: Rows
    pricing: Pricing
    period_us: tuple[int, int]
    years: Sequence[tuple[int, int, int]]
    by_first: bool

    def effect(self, one: Monitored, number: Int64, value: Int64) -> Fraction:
        """By how much a quantity of a device raises the reduction. [t CO2e]."""
        total = Fraction(0)
        for year, begin_us, end_us in self.years:
            begin, end = np.searchsorted(number, [begin_us // INTERVAL_US, end_us // INTERVAL_US])
            if begin < end:
                total += exact_sum(value[begin:end]) * self.pricing.rate(one, year)
        return total if one.needs.side == "baseline" else -total


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
    by_first = besides.accounting == FIRST
    bench = _Bench(rows, pricing, (years[0][1], years[-1][2]), years, by_first)
    for meter in sorted(besides.meters, key=lambda m: (m.main, m.check)):
        for one in monitored:
            if one.device.id == meter.main:
                yield _by_meter(one, meter, bench)
    for invoice in sorted(besides.invoices, key=lambda i: (i.from_us, i.id)):
        yield _by_invoice(invoice, monitored, bench)


def _by_meter(one: Monitored, meter: CheckMeter, bench: _Bench) -> CrossCheck:
    quantity = one.needs.quantity
    first, last = one.service.first, one.service.first + one.service.intervals
    main = bench.rows.known(meter.main, quantity).within(first, last)
    check = bench.rows.known(meter.check, quantity)
    number, ours, theirs = np.intersect1d(main.number, check.number, return_indices=True)
    difference = main.value[ours] - check.value[theirs]
    return _made(
        kind=METER,
        against=meter.check,
        devices=(meter.main,),
        quantity=quantity,
        span=(first * INTERVAL_US, last * INTERVAL_US),
        compared=(len(ours), last - first),
        sums=(exact_sum(main.value[ours]), exact_sum(check.value[theirs])),
        percent=exact(meter.percent, "check_percent"),
        effect=bench.effect(one, number, difference),
        detail="" if len(ours) else _unknown(by_first=bench.by_first),
        by_first=bench.by_first,
    )


def _by_invoice(invoice: Invoice, monitored: Sequence[Monitored], bench: _Bench) -> CrossCheck:
    of = [m for m in monitored if _bills(invoice, m)]
    first, last = invoice.from_us // INTERVAL_US, invoice.to_us // INTERVAL_US
    ours, known, effect = 0, 0, Fraction(0)
    for one in of:
        begin, end = one.service.first, one.service.first + one.service.intervals
        rows = bench.rows.known(one.device.id, invoice.quantity)
        held = rows.within(max(first, begin), min(last, end))
        ours += exact_sum(held.value)
        known += len(held.number)
        effect += bench.effect(one, *held)
    if ours:
        # the difference costs what the metered quantity does, years in their shares
        effect = effect * (ours - invoice.value) / ours
    why: Text | str = (
        _incomparable_by_first(invoice, of, bench.period_us)
        if bench.by_first
        else _incomparable(invoice, of, monitored, bench.period_us)
    )
    whole = (last - first) * len(invoice.devices)
    if not (bench.by_first or why):
        # of meters that follow each other each knows a part of the time
        whole = served(of, first, last)
    return _made(
        kind=INVOICE,
        against=f"{invoice.id}: {invoice.issuer}, {invoice.number}",
        devices=invoice.devices,
        quantity=invoice.quantity,
        span=(invoice.from_us, invoice.to_us),
        compared=(known, whole),
        sums=(ours, invoice.value),
        percent=exact(invoice.percent, "tolerance_percent"),
        effect=effect,
        detail=why,
        by_first=bench.by_first,
    )


def _bills(invoice: Invoice, one: Monitored) -> bool:
    return one.device.id in invoice.devices and one.needs.quantity == invoice.quantity


def _incomparable_by_first(
    invoice: Invoice, of: Sequence[Monitored], period_us: tuple[int, int]
) -> str:
    """Why an invoice was about something else than the period's meters by the first rules."""
    if invoice.from_us < period_us[0] or invoice.to_us > period_us[1]:
        return "reaches beyond the period; a period that holds all of it can be compared"
    absent = sorted(set(invoice.devices) - {m.device.id for m in of})
    if absent:
        return f"no {invoice.quantity} of {', '.join(absent)} counts in this period"
    first, last = invoice.from_us // INTERVAL_US, invoice.to_us // INTERVAL_US
    partly = [
        m.device.id
        for m in of
        if m.service.first > first or m.service.first + m.service.intervals < last
    ]
    return f"{', '.join(partly)} did not serve the project all that time" if partly else ""


def _unknown(*, by_first: bool) -> Text | str:
    return "no quarter hour is known of both" if by_first else text("cross_check.unknown")


def _incomparable(
    invoice: Invoice,
    of: Sequence[Monitored],
    monitored: Sequence[Monitored],
    period_us: tuple[int, int],
) -> Text | str:
    """
    Say why an invoice is about something else than the period's meters; empty if it is not.

    Parameters
    ----------
    of : sequence of Monitored
        The meters that it names, with its quantity.
    monitored : sequence of Monitored
        All of the period.
    period_us : (int, int)
        Half-open. [us UTC]
    """
    if invoice.from_us < period_us[0] or invoice.to_us > period_us[1]:
        begin, end = utc_text(invoice.from_us), utc_text(invoice.to_us)
        return text("cross_check.beyond", begin=begin, end=end)
    absent = sorted(set(invoice.devices) - {m.device.id for m in of})
    if absent:
        return text("cross_check.absent", quantity=invoice.quantity, devices=tuple(absent))
    first, last = invoice.from_us // INTERVAL_US, invoice.to_us // INTERVAL_US
    partly = [m for m in of if served([m], first, last) < last - first]
    if not partly or successive(partly, first, last):
        return ""
    spans = tuple(_served(m, monitored, first, last) for m in partly)
    return text("cross_check.partly", spans=spans)


def _served(one: Monitored, monitored: Sequence[Monitored], first: int, last: int) -> Text:
    """When a meter served, and which meters of the project's side it could not count without."""
    edges = one.service.first, one.service.first + one.service.intervals
    begin, end = (utc_text(number * INTERVAL_US) for number in edges)
    without = _cut_by(one, monitored, first, last)
    if not without:
        return text("cross_check.served", device=one.device.id, begin=begin, end=end)
    return text("cross_check.cut", device=one.device.id, begin=begin, end=end, without=without)


def _cut_by(
    one: Monitored, monitored: Sequence[Monitored], first: int, last: int
) -> tuple[str, ...]:
    """Name meters of the project's side that cut a baseline's time within [first, last)."""
    if one.needs.side != "baseline":
        return ()
    begin, end = one.service.first, one.service.first + one.service.intervals
    bound, device = one.bound, one.device
    later = begin > first and begin * INTERVAL_US - INTERVAL_US >= max(
        bound.from_us, device.installed_us
    )
    ends = [us for us in (bound.to_us, device.removed_us) if us is not None]
    sooner = end < last and (not ends or end * INTERVAL_US + INTERVAL_US <= min(ends))
    others = [m for m in monitored if m.needs.side == "project"]
    cutting = [
        *(m for m in others if later and m.service.first == begin),
        *(m for m in others if sooner and m.service.first + m.service.intervals == end),
    ]
    return tuple(dict.fromkeys(f"{m.device.id} ({m.bound.role})" for m in cutting))


def _made(
    *,
    kind: str,
    against: str,
    devices: tuple[str, ...],
    quantity: str,
    span: tuple[int, int],
    compared: tuple[int, int],
    sums: tuple[int, int],
    percent: Fraction,
    effect: Fraction,
    detail: Text | str,
    by_first: bool,
) -> CrossCheck:
    ours, theirs = sums
    off = abs(ours - theirs) * 100
    holds = None if detail else off <= percent * abs(theirs)
    return CrossCheck(
        kind=kind,
        against=against,
        devices=devices,
        quantity=quantity,
        unit=QUANTITIES[QUANTITY_INDEX[quantity]].unit,
        from_us=span[0],
        to_us=span[1],
        coverage=share_text(*compared),
        ours=str(ours),
        theirs=str(theirs),
        difference_percent=decimal_text(Fraction((ours - theirs) * 100, theirs), 4, "half_even")
        if theirs
        else None,
        tolerance_percent=exact_text(percent),
        effect_t=decimal_text(effect, _PLACES, "up"),
        holds=holds,
        detail=detail or ("" if holds else _DIFFER if by_first else text("cross_check.too_far")),
    )
