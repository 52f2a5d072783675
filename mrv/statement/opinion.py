"""
Opinion of a verifier, level of assurance, and obstacles to an unqualified opinion.

The words are those of the JCM's verification report and of ISO 14064-3's older
edition; `unmodified` and `modified`, its newer ones, are read as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from mrv.documents.statement import Claims, claims_of
from mrv.documents.verification import Assurance, Opinion, PersonNamed, SiteVisit
from mrv.errors import StatementStateError
from mrv.statement.conditions import WANTED, Materiality, check_reason, decimal, first_of
from mrv.statement.findings import BLOCKING, Record
from mrv.statement.verifiers_words import Words, blanks, check_rows, open_findings

__all__ = [
    "REJECTING",
    "Assurance",
    "Opinion",
    "check_opinion",
    "check_people",
    "check_words",
    "materiality",
    "opinion_word",
]
_OLDER: dict[str, Opinion] = {"unmodified": "unqualified", "modified": "qualified"}
_FILE = "the file of `tonne statement template`"
# With these a statement ends: nobody vouches for it.
REJECTING = ("adverse", "disclaimer")


def opinion_word(opinion: Opinion) -> Opinion:
    """Return the word of an opinion in credentials, also for an older word."""
    return _OLDER.get(opinion, opinion)


def materiality(
    statement: Mapping[str, Any], records: Sequence[Record], percent: str
) -> Materiality:
    """Return the uncorrected effects of findings in a statement."""
    effects = [record.effect_t for record in records if record.effect_t is not None]
    claims = claims_of(statement)
    return Materiality(
        decimal(percent, "materiality"),
        sum(effects, start=Fraction(0)),
        sum(map(abs, effects), start=Fraction(0)),
        decimal(claims.emissions.reduction.t, "reduction"),
    )


def check_opinion(opinion: Opinion, records: Sequence[Record], result: Materiality) -> None:
    """
    Refuse an unqualified opinion while requirements or findings are open.

    Raises
    ------
    StatementStateError
        Names the open findings, or the misstatement.
    """
    if opinion_word(opinion) != "unqualified":
        return
    open_ = [r.name for r in records if r.kind in BLOCKING and r.state != "closed"]
    if open_:
        raise StatementStateError(
            f"the opinion cannot be unqualified while {', '.join(open_)} is open; close it with"
            " `tonne statement finding close`, or sign a qualified opinion"
        )
    if result.material:
        sums = result.stated()
        raise StatementStateError(
            f"the opinion cannot be unqualified: misstatements of {sums.net_misstatement_t} t net "
            f"and {sums.absolute_misstatement_t} t absolute reach {sums.threshold_percent} % of "
            "the reduction; have the operator correct the statement"
        )


def check_people(
    team: Sequence[PersonNamed],
    reviewer: PersonNamed | None,
    visits: Sequence[SiteVisit],
    created: str,
) -> None:
    """
    Refuse a review by a member of the team, and a visit after the signature.

    Raises
    ------
    StatementStateError
        Naming the person, or the day.
    """
    names = {person.name.casefold() for person in team}
    if reviewer is not None and reviewer.name.casefold() in names:
        raise StatementStateError(
            f"the reviewer {reviewer.name!r} is a member of the verification team; "
            "an independent review is by a person outside it (--reviewer)"
        )
    for visit in visits:
        if visit.day > created[: len(visit.day)]:
            raise StatementStateError(
                f"the site visit at {visit.place!r} is dated {visit.day}, after the signature "
                f"of {created[: len(visit.day)]}; correct --site-visit"
            )


def check_words(opinion: Opinion, claims: Claims, words: Words) -> None:
    """
    Refuse an unqualified opinion with blank descriptions.

    Raises
    ------
    StatementStateError
        Names the open findings, the first blank descriptions, or a row of another statement.
    """
    check_rows(claims, words)
    for reason in filter(str.strip, words.reasons):
        check_reason(reason, "the reason of a finding")
    if opinion_word(opinion) != "unqualified":
        return
    open_ = open_findings(claims, words)
    if open_:
        raise StatementStateError(
            "the opinion cannot be unqualified while findings are open: "
            + "; ".join(map(str, open_))
            + "; have the period closed again once they are resolved, close each "
            f"with its reason ({_FILE}), or sign a qualified opinion"
        )
    blank = list(blanks(claims, words))
    if blank:
        raise StatementStateError(
            "the opinion cannot be unqualified while the verifier's descriptions "
            f"are blank: {first_of(blank)}; {WANTED}, in {_FILE}"
        )
