"""
Service time of meters that is corroborated by invoices, certificates and check meters.

An invoice counts if it names its file, was issued after its time had ended, has a tolerance of at
most 5 % and agrees with the meter.  Invoices for 95 % of a meter's time corroborate it.  Missing
invoices at the period's start and end are accepted, as suppliers bill from mid-month.  A meter and
its replacement with another id are two devices in one role.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction
from functools import cached_property

from ingest.model import HOUR_US, INTERVAL_US
from ingest.quality.energy_budget import METERS
from mrv.accounting.coverage import remaining
from mrv.accounting.device_period import Monitored
from mrv.accounting.period_result import INVOICE, METER, CrossCheck
from mrv.calendar import local_date
from mrv.parameters import USUAL, of_role
from mrv.registry.project import Doubt, Invoice, SupportingData
from mrv.rounding import plain_text
from mrv.texts import Text, text

# materiality threshold: for an invoice's difference, and for the time that it does not cover
TOLERANCE = Fraction(5, 100)
COVERED = 1 - TOLERANCE
# minimum share of a meter's time that invoices cover, if the remaining time is before the first or
# after the last invoice
_COVERED_AT_LEAST = Fraction(9, 10)
# maximum time before the first or after the last invoice: 31 local days, one of which may have 25
# hours
LONGEST_END_US = (31 * 24 + 1) * HOUR_US
# reason of a lower quantity: an invoice is applied instead of the meter
LESS = text("invoice.less")
# reason of a lower quantity in time without an invoice
BARE = text("invoice.bare")
# maximum number of invoices of a meter that a finding names
_NAMED = 3
# reasons why an invoice is not evidence, by the registry's objection to it
_DOUBTS: Mapping[Doubt, Text] = {
    "operator": text("invoice.operator"),
    "one_file": text("invoice.one_file"),
    "other_issuer": text("invoice.other_issuer"),
}
# an invoice above this multiple of a meter's quantity has another unit, or includes other meters
_OTHER = 2
# minimum share of an invoice's time that a meter has, for the invoice to corroborate it; four weeks
# of a month are sufficient
_MIN_SHARE_INSIDE = Fraction(9, 10)
# minimum share of an invoice's time with data of the meter
_KNOWN = Fraction(1, 2)
# maximum mean of a project-side meter in a part of an invoice's time, as a share of the invoice's
_ABOVE_MEAN = Fraction(3, 2)

Span = tuple[int, int]


# --- time in service ----------------------------------------------------------------------


def length(spans: Iterable[Span], begin: int, end: int) -> int:
    """Return the time within [begin, end) covered by at least one span."""
    return max(0, end - begin) - sum(b - a for a, b in remaining(spans, begin, end))


def together_us(meters: Iterable[Monitored], first: int, last: int) -> int:
    """Return the time in intervals [first, last) with at least one device installed. [us]"""
    return length(_within(meters, first, last), first, last) * INTERVAL_US


def successive(meters: Sequence[Monitored], first: int, last: int) -> bool:
    """
    Return whether devices of each role succeed each other in intervals [first, last).

    The same number of devices is installed at any time, without overlap or gap, each for a part of
    the time; on the project side two may change within an interval.
    """
    for role in {m.bound.role for m in meters}:
        spans = _within((m for m in meters if m.bound.role == role), first, last)
        left = sorted(end for _, end in spans if end < last)
        came = sorted(begin for begin, _ in spans if begin > first)
        if len(left) != len(came):
            return False
        if any(abs(end - begin) > 1 for end, begin in zip(left, came, strict=True)):
            return False
    return True


def served(meters: Iterable[Monitored], first: int, last: int) -> int:
    """Return the summed service time of devices in intervals [first, last). [intervals]"""
    return sum(end - begin for begin, end in _within(meters, first, last))


def _within(meters: Iterable[Monitored], first: int, last: int) -> list[Span]:
    cut = [(max(m.service.first, first), min(m.service.last, last)) for m in meters]
    return [(begin, end) for begin, end in cut if begin < end]


def uncovered_share(meter: Monitored) -> Fraction:
    """Return the share of a meter's time in service without a valid certificate of that meter."""
    first, last = meter.service.first, meter.service.last
    spans = ((max(first, span.first), min(last, span.last)) for span in meter.uncovered)
    bare = sum(max(0, end - begin) for begin, end in spans)
    return Fraction(bare, last - first) if last > first else Fraction(1)


