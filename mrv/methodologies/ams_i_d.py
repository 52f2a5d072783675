"""
Grid-connected renewable electricity, for wind and other plants.

CDM AMS-I.D version 18.0.  The equations, weights and the limit of 15 MW were not compared with the
text of the methodology.  The combined margin of the grid is fixed ex ante: calculate it with `tonne
evaluate tool07`, or enter the value that the Department of Climate Change announces (published as
one number; its weights were not available).  Net electricity is export minus import: when a period
is closed, the import of the plant's own meter is deducted.  The reservoir of a hydropower plant
emits methane by CDM ACM0002, to which AMS-I.D refers: 90 kgCO2e/MWh of the gross generation if the
power density is at most 10 W/m2.  A plant with at most 4 W/m2 is not eligible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from mrv.errors import MethodologyError
from mrv.methodologies._shared import (
    EF_GRID,
    IMPORT_UNKNOWN,
    NOTHING,
    POWER_ROLE,
    WH_PER_MWH,
    import_is_metered,
    total,
)
from mrv.model import (
    DECLARED,
    TECHNOLOGY,
    WATER,
    Activity,
    Candidate,
    Check,
    Condition,
    Factors,
    Methodology,
    Reductions,
    RoleNeeds,
)
from mrv.parameters import Inputs, ParameterSpec
from mrv.rounding import significant
from mrv.steps import CONSTANTS, Published, Step, steps
from mrv.texts import Text, text

ID = "ams-i-d"
VERSION = "18.0"
ADDITIVE = True

_LIMIT_MWH = 15 * 8784
# six decimals: whole micrograms per watt-hour, so that rows add up to the period exactly
_EF_EX_ANTE = replace(EF_GRID, places=6, meaning="combined margin of the grid", side="baseline")


_HISTORY = ParameterSpec(
    unit="MWh",
    meaning="mean yearly generation of the plant before its retrofit",
    default="0",
    maximum="10000000",
    source="five years of records; 0 for a new plant",
    symbol="EG_hist",
    side="baseline",
)
_TECHNOLOGY = ParameterSpec(
    unit="1",
    meaning="energy source of the plant: 1 sun, 2 water, 3 tide or waves, 4 wind, 5"
    " geothermal heat, 6 biomass; 1 unless a dated document states another",
    required=False,
    choices=(1, 2, 3, 4, 5, 6),
    source="licence of the plant",
    option="A",
    frequency="once, before the first period",
    side="baseline",
)
_AREA = ParameterSpec(
    unit="m2",
    meaning="area of the reservoir at its full water level; 0 for a run-of-river plant",
    required=False,
    maximum="100000000000",
    source="topographic survey, map or satellite image of each year",
    symbol="A_PJ",
    side="project",
)
_CAPACITY = ParameterSpec(
    unit="MW",
    meaning="installed capacity",
    maximum="100000",
    source="project design",
    symbol="Cap_PJ",
    side="baseline",
)
# parameters of a plant with a reservoir; former values are 0 if not entered
_RESERVOIR = {
    "reservoir_m2": _AREA,
    "reservoir_before_m2": replace(
        _AREA,
        meaning="area of the reservoir at its full water level before the project; 0 for a"
        " new reservoir",
        symbol="A_BL",
    ),
    "capacity_before_mw": replace(
        _CAPACITY,
        meaning="installed capacity before the project; 0 for a new plant",
        required=False,
        symbol="Cap_BL",
    ),
}
# power densities: minimum for eligibility, maximum with emissions [W/m2]
_ELIGIBLE, _EMITTING = 4, 10


def meters_are_certified(candidate: Candidate) -> Text | None:
    """Return a finding if net electricity is not metered with a certificate; else None."""
    bare = tuple(d.id for d in candidate.devices if d.certificates == 0)
    return text("condition.no_certificate", device=bare) if bare else None


def within_capacity(candidate: Candidate) -> Text | None:
    """Return a finding if the capacity exceeds the type I limit of 15 MW; else None."""
    capacity = candidate.parameters["capacity_mw"]
    if capacity <= Fraction(15):
        return None
    return text("condition.capacity", mw=significant(capacity))


def _sparse(values: Inputs, density: int) -> bool:
    """
    Return whether the power density of a new or enlarged reservoir is at most
    `density`. [W/m2]
    """
    before = values.get("reservoir_before_m2", NOTHING)
    flooded = values.get("reservoir_m2", NOTHING) - before
    added = values.get("capacity_mw", NOTHING) - values.get("capacity_before_mw", NOTHING)
    return bool(flooded > 0 and added * CONSTANTS["W_PER_MW"] <= flooded * density)


def reservoir_is_known(candidate: Candidate) -> Text | None:
    """Return a finding if the emissions of a reservoir cannot be calculated; else None."""
    generating = [d for d in candidate.devices if d.role == "generation"]
    if "reservoir_m2" not in candidate.parameters:
        water = tuple(d.id for d in generating if d.technology == WATER)
        return text("condition.no_reservoir", device=water) if water else None
    others = tuple(d.id for d in generating if d.technology != WATER)
    if others:
        return text("condition.no_water", device=others)
    if _sparse(candidate.parameters, _EMITTING) and len(generating) == len(candidate.devices):
        return text("condition.no_role", roles=("auxiliary",))
    return None


def plausible(inputs: Inputs) -> None:
    """Raise MethodologyError for a power density that is not eligible, or without an area."""
    if "reservoir_m2" in inputs and inputs["reservoir_m2"] <= inputs.get("reservoir_before_m2", 0):
        raise MethodologyError(
            f"reservoir_m2 = {float(inputs['reservoir_m2']):g} is not above reservoir_before_m2; "
            "leave both out"
        )
    if _sparse(inputs, _ELIGIBLE):
        raise MethodologyError(str(text("condition.power_density", least=_ELIGIBLE)))


def within_generation(inputs: Inputs, result: Reductions) -> Text | None:
    """Return a finding if the generation exceeds that of 15 MW in a year; else None."""
    del result
    if inputs["eg_mwh"] <= _LIMIT_MWH:
        return None
    return text("condition.generated", mwh=significant(inputs["eg_mwh"], 8), most=_LIMIT_MWH)


def inputs_of(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """Return electricity [Wh] as [MWh], the factor fixed ex ante, and the area that was flooded."""
    del factors, year
    before = parameters.get("reservoir_before_m2", NOTHING)
    flooded = parameters.get("reservoir_m2", NOTHING) > before
    return {
        "eg_mwh": total(activities, "generation") / WH_PER_MWH,
        "eg_hist_mwh": NOTHING,  # a live project is a new plant
        "sigma_hist_mwh": NOTHING,
        "ef_grid_t_per_mwh": parameters["ef_grid_t_per_mwh"],
        **({key: parameters.get(key, NOTHING) for key in _FLOODING} if flooded else {}),
        **({"own_use_mwh": total(activities, "auxiliary") / WH_PER_MWH} if flooded else {}),
    }


_FLOODING = ("capacity_mw", *_RESERVOIR)
_ACM = "ACM0002 v20, emissions from water reservoirs"


STEPS = steps(
    Step(
        "added_mwh",
        "EG_PJ,y",
        "MWh",
        "eg_mwh - eg_hist_mwh - sigma_hist_mwh",
        "AMS-I.D v18, retrofit and capacity addition",
        "generation above that of the plant before its retrofit; for a new plant, all generation",
    ),
    Step(
        "baseline_t",
        "BE_y",
        "tCO2",
        "added_mwh * ef_grid_t_per_mwh",
        "AMS-I.D v18, baseline emissions",
        "baseline emissions",
    ),
    Published(
        "reservoir_kg_per_mwh",
        "EF_Res",
        "kgCO2e/MWh",
        "water.reservoir",
        "consumed",
        "reservoir_m2",
    ),
    Step(
        "power_density_w_per_m2",
        "PD",
        "W/m2",
        "(capacity_mw - capacity_before_mw) * W_PER_MW / (reservoir_m2 - reservoir_before_m2)",
        f"{_ACM}: power density",
        "power density of the plant",
        when="reservoir_m2",
    ),
    Step(
        "generated_mwh",
        "TEG_y",
        "MWh",
        "eg_mwh + own_use_mwh",
        f"{_ACM}: total electricity produced, including internal loads",
        "all electricity generated: to the grid and for the plant's own use",
        when="reservoir_m2",
    ),
    Step(
        "project_t",
        "PE_HP,y",
        "tCO2e",
        "0 if max(0, power_density_w_per_m2 - RESERVOIR_W_PER_M2)"
        " else generated_mwh * reservoir_kg_per_mwh / KG_PER_T",
        f"{_ACM}: above 10 W/m2 none",
        "project emissions",
        when="reservoir_m2",
    ),
    defaults=dict.fromkeys(
        ("reservoir_m2", "reservoir_before_m2", "capacity_mw", "capacity_before_mw", "own_use_mwh"),
        NOTHING,
    ),
)


METHODOLOGY = Methodology(
    id=ID,
    versions=(VERSION,),
    title="Grid connected renewable electricity generation",
    reference="CDM AMS-I.D version 18.0",
    programme="CDM",
    notes=__doc__.strip(),
    additive=ADDITIVE,
    roles={
        "generation": RoleNeeds(
            ("energy_meter", "pv_inverter", "wind_turbine"),
            "energy_export",
            "baseline",
            symbol="EG_PJ,y",
            source="export minus import register of the meter at the grid connection",
            less="energy_import",
            frequency="hourly or finer",
            params={TECHNOLOGY: _TECHNOLOGY},
            made_from=DECLARED,
        ),
        "auxiliary": replace(
            POWER_ROLE,
            classes=("energy_meter",),
            required=False,
            symbol="EC_own",
            source="import register of the meter of the plant's own use, from the grid or"
            " from its generators",
        ),
    },
    parameters={
        "ef_grid_t_per_mwh": _EF_EX_ANTE,
        "capacity_mw": replace(_CAPACITY, symbol=""),
        **_RESERVOIR,
    },
    inputs={
        "eg_mwh": ParameterSpec(
            unit="MWh",
            meaning="net electricity to the grid, export less import",
            maximum="10000000",
            source="main and check meter, compared with monthly invoices",
            symbol="EG_facility,y",
            option="C",
            frequency="hourly or finer",
            side="baseline",
        ),
        "eg_hist_mwh": _HISTORY,
        "sigma_hist_mwh": replace(
            _HISTORY,
            meaning="standard deviation of the yearly generation before the retrofit",
            symbol="sigma_hist",
        ),
        "ef_grid_t_per_mwh": replace(_EF_EX_ANTE, places=None),
        "capacity_mw": replace(_CAPACITY, required=False),
        **_RESERVOIR,
        "own_use_mwh": ParameterSpec(
            unit="MWh",
            meaning="electricity for the plant's own use, from its generators or the grid",
            required=False,
            maximum="10000000",
            source="meter of the plant's own use",
            symbol="EC_own",
            option="C",
            frequency="hourly or finer",
            side="project",
        ),
    },
    applicability=(
        Check("AMS-I.D monitoring: certified meter at the grid", meters_are_certified),
        Check("AMS-I.D monitoring: export less import", import_is_metered),
        Check("AMS-I.D limit: 15 MW", within_capacity, True),
        Check("ACM0002 reservoirs of water power", reservoir_is_known, True, quiet=True),
    ),
    plausible=plausible,
    uses=("water.",),
    inputs_of=inputs_of,
    steps=STEPS,
    conditions=(Condition("AMS-I.D limit, 15 MW", within_generation),),
    dated=(TECHNOLOGY, *_RESERVOIR),
    rules=(
        (
            "For a retrofit, only generation above the historical mean plus its standard"
            " deviation is credited."
        ),
        (
            "A project with meters is treated as a new plant. The reduction of a retrofit is"
            " calculated by year with `tonne evaluate`."
        ),
        f"Imported electricity is deducted. {IMPORT_UNKNOWN}",
        (
            "For a reservoir with a power density of at most 10 W/m2, methane emissions are"
            " counted. A plant with at most 4 W/m2 is rejected."
        ),
        (
            "The methane is calculated from the gross generation: the net electricity plus the"
            " metered own use of the plant."
        ),
        (
            "A meter is treated as solar unless its class (such as wind turbine) or a dated"
            " document states another technology (MTR-02)."
        ),
    ),
)
