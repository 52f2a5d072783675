"""Common inputs of waste (composting, TOOL04) and of wastewater (AMS-III.H, AMS-III.I)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from mrv.methodologies._shared import (
    DESIGN_COD,
    DESIGN_FLOW,
    DESIGN_PER_M3,
    EF_GRID,
    GWP_CH4,
    LEAKAGE,
    LEAKAGE_YEARLY,
    LOSSES,
    LOSSES_LIVE,
    ML_PER_M3,
    built_for_flow,
    grid,
    losses,
    part_of_year,
    power_mwh,
    total,
    warming,
    yearly,
)
from mrv.model import Activity, Factors, RoleNeeds
from mrv.parameters import ChoiceSpec, Inputs, ListSpec, ParameterSpec, Spec
from mrv.service_bounds import Capacity, Consumption
from mrv.steps import BEFORE, Part, Published, Step

DEGRADABLE = ("food", "garden", "paper", "textile", "wood")
# climates of TOOL04's table of decay rates; decay is slowest in the last
CLIMATES = ("tropical-wet", "tropical-dry", "temperate-wet", "temperate-dry")
MAX_YEARS = 100
DECAY = ("tool04.ox", "tool04.f", "tool04.doc", "tool04.k.")
_TYPES = {
    kind: ParameterSpec(
        unit="t",
        meaning=f"wet {kind} waste" if kind != "inert" else "waste that does not decay",
        default="0",
        maximum="100000000",
        source="weighbridge, and sorting of at least three samples a quarter",
        symbol="W_j,x",
        option="C",
        frequency="every load",
        side="baseline",
    )
    for kind in (*DEGRADABLE, "inert")
}
BY_YEAR = ListSpec("waste diverted from the disposal site, one object per year", _TYPES)
BY_MONTH = ListSpec("waste diverted from the disposal site, one object per month", _TYPES)
SITE: Spec = {
    "phi": ParameterSpec(
        unit="1",
        meaning="model correction factor",
        maximum="1",
        source="CDM TOOL04 v8",
        certainty="[B]",
        symbol="phi",
        side="baseline",
        published="tool04.phi",
    ),
    "f_captured": ParameterSpec(
        unit="1",
        meaning="share of methane that the disposal site captures and flares or uses,"
        " including as required by law",
        maximum="1",
        source="operator of the disposal site",
        symbol="f_y",
        side="baseline",
    ),
    "mcf": ParameterSpec(
        unit="1",
        meaning="methane correction factor of the disposal site",
        maximum="1",
        source="CDM TOOL04 v8",
        certainty="[B]",
        symbol="MCF",
        side="baseline",
        published="tool04.mcf",
    ),
    "climate": ChoiceSpec(
        "climate of the disposal site",
        CLIMATES,
        "mean temperature (tropical: above 20 °C) and rain (wet: above 1000 mm a year, elsewhere"
        " more rain than evaporation)",
        default="tropical-wet",
    ),
    "gwp_ch4": GWP_CH4,
}


def decay(waste: str, per_step: str) -> tuple[Part, ...]:
    """
    Return the steps of methane emissions of a disposal site by year or month. [tCO2e]

    `given_off_t` contains the emissions, in each year or month, of all waste deposited by then.

    `per_step`: LaTeX suffix that converts a yearly rate: empty, or a division by twelve.
    """
    equation = f"CDM TOOL04 v8, equation {2 if per_step else 1}"
    parts: list[Part] = []
    for kind in DEGRADABLE:
        of = {"of": f"{waste}.{kind}"}
        parts += [
            Published(f"doc_{kind}", f"DOC_{kind}", "tC/t", f"tool04.doc.{kind}", "avoided", **of),
            Published(
                f"k_{kind}", f"k_{kind}", "1/a", f"tool04.k.{{climate}}.{kind}", "avoided", **of
            ),
            Step(
                f"left_{kind}",
                f"e^-k_{kind}",
                "1",
                f"exp(-k_{kind}{per_step})",
                equation,
                f"share of the {kind} waste that has not decayed after one year or month",
            ),
            Step(
                f"stock_{kind}",
                f"S_{kind}",
                "t",
                f"{BEFORE} * left_{kind} + {kind}",
                equation,
                f"{kind} waste deposited so far that has not decayed",
                over=waste,
            ),
        ]
    return (
        *parts,
        Published("ox", "OX", "1", "tool04.ox", "avoided"),
        Published("f_gas", "F", "1", "tool04.f", "avoided"),
        Published("doc_f", "DOC_f", "1", "tool04.doc-f", "avoided"),
        Step(
            "potential",
            "P",
            "tCO2e/tC",
            "phi * (1 - f_captured) * gwp_ch4 * (1 - ox) * CH4_PER_C * f_gas * doc_f * mcf",
            equation,
            "methane that one tonne of degradable carbon forms in total, as CO2 equivalent",
        ),
        given_off(waste, "given_off_t", "BE_x", "stock_{}", equation),
    )


def given_off(waste: str, name: str, symbol: str, quantity: str, equation: str) -> Step:
    """Return the step of a site's emissions by year or month, from each waste type. [tCO2e]"""
    kinds = " + ".join(_decaying(quantity, kind) for kind in DEGRADABLE)
    what = (
        "from all waste deposited so far"
        if "stock" in quantity
        else "from the waste deposited in this year or month"
    )
    formula, meaning = f"potential * ({kinds})", f"emissions of the disposal site {what}"
    return Step(name, symbol, "tCO2e", formula, equation, meaning, over=waste)


