"""
Precision of a sample, and the bound applied where it is not sufficient.

CDM "Standard: Sampling and surveys for CDM project activities and programmes of activities"
(CDM-EB50-A30-STAN [M]): 90 % confidence and 10 % precision, 95/10 for large-scale methodologies;
where a sample misses them, the bound of its confidence interval that costs counts.  Student's t,
two-sided, with the correction for a finite population.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import isqrt
from typing import NamedTuple

from mrv.registry.declared import Stratum, Survey

# required at least: confidence and precision [%]
SMALL, LARGE = (90, 10), (95, 10)
# t of 1 to 30 degrees of freedom, then of more than 30, 40, 60 and 120 (Fisher and Yates)
_T = {
    90: "6.314 2.920 2.353 2.132 2.015 1.943 1.895 1.860 1.833 1.812 1.796 1.782 1.771 1.761 1.753"
        " 1.746 1.740 1.734 1.729 1.725 1.721 1.717 1.714 1.711 1.708 1.706 1.703 1.701 1.699"
        " 1.697 1.697 1.684 1.671 1.658",
    95: "12.706 4.303 3.182 2.776 2.571 2.447 2.365 2.306 2.262 2.228 2.201 2.179 2.160 2.145"
        " 2.131 2.120 2.110 2.101 2.093 2.086 2.080 2.074 2.069 2.064 2.060 2.056 2.052 2.048"
        " 2.045 2.042 2.042 2.021 2.000 1.980",
    99: "63.657 9.925 5.841 4.604 4.032 3.707 3.499 3.355 3.250 3.169 3.106 3.055 3.012 2.977"
        " 2.947 2.921 2.898 2.878 2.861 2.845 2.831 2.819 2.807 2.797 2.787 2.779 2.771 2.763"
        " 2.756 2.750 2.750 2.704 2.660 2.617",
}  # fmt: skip
_STEPS = (30, 40, 60, 120)
_SCALE = 10**9


class Precision(NamedTuple):
    """Half-width of a confidence interval, in the unit of the mean, and the requirement. [%]"""

    half: Fraction
    percent: Fraction | None
    confidence: int
    asked: Fraction

    @property
    def holds(self) -> bool:
        """Return whether the precision is as required."""
        return self.percent is not None and self.percent <= self.asked


def required(methodology: str, programme: str) -> tuple[int, int]:
    """Return confidence and precision required by a methodology's programme. [%]"""
    large = programme == "CDM" and not methodology.startswith("ams-")
    return LARGE if large else SMALL


def of_survey(survey: Survey, least: tuple[int, int]) -> Precision:
    """Return the precision of a survey; a stricter requirement of the plan applies."""
    mean, parts = Fraction(survey.mean), survey.strata or (survey,)
    square = sum((_square(one) * one.population**2 for one in parts), start=Fraction(0))
    # each stratum has a mean of its own
    n = survey.n - len(parts) + 1
    confidence = max(least[0], *(int(c) for c in (survey.confidence,) if c is not None), 0)
    asked = min(Fraction(survey.precision or least[1]), Fraction(least[1]))
    return _precision(mean, square / survey.population**2, n, confidence, asked)


def _square(one: Survey | Stratum) -> Fraction:
    """Square of the standard error of a sample's mean, of a finite population."""
    mean = Fraction(one.mean)
    variance = mean * (1 - mean) if one.sd is None else Fraction(one.sd) ** 2
    left = Fraction(max(0, one.population - one.n), max(1, one.population - 1))
    return max(Fraction(0), variance) * left / one.n


def of_samples(values: Sequence[Fraction], least: tuple[int, int]) -> Precision | None:
    """Return the precision of the mean of some samples; None for fewer than two."""
    n = len(values)
    if n < 2:  # noqa: PLR2004 - one sample has no spread
        return None
    mean = sum(values, start=Fraction(0)) / n
    variance = sum(((v - mean) ** 2 for v in values), start=Fraction(0)) / (n - 1)
    return _precision(mean, variance / n, n, least[0], Fraction(least[1]))


def _precision(
    mean: Fraction, square: Fraction, n: int, confidence: int, asked: Fraction
) -> Precision:
    table = next(level for level in _T if level >= min(confidence, max(_T)))
    half = _student(table, n - 1) * _root(square)
    return Precision(half, 100 * half / abs(mean) if mean else None, table, asked)


def _student(confidence: int, freedom: int) -> Fraction:
    rows = _T[confidence].split()
    place = freedom - 1
    if freedom > _STEPS[0]:
        place = _STEPS[0] + sum(freedom > step for step in _STEPS) - 1
    return Fraction(rows[max(0, place)])


def _root(square: Fraction) -> Fraction:
    """Square root, rounded up to nine places."""
    scaled = -(-square.numerator * _SCALE**2 // square.denominator)
    root = isqrt(scaled)
    return Fraction(root if root * root == scaled else root + 1, _SCALE)
