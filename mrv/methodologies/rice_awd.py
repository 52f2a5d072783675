"""
Rice that is drained and flooded in turn, in place of continuous flooding.

IPCC 2019 Refinement, as the Gold Standard rice methodology applies it (secondary source), with its
deduction of 15 % for default values of the IPCC.  The nitrous oxide factors were not compared with
their source.  AMS-III.AU version 4 was inactivated for VCS in 2023; its fixed defaults are not
applied here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mrv.errors import MethodologyError
from mrv.methodologies._shared import (
    DIESEL,
    FUEL_ROLE,
    GWP_CH4,
    GWP_N2O,
    SECONDS_PER_DAY,
    TYPE_III,
    diesel,
    diesel_l,
    or_published,
    warming,
)
from mrv.model import Activity, Factors, Methodology, RoleNeeds
from mrv.parameters import Inputs, ListSpec, ParameterSpec
from mrv.steps import Published, Step, project_emissions, steps

ID = "rice-awd"
VERSION = "1.0"
ADDITIVE = False

_DAYS_OF_YEAR = 366


def inputs_of(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """
    Return the days [s] for which each field was flooded, with its area.

    The area of a field is multiplied by its share of a whole season, so that methane is per hectare
    and day, and nitrogen per hectare and season.
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


_IPCC = "IPCC 2019 Refinement, volume 4"
_SEASONS = (("baseline", "BL", "BE_s"), ("project", "PJ", "PE_CH4,s"))
STEPS = steps(
    Published("exponent", "0.59", "1", "rice.sf-o-exponent", "avoided"),
    Published("ef1_drained", "EF1_drained", "kgN2O-N/kgN", "rice.ef1.drained", "consumed"),
    Published("ef1_flooded", "EF1_flooded", "kgN2O-N/kgN", "rice.ef1.flooded", "avoided"),
    Step(
        "other_straw_t_per_ha",
        "ROA_i CFOA_i",
        "t/ha",
        "t_per_ha * cfoa",
        f"{_IPCC}, equation 5.3",
        "other organic matter, as fresh straw",
        over="other_organic",
    ),
    Step(
        "sf_o",
        "SF_o",
        "1",
        "power(1 + straw_t_per_ha * cfoa + sum(other_straw_t_per_ha), exponent)",
        f"{_IPCC}, equation 5.3",
        "scaling factor for organic matter incorporated into the soil",
    ),
    *(
        Step(
            f"daily_{side}_kg_per_ha",
            f"EF_{symbol}",
            "kgCH4/ha/d",
            f"ef_c_kg_per_ha_d * sf_w_{side} * sf_p * sf_o",
            f"{_IPCC}, equation 5.2",
            f"methane emissions per hectare and day, {side}",
        )
        for side, symbol, _ in _SEASONS
    ),
    *(
        Step(
            f"{side}_season_t",
            symbol,
            "tCO2e",
            f"area_ha * days * daily_{side}_kg_per_ha * gwp_ch4 / KG_PER_T",
            f"{_IPCC}, equation 5.1",
            f"methane emissions of a season, {side}",
            over="seasons",
        )
        for side, _, symbol in _SEASONS
    ),
    Step(
        "n2o_season_t",
        "PE_N2O,s",
        "tCO2e",
        "area_ha * n_kg_per_ha * (ef1_drained - ef1_flooded) * N2O_PER_N * gwp_n2o / KG_PER_T",
        f"{_IPCC}, chapter 11",
        "nitrous oxide that drainage adds in a season",
        over="seasons",
    ),
    diesel(),
    Step(
        "baseline_t",
        "BE",
        "tCO2e",
        "sum(baseline_season_t)",
        f"{_IPCC}, equation 5.1",
        "baseline emissions",
    ),
    Step(
        "methane_t",
        "PE_CH4",
        "tCO2e",
        "sum(project_season_t)",
        f"{_IPCC}, equation 5.1",
        "methane emissions of the project",
    ),
    Step(
        "other_t",
        "PE_other",
        "tCO2e",
        "sum(n2o_season_t) + fuel_t",
        f"{_IPCC}, chapter 11; CDM TOOL03",
        "project emissions to which no uncertainty deduction applies",
    ),
    project_emissions("methane_t + other_t", "Gold Standard rice methodology", unit="tCO2e"),
    Step(
        "reduction_t",
        "ER",
        "tCO2e",
        "baseline_t - methane_t - uncertainty_deduction * max(0, baseline_t - methane_t) - other_t",
        "Gold Standard rice methodology, uncertainty deduction",
        "reduction, after deducting the uncertainty of defaults from the methane",
    ),
    lists={"seasons": "", "other_organic": ""},
    defaults={"other_organic": []},
)


