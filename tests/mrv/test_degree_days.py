"""AMS-II.E from the months before the project: regression line, interval, rejected data."""

import sys
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrv import factors
from mrv.errors import MethodologyError
from mrv.methodologies import evaluate, find
from mrv.methodologies._degree_days import Line, fit, lower_bound, predicted
from tests.soak import often

BOOK = factors.load()
CDD = [120, 130, 200, 260, 340, 370, 390, 380, 320, 270, 180, 90]
# Scatter that sums to nothing, so that the line is near 120.83 + 0.62 CDD.
SCATTER = [3, -4, 2, 5, -6, 1, -2, 4, -3, 2, -1, -1]
HISTORY = [
    {"cdd": d, "energy_mwh": Decimal("120.83") + Decimal("0.62") * d + s}
    for d, s in zip(CDD, SCATTER, strict=True)
]
FLAT = [{"cdd": d, "energy_mwh": 200 + s} for d, s in zip(CDD, SCATTER, strict=True)]
INPUTS = {
    "history": HISTORY,
    "cdd": 3050,
    "energy_mwh": 2780,
    "ef_grid_t_per_mwh": Decimal("0.6592"),
}


def _run(**changed):
    given_inputs = {k: v for k, v in {**INPUTS, **changed}.items() if v is not None}
    return evaluate(find("ams-ii-e"), given_inputs, BOOK, "b.json")


def _matrix(history, months, days):
    """Return the same interval from the normal equations, implemented independently."""
    x = np.array([[1.0, float(m["cdd"])] for m in history])
    y = np.array([float(m["energy_mwh"]) for m in history])
    beta, (squares,), _, _ = np.linalg.lstsq(x, y, rcond=None)
    s2 = squares / (len(y) - 2)
    at = np.array([months, float(days)])
    variance = s2 * at @ np.linalg.inv(x.T @ x) @ at + months * s2
    return at @ beta, variance


def test_the_interval_is_that_of_the_normal_equations():
    """A building's baseline would have a smaller uncertainty than its months support."""
    line = fit([m["cdd"] for m in HISTORY], [m["energy_mwh"] for m in HISTORY])
    mean, variance = _matrix(HISTORY, 12, 3050)
    assert predicted(line, 12, 3050) == pytest.approx(mean)
    # t of 97.5 % at ten degrees of freedom, from a printed table
    want = mean - 2.228139 * variance**0.5
    assert float(lower_bound(line, 12, Fraction(3050))) == pytest.approx(want, rel=1e-6)


def test_the_lower_bound_counts_and_everything_is_shown():
    """The mean would be credited, which half of all such buildings never saved."""
    found = _run()
    told = found.extra
    assert told["slope_mwh_per_cdd"] == pytest.approx(0.62, abs=0.02)
    assert told["adjusted_lower_95_mwh"] < told["adjusted_mwh"]
    assert found.baseline_t == told["adjusted_lower_95_mwh"] * Fraction("0.6592")
    assert 0.99 < told["r_squared"] < 1
    assert 0 < told["cv_rmse_percent"] < 5
    assert found.reduction_t < Fraction("369.8112")


@settings(max_examples=often(15, 30), deadline=None)
@given(more=st.floats(1.1, 6))
def test_more_scatter_never_earns_more(more):
    """A building whose bills no one can explain would gain from it."""
    wider = [
        {"cdd": m["cdd"], "energy_mwh": m["energy_mwh"] + s * Decimal(more - 1)}
        for m, s in zip(HISTORY, SCATTER, strict=True)
    ]
    line = fit(CDD, [m["energy_mwh"] for m in HISTORY])
    same_line = fit(CDD, [m["energy_mwh"] for m in wider])
    gap = predicted(line, 12, 3050) - float(lower_bound(line, 12, 3050))
    assert predicted(same_line, 12, 3050) - float(lower_bound(same_line, 12, 3050)) > gap


