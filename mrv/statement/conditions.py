"""
Conditions not met according to a statement: each is an open clarification request (CL).

No one has to raise it, so no one can forget it.  It stays open until the operator closes
the period anew with the condition met; an opinion without reservation over it needs a
reason that the verifier writes and signs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from mrv.accounting.period_result import INVOICE
from mrv.documents.coded import coded, text_in
from mrv.documents.form import UNSET, write
from mrv.documents.period_account import Condition
from mrv.documents.statement import Claims
from mrv.documents.verification import Conclusion, UnmetCondition
from mrv.errors import StatementStateError
from mrv.rules import remedy_of, severity_of, titled
from mrv.texts import Text, joined, plain, text

# rules of comparisons that do not hold: with an invoice, with a check meter
INVOICED, AGREEING = "EVD-03", "PAR-08"
# what needs no reply: its effect is small, or the conservative value is applied already
OBSERVATION = "observation"

# in any script: Japanese says in these what English says in many more
_LEAST_CHARACTERS, _LEAST_LETTERS = 20, 10
_SHOWN = 40
_LISTED = 5
WANTED = (
    f"describe in words what was examined and the reason, in at least {_LEAST_CHARACTERS} "
    f"characters with {_LEAST_LETTERS} letters"
)


class Unmet(NamedTuple):
    """A condition not met: rule and detail."""

    rule: str
    texts: tuple[Text, ...]
    severity: str = "CAR"
    tonnes: str = ""
    devices: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{titled(self.rule)}: {self.words()}"

    def words(self, language: str = "en") -> str:
        """Return the detail, in a language."""
        return joined(self.texts, language, tonnes=self.tonnes or "0")


def unmet(said: Claims) -> tuple[Unmet, ...]:
    """Return the conditions and cross-checks not met according to a statement, in its order."""
    return tuple(one for one in _all(said) if one.severity != OBSERVATION)


def _all(said: Claims) -> Iterator[Unmet]:
    reported = [_finding(one) for one in said.applicability if not one.holds]
    yield from reported
    by_rule = {name for one in reported for each in one.texts for name in each.named("invoice")}
    for one in said.cross_checks or ():
        if one.holds is False:
            # what is counted already is the conservative one of the two
            lower = Decimal(one.effect_t) <= 0
            if lower and one.against in by_rule:
                continue  # one finding an invoice: the rule that counts by it
            rule = INVOICED if one.kind == INVOICE else AGREEING
            differs = text(
                "cross_check.of_zero" if one.difference_percent is None else "cross_check.differs",
                kind=text("cross_check.invoice" if one.kind == INVOICE else "cross_check.meter"),
                against=one.against,
                devices=one.devices,
                percent=one.difference_percent or "",
                tolerance=one.tolerance_percent,
                effect=one.effect_t,
            )
            severity = OBSERVATION if lower else severity_of(rule)
            yield Unmet(rule, (differs,), severity, one.effect_t, one.devices)


def _finding(one: Condition) -> Unmet:
    return Unmet(
        one.name,
        tuple(map(text_in, one.texts)) if one.texts else plain(one.detail or ""),
        one.severity or "CAR",
        one.tonnes or "",
        one.devices or (),
    )


def findings(said: Claims) -> tuple[Unmet, ...]:
    """Return the findings of a statement that are not met, observations last."""
    return tuple(sorted(_all(said), key=lambda one: one.severity == OBSERVATION))


def finding_json(one: Unmet, language: str = "en") -> dict[str, Any]:
    """Return a finding for people and programs: text, deduction and remedy."""
    return {
        "rule": one.rule,
        "title": titled(one.rule, language),
        "severity": one.severity,
        "tonnes": one.tonnes or "0.000000",
        "devices": list(one.devices),
        "text": one.words(language),
        "texts": [write(coded(each)) for each in one.texts],
        "remedy": remedy_of(one.rule, language),
    }


def observations(said: Claims) -> Iterator[str]:
    """Yield findings that need no reply: their effect is small, or already applied."""
    yield from (str(one) for one in _all(said) if one.severity == OBSERVATION)


def graded(said: Claims) -> str:
    """Return the share of the reduction by grade of evidence; empty before 0.2.0."""
    if said.evidence is UNSET:
        return ""
    shares = said.evidence.shares.items()
    return ", ".join(f"{grade} {float(share) * 100:.1f} %" for grade, share in shares)


def effects(said: Claims) -> Iterator[str]:
    """Yield each rule with a deduction, and its amount; none before 0.2.0."""
    for one in said.rules or ():
        if one.applied:
            yield (
                f"{titled(one.rule)}: deducts {one.alone_t} t alone, {one.beside_t} "
                "t if only this rule is resolved"
            )
        else:
            yield f"{titled(one.rule)}: not applied, since it would raise the reduction"


def shown(found: Sequence[Unmet], reasons: Sequence[str] = ()) -> tuple[UnmetCondition, ...]:
    """Return unmet conditions as in the verifier's credential, in order."""
    return tuple(
        UnmetCondition(
            rule=one.rule,
            texts=tuple(map(coded, one.texts)),
            reason=reason if reason.strip() else UNSET,
        )
        for one, reason in zip(found, (*reasons, *("" for _ in found)), strict=False)
    )


def reasons_of(conclusion: Conclusion) -> dict[tuple[str, tuple[Text, ...]], str]:
    """Return the verifier's worded justifications, by rule and texts of the finding closed."""
    return {
        (one.rule, tuple(map(text_in, one.texts))): one.reason
        for one in conclusion.unmet or ()
        if one.reason is not UNSET and reasoned(one.reason)
    }


def forward_of(texts: Sequence[Text]) -> tuple[str | None, str] | None:
    """Return statement (None: the validation) and name of a finding's forward action request."""
    for one in texts:
        if one.code == "PLN-02.forward":
            said = dict(one.values)
            statement = said["statement"]
            return (statement if isinstance(statement, str) else None), str(said["finding"])
    return None


def unanswered(said: Claims, conclusion: Conclusion) -> tuple[Unmet, ...]:
    """Return the conditions without the verifier's justification; all before 0.2.0."""
    answered = reasons_of(conclusion)
    return tuple(one for one in unmet(said) if (one.rule, one.texts) not in answered)


def reasoned(given: str) -> bool:
    """Return whether a justification has words."""
    words = " ".join(given.split())
    letters = sum(map(str.isalpha, words))
    return len(words) >= _LEAST_CHARACTERS and letters >= _LEAST_LETTERS


def first_of(texts: Sequence[str]) -> str:
    """Return the first of several, and how many more there are."""
    more = len(texts) - _LISTED
    return "; ".join(texts[:_LISTED]) + (f"; and {more} more" if more > 0 else "")


def check_reason(given: str, what: str = "the reason") -> None:
    """Refuse a justification, or a finding's text, that is too short; StatementStateError."""
    if not reasoned(given):
        shown = given if len(given) <= _SHOWN else f"{given[:_SHOWN]}..."
        raise StatementStateError(f"{what} {shown!r} is too short for a reader to assess: {WANTED}")