def odd(inputs: Inputs) -> None:
    """Raise MethodologyError for a water regime wetter than the baseline's."""
    if inputs["sf_w_project"] > inputs["sf_w_baseline"]:
        raise MethodologyError(
            f"sf_w_project = {float(inputs['sf_w_project']):g} is above sf_w_baseline = "
            f"{float(inputs['sf_w_baseline']):g}: the project must flood less than the baseline; "
            "check both factors"
        )


def plausible(inputs: Inputs) -> None:
    """Raise MethodologyError if the season is longer than a year."""
    days = sum(season["days"] for season in inputs["seasons"])
    areas = {season["area_ha"] for season in inputs["seasons"]}
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
    meaning="dry straw incorporated into the soil",
    maximum="30",
    source="farmers' log",
    symbol="ROA",
    option="C",
    frequency="every season",
    side="both",
)
_CFOA = _scaling("CFOA", "conversion factor of the organic matter (CFOA)", "rice.cfoa")

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
    meaning="days of cultivation in a season",
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
        meaning="daily methane emissions under continuous flooding, without organic matter",
        maximum="20",
        source="IPCC 2019 Refinement, volume 4, or a national value",
        certainty="[r]",
        symbol="EFc",
        side="both",
        published="rice.ef-c",
    ),
    "sf_w_baseline": _scaling(
        "SF_w,BL", "scaling factor for the water regime in the season (SFw), baseline", "rice.sf-w"
    ),
    "sf_w_project": _scaling(
        "SF_w,PJ", "scaling factor for the water regime in the season (SFw), project", "rice.sf-w"
    ),
    "sf_p": ParameterSpec(
        unit="1",
        meaning="scaling factor for the water regime before the season (SFp), equal for baseline"
        " and project",
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
        meaning="nitrogen in the fertiliser of a season",
        maximum="1000",
        source="farmers' log",
        symbol="N",
        option="C",
        frequency="every season",
        side="project",
    ),
    "uncertainty_deduction": ParameterSpec(
        unit="1",
        meaning="deduction for the uncertainty of defaults, as a fraction, such as 0.15 for 15 %",
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
            source="season timer of the field's water tube",
        ),
        "fuel": replace(FUEL_ROLE, required=False),
    },
    parameters={"season_days": _DAYS, **_FIXED},
    inputs={
        "seasons": ListSpec("the seasons of the year", {"area_ha": _AREA, "days": _DAYS}),
        **_FIXED,
        "other_organic": ListSpec(
            "compost, manure and other organic matter, one object per kind",
            {
                "t_per_ha": replace(
                    _STRAW, meaning="mass worked into the soil: straw dry, other kinds fresh"
                ),
                "cfoa": _CFOA,
            },
            required=False,
        ),
        "diesel_l": replace(DIESEL, default="0", meaning="diesel that the project's pumps burn"),
    },
    inputs_of=inputs_of,
    steps=STEPS,
    uses=("rice.sf-o-exponent", "rice.ef1.", "diesel."),
    plausible=plausible,
    odd=odd,
    drained=("field", "level_cm", "sf_w_project", "sf_w_baseline"),
    conditions=(TYPE_III,),
    rules=(
        "15 % of the methane reduction is deducted if default values of the IPCC are used.",
        "The deduction is not applied to a field that emits more methane than before the project.",
        (
            "The area A_s,g of a field is multiplied by its metered days divided by `season_days`:"
            " methane and N2O are those of the metered part of the season."
        ),
        (
            "The dry hours of a water tube are at most the time for which its readings arrived"
            " in time (MTR-08)."
        ),
        (
            "The water level of each field is above the ground, then at or below it for more than"
            " three days, and above it afterwards, at least once in the period (PAR-06; IPCC 2006"
            " Guidelines, volume 4, table 5.12, intermittently flooded)."
        ),
    ),
)
