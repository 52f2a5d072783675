"""
Grid-connected renewable electricity, for wind and other plants.

CDM AMS-I.D version 18.0.  Equations, weights and the limit of 15 MW: [M].  The combined
margin of the grid is fixed ex ante: calculate it with `tonne evaluate tool07`, or enter
the value that the Department of Climate Change announces (published as one number; its
weights were not available).  Net electricity is export minus import: the import of the
plant's own meter is deducted when a period closes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from mrv.methodologies._live import import_is_metered
from mrv.methodologies._shared import EF_GRID, NOTHING
from mrv.model import (
    DECLARED,
    TECHNOLOGY,
    Activity,
    Candidate,
    Check,
    Condition,
    Factors,
    Methodology,
    Reductions,
    RoleNeeds,
)
from mrv.parameters.inputs import Inputs, ParameterSpec
from mrv.quantity_text import significant
from mrv.steps import Step, steps
from mrv.texts import Text, text

ID = "ams-i-d"
VERSION = "18.0"
ADDITIVE = True

_WH_PER_MWH = 10**6
_LIMIT_MWH = 15 * 8784
# Whole micrograms a watt-hour, so that rows add up to the period exactly.
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
    meaning="energy source of the plant: 1 sun, 2 water, 3 tide or waves, 4 wind, 5 heat of the"
    " earth, 6 biomass; 1 unless a dated document shows another",
    required=False,
    choices=(1, 2, 3, 4, 5, 6),
    source="licence of the plant",
    option="A",
    frequency="once, before the first period",
    side="baseline",
)


def meters_are_certified(candidate: Candidate) -> Text | None:
    """Return a finding if net electricity is not metered with a certificate; else None. [M]"""
    bare = tuple(d.id for d in candidate.devices if d.certificates == 0)
    return text("condition.no_certificate", device=bare) if bare else None


def within_capacity(candidate: Candidate) -> Text | None:
    """Return a finding if the capacity exceeds the type I limit of 15 MW; else None. [M]"""
    capacity = candidate.parameters["capacity_mw"]
    if capacity <= Fraction(15):
        return None
    return text("condition.capacity", mw=significant(capacity))


def within_generation(inputs: Inputs, result: Reductions) -> Text | None:
    """Return a finding if generation exceeds what 15 MW can generate in a year; else None. [M]"""
    del result
    if inputs["eg_mwh"] <= _LIMIT_MWH:
        return None
    return text("condition.generated", mwh=significant(inputs["eg_mwh"], 8), most=_LIMIT_MWH)


def inputs_of(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """Return generation [Wh] as [MWh], and the factor fixed ex ante."""
    del factors, year
    return {
        "eg_mwh": sum((a.value for a in activities), start=NOTHING) / _WH_PER_MWH,
        "eg_hist_mwh": NOTHING,  # a live project is a new plant
        "sigma_hist_mwh": NOTHING,
        "ef_grid_t_per_mwh": parameters["ef_grid_t_per_mwh"],
    }


STEPS = steps(
    Step(
        "added_mwh",
        "EG_PJ,y",
        "MWh",
        "eg_mwh - eg_hist_mwh - sigma_hist_mwh",
        "AMS-I.D v18, retrofit and capacity addition",
        "generation above that of the plant before its retrofit; all generation of a new plant",
    ),
    Step(
        "baseline_t",
        "BE_y",
        "tCO2",
        "added_mwh * ef_grid_t_per_mwh",
        "AMS-I.D v18, baseline emissions",
        "baseline emissions",
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
            source="export less import register of the meter at the grid",
            less="energy_import",
            frequency="hourly or finer",
            params={TECHNOLOGY: _TECHNOLOGY},
            made_from=DECLARED,
        )
    },
    parameters={
        "ef_grid_t_per_mwh": _EF_EX_ANTE,
        "capacity_mw": ParameterSpec(
            unit="MW",
            meaning="installed capacity",
            maximum="100000",
            source="project design",
            side="baseline",
        ),
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
    },
    applicability=(
        Check("AMS-I.D monitoring: certified meter at the grid", meters_are_certified),
        Check("AMS-I.D monitoring: export less import", import_is_metered),
        Check("AMS-I.D limit: 15 MW", within_capacity, True),
    ),
    inputs_of=inputs_of,
    steps=STEPS,
    conditions=(Condition("AMS-I.D limit, 15 MW", within_generation),),
    dated=(TECHNOLOGY,),
    rules=(
        "A retrofit is credited only above the historical mean plus its standard deviation.",
        "A metered project is a new plant; a retrofit is evaluated by year.",
        "Import is deducted; missing import data are charged at the rated power.",
        "A meter is solar unless its class (wind turbine) or a dated document shows otherwise.",
    ),
)
