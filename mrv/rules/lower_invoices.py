"""
Rule EVD-03: baseline meters that report more than third parties invoice.

If an invoice with its file, by a buyer, supplier or weather service, states less than the meter,
beyond its tolerance (`tolerance_percent`, at most 5 %), at most the invoiced quantity is credited
for its meters and time; time without invoice is reduced in the same proportion.  A higher invoice
never raises a quantity, but offsets a lower one of the same meters before or after it, as in the
correction of an estimate.

For an invoice at another point than the meter (after losses, of part of its load, of unsold goods)
`tolerance_percent` is the permitted difference.  Above 5 % it does not corroborate the meter, and
limits it only beyond that tolerance; a difference within it is reported, as the claimant entered
the tolerance.  If invoices that corroborate a meter state a lower sum,
`invoices.invoiced_quantities` applies it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from mrv.accounting.device_period import Monitored
from mrv.accounting.evidenced_time import COVERED, LESS, TOLERANCE, apart, bare
from mrv.accounting.period_result import CrossCheck
from mrv.rounding import amount_text, decimal_text
from mrv.rules.account import ZERO
from mrv.rules.effects import Cap, Judged, Level, RuleReport
from mrv.rules.facts import Facts, node
from mrv.rules.invoiced_use import MORE
from mrv.texts import Text, text

_PLACES = 6


class _Stated(NamedTuple):
    """
    Invoice, and the metered quantity of its time, also if a part of that is unknown.

    `beyond`: metered quantity above the invoiced one and its tolerance, below 0 if the invoice
    states more; `within`: metered quantity of the period. [base units]
    """

    check: CrossCheck
    within: int
    beyond: Fraction

    @classmethod
    def of(cls, check: CrossCheck, meters: Iterable[Monitored]) -> _Stated:
        there = (m for m in meters if m.device.id in check.devices)
        of = (m for m in there if m.needs.quantity == check.quantity)
        within = sum(m.quantity((check.from_us, check.to_us)) for m in of)
        percent = Fraction(check.tolerance_percent)
        room = percent / 100 if percent > TOLERANCE * 100 else Fraction(0)
        beyond = within + check.outside - int(check.theirs) * (1 + room)
        return cls(check, within, min(beyond, Fraction(within)))

    @property
    def less(self) -> bool:
        """Return whether the invoice states less than was metered, beyond its tolerance."""
        return self._exceeds(Fraction(self.check.tolerance_percent))

    @property
    def explained(self) -> bool:
        """Return whether only the entered tolerance explains the difference."""
        return not self.less and self._exceeds(TOLERANCE * 100)

    def _exceeds(self, percent: Fraction) -> bool:
        more = self.within + self.check.outside - int(self.check.theirs)
        return not self.check.is_offset and more * 100 > percent * int(self.check.theirs)

    @property
    def more(self) -> bool:
        """
        Return whether the invoice states more than was metered, by more than missing readings
        explain.
        """
        whole = Fraction(self.check.coverage) >= COVERED
        return self.check.holds is False and self.beyond < 0 and whole


def lower_invoices(facts: Facts) -> Iterator[Judged]:
    """EVD-03: yield limits on baseline meters to what third-party invoices state."""
    documents, views = facts.evidence.documents, facts.views
    compared = [
        _Stated.of(c, views) for c in facts.checks if c.against in documents and c.holds is not None
    ]
    for names, quantity in _meters(stated.check for stated in compared if stated.less):
        of = [
            i
            for i, m in enumerate(views)
            if m.device.id in names and (m.needs.quantity, m.needs.side) == (quantity, "baseline")
        ]
        mine = [
            stated
            for stated in compared
            if stated.check.quantity == quantity and names >= {*stated.check.devices}
        ]
        of_less = [stated for stated in mine if stated.less or stated.more]
        # the largest deduction first
        of_less.sort(key=lambda o: (-o.beyond, o.check.from_us, o.check.against))
        by_name = {stated.check.against: stated for stated in of_less}
        differing = [by_name[c.against] for c in apart(stated.check for stated in of_less)]
        excess = _excess([views[i] for i in of], mine, differing) if of else 0
        if excess <= 0:
            continue
        counted = sum((views[i].counts for i in of), start=Fraction(0))
        yield Cap(node(Level.DEVICE, of), counted - excess, LESS)
        texts = tuple(_figures(stated) for stated in differing if stated.less)
        devices = tuple(sorted(names))
        yield RuleReport(False, text("EVD-03.invoices_less", devices=devices, invoices=texts))
    yield from _own_use(facts)
    yield from _explained(facts, compared)


def _own_use(facts: Facts) -> Iterator[Judged]:
    """Yield limits on generators whose invoices state more own use than their meters."""
    more, texts = dict[tuple[int, ...], int](), dict[tuple[int, ...], list[Text]]()

    def states_more(check: CrossCheck) -> bool:
        of = (m for m in facts.views if m.device.id in check.devices)
        evidence = check.against in facts.evidence.documents and check.holds is False
        narrow = Fraction(check.tolerance_percent) <= TOLERANCE * 100
        known = evidence and narrow and Fraction(check.coverage) >= COVERED
        own = known and {m.needs.less for m in of} == {check.quantity}
        return own and int(check.theirs) > int(check.ours)

    ordered = sorted(facts.checks, key=lambda c: (c.from_us, -int(c.theirs), c.against))
    for check in apart(filter(states_more, ordered)):
        of = tuple(i for i, m in enumerate(facts.views) if m.device.id in check.devices)
        more[of] = more.get(of, 0) + int(check.theirs) - int(check.ours)
        texts.setdefault(of, []).append(
            _figures(_Stated(check, int(check.ours) - check.outside, ZERO))
        )
    for places, less in more.items():
        counted = sum((facts.views[i].counts for i in places), start=ZERO)
        yield Cap(node(Level.DEVICE, places), counted - less, MORE)
        devices = tuple(dict.fromkeys(facts.views[i].device.id for i in places))
        yield RuleReport(False, text("EVD-03.own_use_more", devices=devices,
                                     invoices=tuple(texts[places])))  # fmt: skip


def _explained(facts: Facts, compared: Sequence[_Stated]) -> Iterator[RuleReport]:
    """
    Yield the report on invoices whose difference only the entered tolerance explains.

    The report is a clarification request if the difference is material.
    """
    earning = {m.device.id for m in facts.views if m.needs.side == "baseline"}
    explained = [s for s in compared if s.explained and earning.issuperset(s.check.devices)]
    if not explained:
        return
    priced = facts.compare(facts.supporting, facts.price.pricing)
    costs = {check.against: Fraction(check.effect_t) for check in priced}
    texts = tuple(
        text(
            "EVD-03.explained", invoice=_figures(stated), devices=stated.check.devices,
            tolerance=stated.check.tolerance_percent,
            cost=decimal_text(costs[stated.check.against], _PLACES, "up"),
        )
        for stated in explained
    )  # fmt: skip
    cost = sum((costs[stated.check.against] for stated in explained), start=Fraction(0))
    # the tolerance is the claimant's own statement: a material difference within it needs evidence
    material = cost >= TOLERANCE * abs(facts.price.reduction_t)
    yield RuleReport(False, texts, "CL" if material else "observation")


def _meters(less: Iterable[CrossCheck]) -> list[tuple[set[str], str]]:
    """Return the ids of meters that share invoices, as groups, each with their quantity's name."""
    meters: list[tuple[set[str], str]] = []
    for check in less:
        names, rest = {*check.devices}, list[tuple[set[str], str]]()
        for group in meters:
            if group[1] == check.quantity and group[0] & names:
                names |= group[0]
            else:
                rest.append(group)
        meters = [*rest, (names, check.quantity)]
    return meters


