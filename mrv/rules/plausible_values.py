"""
Values of parameters as measured, and within their plausible range (PAR-03 to PAR-05).

First a parameter has the value measured by the plant's channels or a laboratory: the more
conservative if there are both, the conservative bound if there is neither.

Each methodology states a value's range with its source (PAR-03), and limits by other values: the
efficiency of a pump by its head, the enthalpy of steam by its temperature (PAR-04).  If a value is
outside, the limit applies, or the entered value if more conservative.  A value without its required
dated document is replaced by the default that needs none; if the document states another value the
more conservative one applies (PAR-05).  These are tonne's own rules.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any, Literal

from mrv.accounting.entered_values import amount, parameters_of, subject, undocumented
from mrv.accounting.period_result import Finding
from mrv.calendar import local_date
from mrv.methodologies import find
from mrv.model import Methodology
from mrv.parameters import Inputs, ParameterSpec, exact, read, rounded
from mrv.registry import Sample
from mrv.registry.project import Project, SupportingData
from mrv.rounding import six_places, tonnes_text
from mrv.rules.effects import CHANNELS, CONSTANT, LABORATORY, LOWER, UNMEASURED
from mrv.texts import Text, lines, text

MONITORED = ("B", "C")
# rules on a value: its range, its relation to other values, its missing dated document
RANGE, RELATION, DOCUMENTED = "PAR-03", "PAR-04", "PAR-05"
_SCALE = 10**9


# --- as measured --------------------------------------------------------------------------


def is_monitored(spec: ParameterSpec) -> bool:
    """Return whether laboratory results may give the value of a parameter."""
    return spec.option in MONITORED or spec.unmeasured is not None


def means(samples: Iterable[Sample], methodology: Methodology) -> dict[str, Fraction]:
    """Return the mean of the samples by monitored parameter, in the parameter's unit."""
    by_name: defaultdict[str, list[Fraction]] = defaultdict(list)
    specs = methodology.parameters
    for sample in samples:
        if sample.parameter in specs and is_monitored(specs[sample.parameter]):
            by_name[sample.parameter].append(exact(sample.value, f"sample {sample.sample}"))
    return {n: rounded(sum(v, start=Fraction(0)) / len(v), specs[n]) for n, v in by_name.items()}


def sampled(parameters: Inputs, samples: Iterable[Sample], methodology: Methodology) -> Inputs:
    """Return the parameters with the mean of the samples where there are any."""
    specs, result = methodology.parameters, means(samples, methodology)
    return {**parameters, **{n: v for n, v in result.items() if specs[n].option in MONITORED}}


def as_measured(
    parameters: Inputs, methodology: Methodology, supporting: SupportingData,
    reduction: Callable[[Inputs], Fraction],
) -> tuple[dict[str, Any], dict[str, Text]]:  # fmt: skip
    """Return the parameters as measured, and a text on the source of each, by name."""
    laboratory = means(supporting.samples, methodology)
    used, how = dict(parameters), dict[str, Text]()
    specs = {n: s for n, s in methodology.parameters.items() if s.unmeasured is not None}
    known: dict[str, dict[Text, Fraction]] = {}
    for name, spec in specs.items():
        measured = {LABORATORY: laboratory.get(name)}
        if name in supporting.channels:
            measured[CHANNELS] = supporting.channels[name].value
        choices = {origin: value for origin, value in measured.items() if value is not None}
        if choices and spec.lower_of and name in parameters:
            choices[LOWER] = Fraction(parameters[name])
        known[name] = choices
        used[name] = next(iter(choices.values()), _bound(spec, used))
    for name, spec in specs.items():
        choices = known[name] or {UNMEASURED: _bound(spec, used)}
        # the outflow is at most the inflow, also if the registry states more
        if not known[name] and name in parameters and spec.unmeasured not in used:
            choices[CONSTANT] = Fraction(parameters[name])
        remaining = {origin: reduction({**used, name: value}) for origin, value in choices.items()}
        how[name] = min(remaining, key=remaining.__getitem__)
        used[name] = choices[how[name]]
    return used, how


def _bound(spec: ParameterSpec, used: Inputs) -> Fraction:
    """
    Return the conservative value of a parameter, in its unit: a number, or that of
    another one.
    """
    bound = spec.unmeasured or "0"
    return Fraction(used.get(bound, bound))


