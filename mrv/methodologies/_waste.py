"""What composting and TOOL04 ask for in the same words, and how both walk through years."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from mrv.equations import landfill
from mrv.methodologies._shared import GWP_CH4, NOTHING
from mrv.model import Factors
from mrv.parameters.inputs import Inputs
from mrv.parameters.specs import ChoiceSpec, ListSpec, ParameterSpec, Spec

DEGRADABLE = ("food", "garden", "paper", "textile", "wood")
MOST_YEARS = 100
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
BY_YEAR = ListSpec("the waste kept from the disposal site, one object a year", _TYPES)
BY_MONTH = ListSpec("the waste kept from the disposal site, one object a month", _TYPES)
SITE: Spec = {
    "phi": ParameterSpec(
        unit="1",
        meaning="model correction",
        maximum="1",
        source="CDM TOOL04 v8",
        certainty="[B]",
        symbol="phi",
        side="baseline",
        published="tool04.phi",
    ),
    "f_captured": ParameterSpec(
        unit="1",
        meaning="share of methane that the site captures, flares or uses, also by law",
        maximum="1",
        source="operator of the site",
        symbol="f_y",
        side="baseline",
    ),
    "mcf": ParameterSpec(
        unit="1",
        meaning="methane correction of the site",
        maximum="1",
        source="CDM TOOL04 v8",
        certainty="[B]",
        symbol="MCF",
        side="baseline",
        published="tool04.mcf",
    ),
    "climate": ChoiceSpec(
        "climate of the site",
        ("tropical-wet", "tropical-dry"),
        "mean temperature and rain; Hai Phong is wet",
        default="tropical-wet",
    ),
    "gwp_ch4": GWP_CH4,
}


def methane(
    deposits: Sequence[Mapping[str, Fraction]], inputs: Inputs, factors: Factors, steps: int
) -> Fraction:
    """Emissions at the site in the last year (steps = 1) or month (12) of a series. [tCO2e]."""
    carbon = sum(
        (_carbon(kind, deposits, inputs, factors, steps) for kind in DEGRADABLE), start=NOTHING
    )
    potential = landfill.methane_potential(
        inputs["phi"],
        inputs["f_captured"],
        inputs["gwp_ch4"],
        factors.select("tool04.ox", "avoided").value,
        factors.select("tool04.f", "avoided").value,
        factors.select("tool04.doc-f", "avoided").value,
        inputs["mcf"],
    )
    return landfill.released(carbon, potential)


def _carbon(
    kind: str,
    deposits: Sequence[Mapping[str, Fraction]],
    inputs: Inputs,
    factors: Factors,
    steps: int,
) -> Fraction:
    series = [one[kind] for one in deposits]
    if not any(series):
        return NOTHING
    return landfill.decayed(
        series,
        factors.select(f"tool04.doc.{kind}", "avoided").value,
        factors.select(f"tool04.k.{inputs['climate']}.{kind}", "avoided").value,
        steps,
    )
