"""
Values that an owner types, held against what is physically plausible.

A document can be invented, and so can a laboratory.  Each methodology names the range in which
a value lies, with its source, and what other values say of it: the efficiency of a pump by its
head, the enthalpy of steam by its temperature.  Outside of that the period closes with the bound,
or with the typed value where that leaves less, and a condition names the value, the range and
the cost in tonnes.  A value that needs a dated document and has none counts
by the one for which none is needed.  These are rules of tonne's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any

from mrv.accounting.factor_acceptance import parameters_of
from mrv.accounting.invoice_evidence import undocumented
from mrv.accounting.period_result import Finding
from mrv.calendar import local_date
from mrv.methodologies import find
from mrv.model import Methodology
from mrv.parameters.inputs import Inputs, read
from mrv.parameters.specs import ParameterSpec
from mrv.registry.project import Besides, Project
from mrv.rounding import UG_PER_T, decimal_text, exact_text
from mrv.rules.account import MONITORED, sampled

# a value against its own range, against other values, without its dated document
RANGE, RELATION, DOCUMENTED = "PAR-03", "PAR-04", "PAR-05"
_PLACES = 6
_SCALE = 10**9
_Ranges = Sequence[tuple[Fraction, Fraction]]


@dataclass(frozen=True, slots=True)
class _Place:
    """
    A value of the project (`device` None) or of one of its devices, and its parameter.

    `beside` are the values of the same device.
    """

    device: str | None
    name: str
    spec: ParameterSpec
    value: Fraction
    beside: Inputs = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Name, device and value, for a condition."""
        whose = "" if self.device is None else f" of {self.device}"
        unit = "" if self.spec.unit == "1" else f" {self.spec.unit}"
        return f"{self.name}{whose} = {_short(self.value)}{unit}"


def keep_plausible(
    project: Project,
    besides: Besides,
    period_us: tuple[int, int],
    left_by: Callable[[Project, Besides], tuple[int, int]],
) -> tuple[Project, Besides, list[Finding]]:
    """
    Return a project whose values are plausible, what it is held against, and what was not so.

    Parameters
    ----------
    left_by : callable
        What the period comes to with a project: reduction, and before deductions. [ug CO2e]
    """
    first = local_date(period_us[0], project.timezone)
    methodology = find(project.methodology, project.version)
    held = _Held(project, besides, methodology, left_by)
    for one in held.places():
        said = one.spec.plausible
        if said is not None:
            ranges = [(Fraction(a), Fraction(b)) for a, b in said.ranges]
            if not held.within(one, ranges, said.source, either=said.either):
                held.rarely(one, Fraction(said.rare), said.why)
    held.rule = RELATION
    for relation in methodology.related:
        for one in held.places(relation.parameter):
            span = relation.test({**held.parameters, **one.beside}, held.measured)
            if span is not None and not held.within(one, [span], relation.source):
                held.usually(one, span[1], relation.usual, relation.source)
    held.rule = DOCUMENTED
    for one in held.places():
        held.documented(one, first)
    told = [Finding(rule, False, "; ".join(texts)) for rule, texts in held.told.items() if texts]
    return held.project, held.besides, told


