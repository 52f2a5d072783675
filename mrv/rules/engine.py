"""
Evaluation of the rules: rows are read once, each rule is evaluated once, stage by stage.

A rule uses the results of earlier stages only, so the rules of a stage can be evaluated in any
order.  The tonnes of the account are calculated only if a rule or its deduction needs them.

Users of a common meter (MTR-02): on the baseline side their sum is limited to the common meter's
quantity; on the project side it is raised to that quantity.  Each user's quantity changes in
proportion.  If a meter lacks data, the ratio in the time with data applies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, partial

from ingest.model import INTERVAL_US, Fleet, IntervalRows
from mrv.accounting.cross_checks import Rows
from mrv.accounting.entered_values import parameters_of
from mrv.accounting.period_result import Finding
from mrv.calendar import local_date, year_us, years
from mrv.factors.ledger import centres
from mrv.methodologies import find
from mrv.model import Factors, Methodology
from mrv.registry import Calibration
from mrv.registry.calibration import by_first_rules, of_meters
from mrv.registry.calibration_interval import intervals_of
from mrv.registry.project import FIRST, Common, Project, SupportingData
from mrv.rounding import exact_sum, plain_text
from mrv.rules import (
    Stage,
    capacity,
    consumption,
    invoiced_use,
    invoices,
    lower_invoices,
    meter_changes,
    meters,
    operation,
    published,
    registry,
    service_evidence,
    values,
)
from mrv.rules.account import Account, Terms, parts_of_years
from mrv.rules.effects import Cap, Design, Effect, Floor, Judged, Level, RuleReport, solve
from mrv.rules.facts import Cost, Effects, Facts, Judging, Prices, Ruled, in_order, node
from mrv.rules.metering import Limits, Reader, stretches
from mrv.rules.plausible_values import sampled
from mrv.rules.service_evidence import built_for
from mrv.texts import Text, devices_of, lines, text, texts_of

# minimum share of the time in which all meters have data
_KNOWN = Fraction(95, 100)
_DAYS = 3


def common_meters(facts: Facts) -> Iterator[Judged]:
    """MTR-02: yield corrections where the users of a common meter differ from it in sum."""
    for common in facts.supporting.common:
        of = [
            i for i, m in enumerate(facts.metered)
            if m.base.device.id in common.users and m.base.needs.quantity == common.quantity
        ]  # fmt: skip
        if not of:
            continue
        reason = text("MTR-02.common", main=_main(common))
        if common.users_value > 0:
            ratio = Fraction(common.main_value, common.users_value)
            yield from _apportioned(facts, of, ratio, reason)
        holds = _holds(common)
        yield RuleReport(holds, tuple(_report_texts(common, holds)))


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


def _main(common: Common) -> Text | str:
    """
    Return the id of the common meter; a text with its id if its quantity is of a
    joint reading.
    """
    return text("MTR-02.joint", main=common.main) if common.joint else common.main


def _holds(common: Common) -> bool:
    differs = abs(common.users_value - common.main_value) * 100
    return (
        common.share >= _KNOWN
        and differs <= common.lost * common.main_value
        and not common.days_above
    )


def _report_texts(common: Common, holds: bool) -> Iterator[Text]:
    off = Fraction(100 * (common.users_value - common.main_value), common.main_value or 1)
    values = {"percent": off, "share": 100 * common.share, "lost": common.lost}
    of = {"main": _main(common), **{name: plain_text(value, 2) for name, value in values.items()}}
    yield text("MTR-02.balance" if holds else "MTR-02.no_balance", users=common.users, **of)
    if common.days_above:
        rest = len(common.days_above) - _DAYS
        more = (text("text.more", count=rest),) if rest > 0 else ()
        yield text("MTR-02.days_above", main=common.main, days=(*common.days_above[:_DAYS], *more))


JUDGES = (
    Judging("REG-01", "registry", registry.known_meters),
    Judging("CLM-02", "registry", partial(registry.excluded, "CLM-02")),
    Judging("MTR-03", "registry", partial(registry.excluded, "MTR-03")),
    Judging("MTR-03", "registry", registry.twin_series),
    Judging("MTR-01", "meter", meters.device_limits),
    Judging("MTR-02", "meter", meters.own_channels),
    Judging("MTR-02", "meter", common_meters),
    Judging("MTR-03", "meter", registry.overlapping_services),
    Judging("MTR-04", "meter", meters.unrecorded_use),
    Judging("CLM-01", "meter", meters.certified_elsewhere, since=1),
    Judging("MTR-05", "use", consumption.specific_consumption),
    Judging("MTR-08", "use", operation.device_clocks),
    Judging("MTR-06", "service", consumption.service_by_energy),
    Judging("MTR-07", "service", capacity.design_capacity),
    Judging("MTR-09", "service", operation.own_electricity),
    Judging("MTR-10", "service", operation.regression_range),
    Judging("EVD-01", "evidence", meters.single_channel),
    Judging("EVD-02", "evidence", service_evidence.delivered_service),
    Judging("EVD-03", "evidence", invoices.invoiced_quantities),
    Judging("EVD-03", "evidence", lower_invoices.lower_invoices),
    Judging("EVD-04", "evidence", invoices.class_mean),
    Judging("EVD-05", "evidence", invoiced_use.invoiced_use),
    Judging("PAR-05", "service", values.uncorroborated_values),
    Judging("BND-02", "values", values.before_crediting),
    Judging("MTR-07", "values", capacity.design_load),
    Judging("PAR-06", "values", values.least_by_quantities),
    Judging("PAR-06", "values", values.gauge_errors),
    Judging("PAR-06", "values", values.flare),
    Judging("PAR-06", "values", values.water_regime),
    Judging("PAR-06", "values", values.sampled_values),
    Judging("PAR-08", "values", values.agreeing_quantities),
    Judging("FAC-01", "values", published.published_values),
    Judging("FAC-01", "check", published.published_findings),
    Judging("FAC-02", "check", published.default_factors, since=1),
    Judging("PAR-06", "check", values.monitored_values),
    Judging("PAR-07", "check", values.documented_values),
    Judging("CLM-01", "check", meters.certified_twice, since=1),
    Judging("REG-03", "check", meter_changes.changed),
    Judging("REG-03", "check", meter_changes.left_lines),
    Judging("MTR-11", "check", operation.project_side),
    Judging("MTR-12", "check", meters.equipment_power),
    Judging("MTR-13", "check", meters.equipment_efficiency),
    Judging("CLM-03", "check", operation.claimed_twice),
    Judging("EVD-03", "check", service_evidence.service_invoices),
    Judging("EVD-07", "check", service_evidence.project_fuel),
    Judging("EVD-07", "check", service_evidence.project_electricity),
)
# stages whose rules change quantities, in order
_BOUNDS: tuple[Stage, ...] = ("registry", "meter", "use", "service", "evidence")


# rules on quantities that the meter cannot have measured, or that another meter measured
IMPOSSIBLE = frozenset(judge.rule for judge in JUDGES if judge.stage in {"registry", "meter"})


@dataclass(frozen=True)
class Passed:
    """
    Result of evaluating the rules of a period once.

    `reported`: reports by rule.
    `effective`: rules that limited a quantity.
    `dropped`: rules without effect, as they would raise the reduction.
    `reduction_by`: returns the reduction with only some of the rules. [tCO2e]
    """

    account: Account
    facts: Facts
    reported: Sequence[tuple[Judging, RuleReport]]
    judges: Sequence[Judging]
    effective: frozenset[str]
    dropped: frozenset[str]
    reduction_by: Callable[[Sequence[Judging]], Fraction]

    @cached_property
    def costs(self) -> Mapping[str, Cost]:
        """Return each effective rule's deduction, alone and with all others, in catalogue order."""
        names = in_order(self.effective | self.account.applied)
        none = self.reduction_by(()) if names else Fraction(0)
        return {
            name: Cost(
                none - self.reduction_by([judge for judge in self.judges if judge.rule == name]),
                self.reduction_by([judge for judge in self.judges if judge.rule != name])
                - self.account.reduction_t,
            )
            for name in names
        }

    @property
    def before_evidence_t(self) -> Fraction:
        """Return the reduction before the deductions for missing documents and invoices. [tCO2e]"""
        evidence = {judge.rule for judge in self.judges if judge.stage == "evidence"}
        if self.effective.isdisjoint(evidence):
            return self.account.reduction_t
        return self.reduction_by([judge for judge in self.judges if judge.stage != "evidence"])

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """Return the findings of the rules, each with its deduction."""
        result = (_finding(*entry, self.costs, self.dropped) for entry in self.reported)
        return tuple(dict.fromkeys(result))