# --- invoices -----------------------------------------------------------------------------


def name_of(invoice: Invoice) -> str:
    """Return an invoice's name used in comparisons."""
    return f"{invoice.id}: {invoice.issuer}, {invoice.number}"


def _too_early(invoice: Invoice) -> bool:
    """Return whether an invoice was issued before it could state the quantity of its time."""
    return invoice.issued < local_date(invoice.to_us - 1, "UTC") - timedelta(days=1)


def may_be_evidence(invoice: Invoice) -> bool:
    """Return whether an invoice can be evidence by its form: file, date, no objection."""
    return bool(invoice.sha256) and not invoice.doubt and not _too_early(invoice)


def _agrees(checks: Sequence[CrossCheck], side: str) -> bool:
    """
    Return whether an invoice, or successive ones together, agree with their meters in the time with
    data.

    If more time is lost than the tolerance allows, the known quantity is scaled to the whole time.
    If less than half is known on the project side, the rest of the invoices is charged for lost
    time; the meter contradicts them if its mean is more than half above theirs.
    """
    (first, *others), whole = checks, checks[-1].to_us - checks[0].from_us
    known = sum((Fraction(c.coverage) * (c.to_us - c.from_us) for c in checks), Fraction(0)) / whole
    if first.holds is None or (known >= COVERED and not others):
        return bool(first.holds)
    ours, theirs = int(first.ours), int(first.theirs)
    if others:  # a difference outside the period corroborates nothing in it
        ours, theirs = sum(c.ours_within for c in checks), sum(c.theirs_within for c in checks)
    if known < _KNOWN:
        return side == "project" and ours <= _ABOVE_MEAN * known * theirs
    return (known - TOLERANCE) * theirs <= ours / known <= (1 + TOLERANCE) * theirs


def states_less(check: CrossCheck) -> bool:
    """Return whether an invoice states less than its meters, by more than its tolerance."""
    return check.kind == INVOICE and check.holds is False and int(check.ours) > int(check.theirs)


def uncorroborated_part(check: CrossCheck, inside_us: int, side: str) -> Fraction | None:
    """
    Return the part of a meter's quantity that an invoice or check meter does not corroborate. [base
    units]

    A comparison over longer time than the period corroborates the share of its total that is in
    proportion to time.  None if too little of its time is in the period.

    `inside_us`: time of the comparison within the period.
    `side`: side of the meter in the account.
    """
    whole_us = check.to_us - check.from_us
    if inside_us >= whole_us:
        return Fraction(0)
    if inside_us < _MIN_SHARE_INSIDE * whole_us:
        return None
    by_time = Fraction(int(check.theirs) * inside_us, whole_us)
    more = (check.theirs_within - by_time) * (1 if side == "baseline" else -1)
    return max(Fraction(0), more - Fraction(str(METERS)) * by_time)


def shows(check: CrossCheck, inside_us: int, side: str) -> bool:
    """Return whether a comparison corroborates all of the quantity in a part of its time."""
    return uncorroborated_part(check, inside_us, side) == 0


def _of_another(check: CrossCheck) -> bool:
    """Return whether an invoice states so much more that it must include other meters or units."""
    return int(check.theirs) > _OTHER * int(check.ours)


def runs(checks: Iterable[CrossCheck]) -> list[list[CrossCheck]]:
    """Return comparisons of the same meters in groups; each begins where the one before it ends."""
    result = list[list[CrossCheck]]()
    for check in sorted(checks, key=lambda check: check.from_us):
        here = check.devices, check.quantity, check.from_us
        for run in result:
            if (run[-1].devices, run[-1].quantity, run[-1].to_us) == here:
                run.append(check)
                break
        else:
            result.append([check])
    return result


def apart(checks: Iterable[CrossCheck]) -> Iterator[CrossCheck]:
    """Yield comparisons in the given order, without those that overlap one before of a meter."""
    taken = defaultdict[str, list[Span]](list)
    for check in checks:
        others = (other for name in check.devices for other in taken[name])
        if all(check.from_us >= end or check.to_us <= begin for begin, end in others):
            for name in check.devices:
                taken[name].append((check.from_us, check.to_us))
            yield check


