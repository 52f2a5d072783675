"""
Rules EVD-02, EVD-03 and EVD-07: independent evidence of a plant's deliveries and consumption.

Water, mass and load are reported only by the plant's own meter.  Evidence (EVD-02) is the design,
if a third party's document from before the period, with the hash of its file, states each value; or
invoices over nearly all of the time.  Without evidence the delivery is not credited: COD of the
inflow is 0, a pump's water is the amount that its electricity pumped before the project, else 0.

Within the design all meters may still read too high.  If no invoice covers the delivery or its
electricity, a finding states the possible amount (EVD-03).  Hours of lamps are corroborated by
their electricity, from invoices or the controller.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import NamedTuple

from ingest.model import HOUR_US, INTERVAL_US
from mrv.accounting.device_period import Monitored
from mrv.accounting.entered_values import undocumented
from mrv.accounting.evidenced_time import COVERED, TOLERANCE, Span, length, name_of, percent, served
from mrv.accounting.period_result import METER
from mrv.model import Methodology
from mrv.parameters import Inputs
from mrv.registry.project import Invoice, SupportingData
from mrv.rounding import amount_text, exact_sum, plain_text, six_places
from mrv.rules import Severity
from mrv.rules.capacity import (
    at_capacity,
    consumption_of,
    electricity,
    reported_samples,
    serving,
    too_large,
    using,
)
from mrv.rules.effects import Cap, Exclude, Fix, Judged, Level, RuleReport
from mrv.rules.equipment import unknown_time, watts
from mrv.rules.facts import Facts, node
from mrv.rules.invoiced_use import applied
from mrv.service_bounds import Capacity
from mrv.texts import Text, text

UNCOUNTED, _BEFORE = text("EVD-02.uncounted"), text("EVD-02.before")
_FUEL_METER = "fuel_meter"
# share of the reduction below which no evidence of a quantity is required
_NEGLIGIBLE = Fraction(1, 100)
# share of the delivery below which a further possible delivery is an observation
_SMALL = Fraction(1, 200)
_S_PER_HOUR = 3600
_TIMES = 10


def _names(meters: Sequence[Monitored]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(m.device.id for m in meters))


# --- EVD-02: delivered service ------------------------------------------------------------


class _Bare(NamedTuple):
    """Service without evidence: its meters, and texts on the missing documents."""

    capacity: Capacity
    devices: tuple[str, ...]
    missing: tuple[Text, ...]


def delivered_service(facts: Facts) -> Iterator[Judged]:
    """EVD-02: yield exclusions of a service reported only by the plant's own meters."""
    method = facts.methodology
    bare = []
    for capacity in method.capacities:
        missing = tuple(_missing(facts, capacity))
        alone = _alone(facts, capacity) if missing else ()
        if alone:
            bare.append(_Bare(capacity, alone, missing))
    if not bare:
        return
    devices, zero = _not_counted(method, bare)
    for i, m in enumerate(facts.metered):
        if m.baseline and m.base.device.id in devices:
            yield Exclude(i, UNCOUNTED)
    for name in sorted(zero):
        yield Fix(name, Fraction(0))
    for item in bare:
        taken = consumption_of(method, item.capacity)
        if taken is not None and taken.before:
            rate = Fraction(facts.parameters[taken.before]) / taken.per_base
            carried = electricity(facts.views, taken) / rate if rate else Fraction(0)
            of = facts.of_role(*item.capacity.serves)
            yield Cap(node(Level.PERIOD, of), carried, _BEFORE)
    texts = [_unsupported(method, item) for item in bare]
    yield from dict.fromkeys((*texts, *(lack for item in bare for lack in item.missing)))


def _unsupported(methodology: Methodology, item: _Bare) -> Text:
    """Return the text on a service without evidence, and on the amount applied in its place."""
    if item.capacity.of:
        return text("EVD-02.analyser", parameter=item.capacity.of)
    taken = consumption_of(methodology, item.capacity)
    if taken is not None and taken.before:
        return text("EVD-02.by_before", devices=item.devices, parameter=taken.before)
    return text("EVD-02.alone", devices=item.devices)