@dataclass
class Engine:
    """
    Evaluation of the rules of one set on a period, for any values.

    `judges`: rules in any order.
    """

    project: Project
    fleet: Fleet
    calibrations: Mapping[str, Sequence[Calibration]]
    rows: IntervalRows
    period_us: tuple[int, int]
    factors: Factors
    judges: Sequence[Judging] = JUDGES
    reader: Reader | None = None

    @cached_property
    def methodology(self) -> Methodology:
        """Return the methodology of the project."""
        return find(self.project.methodology, self.project.version)

    @cached_property
    def _bench(self) -> Rows:
        return Rows(self.rows, self.fleet)

    def passed(self, project: Project, supporting: SupportingData) -> Passed:
        """
        Return the result of evaluating every rule once.

        Raises PeriodError, MethodologyError or FactorError from rows, the methodology's parameters
        and factors.
        """
        facts, terms = self._facts(project, supporting)
        prices, ruled, effects = self._ruled(facts, terms, supporting, self.judges)
        solved, account, reports = prices.by(effects)
        ruled.reports += reports
        last = facts.after(solved, lambda: account)
        for judge in _of("check", supporting, self.judges):
            ruled.add(judge, last)

        def reduction_by(judges: Sequence[Judging]) -> Fraction:
            prices, _, of = self._ruled(facts, terms, supporting, judges)
            return prices.account(of).reduction_t

        dropped = frozenset(ruled.effects).difference(effects)
        return Passed(
            account, last, ruled.reports, self.judges, frozenset(effects), dropped, reduction_by
        )

    def _ruled(
        self, facts: Facts, terms: Terms, supporting: SupportingData, judges: Sequence[Judging]
    ) -> tuple[Prices, Ruled, Effects]:
        """Return effects and reports of the rules of quantities, evaluated stage by stage."""
        prices = Prices(facts, terms, _design(facts), _of("values", supporting, judges))
        ruled = Ruled()
        for stage in _BOUNDS:
            before = {name: list(effects) for name, effects in ruled.effects.items()}
            solved = prices.solved(before) if before else facts.solved
            seen = facts.after(solved, partial(prices.account, before))
            for judge in _of(stage, supporting, judges):
                ruled.add(judge, seen)
            if ruled.effects != before:
                # a rule with two stages adds effects that the stored accounts do not include
                prices.forget()
        return prices, ruled, prices.without_earning(ruled.effects, IMPOSSIBLE)

    def _facts(self, project: Project, supporting: SupportingData) -> tuple[Facts, Terms]:
        """Return the facts of the first stage, and the inputs common to all accounts."""
        method, timezone = self.methodology, project.timezone
        params = parameters_of(method, project.parameters, f"project {project.id}: parameters")
        first, factors = local_date(self.period_us[0], timezone), self.factors
        if supporting.accounting == FIRST:
            limits, factors = Limits(), centres(factors)
            certificates: Mapping[str, Sequence[Calibration]] = {
                name: by_first_rules(calibrations)
                for name, calibrations in self.calibrations.items()
            }
        else:
            params = sampled(params, supporting.samples, method)

            def per_day(role: str) -> Fraction | None:
                return built_for(method, params, supporting, role, first)

            limits = Limits(
                supporting.ratings,
                per_day,
                params,
                stretches(*(us // INTERVAL_US for us in self.period_us)),
                supporting.versions,
            )
            every = intervals_of(self.project, method.roles, supporting.calibrated_every)
            certificates = of_meters(
                self.calibrations, every, self.fleet, supporting.serials, timezone
            )
        if self.reader is None:
            self.reader = Reader(self.project, method, self.fleet, certificates, self._bench,
                                 self.period_us)  # fmt: skip
        metered = self.reader.metered(project, limits)
        terms = Terms(
            method, params, supporting, factors,
            parts_of_years(project, method, self.fleet, self.period_us), limits.stretches,
        )  # fmt: skip

        solved = solve(metered, (), {})
        facts = Facts(
            project, method, params, supporting, self.period_us, first, limits.stretches,
            years(*self.period_us, timezone), factors, self._bench, metered, solved,
            lambda: Account.of(terms, solved.views, ()),
        )  # fmt: skip
        if supporting.accounting > FIRST and (gaps := invoiced_use.invoiced_gaps(facts)):
            settled = solve(gaps, (), {})
            facts = facts.after(settled, lambda: Account.of(terms, settled.views, ()))
            facts = replace(facts, metered=gaps)
        return facts, terms


def _of(stage: Stage, supporting: SupportingData, judges: Sequence[Judging]) -> list[Judging]:
    number = 1 if supporting.accounting == FIRST else 2
    return [judge for judge in judges if judge.stage == stage and judge.since <= number]


def _finding(
    judge: Judging, report: RuleReport, costs: Mapping[str, Cost], dropped: frozenset[str]
) -> Finding:
    cost, severity = costs.get(judge.rule), report.severity or ""
    idle = judge.rule in dropped and judge.stage in _BOUNDS and not report.holds
    if idle:
        cost, severity = Cost(Fraction(0), Fraction(0)), severity or "observation"
    texts = texts_of(report.texts)
    reported = (*lines(texts), *((text("text.not_applied"),) if idle else ()))
    # a report with its own severity has no tonnes, unless the rule states otherwise
    priced = report.severity is None if report.priced is None else report.priced
    return Finding(
        judge.rule, report.holds, reported, severity,
        cost.text if cost is not None and priced and not report.holds else "",
        devices_of(texts),
    )  # fmt: skip


def _design(facts: Facts) -> Design:
    """Return the ex-ante cap of each role by year. [base units]"""
    result = {}
    for metered in facts.metered:
        cap = metered.base.needs.cap
        if cap is not None and cap[0] in facts.parameters:
            maximum = Fraction(facts.parameters[cap[0]]) * cap[1]
            for year, begin, end in facts.years:
                share = Fraction(end - begin, year_us(year, facts.timezone))
                result[metered.base.bound.role, year] = maximum * share
    return result
