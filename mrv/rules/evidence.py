"""Rules of corroboration: invoices, design documents, means of a class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from ingest.model import INTERVAL_US
from mrv.accounting import invoiced_use as uses
from mrv.accounting.corrected_invoices import first_ones
from mrv.accounting.design_capacity import consumption_of, electricity
from mrv.accounting.invoice_evidence import billing
from mrv.accounting.invoiced_amounts import BILLED, MORE, unusual
from mrv.accounting.service_evidence import BEFORE, Services, not_counted, without_evidence
from mrv.rules.effects import Cap, Effect, Exclude, Fix, Floor, Level, NoReduction, Said
from mrv.rules.facts import Facts, node
from mrv.texts import lines, text


def invoiced_quantities(facts: Facts) -> Iterator[Effect | Said]:
    """EVD-03: quantities that third-party invoices do not cover, or differ from."""
    price = facts.price
    found = billing(
        facts.views, facts.methodology, price.parameters, facts.besides,
        [*facts.compare(facts.besides, price.pricing)], facts.first, price.reduction_t,
    )  # fmt: skip
    if found is None:
        return
    for role, excess in found.beyond.items():
        of = facts.of_role(role)
        if not excess or not of:
            continue
        if facts.metered[of[0]].baseline:
            counted = sum((facts.solved.counted(i) for i in of), start=Fraction(0))
            yield Cap(node(Level.ROLE, of), counted - excess, BILLED)
            continue
        metered = sum(p.metered for i in of for p in facts.views[i].parts)
        shares = sum(len(facts.views[i].parts) for i in of)
        for i in of:
            for j, part in enumerate(facts.views[i].parts):
                share = Fraction(part.metered, metered) if metered else Fraction(1, shares)
                yield Floor(i, j, excess * share, MORE, facts.period_us, invoiced=True)
    if found.missing:
        yield NoReduction()
    said = found.finding()
    yield Said(said.holds, said.texts)


def class_mean(facts: Facts) -> Iterator[Effect | Said]:
    """EVD-04: a mean activity above that of the class, without invoices of its use."""
    found = unusual(facts.views, facts.methodology, facts.besides, facts.checks)
    for name, one in found.items():
        of = [i for i, m in enumerate(facts.metered) if m.base.device.id == name]
        counted = sum((facts.solved.counted(i) for i in of), start=Fraction(0))
        yield Cap(node(Level.DEVICE, of), counted - one.excess, one.reason)
    if found:
        users = Services(
            facts.views, facts.methodology, facts.parameters, facts.besides, facts.checks
        ).users()
        above = [
            text("EVD-04.above", device=name, per_day=one.per_day, most=one.most)
            for name, one in found.items()
        ]
        yield Said(False, (*lines(above), text("EVD-04.invoices", devices=users)))


def delivered_service(facts: Facts) -> Iterator[Effect | Said]:
    """EVD-02: a service that only the plant's own meters report."""
    method = facts.methodology
    services = Services(facts.views, method, facts.price.parameters, facts.besides, facts.checks)
    bare = services.bare(facts.first)
    devices, zero = not_counted(method, {one.capacity.parameter: one.devices for one in bare})
    for i, m in enumerate(facts.metered):
        if m.baseline and m.base.device.id in devices:
            yield Exclude(i, devices[m.base.device.id])
    for name in sorted(zero) if bare else ():
        yield Fix(name, Fraction(0))
    for one in bare:
        taken = consumption_of(method, one.capacity)
        if taken is not None and taken.before:
            rate = Fraction(facts.parameters[taken.before]) / taken.per_base
            carried = electricity(facts.views, taken) / rate if rate else Fraction(0)
            of = facts.of_role(*one.capacity.serves)
            yield Cap(node(Level.PERIOD, of), carried, BEFORE)
    if bare:
        yield Said(False, without_evidence(bare))


def invoiced_use(facts: Facts) -> Iterator[Effect | Said]:
    """EVD-05: use of a project below what its suppliers invoiced."""
    first = first_ones(facts.besides)
    held = replace(facts.besides, invoices=(*facts.besides.invoices, *first))
    checks = [*facts.checks]
    if first:
        checks += facts.compare(
            replace(facts.besides, meters=(), invoices=first), facts.price.pricing
        )
    found = uses.more_used(facts.views, held, checks, facts.project, facts.period_us)
    if found is None:
        return
    for i, one in enumerate(facts.metered):
        added = found.by_meter.get(uses.meter_key(one.base), ())
        for j, (a, b) in enumerate(one.edges):
            span = a * INTERVAL_US, b * INTERVAL_US
            inside = [
                (max(s, span[0]), min(e, span[1]), uses.within((s, e, q), span))
                for s, e, q in added
                if max(s, span[0]) < min(e, span[1])
            ]
            if inside:
                more = sum((q for *_, q in inside), start=Fraction(0))
                time = min(s for s, *_ in inside), max(e for _, e, _ in inside)
                yield Floor(i, j, more, MORE, time, invoiced=True)
    yield Said(False, (*lines(found.texts), text("EVD-05.proportion")))


# --- check: the final account ---------------------------------------------------------------


def _services(facts: Facts) -> Services:
    price = facts.price
    checks = [*facts.compare(facts.besides, price.pricing)]
    counted = uses.applied(facts.views, facts.besides, checks, facts.project, facts.period_us)
    return Services(
        price.views, facts.methodology, price.parameters, facts.besides, checks, counted
    )


def service_invoices(facts: Facts) -> Iterator[Effect | Said]:
    """EVD-03: services within their design that no invoice corroborates."""
    yield from (Said(one.holds, one.texts) for one in _services(facts).outside())


def project_fuel(facts: Facts) -> Iterator[Effect | Said]:
    """EVD-07: fuel of the project that no invoice corroborates."""
    yield from (Said(one.holds, one.texts) for one in _services(facts).burnt())


def project_electricity(facts: Facts) -> Iterator[Effect | Said]:
    """EVD-07: electricity of the project that only its own meter reports."""
    price = facts.price
    found = _services(facts).electricity(price.reduction_t, price.pricing)
    yield from (Said(one.holds, one.texts) for one in found)