def _alone(facts: Facts, capacity: Capacity) -> tuple[str, ...]:
    there = [m for m in serving(facts.views, capacity) if m.moved]
    if capacity.of:
        load = facts.price.parameters.get(capacity.of)
        return _names(there) if load and capacity.of not in reported_samples(facts) else ()
    return _names([m for m in there if not facts.evidence.evidenced(m)])


def _missing(facts: Facts, capacity: Capacity) -> Iterator[Text]:
    """Yield findings on design values that are missing, undocumented, or of another plant."""
    parameters = facts.price.parameters
    taken = consumption_of(facts.methodology, capacity)
    names = [
        capacity.parameter,
        *([taken.by_design] if taken is not None and not capacity.of else []),
    ]
    for name in names:
        lacks = undocumented(name, parameters, facts.supporting.documents, facts.first)
        if lacks is not None:
            yield text("document.lacking", parameter=name, lacks=lacks)
        elif taken is None:
            if name in too_large(facts, parameters):
                yield text("EVD-02.no_bound", parameter=name)
        elif name == taken.by_design:
            # the electricity is a multiple of the design's
            served = sum(m.delivered for m in serving(facts.views, taken))
            used = electricity(facts.views, taken)
            rate = Fraction(parameters[name]) / taken.per_base
            if served and used > taken.highest * rate * served:
                yield text(
                    "EVD-02.foreign", parameter=name, unit=taken.unit,
                    used=plain_text(used / served * taken.per_base, 3),
                    times=plain_text(taken.highest, 1),
                )  # fmt: skip


def _not_counted(methodology: Methodology, bare: Sequence[_Bare]) -> tuple[set[str], set[str]]:
    """Return the ids of devices that are not counted, and the names of parameters set to 0."""
    devices, zero = set[str](), set[str]()
    for capacity, names, _ in bare:
        strong = {c.of for c in methodology.capacities if c.of and c.serves == capacity.serves}
        taken = consumption_of(methodology, capacity)
        # water with an unknown load is not credited, but its methane losses are charged
        zero |= strong
        if not strong and (taken is None or not taken.before):
            devices.update(names)
    # the outflow is at most the inflow
    zero |= {n for n, spec in methodology.parameters.items() if spec.unmeasured in zero}
    return devices, zero


def built_for(
    methodology: Methodology, parameters: Inputs, supporting: SupportingData, role: str, first: date
) -> Fraction | None:
    """
    Return the daily design capacity of a role by dated documents; None if absent. [base units]

    It also limits the charge for time without data, as the highest rate of a weighbridge does not
    occur for weeks.  `first`: first local day of the period; documents must be older.
    """
    return min(
        (
            Fraction(parameters[capacity.parameter]) * capacity.base_units
            for capacity in methodology.capacities
            if role in capacity.serves
            and not capacity.of
            and not undocumented(capacity.parameter, parameters, supporting.documents, first)
        ),
        default=None,
    )


# --- EVD-03, EVD-07: missing invoices -----------------------------------------------------


def service_invoices(facts: Facts) -> Iterator[Judged]:
    """EVD-03: yield reports of services within their design that no invoice corroborates."""
    method, views, parameters = facts.methodology, facts.price.views, facts.price.parameters
    for taken in method.consumptions:
        users = using(views, taken)
        there = serving(views, taken)
        # without a charger the methodology's own condition is not met
        if taken.by_model and users and any(s.value for m in there for s in m.stretches):
            yield _by_invoices(facts, users, text("EVD-03.charging", devices=_names(there)))
    for capacity in method.capacities:
        # `invoices` compares a service that uses electricity with invoices of it, with a tolerance
        powered = consumption_of(method, capacity) is not None
        if powered and not facts.price.is_difference:
            continue
        there = [m for m in serving(views, capacity) if any(s.value for s in m.stretches)]
        if capacity.of or not there or capacity.parameter not in parameters:
            continue
        if {*capacity.serves} <= {*method.billed}:
            continue
        alone, texts = _corroborated(facts, there)
        if alone and powered:
            yield from _by_difference(facts, alone)
        elif alone:
            yield from _within_design(there, alone, capacity, parameters)
        elif texts and not powered:
            yield RuleReport(True, texts)


