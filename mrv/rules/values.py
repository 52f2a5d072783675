"""
Rules of values that a project entered or measured: bounds of parameters, and their findings.

A parameter counts by another value only where that is more conservative: by what the plant was
built for, by what its quantities agree with or show.  Whether a bound counts is
decided by the account; the findings read what it decided.

Values of a lower grade of evidence than the programme asks for (PAR-05).

A value that carries more of the reduction than the programme lets rest on the claimant's word
counts by the conservative end of what is published of it: of the range that it lies in, or of the
list it is from.  Where nothing is published, what it carries does not count.  A value of which more
would cost the claimant has no conservative end without a range: it counts, and is a request.  So
does one whose document was issued within the period.
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
from mrv.accounting.period_result import EvidenceItem, Finding
from mrv.calendar import local_date, months
from mrv.errors import MethodologyError, MrvError
from mrv.model import Factors
from mrv.parameters.evidence import Asked, of_parameter
from mrv.parameters.inputs import Inputs, exact, rounded
from mrv.parameters.specs import ParameterSpec
from mrv.quantity_text import plain_text
from mrv.registry.declared import Precision, of_samples, of_survey, required
from mrv.registry.project import Besides, Project
from mrv.rounding import UG_PER_T, decimal_text
from mrv.rules.account import Account
from mrv.rules.effects import (
    AGREED,
    CHANNELS,
    CONSTANT,
    LABORATORY,
    SHOWN,
    UNMEASURED,
    Bound,
    Effect,
    Fix,
    Least,
    NoReduction,
    Said,
)
from mrv.rules.facts import Facts
from mrv.rules.grades import Entered, ends_of, graded_values, values_of
from mrv.rules.plausible_values import DOCUMENTED, MONITORED, put_in_place
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
        if Fraction(item.tonnes) <= most:
            continue
        if item.grade <= grade:
            texts += _late(facts, item, one)
            continue
        for value, devices in values_of(account, one).items():
            said = kept.counted(item, one, value, devices)
            texts += () if said is None else (said,)
    found = [Finding(DOCUMENTED, False, lines(texts), "CL")] if texts else []
    return kept.project, kept.besides, found


def _late(facts: Facts, item: EvidenceItem, one: Entered) -> Iterator[Text]:
    """Say that a value counts by a document of the period itself; PAR-07 says it of its own."""
    if one.name in facts.methodology.dated or one.spec.by_publication:
        return
    of = [d for d in facts.besides.documents if d.parameter == one.name]
    lacks = undocumented(one.name, {one.name: ""}, of, facts.first)
    if lacks is not None and any(d.document in item.shown_by for d in of):
        percent = _percent(Fraction(item.tonnes) / abs(facts.price.reduction_t))
        said = subject(one.name, one.devices)
        yield text("PAR-05.late", subject=said, lacks=lacks, percent=percent)


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


_NAMED = 3  # samples that a finding names
LEAKAGE = "leakage_t_per_year"
# of a value that is 0, to see who gains by it
_A_LITTLE = Fraction(1, 1000)


def before_crediting(facts: Facts) -> Iterator[Effect | Said]:
    """BND-02: quantities of years before the crediting period."""
    method, given = facts.methodology, facts.price.stated
    first = local_date(facts.project.from_us, facts.timezone).year
    early = sorted(method.uncredited(given, first))
    yield from (Fix(name, Fraction(0), how=None) for name in early)
    if early:
        yield Said(False, tuple(
            text("BND-02.before", parameter=name, year=first,
                 amount=amount(Fraction(given[name]), method.parameters[name].unit))
            for name in early
        ))  # fmt: skip


def unshown_values(facts: Facts) -> Iterator[Effect | Said]:
    """PAR-05: values on the claimant's word that carry all, and of which nothing is published."""
    if facts.besides.unshown_values:
        yield NoReduction()


def agreeing_quantities(facts: Facts) -> Iterator[Effect | Said]:
    """PAR-08: quantities that are measured apart and have to agree, such as gas and its COD."""
    price, method = facts.price, facts.methodology
    # gas of all days against what all days brought, also those on which an analyser was silent
    years = price.quantities(price.as_read(price.stated)) if method.agreement else {}
    for one in method.agreement:
        found = {y: f for y, of in years.items() if (f := one.test(of, price.book)) is not None}
        for _, most in found.values():
            for name, value in most.items():
                yield Bound(name, rounded(value, method.parameters[name]), AGREED)
        if found:
            yield Said(False, tuple(
                text("PAR-08.year", year=year, finding=finding)
                for year, (finding, _) in found.items()
            ))  # fmt: skip


