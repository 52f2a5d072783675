"""Common parts of AMS-III.F by year and by month: project emissions and inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from mrv.countries import FIRST_COUNTRY, ruling
from mrv.methodologies._shared import (
    CLOSER,
    DESIGN_MASS,
    DESIGN_PER_T,
    DIESEL,
    EF_GRID,
    FUEL_ROLE,
    G_PER_T,
    GWP_N2O,
    LEAKAGE,
    LEAKAGE_YEARLY,
    LOSSES,
    LOSSES_LIVE,
    OUTPUT_EVIDENCE,
    POWER,
    POWER_ROLE,
    SURE,
    TYPE_III,
    built_for_mass,
    diesel,
    diesel_l,
    drawn,
    grid,
    losses,
    part_of_year,
    power_mwh,
    warming,
    yearly,
)
from mrv.methodologies._waste import CLIMATES, DEGRADABLE, MAX_YEARS, SITE
from mrv.model import Activity, Candidate, Check, ClassLimit, Factors, RoleNeeds
from mrv.parameters import Inputs, ParameterSpec, Spec
from mrv.rounding import significant
from mrv.service_bounds import Consumption, Related
from mrv.steps import Published, Step, project_emissions
from mrv.texts import Text, text

CONDITIONS = (TYPE_III,)
# meaning and source of the default climate of a country
_DEFAULT = (
    (
        "climate of the country, since no climate was entered: 1 tropical and wet, 2"
        " tropical and dry, 3 cooler and wet, 4 cooler and dry (the slowest decay)"
    ),
    "IPCC 2006 Guidelines, volume 5, table 3.3",
)
_BY_COUNTRY = ", ".join(
    f"{country} {ruled['climate']['waste']}"
    for country, ruled in sorted(ruling("rules").items())
    if "climate" in ruled
)
RULES = (
    "Emissions are credited in the year in which the waste would have emitted them.",
    "Waste that was delivered outside the crediting period is not counted (BND-02).",
    (
        "The credited waste is at most the plant's design capacity, as stated in its licence or"
        " design document (MTR-07)."
    ),
    *OUTPUT_EVIDENCE,
    (
        "Methane that the baseline site captures, or must capture by law, is no baseline"
        " emission (`f_captured`)."
    ),
    (
        "For a missing load of waste, zero or the largest plausible mass is applied, whichever"
        " gives the lower reduction."
    ),
    "Wastewater and manure that are composted together with the waste are not credited.",
    "In a dry climate, the model correction factor is at most 0.80.",
    (
        f"If `climate` is not entered, the climate of the country is applied: {_BY_COUNTRY}, other"
        f" countries {CLIMATES[-1]} (`default_climate`)."
    ),
)
YEAR = ParameterSpec(
    unit="year",
    meaning="project year to calculate, 1 for the first",
    minimum="1",
    maximum=str(MAX_YEARS),
    integer=True,
    source="calendar",
    symbol="y",
    side="baseline",
)
OTHER = replace(
    LEAKAGE,
    meaning="annual project emissions of run-off water and of residues taken to a disposal site",
    symbol="PE_runoff + PE_res",
)
SHARES = {
    f"share_{kind}": ParameterSpec(
        unit="1",
        meaning=f"{kind} in the wet waste, by mass; waste outside the entered shares does not"
        " decay",
        default="0",
        maximum="1",
        source="sorting of at least three samples a quarter, lower 95 % bound",
        symbol="p_j",
        option="C",
        frequency="quarterly",
        side="baseline",
    )
    for kind in DEGRADABLE
}
_CREDITED_YEARS = 10
EARLIER = {
    f"waste_t_year_{year}": ParameterSpec(
        unit="t",
        meaning=f"waste of the project's year {year}, as applied in the issued statement of that"
        " year",
        required=False,
        maximum="100000000",
        source="issued statement of that year",
        symbol=f"W_{year}",
        side="baseline",
    )
    for year in range(1, _CREDITED_YEARS)
}
PROJECT: Spec = {
    "compost_input_t": ParameterSpec(
        unit="t",
        meaning="wet waste composted in the year",
        maximum="100000000",
        source="weighbridge",
        symbol="Q",
        option="C",
        frequency="every load",
        side="project",
    ),
    "power_mwh": POWER,
    "diesel_l": replace(DIESEL, meaning="diesel of machines and of additional transport"),
    "ef_grid_t_per_mwh": replace(EF_GRID, side="project"),
    "tdl": LOSSES,
    "gwp_ch4": SITE["gwp_ch4"],
    "gwp_n2o": GWP_N2O,
    "other_project_t": OTHER,
    "leakage_t": replace(
        LEAKAGE, meaning="annual emissions of compost in anaerobic storage or use"
    ),
}


def by_kind(waste_t: Fraction, parameters: Inputs) -> dict[str, Fraction]:
    """Return the waste by composition. [t]"""
    result = {kind: waste_t * parameters[f"share_{kind}"] for kind in DEGRADABLE}
    return {**result, "inert": waste_t - sum(result.values())}


def uncredited(parameters: Inputs, first_year: int) -> frozenset[str]:
    """
    Return the parameters with waste deposited before the crediting period, which is
    not credited.
    """
    began = parameters["first_year"]
    return frozenset(
        name
        for year in range(1, _CREDITED_YEARS)
        if parameters.get(name := f"waste_t_year_{year}") and began + year - 1 < first_year
    )


PROJECT_STEPS = (
    Published("tool13_ch4", "EF_CH4", "tCH4/t", "tool13.ch4", "consumed"),
    Published("tool13_n2o", "EF_N2O", "tN2O/t", "tool13.n2o", "consumed"),
    Step(
        "composted_t",
        "PE_COMP",
        "tCO2e",
        "compost_input_t * (tool13_ch4 * gwp_ch4 + tool13_n2o * gwp_n2o)",
        "CDM TOOL13 v2, project emissions from composting",
        "methane and nitrous oxide emissions of composting",
    ),
    drawn(),
    *diesel(),
    project_emissions(
        "composted_t + power_t + fuel_t + other_project_t", "AMS-III.F", unit="tCO2e"
    ),
)


def waste_is_sorted(candidate: Candidate) -> Text | None:
    """Return a finding if the waste composition is missing, or above 100 %; None if valid."""
    together = sum(candidate.parameters[key] for key in SHARES)
    if 0 < together <= 1:
        return None
    return text("condition.shares_of_waste", sum=significant(together))


def metered(
    waste_t: Fraction,
    activities: Sequence[Activity],
    parameters: Inputs,
    factors: Factors,
    year: int,
) -> dict[str, Any]:
    """Return the inputs common to both composting methods: site, electricity, diesel, leakage."""
    part = part_of_year(activities)
    return {
        "compost_input_t": waste_t,
        "power_mwh": power_mwh(activities),
        "diesel_l": diesel_l(activities),
        "ef_grid_t_per_mwh": grid(factors, year),
        "tdl": losses(parameters, factors, year),
        "phi": parameters["phi"],
        "f_captured": parameters["f_captured"],
        "mcf": parameters["mcf"],
        "climate": _climate(parameters, factors),
        **warming(parameters, factors, year, "ch4", "n2o"),
        "other_project_t": parameters["other_project_t_per_year"] * part,
        "leakage_t": parameters["leakage_t_per_year"] * part,
    }


def _by_climate(
    parameters: Inputs, measured: Mapping[str, Fraction]
) -> tuple[Fraction, Fraction] | None:
    """Return the plausible range of `phi` in a dry climate; None in a wet or unknown one."""
    del measured
    dry = CLIMATES[int(parameters.get("climate", 1)) - 1].endswith("-dry")
    return (Fraction(0), Fraction(4, 5)) if dry else None


RELATED = (Related("phi", _by_climate, "CDM TOOL04 v8, application B, dry climate"),)


def _climate(parameters: Inputs, factors: Factors) -> str:
    """Return the climate zone: as entered, else of the country, else that of the slowest decay."""
    if "climate" in parameters:
        return CLIMATES[int(parameters["climate"]) - 1]
    country = (getattr(factors, "grid", None) or FIRST_COUNTRY).partition(".")[0]
    return str(ruling("rules").get(country, {}).get("climate", {}).get("waste", CLIMATES[-1]))


def default_climate(parameters: Inputs, factors: Factors) -> dict[str, tuple[int, str, str]]:
    """
    Return the climate that applies if none is entered, as {name: (value, meaning, source)}.

    Empty if a climate is entered.
    """
    if "climate" in parameters:
        return {}
    return {"default_climate": (CLIMATES.index(_climate(parameters, factors)) + 1, *_DEFAULT)}


CLIMATE = ParameterSpec(
    unit="1",
    meaning="climate of the disposal site: 1 tropical (above 20 °C) and wet (above 1000 mm of rain"
    " a year); 2 tropical and dry; 3 cooler and wet (more rain than evaporation); 4 cooler and dry;"
    " default: the climate of the whole country, or 4 if the country has several",
    required=False,
    choices=(1, 2, 3, 4),
    source="mean temperature, rain and evaporation of the weather service",
    side="baseline",
)
FIRST_YEAR = ParameterSpec(
    unit="year",
    meaning="calendar year of the first delivery of waste",
    minimum="1990",
    maximum="2100",
    integer=True,
    source="weighbridge",
    symbol="x = 1",
    side="baseline",
)
_PER_HOUR = 1_000 * G_PER_T
# hourly maximum: a lorry of 50 t every three minutes [g]
_CLASS_LIMIT = ClassLimit(_PER_HOUR, 24 * _PER_HOUR, "tonne [M]")
ROLES = {
    "waste": RoleNeeds(
        ("weighbridge",),
        "mass",
        "baseline",
        symbol="W_j,x",
        source="weighbridge of the composting plant",
        # above the maximum of any weighbridge
        costs=_PER_HOUR,
        class_limit=lambda _: _CLASS_LIMIT,
    ),
    "power": POWER_ROLE,
    "fuel": FUEL_ROLE,
}
# Windrows are turned and aerated with metered energy; no source states the minimum.
CONSUMPTIONS = (
    Consumption(
        ("power",),
        ("waste",),
        "kWh/t",
        # 1 Wh per gram
        Fraction(1000),
        by_history=True,
        by_design="design_kwh_per_t",
        lowest=Fraction(1, 2),
        highest=Fraction(5),
        closer=CLOSER,
        sure=SURE,
    ),
    Consumption(("fuel",), ("waste",), "L/t", Fraction(1000)),
)
CAPACITIES = (*(replace(capacity, years=tuple(EARLIER)) for capacity in built_for_mass("waste")),)
FIXED = {
    "design_mass_t_per_d": replace(DESIGN_MASS, meaning="design capacity of the composting plant"),
    "design_kwh_per_t": DESIGN_PER_T,
    "first_year": FIRST_YEAR,
    **SHARES,
    **EARLIER,
    **{key: spec for key, spec in SITE.items() if isinstance(spec, ParameterSpec)},
    "climate": CLIMATE,
    "tdl": LOSSES_LIVE,
    "gwp_n2o": GWP_N2O,
    "other_project_t_per_year": yearly(OTHER),
    "leakage_t_per_year": LEAKAGE_YEARLY,
}
SORTED = (Check("TOOL04 monitoring: the waste is sorted", waste_is_sorted, True),)
