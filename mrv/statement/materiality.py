"""
Uncorrected misstatements of a statement, and the materiality threshold.

A misstatement counts with its sign and without: one that favours the claimant is
never cleared against another that does not without both sums standing side by side.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from mrv.documents.form import write
from mrv.documents.period_account import Misstatements
from mrv.errors import CanonicalError, StatementStateError
from mrv.rounding import decimal_text

# 5 % are tonne's own default; Viet Nam asks for them (Circular 38/2023/TT-BCT).  No programme takes
# more than 10 %, which the CDM takes for projects of microscale (Decision 9/CMP.7).
USUAL_PERCENT, MOST_PERCENT = "5", 10
_PLACES = 6
_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,12})?")


@dataclass(frozen=True, slots=True)
class Materiality:
    """
    Uncorrected misstatements, with the materiality threshold.

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
        """
        Return whether either total reaches the threshold; any error is material if the reduction is
        0.
        """
        most = max(abs(self.net_t), self.absolute_t)
        return most > 0 and most * 100 >= abs(self.reduction_t) * self.percent

    def stated(self) -> Misstatements:
        """Return the figures as in statement and verification, shares rounded up."""
        return Misstatements(
            threshold_percent=decimal_text(self.percent, _PLACES, "half_even"),
            net_misstatement_t=decimal_text(self.net_t, _PLACES, "half_even"),
            absolute_misstatement_t=decimal_text(self.absolute_t, _PLACES, "up"),
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
        return decimal_text(tonnes * 100 / abs(self.reduction_t), _PLACES, "up")


def beyond(percent: str) -> bool:
    """Return whether a threshold is outside the permitted range; CanonicalError as `decimal`."""
    return not 0 <= decimal(percent, "materiality") <= MOST_PERCENT


def check_threshold(percent: str) -> None:
    """
    Refuse a materiality above the highest of any programme.

    Raises
    ------
    StatementStateError, CanonicalError
        Naming it and what is taken.
    """
    if beyond(percent):
        raise StatementStateError(
            f"the materiality is {percent} % of the reduction; it must be 0 to {MOST_PERCENT} "
            f"%, by default {USUAL_PERCENT} %"
        )


def decimal(text: object, name: str) -> Fraction:
    """
    Return a decimal from text.

    Raises
    ------
    CanonicalError
        If it is not text of a plain decimal number.
    """
    if not isinstance(text, str) or not _DECIMAL.fullmatch(text):
        raise CanonicalError(f"{name} = {text!r} must be a decimal number as text, such as 1.25")
    return Fraction(text)
