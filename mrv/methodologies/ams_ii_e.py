"""
A building with less consumption than its own history in the same weather.

CDM AMS-II.E version 11.0, IPMVP option C.  The equation and the limit of 60 GWh were not compared
with the text of the methodology.  Enter the months before the project as `history`: tonne fits
intercept and slope by least squares (scipy).  The baseline is the lower end of the 95 % interval of
the predicted consumption (tonne's own rule).  A line that was fitted elsewhere can be entered
instead, with its lower 95 % bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from mrv.errors import MethodologyError
from mrv.methodologies._degree_days import Line, fit, lower_bound, predicted
from mrv.methodologies._shared import (
    EF_BOTH,
    EF_GRID,
    POWER,
    POWER_ROLE,
    SECONDS_PER_DAY,
    TYPE_II,
    gaining_part_of_year,
    power_mwh,
    total,
)
from mrv.model import Activity, Condition, Factors, Methodology, Reductions, RoleNeeds
from mrv.parameters import Inputs, ListSpec, ParameterSpec
from mrv.rounding import significant
from mrv.service_bounds import Consumption, Range
from mrv.steps import Step, baseline_emissions, project_emissions, steps
from mrv.texts import Text, text

ID = "ams-ii-e"
VERSION = "11.0"
ADDITIVE = False

_LINE = ("intercept_mwh", "slope_mwh_per_cdd")
_YEAR = 12
# IPMVP: a variable with a t value below 2 is not used in the model. [M]
_MIN_SLOPE_T = 2
_DAYS = ParameterSpec(
    unit="K d",
    meaning="cooling degree days of the period",
    maximum="10000",
    source="the weather station of the regression",
    symbol="CDD",
    option="A",
    frequency="daily",
    side="baseline",
)


def inputs_of(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """Return degree days [K s] as [K d], electricity as [MWh], and the regression line."""
    del factors, year
    return {
        "intercept_mwh": parameters["intercept_mwh"] * gaining_part_of_year(activities),
        "slope_mwh_per_cdd": parameters["slope_mwh_per_cdd"],
        "months": _YEAR,
        "cdd": total(activities, "weather") / SECONDS_PER_DAY,
        "energy_mwh": power_mwh(activities),
        "ef_grid_t_per_mwh": parameters["ef_grid_t_per_mwh"],
    }


def _line(months: Sequence[Inputs]) -> Line:
    return fit([m["cdd"] for m in months], [m["energy_mwh"] for m in months])


def _fitted(name: str, symbol: str, unit: str, formula: str, meaning: str) -> Step:
    source = "AMS-II.E v11 with IPMVP option C; least squares"
    return Step(name, symbol, unit, formula, source, meaning, when="history")


_FITTED = {
    "intercept_mwh_per_month": (
        "a", "MWh", "fitted(line, 'intercept')", "intercept of the regression line, per month"
    ),
    "intercept_standard_error_mwh": (
        "s_a", "MWh", "fitted(line, 'of_intercept')", "standard error of the intercept"
    ),
    "slope_mwh_per_cdd": (
        "b", "MWh/(K d)", "fitted(line, 'slope')", "slope of the regression line per degree day"
    ),
    "slope_standard_error_mwh_per_cdd": (
        "s_b", "MWh/(K d)", "fitted(line, 'of_slope')", "standard error of the slope"
    ),
    "r_squared": (
        "R2", "1", "fitted(line, 'r_squared')", "coefficient of determination of the regression"
    ),
    "cv_rmse_percent": (
        "CV", "%", "fitted(line, 'cv') * 100",
        "CV(RMSE) of the regression over the months before the project"
    ),
    "adjusted_mwh": (
        "E_BL,likeliest", "MWh", "predicted(line, months, cdd)",
        "best estimate of the baseline in the weather of the period: n * a + b * CDD"
    ),
    "adjusted_lower_95_mwh": (
        "E_BL,low", "MWh", "lower_bound(line, months, cdd)",
        "lower bound of the two-sided 95 % confidence interval of the adjusted baseline"
    ),
}  # fmt: skip
_ADJUSTED = ("adjusted_baseline_mwh", "E_BL,adj", "MWh")
STEPS = steps(
    _fitted(
        "line",
        "line",
        "",
        "fit(history)",
        "regression line fitted to the months before the project",
    ),
    (_fitted(name, *lines) for name, lines in _FITTED.items()),
    Step(
        *_ADJUSTED,
        "adjusted_lower_95_mwh",
        "AMS-II.E v11; the lower bound counts: a rule of tonne's own",
        "baseline adjusted to the weather of the period",
        when="history",
    ),
    Step(
        *_ADJUSTED,
        "intercept_mwh + slope_mwh_per_cdd * cdd",
        "AMS-II.E v11, baseline adjusted for weather (IPMVP option C)",
        "baseline adjusted to the weather of the period",
    ),
    baseline_emissions("adjusted_baseline_mwh * ef_grid_t_per_mwh", "AMS-II.E v11"),
    project_emissions("energy_mwh * ef_grid_t_per_mwh", "AMS-II.E v11"),
    functions={
        "fit": _line,
        "fitted": lambda line, name: Fraction(getattr(line, name)),
        "predicted": lambda line, months, days: Fraction(predicted(line, months, days)),
        "lower_bound": lower_bound,
    },
    extra=tuple(_FITTED),
)


def plausible(inputs: Inputs) -> None:
    """Raise MethodologyError if there are two baselines or none, or fewer than twelve months."""
    line = [key for key in _LINE if key in inputs]
    if "history" in inputs and line:
        raise MethodologyError(
            f"{line[0]} and history are two baselines; enter either the months or the regression "
            "line with the lower bounds of its two-sided 95 % confidence intervals"
        )
    missing = [key for key in _LINE if key not in inputs]
    if "history" not in inputs and missing:
        raise MethodologyError(
            f"{missing[0]!r} is missing; enter the regression line, or `history` with the "
            "months before the project"
        )
    if "history" not in inputs and inputs["months"] != _YEAR:
        raise MethodologyError(
            f"months is used only with history, and is {float(inputs['months']):g}; intercept_mwh "
            f"is for a whole year: give {_YEAR} months, or the history"
        )
    if len(inputs.get("history", _YEAR * [None])) < _YEAR:
        raise MethodologyError(
            f"history has {len(inputs['history'])} months; enter at least {_YEAR}"
        )


def _weather_explains(inputs: Inputs, result: Reductions) -> Text | None:
    del result
    if "history" not in inputs:
        return None
    line = _line(inputs["history"])
    if line.slope_t >= _MIN_SLOPE_T:
        return None
    return text("condition.weather", slope=f"{line.slope_t:.2f}", least=str(_MIN_SLOPE_T))


def _weather_was_there(inputs: Inputs, result: Reductions) -> Text | None:
    del result
    if "history" not in inputs:
        return None
    mean = inputs["cdd"] / inputs["months"]
    days = [m["cdd"] for m in inputs["history"]]
    if min(days) <= mean <= max(days):
        return None
    return text(
        "condition.weather_range",
        mean=significant(mean, 4),
        low=significant(min(days), 4),
        high=significant(max(days), 4),
    )


_LINE_SPECS = {
    "intercept_mwh": ParameterSpec(
        unit="MWh",
        meaning="annual consumption without cooling, lower 95 % bound",
        required=False,
        maximum="1000000",
        source="regression of at least one year before the project",
        symbol="a",
        side="baseline",
    ),
    "slope_mwh_per_cdd": ParameterSpec(
        unit="MWh/(K d)",
        meaning="additional consumption per cooling degree day, lower 95 % bound",
        required=False,
        maximum="10000",
        source="regression of the months before the project",
        symbol="b",
        side="baseline",
    ),
}

_RANGE_SPECS = {
    "least_cdd_per_month": ParameterSpec(
        unit="K d",
        meaning="cooling degree days of the coolest month of the regression",
        required=False,
        maximum="1500",
        source="regression of the months before the project",
        side="baseline",
    ),
    "most_cdd_per_month": ParameterSpec(
        unit="K d",
        meaning="cooling degree days of the warmest month of the regression",
        required=False,
        minimum="0.1",
        maximum="1500",
        source="regression of the months before the project",
        side="baseline",
    ),
    "months_of_baseline": ParameterSpec(
        unit="month",
        meaning="number of months before the project to which the regression line was fitted",
        required=False,
        minimum=str(_YEAR),
        maximum="120",
        integer=True,
        source="regression of the months before the project; IPMVP: at least one whole cycle"
        " of operation",
        side="baseline",
    ),
}

METHODOLOGY = Methodology(
    id=ID,
    versions=(VERSION,),
    title="Energy efficiency and fuel switching measures for buildings",
    reference="CDM AMS-II.E version 11.0",
    programme="CDM",
    notes=__doc__.strip(),
    additive=ADDITIVE,
    roles={
        "weather": RoleNeeds(
            ("weather_station",),
            "degree_time",
            "baseline",
            symbol="CDD",
            source="sum of degree days of the weather station used in the regression",
        ),
        "power": replace(POWER_ROLE, symbol="E_PJ", source="import register of the building"),
    },
    parameters={
        **{key: replace(spec, required=True) for key, spec in _LINE_SPECS.items()},
        **_RANGE_SPECS,
        "ef_grid_t_per_mwh": EF_BOTH,
    },
    inputs={
        **_LINE_SPECS,
        "history": ListSpec(
            "monthly data before the project, entered instead of a regression line",
            {
                "cdd": replace(_DAYS, meaning="cooling degree days of the month"),
                "energy_mwh": ParameterSpec(
                    unit="MWh",
                    meaning="electricity of the building in the month",
                    maximum="1000000",
                    source="invoices or meter of at least a year, better three",
                    symbol="E_BL",
                    option="B",
                    frequency="monthly",
                    side="baseline",
                ),
            },
            required=False,
        ),
        "months": ParameterSpec(
            unit="month",
            meaning="number of months of the monitoring period; used only if history is entered",
            default=str(_YEAR),
            minimum="1",
            maximum=str(_YEAR),
            integer=True,
            source="calendar",
            symbol="n",
            side="baseline",
        ),
        "cdd": _DAYS,
        "energy_mwh": replace(POWER, meaning="electricity of the building", symbol="E_PJ"),
        "ef_grid_t_per_mwh": EF_GRID,
    },
    inputs_of=inputs_of,
    timed=True,
    by_time=True,
    steps=STEPS,
    plausible=plausible,
    conditions=(
        Condition("IPMVP option C, t value of the degree days", _weather_explains, severity="CL"),
        Condition(
            "IPMVP option C, range of the baseline's weather", _weather_was_there, severity="CL"
        ),
        TYPE_II,
    ),
    consumptions=(Consumption(("power",), ("weather",), "kWh/(K d)", Fraction(1)),),
    billed=("power", "weather"),
    ranges=(Range("weather", "least_cdd_per_month", "most_cdd_per_month", SECONDS_PER_DAY),),
    baseline_documents=(*_LINE, *_RANGE_SPECS),
    rules=(
        (
            "The baseline consumption is the lower bound of the regression's two-sided 95 %"
            " confidence interval, not its mean."
        ),
        (
            "The intercept of the regression is the consumption of a whole year. It is multiplied"
            " by the share of the calendar year for which baseline emissions are credited: 28/365"
            " for 28 days."
        ),
        (
            "The more the months before the project deviate from the regression line, the lower"
            " is the reduction."
        ),
        (
            "The regression is valid for whole periods. tonne therefore calculates the reduction"
            " of a monitoring period, not of single 15-minute intervals."
        ),
        (
            "Required are a calibrated meter or invoices, degree days of the meteorological"
            " office, and documents of the regression line (EVD-03)."
        ),
        (
            "If the totals of meter and invoices differ by more than 1 %, the total that gives"
            " the lower reduction is applied (EVD-03)."
        ),
        (
            "The degree days of a block of four weeks are at most 1.1 times those of the month"
            " with the most degree days in the regression (MTR-10)."
        ),
    ),
)
