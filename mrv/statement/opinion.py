"""
What a verifier concludes: the opinion, how sure of it, and what may not stand against it.

The words are those of the JCM's verification report and of ISO 14064-3's older
edition; `unmodified` and `modified`, its newer ones, are read as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from mrv.documents.statement import claims_of
from mrv.documents.verification import Assurance, Opinion
from mrv.errors import StatementStateError
from mrv.statement.conditions import check_reason
from mrv.statement.findings import BLOCKING, Record
from mrv.statement.materiality import Materiality, decimal

__all__ = [
    "REJECTING",
    "Assurance",
    "Opinion",
    "check_conditions",
    "check_opinion",
    "materiality",
    "opinion_word",
]
_OLDER: dict[str, Opinion] = {"unmodified": "unqualified", "modified": "qualified"}
# With these a statement ends: nobody vouches for it.
REJECTING = ("adverse", "disclaimer")


def opinion_word(opinion: Opinion) -> Opinion:
    """Word of an opinion as credentials say it, for an older word too."""
    return _OLDER.get(opinion, opinion)


def materiality(
    statement: Mapping[str, Any], records: Sequence[Record], percent: str
) -> Materiality:
    """Add up the effects that findings leave standing in a statement."""
    effects = [one.effect_t for one in records if one.effect_t is not None]
    said = claims_of(statement)
    return Materiality(
        decimal(percent, "materiality"),
        sum(effects, start=Fraction(0)),
        sum(map(abs, effects), start=Fraction(0)),
        decimal(said.emissions.reduction.t, "reduction"),
    )


def check_opinion(opinion: Opinion, records: Sequence[Record], found: Materiality) -> None:
    """
    Refuse an opinion without reservation while something stands against it.

    Raises
    ------
    StatementStateError
        Naming the findings that are not closed, or the misstatement.
    """
    if opinion_word(opinion) != "unqualified":
        return
    open_ = [one.name for one in records if one.kind in BLOCKING and one.state != "closed"]
    if open_:
        raise StatementStateError(
            f"the opinion cannot be unqualified while {', '.join(open_)} is open; close it with"
            " `tonne statement finding close`, or sign a qualified opinion"
        )
    if found.material:
        said = found.stated()
        raise StatementStateError(
            f"the opinion cannot be unqualified: misstatements of {said.net_misstatement_t} t"
            f" net and {said.absolute_misstatement_t} t absolute reach"
            f" {said.threshold_percent} % of the reduction; have the statement corrected"
        )


def check_conditions(opinion: Opinion, unmet: Sequence[object], because: str | None) -> None:
    """
    Refuse an opinion without reservation over a condition that does not hold, without a reason.

    Raises
    ------
    StatementStateError
        Naming the conditions, or what a reason has.
    """
    if because is not None:
        check_reason(because, "the reason (--because)")
    if opinion_word(opinion) == "unqualified" and unmet and because is None:
        raise StatementStateError(
            "the opinion cannot be unqualified while conditions do not hold: "
            + "; ".join(map(str, unmet))
            + "; have the period closed anew once they do, sign a qualified opinion, or say why"
            " with --because TEXT"
        )