def _corroborated(
    facts: Facts, there: Sequence[Monitored]
) -> tuple[list[Monitored], tuple[Text, ...]]:
    """Return a service's meters without evidence, and texts on the evidence for the others."""
    covered, powered, alone, texts = [], [], [], []
    for m in there:
        check = facts.evidence.agreeing(m, alone=True)
        if facts.invoiced(m):
            covered.append(m)
        elif _billed_power(facts, m):
            powered.append(m)
        elif check is not None:
            texts.append(text("EVD-07.witness", device=m.device.id, witness=check.witness))
        elif _own_power(facts, m):
            texts.append(text("EVD-07.power", device=m.device.id))
        else:
            alone.append(m)
    if powered:
        texts.insert(0, _by_power(facts, powered))
    # `lower_invoices` reports the deduction of invoices that state less
    if covered and not any([*facts.evidence.less(m)] for m in covered):
        texts.insert(0, text("invoice.cover", devices=_names(covered)))
    return alone, tuple(texts)


def _by_difference(facts: Facts, alone: Sequence[Monitored]) -> Iterator[RuleReport]:
    """Yield the report on a service without invoices, if project emissions exceed the reduction."""
    lacking = [m for m in alone if not facts.evidence.provided(m)]
    if not lacking:
        return
    rate, reduction_t = facts.price.pricing.rate, facts.price.reduction_t
    carried = (part.counted * rate(m, part.year) for m in lacking for part in m.parts)
    share = sum(carried, start=Fraction(0)) / reduction_t / 100
    means = text("EVD-03.difference", percent=percent(share))
    yield RuleReport(False, (*facts.evidence.uncorroborated(lacking), means))


def _within_design(
    there: Sequence[Monitored], alone: Sequence[Monitored], capacity: Capacity, parameters: Inputs
) -> Iterator[RuleReport]:
    """Yield the report on the further delivery of uncorroborated meters, if the design permits."""
    sharing = alone if capacity.each else there
    more = at_capacity(sharing, capacity, parameters) - sum(m.delivered for m in sharing)
    room = more / sum(m.delivered for m in alone)
    if room <= 0:
        return
    within = text(
        "EVD-03.within", devices=_names(alone), parameter=capacity.parameter, percent=percent(room)
    )
    severity: Severity | None = "observation" if room < _SMALL else None
    power = (text("EVD-03.power_too"),) if any(m.needs.draws for m in alone) else ()
    yield RuleReport(False, (within, *power), severity)


def _by_power(facts: Facts, powered: Sequence[Monitored]) -> Text:
    """Return the text on groups whose invoiced electricity agrees, with both sums."""
    names = {m.device.id for m in powered}
    sums = [
        (invoice.value, taken)
        for invoice, taken in _by_hours(facts)
        if names & {*invoice.devices} and _burnt(invoice, taken)
    ]
    invoiced, calculated = (amount_text(sum(each), "Wh") for each in zip(*sums, strict=True))
    return text(
        "EVD-03.by_power",
        devices=_names(powered),
        invoiced=invoiced,
        calculated=calculated,
        percent=percent(TOLERANCE),
    )


