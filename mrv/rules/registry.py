"""Rules that exclude a meter: by what the registry has of it, or as a copy of another one."""

from __future__ import annotations

from collections.abc import Iterator

from mrv.rules.effects import Effect, Exclude, Said
from mrv.rules.facts import Facts
from mrv.texts import Text, text


def known_meters(facts: Facts) -> Iterator[Effect | Said]:
    """REG-01: a second id of a meter, or an electricity meter without rated power."""
    why = _by_registry(facts, "REG-01")
    for one in facts.metered:
        device = one.base.device
        if one.base.needs.unit == "Wh" and device.rated_power_w is None:
            why.setdefault(device.id, text("REG-01.unrated", device=device.id))
    yield from _excluded(facts, why)


def copies_elsewhere(facts: Facts) -> Iterator[Effect | Said]:
    """CLM-02: a meter whose series is that of another project's, or of an earlier time."""
    yield from _excluded(facts, _by_registry(facts, "CLM-02"))


def copies_inside(facts: Facts) -> Iterator[Effect | Said]:
    """MTR-03: a meter whose series is that of another of the project, seen beyond the period."""
    yield from _excluded(facts, _by_registry(facts, "MTR-03"))


def _by_registry(facts: Facts, rule: str) -> dict[str, Text]:
    return {one.device: one.reason for one in facts.besides.excluded if one.rule == rule}


def _excluded(facts: Facts, why: dict[str, Text]) -> Iterator[Effect | Said]:
    """Exclude meters of the baseline, and report them in one finding."""
    found = dict[Text, None]()
    for i, one in enumerate(facts.metered):
        reason = why.get(one.base.device.id)
        if one.baseline and reason is not None:
            found[reason] = None
            yield Exclude(i, reason)
    if found:
        yield Said(False, tuple(found))
