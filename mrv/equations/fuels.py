"""Emissions of fuels that are burnt."""

from __future__ import annotations

from fractions import Fraction

_KG_PER_T = 1000
_GJ_PER_TJ = 1000


def liquid_mass(volume: Fraction, density: Fraction) -> Fraction:
    """
    Mass of a liquid fuel.

    Parameters
    ----------
    volume : Fraction
        [L]
    density : Fraction
        [kg/L]

    Returns
    -------
    Fraction
        [t]

    References
    ----------
    Definition of density.
    """
    return volume * density / _KG_PER_T


def burnt(mass: Fraction, calorific_value: Fraction, emission_factor: Fraction) -> Fraction:
    """
    Emissions of a mass of fuel.

    PE_FC = FC * NCV * EF_CO2

    Parameters
    ----------
    mass : Fraction
        FC. [t]
    calorific_value : Fraction
        NCV. [TJ/Gg, the same number as GJ/t]
    emission_factor : Fraction
        EF_CO2. [tCO2/TJ]

    Returns
    -------
    Fraction
        [tCO2]

    References
    ----------
    CDM TOOL03, project emissions from combustion of fossil fuel.
    """
    return mass * calorific_value * emission_factor / _GJ_PER_TJ


def calcined(mass: Fraction, emission_factor: Fraction) -> Fraction:
    """
    Emissions of a mineral that gives off CO2 in a furnace.

    Parameters
    ----------
    mass : Fraction
        [t]
    emission_factor : Fraction
        [tCO2/t]

    Returns
    -------
    Fraction
        [tCO2]

    References
    ----------
    Stoichiometry of the carbonate.
    """
    return mass * emission_factor
