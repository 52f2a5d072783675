"""Energy that equipment needs for its output, before and after."""

from __future__ import annotations

from fractions import Fraction

_KWH_PER_MWH = 1000
_KG_PER_T = 1000
_J_PER_KWH = 3_600_000
_WEIGHT_OF_WATER = Fraction("9806.65")  # N/m3


def credited_output(output: Fraction, historical: Fraction) -> Fraction:
    """
    Output that counts: no more than the old plant made.

    min(P_y, P_hist)

    Parameters
    ----------
    output : Fraction
        P_y. [t]
    historical : Fraction
        P_hist. [t]

    Returns
    -------
    Fraction
        [t]

    References
    ----------
    AMS-II.D v13, cap of output.
    """
    return min(output, historical)


def by_output(output: Fraction, specific: Fraction) -> Fraction:
    """
    Energy, or a material, for an output.

    SEC * P

    Parameters
    ----------
    output : Fraction
        [t, m3]
    specific : Fraction
        SEC. [MWh/t, t/t, kWh/m3]

    Returns
    -------
    Fraction
        [MWh, t, kWh]

    References
    ----------
    AMS-II.D v13; AM0020.
    """
    return output * specific


def in_mwh(energy: Fraction) -> Fraction:
    """
    Kilowatt-hours in megawatt-hours.

    Parameters
    ----------
    energy : Fraction
        [kWh]

    Returns
    -------
    Fraction
        [MWh]

    References
    ----------
    SI.
    """
    return energy / _KWH_PER_MWH


def equipment(count: Fraction, power: Fraction, hours: Fraction, losses: Fraction) -> Fraction:
    """
    Electricity of alike equipment, with what the grid loses on the way.

    E = n * rho * o / (1 - l)

    Parameters
    ----------
    count : Fraction
        n. [1]
    power : Fraction
        rho. [kW]
    hours : Fraction
        o. [h]
    losses : Fraction
        l, below 1. [1]

    Returns
    -------
    Fraction
        [kWh]

    References
    ----------
    AMS-II.C v15, energy baseline.
    """
    return count * power * hours / (1 - losses)


def regression(intercept: Fraction, slope: Fraction, degree_days: Fraction) -> Fraction:
    """
    Energy that a building would have used in this period's weather.

    E_BL,adj = a + b * CDD

    Parameters
    ----------
    intercept : Fraction
        a. [MWh]
    slope : Fraction
        b. [MWh/(K d)]
    degree_days : Fraction
        CDD. [K d]

    Returns
    -------
    Fraction
        [MWh]

    References
    ----------
    AMS-II.E v11, baseline adjusted for weather (IPMVP option C).
    """
    return intercept + slope * degree_days


def by_ratio(energy: Fraction, project: Fraction, reference: Fraction) -> Fraction:
    """
    Energy that equipment of the reference efficiency would have needed, or its emissions.

    RE = EC_PJ * eta_PJ / eta_RE * EF

    Parameters
    ----------
    energy : Fraction
        Of the project, EC_PJ. [MWh, tCO2]
    project : Fraction
        eta_PJ, or a coefficient of performance. [1]
    reference : Fraction
        eta_RE, above 0. [1]

    Returns
    -------
    Fraction
        In the unit of `energy`.

    References
    ----------
    JCM VN_AM003, JCM ID_AM009: reference emissions.
    """
    return energy * project / reference


def hydraulic_minimum(head: Fraction) -> Fraction:
    """
    Energy below which no pump can lift water.

    rho * g * H / 3.6e6

    Parameters
    ----------
    head : Fraction
        H. [m]

    Returns
    -------
    Fraction
        [kWh/m3]

    References
    ----------
    Conservation of energy; rho = 1000 kg/m3, g = 9.80665 m/s2.
    """
    return head * _WEIGHT_OF_WATER / _J_PER_KWH


def refrigerant(mass_kg: Fraction, warming: Fraction) -> Fraction:
    """
    Emissions of refrigerant that the project's equipment lost.

    PE_ref = m * GWP_ref / 1000

    Parameters
    ----------
    mass_kg : Fraction
        m. [kg]
    warming : Fraction
        GWP_ref. [tCO2e/t]

    Returns
    -------
    Fraction
        [tCO2e]

    References
    ----------
    AMS-II.C v15, physical leakage of refrigerants.
    """
    return mass_kg / _KG_PER_T * warming
