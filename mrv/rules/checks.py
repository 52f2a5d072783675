"""Rules that report on the final account and change no quantity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mrv.accounting import project_meters, service_evidence
from mrv.accounting.changed_meters import changed_meters
from mrv.accounting.fallen_registers import fallen_registers
from mrv.accounting.measured_power import measured_powers
from mrv.accounting.period_result import Finding
from mrv.accounting.service_evidence import Services
from mrv.accounting.used_electricity import used_electricity
from mrv.rules.effects import Effect, Said
from mrv.rules.facts import Facts


def _said(found: Iterable[Finding], rule: str) -> Iterator[Effect | Said]:
    yield from (Said(one.holds, one.detail) for one in found if one.rule == rule)


def changed(facts: Facts) -> Iterator[Effect | Said]:
    """REG-03: time without a meter, or with two, at a change of meters; no finding."""
    yield from _said(
        changed_meters(facts.price.views, facts.price.pricing,
                       facts.timezone),
        "REG-03",
    )  # fmt: skip


def left_lines(facts: Facts) -> Iterator[Effect | Said]:
    """REG-03: a register that left its line, with no replacement in the registry."""
    yield from _said(
        fallen_registers(
            facts.price.views, facts.besides.fallen, facts.price.pricing, facts.timezone
        ),
        "REG-03",
    )


def equipment_power(facts: Facts) -> Iterator[Effect | Said]:
    """MTR-12: a power below what the device's own electricity measures."""
    yield from _said(measured_powers(facts.price.views, facts.price.pricing), "MTR-12")


def equipment_efficiency(facts: Facts) -> Iterator[Effect | Said]:
    """MTR-13: an efficiency above what the device itself measures."""
    price = facts.price
    yield from _said(price.performed.findings(price.stated, price.reduced), "MTR-13")


def _project_meters(facts: Facts) -> Iterator[Finding]:
    return project_meters.project_meters(
        facts.price.views, facts.methodology, facts.stretches,
        facts.price.pricing,
    )  # fmt: skip


def project_side(facts: Facts) -> Iterator[Effect | Said]:
    """MTR-11: meters of the project's side that do not report, or stand still."""
    yield from _said(_project_meters(facts), project_meters.RULE)


def claimed_twice(facts: Facts) -> Iterator[Effect | Said]:
    """CLM-03: two quantities of a plant that may be the same energy."""
    yield from _said(_project_meters(facts), project_meters.APART)


def _services(facts: Facts) -> Services:
    price = facts.price
    checks = [*facts.compare(facts.besides, price.pricing)]
    return Services(price.views, facts.methodology, price.parameters, facts.besides, checks)


def service_invoices(facts: Facts) -> Iterator[Effect | Said]:
    """EVD-03: services within their design that no invoice corroborates."""
    yield from _said(_services(facts).outside(), service_evidence.OUTSIDE)


def project_fuel(facts: Facts) -> Iterator[Effect | Said]:
    """EVD-07: fuel of the project that no invoice corroborates."""
    yield from _said(_services(facts).outside(), service_evidence.FUEL)


def project_electricity(facts: Facts) -> Iterator[Effect | Said]:
    """EVD-07: electricity of the project that only its own meter reports."""
    price = facts.price
    checks = [*facts.compare(facts.besides, price.pricing)]
    found = used_electricity(
        price.views, facts.methodology, facts.besides, checks, price.reduction_t, price.pricing
    )
    yield from _said(found, "EVD-07")
