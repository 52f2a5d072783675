"""
Quantities priced: parameters that count, factors, the methodology.  A pure function of views.

The rules of the stage `values` are here: each takes the value that leaves least, of what was
entered, measured, published and carried by the quantities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

from mrv.accounting.agreeing_quantities import agreed
from mrv.accounting.calendar_years import inputs_by_year
from mrv.accounting.conservative_range import worst
from mrv.accounting.design_capacity import within_load
from mrv.accounting.device_period import Monitored
from mrv.accounting.device_results import Pricing
from mrv.accounting.owner_inputs import (
    MEASURED,
    bounded,
    brought,
    compared_kinds,
    listed,
    means,
    measured,
    own_factors,
    unlisted,
    weak,
)
from mrv.accounting.period_result import Finding
from mrv.accounting.service_evidence import NOT_SHOWN, laboratory
from mrv.accounting.unmeasured import raised_to, settled
from mrv.calendar import local_date
from mrv.factors.brought import bounded as bounded_book
from mrv.factors.ledger import Ledger
from mrv.model import Activity, Factors, Methodology, Reductions
from mrv.parameters.inputs import Inputs
from mrv.registry.project import FIRST, Besides, Project
from mrv.rounding import UG_PER_T, exact_text, to_integer
from mrv.rules.performance import Performance, performing
from mrv.rules.power import as_measured

UNCREDITED = "BND-02"


@dataclass(frozen=True)
class Terms:
    """
    What every account of a period has in common.

    Attributes
    ----------
    parameters : Inputs
        As entered, with the means of what was sampled.
    parts : mapping of int to list of Activity
        What goes by time alone, by calendar year.
    stretches : tuple of int
        Edges of the stretches of about a week. [interval numbers]
    period_us : (int, int)
        Half-open. [us UTC]
    """

    project: Project
    methodology: Methodology
    parameters: Inputs
    besides: Besides
    factors: Factors
    parts: Mapping[int, list[Activity]]
    stretches: tuple[int, ...]
    period_us: tuple[int, int]


class Account:
    """
    What a period comes to with some quantities.

    Parameters
    ----------
    views : sequence of Monitored
        What counts of each device.
    fixed : mapping of str to Fraction
        Parameters that count as a rule says.
    no_reduction : bool
        Whether the reduction is at most 0.

    Attributes
    ----------
    net, gross : mapping of int to Reductions
        By calendar year, after and before deductions.
    parameters, stated : Inputs
        That count; and as the statement lists them, without measured performance.
    how : mapping of str to str
        How parameters were come by that count otherwise than entered.
    findings : list of Finding
        Of the stage `values`.
    """

    def __init__(
        self,
        terms: Terms,
        views: Sequence[Monitored],
        fixed: Mapping[str, Fraction],
        *,
        no_reduction: bool,
    ) -> None:
        self.methodology, self.besides = terms.methodology, terms.besides
        self.period_us, self._parts = terms.period_us, terms.parts
        self.timezone, self.from_us = terms.project.timezone, terms.project.from_us
        parameters, besides = terms.parameters, terms.besides
        self.entered = as_measured(views, besides.drawn, terms.stretches)
        self.entered_parameters = parameters
        self.parameters, self.how, self.findings = parameters, dict[str, str](), list[Finding]()
        self.book: Factors = terms.factors
        if besides.accounting > FIRST:
            self._values(fixed)
        performed = performing(self.entered, self.parameters, besides.drawn)
        self.slow = tuple(performed.findings(self.parameters, self.reduced))
        self.performed: Performance = performed
        self.stated, self.parameters = self.parameters, performed.counted(self.parameters)
        self.ledger = Ledger(self.book)
        self.gross = self._account(self._inputs(self.entered, gross=True))
        self.views = worst(self.entered, lambda some: self._account(self._inputs(some)))
        self.inputs = self._inputs(self.views)
        self.net = self._account(self.inputs)
        # what a unit costs may take more factors, on which no credited figure rests
        self.used = tuple(self.ledger.used())
        if no_reduction:
            self.net = {
                y: replace(r, reduction_t=min(r.reduction_t, Fraction(0)))
                for y, r in self.net.items()
            }

    def _inputs(self, some: Sequence[Monitored], *, gross: bool = False) -> dict[int, Inputs]:
        return inputs_by_year(
            self.methodology, self.parameters, self.ledger, some, self._parts, gross=gross
        )

    def _account(self, of: Mapping[int, Inputs]) -> dict[int, Reductions]:
        return {year: self.methodology.reductions(one, self.ledger) for year, one in of.items()}

    def _comes_to(
        self, params: Inputs, book: Factors, views: Sequence[Monitored] | None = None
    ) -> Fraction:
        some = self.entered if views is None else views
        of = inputs_by_year(self.methodology, params, book, some, self._parts, gross=False)
        found = (self.methodology.reductions(one, book).reduction_t for one in of.values())
        return sum(found, start=Fraction(0))

    def reduced(self, params: Inputs, views: Sequence[Monitored] | None = None) -> Fraction:
        """Return what the period comes to with some parameters, or devices. [tCO2e]"""
        return self._comes_to(params, self.book, views)

    def _quantities(self, params: Inputs) -> dict[int, Inputs]:
        return inputs_by_year(
            self.methodology, params, self.book, self.entered, self._parts, gross=False
        )

    # --- the stage `values` ---------------------------------------------------------------

    def _values(self, fixed: Mapping[str, Fraction]) -> None:
        self._credited()
        found = means(self.besides.samples, self.methodology)
        self.parameters, self.how = settled(
            self.methodology, self.parameters, found, self.besides.channels, self.reduced
        )
        self._loaded(fixed)
        self._agreed()
        self._official()
        book, choices = bounded_book(self.book, lambda book: self._comes_to(self.parameters, book))
        self.book = book
        self.findings += brought(choices, self.besides.accepted)

    def _credited(self) -> None:
        """Apply 0 to what is of time before the crediting period."""
        first = local_date(self.from_us, self.timezone).year
        early = sorted(self.methodology.uncredited(self.parameters, first))
        told = [
            f"{name} = {exact_text(Fraction(self.parameters[name]))}"
            f" {self.methodology.parameters[name].unit} is of a year before the crediting period,"
            f" which begins in {first}: it counts 0"
            for name in early
        ]
        if told:
            self.findings.append(Finding(UNCREDITED, False, "; ".join(told)))
            self.parameters = {**self.parameters, **dict.fromkeys(early, Fraction(0))}

    def _loaded(self, fixed: Mapping[str, Fraction]) -> None:
        """Apply no more of a parameter than the plant's design leaves for what was delivered."""
        self.parameters = {**self.parameters, **fixed}
        self.how |= dict.fromkeys(fixed, NOT_SHOWN)
        self.parameters, more, said = within_load(
            self.entered, self.methodology, self.parameters, self.reduced,
            analysed=laboratory(self.besides.samples),
        )  # fmt: skip
        self.how |= more
        self.findings += said

    def _agreed(self) -> None:
        """Compare parameters with what the metered quantities of each year support."""
        used, told, said = agreed(
            self.methodology, self.parameters, self.how, self._quantities, self.reduced,
            self.book,
        )  # fmt: skip
        years = self._quantities(used).values()
        least = {
            name: max((test(one, self.book) for one in years), default=Fraction(0))
            for name, test in self.methodology.shown.items()
        }
        self.parameters, self.how, beyond = raised_to(self.methodology, used, told, least)
        if beyond:
            said.append(Finding(MEASURED, False, "; ".join(beyond)))
        self.findings += said

    def _official(self) -> None:
        """Apply official factors where the owner's leave more, and say what was entered."""
        method, samples = self.methodology, self.besides.samples
        own = own_factors(method, self.parameters, self.book, self.from_us, self.timezone)
        used, said = bounded(own, self.parameters, self.reduced)
        said += unlisted(method, used, self.book)
        used = listed(method, used, self.book, self.reduced)
        shown = measured(
            method, used, samples, self.period_us, self.timezone, self.how, self.reduced,
        )  # fmt: skip
        vague = weak(method, samples, self.besides.channels, self.how)
        self.parameters = used
        self.findings += [*said, *shown, *vague]

    # --- figures --------------------------------------------------------------------------

    @cached_property
    def total(self) -> Reductions:
        """The whole period, after deductions."""
        return added(self.net)

    @property
    def reduction_t(self) -> Fraction:
        """Reduction of the period. [tCO2e]"""
        return self.total.reduction_t

    @cached_property
    def pricing(self) -> Pricing:
        """Tonnes of a quantity."""
        return Pricing(self.methodology, self.parameters, self.ledger)

    @property
    def left(self) -> tuple[int, int]:
        """Reduction, and what it is before deductions, which decides between equals. [ug CO2e]"""
        gross = added(self.gross).reduction_t
        return (
            to_integer(self.reduction_t * UG_PER_T, "down"),
            to_integer(gross * UG_PER_T, "down"),
        )

    def compared(self) -> tuple[str, ...]:
        """Return the kinds of factors that rules look at."""
        if self.besides.accounting == FIRST:
            return ()
        return compared_kinds(self.methodology, self.entered_parameters, self.book)


def added(by_year: Mapping[int, Reductions]) -> Reductions:
    """Add up calendar years."""
    zero = Fraction(0)
    baseline = sum((r.baseline_t for r in by_year.values()), start=zero)
    project = sum((r.project_t for r in by_year.values()), start=zero)
    leakage = sum((r.leakage_t for r in by_year.values()), start=zero)
    # a cap or a deduction of the methodology stands in its reduction, not in the sides
    reduced = sum((r.reduction_t for r in by_year.values()), start=zero)
    return Reductions(baseline, project, leakage, reduced)
