"""Emissions of the ways people would have travelled."""

from __future__ import annotations

from fractions import Fraction

_G_PER_T = 10**6


def passenger_factor(
    vehicle: Fraction, occupancy: Fraction, improvement: Fraction, years: int
) -> Fraction:
    """
    Emissions of one passenger on a kilometre.

    EF_P,i = EF_km,i * IR_i^t / OC_i

    Parameters
    ----------
    vehicle : Fraction
        EF_km,i. [g/km]
    occupancy : Fraction
        OC_i, above 0. [1]
    improvement : Fraction
        IR_i, a year. [1]
    years : int
        t, since the data of the baseline.

    Returns
    -------
    Fraction
        [g/km]

    References
    ----------
    AMS-III.U v2, emission factor per passenger kilometre.
    """
    return vehicle / occupancy * improvement**years


def travelled(passengers: Fraction, trip: Fraction) -> Fraction:
    """
    Distance of all passengers together.

    pax * D

    Parameters
    ----------
    passengers : Fraction
        [1]
    trip : Fraction
        Mean trip, D. [km]

    Returns
    -------
    Fraction
        [km]

    References
    ----------
    AMS-III.U v2, baseline emissions.
    """
    return passengers * trip


def shifted(distance: Fraction, share: Fraction, factor: Fraction) -> Fraction:
    """
    Emissions of the passengers who would have taken one mode.

    BE_i = pax * D * S_i * EF_P,i

    Parameters
    ----------
    distance : Fraction
        Of all passengers. [km]
    share : Fraction
        S_i, of the survey. [1]
    factor : Fraction
        EF_P,i. [g/km]

    Returns
    -------
    Fraction
        [tCO2]

    References
    ----------
    AMS-III.U v2, baseline emissions.
    """
    return distance * share * factor / _G_PER_T
