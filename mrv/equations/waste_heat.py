"""Power and heat from waste energy."""

from __future__ import annotations

from fractions import Fraction

_MJ_PER_TJ = 10**6


def credited_share(cap: Fraction, from_waste: Fraction) -> Fraction:
    """
    Share of the output that counts.

    f_cap * f_wcm

    Parameters
    ----------
    cap : Fraction
        f_cap, what the baseline plant could have released. [1]
    from_waste : Fraction
        f_wcm, energy from waste in all energy used. [1]

    Returns
    -------
    Fraction
        [1]

    References
    ----------
    ACM0012 v6, baseline emissions.
    """
    return cap * from_waste


def steam_heat(mass: Fraction, enthalpy_steam: Fraction, enthalpy_water: Fraction) -> Fraction:
    """
    Heat that steam carries above its feedwater.

    HG = m * (h_steam - h_feedwater)

    Parameters
    ----------
    mass : Fraction
        Steam. [t]
    enthalpy_steam, enthalpy_water : Fraction
        [kJ/kg, the same number as MJ/t]

    Returns
    -------
    Fraction
        [TJ]

    References
    ----------
    ACM0012 v6, net heat generation.
    """
    return mass * (enthalpy_steam - enthalpy_water) / _MJ_PER_TJ


def boiler(heat: Fraction, efficiency: Fraction, emission_factor: Fraction) -> Fraction:
    """
    Emissions of the boiler that would have made the heat.

    HG * EF_CO2 / eta_EP

    Parameters
    ----------
    heat : Fraction
        HG. [TJ]
    efficiency : Fraction
        eta_EP, above 0. [1]
    emission_factor : Fraction
        EF_CO2 of its fuel. [tCO2/TJ]

    Returns
    -------
    Fraction
        [tCO2]

    References
    ----------
    ACM0012 v6, baseline emissions from heat.
    """
    return heat / efficiency * emission_factor


def counted(emissions: Fraction, share: Fraction) -> Fraction:
    """
    Baseline emissions that count.

    BE = f_cap * f_wcm * (BE_el + BE_th)

    Parameters
    ----------
    emissions : Fraction
        BE_el + BE_th before the shares. [tCO2]
    share : Fraction
        See `credited_share`. [1]

    Returns
    -------
    Fraction
        [tCO2]

    References
    ----------
    ACM0012 v6, baseline emissions.
    """
    return emissions * share
