"""
Closing of a monitoring period: exact sums, deductions for gaps and rules, whole tonnes.

The methodology is applied to each local calendar year's sums, in fractions; only the credit is
rounded, down.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from ingest.model import INTERVAL_US, Fleet, IntervalRows
from mrv.accounting.device_period import Monitored
from mrv.accounting.device_results import deductions, device_outcome, gap_outcomes, silent_days
from mrv.accounting.entered_values import accepted
from mrv.accounting.invoice_sums import with_lines_added
from mrv.accounting.period_result import Finding, ParameterUse, PeriodResult
from mrv.accounting.rounded_figures import (
    check_energy,
    comparisons,
    covered_share,
    factor_use,
    findings,
    parameter_uses,
    totals,
    vintages,
)
from mrv.calendar import local_date, local_text, narrowed, utc_text
from mrv.countries import country_of, grid_of
from mrv.documents.period_account import RuleEffect
from mrv.errors import PeriodError
from mrv.factors import within
from mrv.factors.ledger import Ledger
from mrv.methodologies import hosted, implausible, implausible_first
from mrv.model import (
    TECHNOLOGY,
    Candidate,
    CandidateDevice,
    Factor,
    Factors,
    Methodology,
    Reductions,
)
from mrv.parameters import Inputs, exact
from mrv.registry import Calibration
from mrv.registry.project import FIRST, Project, SupportingData
from mrv.rounding import UG_PER_T, six_places, to_integer
from mrv.rules import rules, severity_of
from mrv.rules.account import ZERO, Account, added
from mrv.rules.corrected_invoices import added_lines, keep_first, with_first_applied
from mrv.rules.effects import CHANNELS
from mrv.rules.engine import Engine, Passed
from mrv.rules.equipment import measured_powers
from mrv.rules.facts import MATERIAL
from mrv.rules.grades import carried, evidence_of
from mrv.rules.issued import choose, differing
from mrv.rules.plausible_values import keep_plausible
from mrv.rules.published import compared_kinds, stating
from mrv.rules.values import apply_required_grades
from mrv.texts import text

# rule on a specific consumption outside the plausible range
PLAUSIBLE = "MTR-05"


def close(
    project: Project,
    fleet: Fleet,
    calibrations: Mapping[str, Sequence[Calibration]],
    rows: IntervalRows,
    from_us: int,
    to_us: int,
    factors: Factors,
    carried_ug: int = 0,
    supporting: SupportingData | None = None,
) -> PeriodResult:
    """
    Close a monitoring period, and return its result.

    `fleet`: fleet with the project's devices; `rows` has indices into it.
    `calibrations`: mapping of device id to sequence of Calibration.
    `rows`: rows of the project's devices in the period, each interval once, in any order; other
    quantities and devices are ignored.
    `from_us`, `to_us`: half-open, on the 15-minute grid, within the crediting period. [us UTC]
    `factors`: `mrv.factors.load()`.
    `carried_ug`: negative balance of earlier periods (`PeriodResult.carry_ug`), 0 or below. [ug
    CO2e]
    `supporting`: evidence of the period: check meters, invoices, documents, other periods.
    Raises PeriodError with the edge, the device or the interval that prevents it.
    Raises MethodologyError or FactorError as raised for the methodology's parameters and factors.
    """
    check_edges(project, from_us, to_us)
    _check_rows(rows, from_us, to_us)
    # records also factors used for comparison only, as a recalculation needs them
    looked = Ledger(within(factors, grid_of(project)))
    engine = Engine(project, fleet, calibrations, rows, (from_us, to_us), looked)
    closing = _Closing(engine, carried_ug)
    supporting = supporting or SupportingData()
    check_energy(engine.methodology, supporting.energy)
    corrected: list[Finding] = []
    reported: list[Finding] = []
    if supporting.accounting > FIRST:
        given, supporting = supporting, with_lines_added(supporting)
        reported = added_lines(project, given.invoices, supporting.invoices)
    if supporting.replaced and supporting.accounting > FIRST:
        supporting, corrected = keep_first(
            project,
            supporting,
            lambda given: closing.chosen(project, given)[0].account.net_gross_ug[0],
        )
    passed, chosen = closing.chosen(project, supporting)
    period_result = closing.result(passed, [*chosen, *corrected, *reported])
    kinds = {*period_result.compared, *(factor.kind for factor in looked.used())}
    return replace(period_result, compared=tuple(sorted(kinds)))


class _Closing:
    """Closing of one period: selection of its values, and its result."""

    def __init__(self, engine: Engine, carried_ug: int) -> None:
        self._engine, self._carried_ug = engine, carried_ug
        self._known: dict[str, Passed] = {}

    def _passed(self, project: Project, supporting: SupportingData) -> Passed:
        """Return the evaluation of the rules with given values; calculated once for each."""
        key = repr((
            sorted(project.parameters.items()),
            [(b.device, b.role, sorted(b.params.items())) for b in project.devices],
            supporting.samples, supporting.invoices, supporting.replaced,
            sorted(supporting.at_published), supporting.uncorroborated_values,
        ))  # fmt: skip
        if key not in self._known:
            self._known[key] = self._engine.passed(project, supporting)
        return self._known[key]

    def _net_gross_ug(self, project: Project, supporting: SupportingData) -> tuple[int, int]:
        return self._passed(project, supporting).account.net_gross_ug

    def chosen(self, project: Project, supporting: SupportingData) -> tuple[Passed, list[Finding]]:
        """
        Return the evaluation with the most conservative of registered, issued and
        entered values.
        """
        period_us, result = self._engine.period_us, list[Finding]()
        if supporting.fixed and supporting.accounting > FIRST:
            # a value is unchanged if the issued statement applied the bound of its range in its
            # place
            bounded, _, _ = keep_plausible(project, supporting, period_us, self._net_gross_ug)
            supporting = replace(supporting, fixed=differing(supporting.fixed, bounded))
        if supporting.fixed or supporting.late:
            now = replace(supporting, fixed=(), late=())
            project, result = choose(
                project, supporting, local_date(period_us[0], project.timezone),
                self._engine.factors,
                lambda project: self.chosen(project, now)[0].account.net_gross_ug[0],
            )  # fmt: skip
            supporting = now
        if supporting.accounting > FIRST:
            project, supporting, odd = keep_plausible(
                project, supporting, period_us, self._net_gross_ug
            )
            result = [*odd, *result]
            if supporting.required is not None:
                project, supporting, weak = apply_required_grades(
                    project, supporting, supporting.required,
                    self._passed(project, supporting).facts, self._net_gross_ug,
                )  # fmt: skip
                result = [*result, *weak]
        return self._passed(project, supporting), result

    def result(self, passed: Passed, chosen: Sequence[Finding]) -> PeriodResult:
        account, supporting = passed.account, passed.facts.supporting
        project, method = passed.facts.project, self._engine.methodology
        from_us, to_us = self._engine.period_us
        total, carried_ug, views = account.total, self._carried_ug, account.views
        balance_ug = to_integer(total.reduction_t * UG_PER_T + carried_ug, "down")
        pricing = account.pricing
        names = accepted(project.parameters, f"project {project.id}: parameters")
        credited = vintages(account.net, total.reduction_t + Fraction(carried_ug, UG_PER_T))
        read = {name for name, how in account.how.items() if how == CHANNELS}
        stated = account.stated
        first = supporting.accounting == FIRST
        named = () if first else stating(account, project, passed.facts.factors)
        checks = (
            method.applicability if first else (*method.applicability, hosted(method.countries))
        )
        reported = (
            *findings(checks, _candidate(project, account.parameters, views)),
            *conditions_hold(method, account.inputs, account.net, supporting.accounting),
            *passed.findings,
            *chosen,
        )
        return PeriodResult(
            project=project.id,
            methodology=method.id,
            version=project.version,
            timezone=narrowed(project.timezone, from_us, to_us),
            from_us=from_us,
            to_us=to_us,
            gross=totals(added(account.gross)),
            net=totals(total),
            carried_ug=carried_ug,
            carry_ug=min(0, balance_ug),
            credit_t=sum(v.credit_t for v in credited),
            before_evidence_ug=to_integer(passed.before_evidence_t * UG_PER_T, "down"),
            claimed_t=six_places(account.claimed_t, "down"),
            covered_share=covered_share(views),
            vintages=credited,
            devices=tuple(device_outcome(m, pricing, from_us, to_us, first=first) for m in views),
            gaps=(
                *(g for m in views for g in gap_outcomes(m, pricing)),
                *silent_days(supporting, stated, account.as_read(stated), read, account.reduced),
            ),
            deductions=tuple(d for m in views for d in deductions(m, pricing, first=first)),
            # evaluated last, as the effects on the meters also use factors
            factors=tuple(factor_use(f, names) for f in _by_id(*account.ledger.used(), *named)),
            parameters=(
                *parameter_uses(method, account.stated, views, first=first),
                *measured_powers(views),
                *account.performed.uses(method),
                *(() if first else _implied(account, method)),
                *_rated(views, supporting, to_us, project.timezone),
            ),
            applicability=_graded(dict.fromkeys(reported), passed, total.reduction_t),
            comparisons=comparisons(
                project.expected, views, total, (from_us, to_us, project.timezone), supporting
            ),
            cross_checks=tuple(
                passed.facts.compare(
                    supporting if first else with_first_applied(supporting), pricing
                )
            ),
            compared=compared_kinds(account),
            rules=() if first else tuple(_effects(passed)),
            evidence=() if first else evidence_of(passed.facts, account),
        )


def _by_id(*factors: Factor) -> list[Factor]:
    result = {(factor.id, factor.provisional): factor for factor in factors}
    return [result[key] for key in sorted(result)]


def conditions_hold(
    methodology: Methodology,
    inputs: Mapping[int, Inputs],
    net: Mapping[int, Reductions],
    accounting: int,
) -> Iterator[Finding]:
    """Yield the findings of the methodology's conditions on each year's figures."""
    first = accounting == FIRST
    look = implausible_first if first else implausible
    for condition in methodology.conditions:
        if condition.first and not first:
            continue
        broken = {y: condition.test(inputs[y], net[y]) for y in inputs}
        texts = tuple(text("condition.year", year=y, broken=t) for y, t in broken.items() if t)
        yield Finding(condition.clause, not texts, texts, "" if first else condition.severity)
    strange = [f"{y}: {t}" for y in inputs if (t := look(methodology, inputs[y]))]
    if strange:
        yield Finding(PLAUSIBLE, False, "; ".join(strange))


def _effects(passed: Passed) -> Iterator[RuleEffect]:
    """Yield the deduction of each rule; rules without effect come last."""
    for name, cost in passed.costs.items():
        alone, beside = (six_places(max(value, Fraction(0))) for value in cost)
        yield RuleEffect(
            rule=name, deducted_alone_t=alone, returns_if_resolved_t=beside, applied=True
        )
    zero = six_places(Fraction(0))
    for name in sorted(passed.dropped.difference(passed.costs)):
        yield RuleEffect(
            rule=name, deducted_alone_t=zero, returns_if_resolved_t=zero, applied=False
        )


def _graded(
    reported: Iterable[Finding], passed: Passed, reduction_t: Fraction
) -> tuple[Finding, ...]:
    """
    Return the findings with their severity: an observation if not material.

    Materiality is assessed by the rule's deduction or, for a methodology's condition, by the share
    of the meters that it names.  Programme requirements without amounts keep their severity.  A
    condition of the methodology that is not met is a corrective action request by default.
    """
    if passed.facts.supporting.accounting == FIRST:
        return tuple(reported)
    claimed, by_meter = abs(reduction_t), carried(passed.account)
    result = []
    for finding in reported:
        row, cost = rules().get(finding.rule), passed.costs.get(finding.rule)
        severity = finding.severity or severity_of(finding.rule)
        about = None
        if cost is not None and finding.tonnes and row is not None and not row.programme:
            about = max(cost.alone, cost.beside)
        elif row is None and finding.devices:
            about = sum((by_meter.get(name, ZERO) for name in finding.devices), start=ZERO)
        if about is not None and about < MATERIAL * claimed:
            severity = "observation"
        result.append(replace(finding, severity="" if finding.holds else severity))
    return tuple(result)


def _implied(account: Account, methodology: Methodology) -> Iterator[ParameterUse]:
    """Yield parameters that apply without an entry of the project."""
    implied = methodology.implied(account.parameters, account.book)
    for name, (value, meaning, source) in implied.items():
        yield ParameterUse(None, name, "", str(value), "1", meaning, source, "M", "")


def _rated(
    views: Sequence[Monitored], supporting: SupportingData, to_us: int, timezone: str
) -> list[ParameterUse]:
    """Return rated powers as ex-ante parameters, each with its start."""
    if supporting.accounting == FIRST:
        return []
    return [
        ParameterUse(
            device=name,
            name="rated_power_w",
            symbol="P",
            value=str(watt),
            unit="W",
            meaning=f"rated power from {local_text(begin_us, timezone)} on",
            source="registry",
            certainty="R",
            option="",
        )
        for name in dict.fromkeys(m.device.id for m in views)
        for begin_us, watt in supporting.ratings.get(name, ())
        if begin_us < to_us
    ]


def check_edges(project: Project, from_us: int, to_us: int) -> None:
    """
    Check that a period is on the grid, not empty, and within the crediting period.

    Raises PeriodError otherwise.
    """
    zone = project.timezone
    begin, end = (local_text(edge, zone) for edge in (from_us, to_us))
    for name, edge, local in (("from", from_us, begin), ("to", to_us, end)):
        if edge % INTERVAL_US:
            raise PeriodError(
                f"{name} = {local} is inside an interval; choose the start of a 15-minute interval"
            )
    if from_us >= to_us:
        raise PeriodError(f"the period from {begin} to {end} is empty; `to` must be later")
    if from_us < project.from_us or to_us > project.to_us:
        of = " to ".join(local_text(edge, zone) for edge in (project.from_us, project.to_us))
        raise PeriodError(
            f"the period from {begin} to {end} extends beyond the crediting period of project "
            f"{project.id}, {of}; close only the part within it"
        )


def _check_rows(rows: IntervalRows, from_us: int, to_us: int) -> None:
    start = rows.start_us
    wrong = np.flatnonzero((start % INTERVAL_US != 0) | (start < from_us) | (start >= to_us))
    if len(wrong):
        raise PeriodError(
            f"an interval starts at {utc_text(int(start[wrong[0]]))}, off the 15-minute grid or"
            f" outside of the period {utc_text(from_us)} to {utc_text(to_us)}; enter only whole"
            " intervals of the period"
        )


def _candidate(project: Project, parameters: Inputs, monitored: Sequence[Monitored]) -> Candidate:
    expected = project.expected.get("reduction_t_per_year")
    return Candidate(
        parameters=parameters,
        devices=tuple(
            CandidateDevice(
                m.device.id,
                m.bound.role,
                m.device.class_id,
                len(m.calibrations),
                m.nets,
                m.bound.params.get(TECHNOLOGY),
            )
            for m in monitored
        ),
        first_year=local_date(project.from_us, project.timezone).year,
        reduction_t_per_year=None if expected is None else exact(expected, "reduction_t_per_year"),
        country=country_of(project),
    )
