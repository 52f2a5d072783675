"""
Values of a lower grade of evidence than the programme asks for (PAR-05).

A value that carries more of the reduction than the programme lets rest on the claimant's word
counts by the conservative end of what is published of it: of the range that it lies in, or of the
list it is from.  Where nothing is published, what it carries does not count.  A value of which more
would cost the claimant has no conservative end without a range: it counts, and is a request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from mrv.accounting.entered_values import amount, row_of, subject
from mrv.accounting.period_result import EvidenceItem, Finding
from mrv.errors import MrvError
from mrv.parameters.evidence import Asked, of_parameter
from mrv.registry.project import Besides, Project
from mrv.rounding import UG_PER_T, decimal_text
from mrv.rules.facts import Facts
from mrv.rules.grades import Entered, ends_of, graded_values, values_of
from mrv.rules.plausible_values import DOCUMENTED, put_in_place
from mrv.rules.published import published_of
from mrv.texts import Text, Value, lines, text

_PLACES = 6
_SCALE = 10**9

LeftBy = Callable[[Project, Besides], tuple[int, int]]


def keep_asked(
    project: Project, besides: Besides, asked: Asked, facts: Facts, left_by: LeftBy
) -> tuple[Project, Besides, list[Finding]]:
    """
    Return a project whose values have the grade that is asked for, or count by what is published.

    Parameters
    ----------
    facts : Facts
        What the period comes to with the project, and its price.
    left_by : callable
        What the period comes to with another one: reduction, and before deductions. [ug CO2e]
    """
    account = facts.price
    if account.reduction_t <= 0:
        return project, besides, []  # nothing is claimed
    most = asked.share * abs(account.reduction_t)
    kept = _Kept(project, besides, asked, facts, left_by)
    texts: list[Text] = []
    graded = sorted(
        graded_values(facts, account),
        key=lambda o: (-Fraction(o[0].tonnes), o[1].name, o[1].role, o[1].devices),
    )
    for item, one in graded:
        # what an analyser of the plant measured is a quantity
        grade = asked.quantities if one.name in besides.channels else asked.parameters
        if item.grade > grade and Fraction(item.tonnes) > most:
            for value, devices in values_of(account, one).items():
                said = kept.counted(item, one, value, devices)
                texts += () if said is None else (said,)
    found = [Finding(DOCUMENTED, False, lines(texts), "CL")] if texts else []
    return kept.project, kept.besides, found


@dataclass
class _Kept:
    """A project as it counts so far."""

    project: Project
    besides: Besides
    asked: Asked
    facts: Facts
    left_by: LeftBy

    def counted(
        self, item: EvidenceItem, one: Entered, value: Fraction, devices: Sequence[str | None]
    ) -> Text | None:
        """Count a value by the conservative end of what is published of it; say so."""
        spec, ends = one.spec, ends_of(self.facts, one, value)
        asked, reduction = self.asked, abs(self.facts.price.reduction_t)
        values: dict[str, Value] = {
            "subject": subject(one.name, devices), "amount": amount(value, spec.unit),
            "grade": item.grade, "percent": _percent(Fraction(item.tonnes) / reduction),
            "asked": asked.parameters, "above": asked.above_percent, "row": row_of(one.name, value),
        }  # fmt: skip
        ours = self.left_by(self.project, self.besides)[0]
        applied = self._least(one, devices, ends, ours)
        if applied is not None:
            least, left = applied
            if least == value:
                return None
            self.besides = replace(
                self.besides, at_published=self.besides.at_published | {one.name}
            )
            values |= {
                "applied": amount(least, spec.unit), "effect": _tonnes(ours - left),
                "source": _source(self.facts, one, least),
            }  # fmt: skip
            return text("PAR-05.asked_applied", **values)
        rest = self._nothing(one, devices, ours)
        if rest is None:
            return text("PAR-05.asked_costs", **values)
        return text("PAR-05.asked_nothing", **values, effect=_tonnes(ours - rest))

    def _least(
        self, one: Entered, devices: Sequence[str | None], ends: Sequence[Fraction], ours: int
    ) -> tuple[Fraction, int] | None:
        """Take the end that leaves least, in all places; None where the entered one does."""
        best: tuple[int, Fraction, Project, Besides] | None = None
        for end in sorted(set(ends)):
            with suppress(MrvError):
                project, besides = self._put(one.name, devices, end)
                left = self.left_by(project, besides)[0]
                if left <= ours and (best is None or left < best[0]):
                    best = left, end, project, besides
        if best is None:
            return None
        left, end, project, besides = best
        if left < 0 <= ours:
            # what is published gives no reduction: nothing counts, and no debt is made of it
            names = (*self.besides.unshown_values, one.name)
            self.besides = replace(self.besides, unshown_values=names)
            return end, 0
        self.project, self.besides = project, besides
        return end, left

    def _nothing(
        self, one: Entered, devices: Sequence[str | None], ours: int
    ) -> int | None:  # fmt: skip
        """Count nothing of what a value carries; None where more of it costs the claimant."""
        with suppress(MrvError, ZeroDivisionError):
            project, besides = self._put(one.name, devices, Fraction(0))
            left = self.left_by(project, besides)[0]
            if left > ours:
                return None
            if left > 0:
                self.project, self.besides = project, besides
                return left
        names = (*self.besides.unshown_values, one.name)
        self.besides = replace(self.besides, unshown_values=names)
        return min(ours, 0)

    def _put(
        self, name: str, devices: Sequence[str | None], value: Fraction
    ) -> tuple[Project, Besides]:
        project, besides = self.project, self.besides
        for device in devices:
            project, besides = put_in_place(
                project, besides, self.facts.methodology, device, name, _decimal(value)
            )
        return project, besides


def _source(facts: Facts, one: Entered, end: Fraction) -> str:
    """Return where an end of what is published is read."""
    if end in map(Fraction, one.spec.choices):
        return facts.methodology.reference  # its own list
    _, others = published_of(one.spec, facts.project, facts.factors)
    listed = [factor.id for factor in others if factor.value == end]
    plausible = one.spec.plausible
    ranges = of_parameter(one.name).source or ("" if plausible is None else plausible.source)
    return ranges or ", ".join(listed) or facts.methodology.reference


def _percent(share: Fraction) -> str:
    return decimal_text(share * 100, 1, "up")


def _tonnes(ug: int) -> str:
    return decimal_text(Fraction(ug, UG_PER_T), _PLACES, "up")


def _decimal(value: Fraction) -> Decimal:
    return Decimal(round(value * _SCALE)) / _SCALE
