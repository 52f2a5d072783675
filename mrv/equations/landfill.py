"""
Methane of waste that would have lain at a disposal site, by first-order decay.

The yearly and the monthly form give different results for the same waste: a
project fixes one of them.  Exponentials are decimals of fifty digits, the same
on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from mrv.decimal_functions import exponential

_METHANE_PER_CARBON = Fraction(16, 12)


def methane_potential(
    phi: Fraction,
    captured: Fraction,
    gwp: Fraction,
    oxidation: Fraction,
    methane: Fraction,
    decomposing: Fraction,
    correction: Fraction,
) -> Fraction:
    """
    CO2e of the methane that a tonne of degradable carbon gives at the site in the end.

    phi * (1 - f) * GWP_CH4 * (1 - OX) * 16/12 * F * DOC_f * MCF

    Parameters
    ----------
    phi : Fraction
        Model correction. [1]
    captured : Fraction
        Share captured or flared at the site, f. [1]
    gwp : Fraction
        GWP_CH4. [tCO2e/tCH4]
    oxidation : Fraction
        OX. [1]
    methane : Fraction
        Methane in landfill gas, F. [1]
    decomposing : Fraction
        DOC_f. [1]
    correction : Fraction
        MCF. [1]

    Returns
    -------
    Fraction
        [tCO2e/tC]

    References
    ----------
    CDM TOOL04 v8, equations 1 and 2.
    """
    return (
        phi
        * (1 - captured)
        * gwp
        * (1 - oxidation)
        * _METHANE_PER_CARBON
        * methane
        * decomposing
        * correction
    )


def decayed(
    deposits: Sequence[Fraction], carbon: Fraction, rate: Fraction, steps_per_year: int
) -> Fraction:
    """
    Degradable carbon of one waste type that decays in the last step of a series.

    yearly:  SUM_x W_x * DOC * e^(-k (y - x)) * (1 - e^-k)
    monthly: the same with k/12 and months

    Parameters
    ----------
    deposits : sequence of Fraction
        W of each year or month up to the one asked for, in order. [t]
    carbon : Fraction
        DOC of wet waste. [1]
    rate : Fraction
        k. [1/a]
    steps_per_year : int
        1 yearly, 12 monthly.

    Returns
    -------
    Fraction
        [tC]

    References
    ----------
    CDM TOOL04 v8, equations 1 (yearly) and 2 (monthly).
    """
    step = exponential(-rate / steps_per_year)
    remaining = Fraction(0)
    for mass in deposits:
        remaining = remaining * step + mass
    return remaining * carbon * (1 - step)


def released(carbon: Fraction, potential: Fraction) -> Fraction:
    """
    Emissions of carbon that decays at the site.

    Parameters
    ----------
    carbon : Fraction
        [tC]
    potential : Fraction
        See `methane_potential`. [tCO2e/tC]

    Returns
    -------
    Fraction
        [tCO2e]

    References
    ----------
    CDM TOOL04 v8, equations 1 and 2.
    """
    return carbon * potential
