"""
A monitoring period, closed: exact sums, what gaps cost, whole tonnes.

The methodology is applied to each local calendar year's sums, in fractions;
nothing is rounded before the credit, which rounds down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial

import numpy as np

from ingest.model import INTERVAL_US, Fleet, IntervalRows
from mrv.accounting.calendar_years import conditions_hold, inputs_by_year, parts_of_years
from mrv.accounting.changed_meters import changed_meters
from mrv.accounting.conservative_range import worst
from mrv.accounting.corrected_invoices import first_ones, keep_first
from mrv.accounting.cross_checks import Rows, cross_checks
from mrv.accounting.dated_values import undated
from mrv.accounting.design_cap import capped, check_energy
from mrv.accounting.device_period import Monitored
from mrv.accounting.device_results import Pricing, deductions, device_outcome, gap_outcomes
from mrv.accounting.factor_acceptance import accepted, condition, parameters_of
from mrv.accounting.fallen_registers import fallen_registers
from mrv.accounting.fixed_ex_ante import keep_issued_values
from mrv.accounting.invoice_evidence import billing
from mrv.accounting.invoiced_use import MoreUsed, more_used, used_as_invoiced
from mrv.accounting.invoiced_use import finding as used_finding
from mrv.accounting.late_values import keep_values_before
from mrv.accounting.measured_performance import performing
from mrv.accounting.measured_power import as_measured, measured_powers, shown_powers
from mrv.accounting.overlapping_ids import Overlap, counted_once, overlapping
from mrv.accounting.overlapping_ids import findings as twice_served
from mrv.accounting.owner_inputs import sampled
from mrv.accounting.period_result import CrossCheck, Finding, PeriodResult
from mrv.accounting.plausibility import Plausibility
from mrv.accounting.plausible_values import keep_plausible
from mrv.accounting.project_devices import monitor_all
from mrv.accounting.project_meters import project_meters
from mrv.accounting.rounded_figures import (
    comparisons,
    covered_share,
    factor_use,
    findings,
    parameter_uses,
    totals,
    vintages,
)
from mrv.accounting.service_evidence import Bare, Services, shown
from mrv.accounting.silent_analysers import silent_days
from mrv.accounting.single_channel import Resting, single_channel, without
from mrv.accounting.untold_use import charged, shown_registers, untold_use, without_shown
from mrv.accounting.used_electricity import used_electricity
from mrv.accounting.usual_service import finding as unusual_finding
from mrv.accounting.usual_service import unusual, within_usual
from mrv.calendar import local_date, local_text, narrowed, utc_text, years
from mrv.errors import PeriodError
from mrv.factors.centres import centres
from mrv.factors.ledger import Ledger
from mrv.methodologies import find
from mrv.model import Candidate, CandidateDevice, Factors, Reductions
from mrv.parameters.inputs import Inputs, exact
from mrv.registry.project import BOUNDED, FIRST, INVOICED_USE, Besides, Calibration, Project
from mrv.rounding import UG_PER_T, to_integer


def close(
    project: Project,
    fleet: Fleet,
    calibrations: Mapping[str, Sequence[Calibration]],
    rows: IntervalRows,
    from_us: int,
    to_us: int,
    factors: Factors,
    carried_ug: int = 0,
    besides: Besides | None = None,
) -> PeriodResult:
    """
    Close a monitoring period.

    Parameters
    ----------
    project : Project
    fleet : Fleet
        Holds the project's devices; its indices are those of `rows`.
    calibrations : mapping of device id to sequence of Calibration
    rows : IntervalRows
        Of the project's devices within the period, each interval once, in any
        order; other quantities and devices are passed over.
    from_us, to_us : int
        Half-open, on the 15-minute grid, within the crediting period. [us UTC]
    factors : Factors
        `mrv.factors.load()`.
    carried_ug : int
        What earlier periods left below zero (`PeriodResult.carry_ug`), 0 or
        negative. [ug CO2e]
    besides : Besides, optional
        Check meters, invoices and other periods to hold it against.

    Raises
    ------
    PeriodError
        Names the edge, the device or the interval that does not allow it.
    MethodologyError, FactorError
        As the methodology's parameters and factors give rise to.
    """
    check_edges(project, from_us, to_us)
    _check_rows(rows, from_us, to_us)
    besides = besides or Besides()
    asked = fleet, calibrations, rows, from_us, to_us, factors, carried_ug
    if besides.replaced and besides.accounting >= INVOICED_USE:
        besides, corrected = keep_first(
            project, besides, lambda held: _by_values(project, *asked, held).net.reduction.ug
        )
        found = _by_values(project, *asked, besides)
        return replace(found, applicability=(*found.applicability, *corrected))
    return _by_values(project, *asked, besides)


def _by_values(
    project: Project,
    fleet: Fleet,
    calibrations: Mapping[str, Sequence[Calibration]],
    rows: IntervalRows,
    from_us: int,
    to_us: int,
    factors: Factors,
    carried_ug: int,
    besides: Besides,
) -> PeriodResult:
    """Close a period by typed values as they may count."""
    asked = fleet, calibrations, rows, from_us, to_us, factors, carried_ug
    project, besides, odd = keep_plausible(
        project, besides, (from_us, to_us), lambda one, held: _closed(one, *asked, held)
    )
    fixed, late = list[Finding](), list[Finding]()
    if besides.fixed or besides.late:
        now = replace(besides, fixed=(), late=())

        def left(one: Project) -> int:
            return _by_values(one, *asked, now).net.reduction.ug

        project, fixed = keep_issued_values(besides.fixed, project, left)
        first = local_date(from_us, project.timezone)
        project, late = keep_values_before(besides.late, project, first, left, besides.accounting)
        found = _by_values(project, *asked, now)
    else:
        found = _closed(project, *asked, besides)
    more = [one for one in (*fixed, *late, *odd) if one not in found.applicability]
    return replace(found, applicability=(*found.applicability, *more))


def _closed(
    project: Project,
    fleet: Fleet,
    calibrations: Mapping[str, Sequence[Calibration]],
    rows: IntervalRows,
    from_us: int,
    to_us: int,
    factors: Factors,
    carried_ug: int,
    besides: Besides,
) -> PeriodResult:
    """Close a period by the values that count; what evidence lacks is closed again without it."""
    asked = fleet, calibrations, rows, from_us, to_us, factors, carried_ug
    methodology = find(project.methodology, project.version)
    check_energy(methodology, besides.energy)
    where = f"project {project.id}: parameters"
    names = accepted(project.parameters, where)
    parameters = parameters_of(methodology, project.parameters, where)
    if besides.accounting < BOUNDED:
        factors = centres(factors)
    edges = years(from_us, to_us, project.timezone)
    if besides.accounting > FIRST:
        parameters = sampled(parameters, besides.samples, methodology)
    checks = Plausibility.of(methodology, parameters, besides, (from_us, to_us), project.timezone)
    monitored = capped(
        monitor_all(
            project,
            methodology,
            fleet,
            checks.certificates(fleet, calibrations),
            rows,
            (from_us, to_us),
            checks.bounds,
        ),
        parameters,
        edges,
        project.timezone,
    )
    monitored, overlaps, strange = _held(monitored, checks)
    monitored = charged(monitored, besides.untold, project.timezone)
    monitored = as_measured(
        within_usual(used_as_invoiced(monitored, besides, project.timezone), besides.unusual or {}),
        besides.drawn,
        checks.edges,
    )
    parts = parts_of_years(project, methodology, fleet, (from_us, to_us))

    def comes_to(params: Inputs, some: Sequence[Monitored], book: Factors = factors) -> Fraction:
        of = inputs_by_year(methodology, params, book, some, parts, gross=False)
        years_ = (methodology.reductions(one, book) for one in of.values())
        return sum((one.reduction_t for one in years_), start=Fraction(0))

    def by_book(book: Factors) -> Fraction:
        return comes_to(parameters, monitored, book)

    def quantities(params: Inputs) -> dict[int, Inputs]:
        return inputs_by_year(methodology, params, factors, monitored, parts, gross=False)

    reduced = partial(comes_to, some=monitored)
    parameters, early = checks.credited(parameters, project.from_us)
    parameters, how = checks.measured(parameters, reduced)
    parameters, how, built = checks.loaded(parameters, how, monitored, reduced)
    parameters, how, less = checks.shown(parameters, how, quantities, reduced, factors)
    parameters, typed = checks.typed(parameters, factors, project.from_us, reduced, how)
    factors, brought = checks.brought(factors, by_book)
    performed = performing(monitored, parameters, besides.drawn)
    slow = tuple(performed.findings(parameters, reduced))
    stated, parameters = parameters, performed.counted(parameters)
    ledger = Ledger(factors)

    def told(some: Sequence[Monitored], *, gross: bool = False) -> dict[int, Inputs]:
        return inputs_by_year(methodology, parameters, ledger, some, parts, gross=gross)

    def account(of: Mapping[int, Inputs]) -> dict[int, Reductions]:
        return {year: methodology.reductions(one, ledger) for year, one in of.items()}

    gross = account(told(monitored, gross=True))
    monitored = worst(monitored, lambda some: account(told(some)))
    inputs = told(monitored)
    net = _reduced(account(inputs), besides)
    total = _sum(net)
    balance_ug = to_integer(total.reduction_t * UG_PER_T + carried_ug, "down")
    pricing = Pricing(methodology, parameters, ledger)
    crossed = tuple(cross_checks(monitored, besides, Rows(rows, fleet), edges, pricing))
    resting = single_channel(monitored, besides, crossed, edges, pricing)
    services = Services(monitored, methodology, parameters, besides, crossed)
    first = local_date(from_us, project.timezone)
    lesser = _with_evidence(
        services, resting, project, (from_us, to_us), total,
        lambda held: cross_checks(monitored, held, Rows(rows, fleet), edges, pricing),
        lambda now: _closed(project, *asked, now),
    )  # fmt: skip
    if lesser is not None:
        return lesser
    credited = vintages(net, total.reduction_t + Fraction(carried_ug, UG_PER_T))
    return PeriodResult(
        project=project.id,
        methodology=methodology.id,
        version=project.version,
        timezone=narrowed(project.timezone, from_us, to_us),
        from_us=from_us,
        to_us=to_us,
        gross=totals(_sum(gross)),
        net=totals(total),
        carried_ug=carried_ug,
        carry_ug=min(0, balance_ug),
        credit_t=sum(v.credit_t for v in credited),
        covered_share=covered_share(monitored),
        vintages=credited,
        devices=tuple(device_outcome(m, pricing, from_us, to_us) for m in monitored),
        gaps=(
            *(g for m in monitored for g in gap_outcomes(m, pricing)),
            *silent_days(besides, stated, how, reduced),
        ),
        deductions=tuple(d for m in monitored for d in deductions(m, pricing)),
        factors=tuple(factor_use(f, names) for f in ledger.used()),
        parameters=(
            *parameter_uses(methodology, stated, monitored),
            *shown_powers(monitored),
            *performed.uses(methodology),
            *checks.rated(monitored),
        ),
        applicability=(
            *findings(methodology.applicability, _candidate(project, parameters, monitored)),
            *conditions_hold(methodology, inputs, net),
            *filter(None, [condition(ledger.used(), names)]),
            *strange,
            *twice_served(overlaps, pricing, checks.timezone),
            *changed_meters(monitored, besides.accounting, pricing, checks.timezone),
            *measured_powers(monitored, pricing),
            *untold_use(monitored, besides.untold, pricing),
            *fallen_registers(monitored, besides.fallen, pricing, checks.timezone),
            *project_meters(monitored, methodology, checks.edges, besides.accounting, pricing),
            *slow,
            *typed,
            *early,
            *built,
            *less,
            *brought,
            *resting.findings,
            *services.outside(),
            *used_electricity(monitored, methodology, besides, crossed, total.reduction_t, pricing),
            *undated(methodology, stated, monitored, besides, first),
        ),
        comparisons=comparisons(project.expected, monitored, total, to_us - from_us, besides),
        cross_checks=crossed,
        compared=checks.compared(factors),
    )


def _held(
    monitored: Sequence[Monitored], checks: Plausibility
) -> tuple[list[Monitored], list[Overlap], list[Finding]]:
    """Count once what two ids say, and by the bound what does not pass, and say so."""
    overlaps = overlapping(monitored, checks.besides.accounting)
    once = counted_once(monitored, overlaps, checks.edges, checks.timezone)
    found, said = checks.hold(once)
    return found, overlaps, said


def _reduced(net: dict[int, Reductions], besides: Besides) -> dict[int, Reductions]:
    """Reduce nothing where invoices are missing; what was emitted more than saved stays."""
    if not besides.unbilled:
        return net
    return {y: replace(r, reduction_t=min(r.reduction_t, Fraction(0))) for y, r in net.items()}


def _with_evidence(
    services: Services,
    resting: Resting,
    project: Project,
    period_us: tuple[int, int],
    total: Reductions,
    compared: Callable[[Besides], Iterator[CrossCheck]],
    again: Callable[[Besides], PeriodResult],
) -> PeriodResult | None:
    """Close a period again by what evidence carries; None where all that was claimed has it."""
    besides = services.besides
    first = local_date(period_us[0], project.timezone)
    if resting.uncounted:
        found = again(without(besides, resting.uncounted))
        return replace(found, applicability=(*found.applicability, *resting.findings))
    registers = shown_registers(services.monitored, besides, services.checks)
    if registers:
        now, said = without_shown(besides, registers)
        found = again(now)
        return replace(found, applicability=(*found.applicability, said))
    billed = billing(
        services.monitored, services.methodology, services.parameters, besides, services.checks,
        first, total.reduction_t,
    )  # fmt: skip
    if billed is not None:
        found = again(replace(besides, billed=billed.beyond, unbilled=bool(billed.missing)))
        cost = total.reduction_t - Fraction(found.net.reduction.ug, UG_PER_T)
        return replace(found, applicability=(*found.applicability, billed.finding(cost)))
    beyond = unusual(services.monitored, services.methodology, besides, services.checks)
    if beyond:
        found = again(replace(besides, unusual=beyond))
        cost = total.reduction_t - Fraction(found.net.reduction.ug, UG_PER_T)
        said = unusual_finding(beyond, services.users(), cost)
        return replace(found, applicability=(*found.applicability, said))
    bare = services.bare(first)
    if bare:
        return _without(bare, services, total, again)
    first_said = first_ones(besides)
    held = replace(besides, invoices=(*besides.invoices, *first_said))
    checks = [*services.checks, *compared(replace(besides, meters=(), invoices=first_said))]
    more = more_used(services.monitored, held, checks, project, period_us)
    return None if more is None else _as_used(more, besides, total, again)


def _as_used(
    more: MoreUsed, besides: Besides, total: Reductions, again: Callable[[Besides], PeriodResult]
) -> PeriodResult:
    """Close a period again with what invoices show of its use, and say what that costs."""
    found = again(replace(besides, used=more.by_meter))
    cost = total.reduction_t - Fraction(found.net.reduction.ug, UG_PER_T)
    if cost < 0:  # where more use leaves more, the meters count
        found = again(replace(besides, used={}))
    return replace(found, applicability=(*found.applicability, used_finding(more.told, cost)))


def _without(
    bare: Sequence[Bare],
    services: Services,
    total: Reductions,
    again: Callable[[Besides], PeriodResult],
) -> PeriodResult:
    """Close a period again without the services that nothing shows, and say what that costs."""
    found = again(services.without(bare))
    cost = total.reduction_t - Fraction(found.net.reduction.ug, UG_PER_T)
    if cost < 0:  # what emits more than it saves is no way to more
        found, cost = again(services.without(())), Fraction(0)
    return replace(found, applicability=(*found.applicability, shown(bare, cost)))


def check_edges(project: Project, from_us: int, to_us: int) -> None:
    """Refuse a period off the grid, empty, or outside of the crediting period; PeriodError."""
    zone = project.timezone
    begin, end = (local_text(edge, zone) for edge in (from_us, to_us))
    for name, edge, said in (("from", from_us, begin), ("to", to_us, end)):
        if edge % INTERVAL_US:
            raise PeriodError(f"{name} = {said} is inside an interval; choose a quarter of an hour")
    if from_us >= to_us:
        raise PeriodError(f"the period from {begin} to {end} is empty; `to` must be later")
    if from_us < project.from_us or to_us > project.to_us:
        of = " to ".join(local_text(edge, zone) for edge in (project.from_us, project.to_us))
        raise PeriodError(
            f"the period from {begin} to {end} leaves the crediting period of project"
            f" {project.id}, {of}; close only what lies within"
        )


def _check_rows(rows: IntervalRows, from_us: int, to_us: int) -> None:
    start = rows.start_us
    wrong = np.flatnonzero((start % INTERVAL_US != 0) | (start < from_us) | (start >= to_us))
    if len(wrong):
        raise PeriodError(
            f"an interval starts at {utc_text(int(start[wrong[0]]))}, off the 15-minute grid or"
            f" outside of the period {utc_text(from_us)} to {utc_text(to_us)}; give only whole"
            " intervals of the period"
        )


def _sum(by_year: Mapping[int, Reductions]) -> Reductions:
    zero = Fraction(0)
    baseline = sum((r.baseline_t for r in by_year.values()), start=zero)
    project = sum((r.project_t for r in by_year.values()), start=zero)
    leakage = sum((r.leakage_t for r in by_year.values()), start=zero)
    # a cap or a deduction of the methodology stands in its reduction, not in the sides
    reduced = sum((r.reduction_t for r in by_year.values()), start=zero)
    return Reductions(baseline, project, leakage, reduced)


def _candidate(project: Project, parameters: Inputs, monitored: Sequence[Monitored]) -> Candidate:
    expected = project.expected.get("reduction_t_per_year")
    return Candidate(
        parameters=parameters,
        devices=tuple(
            CandidateDevice(
                m.device.id, m.bound.role, m.device.class_id, len(m.calibrations), m.nets
            )
            for m in monitored
        ),
        first_year=local_date(project.from_us, project.timezone).year,
        reduction_t_per_year=None if expected is None else exact(expected, "reduction_t_per_year"),
    )
