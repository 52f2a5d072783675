"""
Rules EVD-03 and EVD-04: quantities that invoices must corroborate, or that invoices limit.

No other quantity corroborates a building's electricity, its weather, or the fuel of burners.
Deliveries are reported by the plant's own meters, and its design states only a possible amount.  So
no reduction is credited until invoices with the hashes of their files cover 95 % of the time of
such a meter and differ from it by at most 5 %.  They are invoices of the delivery, or of its
electricity if the design states it; for weather, the data of the weather service.  For lines of
several kinds, electricity corroborates only the sum.  CDM requires the same cross-check (TOOL03,
TOOL05).  A service without electricity (steam, hours) is limited by its capacity if that is at most
twice the delivered quantity.  Project emissions are always charged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from fractions import Fraction
from typing import NamedTuple

from ingest.model import INTERVAL_US
from mrv.accounting.coverage import joined
from mrv.accounting.device_period import Monitored
from mrv.accounting.entered_values import undocumented
from mrv.accounting.evidenced_time import BARE, LESS, Corroboration, Span, apart, bare, served
from mrv.accounting.period_result import INVOICE, CrossCheck
from mrv.calendar import local_date, local_span, midnight_us
from mrv.rounding import amount_text, plain_text
from mrv.rules.capacity import consumption_of, serving, too_large, using
from mrv.rules.consumption import least_use
from mrv.rules.effects import Cap, Effect, Floor, Judged, Level, NoReduction, RuleReport
from mrv.rules.facts import MATERIAL, Facts, node
from mrv.rules.invoiced_use import MORE
from mrv.service_bounds import Consumption
from mrv.texts import Text, lines, text

_DAY_US = 86_400_000_000
_DAY = timedelta(days=1)
# tolerance of two meters of class 1 (IEC 62053-21) for one quantity
ALIKE = Fraction(1, 100)
# share of a capacity that must be delivered if it limits a service without electricity
_BINDING = Fraction(1, 2)


# --- EVD-03 -------------------------------------------------------------------------------


def invoiced_quantities(facts: Facts) -> Iterator[Judged]:
    """EVD-03: yield limits on quantities that third-party invoices do not cover or contradict."""
    method, views = facts.methodology, facts.views
    asks = {*method.billed}.union(*(capacity.serves for capacity in method.capacities))
    # baseline values without an invoiced role need documents as well
    earning = {m.bound.role for m in views if m.needs.side == "baseline"}
    required = asks or (earning if method.baseline_documents else asks)
    invoiced = {m.device.id for m in views if facts.invoiced(m)}
    # if all meters of a building stood still, its base load would still be credited
    needed = any(
        m.bound.role in required and (m.bound.role in method.billed or m.moved)
        for m in views
        if len(m.service)
    )
    missing = [*_uncorroborated(facts, invoiced)] if needed else []
    unfavourable = dict[Text, None]()
    for effect, by, changed in _limits(facts, asks, invoiced):
        unfavourable |= dict.fromkeys(_unfavourable(facts, by, changed))
        yield effect
    devices = tuple(dict.fromkeys(m.device.id for m in views if m.device.id in invoiced))
    if missing:
        yield NoReduction()
        yield RuleReport(False, (*missing, text("EVD-03.nothing_counts")))
    elif unfavourable:
        # within the tolerance the conservative figure applies without a clarification request
        bare = any(text.code == "EVD-03.days_without" for text in unfavourable)
        yield RuleReport(False, tuple(unfavourable), None if bare else "observation", priced=True)
    elif needed and not any(c.kind == INVOICE and c.holds is False for c in facts.checks):
        yield RuleReport(True, (text("invoice.cover", devices=devices),) if devices else ())


def _limits(
    facts: Facts, asks: Collection[str], invoiced: Collection[str]
) -> Iterator[tuple[Effect, Sequence[Monitored], Text]]:
    """
    Yield limits of metered quantities, the meters whose invoices differ or are missing, and the
    change of the quantity.
    """
    views = facts.views
    for role, (more, by) in _beyond_invoices(facts, asks, invoiced).items():
        of = facts.of_role(role)
        if not more or not of:
            continue
        changed = amount_text(more, views[of[0]].needs.unit)
        if facts.metered[of[0]].baseline:
            counted = sum((views[i].counts for i in of), start=Fraction(0))
            yield Cap(node(Level.ROLE, of), counted - more, _reason(facts, by, LESS)), by, changed
            continue
        reason = _reason(facts, by, MORE)
        metered = sum(views[i].metered for i in of)
        shares = sum(len(views[i].parts) for i in of)
        for i in of:
            for j, part in enumerate(views[i].parts):
                share = Fraction(part.metered, metered) if metered else Fraction(1, shares)
                floor = Floor(i, j, more * share, reason, facts.period_us, invoiced=True)
                yield floor, by, changed
    for there, carried, users in _by_electricity(facts, invoiced):
        if carried < (metered := sum(views[i].metered for i in there)):
            changed = amount_text(metered - carried, views[there[0]].needs.unit)
            yield Cap(node(Level.PERIOD, there), carried, BARE), users, changed


def _uncorroborated(facts: Facts, invoiced: Collection[str]) -> Iterator[Text]:
    """Yield findings on quantities without invoices, and on values without documents."""
    method, evidence = facts.methodology, facts.evidence

    def bare(meters: Sequence[Monitored]) -> list[Monitored]:
        return [m for m in meters if m.device.id not in invoiced and not evidence.evidenced(m)]

    there = {
        m.device.id: m
        for m in facts.views
        if m.bound.role in method.billed and not _idle(facts.views, m)
    }
    yield from evidence.uncorroborated(bare([*there.values()]))
    large = too_large(facts, facts.price.parameters, _BINDING)
    for capacity in method.capacities:
        moved = [m for m in serving(facts.views, capacity) if m.moved]
        taken = consumption_of(method, capacity)
        users = [] if taken is None else using(facts.views, taken)
        # the evidence of a service is at most that of its energy consumption
        false = any(map(evidence.contradicted, users))
        alone = [m for m in moved if m.device.id not in invoiced] if false else bare(moved)
        # invoices of fuel are required separately
        if capacity.of or not alone or {*capacity.serves} <= {*method.billed}:
            continue
        if taken is None:
            if capacity.parameter in large:
                yield from evidence.uncorroborated(alone)
                yield text("EVD-03.no_bound", parameter=capacity.parameter)
        elif len({(m.bound.role, tuple(sorted(m.params.items()))) for m in moved}) > 1:
            yield from evidence.uncorroborated(alone)
            yield text("EVD-03.kinds")
        elif bare(users) or not users:
            yield from evidence.uncorroborated([*alone, *bare(users)])
    entered = {k: v for m in facts.views for k, v in m.params.items()} | {**facts.price.parameters}
    for name in method.baseline_documents:
        lacks = undocumented(name, entered, facts.supporting.documents, facts.last)
        if lacks is not None:
            yield text("document.lacking", parameter=name, lacks=lacks)


def _idle(views: Sequence[Monitored], meter: Monitored) -> bool:
    """
    Return whether a baseline meter measured nothing while another one of its role was installed.

    It then requires no invoice.
    """
    others = (m for m in views if m.bound.role == meter.bound.role and m.counts)
    return meter.needs.side == "baseline" and not meter.counts and any(others)


def _unfavourable(facts: Facts, by: Sequence[Monitored], changed: Text) -> Iterator[Text]:
    """Yield a finding for each time without invoices; else for each differing invoice."""
    evidence = facts.evidence
    if any([*evidence.less(m), *evidence.more(m)] for m in by):
        return  # `lower_invoices` and EVD-05 report it
    days = dict.fromkeys(day for m in by for day in _days_without(facts, m))
    names = tuple(dict.fromkeys(m.device.id for m in by))
    if days:
        yield text("EVD-03.days_without", devices=names, days=tuple(days))
    else:
        yield text("EVD-03.sums_differ", devices=names, changed=changed)


def _reason(facts: Facts, by: Sequence[Monitored], differing: Text) -> Text:
    """Return why another amount applies: time without invoice, or the differing invoice."""
    differ = any([*facts.evidence.less(m), *facts.evidence.more(m)] for m in by)
    lacking = not differ and any(bare(m, facts.evidence.showing(m)) for m in by)
    return BARE if lacking else differing


def _days_without(facts: Facts, meter: Monitored) -> Iterator[Text]:
    for first, last in bare(meter, facts.evidence.showing(meter)):
        days = tuple(local_date(us, facts.timezone) for us in (first, last - 1))
        edges = midnight_us(days[0], facts.timezone), midnight_us(days[1] + _DAY, facts.timezone)
        if (first, last) == edges:
            yield text("invoice.days", begin=str(days[0]), end=str(days[1]))
        else:
            yield text("invoice.time", **local_span((first, last), facts.timezone))


def _beyond_invoices(
    facts: Facts, asks: Collection[str], invoiced: Collection[str]
) -> dict[str, tuple[Fraction, Sequence[Monitored]]]:
    """Return by role the counted quantity above invoices [base units], and the invoiced meters."""
    method, views = facts.methodology, facts.views
    compared = {*asks}.union(*(consumption.uses for consumption in method.consumptions))
    compared |= {m.bound.role for m in views if m.needs.side == "baseline"}
    roles: dict[str, list[Monitored]] = {}
    for role in dict.fromkeys(m.bound.role for m in views if m.bound.role in compared):
        of = [m for m in views if m.bound.role == role]
        meters = [m for m in of if m.device.id in invoiced]
        # on the project side all meters, or none
        if meters and (len(meters) == len(of) or of[0].needs.side == "baseline"):
            roles[role] = meters
    priced = [*facts.compare(facts.supporting, facts.price.pricing)]
    evidence = Corroboration(facts.supporting, priced)
    checks = (check for role in roles.values() for check in _apart(role, evidence.holding))
    # decrease of the reduction if the invoices were applied instead of the meters
    lower = sum((Fraction(check.effect_t) for check in checks), start=Fraction(0))
    # a small error of one of two large quantities is a large error of their difference
    strict = lower > MATERIAL * abs(facts.price.claimed_t - lower)
    alike = Fraction(0) if strict else ALIKE
    return {role: (_beyond(facts, meters, alike), meters) for role, meters in roles.items()}


def _by_electricity(
    facts: Facts, invoiced: Collection[str]
) -> Iterator[tuple[Sequence[int], Fraction, Sequence[Monitored]]]:
    """
    Yield services whose electricity is invoiced, with the service that it permits.

    Time without an invoice is counted with the mean of the invoices.  The limit is the service
    delivered in the invoiced time, or that of MTR-06. [base units, before errors of meters]
    """
    for capacity in facts.methodology.capacities:
        taken = consumption_of(facts.methodology, capacity)
        there = [m for m in serving(facts.views, capacity) if m.needs.side == "baseline"]
        if capacity.of or taken is None or all(m.device.id in invoiced for m in there):
            continue
        users = using(facts.views, taken)
        if not users or any(m.device.id not in invoiced for m in users):
            continue
        share = _uninvoiced_share(facts, users)
        if not share:
            continue
        without = joined(span for m in users for span in bare(m, facts.evidence.showing(m)))
        roles = {m.bound.role for m in users}
        used = _in_time(facts, roles, ())
        if 2 * _in_time(facts, roles, without) < used:
            without = []  # the time in which all meters have invoices is too short
        counts, (least, rate) = used * (1 - share), least_use(facts, taken)
        for role in dict.fromkeys(m.bound.role for m in there):
            carried = counts * _in_time(facts, {role}, without) / _in_time(facts, roles, without)
            if carried * least > counts:
                carried = counts / rate
            yield facts.of_role(role), carried, users


def _in_time(facts: Facts, roles: Collection[str], bare: Sequence[Span]) -> Fraction:
    """Return the metered quantity of roles outside given time spans. [base units]"""
    there = [facts.views[i] for i in facts.of_role(*roles)]
    return Fraction(sum(m.metered - sum(map(m.quantity, bare)) for m in there))


# --- sums of a role's invoices ------------------------------------------------------------


class Billed(NamedTuple):
    """
    Comparison of a role's meters with their invoices. [base units]

    `theirs`: invoiced quantity.  `mean`: mean applied to time without an invoice.  `ours`: metered
    quantity of the invoiced time.  `counted`: its counted quantity.  `outside`: metered in invoiced
    time outside the period; not included in the others.
    """

    theirs: Fraction
    mean: Fraction
    ours: Fraction
    counted: Fraction
    outside: Fraction


def _apart(
    role: Sequence[Monitored], of: Callable[[Monitored], Iterable[CrossCheck]]
) -> Iterator[CrossCheck]:
    """
    Return comparisons of a role's meters that are evidence, in order of time and without overlap.

    Of several for the same time: the lowest on the baseline side, the highest on the project side.
    """
    checks = {(c.from_us, c.to_us, c.against): c for m in role for c in of(m)}.values()
    sign = 1 if role[0].needs.side == "baseline" else -1
    order = sorted(checks, key=lambda c: (c.from_us, c.to_us, sign * int(c.theirs), c.against))
    return apart(order)


def invoiced_sums(
    facts: Facts,
    role: Sequence[Monitored],
    of: Callable[[Monitored], Iterable[CrossCheck]] | None = None,
) -> Billed | None:
    """
    Return the sum of a role's invoices, by meter; None without invoices.

    `of`: a meter's comparisons with invoices that count; by default those that corroborate it.
    """
    names = {m.device.id for m in role}
    theirs, time_us = dict.fromkeys(names, Fraction(0)), dict.fromkeys(names, 0)
    ours, counted, beside = Fraction(0), Fraction(0), Fraction(0)
    # includes invoices that differ from a meter, of which the lower value applies
    for check in _apart(role, of or facts.evidence.showing):
        span_us = check.from_us, check.to_us
        first, last = (us // INTERVAL_US for us in span_us)
        for name, share in _shares(facts, check).items():
            if name in names:
                theirs[name] += share * check.theirs_within
                # one meter may replace another within an invoice
                own = [m for m in role if m.device.id == name]
                time_us[name] += served(own, first, last) * INTERVAL_US
                ours += share * check.ours_within
                counted += sum(m.quantity(span_us) - m.taken(span_us) for m in own)
                beside += share * check.outside
    every_us = sum(time_us.values())
    if not every_us:
        return None
    all_theirs, mean = sum(theirs.values(), start=Fraction(0)), Fraction(0)
    for name in names:
        spans = (m.span_us for m in role if m.device.id == name)
        whole_us = sum(end - begin for begin, end in spans)
        # a meter whose invoices all overlap those of other meters has their mean
        rate = theirs[name] / time_us[name] if time_us[name] else all_theirs / every_us
        mean += rate * max(0, whole_us - time_us[name])
    return Billed(all_theirs, mean, ours, counted, beside)


def _shares(facts: Facts, check: CrossCheck) -> Mapping[str, Fraction]:
    """Return by meter its share of an invoice, in proportion to its metered quantity. [1]"""
    mine = {m.device.id for m in facts.views}
    metered = {name: 0 for name in check.devices if name in mine}
    for m in facts.views:
        if m.device.id in metered and m.needs.quantity == check.quantity:
            metered[m.device.id] += m.quantity((check.from_us, check.to_us))
    whole = sum(metered.values())
    return {
        name: Fraction(value, whole) if whole else Fraction(1, len(metered))
        for name, value in metered.items()
    }


def _beyond(facts: Facts, role: Sequence[Monitored], alike: Fraction) -> Fraction:
    """
    Return the counted quantity of a role's meters above their invoices, negative if below. [base
    units]

    `role`: invoiced meters.  `alike`: tolerance as a share of the invoiced quantity.
    """
    billed = invoiced_sums(facts, role)
    if billed is None:
        return Fraction(0)
    # the output, as invoices state it: own use is deducted from the lower of the two
    counted = sum((m.counts + m.own_use for m in role), start=Fraction(0))
    whole = billed.theirs + billed.mean
    if role[0].needs.side == "baseline":
        # invoices that state more corroborate as well, such as those with the last day entered as
        # `to`
        larger = max(billed.ours, billed.theirs)
        far, uncovered = counted - whole, counted - larger - billed.mean
    else:
        far, uncovered = whole - counted, billed.mean - (counted - billed.counted)
    # a smaller difference is ignored; meters and invoices are compared over the invoices' time
    result = far if far > alike * (whole + billed.outside) else Fraction(0)
    return max(Fraction(0), result, uncovered if billed.mean else Fraction(0))


def _uninvoiced_share(facts: Facts, users: Sequence[Monitored]) -> Fraction:
    """
    Return the share of a service's electricity above that of its invoices, with the time without
    invoices at their mean; zero within the tolerance.
    """
    billed = invoiced_sums(facts, users)
    metered = sum(m.metered for m in users)
    if billed is None or not billed.mean or not metered:
        return Fraction(0)
    more = metered - billed.ours - billed.mean
    return more / metered if more > ALIKE * billed.mean else Fraction(0)


# --- EVD-04 -------------------------------------------------------------------------------


def class_mean(facts: Facts) -> Iterator[Judged]:
    """
    EVD-04: yield limits on a mean activity above the class's, if the consumption is not invoiced.

    If invoices cover part of the consumption, that share of the service is credited, or the mean of
    the class if that is more.  The share refers to the quantity within the limits of earlier stages
    (`Cap.share`).
    """
    above, applied = dict[str, Text](), dict[Text, None]()
    for consumption in facts.methodology.consumptions:
        users = using(facts.views, consumption)
        whole = bool(users) and all(map(facts.invoiced, users))
        share = 1 - _uninvoiced_share(facts, users) if whole else Fraction(0)
        if share == 1:
            continue
        for name, of in _of_class(facts, consumption).items():
            counts, days, mean = Fraction(0), Fraction(0), Fraction(0)
            for i, a_day in of.items():
                meter = facts.views[i]
                served = max(Fraction(len(meter.service) * INTERVAL_US, _DAY_US), Fraction(1))
                days += served
                mean += a_day * served
                counts += meter.counts
            if counts <= mean:
                continue
            unit = facts.views[next(iter(of))].needs.unit
            maximum, per_day = amount_text(mean / days, unit), amount_text(counts / days, unit)
            reason = text("EVD-04.class_mean", most=maximum)
            if share:
                reason = text("EVD-04.share", percent=plain_text(100 * share, 2))
            yield Cap(node(Level.DEVICE, [*of]), mean, reason, share=share)
            above[name] = text("EVD-04.above", device=name, per_day=per_day, most=maximum)
            applied |= {reason: None} if share else {}
    if above:
        uses = {role for consumption in facts.methodology.consumptions for role in consumption.uses}
        names = dict.fromkeys(m.device.id for m in facts.views if m.bound.role in uses)
        texts = (*lines(above.values()), *applied)
        texts = (*texts, text("EVD-04.invoices", devices=tuple(names)))
        yield RuleReport(False, texts)


def _of_class(facts: Facts, consumption: Consumption) -> dict[str, dict[int, int]]:
    """Return the daily mean of the class by device and index of the meter. [base units per day]"""
    result = defaultdict[str, dict[int, int]](dict)
    for i in facts.of_role(*consumption.serves):
        meter = facts.views[i]
        if meter.class_limit is not None and meter.class_limit.per_day_as_mean:
            result[meter.device.id][i] = meter.class_limit.per_day_as_mean
    return result
