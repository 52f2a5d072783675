"""
What a rule may read, and what a period comes to by the effects of some rules.

A rule reads evidence of the period, what was metered, and what earlier stages left.  Rules that
bound values are evaluated by the quantities that the other rules leave: without one of these,
values are bounded anew.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from ingest.model import INTERVAL_US
from mrv.accounting.corroborated_energy import agreeing
from mrv.accounting.cross_checks import Rows, cross_checks
from mrv.accounting.device_period import Monitored
from mrv.accounting.device_results import Pricing
from mrv.accounting.evidenced_time import Corroboration
from mrv.accounting.period_result import CrossCheck
from mrv.calendar import local_date, local_span
from mrv.model import Factors, Methodology
from mrv.parameters.inputs import Inputs
from mrv.registry.project import Besides, Project
from mrv.rounding import decimal_text
from mrv.rules import Stage, rules
from mrv.rules.account import Account, Terms
from mrv.rules.effects import Bounding, Design, Effect, Level, Node, Said, Solved, solve
from mrv.rules.metering import WEEKS, Metered
from mrv.texts import Text, Value, text

# share of the reduction below which an effect is an observation and no request
MATERIAL = Fraction(5, 1000)
_PLACES = 6
# by rule
Effects = dict[str, list[Effect]]


class _Unpriced(Pricing):
    """Prices of 0: whether a comparison holds is a fact, what it comes to is said later."""

    def __init__(self) -> None:
        """Need no methodology."""

    def rate(self, one: Monitored, year: int) -> Fraction:  # noqa: ARG002 - as `Pricing`
        """Return 0."""
        return Fraction(0)


@dataclass(frozen=True)
class Facts:
    """
    A period as a rule sees it; nothing in it can be changed.

    Attributes
    ----------
    parameters : Inputs
        Of the project, with the means of what was sampled.
    stretches : tuple of int
        Edges of the stretches of about a week. [interval numbers]
    years : sequence of (year, begin, end)
        Local calendar years of the period. [us UTC]
    metered : tuple of Metered
        Devices before any rule.
    solved : Solved
        What counts of each after the stages before.
    """

    project: Project
    methodology: Methodology
    parameters: Inputs
    besides: Besides
    period_us: tuple[int, int]
    first: date
    stretches: tuple[int, ...]
    years: Sequence[tuple[int, int, int]]
    factors: Factors
    bench: Rows
    metered: tuple[Metered, ...]
    solved: Solved
    pricer: Callable[[], Account]
    compared: dict[str, list[CrossCheck]] = field(default_factory=dict)

    @property
    def timezone(self) -> str:
        """The zone of the project."""
        return self.project.timezone

    @property
    def last(self) -> date:
        """The last local day of the period."""
        return local_date(self.period_us[1] - 1, self.timezone)

    @property
    def views(self) -> tuple[Monitored, ...]:
        """Devices with what counts of them after the stages before."""
        return self.solved.views

    @cached_property
    def price(self) -> Account:
        """The account of what the stages before left."""
        return self.pricer()

    @cached_property
    def checks(self) -> list[CrossCheck]:
        """Comparisons with check meters and invoices, without the tonnes of each."""
        if "checks" not in self.compared:
            self.compared["checks"] = [*self.compare(self.besides, _Unpriced())]
        return self.compared["checks"]

    def compare(self, besides: Besides, pricing: Pricing) -> Iterator[CrossCheck]:
        """Compare meters with check meters and invoices."""
        yield from cross_checks(self.views, besides, self.bench, self.years, pricing)

    def of_role(self, *roles: str) -> tuple[int, ...]:
        """Return the places of the devices in some roles."""
        return tuple(i for i, m in enumerate(self.metered) if m.base.bound.role in roles)

    @cached_property
    def evidence(self) -> Corroboration:
        """Which meters the period's invoices and check meters corroborate."""
        return Corroboration(self.besides, self.checks)

    def invoiced(self, one: Monitored) -> bool:
        """Whether invoices with their files cover a device's quantity."""
        return self.evidence.invoiced(one)

    def shared_invoice(self, one: Monitored) -> bool:
        """Whether an invoice of a device is of others' meters too: these say what its part is."""
        return self.evidence.shared(one, {m.device.id for m in self.views})

    def agreeing(self, one: Monitored, *, alone: bool = False) -> CrossCheck | None:
        """Return the comparison that corroborates a device's quantity, or that of it `alone`."""
        checks = [c for c in self.checks if not alone or len(c.devices) == 1]
        return agreeing(one, self.besides, checks)

    def months(self) -> Iterator[tuple[int, int]]:
        """Yield the runs of stretches of about four weeks, half-open."""
        weeks = len(self.stretches) - 1
        count = max(1, weeks // WEEKS)
        return pairwise(weeks * k // count for k in range(count + 1))

    def span_us(self, first: int, last: int) -> tuple[int, int]:
        """Return the time of a run of stretches. [us UTC]"""
        return self.stretches[first] * INTERVAL_US, self.stretches[last] * INTERVAL_US

    def in_time(self, what: Value, first: int, last: int, reason: Text) -> Text:
        """Return a reason with what it is of and the time of a run of stretches."""
        time = local_span(self.span_us(first, last), self.timezone)
        return text("deduction.in_time", what=what, reason=reason, **time)

    def served(self, of: Sequence[int], first: int, last: int) -> Fraction:
        """Return what counts of some devices in a run of stretches. [base units]"""
        weeks = (value for i in of for value in self.solved.weeks[i][first:last])
        return sum(weeks, start=Fraction(0))

    def after(self, solved: Solved, pricer: Callable[[], Account]) -> Facts:
        """Return the facts as the next stage reads them."""
        return replace(self, solved=solved, pricer=pricer)


def node(level: Level, of: Sequence[int], weeks: tuple[int, int] = (0, 0)) -> Node:
    """Return a node of devices, whatever their order."""
    return Node(level, tuple(sorted(of)), weeks)


class Judging(NamedTuple):
    """How a rule judges at a stage, and the first rule set in which it does."""

    rule: str
    stage: Stage
    judge: Callable[[Facts], Iterable[Effect | Said]]
    since: int = 2


class Cost(NamedTuple):
    """
    What a rule takes off the reduction. [tCO2e]

    `alone`: by this rule and no other; `beside`: what comes back if it alone is settled, after
    what the others then take.  Where two rules bind one quantity `beside` is 0 for both.
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
                continue
            mine = replace(found, rule=one.rule) if isinstance(found, Bounding) else found
            self.effects.setdefault(one.rule, []).append(mine)


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
    known: dict[frozenset[str], Priced] = field(default_factory=dict)

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

    def by(self, effects: Effects) -> Priced:
        """Price effects, and what bounds values by the quantities that they leave."""
        key = frozenset(effects)
        if key not in self.known:
            solved = self.solved(effects)
            before = Account.of(self.terms, solved.views, _listed(effects))
            facts, ruled = self.facts.after(solved, lambda: before), Ruled()
            for one in self.valuing:
                ruled.add(one, facts)
            account = before.valued(ruled.effects) if ruled.effects else before
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
            if self.account(rest).reduction_t < self.account(effects).reduction_t:
                effects = rest
        return effects


def _listed(effects: Effects) -> list[Effect]:
    return [one for name in in_order(effects) for one in effects[name]]


def in_order(names: Iterable[str]) -> list[str]:
    """Return rules in the order of the catalogue, on which no figure depends."""
    places = {name: k for k, name in enumerate(rules())}
    return sorted(names, key=lambda name: (places.get(name, len(places)), name))
