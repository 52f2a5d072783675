"""
Rice that is drained and flooded in turn, in place of continuous flooding.

IPCC 2019 Refinement, as the Gold Standard rice methodology uses it: [r], second-
hand, with its deduction of 15 % where IPCC defaults are used.  Nitrous oxide
factors: [M].  AMS-III.AU version 4 was inactivated for VCS in 2023, and its fixed
defaults are not used here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from mrv.equations import rice
from mrv.errors import MethodologyError
from mrv.methodologies._live import FUEL_ROLE, SECONDS_PER_DAY, diesel_l, or_published, warming
from mrv.methodologies._shared import DIESEL, GWP_CH4, GWP_N2O, NOTHING, TYPE_III, diesel
from mrv.model import Activity, Factors, Methodology, Reductions, RoleNeeds
from mrv.parameters.inputs import Inputs
from mrv.parameters.specs import ListSpec, ParameterSpec

ID = "rice-awd"
VERSION = "1.0"
ADDITIVE = False

_DAYS_OF_YEAR = 366


def inputs_of(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """
    Days [s] of each field under water, with its area.

    A field is given as that part of its area which a whole season makes of its days,
    so that methane goes by hectare and day, and nitrogen by hectare and season.
    """
    length = parameters["season_days"]
    fields = [a for a in activities if a.role == "field"]
    return {
        **{key: parameters[key] for key in _FIXED if key in parameters},
        "seasons": [
            {"area_ha": a.params["area_ha"] * a.value / SECONDS_PER_DAY / length, "days": length}
            for a in fields
        ],
        "sf_p": or_published(parameters, "sf_p", factors, ("rice.sf-p.dry-short", "either"), year),
        "uncertainty_deduction": or_published(
            parameters, "uncertainty_deduction", factors, ("rice.uncertainty", "avoided"), year
        ),
        **warming(parameters, factors, year, "ch4", "n2o"),
        "diesel_l": diesel_l(activities),
    }


def reductions(inputs: Inputs, factors: Factors) -> Reductions:
    """
    ER = (BE - PE_CH4) * (1 - U_d) - PE_N2O - PE_FC. [tCO2e].

    BE = SUM_s A * L * EFc * SF_w,BL * SF_p * SF_o * GWP_CH4 / 1000
    PE_CH4 = the same with SF_w,PJ
    PE_N2O = SUM_s A * N * (EF1_drained - EF1_flooded) * 44/28 * GWP_N2O / 1000
    SF_o = (1 + SUM_i ROA_i * CFOA_i)^0.59
    PE_FC = FC * NCV * EF
    """
    organic = rice.amended(_organic(inputs), factors.select("rice.sf-o-exponent", "avoided").value)
    baseline = _methane(inputs["sf_w_baseline"], organic, inputs)
    methane = _methane(inputs["sf_w_project"], organic, inputs)
    other = _nitrous(inputs, factors) + diesel(inputs["diesel_l"], factors)
    return Reductions(
        baseline,
        methane + other,
        NOTHING,
        rice.after_deduction(baseline, methane, inputs["uncertainty_deduction"], other),
    )


def _organic(inputs: Inputs) -> Fraction:
    """SUM ROA_i * CFOA_i. [t/ha]."""
    straw = rice.as_fresh_straw(inputs["straw_t_per_ha"], inputs["cfoa"])
    others = (
        rice.as_fresh_straw(one["t_per_ha"], one["cfoa"]) for one in inputs.get("other_organic", ())
    )
    return straw + sum(others, start=NOTHING)


def _methane(water: Fraction, organic: Fraction, inputs: Inputs) -> Fraction:
    daily = rice.daily_methane(inputs["ef_c_kg_per_ha_d"], water, inputs["sf_p"], organic)
    return sum(
        (
            rice.season(one["area_ha"], one["days"], daily, inputs["gwp_ch4"])
            for one in inputs["seasons"]
        ),
        start=NOTHING,
    )


def _nitrous(inputs: Inputs, factors: Factors) -> Fraction:
    drained = factors.select("rice.ef1.drained", "consumed").value
    flooded = factors.select("rice.ef1.flooded", "avoided").value
    return sum(
        (
            rice.nitrous_oxide(
                one["area_ha"], inputs["n_kg_per_ha"], drained, flooded, inputs["gwp_n2o"]
            )
            for one in inputs["seasons"]
        ),
        start=NOTHING,
    )


def odd(inputs: Inputs) -> None:
    """Name a water regime wetter than the baseline's."""
    if inputs["sf_w_project"] > inputs["sf_w_baseline"]:
        raise MethodologyError(
            f"sf_w_project = {float(inputs['sf_w_project']):g} is above sf_w_baseline ="
            f" {float(inputs['sf_w_baseline']):g}: the project must flood less than before"
        )