@dataclass(slots=True)
class _Held:
    """A project as it counts so far, and what was said of its values."""

    project: Project
    besides: Besides
    methodology: Methodology
    left_by: Callable[[Project, Besides], tuple[int, int]]
    rule: str = RANGE
    told: dict[str, list[str]] = field(
        default_factory=lambda: {RANGE: [], RELATION: [], DOCUMENTED: []}
    )

    @property
    def parameters(self) -> Inputs:
        """The project's own, with the means of what was sampled."""
        where = f"project {self.project.id}: parameters"
        read_ = parameters_of(self.methodology, self.project.parameters, where)
        return sampled(read_, self.besides.samples, self.methodology)

    @property
    def measured(self) -> Mapping[str, Fraction]:
        """What channels measured of parameters."""
        return {name: one.value for name, one in self.besides.channels.items()}

    def places(self, name: str | None = None) -> Iterator[_Place]:
        """Values of the project, then those of its devices; of one parameter where named."""
        specs = self.methodology.parameters
        for key, value in self.parameters.items():
            if key in specs and name in (None, key):
                yield _Place(None, key, specs[key], Fraction(value))
        for bound in self.project.devices:
            params = self.methodology.roles[bound.role].params
            where = f"project {self.project.id}: {bound.device}"
            given = read(params, bound.params, where)
            for key, value in given.items():
                if name in (None, key):
                    yield _Place(bound.device, key, params[key], Fraction(value), given)

    def within(self, one: _Place, ranges: _Ranges, source: str, *, either: bool = False) -> bool:
        """Count a value outside of its ranges by a bound; say whether it was outside."""
        unknown = one.spec.default is not None and one.value == Fraction(one.spec.default)
        if unknown or any(low <= one.value <= high for low, high in ranges):
            return False
        below = [(high, low) for low, high in ranges if high < one.value][-1:]
        above = [(low, high) for low, high in ranges if low > one.value][:1]
        near = [
            _decimal(value, down=bounds in below)
            for bounds in (*below, *above)
            for value in (bounds if either else bounds[:1])
        ]
        said = " or ".join(
            _short(low) if low == high else f"{_short(low)} to {_short(high)}"
            for low, high in ranges
        )
        self._least(one, near, f"{one.text} is outside of {said} ({source})")
        return True

    def usually(self, one: _Place, most: Fraction, share: Fraction, source: str) -> None:
        """Say that a value counts and is more than usual."""
        if one.value > most * share:
            self.told[self.rule].append(
                f"{one.text} is more than {_short(most * share)}, which is rare ({source}); it"
                " counts: a verifier looks at the measurement that it rests on"
            )

    def rarely(self, one: _Place, below: Fraction, why: str) -> None:
        """Say that a value counts and is doubtful, and whose papers show it."""
        if one.value >= below:
            return
        papers = [d for d in self.besides.documents if d.parameter == one.name]
        shown = [f"its document is {d.document} by {d.by}" for d in papers]
        names = sorted({i.issuer for i in self.besides.invoices if one.device in i.devices})
        shown += [f"invoices of {one.device} are by {', '.join(names)}"] if names else []
        self.told[self.rule].append(f"{one.text}: {why}{''.join(f'; {text}' for text in shown)}")

    def documented(self, one: _Place, first: date) -> None:
        """Count a value without its dated document by the one that needs none."""
        needs = one.spec.undocumented
        if needs is None or one.value == Fraction(needs):
            return
        given = {one.name: one.value}
        lacks = undocumented(one.name, given, self.besides.documents, first)
        if lacks is not None:
            text = f"{one.text} needs a document with `by`, `issued` (before the period), `sha256`"
            self._least(one, [Decimal(needs)], f"{text}: {lacks}")

    def _least(self, one: _Place, others: Sequence[Decimal], text: str) -> None:
        """Take the value that leaves least, and say what that costs."""
        ours = self.left_by(self.project, self.besides)
        by = {value: self._with(one, value) for value in others}
        left = {value: self.left_by(*found) for value, found in by.items()}
        least = min(left, key=left.__getitem__)
        if left[least] > ours:
            self.told[self.rule].append(
                f"{text}; it counts, as it leaves less; correct it in the registry"
            )
            return
        self.project, self.besides = by[least]
        cost = decimal_text(Fraction(ours[0] - left[least][0], UG_PER_T), _PLACES, "up")
        self.told[self.rule].append(
            f"{text}: {_short(Fraction(least))} counts, which costs {cost} t; correct it in the"
            f" registry by its source ({one.spec.source})"
        )

    def _with(self, one: _Place, value: Decimal) -> tuple[Project, Besides]:
        """Put a value in place of that of the registry and of the samples."""
        # an issued statement that has that value already says nothing more
        fixed = tuple(
            f
            for f in self.besides.fixed
            if (f.device, f.parameter, Decimal(f.value)) != (one.device, one.name, value)
        )
        besides = replace(self.besides, fixed=fixed)
        put = {one.name: int(value) if value == value.to_integral_value() else value}
        if one.device is not None:
            bound = tuple(
                replace(b, params={**b.params, **put})
                if b.device == one.device and one.name in self.methodology.roles[b.role].params
                else b
                for b in self.project.devices
            )
            return replace(self.project, devices=bound), besides
        values: dict[str, Any] = {**self.project.parameters, **put}
        samples = self.besides.samples
        if one.spec.option in MONITORED:
            samples = tuple(
                replace(s, value=put[one.name]) if s.parameter == one.name else s for s in samples
            )
        return replace(self.project, parameters=values), replace(besides, samples=samples)


def _decimal(value: Fraction, *, down: bool) -> Decimal:
    """A bound as decimal text can hold it: nine places, inside of its range."""
    scaled = floor(value * _SCALE) if down else ceil(value * _SCALE)
    return Decimal(scaled) / _SCALE


def _short(value: Fraction) -> str:
    return exact_text(value) if (value * _SCALE).denominator == 1 else f"{float(value):.6g}"