def _excess(
    meters: Sequence[Monitored], compared: Sequence[_Stated], differing: Sequence[_Stated]
) -> Fraction:
    """Return the counted quantity above invoices, after other rules' deductions. [base units]"""
    more = made_up = Fraction(0)
    for stated in differing:
        if stated.beyond > 0:
            span = stated.check.from_us, stated.check.to_us
            taken = sum((meter.taken(span) for meter in meters), start=Fraction(0))
            more += max(Fraction(0), stated.beyond - taken)
        else:
            made_up -= stated.beyond
    net = sum((stated.beyond for stated in differing), start=Fraction(0))
    metered = sum(stated.within for stated in differing)
    if metered and net > 0:
        # of overlapping invoices, the one with the smaller deduction is not used
        checks = [o.check for o in compared if o in differing or not (o.less or o.more)]
        without = [(meter, span) for meter in meters for span in bare(meter, checks)]
        taken = sum((meter.taken(span) for meter, span in without), start=Fraction(0))
        alike = sum(meter.quantity(span) for meter, span in without) * net / metered
        more += max(Fraction(0), alike - taken)
    return more - made_up


def _figures(item: _Stated) -> Text:
    check = item.check
    amounts = int(check.theirs), item.within + check.outside
    stated, metered = (amount_text(n, check.unit) for n in amounts)
    return text("invoice.states", invoice=check.against, stated=stated, metered=metered)
