"""Emission factor of a grid, from the plants that feed it."""

from __future__ import annotations

from fractions import Fraction


def operating_margin(emissions: Fraction, generation: Fraction) -> Fraction:
    """
    Emissions of the plants that run, by their generation.

    EF_OM,simple = SUM_i FC_i * NCV_i * EF_i / SUM EG

    Parameters
    ----------
    emissions : Fraction
        Of all plants but low-cost and must-run ones. [tCO2]
    generation : Fraction
        Of the same plants, above 0. [MWh]

    Returns
    -------
    Fraction
        [tCO2/MWh]

    References
    ----------
    CDM TOOL07, simple operating margin.
    """
    return emissions / generation


def build_margin(emissions: Fraction, generation: Fraction) -> Fraction:
    """
    Emissions of the newest plants, by their generation.

    EF_BM = SUM_m EG_m * EF_EL,m / SUM_m EG_m

    Parameters
    ----------
    emissions : Fraction
        SUM_m EG_m * EF_EL,m. [tCO2]
    generation : Fraction
        Of the same plants, above 0. [MWh]

    Returns
    -------
    Fraction
        [tCO2/MWh]

    References
    ----------
    CDM TOOL07, build margin.
    """
    return emissions / generation


def combined_margin(
    operating: Fraction, build: Fraction, weight_operating: Fraction, weight_build: Fraction
) -> Fraction:
    """
    Weigh what runs today with what is built next.

    EF_CM = w_OM * EF_OM + w_BM * EF_BM

    Parameters
    ----------
    operating, build : Fraction
        EF_OM, EF_BM. [tCO2/MWh]
    weight_operating, weight_build : Fraction
        w_OM, w_BM. [1]

    Returns
    -------
    Fraction
        [tCO2/MWh]

    References
    ----------
    CDM TOOL07, combined margin.
    """
    return weight_operating * operating + weight_build * build