def _decaying(quantity: str, kind: str) -> str:
    return f"{quantity.format(kind)} * doc_{kind} * (1 - left_{kind})"


COD = ParameterSpec(
    unit="kg/m3",
    meaning="chemical oxygen demand of the inflow",
    maximum="200",
    source="laboratory with ISO 17025, composite samples",
    symbol="COD_inflow",
    option="C",
    frequency="monthly or oftener",
    side="both",
    channels=("inflow", "cod_in_mg_l"),
    per=1000,
    unmeasured="0",
)
MCF = ParameterSpec(
    unit="1",
    meaning="methane correction factor of the baseline system",
    maximum="1",
    source="IPCC 2006 Guidelines, volume 5",
    certainty="[r]",
    symbol="MCF_BL",
    side="baseline",
    published="wastewater.mcf",
)
FLOW = ParameterSpec(
    unit="m3",
    meaning="volume of wastewater treated",
    maximum="1000000000",
    source="flow meter of the inflow",
    symbol="Q_ww",
    option="C",
    frequency="continuous",
    side="both",
)
INFLOW_ROLE = RoleNeeds(
    ("wastewater_plant",), "flow", "baseline", symbol="Q_ww", source="flow meter of the inflow"
)

FACTORS = (
    Published("bo_baseline", "B_o,ww", "tCH4/tCOD", "wastewater.bo", "avoided"),
    Published("bo_project", "B_o,ww", "tCH4/tCOD", "wastewater.bo", "consumed"),
    Published("uf_baseline", "UF_BL", "1", "wastewater.uf-bl", "avoided"),
    Published("uf_project", "UF_PJ", "1", "wastewater.uf-pj", "consumed"),
)
CAPACITIES = (
    *built_for_flow("inflow"),
    Capacity("design_cod_kg_per_d", ("inflow",), ML_PER_M3, of="cod_in_kg_per_m3"),
)


def treatment(least: str, source: str) -> Consumption:
    """Return the plausible electricity per cubic metre of wastewater: from `least` to 3 kWh."""
    return Consumption(
        uses=("power",),
        serves=("inflow",),
        unit="kWh/m3",
        # 1 Wh per millilitre
        per_base=Fraction(1000),
        keys=("power_mwh", "flow_m3"),
        per_input=1000,
        span=lambda _: (Fraction(least), Fraction(3)),
        source=source,
        # half of the dry-weather electricity, as rain dilutes the inflow
        by_history=True,
        by_design="design_kwh_per_m3",
        lowest=Fraction(1, 2),
        highest=Fraction(5),
    )


def live(fixed: Mapping[str, ParameterSpec], other: ParameterSpec) -> dict[str, ParameterSpec]:
    """Return the parameters of a project: those fixed ex ante, and other emissions per year."""
    return {
        **fixed,
        "design_flow_m3_per_d": DESIGN_FLOW,
        "design_cod_kg_per_d": DESIGN_COD,
        "design_kwh_per_m3": DESIGN_PER_M3,
        "tdl": LOSSES_LIVE,
        "gwp_ch4": GWP_CH4,
        "other_project_t_per_year": yearly(other),
        "leakage_t_per_year": LEAKAGE_YEARLY,
    }


def further_inputs(other: ParameterSpec) -> dict[str, ParameterSpec]:
    """Return inputs other than water, gas and electricity: grid, methane, other emissions."""
    return {
        "ef_grid_t_per_mwh": replace(EF_GRID, side="project"),
        "tdl": LOSSES,
        "gwp_ch4": GWP_CH4,
        "other_project_t": other,
        "leakage_t": replace(LEAKAGE, meaning="emissions of equipment brought from another plant"),
    }


def inputs_of(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """Return wastewater [mL] as [m3], electricity [Wh] as [MWh], and the other inputs pro rata."""
    part = part_of_year(activities)
    return {
        "flow_m3": total(activities, "inflow") / ML_PER_M3,
        "power_mwh": power_mwh(activities),
        "ef_grid_t_per_mwh": grid(factors, year),
        "tdl": losses(parameters, factors, year),
        **warming(parameters, factors, year, "ch4"),
        "other_project_t": parameters["other_project_t_per_year"] * part,
        "leakage_t": parameters["leakage_t_per_year"] * part,
    }
