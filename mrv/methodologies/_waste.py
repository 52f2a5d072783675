"""Common inputs of composting and TOOL04, and their iteration over years."""

from __future__ import annotations

from mrv.methodologies._shared import GWP_CH4
from mrv.parameters import ChoiceSpec, ListSpec, ParameterSpec, Spec
from mrv.steps import BEFORE, Part, Published, Step

DEGRADABLE = ("food", "garden", "paper", "textile", "wood")
# of TOOL04's table of decay rates; the last decays most slowly
CLIMATES = ("tropical-wet", "tropical-dry", "temperate-wet", "temperate-dry")
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
BY_YEAR = ListSpec("waste diverted from the disposal site, one object per year", _TYPES)
BY_MONTH = ListSpec("waste diverted from the disposal site, one object per month", _TYPES)
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
        meaning="methane correction factor of the disposal site",
        maximum="1",
        source="CDM TOOL04 v8",
        certainty="[B]",
        symbol="MCF",
        side="baseline",
        published="tool04.mcf",
    ),
    "climate": ChoiceSpec(
        "climate of the site",
        CLIMATES,
        "mean temperature (tropical: above 20 Cel) and rain (wet: above 1000 mm a year, elsewhere"
        " more rain than evaporation)",
        default="tropical-wet",
    ),
    "gwp_ch4": GWP_CH4,
}


def decay(waste: str, per_step: str) -> tuple[Part, ...]:
    """
    Return the steps of methane emissions of a disposal site by year or month. [tCO2e]

    `given_off_t` contains the emissions of all waste up to a row.

    Parameters
    ----------
    per_step : str
        LaTeX suffix that converts a yearly rate: empty, or a division by twelve.
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
                f"{kind} waste that remains after one time step",
            ),
            Step(
                f"stock_{kind}",
                f"S_{kind}",
                "t",
                f"{BEFORE} * left_{kind} + {kind}",
                equation,
                f"{kind} waste that has not decayed",
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
            "methane that a tonne of degradable carbon forms in total",
        ),
        given_off(waste, "given_off_t", "BE_x", "stock_{}", equation),
    )


def given_off(waste: str, name: str, symbol: str, quantity: str, equation: str) -> Step:
    """
    Return the step of emissions at the site, by row, from a quantity of each waste type.
    [tCO2e]
    """
    kinds = " + ".join(_decaying(quantity, kind) for kind in DEGRADABLE)
    what = (
        "from all waste deposited so far" if "stock" in quantity else "from the waste of this step"
    )
    formula, meaning = f"potential * ({kinds})", f"emissions at the site {what}"
    return Step(name, symbol, "tCO2e", formula, equation, meaning, over=waste)


def _decaying(quantity: str, kind: str) -> str:
    return f"{quantity.format(kind)} * doc_{kind} * (1 - left_{kind})"
