"""Methane of wastewater: what it gives off, what is burnt of it."""

from __future__ import annotations

from fractions import Fraction

_KG_PER_T = 1000


def organic_load(flow: Fraction, concentration: Fraction) -> Fraction:
    """
    Chemical oxygen demand that a flow carries.

    Q_ww * COD

    Parameters
    ----------
    flow : Fraction
        Q_ww. [m3]
    concentration : Fraction
        COD. [kg/m3]

    Returns
    -------
    Fraction
        [tCOD]

    References
    ----------
    AMS-III.H v19, baseline emissions.
    """
    return flow * concentration / _KG_PER_T


def methane(
    load: Fraction, correction: Fraction, capacity: Fraction, uncertainty: Fraction
) -> Fraction:
    """
    Methane that a load of organic matter forms.

    COD * MCF * B_o,ww * UF

    Parameters
    ----------
    load : Fraction
        COD removed or discharged. [tCOD]
    correction : Fraction
        MCF of the system or the water body. [1]
    capacity : Fraction
        B_o,ww. [tCH4/tCOD]
    uncertainty : Fraction
        UF_BL or UF_PJ. [1]

    Returns
    -------
    Fraction
        [tCH4]

    References
    ----------
    AMS-III.H v19, baseline and project emissions.
    """
    return load * correction * capacity * uncertainty


def biogas_methane(volume: Fraction, share: Fraction, density: Fraction) -> Fraction:
    """
    Methane in a volume of biogas.

    BG_burnt * w_CH4 * D_CH4

    Parameters
    ----------
    volume : Fraction
        At 0 Cel and 101.325 kPa, BG_burnt. [Nm3]
    share : Fraction
        w_CH4, by volume. [1]
    density : Fraction
        D_CH4. [t/Nm3]

    Returns
    -------
    Fraction
        [tCH4]

    References
    ----------
    AMS-III.H v19, methane destroyed.
    """
    return volume * share * density


def least_load(mass: Fraction, capacity: Fraction) -> Fraction:
    """
    Least organic matter that a mass of methane can have come from.

    MEP / B_o,ww, with a methane correction of 1

    Parameters
    ----------
    mass : Fraction
        [tCH4]
    capacity : Fraction
        B_o,ww. [tCH4/tCOD]

    Returns
    -------
    Fraction
        [tCOD]

    References
    ----------
    IPCC 2006 Guidelines, volume 5, equation 6.2: the capacity is the most that COD can form.
    """
    return mass / capacity


def ratio(part: Fraction, load: Fraction) -> Fraction:
    """
    Share of a load of organic matter; 0 of no load.

    COD_part / COD

    Parameters
    ----------
    part : Fraction
        [tCOD]
    load : Fraction
        [tCOD]

    Returns
    -------
    Fraction
        [1]

    References
    ----------
    AMS-III.H v19, COD removal efficiency.
    """
    return part / load if load else Fraction(0)


def concentration(load: Fraction, flow: Fraction) -> Fraction:
    """
    Chemical oxygen demand of a flow that carries a load; 0 of no flow.

    COD / Q_ww

    Parameters
    ----------
    load : Fraction
        [tCOD]
    flow : Fraction
        Q_ww. [m3]

    Returns
    -------
    Fraction
        [kg/m3]

    References
    ----------
    AMS-III.H v19, baseline emissions: `organic_load`, the other way round.
    """
    return load * _KG_PER_T / flow if flow else Fraction(0)


def beyond(emitted: Fraction, avoided: Fraction) -> Fraction:
    """
    Emissions beyond what the same organic matter would have given off without the project.

    PE - min(PE, BE)

    Parameters
    ----------
    emitted : Fraction
        PE. [tCO2e]
    avoided : Fraction
        BE. [tCO2e]

    Returns
    -------
    Fraction
        [tCO2e]

    References
    ----------
    A rule of tonne's own, for time in which nobody measured the COD.
    """
    return emitted - min(emitted, avoided)


def warming(mass: Fraction, gwp: Fraction) -> Fraction:
    """
    CO2e of a mass of methane.

    Parameters
    ----------
    mass : Fraction
        [tCH4]
    gwp : Fraction
        GWP_CH4. [tCO2e/tCH4]

    Returns
    -------
    Fraction
        [tCO2e]

    References
    ----------
    Definition of the global warming potential.
    """
    return mass * gwp


def share_of(amount: Fraction, share: Fraction) -> Fraction:
    """
    Part of an amount: removed, burnt.

    Parameters
    ----------
    amount : Fraction
        Any unit.
    share : Fraction
        [1]

    Returns
    -------
    Fraction
        In the unit of `amount`.

    References
    ----------
    AMS-III.H v19, methane destroyed: MD = BG_burnt * w_CH4 * D_CH4 * FE * GWP.
    """
    return amount * share


def remainder(amount: Fraction, share: Fraction) -> Fraction:
    """
    What a share leaves of an amount: not removed, not captured, not burnt.

    Parameters
    ----------
    amount : Fraction
        Any unit.
    share : Fraction
        [1]

    Returns
    -------
    Fraction
        In the unit of `amount`.

    References
    ----------
    AMS-III.H v19, fugitive emissions: PE_fug = (1 - CFE) * MEP * GWP.
    """
    return amount * (1 - share)


def capped(calculated: Fraction, destroyed: Fraction, power: Fraction) -> Fraction:
    """
    Reduction that is credited: never more than the methane that was burnt.

    ER = min(BE - PE - LE, MD - PE_power)

    Parameters
    ----------
    calculated : Fraction
        BE - PE - LE. [tCO2e]
    destroyed : Fraction
        MD. [tCO2e]
    power : Fraction
        PE_power. [tCO2e]

    Returns
    -------
    Fraction
        [tCO2e]

    References
    ----------
    AMS-III.H v19, emission reductions ex post.
    """
    return min(calculated, destroyed - power)