def bare(meter: Monitored, checks: Iterable[CrossCheck]) -> list[Span]:
    """Return a meter's time without any of the invoices. [us UTC]"""
    return remaining(_spans(c for c in checks if meter.device.id in c.devices), *meter.span_us)


def _spans(checks: Iterable[CrossCheck]) -> list[Span]:
    return [(c.from_us, c.to_us) for c in checks]


@dataclass(frozen=True)
class Corroboration:
    """
    Invoices and check meters of a period, and the meters and times that they corroborate.

    `supporting`: the period's data, with the invoices.  `checks`: comparisons of the period's
    meters with them.
    """

    supporting: SupportingData
    checks: Sequence[CrossCheck]

    def signed(self) -> Corroboration:
        """Return the corroboration by signed invoices alone."""
        signed = tuple(invoice for invoice in self.supporting.invoices if invoice.signed)
        return replace(self, supporting=replace(self.supporting, invoices=signed))

    @cached_property
    def documents(self) -> frozenset[str]:
        """Return the names of the invoices whose form permits them as evidence."""
        return frozenset(
            name_of(invoice) for invoice in self.supporting.invoices if may_be_evidence(invoice)
        )

    def of(self, meter: Monitored, kind: str = INVOICE) -> Iterator[CrossCheck]:
        """Yield the comparisons of a device's quantity with invoices, or check meters."""
        for check in self.checks:
            same = check.kind == kind and check.quantity == meter.needs.quantity
            if same and meter.device.id in check.devices:
                yield check

    def _narrow(self, meter: Monitored) -> Iterator[CrossCheck]:
        """Return the comparisons with invoices that can be evidence, of at most 5 % tolerance."""
        evidence = (check for check in self.of(meter) if check.against in self.documents)
        return (c for c in evidence if Fraction(c.tolerance_percent) <= TOLERANCE * 100)

    def holding(self, meter: Monitored) -> Iterator[CrossCheck]:
        """Yield a device's comparisons with invoices that agree and are accepted as evidence."""
        return (check for check in self._narrow(meter) if self._agrees(check, meter))

    def _agrees(self, check: CrossCheck, meter: Monitored) -> bool:
        """
        Return whether an invoice agrees with a meter in the time with data.

        On the project side, one that does not agree by itself is compared together with the
        successive ones, within the period, if one of them has lost time.
        """
        side, alone = meter.needs.side, _agrees([check], meter.needs.side)
        if alone or side != "project":
            return alone
        compared = (other for other in self._narrow(meter) if other.holds is not None)
        run = next((run for run in runs(compared) if check in run), [])
        return any(Fraction(c.coverage) < 1 for c in run) and _agrees(run, side)

    def less(self, meter: Monitored) -> Iterator[CrossCheck]:
        """Yield a baseline meter's comparisons with lower invoices (`mrv.rules.lower_invoices`)."""
        return filter(states_less, self._bounding(meter))

    def _bounding(self, meter: Monitored) -> Iterator[CrossCheck]:
        """Yield a baseline meter's comparisons with differing invoices, which limit it if lower."""
        narrow = self._narrow(meter) if meter.needs.side == "baseline" else ()
        return (check for check in narrow if check.holds is False and not _of_another(check))

    def more(self, meter: Monitored) -> Iterator[CrossCheck]:
        """Yield the comparisons of a project-side meter with invoices that state more (EVD-05)."""
        for check in self.of(meter) if meter.needs.side == "project" else ():
            states_more = check.holds is False and int(check.ours) < int(check.theirs)
            if check.against in self.documents and states_more:
                yield check

    def showing(self, meter: Monitored) -> Iterator[CrossCheck]:
        """Yield the comparisons with invoices that corroborate a meter's counted quantity."""
        yield from self.holding(meter)
        yield from (check for check in self._bounding(meter) if not self._agrees(check, meter))

    def compared(self, meter: Monitored) -> Collection[CrossCheck]:
        """Return the comparisons with invoices that corroborate a meter or apply instead of it."""
        return {c.against: c for c in (*self.showing(meter), *self.more(meter))}.values()

    def longest(self, meter: Monitored) -> Iterator[CrossCheck]:
        """Return the comparisons of `compared` that do not overlap a longer one."""
        order = sorted(self.compared(meter), key=lambda c: (c.from_us - c.to_us, c.from_us))
        return apart(order)

    def _refuting(self, meter: Monitored) -> Iterator[CrossCheck]:
        """Yield the comparisons with contradicting invoices that are not applied as a limit."""
        bound, baseline = [*self._bounding(meter)], meter.needs.side == "baseline"
        differ = (c for c in self.of(meter) if c.holds is False and not self._agrees(c, meter))
        return (c for c in differ if c not in bound and not (baseline and _of_another(c)))

    def shared(self, meter: Monitored, devices: Collection[str]) -> bool:
        """Return whether an invoice that corroborates a device covers meters outside `devices`."""
        return any(not {*check.devices} <= {*devices} for check in self.showing(meter))

    def invoiced(self, meter: Monitored) -> bool:
        """
        Return whether invoices with files cover a device's quantity over nearly all its time.

        Time of a contradicting invoice is not covered.  Time before the first and after the last
        invoice may be missing if it is shorter than that invoice and 31 days, and if nine tenths of
        the device's time are covered.
        """
        begin, end = meter.span_us
        covered, whole = self.corroborated_us(meter), end - begin
        return covered >= max(COVERED * (whole - self._ends_us(meter)), _COVERED_AT_LEAST * whole)

    def provided(self, meter: Monitored) -> bool:
        """Return whether invoices that were compared with a meter cover nine tenths of its time."""
        spans = _spans(check for check in self._narrow(meter) if check.holds is not None)
        begin, end = meter.span_us
        return length(spans, begin, end) >= _COVERED_AT_LEAST * (end - begin)

    def evidenced(self, meter: Monitored) -> bool:
        """
        Return whether a quantity has the grade of evidence that the programme requires.

        Grade B: a third party's invoices.  C: a meter that advanced, has a valid calibration over
        nearly all its time, and is not contradicted by an invoice or check meter.  D: any meter
        that advanced and is not contradicted.
        """
        required = self.supporting.required or USUAL
        if "invoice" in of_role(meter.bound.role) and self.invoiced(meter):
            return True
        if required.quantities in "AB" or "certificate" not in of_role(meter.bound.role):
            return False
        if required.quantities == "D":
            return meter.moved and not self.contradicted(meter)
        calibrated = uncovered_share(meter) <= TOLERANCE
        return meter.moved and calibrated and not self.contradicted(meter)

    def contradicted(self, meter: Monitored) -> bool:
        """
        Return whether an invoice states another quantity than a meter, or a check meter measured a
        less favourable one.
        """
        sign = 1 if meter.needs.side == "baseline" else -1
        differing = (c for c in self.of(meter, METER) if c.holds is False)
        more = any(sign * (int(c.ours) - int(c.theirs)) > 0 for c in differing)
        return more or any(self._refuting(meter))

    def corroborated_us(self, meter: Monitored) -> int:
        """Return the time of a device for which invoices corroborate its quantity. [us]"""
        refuted = _spans(self._refuting(meter))
        holds = _spans(self.showing(meter))
        return length([*holds, *refuted], *meter.span_us) - length(refuted, *meter.span_us)

    def _ends_us(self, meter: Monitored) -> int:
        """
        Return the time before the first and after the last invoice in which no invoice is required.
        [us]
        """
        begin, end = meter.span_us
        holds = _spans(self.showing(meter))
        if not holds:
            return 0
        # contradicting invoices are included
        every = [*holds, *_spans(self._refuting(meter))]
        first, last = min(a for a, _ in every), max(b for _, b in every)
        ends = (
            (first - begin, max((b - a for a, b in holds if a == first), default=0)),
            (end - last, max((b - a for a, b in holds if b == last), default=0)),
        )
        return sum(gap for gap, invoice in ends if 0 < gap < invoice and gap <= LONGEST_END_US)

    def agreeing(self, meter: Monitored, *, alone: bool = False) -> CrossCheck | None:
        """
        Return a cross-check that corroborates a device in nearly all its time; else None.

        `alone`: whether cross-checks that include other devices are ignored.
        """
        begin, end = meter.span_us
        for check in self.corroborating(meter):
            inside_us = min(end, check.to_us) - max(begin, check.from_us)
            single = not alone or len(check.devices) == 1
            if single and inside_us >= COVERED * (end - begin):
                return check
        return None

    def corroborating(self, meter: Monitored) -> Iterator[CrossCheck]:
        """
        Yield the cross-checks that corroborate all of a meter's quantity.

        The meter has data in nearly all its time.  Of a cross-check over longer time, the part
        within the meter's time has to corroborate it.
        """
        return (check for check, more in self.agreeing_in_part(meter) if not more)

    def agreeing_in_part(self, meter: Monitored) -> Iterator[tuple[CrossCheck, Fraction]]:
        """
        Yield the cross-checks that corroborate a meter's quantity wholly or in part, each with the
        part that it does not corroborate (see `uncorroborated_part`). [base units]
        """
        begin, end = meter.span_us
        for check in (*self.of(meter, METER), *self.of(meter)):
            narrow = Fraction(check.tolerance_percent) <= Fraction(str(METERS)) * 100
            is_evidence = check.kind == METER or check.against in self.documents
            inside_us = min(end, check.to_us) - max(begin, check.from_us)
            known = is_evidence and Fraction(check.coverage) >= COVERED
            more = uncorroborated_part(check, inside_us, meter.needs.side)
            if check.holds and narrow and known and more is not None:
                yield check, more

    def covered(self, meter: Monitored, applied: Iterable[Span]) -> bool:
        """
        Return whether invoices corroborate a project-side meter, or apply, in nearly all its time.

        `applied`: time of the meter's higher invoices, which are applied. [us UTC]
        """
        begin, end = meter.span_us
        spans = [*applied, *_spans(self.holding(meter))]
        return length(spans, begin, end) >= COVERED * (end - begin)

    def uncorroborated(self, meters: Iterable[Monitored]) -> Iterator[Text]:
        """Yield each meter once, with the reason why its invoices do not corroborate it."""
        for meter in {m.device.id: m for m in meters}.values():
            why = tuple(self.reasons(meter))[:_NAMED]
            if why:
                yield text("invoice.not_enough", device=meter.device.id, why=why)
            else:
                yield text("invoice.none", device=meter.device.id)

    def reasons(self, meter: Monitored) -> Iterator[Text]:
        """Yield why the invoices and check meters of a meter do not corroborate it."""
        begin, end = meter.span_us
        for check in self.of(meter, METER):
            if not check.holds or Fraction(check.coverage) < COVERED:
                yield _why(check)
        share = Fraction(self.corroborated_us(meter), max(1, end - begin))
        if share:
            yield text("invoice.covers", percent=percent(share))
        for check in self.checks:
            if check.kind != INVOICE or meter.device.id not in check.devices:
                continue
            if check.holds is None or not (check.holds or self._agrees(check, meter)):
                yield _why(check)
            elif why := self._no_evidence.get(check.against):
                yield text("invoice.no_evidence", invoice=check.against, why=why)

    @cached_property
    def _no_evidence(self) -> dict[str, Text]:
        """Return by name of an invoice the reason why it cannot be evidence."""
        texts = dict[str, Text]()
        for invoice in self.supporting.invoices:
            name = name_of(invoice)
            if Fraction(invoice.percent) > TOLERANCE * 100:
                maximum = percent(TOLERANCE)
                texts[name] = text("invoice.wide", percent=str(invoice.percent), most=maximum)
            if _too_early(invoice):
                texts[name] = text("invoice.early", issued=str(invoice.issued))
            if not invoice.sha256:
                texts[name] = text("invoice.no_file")
            if invoice.doubt is not None:
                texts[name] = _DOUBTS[invoice.doubt]
        return texts


def _why(check: CrossCheck) -> Text:
    """Return why an invoice or check meter does not corroborate its meters."""
    known, off = Fraction(check.coverage), Fraction(check.difference_percent or 0)
    shares = {"percent": percent(known), "least": percent(COVERED)}
    if check.holds is None:
        return text("invoice.incomparable", invoice=check.against, why=check.detail)
    if check.kind == METER and known < COVERED:
        return text("checked.known", meter=check.against, **shares)
    if not int(check.theirs):
        return text("invoice.zero", invoice=check.against)
    if not int(check.ours):
        return text("invoice.unmetered", invoice=check.against)
    if check.kind == METER:
        return text("checked.differs", meter=check.against, percent=plain_text(off, 4))
    return text("invoice.differs", invoice=check.against, percent=plain_text(off, 4))


def percent(share: Fraction) -> str:
    """Return a share in percent, with three digits at most."""
    return plain_text(share * 100, 1)
