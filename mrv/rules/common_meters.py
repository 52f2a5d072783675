"""
Meters that several users share: none of them counts more than its part of the common meter.

Each user has its part by its own meter; together they have no more on the baseline's side, and no
less on the project's, than the common meter measured.  In time that one of them does not know the
ratio of the known time counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from mrv.quantity_text import plain_text
from mrv.registry.project import Common
from mrv.rounding import exact_sum
from mrv.rules.effects import Cap, Effect, Floor, Level, Said
from mrv.rules.facts import Facts, node
from mrv.texts import Text, text

# of the time that all have to know
_KNOWN = Fraction(95, 100)
_DAYS = 3


def common_meters(facts: Facts) -> Iterator[Effect | Said]:
    """MTR-02: users of a common meter that together count another amount than it does."""
    for one in facts.besides.common:
        of = [
            i for i, m in enumerate(facts.metered)
            if m.base.device.id in one.users and m.base.needs.quantity == one.quantity
        ]  # fmt: skip
        if not of:
            continue
        reason = text("MTR-02.common", main=one.main)
        if one.users_value > 0:
            ratio = Fraction(one.main_value, one.users_value)
            yield from _apportioned(facts, of, ratio, reason)
        holds = _holds(one)
        yield Said(holds, tuple(_said(one, holds)))


def _apportioned(
    facts: Facts, of: list[int], ratio: Fraction, reason: Text
) -> Iterator[Effect]:  # fmt: skip
    gaining = [i for i in of if facts.metered[i].baseline]
    if gaining and ratio < 1:
        whole = sum(exact_sum(facts.metered[i].whole.value) for i in gaining)
        yield Cap(node(Level.PERIOD, gaining), whole * ratio, reason)
    for i in of:
        if not facts.metered[i].baseline and ratio > 1:
            base = facts.metered[i].base
            for j, part in enumerate(base.parts):
                yield Floor(i, j, part.metered * (ratio - 1), reason, base.span_us)


def _holds(common: Common) -> bool:
    differs = abs(common.users_value - common.main_value) * 100
    return (
        common.share >= _KNOWN
        and differs <= common.lost * common.main_value
        and not common.days_above
    )


def _said(common: Common, holds: bool) -> Iterator[Text]:
    off = Fraction(100 * (common.users_value - common.main_value), common.main_value or 1)
    shown = {"percent": off, "share": 100 * common.share, "lost": common.lost}
    of = {"main": common.main, **{name: plain_text(value, 2) for name, value in shown.items()}}
    yield text("MTR-02.balance" if holds else "MTR-02.no_balance", users=common.users, **of)
    if common.days_above:
        rest = len(common.days_above) - _DAYS
        more = (text("text.more", count=rest),) if rest > 0 else ()
        yield text("MTR-02.days_above", main=common.main, days=(*common.days_above[:_DAYS], *more))
