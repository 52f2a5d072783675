"""What does not fit in the plan of a PV plant."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from mrv.exante import yields
from mrv.exante.model import Flag
from mrv.exante.sun import Year
from mrv.model import Reductions
from mrv.parameters.inputs import Inputs


def plan(
    inputs: Inputs, peak: Fraction, rated: Fraction, ceiling: int, declared: Reductions | None
) -> Iterator[Flag]:
    """Hold what the plan says of itself together. [kW, kWh/kW]"""
    energy, tonnes = inputs.get("declared_kwh_per_year"), inputs.get("declared_t_per_year")
    if energy is not None:
        yield from yields.capacity(energy, rated, ceiling)
        if peak != rated:
            yield from yields.capacity(energy, peak, ceiling)
    yield from yields.ratio(peak, rated)
    if "roof_m2" in inputs:
        yield from yields.area(peak, inputs["roof_m2"])
    if tonnes is not None and declared is not None:
        yield from yields.rounded_up(tonnes, declared.reduction_t)


def beyond_clear_sky(sky: Year, known: list[Fraction] | None) -> Iterator[Flag]:
    """Hold the irradiation that was given against a sky without a cloud."""
    if known is None:
        return
    clear = [sum(sky.clear_ghi)] if len(known) == 1 else list(sky.clear_ghi)
    wrong = [i for i, (g, c) in enumerate(zip(known, clear, strict=True)) if float(g) > c]
    if wrong:
        at = wrong[0]
        yield Flag(
            "irradiation",
            "impossible",
            f"ghi_kwh_per_m2[{at}] = {float(known[at]):g} is more than a sky without a cloud gives"
            f" there, {clear[at]:.0f} kWh/m2; give kWh/m2 of the month (not of a day, not MJ)",
        )


def implausible_energy(
    inputs: Inputs, peak: Fraction, sky: Year, unsure: Fraction | None
) -> Iterator[Flag]:
    """Hold the declared energy against the estimate: two standard deviations are much."""
    energy = inputs.get("declared_kwh_per_year")
    if energy is None or unsure is None:
        return
    ratio = energy / peak / Fraction(sky.yield_kwh)
    if abs(ratio - 1) * 100 > 2 * unsure:
        yield Flag(
            "declared_energy",
            "check",
            f"the declared energy is {float(energy / peak):,.1f} kWh for each kW of modules, and"
            f" the estimate {sky.yield_kwh:,.0f}, give or take {float(unsure):.0f} %; ask for the"
            " irradiation and the losses behind it",
        )
