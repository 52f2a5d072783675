"""Emissions of vehicles by the distance that they cover."""

from __future__ import annotations

from fractions import Fraction

_G_PER_T = 10**6
_KJ_PER_MJ = 1000
_G_PER_KM = 10  # L/100 km * kg/L = 10 g/km


def specific_consumption(litres_per_100km: Fraction, density: Fraction) -> Fraction:
    """
    Fuel mass that a vehicle burns on a distance.

    Parameters
    ----------
    litres_per_100km : Fraction
        [L/100 km]
    density : Fraction
        [kg/L]

    Returns
    -------
    Fraction
        SFC. [g/km]
    """
    return litres_per_100km * density * _G_PER_KM


def baseline_factor(
    consumption: Fraction,
    calorific_value: Fraction,
    emission_factor: Fraction,
    improvement: Fraction,
    years: int,
) -> Fraction:
    """
    Emissions of the vehicle that would have run instead.

    EF_BL,km = SFC_BL * NCV * EF_fuel * IR^t

    Parameters
    ----------
    consumption : Fraction
        SFC_BL. [g/km]
    calorific_value : Fraction
        NCV. [kJ/g, the same number as TJ/Gg]
    emission_factor : Fraction
        EF_fuel. [gCO2/MJ, the same number as tCO2/TJ]
    improvement : Fraction
        IR, what a year of technical progress leaves of the consumption. [1]
    years : int
        t, calendar years since the baseline's data.

    Returns
    -------
    Fraction
        [gCO2/km]

    References
    ----------
    AMS-III.C, baseline emissions per kilometre.
    """
    return consumption * calorific_value * emission_factor * improvement**years / _KJ_PER_MJ


def fossil(factor: Fraction, biofuel: Fraction) -> Fraction:
    """
    What of a vehicle's emissions is fossil: biofuel counts nothing.

    Parameters
    ----------
    factor : Fraction
        As if all fuel were fossil. [gCO2/km]
    biofuel : Fraction
        Biofuel in the fuel, by volume; its share by energy is a little lower. [1]

    Returns
    -------
    Fraction
        [gCO2/km]

    References
    ----------
    AMS-III.C, biofuel in the baseline has an emission factor of 0.
    """
    return factor * (1 - biofuel)


def by_distance(distance: Fraction, factor: Fraction) -> Fraction:
    """
    Emissions of a distance.

    BE = SUM EF_BL,km * DD * N * 10^-6, with DD * N as one metered distance

    Parameters
    ----------
    distance : Fraction
        Of all vehicles together. [km]
    factor : Fraction
        [gCO2/km]

    Returns
    -------
    Fraction
        [tCO2]

    References
    ----------
    AMS-III.C, baseline emissions.
    """
    return distance * factor / _G_PER_T
