"""A building's consumption by degree days: regression line and confidence interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import sqrt

from mrv.errors import MethodologyError

# quantile of the upper end of a two-sided 95 % interval
_TAIL = 0.975


@dataclass(frozen=True, slots=True)
class Line:
    """
    Regression of a month's energy E = a + b * CDD, by least squares.

    `intercept`: a [MWh].  `slope`: b [MWh/(K d)].  `residual`: s, standard deviation of a month
    [MWh].
    `of_intercept`, `of_slope`: standard errors.  `months`: N.  `mean_days`: mean degree days of a
    month [K d].  `student`: t value of 95 % at N - 2 degrees of freedom.
    """

    months: int
    mean_days: float
    intercept: float
    slope: float
    of_intercept: float
    of_slope: float
    residual: float
    r_squared: float
    cv: float
    student: float

    @property
    def slope_t(self) -> float:
        """Return the slope divided by its standard error; below 2 it is not significant. [1]"""
        return self.slope / self.of_slope if self.of_slope else float("inf")


def fit(degree_days: Sequence[Fraction], energy: Sequence[Fraction]) -> Line:
    """
    Return the line fitted to the months before the project.

    `degree_days`: CDD of each month. [K d]
    `energy`: [MWh]
    Raises MethodologyError if all months have the same degree days or energy, or scipy is not
    installed.

    References
    ----------
    AMS-II.E v11 with IPMVP option C; least squares by `scipy.stats.linregress`.
    """
    try:
        from scipy import stats  # noqa: PLC0415 - heavy, and one methodology needs it
    except ModuleNotFoundError as error:
        raise MethodologyError(
            "a regression needs scipy, which is not installed: install tonne's "
            "extra `estimate`, or enter intercept_mwh and slope_mwh_per_cdd"
        ) from error
    x, y = [float(v) for v in degree_days], [float(v) for v in energy]
    mean = sum(x) / len(x)
    spread = sum((v - mean) ** 2 for v in x)
    for name, values in (("cdd", x), ("energy_mwh", y)):
        if len(set(values)) == 1:
            raise MethodologyError(
                f"all months have the same {name}, so no slope can be fitted; enter more months"
            )
    result = stats.linregress(x, y)
    residual = float(result.stderr) * sqrt(spread)
    return Line(
        months=len(x),
        mean_days=mean,
        intercept=float(result.intercept),
        slope=float(result.slope),
        of_intercept=float(result.intercept_stderr),
        of_slope=float(result.stderr),
        residual=residual,
        r_squared=float(result.rvalue) ** 2,
        cv=residual / (sum(y) / len(y)),
        student=float(stats.t.ppf(_TAIL, len(x) - 2)),
    )


def predicted(line: Line, months: int, degree_days: Fraction) -> float:
    """
    Return the best estimate of the energy that the building would have used. [MWh]

    E_BL,adj = n * a + b * CDD

    `months`: n, months of the project's period.
    `degree_days`: CDD of all of them. [K d]
    """
    return months * line.intercept + line.slope * float(degree_days)


def lower_bound(line: Line, months: int, degree_days: Fraction) -> Fraction:
    """
    Return the lower bound of the predicted energy's two-sided 95 % interval, at least zero. [MWh]

    E_BL,adj - t * sqrt(n^2 var(a) + 2 n CDD cov(a, b) + CDD^2 var(b) + n s^2)

    The last term is the scatter of single months: the bound is that of the prediction interval.
    Successive months are assumed to be independent.

    `months`: n.
    `degree_days`: CDD of all of them. [K d]

    References
    ----------
    Prediction interval of a regression: any textbook.  The use of the lower bound is tonne's own
    rule.
    """
    days, of_slope = float(degree_days), line.of_slope**2
    covariance = -line.mean_days * of_slope
    variance = (
        months**2 * line.of_intercept**2
        + 2 * months * days * covariance
        + days**2 * of_slope
        + months * line.residual**2
    )
    low = predicted(line, months, degree_days) - line.student * sqrt(max(0.0, variance))
    return Fraction(max(0.0, low))