# --- as plausible -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    """
    A value of the project (`device` None) or of one of its devices, and its parameter.

    `beside`: the other values of the same device.
    """

    device: str | None
    name: str
    spec: ParameterSpec
    value: Fraction
    beside: Inputs = field(default_factory=dict)

    @property
    def values(self) -> dict[str, str | Text]:
        of = {} if self.device is None else {"device": self.device}
        named = subject(self.name, [self.device])
        return {"subject": named, "amount": amount(self.value, self.spec.unit), **of}


def keep_plausible(
    project: Project,
    supporting: SupportingData,
    period_us: tuple[int, int],
    reduction_by: Callable[[Project, SupportingData], tuple[int, int]],
) -> tuple[Project, SupportingData, list[Finding]]:
    """
    Return the project and supporting data with plausible values, and the findings.

    `reduction_by`: returns the reduction of the period with a given project, after and before
    deductions. [ug CO2e]
    """
    methodology = find(project.methodology, project.version)
    values = _Values(project, supporting, methodology, reduction_by)
    entered = list(values.places())
    for place in values.places():
        plausible = place.spec.plausible
        if plausible is not None:
            ranges = [(Fraction(a), Fraction(b)) for a, b in plausible.ranges]
            if not values.bound(RANGE, place, ranges, plausible.source, either=plausible.either):
                values.rare(place, Fraction(plausible.rare))
    measured = {name: measured.value for name, measured in supporting.channels.items()}
    for relation in methodology.related:
        for place in values.places(relation.parameter):
            span = relation.test({**values.parameters, **place.beside}, measured)
            if span is None or values.bound(RELATION, place, [span], relation.source):
                continue
            maximum = span[1] * relation.usual
            if place.value > maximum:
                usual = {**place.values, "limit": amount(maximum), "source": relation.source}
                values.texts[RELATION].append(text("PAR-04.unusual", **usual))
    for item in entered:
        values.stated(item)
    first = local_date(period_us[0], project.timezone)
    for place in values.places():
        values.documented(place, first)
    findings = [finding_of(rule, of, _severity(of)) for rule, of in sorted(values.texts.items())]
    return values.project, values.supporting, findings


def finding_of(rule: str, texts: Sequence[Text], severity: str) -> Finding:
    """Return the finding of a rule on values; its tonnes are the sum of its texts' effects."""
    effects = [Fraction(str(dict(item.values).get("effect", 0))) for item in texts]
    tonnes = six_places(sum(effects, start=Fraction(0))) if any(effects) else ""
    return Finding(rule, False, lines(texts), severity, tonnes)


def _severity(texts: Sequence[Text]) -> Literal["", "observation", "CL", "CAR"]:
    """Return the severity of a finding where it differs from the rule's; else empty."""
    codes = {text.code for text in texts}
    if "PAR-05.contradicted" in codes:
        return "CAR"
    if codes == {"PAR-04.unusual"}:
        return "CL"  # applying a value within its range needs a clarification only
    # a rare value within its range is assessed by the verifier
    return "observation" if codes == {"PAR-03.rare"} else ""


