"""
One pass over the rules: rows are read once, each rule is evaluated once, stage by stage.

A rule reads what the stages before its own left, and nothing of its own stage; so the rules
of a stage may be evaluated in any order.  The account is priced where a rule or its cost asks
for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, partial
from typing import NamedTuple

from ingest.model import INTERVAL_US, Fleet, IntervalRows
from mrv.accounting.calendar_years import parts_of_years
from mrv.accounting.cross_checks import Rows
from mrv.accounting.factor_acceptance import parameters_of
from mrv.accounting.owner_inputs import sampled
from mrv.accounting.period_result import Finding
from mrv.accounting.service_evidence import built_for
from mrv.calendar import local_date, year_us, years
from mrv.factors.centres import centres
from mrv.methodologies import find
from mrv.model import Factors, Methodology, Most, RoleNeeds
from mrv.registry.calibration import of_meter
from mrv.registry.project import FIRST, Besides, Calibration, Project, ProjectDevice
from mrv.rounding import decimal_text
from mrv.rules import (
    Stage,
    changes,
    checks,
    consumption,
    duplicates,
    evidence,
    meters,
    project_side,
    registry,
    service,
)  # fmt: skip
from mrv.rules.account import Account, Terms
from mrv.rules.effects import Effect, Fix, NoReduction, Said
from mrv.rules.facts import Facts
from mrv.rules.metering import Limits, Metered, Reader, stretches
from mrv.rules.solve import Design, Solved, solve
from mrv.texts import Text, devices_of, lines, text, texts_of

_PLACES = 6


class Judging(NamedTuple):
    """How a rule judges at a stage, and the first rule set in which it does."""

    rule: str
    stage: Stage
    judge: Callable[[Facts], Iterable[Effect | Said]]
    since: int = 2


JUDGES = (
    Judging("REG-01", "registry", registry.known_meters),
    Judging("CLM-02", "registry", registry.copies_elsewhere),
    Judging("MTR-03", "registry", registry.copies_inside),
    Judging("MTR-03", "registry", duplicates.twin_series),
    Judging("MTR-01", "meter", meters.device_limits),
    Judging("MTR-02", "meter", meters.own_channels),
    Judging("MTR-03", "meter", duplicates.overlapping_services),
    Judging("MTR-04", "meter", meters.unrecorded_use),
    Judging("CLM-01", "meter", meters.certified_elsewhere, since=1),
    Judging("MTR-05", "use", consumption.specific_consumption),
    Judging("MTR-08", "use", service.device_clocks),
    Judging("MTR-06", "service", consumption.service_by_energy),
    Judging("MTR-07", "service", service.design_capacity),
    Judging("MTR-09", "service", service.own_electricity),
    Judging("MTR-10", "service", service.regression_range),
    Judging("EVD-01", "evidence", meters.single_channel),
    Judging("EVD-02", "evidence", evidence.delivered_service),
    Judging("EVD-03", "evidence", evidence.invoiced_quantities),
    Judging("EVD-04", "evidence", evidence.class_mean),
    Judging("EVD-05", "evidence", evidence.invoiced_use),
    Judging("FAC-02", "check", checks.default_factors, since=1),
    Judging("CLM-01", "check", meters.certified_twice, since=1),
    Judging("REG-03", "check", changes.changed),
    Judging("REG-03", "check", changes.left_lines),
    Judging("MTR-11", "check", project_side.project_side),
    Judging("MTR-12", "check", checks.equipment_power),
    Judging("MTR-13", "check", checks.equipment_efficiency),
    Judging("CLM-03", "check", project_side.claimed_twice),
    Judging("EVD-03", "check", checks.service_invoices),
    Judging("EVD-07", "check", checks.project_fuel),
    Judging("EVD-07", "check", checks.project_electricity),
    Judging("PAR-07", "check", checks.documented_values),
)
# stages whose rules move quantities, in order
_BOUNDS: tuple[Stage, ...] = ("registry", "meter", "use", "service", "evidence")

_Effects = dict[str, list[Effect]]


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
        shown = self.beside if self.beside > 0 else max(self.alone, Fraction(0))
        return decimal_text(shown, _PLACES, "up")


@dataclass(frozen=True)
class Passed:
    """
    A period after one pass.

    Attributes
    ----------
    costs : mapping of str to Cost
        Of each rule that had an effect, in the order of the catalogue.
    dropped : frozenset of str
        Rules without effect, since they would raise the reduction.
    """

    account: Account
    solved: Solved
    facts: Facts
    findings: tuple[Finding, ...]
    costs: Mapping[str, Cost]
    dropped: frozenset[str]


@dataclass
class Engine:
    """
    A period that is closed by the rules of a set, with whichever values are tried.

    Parameters
    ----------
    judges : sequence of Judging
        In any order.
    """

    project: Project
    fleet: Fleet
    calibrations: Mapping[str, Sequence[Calibration]]
    rows: IntervalRows
    period_us: tuple[int, int]
    factors: Factors
    judges: Sequence[Judging] = JUDGES
    readers: dict[int, Reader] = field(default_factory=dict)
    passes: int = 0

    @cached_property
    def methodology(self) -> Methodology:
        """Of the project."""
        return find(self.project.methodology, self.project.version)

    @cached_property
    def _bench(self) -> Rows:
        return Rows(self.rows, self.fleet)

    @cached_property
    def _stretches(self) -> tuple[int, ...]:
        first, last = (us // INTERVAL_US for us in self.period_us)
        return stretches(first, last)

    def passed(self, project: Project, besides: Besides) -> Passed:
        """
        Evaluate every rule once.

        Raises
        ------
        PeriodError, MethodologyError, FactorError
            As rows, the methodology's parameters and factors give rise to.
        """
        self.passes += 1
        facts = self._facts(project, besides)
        design = _design(facts)
        effects: _Effects = {}
        said: list[tuple[Judging, Said]] = []
        priced: dict[tuple[str, ...], Account] = {}
        terms = Terms(
            project, self.methodology, facts.parameters, besides, facts.factors,
            parts_of_years(project, self.methodology, self.fleet, self.period_us),
            facts.stretches, self.period_us,
        )  # fmt: skip

        def price(some: _Effects) -> Account:
            key = tuple(sorted(some))
            if key not in priced:
                every = _ordered(some)
                priced[key] = Account(
                    terms,
                    solve(facts.metered, every, design).views,
                    {e.parameter: e.value for e in every if isinstance(e, Fix)},
                    no_reduction=any(isinstance(e, NoReduction) for e in every),
                )
            return priced[key]

        solved = facts.solved
        for stage in _BOUNDS:
            before = {name: list(some) for name, some in effects.items()}
            seen = facts.after(solved, partial(price, before))
            for one in self._of(stage, besides):
                for found in one.judge(seen):
                    if isinstance(found, Said):
                        said.append((one, found))
                    else:
                        effects.setdefault(one.rule, []).append(found)
            if effects != before:
                # what was priced before has other effects of a rule of two stages
                priced.clear()
                solved = solve(facts.metered, _ordered(effects), design)
        every, effects = effects, self._without_earning(effects, price)
        account = price(effects)
        solved = solve(facts.metered, _ordered(effects), design)
        last = facts.after(solved, lambda: account)
        for one in self._of("check", besides):
            said += [(one, found) for found in one.judge(last) if isinstance(found, Said)]
        costs = _costs(effects, price)
        dropped = frozenset(every).difference(effects)
        return Passed(
            account, solved, last,
            tuple(dict.fromkeys(_finding(one, found, costs, dropped) for one, found in said)),
            costs, dropped,
        )  # fmt: skip

    def _of(self, stage: Stage, besides: Besides) -> list[Judging]:
        if stage == "evidence" and besides.provisional:
            return []
        number = 1 if besides.accounting == FIRST else 2
        return [one for one in self.judges if one.stage == stage and one.since <= number]

    @staticmethod
    def _without_earning(effects: _Effects, price: Callable[[_Effects], Account]) -> _Effects:
        """
        Leave out, by id, a bound that would leave more: of two figures the one that costs counts.

        What is impossible stays cut on both sides of the account.
        """
        for name in sorted(effects.keys() - IMPOSSIBLE):
            rest = {k: v for k, v in effects.items() if k != name}
            if price(rest).reduction_t < price(effects).reduction_t:
                effects = rest
        return effects

    def _facts(self, project: Project, besides: Besides) -> Facts:
        method, timezone = self.methodology, project.timezone
        where = f"project {project.id}: parameters"
        params = parameters_of(method, project.parameters, where)
        first_set = besides.accounting == FIRST
        if not first_set:
            params = sampled(params, besides.samples, method)
        first = local_date(self.period_us[0], timezone)
        weeks = () if first_set else self._stretches

        def most(bound: ProjectDevice, needs: RoleNeeds) -> Most | None:
            if first_set or needs.most is None:
                return None
            return needs.most({**bound.params, **params})

        def per_day(role: str) -> Fraction | None:
            if first_set:
                return None
            return built_for(method, params, besides, role, first)

        limits = Limits({} if first_set else besides.ratings, per_day, most, weeks)
        metered = self._reader(besides).metered(project, limits)
        factors = centres(self.factors) if first_set else self.factors
        solved = solve(metered, (), {})
        return Facts(
            project, method, params, besides, self.fleet, self.period_us, first, weeks,
            years(*self.period_us, timezone), factors, self._bench, metered, solved, _unpriced,
        )  # fmt: skip

    def _reader(self, besides: Besides) -> Reader:
        """Return the reader of the period's rows, with certificates as far as they cover."""
        first_set = besides.accounting == FIRST
        if first_set not in self.readers:
            self.readers[first_set] = Reader(
                self.project, self.methodology, self.fleet,
                self.calibrations if first_set else self._certificates(besides),
                self.rows, self.period_us,
            )  # fmt: skip
        return self.readers[first_set]

    def _certificates(self, besides: Besides) -> Mapping[str, Sequence[Calibration]]:
        """Return the certificates of the meters that were there, each as far as it covers one."""
        return {
            name: of_meter(
                papers,
                [r.at_us for r in self.fleet.devices[self.fleet.by_id[name]].replacements],
                besides.serials.get(name),
                self.project.timezone,
            )
            for name, papers in self.calibrations.items()
            if name in self.fleet.by_id
        }