def least_by_quantities(facts: Facts) -> Iterator[Effect | Said]:
    """PAR-06: parameters below what the metered quantities show of them."""
    price, method = facts.price, facts.methodology
    for name, test in method.shown.items():
        yield Least(name, partial(_least, price, test, method.parameters[name]))


def _least(
    price: Account, test: Callable[[Inputs, Factors], Fraction], spec: ParameterSpec, used: Inputs
) -> Fraction:
    years = price.quantities(price.as_read(used)).values()
    return rounded(max((test(year, price.book) for year in years), default=Fraction(0)), spec)


def gauge_errors(facts: Facts) -> Iterator[Effect | Said]:
    """PAR-06: gauges without a valid certificate, by their permissible error."""
    how, texts = facts.price.how, dict[Text, None]()
    for name, one in facts.besides.channels.items():
        if how.get(name) == CHANNELS and one.off:
            yield from (Bound(name, value) for value in one.off)
            texts |= dict.fromkeys(one.uncovered)
    if texts:
        yield Said(False, tuple(texts), priced=True)


def flare(facts: Facts) -> Iterator[Effect | Said]:
    """PAR-06: gas that reached a flare whose exhaust or detector showed no flame as it should."""
    for name, one in facts.besides.lit.items():
        if not facts.price.stated.get(name):
            continue
        spec = facts.methodology.parameters[name]
        for channel, _, hottest in (spec.lit or ("", ()))[1]:
            if channel in one.channels and hottest and hottest not in facts.project.parameters:
                said = text("PAR-06.no_hottest", parameter=hottest, channel=channel)
                yield Said(False, (said,), "observation")
        if one.shown == one.flow:
            continue
        stated = Fraction(facts.price.stated[name])
        yield Bound(name, rounded(stated * one.shown / one.flow, spec))
        known = tuple(channel for channel, *_ in (spec.lit or ("", ()))[1])
        if one.channels:
            percent = decimal_text(Fraction(100 * one.shown, one.flow), 1, "down")
            said = text("PAR-06.flame", parameter=name, channels=one.channels, percent=percent)
        else:
            said = text("PAR-06.no_flame", parameter=name, channels=known)
        yield Said(False, (said,), priced=True)


def sampled_values(facts: Facts) -> Iterator[Effect | Said]:
    """
    PAR-06: parameters by a survey or by samples of a laboratory, as precise as they are.

    Where a sample misses the confidence and precision that are asked for, the bound of its
    confidence interval counts that costs; of a laboratory's few samples none beyond the lowest
    and the highest.  A survey that is precise enough counts by its mean.
    """
    method, stated = facts.methodology, facts.price.stated
    least = required(method.id, method.programme)
    newest = {
        survey.parameter: survey for survey in sorted(facts.besides.surveys, key=lambda s: s.taken)
    }
    for name, one in newest.items():
        if name not in stated:
            continue
        found, mean = of_survey(one, least), Fraction(one.mean)
        ends = (mean,) if found.holds else (mean - found.half, mean + found.half)
        yield from (Bound(name, _within(value, method.parameters[name])) for value in ends)
        values = {**_precision(name, found), "n": one.n, "population": one.population}
        code = "PAR-06.survey_holds" if found.holds else "PAR-06.survey"
        yield Said(found.holds, (text(code, **values),), priced=True)
    for name, spec in method.parameters.items():
        taken = [exact(s.value, s.sample) for s in facts.besides.samples if s.parameter == name]
        if not spec.channels or facts.price.how.get(name) != LABORATORY:
            continue
        spread = of_samples(taken, least)
        if spread is None or spread.holds:
            continue
        mean = sum(taken, start=Fraction(0)) / len(taken)
        ends = max(min(taken), mean - spread.half), min(max(taken), mean + spread.half)
        yield from (Bound(name, _within(value, spec)) for value in ends)
        more = ceil(len(taken) * ((spread.percent or 0) / spread.asked) ** 2)
        said = text("PAR-06.samples", **_precision(name, spread), n=len(taken), needed=more)
        yield Said(False, (said,), priced=True)


def _within(value: Fraction, spec: ParameterSpec) -> Fraction:
    """Return a bound of a value, no farther than such a value can be."""
    most = value if spec.maximum is None else min(value, Fraction(spec.maximum))
    return rounded(max(Fraction(spec.minimum), most), spec)


def _precision(name: str, precision: Precision) -> dict[str, Value]:
    return {
        "parameter": name,
        "confidence": precision.confidence,
        "percent": plain_text(precision.percent or Fraction(100), 2),
        "asked": plain_text(precision.asked, 2),
    }