def test_units_go_through():
    """A building would be credited otherwise in kilowatt hours or in Fahrenheit days."""
    energy = [m["energy_mwh"] for m in HISTORY]
    line = fit(CDD, energy)
    low = lower_bound(line, 12, 3050)
    kwh = lower_bound(fit(CDD, [e * 1000 for e in energy]), 12, 3050)
    fahrenheit = lower_bound(fit([d * Fraction(9, 5) for d in CDD], energy), 12, 3050 * 9 // 5)
    assert float(kwh) == pytest.approx(float(low) * 1000)
    assert float(fahrenheit) == pytest.approx(float(low))


def test_one_month_is_less_sure_than_a_year():
    """A month's saving would be shown with a year's certainty."""
    line = fit(CDD, [m["energy_mwh"] for m in HISTORY])
    width = [
        (predicted(line, n, 254 * n) - float(lower_bound(line, n, 254 * n))) / n for n in (1, 12)
    ]
    assert width[0] > width[1]
    assert lower_bound(line, 1, 0) >= 0


def test_the_line_that_was_fitted_elsewhere_still_counts():
    """A regression line from a report could not be entered any more."""
    line = {"intercept_mwh": 1450, "slope_mwh_per_cdd": Decimal("0.62")}
    found = _run(history=None, **line)
    assert found.reduction_t == Fraction("369.8112")
    assert found.extra == {}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"history": HISTORY[:11]}, "history has 11 months; enter at least 12"),
        ({"history": None}, "'intercept_mwh' is missing; enter the regression line, or `history`"),
        ({"intercept_mwh": 1}, "intercept_mwh and history are two baselines"),
        ({"history": [{**m, "cdd": 100} for m in HISTORY]}, "same cdd, so no slope can be fitted"),
        (
            {"history": FLAT},
            "t value of the degree days: the slope is .* does not explain the consumption",
        ),
        ({"cdd": 9000}, "range of the baseline's weather: the mean cdd of a month is 750"),
        ({"months": 13}, "months = 13 must not be more than 12"),
        (
            {"history": None, "intercept_mwh": 1, "slope_mwh_per_cdd": 1, "months": 6},
            "months is used only with history",
        ),
        ({"history": [{**HISTORY[0], "cdd": -1}] * 12}, r"history\[0\]: cdd = -1"),
    ],
)
def test_bad_input_is_named(changed, said):
    """A baseline that does not hold would be credited."""
    with pytest.raises(MethodologyError, match=said):
        _run(**changed)


def test_bills_without_any_scatter_are_as_sure_as_they_look():
    """A division by a standard error of 0 would end in a traceback."""
    exact = [{"cdd": d, "energy_mwh": 2 * d} for d in CDD]
    found = _run(history=exact)
    assert float(found.extra["adjusted_lower_95_mwh"]) == pytest.approx(6100)
    idle = [{"cdd": d, "energy_mwh": 0} for d in CDD]
    with pytest.raises(MethodologyError, match="same energy_mwh, so no slope can be fitted"):
        _run(history=idle)


def test_a_line_says_how_well_it_fits():
    """A verifier would judge a building's regression by figures that are not its own."""
    line = fit(
        [Fraction(0), Fraction(1), Fraction(2), Fraction(3)],
        [Fraction(1), Fraction(3), Fraction(5), Fraction(8)],
    )
    assert line.months == 4
    # by hand: residuals 0.2, -0.1, -0.4, 0.3; their squares 0.30 of 26.75 in all
    assert line.r_squared == pytest.approx(1 - 0.30 / 26.75)
    assert line.cv == pytest.approx((0.30 / 2) ** 0.5 / 4.25)


def test_a_line_that_cannot_be_fitted_says_why(monkeypatch):
    """An engineer would get an error without a remedy."""
    with pytest.raises(MethodologyError) as found:
        fit([Fraction(5), Fraction(5), Fraction(5)], [Fraction(1), Fraction(2), Fraction(3)])
    message = "all months have the same cdd, so no slope can be fitted; enter more months"
    assert str(found.value) == message
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(MethodologyError) as found:
        fit([Fraction(1), Fraction(2), Fraction(3)], [Fraction(1), Fraction(2), Fraction(3)])
    assert str(found.value) == (
        "a regression needs scipy, which is not installed: install tonne's extra `estimate`,"
        " or enter intercept_mwh and slope_mwh_per_cdd"
    )


def test_a_small_building_has_a_small_lower_bound():
    """A building of less than a megawatt hour would be credited with a whole one."""
    line = Line(12, 0.0, 0.5, 0.0, 0.0, 0.0, 0.125, 1.0, 0.0, 2.0)
    assert lower_bound(line, 1, Fraction(0)) == Fraction("0.25")
    assert lower_bound(replace(line, intercept=-5.0), 1, Fraction(0)) == 0