def _unpriced() -> Account:
    raise AssertionError("no stage is before the first one")


# what no such meter can have measured, or another one has: no figure at all
IMPOSSIBLE = frozenset(one.rule for one in JUDGES if one.stage in {"registry", "meter"})
_PLACE = {one.rule: k for k, one in reversed(list(enumerate(JUDGES)))}


def _ordered(effects: _Effects) -> list[Effect]:
    """Return all effects in the order of the catalogue, on which no figure depends."""
    names = sorted(effects, key=lambda name: (_PLACE.get(name, len(_PLACE)), name))
    return [one for name in names for one in effects[name]]


def _costs(effects: _Effects, price: Callable[[_Effects], Account]) -> dict[str, Cost]:
    """Price each rule alone and without it."""
    found = {}
    for name in sorted(effects, key=lambda name: _PLACE.get(name, len(_PLACE))):
        rest = {k: v for k, v in effects.items() if k != name}
        found[name] = Cost(
            price({}).reduction_t - price({name: effects[name]}).reduction_t,
            price(rest).reduction_t - price(effects).reduction_t,
        )
    return found


def _finding(
    one: Judging, found: Said, costs: Mapping[str, Cost], dropped: frozenset[str]
) -> Finding:
    cost = costs.get(one.rule)
    texts = [_costed(each, cost) for each in texts_of(found.texts)]
    shown = lines(texts)
    if one.rule in dropped and not found.holds:
        shown = (*shown, text("text.not_applied"))
    return Finding(
        one.rule, found.holds, shown, found.severity or "",
        "" if cost is None or found.holds or found.severity else cost.text, devices_of(texts),
    )  # fmt: skip


def _costed(one: Text, cost: Cost | None) -> Text:
    """Fill the cost into words that have no code."""
    if one.code != "text.plain":
        return one
    filled = "0.000000" if cost is None else cost.text
    return text(one.code, words=str(dict(one.values)["words"]).replace("{cost}", filled))


def _design(facts: Facts) -> Design:
    """Return the ex-ante cap of each role by year. [base units]"""
    found: dict[str, dict[int, Fraction]] = {}
    for one in facts.metered:
        cap = one.base.needs.cap
        if cap is not None and cap[0] in facts.parameters:
            most = Fraction(facts.parameters[cap[0]]) * cap[1]
            found[one.base.bound.role] = {
                year: most * Fraction(end - begin, year_us(year, facts.timezone))
                for year, begin, end in facts.years
            }
    return found


__all__ = ["JUDGES", "Cost", "Engine", "Judging", "Metered", "Passed"]
