"""
Requirements not met according to a statement (each is a clarification request), and materiality.

A clarification request remains open until the operator closes the period again with the requirement
met; an unqualified opinion needs the verifier's signed justification.

Misstatements are summed with sign and as absolute values, so that an offset of one by another is
visible.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from mrv.accounting.period_result import EDGES, INVOICE
from mrv.calendar import instant_us, local_date
from mrv.documents import UNSET, Coded, coded, text_in, write
from mrv.documents.monitoring import CrossCheck
from mrv.documents.period_account import Condition, Gap, Misstatements, Remedy
from mrv.documents.statement import Claims
from mrv.documents.verification import Conclusion, UnmetCondition
from mrv.errors import CanonicalError, StatementStateError
from mrv.rounding import six_places
from mrv.rules import code_words, needs_of, remedy_of, severity_of, titled
from mrv.texts import Text, joined, plain, text

# materiality thresholds: 5 % is tonne's default, and required in Viet Nam (Circular
# 38/2023/TT-BCT); 10 %, of the CDM for microscale projects (Decision 9/CMP.7), is the highest
USUAL_PERCENT, MAX_PERCENT = "5", 10
_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,12})?")


@dataclass(frozen=True, slots=True)
class Materiality:
    """
    Uncorrected misstatements compared with the materiality threshold.

    `percent`: threshold as a share of the reduction. [%]
    `net_t`, `absolute_t`: sum of their effects, and of the effects' absolute values. [t CO2e]
    `reduction_t`: stated reduction. [t CO2e]
    """

    percent: Fraction
    net_t: Fraction
    absolute_t: Fraction
    reduction_t: Fraction

    @property
    def material(self) -> bool:
        """Return whether the misstatements reach the threshold; at a reduction of 0, any does."""
        maximum = max(abs(self.net_t), self.absolute_t)
        return maximum > 0 and maximum * 100 >= abs(self.reduction_t) * self.percent

    def stated(self) -> Misstatements:
        """Return the figures as in statement and verification, shares rounded up."""
        return Misstatements(
            threshold_percent=six_places(self.percent, "half_even"),
            net_misstatement_t=six_places(self.net_t, "half_even"),
            absolute_misstatement_t=six_places(self.absolute_t),
            net_share_percent=self._share(abs(self.net_t)),
            absolute_share_percent=self._share(self.absolute_t),
            material=self.material,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the figures as canonical JSON."""
        return write(self.stated())

    def _share(self, tonnes: Fraction) -> str | None:
        if not self.reduction_t:
            return None
        return six_places(tonnes * 100 / abs(self.reduction_t))


def beyond(percent: str) -> bool:
    """
    Return whether a threshold is outside the permitted range.

    Raises CanonicalError as `decimal`.
    """
    return not 0 <= decimal(percent, "materiality") <= MAX_PERCENT


def check_threshold(percent: str) -> None:
    """
    Check that a materiality threshold is not above the highest of any programme.

    Raises StatementStateError or CanonicalError with the value and the permitted maximum.
    """
    if beyond(percent):
        raise StatementStateError(
            f"the materiality is {percent} % of the reduction; it must be 0 to {MAX_PERCENT} "
            f"%, by default {USUAL_PERCENT} %"
        )


def decimal(text: object, name: str) -> Fraction:
    """
    Return a decimal from text.

    Raises CanonicalError if it is not text of a plain decimal number.
    """
    if not isinstance(text, str) or not _DECIMAL.fullmatch(text):
        raise CanonicalError(f"{name} = {text!r} must be a decimal number as text, such as 1.25")
    return Fraction(text)


# rules of failed comparisons: with an invoice, with a check meter
INVOICED, AGREEING = "EVD-03", "PAR-08"
# severity that needs no reply: the effect is small, or the conservative value is already applied
OBSERVATION = "observation"

# minimum length of a justification in any script, as Japanese needs few characters
_MIN_CHARACTERS, _MIN_LETTERS = 20, 10
_MAX_QUOTED = 40
_LISTED = 5
WANTED = (
    f"describe in words what was examined and the reason, in at least {_MIN_CHARACTERS} "
    f"characters with {_MIN_LETTERS} letters"
)


class Unmet(NamedTuple):
    """A condition not met: its rule and texts."""

    rule: str
    texts: tuple[Text, ...]
    severity: str = "CAR"
    tonnes: str = ""
    devices: tuple[str, ...] = ()
    remedy: tuple[Remedy, ...] = ()

    def __str__(self) -> str:
        return f"{titled(self.rule)}: {self.words()}"

    def words(self, language: str = "en") -> str:
        """Return the texts that state the condition, in a language."""
        return joined(self.texts, language, tonnes=self.tonnes or "0")

    def remedy_words(self, language: str = "en") -> str:
        """Return the remedy of its rule and the required evidence; empty for a methodology."""
        listed = "; ".join(code_words("needs", code, language) for code in self.remedy)
        label = code_words("label", "needs", language)
        settled = f"{label[0].upper()}{label[1:]}: {listed}." if listed else ""
        return f"{remedy_of(self.rule, language)} {settled}".strip()


