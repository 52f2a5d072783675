"""Virgin material that recycling replaces."""

from __future__ import annotations

from fractions import Fraction

_GJ_PER_TJ = 1000
_KG_PER_T = 1000


def plastic(
    mass: Fraction,
    net: Fraction,
    power: Fraction,
    grid: Fraction,
    fuel: Fraction,
    fuel_factor: Fraction,
) -> Fraction:
    """
    Emissions of the virgin plastic that recycled plastic replaces.

    BE = Q * L * (SEC_BL * EF_el + SFC_BL * EF_ff)

    Parameters
    ----------
    mass : Fraction
        Sold, Q. [t]
    net : Fraction
        L, for the loss of quality. [1]
    power : Fraction
        SEC_BL. [MWh/t]
    grid : Fraction
        EF_el. [tCO2/MWh]
    fuel : Fraction
        SFC_BL. [GJ/t]
    fuel_factor : Fraction
        EF_ff. [tCO2/TJ]

    Returns
    -------
    Fraction
        [tCO2]

    References
    ----------
    AMS-III.AJ v7, baseline emissions.
    """
    return mass * net * (power * grid + fuel * fuel_factor / _GJ_PER_TJ)


def material(mass: Fraction, factor: Fraction) -> Fraction:
    """
    Emissions of a primary material less those of recovering it.

    BE = SUM Q_i * SE_i

    Parameters
    ----------
    mass : Fraction
        Recovered, Q_i. [t]
    factor : Fraction
        SE_i. [tCO2/t]

    Returns
    -------
    Fraction
        [tCO2]

    References
    ----------
    AMS-III.BA v3, baseline emissions of metals.
    """
    return mass * factor


def in_panels(panels: Fraction, mass: Fraction, share: Fraction) -> Fraction:
    """
    Mass of a material in so many panels.

    Parameters
    ----------
    panels : Fraction
        [1]
    mass : Fraction
        Of one panel. [kg]
    share : Fraction
        Of the material, by mass. [1]

    Returns
    -------
    Fraction
        [t]

    References
    ----------
    Panel recycling in the form of AMS-III.BA.
    """
    return panels * mass * share / _KG_PER_T