@dataclass(slots=True)
class _Values:
    """Project with the values applied so far, and the texts of the findings by rule."""

    project: Project
    supporting: SupportingData
    methodology: Methodology
    reduction_by: Callable[[Project, SupportingData], tuple[int, int]]
    texts: defaultdict[str, list[Text]] = field(default_factory=lambda: defaultdict(list))

    @property
    def parameters(self) -> Inputs:
        where = f"project {self.project.id}: parameters"
        parameters = parameters_of(self.methodology, self.project.parameters, where)
        return sampled(parameters, self.supporting.samples, self.methodology)

    def places(self, name: str | None = None) -> Iterator[_Place]:
        """Yield values of the project, then of its devices; of one parameter where named."""
        specs = self.methodology.parameters
        for key, value in self.parameters.items():
            if key in specs and name in (None, key):
                yield _Place(None, key, specs[key], Fraction(value))
        for bound in self.project.devices:
            params = self.methodology.roles[bound.role].params
            entered = read(params, bound.params, f"project {self.project.id}: {bound.device}")
            for key, value in entered.items():
                if name in (None, key):
                    yield _Place(bound.device, key, params[key], Fraction(value), entered)

    def bound(
        self, rule: str, place: _Place, ranges: Sequence[tuple[Fraction, Fraction]], source: str,
        *, either: bool = False,
    ) -> bool:  # fmt: skip
        """Apply a limit to a value outside its ranges; return whether it was outside."""
        unknown = place.spec.default is not None and place.value == Fraction(place.spec.default)
        if unknown or any(low <= place.value <= high for low, high in ranges):
            return False
        below = [(high, low) for low, high in ranges if high < place.value][-1:]
        above = [(low, high) for low, high in ranges if low > place.value][:1]
        near = [
            _decimal(value, down=bounds in below)
            for bounds in (*below, *above)
            for value in (bounds if either else bounds[:1])
        ]
        spans = tuple(
            amount(low) if low == high else text("value.range", low=amount(low), high=amount(high))
            for low, high in ranges
        )
        values = {**place.values, "ranges": spans, "source": source}
        applied = self._least(place, near)
        if applied is None:
            result = text("PAR-03.kept" if rule == RANGE else "PAR-04.kept", **values)
        else:
            values |= applied
            result = text("PAR-03.applied" if rule == RANGE else "PAR-04.applied", **values)
        self.texts[rule].append(result)
        return True

    def rare(self, place: _Place, below: Fraction) -> None:
        """Report a rare but permitted value, with the issuers of its documents."""
        if place.value >= below:
            return
        documents = [f"{d.document}, {d.by}" for d in self.supporting.documents
                     if d.parameter == place.name]  # fmt: skip
        issuers = {i.issuer for i in self.supporting.invoices if place.device in i.devices}
        stated = (*documents, *sorted(issuers)) or "-"
        rare = text("PAR-03.rare", **place.values, limit=amount(below), documents=stated)
        self.texts[RANGE].append(rare)

    def stated(self, place: _Place) -> None:
        """Apply a document's value if it is more conservative than the entered one."""
        document = next((d for d in self.supporting.documents if d.parameter == place.name), None)
        value = None if document is None else document.stated(place.device)
        measured = {*self.supporting.channels, *(s.parameter for s in self.supporting.samples)}
        if document is None or value in (None, place.value) or place.name in measured:
            return
        stated = _decimal(value, down=False)
        values = {**place.values, "document": document.document, "stated": amount(value)}
        applied = self._least(place, [stated])
        self.texts[DOCUMENTED].append(
            text("PAR-05.stated_higher", **values)
            if applied is None
            else text("PAR-05.contradicted", **values, **applied)
        )

    def documented(self, place: _Place, first: date) -> None:
        """Replace a value without dated document by the default that needs none."""
        needs = place.spec.undocumented
        if needs is None or place.value == Fraction(needs):
            return
        lacks = undocumented(
            place.name, {place.name: place.value}, self.supporting.documents, first
        )
        if lacks is None:
            return
        applied, values = self._least(place, [Decimal(needs)]), {**place.values, "lacks": lacks}
        self.texts[DOCUMENTED].append(
            text("PAR-05.kept", **values)
            if applied is None
            else text("PAR-05.applied", **values, **applied)
        )

    def _least(self, place: _Place, others: Sequence[Decimal]) -> dict[str, str | Text] | None:
        """
        Apply the most conservative value; return the values of a text on it: `applied`, `effect`
        [t].

        None if the entered value is the most conservative.
        """
        ours = self.reduction_by(self.project, self.supporting)
        given = self.project, self.supporting, place.device, place.name
        by = {value: put_in_place(*given, value) for value in others}
        remaining = {value: self.reduction_by(*result) for value, result in by.items()}
        least = min(remaining, key=remaining.__getitem__)
        if remaining[least] > ours:
            return None
        self.project, self.supporting = by[least]
        effect = tonnes_text(ours[0] - remaining[least][0])
        return {"applied": amount(Fraction(least)), "effect": effect}


def put_in_place(
    project: Project, supporting: SupportingData, device: str | None, name: str, value: Decimal
) -> tuple[Project, SupportingData]:
    """Return project and supporting data with a value of the registry or the samples replaced."""
    specs = find(project.methodology, project.version).parameters
    if device is None and specs[name].option in MONITORED:
        put = _whole(value)
        samples = (replace(s, value=put) if s.parameter == name else s for s in supporting.samples)
        supporting = replace(supporting, samples=tuple(samples))
    return with_value(project, device, name, value), supporting


def with_value(project: Project, device: str | None, name: str, value: Decimal | None) -> Project:
    """Return a project with a parameter of it, or of a device, set to a value; None removes it."""

    def changed(values: Mapping[str, Any]) -> dict[str, Any]:
        rest = {key: known for key, known in values.items() if key != name}
        return rest if value is None else {**values, name: _whole(value)}

    if device is None:
        return replace(project, parameters=changed(project.parameters))
    roles = find(project.methodology, project.version).roles
    devices = tuple(
        replace(b, params=changed(b.params))
        if b.device == device and name in roles[b.role].params else b
        for b in project.devices
    )  # fmt: skip
    return replace(project, devices=devices)


def _whole(value: Decimal) -> int | Decimal:
    return int(value) if value == value.to_integral_value() else value


def _decimal(value: Fraction, *, down: bool) -> Decimal:
    """Return a limit as a decimal of nine places, rounded towards the inside of its range."""
    scaled = floor(value * _SCALE) if down else ceil(value * _SCALE)
    return Decimal(scaled) / _SCALE