# factor between two units of one quantity, and minimum agreement of the values after conversion
_UNIT, _NEARLY = 1000, Decimal("0.8")
# difference of meters that metered nothing [%]
_NOTHING = -100
# range of a difference of about one day's quantity, as a share of a mean day
_DAY_US, _A_DAY = 86_400_000_000, (Fraction(1, 2), Fraction(2))


def unmet(claims: Claims) -> tuple[Unmet, ...]:
    """
    Return the conditions and cross-checks not met according to a statement, in the same
    order.
    """
    return tuple(condition for condition in _all(claims) if condition.severity != OBSERVATION)


def _all(claims: Claims) -> Iterator[Unmet]:
    reported = [_finding(condition) for condition in claims.applicability if not condition.holds]
    yield from reported
    by_rule = {
        name for finding in reported for each in finding.texts for name in each.named("invoice")
    }
    for check in claims.cross_checks or ():
        at_edges = isinstance(check.detail, Coded) and check.detail.code == EDGES
        if check.holds is False or at_edges:
            # the conservative of the two values is already applied
            lower = Decimal(check.effect_t) <= 0
            if (
                lower
                and check.against in by_rule
                and not (_slipped(check) or (_day_short(check) and _day_is_bare(check, claims)))
            ):
                continue  # the rule that applies an invoice has the finding on it
            rule = INVOICED if check.kind == INVOICE else AGREEING
            code = "cross_check.differs"
            if check.difference_percent is None:
                code = "cross_check.of_zero"
            elif Decimal(check.difference_percent) == _NOTHING:
                code = "cross_check.unmetered"
            differs = text(
                code,
                kind=text("cross_check.invoice" if check.kind == INVOICE else "cross_check.meter"),
                against=check.against,
                devices=check.devices,
                percent=check.difference_percent or "",
                tolerance=check.tolerance_percent,
                effect=check.effect_t,
            )
            severity = OBSERVATION if lower else "CL" if at_edges else severity_of(rule)
            slips = [text("cross_check.unit")] if _slipped(check) else []
            if at_edges:
                slips.append(text(EDGES, device=check.against))
            if lower and (held := _in_gaps(check, claims)) > 0:
                slips.append(text("cross_check.in_gaps", tonnes=six_places(held)))
            if _day_short(check):
                last = local_date(instant_us(check.to, "UTC"), claims.monitoring_period.timezone)
                slips.append(
                    text("cross_check.last_day", begin=str(last), end=str(last + timedelta(days=1)))
                )
            texts = (differs, *slips)
            yield Unmet(rule, texts, severity, check.effect_t, check.devices, needs_of(rule))


def _slipped(check: CrossCheck) -> bool:
    """
    Return whether an invoice may have been entered in another unit: about 1,000 times, or a
    1,000th.
    """
    times = 1 + Decimal(check.difference_percent or 0) / 100
    about = (times / _UNIT, times * _UNIT)
    return check.kind == INVOICE and any(_NEARLY < part < 1 / _NEARLY for part in about)


def _day_short(check: CrossCheck) -> bool:
    """Return whether an invoice may cover a day more than was entered."""
    days = Fraction(instant_us(check.to, "UTC") - instant_us(check.from_, "UTC"), _DAY_US)
    metered = 1 + Fraction(check.difference_percent or 0) / 100
    low, high = _A_DAY
    return check.kind == INVOICE and low * metered < (1 - metered) * days < high * metered


def _in_gaps(check: CrossCheck, claims: Claims) -> Fraction:
    """
    Return the reduction of which nothing is credited in gaps of the compared meters, at most; 0 if
    the gaps cannot contain the whole difference. [tCO2e]
    """
    most = sum(
        (
            Fraction(gap.forgone_at_most_t or 0)
            for gap in claims.gaps
            if gap.device in check.devices
            and instant_us(gap.from_, "UTC") < instant_us(check.to, "UTC")
            and instant_us(check.from_, "UTC") < instant_us(gap.to, "UTC")
        ),
        start=Fraction(0),
    )
    return most if most >= -Fraction(check.effect_t) > 0 else Fraction(0)


def _day_is_bare(check: CrossCheck, claims: Claims) -> bool:
    """Return whether the day after an invoice is in the period and has no invoice of its meters."""
    end = instant_us(check.to, "UTC")
    others = (
        c for c in claims.cross_checks or () if c.kind == INVOICE and c.devices == check.devices
    )
    return end < instant_us(claims.monitoring_period.to, "UTC") and not any(
        instant_us(c.from_, "UTC") <= end < instant_us(c.to, "UTC") for c in others
    )


def _finding(condition: Condition) -> Unmet:
    return Unmet(
        condition.name,
        tuple(map(text_in, condition.texts)) if condition.texts else plain(condition.detail or ""),
        condition.severity or "CAR",
        condition.tonnes or "",
        condition.devices or (),
        condition.remedy or (),
    )


def findings(claims: Claims) -> tuple[Unmet, ...]:
    """Return the findings of a statement, observations last."""
    return tuple(sorted(_all(claims), key=lambda condition: condition.severity == OBSERVATION))


