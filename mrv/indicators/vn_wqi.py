"""
Water quality index of Viet Nam.

Decision 1460/QD-TCMT, 12 November 2019, read second-hand: in a public implementation
and a legal summary.  The exponent of the aggregate is not confirmed: `cube-root`
is believed to be the Decision's, `square-root` is the implementation's default.
Group II, pesticides, has no curves here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from mrv.errors import IndicatorError
from mrv.limits import Table
from mrv.model import Indicator
from mrv.parameters import ChoiceSpec, Inputs, ParameterSpec
from mrv.rounding import half_up

_PLACES = 4
_FEWEST_GROUPS = 3
_FEWEST_OF_IV = 3
_METALS = ("as", "cd", "pb", "cr6", "cu", "zn", "hg")
_ORGANIC = ("bod5", "cod", "toc", "nh4_n", "no3_n", "no2_n", "po4_p")
_MICROBES = ("coliform", "e_coli")
# mg/L that water of a temperature holds at most, as a polynomial in Cel.
_DO_SATURATED = tuple(Fraction(c) for c in ("14.652", "-0.41022", "0.0079910", "-0.000077774"))


def index(inputs: Inputs, table: Table) -> Mapping[str, Any]:
    """
    Return the water quality index `wqi`, and the index of each measured group, by name. [1]

    `aggregate` of the inputs chooses how the groups are combined.
    """
    groups = _groups(inputs, table)
    if len(groups["iv"]) < _FEWEST_OF_IV:
        raise IndicatorError(
            f"group IV has {len(groups['iv'])} parameters; give at least {_FEWEST_OF_IV} of "
            f"do_mg_l, {', '.join(f'{name}_mg_l' for name in _ORGANIC)}"
        )
    if sum(bool(group) for group in groups.values()) < _FEWEST_GROUPS:
        raise IndicatorError(
            f"{sum(map(bool, groups.values()))} groups are measured, {_FEWEST_GROUPS} are needed; "
            "besides group IV give two of ph, metals (as_mg_l and others) and coliform_mpn_100ml "
            "or e_coli_mpn_100ml"
        )
    result: dict[str, Any] = {}
    organic = float(_mean(groups["iv"]))
    result["group_iv"] = half_up(_mean(groups["iv"]), _PLACES)
    combined = organic
    if groups["v"]:
        microbes = float(_mean(groups["v"]))
        result["group_v"] = half_up(_mean(groups["v"]), _PLACES)
        combined = _aggregate(organic, microbes, inputs["aggregate"])
    if groups["iii"]:
        metals = _geometric_mean(groups["iii"])
        result["group_iii"] = half_up(Fraction(metals), _PLACES)
        combined *= metals / 100
    if groups["i"]:
        combined *= float(groups["i"][0]) / 100
    return {**result, "wqi": int(half_up(Fraction(combined)))}


def _groups(inputs: Inputs, table: Table) -> dict[str, list[Fraction]]:
    def measured(names: Sequence[str], unit: str) -> list[Fraction]:
        keys = {name: f"{name}_{unit}" for name in names}
        return [_at(table, n, inputs[key]) for n, key in keys.items() if key in inputs]

    organic = measured(_ORGANIC, "mg_l")
    if "do_mg_l" in inputs:
        organic.insert(0, _at(table, "do_percent", _saturation(inputs)))
    return {
        "i": [_at(table, "ph", inputs["ph"])] if "ph" in inputs else [],
        "iii": measured(_METALS, "mg_l"),
        "iv": organic,
        "v": measured(_MICROBES, "mpn_100ml"),
    }


def _at(table: Table, curve: str, value: Fraction) -> Fraction:
    at = table.curves[curve].at(value)
    assert at is not None, curve  # noqa: S101 - every curve has both ends
    return at


def _saturation(inputs: Inputs) -> Fraction:
    """Return dissolved oxygen as a share of saturation. [%]"""
    if "temperature_c" not in inputs:
        raise IndicatorError("temperature_c is missing; do_mg_l cannot be assessed without it")
    warm = inputs["temperature_c"]
    saturated_mg_l = sum((c * warm**i for i, c in enumerate(_DO_SATURATED)), start=Fraction(0))
    return Fraction(inputs["do_mg_l"] / saturated_mg_l * 100)


def _mean(values: list[Fraction]) -> Fraction:
    return sum(values, start=Fraction(0)) / len(values)


def _geometric_mean(values: list[Fraction]) -> float:
    return math.prod(float(v) for v in values) ** (1 / len(values))


def _aggregate(organic: float, microbes: float, form: str) -> float:
    if form == "cube-root":
        return float((organic**2 * microbes) ** (1 / 3))
    return math.sqrt(organic * microbes)


def _given(unit: str, meaning: str, maximum: str) -> ParameterSpec:
    return ParameterSpec(
        unit=unit,
        meaning=meaning,
        required=False,
        maximum=maximum,
        source="laboratory or analyser",
        certainty="[r]",
    )


INDICATORS = (
    Indicator(
        id="vn-wqi",
        title="Water quality index",
        reference="Decision 1460/QD-TCMT, 12 November 2019",
        notes=__doc__.strip(),
        table="vn_wqi",
        banded="wqi",
        inputs={
            "ph": _given("1", "pH", "14"),
            "do_mg_l": _given("mg/L", "dissolved oxygen", "30"),
            "temperature_c": _given("Cel", "temperature of the water", "45"),
            **{f"{name}_mg_l": _given("mg/L", name, "100000") for name in (*_ORGANIC, *_METALS)},
            **{f"{name}_mpn_100ml": _given("MPN/100 mL", name, "1000000000") for name in _MICROBES},
            "aggregate": ChoiceSpec(
                "how groups IV and V are combined",
                ("cube-root", "square-root"),
                "Decision 1460/QD-TCMT, not confirmed",
                default="cube-root",
            ),
        },
        compute=index,
    ),
)
