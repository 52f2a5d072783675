"""
Inputs of a rule, and accounts of a period under the effects of some rules.

A rule uses evidence of the period, metered quantities, and results of earlier stages.  Rules that
limit values are evaluated with the quantities that remain after the other rules, separately for
each set of rules.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

from ingest.model import INTERVAL_US
from mrv.accounting.cross_checks import Rows, cross_checks
from mrv.accounting.device_period import Monitored
from mrv.accounting.device_results import Pricing
from mrv.accounting.evidenced_time import Corroboration
from mrv.accounting.period_result import CrossCheck
from mrv.accounting.twin_series import Twins
from mrv.calendar import local_date, local_span
from mrv.model import Factors, Methodology
from mrv.parameters import Inputs
from mrv.registry.project import FIRST, Project, SupportingData
from mrv.rounding import six_places
from mrv.rules import Stage, rules
from mrv.rules.account import Account, Terms
from mrv.rules.effects import (
    Bounding,
    Design,
    Effect,
    Judged,
    Level,
    Node,
    RuleReport,
    Solved,
    solve,
)
from mrv.rules.metering import Metered, months
from mrv.texts import Text, Value, text

# share of the reduction below which a finding is an observation and not a request
MATERIAL = Fraction(5, 1000)
# effects by id of the rule
Effects = dict[str, list[Effect]]


class _Unpriced(Pricing):
    """Pricing without emissions, for comparisons whose tonnes are calculated later."""

    def __init__(self) -> None:
        """Create the pricing, without a methodology."""

    def rate(self, meter: Monitored, year: int) -> Fraction:  # noqa: ARG002 - as `Pricing`
        """Return 0, as no emissions per unit are known without a methodology."""
        return Fraction(0)

    def saves(self, monitored: Monitored, year: int) -> Fraction:
        """Return 0, as `rate`."""
        return self.rate(monitored, year)


class _OfReduction(Pricing):
    """Pricing by the reduction: of a baseline unit less its own project emissions."""

    def __init__(self, pricing: Pricing) -> None:
        """Create the pricing from one by emissions."""
        self._pricing = pricing

    def rate(self, meter: Monitored, year: int) -> Fraction:
        """Return the effect of a base unit on the reduction, without its sign. [tCO2e]"""
        by = self._pricing
        return (by.saves if meter.needs.side == "baseline" else by.rate)(meter, year)


@dataclass(frozen=True)
class Facts:
    """
    Immutable input of a rule: the state of a period before its stage.

    `parameters`: parameters of the project, with the means of sampled ones.
    `stretches`: edges of the weeks (stretches of about seven days). [interval numbers]
    `years`: local calendar years of the period. [us UTC]
    `metered`: devices before any rule.
    `solved`: counted quantities after the earlier stages.
    """

    project: Project
    methodology: Methodology
    parameters: Inputs
    supporting: SupportingData
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
    # pairs of devices with copied series: determined before any rule, and the same at each stage
    paired: dict[str, list[tuple[str, str, Twins]]] = field(default_factory=dict)

    @property
    def timezone(self) -> str:
        """Return the time zone of the project."""
        return self.project.timezone

    @property
    def last(self) -> date:
        """Return the last local day of the period."""
        return local_date(self.period_us[1] - 1, self.timezone)

    @property
    def views(self) -> tuple[Monitored, ...]:
        """Return the devices with their counted quantities after the earlier stages."""
        return self.solved.views

    @cached_property
    def price(self) -> Account:
        """Return the account of the period after the earlier stages."""
        return self.pricer()

    @cached_property
    def checks(self) -> list[CrossCheck]:
        """Return comparisons with check meters and invoices, without tonnes."""
        if "checks" not in self.compared:
            self.compared["checks"] = [*self.compare(self.supporting, _Unpriced())]
        return self.compared["checks"]

    def compare(self, supporting: SupportingData, pricing: Pricing) -> Iterator[CrossCheck]:
        """Yield comparisons of meters with check meters and invoices."""
        if self.supporting.accounting > FIRST:
            pricing = _OfReduction(pricing)
        yield from cross_checks(self.views, supporting, self.bench, self.years, pricing)

    def of_role(self, *roles: str) -> tuple[int, ...]:
        """Return the indices of the devices in the given roles."""
        return tuple(i for i, m in enumerate(self.metered) if m.base.bound.role in roles)

    @cached_property
    def evidence(self) -> Corroboration:
        """Return the corroboration of meters by the period's invoices and check meters."""
        return Corroboration(self.supporting, self.checks)

    def invoiced(self, meter: Monitored) -> bool:
        """Return whether invoices with files cover a device's quantity."""
        return self.evidence.invoiced(meter)

    def unused(self, meter: Monitored) -> bool:
        """Return whether invoices of its electricity confirm that a device consumed none."""
        return meter.needs.unit == "Wh" and not meter.metered and self.invoiced(meter)

    def shared_invoice(self, meter: Monitored) -> bool:
        """Return whether an invoice of a device also covers meters of other users."""
        return self.evidence.shared(meter, {m.device.id for m in self.views})

    def months(self) -> Iterator[tuple[int, int]]:
        """Yield the four-week blocks as runs of weeks, end excluded."""
        return months(self.stretches)

    def span_us(self, first: int, last: int) -> tuple[int, int]:
        """Return start and end of weeks [first, last). [us UTC]"""
        return self.stretches[first] * INTERVAL_US, self.stretches[last] * INTERVAL_US

    def in_time(self, what: Value, first: int, last: int, reason: Text) -> Text:
        """
        Return the text of a reason with its subject `what` and the time of
        weeks [first, last).
        """
        time = local_span(self.span_us(first, last), self.timezone)
        return text("deduction.in_time", what=what, reason=reason, **time)

    def served(self, of: Sequence[int], first: int, last: int) -> Fraction:
        """Return the counted quantity of devices in weeks [first, last). [base units]"""
        weeks = (value for i in of for value in self.solved.weeks[i][first:last])
        return sum(weeks, start=Fraction(0))

    def after(self, solved: Solved, pricer: Callable[[], Account]) -> Facts:
        """
        Return the facts for the next stage: with the counted quantities and the
        account so far.
        """
        return replace(self, solved=solved, pricer=pricer)