def _billed_power(facts: Facts, meter: Monitored) -> bool:
    """Return whether a group's invoiced electricity agrees with its hours, number and power."""
    quantity, _ = meter.needs.draws or ("", ())
    agreeing, differing = list[Span](), list[Span]()
    for invoice, taken in _by_hours(facts):
        if invoice.quantity == quantity and meter.device.id in invoice.devices:
            span = invoice.from_us, invoice.to_us
            (agreeing if _burnt(invoice, taken) else differing).append(span)
    begin, end = meter.span_us
    covered_us = length([*agreeing, *differing], begin, end) - length(differing, begin, end)
    return covered_us >= COVERED * (end - begin)


def _own_power(facts: Facts, meter: Monitored) -> bool:
    """Return whether a device's own electricity corroborates its hours, by number and power."""
    drawn = facts.supporting.drawn.get(meter.device.id)
    if meter.needs.draws is None or drawn is None:
        return False
    if len(drawn.number) < COVERED * len(meter.service):
        return False
    edges = facts.stretches[0], facts.stretches[-1]
    groups = [m for m in facts.price.views if m.device.id == meter.device.id and m.needs.draws]
    hours = (
        (m.metered - unknown_time(m, drawn.number, *edges)) * watts(m) / _S_PER_HOUR for m in groups
    )
    wh = exact_sum(drawn.value)
    return abs(sum(hours, start=Fraction(0)) - wh) <= TOLERANCE * wh


def _by_hours(facts: Facts) -> Iterator[tuple[Invoice, Fraction | None]]:
    """
    Yield invoices that are documents, with the energy that lamps consume in their time by hours,
    number and power; None if it is not known of all their devices. [Wh]
    """
    for invoice in facts.supporting.invoices:
        groups = [
            m
            for m in facts.price.views
            if m.device.id in invoice.devices and (m.needs.draws or ("",))[0] == invoice.quantity
        ]
        first, last = invoice.from_us // INTERVAL_US, invoice.to_us // INTERVAL_US
        known = {m.device.id for m in groups if served([m], first, last) >= last - first}
        hours = (
            watts(m) * Fraction(m.quantity((invoice.from_us, invoice.to_us)), _S_PER_HOUR)
            for m in groups
        )
        if name_of(invoice) in facts.evidence.documents:
            whole = known == {*invoice.devices}
            yield invoice, sum(hours, start=Fraction(0)) if whole else None


def _burnt(invoice: Invoice, taken: Fraction | None) -> bool:
    """Return whether the energy that lamps consume by their hours agrees with their invoice."""
    return taken is not None and abs(taken - invoice.value) <= TOLERANCE * invoice.value


def project_fuel(facts: Facts) -> Iterator[Judged]:
    """EVD-07: yield a report on project fuel that only its own meter reports (TOOL03)."""
    there = [
        m
        for m in facts.price.views
        if m.needs.side == "project" and _FUEL_METER in m.needs.classes and m.moved
    ]
    if there:
        yield _by_invoices(facts, there, text("EVD-07.fuel"))


def project_electricity(facts: Facts) -> Iterator[Judged]:
    """EVD-07: yield a report on project electricity that only its own meter reports."""
    views, reduction_t = facts.price.views, facts.price.reduction_t
    consumptions = facts.methodology.consumptions
    charging = {r for consumption in consumptions if consumption.by_model for r in consumption.uses}
    there = [
        m
        for m in views
        if m.needs.side == "project"
        and m.needs.unit == "Wh"
        and m.bound.role not in charging
        and len(m.service)
    ]
    if not there or reduction_t <= 0:
        return
    spans = applied(facts)
    # if the reduction is a difference of two large quantities, invoices are requested as well
    large = sum((_emitted(facts, m, m.counts) for m in there), start=Fraction(0)) > reduction_t
    gauged = [
        _gauged(facts, m) if not large or facts.evidence.provided(m) else Fraction(0) for m in there
    ]
    witnesses = [
        (m, _witness(facts, m, spans, share)) for m, share in zip(there, gauged, strict=True)
    ]
    alone = [m for m, witness in witnesses if witness is None]
    if not alone:
        yield RuleReport(True, tuple(dict.fromkeys(w for _, w in witnesses if w is not None)))
        return
    more = [_possible_excess(facts, m) for m in alone]
    tonnes = sum((t for _, t in more), start=Fraction(0))
    shares = (
        share for share, (_, witness) in zip(gauged, witnesses, strict=True) if witness is None
    )
    left = sum((t * (1 - share) for share, (_, t) in zip(shares, more, strict=True)), Fraction(0))
    if left < _NEGLIGIBLE * reduction_t:
        return
    counted = sum((m.counts for m in alone), start=Fraction(0))
    maximum = counted + sum(wh for wh, _ in more)
    means = text(
        "EVD-07.electricity",
        counted=amount_text(counted, "Wh"), most=amount_text(maximum, "Wh"),
        effect=six_places(tonnes),
    )  # fmt: skip
    yield RuleReport(False, (*facts.evidence.uncorroborated(alone), means))


