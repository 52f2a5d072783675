"""
Materials recovered from solar panels in place of virgin ones.

In the form of CDM AMS-III.BA.  No programme has approved a methodology for panels: a statement of
this one is an example, for which no programme issues credits.  The equations and all values are
examples without a source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from mrv.errors import MethodologyError
from mrv.methodologies._shared import (
    CLOSER,
    DESIGN_PER_PIECE,
    DESIGN_PIECES,
    DIESEL,
    EF_BOTH,
    EF_GRID,
    FUEL_ROLE,
    OUTPUT_EVIDENCE,
    POWER,
    POWER_ROLE,
    SAVED_PER_T,
    SURE,
    TYPE_III,
    diesel_l,
    power_mwh,
    primary,
    recycled,
    total,
)
from mrv.model import Activity, Factors, Methodology, RoleNeeds
from mrv.parameters import Inputs, MapSpec, ParameterSpec
from mrv.service_bounds import Capacity, Consumption
from mrv.steps import Step, steps

ID = "pv-panel-recycling"
VERSION = "0.1"
ADDITIVE = False


def inputs_of(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """Return panels, the avoided emissions of each of their materials, electricity and diesel."""
    del factors, year
    return {
        "panels": total(activities, "panels"),
        "panel_kg": parameters["panel_kg"],
        "materials": {
            material: {key: parameters[f"{material}_{key}"] for key in _OF_MATERIAL}
            for material in _MATERIALS
        },
        "power_mwh": power_mwh(activities),
        "diesel_l": diesel_l(activities),
        "ef_grid_t_per_mwh": parameters["ef_grid_t_per_mwh"],
    }


STEPS = steps(
    primary(
        "materials",
        "panels * panel_kg * share / KG_PER_T",
        "panel recycling in the form of AMS-III.BA",
    ),
    Step(
        "baseline_t",
        "BE",
        "tCO2",
        "sum(primary_t)",
        "panel recycling in the form of AMS-III.BA",
        "baseline emissions",
    ),
    *recycled("panel recycling in the form of AMS-III.BA"),
    lists={"materials": ""},
)


def plausible(inputs: Inputs) -> None:
    """Raise MethodologyError if the recovered materials weigh more than the panels."""
    total = sum(material["share"] for material in inputs["materials"].values())
    if total > 1:
        raise MethodologyError(
            f"materials: the shares sum to {float(total):g}, more than the whole panel; give mass"
            " shares of what is recovered"
        )


_MATERIALS = ("aluminium", "glass", "copper")
_PANEL_KG = ParameterSpec(
    unit="kg",
    meaning="mass of a panel",
    maximum="100",
    source="weighbridge, divided by the number of panels",
    symbol="m",
    option="C",
    frequency="every load",
    side="baseline",
)
_OF_MATERIAL = {
    "share": ParameterSpec(
        unit="1",
        meaning="mass recovered and sold, as a share of the panel's",
        maximum="1",
        source="invoices, divided by the weighbridge mass",
        symbol="share_i",
        option="B",
        frequency="monthly",
        side="baseline",
    ),
    "ef_t_per_t": SAVED_PER_T,
}

METHODOLOGY = Methodology(
    id=ID,
    versions=(VERSION,),
    title="Recovery of materials from solar panels",
    reference="no approved methodology; the form of CDM AMS-III.BA version 3.0",
    programme="none",
    notes=__doc__.strip(),
    additive=ADDITIVE,
    roles={
        "panels": RoleNeeds(
            ("recycling_line",),
            "count",
            "baseline",
            symbol="n",
            source="counter at the inlet of the line",
        ),
        "power": POWER_ROLE,
        "fuel": replace(FUEL_ROLE, required=False),
    },
    parameters={
        "design_panels_per_d": replace(
            DESIGN_PIECES, meaning="panels per day, by the line's design"
        ),
        "design_kwh_per_panel": replace(
            DESIGN_PER_PIECE, meaning="electricity per panel, by the line's design"
        ),
        "panel_kg": _PANEL_KG,
        **{
            f"{material}_{key}": replace(spec, meaning=f"{material}: {spec.meaning}", default="0")
            for material in _MATERIALS
            for key, spec in _OF_MATERIAL.items()
        },
        "ef_grid_t_per_mwh": EF_BOTH,
    },
    inputs={
        "panels": ParameterSpec(
            unit="1",
            meaning="number of panels recycled",
            maximum="1000000000",
            integer=True,
            source="counted",
            symbol="n",
            option="C",
            frequency="every load",
            side="baseline",
        ),
        "panel_kg": _PANEL_KG,
        "materials": MapSpec("materials recovered, by name", _OF_MATERIAL),
        "power_mwh": POWER,
        "diesel_l": replace(DIESEL, default="0", meaning="diesel that the plant burns"),
        "ef_grid_t_per_mwh": EF_GRID,
    },
    inputs_of=inputs_of,
    steps=STEPS,
    uses=("diesel.",),
    plausible=plausible,
    conditions=(TYPE_III,),
    consumptions=(
        Consumption(
            ("power",),
            ("panels",),
            "kWh",
            # 1 Wh per panel
            Fraction(1, 1000),
            by_history=True,
            by_design="design_kwh_per_panel",
            lowest=Fraction(1, 2),
            highest=Fraction(5),
            closer=CLOSER,
            sure=SURE,
        ),
    ),
    capacities=(Capacity("design_panels_per_d", ("panels",), 1),),
    rules=(
        (
            "The credited mass of panels is at most the line's design capacity, as stated in its"
            " licence or design document (MTR-07)."
        ),
        *OUTPUT_EVIDENCE,
        (
            "Output is credited only if it is sold as raw material in the country. Exported or"
            " dumped output is not credited."
        ),
        "Material that would be recycled in the baseline too is not credited.",
    ),
)