def node(level: Level, of: Sequence[int], weeks: tuple[int, int] = (0, 0)) -> Node:
    """Return a node of devices, in any order."""
    return Node(level, tuple(sorted(of)), weeks)


class Judging(NamedTuple):
    """The function of a rule, its stage, and the first rule set that includes it."""

    rule: str
    stage: Stage
    judge: Callable[[Facts], Iterable[Judged]]
    since: int = 2


class Cost(NamedTuple):
    """
    Deduction of a rule. [tCO2e]

    `alone`: deduction if only this rule applied.  `beside`: increase of the reduction if this rule
    alone is resolved; 0 for each of two rules that limit one quantity.
    """

    alone: Fraction
    beside: Fraction

    @property
    def text(self) -> str:
        """Return the tonnes for a finding: the increase if resolved, else the rule's deduction."""
        tonnes = self.beside if self.beside > 0 else max(self.alone, Fraction(0))
        return six_places(tonnes)


@dataclass
class Ruled:
    """Effects and reports by rule."""

    effects: Effects = field(default_factory=dict)
    reports: list[tuple[Judging, RuleReport]] = field(default_factory=list)

    def add(self, judge: Judging, facts: Facts) -> None:
        """Evaluate a rule and add its effects and reports; consecutive texts form one report."""
        texts = list[Text]()
        for item in (*judge.judge(facts), None):
            if isinstance(item, Text):
                texts.append(item)
            elif texts and not isinstance(item, Effect):
                self.reports.append((judge, RuleReport(False, tuple(texts))))
                texts = []
            if isinstance(item, RuleReport):
                self.reports.append((judge, item))
            elif isinstance(item, Effect):
                mine = replace(item, rule=judge.rule) if isinstance(item, Bounding) else item
                self.effects.setdefault(judge.rule, []).append(mine)


class Priced(NamedTuple):
    """Quantities and account after given rules, and the reports of the stage `values`."""

    solved: Solved
    account: Account
    reports: Sequence[tuple[Judging, RuleReport]]


@dataclass
class Prices:
    """
    Reductions of a period with chosen rules only, from which each rule's deduction is calculated.

    `valuing`: rules that bound values.
    """

    facts: Facts
    terms: Terms
    design: Design
    valuing: Sequence[Judging]
    solutions: dict[frozenset[str], Solved] = field(default_factory=dict)
    known: dict[frozenset[str], Priced] = field(default_factory=dict)

    def forget(self) -> None:
        """Discard the calculated accounts, as a rule has new effects."""
        self.solutions.clear()
        self.known.clear()

    def solved(self, effects: Effects) -> Solved:
        """Return the counted quantities under the given effects."""
        key = frozenset(effects)
        if key not in self.solutions:
            self.solutions[key] = solve(self.facts.metered, _listed(effects), self.design)
        return self.solutions[key]

    def by(self, effects: Effects) -> Priced:
        """Return quantities and account after the given effects on quantities and parameters."""
        key = frozenset(effects)
        if key not in self.known:
            solved = self.solved(effects)
            before = Account.of(self.terms, solved.views, _listed(effects))
            facts, ruled = self.facts.after(solved, lambda: before), Ruled()
            for judge in self.valuing:
                ruled.add(judge, facts)
            account = before.valued(ruled.effects) if ruled.effects else before
            self.known[key] = Priced(solved, account, ruled.reports)
        return self.known[key]

    def account(self, effects: Effects) -> Account:
        """Return the account after the given effects, including those on parameters."""
        return self.by(effects).account

    def without_earning(self, effects: Effects, kept: Collection[str]) -> Effects:
        """
        Return the effects without those that raise the reduction, as the conservative value
        applies.

        Deductions of impossible quantities (`kept`) remain on both sides of the account.
        """
        for name in sorted(effects.keys() - {*kept}):
            rest = {k: v for k, v in effects.items() if k != name}
            if self.account(rest).reduction_t < self.account(effects).reduction_t:
                effects = rest
        return effects


def _listed(effects: Effects) -> list[Effect]:
    return [effect for name in in_order(effects) for effect in effects[name]]


def in_order(names: Iterable[str]) -> list[str]:
    """Return ids of rules in the order of the catalogue; no figure depends on this order."""
    places = {name: k for k, name in enumerate(rules())}
    return sorted(names, key=lambda name: (places.get(name, len(places)), name))
