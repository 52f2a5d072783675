"""
Electricity that a project replaces or uses.

Every function takes fractions, or int64 arrays of intervals where factor and
energy are whole base units.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_H_PER_D = 24
_KW_PER_MW = 1000

Amount = TypeVar("Amount", Fraction, NDArray[np.int64])


def displaced(energy: Amount, emission_factor: Amount) -> Amount:
    """
    Emissions of electricity that need not be generated elsewhere.

    RE_p = EG_p * EF_RE

    Parameters
    ----------
    energy : Fraction or int64 array
        Electricity supplied, EG_p. [MWh, or Wh]
    emission_factor : Fraction or int64 array
        Reference emission factor, EF_RE. [tCO2/MWh, or ug/Wh]

    Returns
    -------
    Fraction or int64 array
        [tCO2, or ug]

    References
    ----------
    JCM VN_AM007 ver 1.0, reference emissions.
    """
    return energy * emission_factor


def at_generation(emission_factor: Fraction, losses: Fraction) -> Fraction:
    """
    Emission factor of electricity at the socket, with what the grid loses on the way.

    EF_el / (1 - TDL)

    Parameters
    ----------
    emission_factor : Fraction
        At the power plant, EF_el. [tCO2/MWh]
    losses : Fraction
        Technical transmission and distribution losses, TDL, below 1. [1]

    Returns
    -------
    Fraction
        [tCO2/MWh]

    References
    ----------
    AMS-III.C, project emissions of electric vehicles.
    """
    return emission_factor / (1 - losses)


def consumed(energy: Fraction, emission_factor: Fraction, losses: Fraction) -> Fraction:
    """
    Emissions of electricity that a project draws from the grid.

    PE = EC * EF_el / (1 - TDL)

    Parameters
    ----------
    energy : Fraction
        Electricity at the AC input of the user, EC. [MWh]
    emission_factor : Fraction
        EF_el. [tCO2/MWh]
    losses : Fraction
        TDL, below 1. [1]

    Returns
    -------
    Fraction
        [tCO2]

    References
    ----------
    AMS-III.C, project emissions of electric vehicles.
    """
    return energy * at_generation(emission_factor, losses)


def drawn(energy: Fraction, emission_factor: Fraction, losses: Fraction) -> Fraction:
    """
    Emissions of electricity that a project draws, in the form of TOOL05.

    PE_EC = EC * EF_EL * (1 + TDL)

    Parameters
    ----------
    energy : Fraction
        EC. [MWh]
    emission_factor : Fraction
        EF_EL. [tCO2/MWh]
    losses : Fraction
        TDL. [1]

    Returns
    -------
    Fraction
        [tCO2]

    References
    ----------
    CDM TOOL05, project emissions from consumption of electricity.
    """
    return energy * emission_factor * (1 + losses)


def beyond_history(electricity: Fraction, history: Fraction, deviation: Fraction) -> Fraction:
    """
    Generation of a retrofitted plant beyond what it made before, negative where it made less.

    EG_PJ = EG_facility - (EG_hist + sigma_hist)

    Parameters
    ----------
    electricity : Fraction
        EG_facility, of the year. [MWh]
    history : Fraction
        EG_hist, mean of the years before. [MWh]
    deviation : Fraction
        sigma_hist, their standard deviation. [MWh]

    Returns
    -------
    Fraction
        [MWh]

    References
    ----------
    AMS-I.D v18, retrofit and capacity addition.
    """
    return electricity - history - deviation


def net(generated: Fraction, auxiliary: Fraction) -> Fraction:
    """
    Electricity that a plant supplies after its own use.

    EG_p = EG_SUP,p - EC_AUX,p

    Parameters
    ----------
    generated : Fraction
        EG_SUP. [MWh]
    auxiliary : Fraction
        EC_AUX. [MWh]

    Returns
    -------
    Fraction
        [MWh]

    References
    ----------
    JCM waste heat recovery (MM_AM005), net electricity.
    """
    return generated - auxiliary


def captive(load: Fraction, days: Fraction) -> Fraction:
    """
    Electricity of auxiliaries that are not metered, taken at their capacity all day.

    EC_AUX,p = EC_CAP * 24 * D_p

    Parameters
    ----------
    load : Fraction
        Capacity of the auxiliaries, EC_CAP. [kW]
    days : Fraction
        Days of the period, D_p. [d]

    Returns
    -------
    Fraction
        [MWh]

    References
    ----------
    JCM waste heat recovery (MM_AM005), auxiliary electricity.
    """
    return load * _H_PER_D * days / _KW_PER_MW
