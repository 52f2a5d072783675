"""
Rules on entered and measured values: bounds of parameters and their findings (BND-02, PAR-05 to
PAR-08).

A parameter's value is replaced only by a more conservative one, which follows from the design, from
quantities that must agree, or from metered quantities.

PAR-05: values with a lower grade of evidence than the programme requires may together affect at
most the permitted share of the reduction.  If they affect more, the values with the largest effects
are replaced by the conservative end of their published range or list.  Without a publication their
share is not credited.  A value whose increase would lower the reduction has no conservative end
without a range: it is applied, with a clarification request.  A value whose document was issued
within the period is treated in the same way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import partial
from math import ceil

from mrv.accounting.entered_values import amount, row_of, subject, undocumented
from mrv.accounting.period_result import Finding
from mrv.calendar import local_date, main_months
from mrv.documents.period_account import EvidenceItem
from mrv.errors import MethodologyError, MrvError
from mrv.model import Factors
from mrv.parameters import Inputs, ParameterSpec, RequiredGrades, exact, of_parameter, rounded
from mrv.registry import Precision, of_samples, of_survey, required
from mrv.registry.project import Project, SupportingData
from mrv.rounding import decimal_text, plain_text, tonnes_text
from mrv.rules.account import Account
from mrv.rules.effects import (
    AGREED,
    BY_QUANTITIES,
    CHANNELS,
    CONSTANT,
    LABORATORY,
    UNMEASURED,
    Bound,
    Fix,
    Judged,
    Least,
    NoReduction,
    RuleReport,
    reported,
)
from mrv.rules.facts import Facts
from mrv.rules.grades import Entered, ends_of, graded_values, values_of
from mrv.rules.plausible_values import DOCUMENTED, MONITORED, finding_of, put_in_place
from mrv.rules.published import published_of
from mrv.texts import Text, Value, text

_SCALE = 10**9

ReductionBy = Callable[[Project, SupportingData], tuple[int, int]]


def apply_required_grades(
    project: Project,
    supporting: SupportingData,
    required: RequiredGrades,
    facts: Facts,
    reduction_by: ReductionBy,
) -> tuple[Project, SupportingData, list[Finding]]:
    """
    Return the project with values of the required grade or published ones, its data, and findings.

    `facts`: result of the period with the project, and its account.  `reduction_by`: returns the
    reduction with another project, after and before deductions. [ug CO2e]
    """
    account = facts.price
    if account.reduction_t <= 0:
        return project, supporting, []  # there is no reduction
    maximum = required.share * abs(account.reduction_t)
    kept = _Kept(project, supporting, required, facts, reduction_by)
    texts: list[Text] = []
    graded = sorted(
        (o for o in graded_values(facts, account) if not o[1].is_year),  # no year is conservative
        key=lambda o: (-Fraction(o[0].tonnes), o[1].name, o[1].role, o[1].devices),
    )

    def lacks(item: EvidenceItem, entered: Entered) -> bool:
        # an analyser's value and a flare's flame are monitored, not entered
        measured = entered.name in {*supporting.channels, *supporting.lit}
        return item.grade > (required.quantities if measured else required.parameters)

    small = [o for o in graded if lacks(*o) and Fraction(o[0].tonnes) <= maximum]
    together = sum((Fraction(item.tonnes) for item, _ in small), start=Fraction(0))
    if together > maximum:
        names = tuple(dict.fromkeys(entered.name for _, entered in small))
        percent = _percent(together / abs(account.reduction_t))
        above = required.above_percent
        texts.append(text("PAR-05.together", parameters=names, percent=percent, above=above))
    for item, entered in graded:
        tonnes = Fraction(item.tonnes)
        if not lacks(item, entered):
            texts += _late(facts, item, entered) if tonnes > maximum else ()
            continue
        if tonnes <= maximum and together <= maximum:
            continue
        together -= tonnes if tonnes <= maximum else 0
        for value, devices in values_of(account, entered).items():
            reason = kept.counted(item, entered, value, devices)
            texts += () if reason is None else (reason,)
    findings = [finding_of(DOCUMENTED, texts, "CL")] if texts else []
    return kept.project, kept.supporting, findings


def _late(facts: Facts, item: EvidenceItem, entered: Entered) -> Iterator[Text]:
    """
    Yield the finding on a value whose document was issued in the period; PAR-07 has its own
    finding.
    """
    if entered.name in facts.methodology.dated or entered.spec.by_publication:
        return
    of = [d for d in facts.supporting.documents if d.parameter == entered.name]
    lacks = undocumented(entered.name, {entered.name: ""}, of, facts.first)
    if lacks is not None and any(d.document in item.shown_by for d in of):
        percent = _percent(Fraction(item.tonnes) / abs(facts.price.reduction_t))
        name = subject(entered.name, entered.devices)
        yield text("PAR-05.late", subject=name, lacks=lacks, percent=percent)


@dataclass
class _Kept:
    """Project with the values applied so far."""

    project: Project
    supporting: SupportingData
    required: RequiredGrades
    facts: Facts
    reduction_by: ReductionBy

    def counted(
        self, item: EvidenceItem, entered: Entered, value: Fraction, devices: Sequence[str | None]
    ) -> Text | None:
        """Apply the conservative published end of a value; return the text on it."""
        spec, ends = entered.spec, ends_of(self.facts, entered, value)
        required, reduction = self.required, abs(self.facts.price.reduction_t)
        values: dict[str, Value] = {
            "subject": subject(entered.name, devices), "amount": amount(value, spec.unit),
            "grade": item.grade, "percent": _percent(Fraction(item.tonnes) / reduction),
            "asked": required.parameters, "above": required.above_percent,
            "row": row_of(entered.name, value),
        }  # fmt: skip
        ours = self.reduction_by(self.project, self.supporting)[0]
        applied = self._least(entered, devices, ends, ours)
        if applied is not None:
            least, remaining = applied
            if least == value:
                return None
            values |= {
                "applied": amount(least, spec.unit), "effect": tonnes_text(ours - remaining),
                "source": _source(self.facts, entered, least),
            }  # fmt: skip
            if entered.name in self.supporting.uncorroborated_values:
                return text("PAR-05.asked_negative", **values)
            self.supporting = replace(
                self.supporting, at_published=self.supporting.at_published | {entered.name}
            )
            return text("PAR-05.asked_applied", **values)
        rest = self._nothing(entered, devices, ours)
        if rest is None:
            return text("PAR-05.asked_costs", **values)
        return text("PAR-05.asked_nothing", **values, effect=tonnes_text(ours - rest))

    def _least(
        self, entered: Entered, devices: Sequence[str | None], ends: Sequence[Fraction], ours: int
    ) -> tuple[Fraction, int] | None:
        """
        Apply the most conservative published end; return it and the reduction with it [ug CO2e].

        None if the entered value is the most conservative.
        """
        best: tuple[int, Fraction, Project, SupportingData] | None = None
        for end in sorted(set(ends)):
            with suppress(MrvError):
                project, supporting = self._put(entered.name, devices, end)
                remaining = self.reduction_by(project, supporting)[0]
                if remaining <= ours and (best is None or remaining < best[0]):
                    best = remaining, end, project, supporting
        if best is None:
            return None
        remaining, end, project, supporting = best
        if remaining < 0 <= ours:
            # the published value gives no reduction: the reduction is 0, not negative
            names = (*self.supporting.uncorroborated_values, entered.name)
            self.supporting = replace(self.supporting, uncorroborated_values=names)
            return end, 0
        self.project, self.supporting = project, supporting
        return end, remaining

    def _nothing(
        self, entered: Entered, devices: Sequence[str | None], ours: int
    ) -> int | None:  # fmt: skip
        """
        Set a value to 0, or exclude the reduction that depends on it; return the reduction.

        None if a higher value is conservative.
        """
        with suppress(MrvError, ZeroDivisionError):
            project, supporting = self._put(entered.name, devices, Fraction(0))
            remaining = self.reduction_by(project, supporting)[0]
            if remaining > ours:
                return None
            if remaining > 0:
                self.project, self.supporting = project, supporting
                return remaining
        names = (*self.supporting.uncorroborated_values, entered.name)
        self.supporting = replace(self.supporting, uncorroborated_values=names)
        return min(ours, 0)

    def _put(
        self, name: str, devices: Sequence[str | None], value: Fraction
    ) -> tuple[Project, SupportingData]:
        project, supporting = self.project, self.supporting
        rounded = Decimal(round(value * _SCALE)) / _SCALE
        for device in devices:
            project, supporting = put_in_place(project, supporting, device, name, rounded)
        return project, supporting


def _source(facts: Facts, entered: Entered, end: Fraction) -> str:
    """Return the source of a published end of a value."""
    if end in map(Fraction, entered.spec.choices):
        return facts.methodology.reference  # the methodology's own list
    _, others = published_of(entered.spec, facts.project, facts.factors)
    listed = [factor.id for factor in others if factor.value == end]
    plausible = entered.spec.plausible
    ranges = of_parameter(entered.name).source or ("" if plausible is None else plausible.source)
    return ranges or ", ".join(listed) or facts.methodology.reference


def _percent(share: Fraction) -> str:
    return decimal_text(share * 100, 1, "up")


_NAMED = 3  # maximum number of samples that a finding names
LEAKAGE = "leakage_t_per_year"
# small test value for a parameter of 0, to determine its conservative direction
_A_LITTLE = Fraction(1, 1000)


def before_crediting(facts: Facts) -> Iterator[Judged]:
    """BND-02: yield limits on quantities of years before the crediting period."""
    method, parameters = facts.methodology, facts.price.stated
    first = local_date(facts.project.from_us, facts.timezone).year
    for name in sorted(method.uncredited(parameters, first)):
        yield Fix(name, Fraction(0), how=None)
        before = amount(Fraction(parameters[name]), method.parameters[name].unit)
        yield text("BND-02.before", parameter=name, year=first, amount=before)


def uncorroborated_values(facts: Facts) -> Iterator[Judged]:
    """PAR-05: yield limits for uncorroborated values on which the whole reduction depends."""
    if facts.supporting.uncorroborated_values:
        yield NoReduction()


def agreeing_quantities(facts: Facts) -> Iterator[Judged]:
    """PAR-08: yield limits on separately measured quantities that must agree (gas and COD)."""
    price, method = facts.price, facts.methodology
    # gas and load of all days, including days without analyser data
    years = price.quantities(price.as_read(price.stated)) if method.agreement else {}
    for agreement in method.agreement:
        for year, of in years.items():
            finding, maximum = agreement.test(of, price.book) or (None, {})
            for name, value in maximum.items():
                yield Bound(name, rounded(value, method.parameters[name]), AGREED)
            if finding is not None:
                yield text("PAR-08.year", year=year, finding=finding)


def least_by_quantities(facts: Facts) -> Iterator[Judged]:
    """PAR-06: yield limits on parameters below the value calculated from metered quantities."""
    price, method = facts.price, facts.methodology
    for name, test in method.lower_limits.items():
        yield Least(name, partial(_least, price, test, method.parameters[name]))


def _least(
    price: Account, test: Callable[[Inputs, Factors], Fraction], spec: ParameterSpec, used: Inputs
) -> Fraction:
    years = price.quantities(price.as_read(used)).values()
    return rounded(max((test(year, price.book) for year in years), default=Fraction(0)), spec)


def gauge_errors(facts: Facts) -> Iterator[Judged]:
    """PAR-06: yield limits for gauges without a valid certificate, by their permissible error."""
    how, texts = facts.price.how, dict[Text, None]()
    for name, measured in facts.supporting.channels.items():
        if how.get(name) == CHANNELS and measured.off:
            yield from (Bound(name, value) for value in measured.off)
            texts |= dict.fromkeys(measured.uncovered)
    yield from reported(texts, priced=True)


def flare(facts: Facts) -> Iterator[Judged]:
    """PAR-06: yield limits for gas to a flare without a proven flame."""
    for name, lit in facts.supporting.lit.items():
        if not facts.price.stated.get(name):
            continue
        spec = facts.methodology.parameters[name]
        asks = spec.lit[1] if spec.lit else ()
        for channel, _, hottest in asks:
            if channel in lit.channels and hottest and hottest not in facts.project.parameters:
                reason = text("PAR-06.no_hottest", parameter=hottest, channel=channel)
                yield RuleReport(False, (reason,), "observation")
        if lit.with_flame == lit.flow:
            continue
        stated, share = Fraction(facts.price.stated[name]), Fraction(lit.with_flame, lit.flow)
        yield Bound(name, rounded(stated * share, spec))
        if lit.channels:
            of = {"percent": decimal_text(100 * share, 6, "down"), "stated": plain_text(stated, 6)}
            reason = text("PAR-06.flame", parameter=name, channels=lit.channels, **of)
        else:
            reason = text("PAR-06.no_flame", parameter=name, channels=tuple(c for c, *_ in asks))
        yield RuleReport(False, (reason,), priced=True)


def water_regime(facts: Facts) -> Iterator[Judged]:
    """PAR-06: yield the report on fields whose water level does not corroborate their drainage."""
    drained, stated = facts.methodology.drained, facts.price.stated
    if drained is None or stated[drained[2]] >= stated[drained[3]]:
        return
    _, channel, name, usual = drained
    fields = facts.supporting.lit.get(channel)
    if fields is not None and fields.with_flame < fields.flow:
        devices = fields.channels
        yield text("PAR-06.flooded", parameter=name, channel=channel, devices=devices, usual=usual)


def sampled_values(facts: Facts) -> Iterator[Judged]:
    """
    PAR-06: yield limits on parameters from a survey or laboratory samples, by their precision.

    Below the required confidence and precision, the conservative end of the confidence interval is
    applied; with few laboratory samples it is limited to their lowest and highest value.  The mean
    of a sufficiently precise survey is applied.
    """
    method, stated = facts.methodology, facts.price.stated
    least = required(method.id, method.programme)
    newest = {
        survey.parameter: survey
        for survey in sorted(facts.supporting.surveys, key=lambda s: s.taken)
    }
    for name, item in newest.items():
        if name not in stated:
            continue
        precision, mean = of_survey(item, least), Fraction(item.mean)
        ends = (mean,) if precision.holds else (mean - precision.half, mean + precision.half)
        yield from (Bound(name, _within(value, method.parameters[name])) for value in ends)
        values = {**_precision(name, precision), "n": item.n, "population": item.population}
        code = "PAR-06.survey_holds" if precision.holds else "PAR-06.survey"
        yield RuleReport(precision.holds, (text(code, **values),), priced=True)
    for name, spec in method.parameters.items():
        taken = [exact(s.value, s.sample) for s in facts.supporting.samples if s.parameter == name]
        if not spec.channels or facts.price.how.get(name) != LABORATORY:
            continue
        spread = of_samples(taken, least)
        if spread is None or spread.holds:
            continue
        mean = sum(taken, start=Fraction(0)) / len(taken)
        ends = max(min(taken), mean - spread.half), min(max(taken), mean + spread.half)
        yield from (Bound(name, _within(value, spec)) for value in ends)
        more = ceil(len(taken) * ((spread.percent or 0) / spread.required) ** 2)
        line = text("PAR-06.samples", **_precision(name, spread), n=len(taken), needed=more)
        yield RuleReport(False, (line,), priced=True)


def _within(value: Fraction, spec: ParameterSpec) -> Fraction:
    """Return a limit within the minimum and maximum of its parameter. [unit of the parameter]"""
    maximum = value if spec.maximum is None else min(value, Fraction(spec.maximum))
    return rounded(max(Fraction(spec.minimum), maximum), spec)


def _precision(name: str, precision: Precision) -> dict[str, Value]:
    return {
        "parameter": name,
        "confidence": precision.confidence,
        "percent": plain_text(precision.percent or Fraction(100), 2),
        "asked": plain_text(precision.required, 2),
    }


def monitored_values(facts: Facts) -> Iterator[Judged]:
    """PAR-06: yield reports on monitored parameters: constant, few samples, few readings."""
    method = facts.methodology
    sampled: defaultdict[str, set[tuple[int, int]]] = defaultdict(set)
    for sample in facts.supporting.samples:
        sampled[sample.parameter].add((sample.taken.year, sample.taken.month))
    texts = [
        finding
        for name, spec in method.parameters.items()
        if name in facts.price.stated and (spec.option in MONITORED or name in facts.price.how)
        if (finding := _monitored(facts, name, spec, sampled[name])) is not None
    ]
    measured = [text for text in texts if text.code == "PAR-06.measured"]
    lacking = [*(text for text in texts if text not in measured), *_weak(facts)]
    if lacking or measured or any(sampled[name] for name in method.parameters):
        by_quantities = all(text.code == "PAR-06.quantities" for text in lacking)
        yield RuleReport(not lacking, (*lacking, *measured), priced=by_quantities)


def _monitored(  # noqa: PLR0911 - one return a way of measuring
    facts: Facts, name: str, spec: ParameterSpec, sampled: Collection[tuple[int, int]]
) -> Text | None:
    """Return a text on how a value was measured, or what is missing; None with monthly samples."""
    price = facts.price
    how = price.how.get(name)
    value = amount(Fraction(price.stated[name]), spec.unit)
    values: dict[str, str | Text] = {"parameter": name, "amount": value}
    if how == BY_QUANTITIES:
        return text("PAR-06.quantities", **values)
    if how in (UNMEASURED, CONSTANT):
        if not spec.channels:
            return text("PAR-06.sample", **values, how=how)
        return text("PAR-06.record", **values, how=how, channel=spec.channels[-1])
    if how is not None and how != LABORATORY:
        return text("PAR-06.measured", **values, how=how)
    if sampled:
        # the sample of another month may be of a day outside the period
        asked = main_months(*facts.period_us, facts.timezone)
        missing = sorted(asked.difference(sampled))
        if not missing or "month" not in spec.frequency:
            return None
        listed = tuple(f"{year}-{month:02}" for year, month in missing[:_NAMED])
        return text("PAR-06.months", **values, months=listed)
    if any(survey.parameter == name for survey in facts.supporting.surveys):
        return None
    # a constant instead of a monitored value is not reported if a small value would not lower the
    # reduction
    if _costs_nothing(name, price.stated, price.reduced):
        return None
    values |= {"methodology": facts.methodology.id, "option": spec.option or "-"}
    # values of other sources than a laboratory are entered as samples, too
    known = spec.source and "laboratory" not in spec.source
    return text("PAR-06.constant_source" if known else "PAR-06.constant", **values)


def _costs_nothing(name: str, used: Inputs, reduction: Callable[[Inputs], Fraction]) -> bool:
    """Return whether a parameter is 0 and a small value would not lower the reduction."""
    if used[name]:
        return False
    try:
        return reduction({**used, name: _A_LITTLE}) >= reduction(used)
    except MethodologyError:
        return False


def _weak(facts: Facts) -> Iterator[Text]:
    """
    Yield a text on each weak evidence of a monitored value.

    It is a sample without a report, or an analyser that was read in less than half of the hours.
    """
    how, supporting = facts.price.how, facts.supporting
    for name in facts.methodology.parameters:
        if how.get(name, LABORATORY) == LABORATORY:
            bare = [
                s.sample for s in supporting.samples if s.parameter == name and s.sha256 is None
            ]
            if bare:
                more = (text("text.more", count=len(bare) - _NAMED),) if bare[_NAMED:] else ()
                yield text("PAR-06.reports", parameter=name, samples=(*bare[:_NAMED], *more))
        elif how[name] == CHANNELS:
            measured = supporting.channels[name]
            if 2 * measured.hours < measured.of:
                yield text("PAR-06.hours", parameter=name, hours=measured.hours, of=measured.of)


def documented_values(facts: Facts) -> Iterator[Judged]:
    """
    PAR-07: yield reports on listed values without dated documents; no deduction.

    These values are from surveys, type approvals and reports before the project; lists and classes
    limit them.  Leakage of 0 is included.
    """
    method = facts.methodology
    none = () if facts.price.stated.get(LEAKAGE) != 0 else (LEAKAGE,)
    if not (*method.dated, *none):
        return
    entered = {k: v for m in facts.price.views for k, v in m.params.items()} | {
        **facts.price.stated
    }
    documents, first = facts.supporting.documents, facts.first
    texts = tuple(
        text(
            "PAR-07.leakage" if name == LEAKAGE else "PAR-07.document", parameter=name, lacks=lacks
        )
        for name in (*method.dated, *none)
        if name in entered and (lacks := undocumented(name, entered, documents, first)) is not None
    )
    yield RuleReport(not texts, texts)
