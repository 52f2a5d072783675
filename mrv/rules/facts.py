"""What a rule may read: evidence of the period, what was metered, what earlier stages left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

from ingest.model import INTERVAL_US, Fleet
from mrv.accounting.cross_checks import Rows, cross_checks
from mrv.accounting.device_period import Monitored
from mrv.accounting.device_results import Pricing
from mrv.accounting.evidenced_time import Corroboration
from mrv.accounting.period_result import CrossCheck
from mrv.accounting.single_channel import agreeing, witness_of
from mrv.calendar import local_span
from mrv.model import Factors, Methodology
from mrv.parameters.inputs import Inputs
from mrv.registry.project import Besides, Project
from mrv.rules.effects import Level, Node
from mrv.rules.metering import WEEKS, Metered
from mrv.rules.solve import Solved
from mrv.texts import Text, Value, text

if TYPE_CHECKING:
    from mrv.rules.account import Account


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
    fleet: Fleet
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

    def witness(self, one: Monitored, *, alone: bool = False) -> Text | None:
        """Return the check meter or invoice that corroborates a device's quantity."""
        checks = [c for c in self.checks if not alone or len(c.devices) == 1]
        return witness_of(one, self.besides, checks)

    def agreeing(self, one: Monitored) -> CrossCheck | None:
        """Return the comparison that corroborates a device's quantity."""
        return agreeing(one, self.besides, self.checks)

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
