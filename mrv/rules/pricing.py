"""
What a period comes to by the effects of some rules, and so what each rule takes off.

Rules that bound values are evaluated by the quantities that the other rules leave: without one
of these, values are bounded anew.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

from mrv.rounding import decimal_text
from mrv.rules import Stage, rules
from mrv.rules.account import Account, Terms
from mrv.rules.effects import Effect, Said
from mrv.rules.facts import Facts
from mrv.rules.solve import Design, Solved, solve

_PLACES = 6
# by rule
Effects = dict[str, list[Effect]]


class Judging(NamedTuple):
    """How a rule judges at a stage, and the first rule set in which it does."""

    rule: str
    stage: Stage
    judge: Callable[[Facts], Iterable[Effect | Said]]
    since: int = 2


class Cost(NamedTuple):
    """
    What a rule takes off the reduction. [tCO2e]

    `alone`: by this rule and no other; `beside`: what comes back if it alone is settled.
    Where two rules bind one quantity `beside` is 0 for both.
    """

    alone: Fraction
    beside: Fraction

    @property
    def text(self) -> str:
        """Tonnes for a finding: what comes back, or else what the rule takes by itself."""
        tonnes = self.beside if self.beside > 0 else max(self.alone, Fraction(0))
        return decimal_text(tonnes, _PLACES, "up")


@dataclass
class Ruled:
    """Effects of rules by rule, and what each rule reported."""

    effects: Effects = field(default_factory=dict)
    said: list[tuple[Judging, Said]] = field(default_factory=list)

    def add(self, one: Judging, facts: Facts) -> None:
        """Evaluate a rule."""
        for found in one.judge(facts):
            if isinstance(found, Said):
                self.said.append((one, found))
            else:
                self.effects.setdefault(one.rule, []).append(found)


class Priced(NamedTuple):
    """Quantities and account by some rules, and what rules of values reported of it."""

    solved: Solved
    account: Account
    said: Sequence[tuple[Judging, Said]]


@dataclass
class Prices:
    """
    Accounts of a period by the effects of some of its rules.

    Attributes
    ----------
    valuing : sequence of Judging
        Rules that bound values.
    """

    facts: Facts
    terms: Terms
    design: Design
    valuing: Sequence[Judging]
    solutions: dict[frozenset[str], Solved] = field(default_factory=dict)
    known: dict[tuple[frozenset[str], frozenset[str]], Priced] = field(default_factory=dict)

    @cached_property
    def values(self) -> frozenset[str]:
        """Rules that bound values."""
        return frozenset(one.rule for one in self.valuing)

    def forget(self) -> None:
        """Price anew: a rule has more effects than it had."""
        self.solutions.clear()
        self.known.clear()

    def solved(self, effects: Effects) -> Solved:
        """Return the quantities that effects leave."""
        key = frozenset(effects)
        if key not in self.solutions:
            self.solutions[key] = solve(self.facts.metered, _listed(effects), self.design)
        return self.solutions[key]

    def by(self, effects: Effects, valued: frozenset[str] | None = None) -> Priced:
        """Price effects of other stages, and of the stage `values` those of some rules; or all."""
        valued = self.values if valued is None else valued
        key = frozenset(effects), valued
        if key not in self.known:
            solved = self.solved(effects)
            before = Account.of(self.terms, solved.views, _listed(effects))
            facts, ruled = self.facts.after(solved, lambda: before), Ruled()
            for one in self.valuing:
                ruled.add(one, facts)
            bounds = {name: of for name, of in ruled.effects.items() if name in valued}
            account = before.valued(bounds) if bounds else before
            self.known[key] = Priced(solved, account, ruled.said)
        return self.known[key]

    def account(self, effects: Effects) -> Account:
        """Return the account of effects, and of all that bounds values by it."""
        return self.by(effects).account

    def without_earning(self, effects: Effects, kept: Collection[str]) -> Effects:
        """
        Leave out, by id, a bound that would leave more: of two figures the one that costs counts.

        What is impossible (`kept`) stays cut on both sides of the account.
        """
        for name in sorted(effects.keys() - {*kept}):
            rest = {k: v for k, v in effects.items() if k != name}
            if self.by(rest).account.reduction_t < self.by(effects).account.reduction_t:
                effects = rest
        return effects

    def costs(self, effects: Effects) -> Mapping[str, Cost]:
        """Price each rule that had an effect alone, and all rules without it."""
        every = effects.keys() | self.values

        def left(names: Collection[str]) -> Fraction:
            some = {name: of for name, of in effects.items() if name in names}
            return self.by(some, self.values.intersection(names)).account.reduction_t

        return {
            name: Cost(left(()) - left({name}), left(every - {name}) - left(every))
            for name in in_order(effects.keys() | self.by(effects).account.applied)
        }


def _listed(effects: Effects) -> list[Effect]:
    return [one for name in in_order(effects) for one in effects[name]]


def in_order(names: Iterable[str]) -> list[str]:
    """Return rules in the order of the catalogue, on which no figure depends."""
    places = {name: k for k, name in enumerate(rules())}
    return sorted(names, key=lambda name: (places.get(name, len(places)), name))