def monitored_values(facts: Facts) -> Iterator[Effect | Said]:
    """PAR-06: monitored parameters that are constants, or rest on few samples or readings."""
    method = facts.methodology
    sampled: defaultdict[str, set[tuple[int, int]]] = defaultdict(set)
    for sample in facts.besides.samples:
        sampled[sample.parameter].add((sample.taken.year, sample.taken.month))
    found = [
        finding
        for name, spec in method.parameters.items()
        if name in facts.price.stated and (spec.option in MONITORED or name in facts.price.how)
        if (finding := _monitored(facts, name, spec, sampled[name])) is not None
    ]
    measured = [one for one in found if one.code == "PAR-06.measured"]
    lacking = [*(one for one in found if one not in measured), *_weak(facts)]
    if lacking or measured or any(sampled[name] for name in method.parameters):
        by_quantities = all(one.code == "PAR-06.quantities" for one in lacking)
        yield Said(not lacking, (*lacking, *measured), priced=by_quantities)


def _monitored(  # noqa: PLR0911 - one return a way of measuring
    facts: Facts, name: str, spec: ParameterSpec, sampled: Collection[tuple[int, int]]
) -> Text | None:
    """Say how a value was measured, or what it lacks; None where samples of each month show it."""
    price = facts.price
    how = price.how.get(name)
    value = amount(Fraction(price.stated[name]), spec.unit)
    values: dict[str, str | Text] = {"parameter": name, "amount": value}
    if how == SHOWN:
        return text("PAR-06.quantities", **values)
    if how in (UNMEASURED, CONSTANT):
        if not spec.channels:
            return text("PAR-06.sample", **values, how=how)
        return text("PAR-06.record", **values, how=how, channel=spec.channels[-1])
    if how is not None and how != LABORATORY:
        return text("PAR-06.measured", **values, how=how)
    if sampled:
        every = {(year, month) for year, month, _, _ in months(*facts.period_us, facts.timezone)}
        missing = sorted(every.difference(sampled))
        if not missing or "month" not in spec.frequency:
            return None
        listed = tuple(f"{year}-{month:02}" for year, month in missing[:_NAMED])
        return text("PAR-06.months", **values, months=listed)
    if any(survey.parameter == name for survey in facts.besides.surveys):
        return None
    # a constant stands for what is monitored: not asked where more of it would leave as much
    if _costs_nothing(name, price.stated, price.reduced):
        return None
    values |= {"methodology": facts.methodology.id, "option": spec.option or "-"}
    # where the methodology's own source is no laboratory, its values are entered as one's
    known = spec.source and "laboratory" not in spec.source
    return text("PAR-06.constant_source" if known else "PAR-06.constant", **values)


def _costs_nothing(name: str, used: Inputs, reduction: Callable[[Inputs], Fraction]) -> bool:
    """Say whether a parameter is 0, and a little of it would leave as much or more."""
    if used[name]:
        return False
    try:
        return reduction({**used, name: _A_LITTLE}) >= reduction(used)
    except MethodologyError:
        return False


def _weak(facts: Facts) -> Iterator[Text]:
    """
    Say which of what counts as measured is weak evidence.

    A sample whose report cannot be found again, and an analyser that was read in less than
    half of the hours: a grab sample at the strongest hour is no mean of the day.
    """
    how, besides = facts.price.how, facts.besides
    for name in facts.methodology.parameters:
        if how.get(name, LABORATORY) == LABORATORY:
            bare = [s.sample for s in besides.samples if s.parameter == name and s.sha256 is None]
            if bare:
                more = (text("text.more", count=len(bare) - _NAMED),) if bare[_NAMED:] else ()
                yield text("PAR-06.reports", parameter=name, samples=(*bare[:_NAMED], *more))
        elif how[name] == CHANNELS:
            one = besides.channels[name]
            if 2 * one.hours < one.of:
                yield text("PAR-06.hours", parameter=name, hours=one.hours, of=one.of)


def documented_values(facts: Facts) -> Iterator[Effect | Said]:
    """
    PAR-07: values that the methodology lists, without dated documents; nothing is taken off.

    The diesel of the replaced buses is a survey's, the electricity of a model its type approval's,
    the depth of a lagoon and what the old plant could release are of reports before the project: a
    free text shows none of them, and lists and classes bound them.  That there is no leakage is a
    statement, too.
    """
    method = facts.methodology
    none = () if facts.price.stated.get(LEAKAGE) != 0 else (LEAKAGE,)
    if not (*method.dated, *none):
        return
    given = {k: v for m in facts.price.views for k, v in m.params.items()} | {**facts.price.stated}
    documents, first = facts.besides.documents, facts.first
    found = tuple(
        text(
            "PAR-07.leakage" if name == LEAKAGE else "PAR-07.document", parameter=name, lacks=lacks
        )
        for name in (*method.dated, *none)
        if name in given and (lacks := undocumented(name, given, documents, first)) is not None
    )
    yield Said(not found, found)
