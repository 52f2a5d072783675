"""Methane and nitrous oxide of a rice field."""

from __future__ import annotations

from fractions import Fraction

from mrv.decimal_functions import power

_KG_PER_T = 1000
_N2O_PER_N = Fraction(44, 28)


def as_fresh_straw(dose: Fraction, conversion: Fraction) -> Fraction:
    """
    Organic matter by what it gives off, as fresh straw would.

    ROA * CFOA

    Parameters
    ----------
    dose : Fraction
        ROA. [t/ha]
    conversion : Fraction
        CFOA. [1]

    Returns
    -------
    Fraction
        [t/ha]

    References
    ----------
    IPCC 2019 Refinement, volume 4, equation 5.3.
    """
    return dose * conversion


def amended(organic: Fraction, exponent: Fraction) -> Fraction:
    """
    Scale the methane for organic matter that is worked in.

    SF_o = (1 + SUM_i ROA_i * CFOA_i)^0.59

    Parameters
    ----------
    organic : Fraction
        SUM ROA_i * CFOA_i. [t/ha]
    exponent : Fraction
        0.59. [1]

    Returns
    -------
    Fraction
        [1]

    References
    ----------
    IPCC 2019 Refinement, volume 4, equation 5.3.
    """
    return power(1 + organic, exponent)


def daily_methane(base: Fraction, water: Fraction, before: Fraction, organic: Fraction) -> Fraction:
    """
    Methane of a hectare on a day.

    EF = EFc * SF_w * SF_p * SF_o

    Parameters
    ----------
    base : Fraction
        EFc. [kgCH4/ha/d]
    water : Fraction
        SF_w, water regime in the season. [1]
    before : Fraction
        SF_p, water regime before the season. [1]
    organic : Fraction
        SF_o. [1]

    Returns
    -------
    Fraction
        [kgCH4/ha/d]

    References
    ----------
    IPCC 2019 Refinement, volume 4, equation 5.2.
    """
    return base * water * before * organic


def season(area: Fraction, days: Fraction, daily: Fraction, gwp: Fraction) -> Fraction:
    """
    Methane of a season.

    A * L * EF * GWP / 1000

    Parameters
    ----------
    area : Fraction
        A. [ha]
    days : Fraction
        L, of cultivation. [d]
    daily : Fraction
        EF. [kgCH4/ha/d]
    gwp : Fraction
        GWP_CH4. [tCO2e/tCH4]

    Returns
    -------
    Fraction
        [tCO2e]

    References
    ----------
    IPCC 2019 Refinement, volume 4, equation 5.1.
    """
    return area * days * daily * gwp / _KG_PER_T


def nitrous_oxide(
    area: Fraction, nitrogen: Fraction, drained: Fraction, flooded: Fraction, gwp: Fraction
) -> Fraction:
    """
    Nitrous oxide that drainage adds in a season.

    A * N * (EF1_PJ - EF1_BL) * 44/28 * GWP / 1000

    Parameters
    ----------
    area : Fraction
        A. [ha]
    nitrogen : Fraction
        N. [kgN/ha]
    drained, flooded : Fraction
        EF1_PJ, EF1_BL. [kgN2O-N/kgN]
    gwp : Fraction
        GWP_N2O. [tCO2e/tN2O]

    Returns
    -------
    Fraction
        [tCO2e]

    References
    ----------
    IPCC 2019 Refinement, volume 4, chapter 11.
    """
    return area * nitrogen * (drained - flooded) * _N2O_PER_N * gwp / _KG_PER_T


def after_deduction(
    baseline: Fraction, project: Fraction, deduction: Fraction, other: Fraction
) -> Fraction:
    """
    Reduction, with the uncertainty of defaults taken off the methane.

    ER = (BE - PE_CH4) * (1 - U_d) - PE_N2O

    Parameters
    ----------
    baseline, project : Fraction
        Methane. [tCO2e]
    deduction : Fraction
        U_d. [1]
    other : Fraction
        Project emissions that carry no deduction. [tCO2e]

    Returns
    -------
    Fraction
        [tCO2e]

    References
    ----------
    Gold Standard rice methodology, uncertainty deduction.
    """
    gross = baseline - project
    if gross > 0:
        gross = gross * (1 - deduction)
    return gross - other
