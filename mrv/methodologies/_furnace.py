"""Common parts of furnaces: weighed castings, and one figure of electricity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from mrv.errors import MethodologyError
from mrv.methodologies._live import CLOSER, DESIGN_MASS, DESIGN_PER_T, G_PER_T, POWER_ROLE, SURE
from mrv.model import RoleNeeds
from mrv.parameters.inputs import Inputs
from mrv.service_bounds import Capacity, Consumption
from mrv.steps import Step

METERED = "energy_mwh"
PRODUCTION_ROLE = RoleNeeds(
    ("weighbridge", "recycling_line"),
    "mass",
    "baseline",
    cap=("production_hist_t", G_PER_T),
    symbol="P_y",
    source="scale of good castings",
)
FURNACE_ROLE = replace(POWER_ROLE, symbol="SEC_PJ", source="import register of the furnace")


def used(specific: str, method: str) -> tuple[Step, ...]:
    """Return the counted output and its electricity: metered, or per tonne."""
    used_mwh = ("used_mwh", "E_PJ", "MWh")
    meaning = "electricity of the output counted"
    return (
        Step(
            "output_t",
            "P",
            "t",
            "min(production_t, production_hist_t)",
            f"{method}, cap of output",
            "output counted, at most that of the old plant",
        ),
        Step(*used_mwh, METERED, f"{method}, project emissions", meaning, when=METERED),
        Step(*used_mwh, f"output_t * {specific}", f"{method}, project emissions", meaning),
    )


def one_figure(inputs: Inputs, specific: str) -> None:
    """Refuse two figures of the furnace's electricity, or none."""
    if (METERED in inputs) == (specific in inputs):
        raise MethodologyError(
            f"give either {specific} or {METERED}, the metered energy of the furnace"
        )


def consumption(span: Callable[[Inputs], tuple[Fraction, Fraction]], source: str) -> Consumption:
    """Return the specific consumption of castings; `span` in MWh/t."""
    return Consumption(
        uses=("power",),
        serves=("production",),
        unit="MWh/t",
        # 1 Wh for each gram
        per_base=Fraction(1),
        keys=(METERED, "production_t"),
        span=span,
        source=source,
        by_history=True,
        by_design="design_mwh_per_t",
        least=Fraction(1, 2),
        most=Fraction(5),
        closer=CLOSER,
        sure=SURE,
    )


CAPACITIES = (Capacity("design_mass_t_per_d", ("production",), G_PER_T),)
BUILT = {
    "design_mass_t_per_d": replace(DESIGN_MASS, meaning="design capacity of the furnace"),
    "design_mwh_per_t": replace(
        DESIGN_PER_T,
        unit="MWh/t",
        meaning="electricity that a tonne takes by the furnace's design",
        maximum="20",
    ),
}
