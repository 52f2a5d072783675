"""
What a verifier concludes: the opinion, how sure of it, and how much error stands.

The words are those of the JCM's verification report and of ISO 14064-3's older
edition; `unmodified` and `modified`, its newer ones, are read as well.  A
misstatement counts with its sign and without: one that favours the claimant is
never cleared against another that does not without both sums standing side by side.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from mrv.errors import CanonicalError, StatementStateError
from mrv.rounding import decimal_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mrv.statement.findings import Record

Opinion = Literal["unqualified", "qualified", "adverse", "disclaimer", "unmodified", "modified"]
Assurance = Literal["reasonable", "limited"]
_OLDER = {"unmodified": "unqualified", "modified": "qualified"}
# With these a statement ends: nobody vouches for it.
REJECTING = ("adverse", "disclaimer")
# Kinds of findings that must be closed before an opinion without reservation.
BLOCKING = ("CAR", "CL")
_PLACES = 6
_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,12})?")


@dataclass(frozen=True, slots=True)
class Materiality:
    """
    Misstatements that stand uncorrected, beside what is material.

    Attributes
    ----------
    percent : Fraction
        From which share of the reduction on they are material. [%]
    net_t, absolute_t : Fraction
        Sum of their effects, and of the effects' sizes. [t CO2e]
    reduction_t : Fraction
        What the statement says. [t CO2e]
    """

    percent: Fraction
    net_t: Fraction
    absolute_t: Fraction
    reduction_t: Fraction

    @property
    def material(self) -> bool:
        """Whether either sum reaches the threshold; any error of nothing is material."""
        most = max(abs(self.net_t), self.absolute_t)
        return most > 0 and most * 100 >= abs(self.reduction_t) * self.percent

    def to_json(self) -> dict[str, Any]:
        """Write the figures as the verifier's credential shows them, shares rounded up."""
        return {
            "threshold_percent": decimal_text(self.percent, _PLACES, "half_even"),
            "netMisstatement_t": decimal_text(self.net_t, _PLACES, "half_even"),
            "absoluteMisstatement_t": decimal_text(self.absolute_t, _PLACES, "up"),
            "netShare_percent": self._share(abs(self.net_t)),
            "absoluteShare_percent": self._share(self.absolute_t),
            "material": self.material,
        }

    def _share(self, tonnes: Fraction) -> str | None:
        if not self.reduction_t:
            return None
        return decimal_text(tonnes * 100 / abs(self.reduction_t), _PLACES, "up")


def opinion_word(opinion: str) -> str:
    """Word of an opinion as credentials say it, for an older word too."""
    return _OLDER.get(opinion, opinion)


def decimal(text: object, name: str) -> Fraction:
    """
    Read decimal text.

    Raises
    ------
    CanonicalError
        If it is not text of a plain decimal number.
    """
    if not isinstance(text, str) or not _DECIMAL.fullmatch(text):
        raise CanonicalError(f"{name} = {text!r} must be a decimal number as text, such as 1.25")
    return Fraction(text)


def materiality(
    statement: Mapping[str, Any], records: Sequence[Record], percent: str
) -> Materiality:
    """Add up the effects that findings leave standing in a statement."""
    effects = [one.effect_t for one in records if one.effect_t is not None]
    reduction = statement["credentialSubject"]["emissions"]["reduction"]["t"]
    return Materiality(
        decimal(percent, "materiality"),
        sum(effects, start=Fraction(0)),
        sum(map(abs, effects), start=Fraction(0)),
        decimal(reduction, "reduction"),
    )


def check_opinion(opinion: str, records: Sequence[Record], found: Materiality) -> None:
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
        said = found.to_json()
        raise StatementStateError(
            f"the opinion cannot be unqualified: misstatements of {said['netMisstatement_t']} t"
            f" net and {said['absoluteMisstatement_t']} t absolute reach"
            f" {said['threshold_percent']} % of the reduction; have the statement corrected"
        )