def plausible(inputs: Inputs) -> None:
    """Refuse a season longer than a year."""
    days = sum(one["days"] for one in inputs["seasons"])
    areas = {one["area_ha"] for one in inputs["seasons"]}
    if len(areas) == 1 and days > _DAYS_OF_YEAR:
        raise MethodologyError(
            f"seasons: the same area is cultivated for {float(days):g} days of one year; give the"
            " seasons of one year"
        )


def _scaling(symbol: str, meaning: str, published: str) -> ParameterSpec:
    return ParameterSpec(
        unit="1",
        meaning=meaning,
        maximum="3",
        source="IPCC 2019 Refinement, volume 4",
        certainty="[r]",
        symbol=symbol,
        side="both",
        published=published,
    )


_STRAW = ParameterSpec(
    unit="t/ha",
    meaning="dry straw worked in",
    maximum="30",
    source="farmers' log",
    symbol="ROA",
    option="C",
    frequency="every season",
    side="both",
)
_CFOA = _scaling("CFOA", "conversion of that organic matter", "rice.cfoa")

_AREA = ParameterSpec(
    unit="ha",
    meaning="area under the project's water regime",
    maximum="10000000",
    source="GPS polygons",
    symbol="A_s,g",
    option="C",
    frequency="every season",
    side="both",
)
_DAYS = ParameterSpec(
    unit="d",
    meaning="days of cultivation",
    maximum="366",
    source="farmers' log",
    symbol="L_s,g",
    option="C",
    frequency="every season",
    side="both",
)
_FIXED = {
    "ef_c_kg_per_ha_d": ParameterSpec(
        unit="kgCH4/ha/d",
        meaning="methane under continuous flooding, without organic matter",
        maximum="20",
        source="IPCC 2019 Refinement, volume 4, or a national value",
        certainty="[r]",
        symbol="EFc",
        side="both",
        published="rice.ef-c",
    ),
    "sf_w_baseline": _scaling("SF_w,BL", "water regime in the season before", "rice.sf-w"),
    "sf_w_project": _scaling("SF_w,PJ", "water regime in the season now", "rice.sf-w"),
    "sf_p": ParameterSpec(
        unit="1",
        meaning="water regime before the season, the same on both sides",
        required=False,
        maximum="3",
        source="IPCC 2019 Refinement, volume 4",
        certainty="[r]",
        symbol="SF_p",
        side="both",
        factor=("rice.sf-p.dry-short", "either"),
        published="rice.sf-p",
    ),
    "straw_t_per_ha": _STRAW,
    "cfoa": _CFOA,
    "n_kg_per_ha": ParameterSpec(
        unit="kg/ha",
        meaning="nitrogen of fertiliser in a season",
        maximum="1000",
        source="farmers' log",
        symbol="N",
        option="C",
        frequency="every season",
        side="project",
    ),
    "uncertainty_deduction": ParameterSpec(
        unit="1",
        meaning="deduction for the uncertainty of defaults, 0.15 for 15 %",
        required=False,
        maximum="1",
        source="Gold Standard rice methodology",
        certainty="[r]",
        symbol="U_d",
        side="baseline",
        factor=("rice.uncertainty", "avoided"),
    ),
    "gwp_ch4": GWP_CH4,
    "gwp_n2o": GWP_N2O,
}

METHODOLOGY = Methodology(
    id=ID,
    versions=(VERSION,),
    title="Alternate wetting and drying of rice",
    reference="IPCC 2019 Refinement, volume 4, chapter 5.5; Gold Standard rice v1.0",
    programme="Gold Standard",
    notes=__doc__.strip(),
    additive=ADDITIVE,
    roles={
        "field": RoleNeeds(
            ("water_tube",),
            "operating_time",
            "baseline",
            params={"area_ha": _AREA},
            symbol="L_s,g",
            source="the season's clock of the field's water tube",
        ),
        "fuel": replace(FUEL_ROLE, required=False),
    },
    parameters={"season_days": _DAYS, **_FIXED},
    inputs={
        "seasons": ListSpec("the seasons of the year", {"area_ha": _AREA, "days": _DAYS}),
        **_FIXED,
        "other_organic": ListSpec(
            "compost, manure and other organic matter, one object a kind",
            {
                "t_per_ha": replace(_STRAW, meaning="worked in: straw dry, the others fresh"),
                "cfoa": _CFOA,
            },
            required=False,
        ),
        "diesel_l": replace(DIESEL, default="0", meaning="diesel that the project's pumps burn"),
    },
    inputs_of=inputs_of,
    reductions=reductions,
    uses=("rice.sf-o-exponent", "rice.ef1.", "diesel."),
    plausible=plausible,
    odd=odd,
    conditions=(TYPE_III,),
    rules=(
        "15 % of the methane is taken off where IPCC defaults are used.",
        "A field that gives off more than before gets no deduction on its loss.",
        "Nitrous oxide and fuel count whole, without a deduction.",
        "A tube that was never heard on time counts no more hours than passed while it was heard.",
    ),
)
