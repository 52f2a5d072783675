"""
Conditions that a statement says do not hold: each is a clarification (CL) that opens by itself.

Nobody has to raise it, so nobody can forget it.  It stays open until the operator closes
the period anew with the condition met; an opinion without reservation over it needs a
reason that the verifier writes and signs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mrv.accounting.period_result import INVOICE
from mrv.documents.form import UNSET
from mrv.documents.statement import Claims
from mrv.documents.verification import Conclusion, UnmetCondition
from mrv.rules import titled

# rules of comparisons that do not hold: with an invoice, with a check meter
INVOICED, AGREEING = "EVD-03", "PAR-08"
# what needs no reply: its effect is small, or the conservative value is applied already
OBSERVATION = "observation"

# in any script: Japanese says in these what English says in many more
_LEAST_CHARACTERS, _LEAST_LETTERS = 20, 10
REASON_WANTED = (
    f"write in words what was seen and why it is enough, at least {_LEAST_CHARACTERS} characters"
    f" with {_LEAST_LETTERS} letters"
)


class Unmet(NamedTuple):
    """A condition that does not hold: which, and what of it."""

    rule: str
    detail: str

    def __str__(self) -> str:
        return f"{titled(self.rule)}: {self.detail}"


def unmet(said: Claims) -> tuple[Unmet, ...]:
    """Return the conditions and cross-checks that a statement says do not hold, in its order."""
    return tuple(_unmet(said))


def _unmet(said: Claims) -> Iterator[Unmet]:
    yield from (
        Unmet(one.name, one.detail)
        for one in said.applicability
        if not one.holds and one.severity != OBSERVATION
    )
    for one in said.cross_checks or ():
        if one.holds is False:
            differs = f"{one.difference_percent} % of {', '.join(one.devices)}"
            if one.difference_percent is None:
                differs = f"its amount is 0, and that of {', '.join(one.devices)} is not"
            yield Unmet(
                INVOICED if one.kind == INVOICE else AGREEING,
                f"{one.kind} {one.against}: {differs}, {one.tolerance_percent} % allowed;"
                f" {one.effect_t} t",
            )


def observations(said: Claims) -> Iterator[str]:
    """Yield findings that need no reply: their effect is small, or applied already."""
    yield from (
        f"{titled(one.name)}: {one.detail}"
        for one in said.applicability
        if not one.holds and one.severity == OBSERVATION
    )


def effects(said: Claims) -> Iterator[str]:
    """Yield each rule that took something off the reduction, and how much; before 0.2.0 none."""
    for one in said.rules or ():
        if one.applied:
            yield (
                f"{titled(one.rule)}: {one.alone_t} t by itself, {one.beside_t} t if it alone is"
                " settled"
            )
        else:
            yield f"{titled(one.rule)}: not applied, since it would raise the reduction"


def shown(found: Iterable[Unmet]) -> tuple[UnmetCondition, ...]:
    """Return unmet conditions as the verifier's credential holds them."""
    return tuple(UnmetCondition(rule=one.rule, detail=one.detail) for one in found)


def unanswered(said: Claims, conclusion: Conclusion) -> tuple[Unmet, ...]:
    """Return the conditions over which the verifier signed no reason; all before 0.2.0."""
    if conclusion.because is UNSET or not reasoned(conclusion.because):
        return unmet(said)
    answered = {(one.rule, one.detail) for one in conclusion.unmet or ()}
    return tuple(one for one in unmet(said) if tuple(one) not in answered)


def reasoned(text: str) -> bool:
    """Whether a reason is of words, as `REASON_WANTED` says."""
    plain = " ".join(text.split())
    letters = sum(map(str.isalpha, plain))
    return len(plain) >= _LEAST_CHARACTERS and letters >= _LEAST_LETTERS
