"""Gases of composting."""

from __future__ import annotations

from fractions import Fraction


def composted(mass: Fraction, factor: Fraction, gwp: Fraction) -> Fraction:
    """
    Emissions of one gas from waste that is composted.

    PE_COMP = Q * EF * GWP, once for CH4 and once for N2O

    Parameters
    ----------
    mass : Fraction
        Wet waste composted, Q. [t]
    factor : Fraction
        EF_CH4 or EF_N2O. [t/t]
    gwp : Fraction
        GWP of the gas. [tCO2e/t]

    Returns
    -------
    Fraction
        [tCO2e]

    References
    ----------
    CDM TOOL13 v2, project emissions from composting.
    """
    return mass * factor * gwp