def _gauged(facts: Facts, meter: Monitored) -> Fraction:
    """Return the share of its time in which a meter's own power corroborates it."""
    return facts.supporting.gauged.get((meter.device.id, meter.needs.quantity), Fraction(0))


def _witness(
    facts: Facts, meter: Monitored, spans: Mapping[str, Sequence[Span]], gauged: Fraction
) -> Text | None:
    """
    Return the text on the evidence for a meter's electricity; None without evidence.

    `gauged`: share of its time that the meter's own power corroborates.
    """
    name = meter.device.id
    if facts.invoiced(meter):
        return text("invoice.cover", devices=(name,))
    if _applied(facts, meter, spans):
        return text("EVD-07.applied", device=name)
    check = facts.evidence.agreeing(meter)
    if check is not None:
        return text("EVD-07.witness", device=name, witness=check.witness)
    return text("EVD-07.power", device=name) if gauged >= COVERED else None


def _applied(facts: Facts, meter: Monitored, spans: Mapping[str, Sequence[Span]]) -> bool:
    """Return whether invoices that are applied to a meter cover its time."""
    own = spans.get(meter.device.id, ())
    return bool(own) and facts.evidence.covered(meter, own)


def _by_invoices(facts: Facts, meters: Sequence[Monitored], means: Text) -> RuleReport:
    """Return the report on whether invoices or check meters corroborate meters."""
    spans = applied(facts)
    rest = [m for m in meters if not facts.invoiced(m) and not _applied(facts, m, spans)]
    checks = {m.device.id: facts.evidence.agreeing(m) for m in rest}
    lacking = [m for m in rest if getattr(checks[m.device.id], "kind", None) != METER]
    if not lacking:
        covered = _names([m for m in meters if m not in rest])
        texts = [text("invoice.cover", devices=covered)] if covered else []
        texts += [
            text("EVD-07.witness", device=name, witness=check.witness)
            for name, check in checks.items()
            if check is not None
        ]
        return RuleReport(True, tuple(texts))
    return RuleReport(False, (*facts.evidence.uncorroborated(lacking), means))


def _possible_excess(facts: Facts, meter: Monitored) -> tuple[Fraction, Fraction]:
    """Return a meter's possible consumption above the counted one. [Wh, tCO2e]"""
    rated = (meter.rate or Fraction(0)) * Fraction(len(meter.service) * INTERVAL_US, HOUR_US)
    more = max(rated, Fraction(_TIMES * meter.metered)) - meter.counts
    if more <= 0:
        return Fraction(0), Fraction(0)
    return more, _emitted(facts, meter, more)


def _emitted(facts: Facts, meter: Monitored, wh: Fraction) -> Fraction:
    """Return the emissions of a meter's electricity, by the highest factor of its years. [tCO2e]"""
    rate = facts.price.pricing.rate
    return wh * max(rate(meter, part.year) for part in meter.parts)
