"""Rules that report on the final account and change no quantity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mrv.accounting import service_evidence
from mrv.accounting.dated_values import undated
from mrv.accounting.factor_acceptance import accepted, condition
from mrv.accounting.invoiced_use import applied
from mrv.accounting.period_result import Finding
from mrv.accounting.service_evidence import Services
from mrv.rules.effects import Effect, Said
from mrv.rules.facts import Facts
from mrv.rules.power import above_power


def _said(found: Iterable[Finding], rule: str) -> Iterator[Effect | Said]:
    yield from (Said(one.holds, one.texts) for one in found if one.rule == rule)


def default_factors(facts: Facts) -> Iterator[Effect | Said]:
    """FAC-02: default factors that nobody compared with their publication."""
    where = f"project {facts.project.id}: parameters"
    names = accepted(facts.project.parameters, where)
    found = condition(facts.price.used, names)
    yield from _said([found] if found else [], "FAC-02")


def equipment_power(facts: Facts) -> Iterator[Effect | Said]:
    """MTR-12: a power below what the device's own electricity measures."""
    found = above_power(facts.price.views, facts.price.pricing, facts.timezone)
    if found:
        yield Said(False, found)


def equipment_efficiency(facts: Facts) -> Iterator[Effect | Said]:
    """MTR-13: an efficiency above what the device itself measures."""
    yield from _said(facts.price.slow, "MTR-13")


def _services(facts: Facts) -> Services:
    price = facts.price
    checks = [*facts.compare(facts.besides, price.pricing)]
    counted = applied(facts.views, facts.besides, checks, facts.project, facts.period_us)
    return Services(
        price.views, facts.methodology, price.parameters, facts.besides, checks, counted
    )


def service_invoices(facts: Facts) -> Iterator[Effect | Said]:
    """EVD-03: services within their design that no invoice corroborates."""
    yield from _said(_services(facts).outside(), service_evidence.OUTSIDE)


def project_fuel(facts: Facts) -> Iterator[Effect | Said]:
    """EVD-07: fuel of the project that no invoice corroborates."""
    yield from _said(_services(facts).burnt(), service_evidence.USED)


def project_electricity(facts: Facts) -> Iterator[Effect | Said]:
    """EVD-07: electricity of the project that only its own meter reports."""
    price = facts.price
    found = _services(facts).electricity(price.reduction_t, price.pricing)
    yield from _said(found, service_evidence.USED)


def documented_values(facts: Facts) -> Iterator[Effect | Said]:
    """PAR-07: values that the methodology lists, without dated documents."""
    found = undated(
        facts.methodology, facts.price.stated, facts.price.views, facts.besides, facts.first
    )
    yield from _said(found, "PAR-07")