def finding_json(item: Unmet, language: str = "en") -> dict[str, Any]:
    """Return a finding as JSON for people and programs: text, deduction and remedy."""
    return {
        "rule": item.rule,
        "title": titled(item.rule, language),
        "severity": item.severity,
        "tonnes": item.tonnes or "0.000000",
        "devices": list(item.devices),
        "text": item.words(language),
        "texts": [write(coded(each)) for each in item.texts],
        "remedy": remedy_of(item.rule, language),
        "settled_by": list(item.remedy),
    }


def observations(claims: Claims) -> Iterator[str]:
    """
    Yield a sentence on each finding that needs no reply: its effect is small, or
    already deducted.
    """
    yield from (str(condition) for condition in _all(claims) if condition.severity == OBSERVATION)


def graded(claims: Claims) -> str:
    """Return the share of the reduction by grade of evidence; empty before 0.2.0."""
    if claims.evidence is UNSET:
        return ""
    shares = claims.evidence.shares.items()
    return ", ".join(f"{grade} {float(share) * 100:.1f} %" for grade, share in shares)


def effects(claims: Claims) -> Iterator[str]:
    """Yield a sentence on each rule with a deduction, and its amount; nothing before 0.2.0."""
    for rule in claims.rules or ():
        if rule.applied:
            yield (
                f"{titled(rule.rule)}: deducts {rule.deducted_alone_t} t alone;"
                f" {rule.returns_if_resolved_t} t return if it alone is resolved"
            )
        else:
            yield f"{titled(rule.rule)}: not applied, since it would raise the reduction"


def gap_lines(claims: Claims) -> Iterator[str]:
    """
    Yield a sentence on the gaps of each device and cause: number, hours, deduction.

    Nothing is yielded for statements before 0.2.0.
    """
    by_cause: dict[tuple[str, str], list[Gap]] = {}
    for gap in claims.gaps:
        if gap.cause is not UNSET:
            by_cause.setdefault((gap.device, gap.why()), []).append(gap)
    for (device, cause), gaps in by_cause.items():
        hours = sum(Fraction(gap.time_s) for gap in gaps) / 3600
        cost = sum((Fraction(gap.cost_t) for gap in gaps), start=Fraction(0))
        lost = sum((Fraction(gap.forgone_at_most_t or 0) for gap in gaps), start=Fraction(0))
        yield (
            f"{device}: {len(gaps)} of {float(hours):.1f} h, {six_places(cost)} t deducted, at most"
            f" {six_places(lost)} t not credited; {cause}"
        )


def credential_conditions(
    result: Sequence[Unmet], reasons: Sequence[str] = ()
) -> tuple[UnmetCondition, ...]:
    """Return unmet conditions in the form of the verifier's credential, in order."""
    return tuple(
        UnmetCondition(
            rule=item.rule,
            texts=tuple(map(coded, item.texts)),
            reason=reason if reason.strip() else UNSET,
        )
        for item, reason in zip(result, (*reasons, *("" for _ in result)), strict=False)
    )


def reasons_of(conclusion: Conclusion) -> dict[tuple[str, tuple[Text, ...]], str]:
    """Return the verifier's justifications, by rule and texts of the closed finding."""
    return {
        (condition.rule, tuple(map(text_in, condition.texts))): condition.reason
        for condition in conclusion.unmet or ()
        if condition.reason is not UNSET and reasoned(condition.reason)
    }


def forward_of(texts: Sequence[Text]) -> tuple[str | None, str] | None:
    """
    Return statement and name of a finding's forward action request; None for the
    validation's.
    """
    for item in texts:
        if item.code == "PLN-02.forward":
            values = dict(item.values)
            statement = values["statement"]
            return (statement if isinstance(statement, str) else None), str(values["finding"])
    return None


def unanswered(claims: Claims, conclusion: Conclusion) -> tuple[Unmet, ...]:
    """
    Return the conditions without the verifier's justification; all, for a statement
    before 0.2.0.
    """
    justified = reasons_of(conclusion)
    return tuple(
        condition
        for condition in unmet(claims)
        if (condition.rule, condition.texts) not in justified
    )


def reasoned(reason: str) -> bool:
    """Return whether a justification is long enough to have words."""
    words = " ".join(reason.split())
    letters = sum(map(str.isalpha, words))
    return len(words) >= _MIN_CHARACTERS and letters >= _MIN_LETTERS


def first_of(texts: Sequence[str]) -> str:
    """Return the first of several texts, with the number of the others."""
    more = len(texts) - _LISTED
    return "; ".join(texts[:_LISTED]) + (f"; and {more} more" if more > 0 else "")


def check_reason(reason: str, what: str = "the reason") -> None:
    """
    Check that a justification, or a finding's text, is not too short.

    `what`: name of the text, for the error.
    Raises StatementStateError otherwise.
    """
    if not reasoned(reason):
        start = reason if len(reason) <= _MAX_QUOTED else f"{reason[:_MAX_QUOTED]}..."
        raise StatementStateError(f"{what} {start!r} is too short for a reader to assess: {WANTED}")
