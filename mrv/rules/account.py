"""
Emission account of a period: counted parameters, factors and quantities, and their tonnes.

Measured parameters come first (`plausible_values`).  Then the effects of rules apply: fixed values,
bounds (each if more conservative), minima calculated from quantities, rejected factors.

For a quantity on both sides, such as composted waste, a gap may raise or lower the reduction.  Each
part with missing data is calculated with the missing quantity as zero and as the maximum.  Each
year has the lowest reduction of three cases: zero for all parts, the maximum for the parts where it
is conservative, the maximum for all.  While a role with project emissions has no device, neither
side is counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

from ingest.model import INTERVAL_US, Fleet
from mrv.accounting.coverage import Span, common, costed
from mrv.accounting.device_period import Kind, Monitored
from mrv.accounting.device_results import Pricing
from mrv.accounting.entered_values import parameters_of
from mrv.calendar import local_date, month_us, parts, utc_text, year_us
from mrv.errors import PeriodError
from mrv.factors.ledger import Ledger, without
from mrv.methodologies import find, unit_reductions
from mrv.model import (
    GAINING,
    LENGTH,
    MONTH,
    PERIOD,
    Activity,
    Factor,
    Factors,
    Methodology,
    Reductions,
)
from mrv.parameters import Inputs, read
from mrv.registry.project import FIRST, Project, ProjectDevice, SupportingData, service_intervals
from mrv.rounding import UG_PER_T, to_integer
from mrv.rules.effects import CHANNELS, Bound, Effect, Fix, Least, NoReduction, Withheld
from mrv.rules.equipment import Performance, performing, with_measured_power
from mrv.rules.plausible_values import as_measured
from mrv.texts import Text

Place = tuple[int, int]


def check_costed(
    project: Project, fleet: Fleet, period_us: tuple[int, int], factors: Factors
) -> None:
    """
    Check that every role with project emissions has a meter during the period.

    Raises PeriodError with the device, the time, and the roles without a device.
    """
    methodology = find(project.methodology, project.version)
    wanted = [r for r, n in methodology.roles.items() if n.side == "project" and n.required]
    gaining = costed(project, methodology, fleet)
    period = (period_us[0] // INTERVAL_US, period_us[1] // INTERVAL_US)
    for bound in project.devices:
        needs = methodology.roles.get(bound.role)
        if needs is None or needs.costs is None or bound.device not in fleet.by_id:
            continue
        device = fleet.devices[fleet.by_id[bound.device]]
        for span in common([service_intervals(project, bound, device, needs.side)], [period]):
            free = _first_free(span, common([span], gaining))
            if free is not None and _costs(project, methodology, bound, free, factors):
                raise PeriodError(
                    f"device {bound.device} is in the project at"
                    f" {utc_text(free * INTERVAL_US)}, but no"
                    f" meter has one of the roles {', '.join(wanted)} at that time; assign the"
                    " meters of that time to the project (their missing data are treated"
                    " conservatively)"
                )


def _first_free(span: Span, taken: Sequence[Span]) -> int | None:
    """Return the first interval of a span outside the spans `taken`, which are ascending."""
    at = span[0]
    for begin, end in taken:
        if begin > at:
            break
        at = end
    return at if at < span[1] else None


def _costs(
    project: Project, methodology: Methodology, bound: ProjectDevice, free: int, factors: Factors
) -> bool:
    where = f"project {project.id}"
    parameters = parameters_of(methodology, project.parameters, where)
    params = read(methodology.roles[bound.role].params, bound.params, where)
    year = local_date(free * INTERVAL_US, project.timezone).year
    unit = unit_reductions(methodology, bound.role, params, parameters, factors, year)
    return unit.reduction_t < 0


def worst(
    monitored: Sequence[Monitored],
    account: Callable[[Sequence[Monitored]], Mapping[int, Reductions]],
) -> list[Monitored]:
    """
    Return the devices with missing quantities at the upper bound where that is conservative.

    `account`: returns the account of given devices, by local calendar year.
    """
    years = {
        (k, j): part.year
        for k, meter in enumerate(monitored)
        if meter.needs.costs is not None
        for j, part in enumerate(meter.parts)
        if any(cut.kind in {Kind.GAP, Kind.CALIBRATION} for cut in part.cuts)
    }
    if not years:
        return list(monitored)
    nothing = account(monitored)
    dear = [
        place
        for place, year in years.items()
        if account(_at_upper_bound(monitored, [place]))[year].reduction_t
        < nothing[year].reduction_t
    ]
    chosen: dict[int, Collection[Place]] = dict.fromkeys(nothing, ())
    least = {year: result.reduction_t for year, result in nothing.items()}
    for places in (dear, list(years)):
        for year, reductions in account(_at_upper_bound(monitored, places)).items():
            if reductions.reduction_t < least[year]:
                least[year] = reductions.reduction_t
                chosen[year] = [place for place in places if years[place] == year]
    return _at_upper_bound(monitored, [place for some in chosen.values() for place in some])


def _at_upper_bound(monitored: Sequence[Monitored], places: Collection[Place]) -> list[Monitored]:
    """Return the devices with the upper bound of missing quantities in the parts at `places`."""
    wanted: defaultdict[int, set[int]] = defaultdict(set)
    for k, j in places:
        wanted[k].add(j)
    meters = list(monitored)
    for k, of in wanted.items():
        parts = monitored[k].parts
        marked = (part.at_upper_bound() if j in of else part for j, part in enumerate(parts))
        meters[k] = replace(monitored[k], parts=tuple(marked))
    return meters


ZERO = Fraction(0)


@dataclass(frozen=True)
class Terms:
    """
    Inputs common to all accounts of a period.

    `parameters`: parameters as entered, with the means of samples.  `parts`: activities that depend
    on time only, by calendar year.  `stretches`: edges of the weeks. [interval numbers]
    `known`: reductions calculated so far; most inputs are asked for again.
    """

    methodology: Methodology
    parameters: Inputs
    supporting: SupportingData
    factors: Factors
    parts: Mapping[int, list[Activity]]
    stretches: tuple[int, ...]
    known: dict[tuple[int, str], tuple[Factors, Reductions]] = field(default_factory=dict)

    def reductions(self, inputs: Inputs, book: Factors) -> Reductions:
        """Return the reductions of complete inputs, calculated once for each factor book."""
        key = id(book), repr(inputs)
        if key not in self.known:  # with the book, whose number would else be given again
            self.known[key] = book, self.methodology.reductions(inputs, book)
        return self.known[key][1]


@dataclass(frozen=True)
class Account:
    """
    Emission account of a period: its reductions with given quantities, parameters and factors.

    `entered`: counted quantities by device, with measured power in place of the entered one.
    `measured`: measured or entered parameters, bounded by earlier stages.
    `stated`: counted parameters, as listed in the statement.
    `how`: why a parameter differs from the entered one; texts of `mrv.rules.effects`.
    `book`: factors, without those not accepted.
    `applied`: rules of the stage `values` whose effects changed a parameter or a factor.
    """

    terms: Terms
    entered: Sequence[Monitored]
    measured: Inputs
    stated: Inputs
    how: Mapping[str, Text]
    book: Factors
    no_reduction: bool = False
    applied: frozenset[str] = frozenset()

    @classmethod
    def of(cls, terms: Terms, views: Sequence[Monitored], effects: Iterable[Effect]) -> Account:
        """Return the account with measured parameters, and with the effects of earlier stages."""
        every, supporting = list(effects), terms.supporting
        entered = with_measured_power(views, supporting.drawn, terms.stretches)
        none = any(isinstance(effect, NoReduction) for effect in every)
        parameters = terms.parameters
        made = cls(terms, entered, parameters, parameters, {}, terms.factors, no_reduction=none)
        if supporting.accounting == FIRST:
            return made
        used, how = as_measured(parameters, terms.methodology, supporting, made.reduced)
        for effect in every:
            if isinstance(effect, Fix):
                used[effect.parameter] = effect.value
                how |= {} if effect.how is None else {effect.parameter: effect.how}
        return replace(made, measured=used, stated=used, how=how)

    def valued(self, effects: Mapping[str, Sequence[Effect]]) -> Account:
        """
        Return the account with the effects of the stage `values`, by rule.

        A bound of a parameter applies if it gives a lower reduction.  Parameters are processed in
        the order of the methodology, so that the order of the rules does not matter.
        """
        used, how, applied = dict(self.stated), dict(self.how), set[str]()

        def count(rule: str, item: Fix | Bound | Least, value: Fraction) -> None:
            used[item.parameter] = value
            applied.add(rule)
            if item.how is not None:
                how[item.parameter] = item.how

        of = [(rule, effect) for rule, effects in sorted(effects.items()) for effect in effects]
        for rule, effect in of:
            if isinstance(effect, Fix) and used.get(effect.parameter) != effect.value:
                count(rule, effect, effect.value)
        for name in self.methodology.parameters:
            mine = [(r, o) for r, o in of if isinstance(o, Bound) and o.parameter == name]
            remaining = self.reduced(used) if mine else ZERO
            for rule, effect in sorted(mine, key=lambda item: (item[1].value, repr(item[1].how))):
                less = self.reduced({**used, name: effect.value})
                if less < remaining:
                    remaining = less
                    count(rule, effect, effect.value)
        for rule, effect in of:
            if isinstance(effect, Least) and used[effect.parameter] < (
                value := effect.at_least(used)
            ):
                count(rule, effect, value)
        withheld = {effect.factor: rule for rule, effect in of if isinstance(effect, Withheld)}
        book = without(self.book, withheld) if withheld else self.book
        return replace(
            self, stated=used, how=how, book=book, applied=frozenset(applied | {*withheld.values()})
        )

    # --- figures --------------------------------------------------------------------------

    @property
    def methodology(self) -> Methodology:
        """Return the methodology of the project."""
        return self.terms.methodology

    @cached_property
    def performed(self) -> Performance:
        """Return the measured performance of devices, where it is below the entered one."""
        return performing(self.entered, self.stated, self.terms.supporting.drawn)

    @cached_property
    def parameters(self) -> Inputs:
        """Return the counted parameters, with measured performance."""
        return self.performed.counted(self.stated)

    def as_read(self, used: Inputs) -> Inputs:
        """Return parameters in which days without analyser data have the mean of the other days."""
        read = {
            name: measured.read
            for name, measured in self.terms.supporting.channels.items()
            if measured.silent and measured.read is not None
            if self.how.get(name) == CHANNELS and used.get(name) == measured.value
        }
        return {**used, **read}

    @cached_property
    def ledger(self) -> Ledger:
        """
        Return the factor book, which records the factors used, also those for the emissions of one
        unit.
        """
        return Ledger(self.book)

    @cached_property
    def _own(self) -> Ledger:
        return Ledger(self.ledger)

    @cached_property
    def gross(self) -> Mapping[int, Reductions]:
        """
        Return the reductions by calendar year, before deductions.

        Days without analyser data are counted with the mean of the other days.
        """
        parameters = self.as_read(self.parameters)
        inputs = self._inputs(self.entered, parameters, self._own, gross=True)
        return self._reductions(inputs, self._own)

    @cached_property
    def views(self) -> list[Monitored]:
        """Return the devices, each with the more conservative bound for missing data."""
        own = self._own
        return worst(
            self.entered,
            lambda meters: self._reductions(self._inputs(meters, self.parameters, own), own),
        )

    @cached_property
    def inputs(self) -> dict[int, Inputs]:
        """Return the inputs of the methodology by calendar year."""
        return self._inputs(self.views, self.parameters, self._own)

    @cached_property
    def claimed(self) -> Mapping[int, Reductions]:
        """Return the reductions by calendar year, as if no rule set the reduction itself to 0."""
        return self._reductions(self.inputs, self._own)

    @cached_property
    def net(self) -> Mapping[int, Reductions]:
        """Return reductions by calendar year, after deductions."""
        if self.no_reduction:
            return {
                y: replace(r, reduction_t=min(r.reduction_t, ZERO)) for y, r in self.claimed.items()
            }
        return self.claimed

    @property
    def used(self) -> tuple[Factor, ...]:
        """
        Return the factors that the figures of the period use, without those for one
        unit only.
        """
        return tuple(self._own.used()) if self.gross and self.net else ()

    @cached_property
    def total(self) -> Reductions:
        """Return the reductions of the whole period, after deductions."""
        return added(self.net)

    @property
    def reduction_t(self) -> Fraction:
        """Return the reduction of the period. [tCO2e]"""
        return self.total.reduction_t

    @property
    def claimed_t(self) -> Fraction:
        """Return the reduction of the period, as if no rule set it to 0. [tCO2e]"""
        return added(self.claimed).reduction_t

    @property
    def is_difference(self) -> bool:
        """
        Return whether project emissions exceed the reduction.

        Then a small relative error of these emissions has a larger effect on the reduction.
        """
        return 0 < self.total.reduction_t < self.total.project_t

    @cached_property
    def pricing(self) -> Pricing:
        """Return the calculation of tonnes from quantities."""
        return Pricing(self.methodology, self.parameters, self.ledger)

    @property
    def net_gross_ug(self) -> tuple[int, int]:
        """Return the reductions after and before deductions, for comparing accounts. [ug CO2e]"""
        gross = added(self.gross).reduction_t
        return (
            to_integer(self.reduction_t * UG_PER_T, "down"),
            to_integer(gross * UG_PER_T, "down"),
        )

    def comes_to(
        self, parameters: Inputs, book: Factors, views: Sequence[Monitored] | None = None
    ) -> Fraction:
        """Return the reduction of the period with given parameters, factors and devices. [tCO2e]"""
        meters = self.entered if views is None else views
        return added(self._reductions(self._inputs(meters, parameters, book), book)).reduction_t

    def reduced(self, parameters: Inputs, views: Sequence[Monitored] | None = None) -> Fraction:
        """Return the reduction of the period with given parameters or devices. [tCO2e]"""
        return self.comes_to(parameters, self.book, views)

    def quantities(self, parameters: Inputs) -> dict[int, Inputs]:
        """Return the inputs of the methodology by year, with given parameters."""
        return self._inputs(self.entered, parameters, self.book)

    def _inputs(
        self, meters: Sequence[Monitored], parameters: Inputs, book: Factors, *, gross: bool = False
    ) -> dict[int, Inputs]:
        activities = {year: list(of) for year, of in self.terms.parts.items()}
        for meter in meters:
            for part in meter.parts:
                activities.setdefault(part.year, []).append(meter.activity(part, gross=gross))
        return {
            year: self.methodology.inputs_of(activities[year], parameters, book, year)
            for year in sorted(activities)
        }

    def _reductions(self, of: Mapping[int, Inputs], book: Factors) -> dict[int, Reductions]:
        return {year: self.terms.reductions(inputs, book) for year, inputs in of.items()}


def added(by_year: Mapping[int, Reductions]) -> Reductions:
    """
    Return the sum of the reductions of calendar years. A cap or deduction of the methodology is
    part of the reduction, not of baseline or project emissions.
    """
    years = by_year.values()
    return Reductions(
        sum((r.baseline_t for r in years), start=ZERO),
        sum((r.project_t for r in years), start=ZERO),
        sum((r.leakage_t for r in years), start=ZERO),
        sum((r.reduction_t for r in years), start=ZERO),
    )


def parts_of_years(
    project: Project, methodology: Methodology, fleet: Fleet, period_us: tuple[int, int]
) -> dict[int, list[Activity]]:
    """
    Return activities that depend on time only, by calendar year.

    The parameter `GAINING` is the share of the year for which time-dependent baseline emissions
    count.
    """
    if not methodology.timed:
        return {}
    gains = [(a * INTERVAL_US, b * INTERVAL_US) for a, b in costed(project, methodology, fleet)]
    result: dict[int, list[Activity]] = {}
    for year, month, begin, end in parts(*period_us, project.timezone, monthly=methodology.monthly):
        whole = year_us(year, project.timezone)
        gaining = sum(last - first for first, last in common([(begin, end)], gains))
        params: dict[str, Any] = {GAINING: Fraction(gaining, whole)}
        if month is not None:
            length = Fraction(month_us(year, month, project.timezone), whole)
            params |= {MONTH: month, LENGTH: length}
        result.setdefault(year, []).append(Activity(PERIOD, params, Fraction(end - begin, whole)))
    return result
