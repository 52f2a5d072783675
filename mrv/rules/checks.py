"""Rules that report on the final account and change no quantity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mrv.accounting.period_result import Finding
from mrv.rules.effects import Effect, Said
from mrv.rules.facts import Facts
from mrv.rules.power import above_power


def _said(found: Iterable[Finding], rule: str) -> Iterator[Effect | Said]:
    yield from (Said(one.holds, one.texts) for one in found if one.rule == rule)


def equipment_power(facts: Facts) -> Iterator[Effect | Said]:
    """MTR-12: a power below what the device's own electricity measures."""
    found = above_power(facts.price.views, facts.price.pricing, facts.timezone)
    if found:
        yield Said(False, found)


def equipment_efficiency(facts: Facts) -> Iterator[Effect | Said]:
    """MTR-13: an efficiency above what the device itself measures."""
    price = facts.price
    yield from _said(price.performed.findings(price.stated, price.reduced), "MTR-13")
