"""Common parts of recycling: virgin plastic, primary materials, plant emissions."""

from __future__ import annotations

from mrv.methodologies._shared import diesel
from mrv.steps import Part, Published, Step

# what all polymers share
PLASTIC = (
    Published("net_to_gross", "L", "1", "recycling.net-to-gross", "avoided"),
    Published("gas_co2", "EF_ff", "tCO2/TJ", "natural_gas.co2", "either"),
)


def virgin(polymer: str, mass: str) -> tuple[Part, ...]:
    """Return the steps of emissions of virgin plastic, named `POLYMER_t`. [tCO2]"""
    return (
        Published(
            f"sec_{polymer}", f"SEC_{polymer}", "MWh/t", f"plastic.power.{polymer}", "avoided"
        ),
        Published(f"sfc_{polymer}", f"SFC_{polymer}", "GJ/t", f"plastic.fuel.{polymer}", "avoided"),
        Step(
            f"{polymer}_t",
            f"BE_{polymer}",
            "tCO2",
            f"{mass} * net_to_gross"
            f" * (sec_{polymer} * ef_grid_t_per_mwh + sfc_{polymer} * gas_co2 / GJ_PER_TJ)",
            "AMS-III.AJ, baseline emissions",
            f"emissions of virgin {polymer} not produced",
        ),
    )


def primary(materials: str, mass: str, source: str) -> Step:
    """
    Return the step of primary production emissions less recovery emissions, `primary_t`.
    [tCO2]
    """
    return Step(
        "primary_t",
        "BE_i",
        "tCO2",
        f"{mass} * ef_t_per_t",
        f"{source}, baseline emissions",
        "emissions of primary material not produced",
        over=materials,
    )


def recycled(source: str) -> tuple[Part, ...]:
    """Return the steps of the emissions of the recycling plant. [tCO2]"""
    return (
        *diesel(),
        Step(
            "project_t",
            "PE",
            "tCO2",
            "power_mwh * ef_grid_t_per_mwh + fuel_t",
            f"{source}, project emissions",
            "project emissions",
        ),
    )
