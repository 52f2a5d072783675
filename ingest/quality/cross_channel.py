"""
Evidence across channels: what one channel says of an interval, held against another.

Each test is a pure function on arrays, one element an interval, and marks what the two cannot
both be; NaN says that a channel told nothing, and is never marked.  What a mark costs is the
energy of its interval (`cost`); who accounts turns that into tonnes.

Sources: the sum and high/low checks of validating, estimating and editing (VEE) of meter data,
the physical limits of the QARTOD manuals (IOOS), and where a figure stands its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Amounts = NDArray[np.float64]
    Marks = NDArray[np.bool_]

# two meters of accuracy class 2 (IEC 62053-21) differ by 4 %; power that is sampled now and then
# adds to that
REGISTER_SHARE = 0.10
# an inverter gives out no more than goes in; the rest is the two sensors' class
AC_OVER_DC = 1.02
# conversion below this is another device's power, or another unit
LEAST_AC_OF_DC = 0.5
# water lifts no energy away: rho g / 3600, per m3 and metre of head [Wh]
WH_PER_M3_M = 2.725
# energy that one kilometre takes, low and high, by class of vehicle [kWh/km].  Bus: twelve of
# 35 ft took 1.35 over two years, heating and cooling included (NREL/TP-5400-67698, Foothill
# Transit, second report: 2.17 kWh a mile); half of that and twice that are no bus's any more
KWH_PER_KM = {"bus": (0.67, 2.7)}


def register_above_power(
    register_wh: Amounts, power_wh: Amounts, resolution_wh: float | Amounts
) -> Marks:
    """
    Mark intervals in which a register rose by more than its power channel made.

    Parameters
    ----------
    register_wh, power_wh : float64 array, n
        Rise of the register, and the integral of power over the same time. [Wh]
    resolution_wh : float or float64 array, n
        Difference that says nothing: the register's step. [Wh]
    """
    with np.errstate(invalid="ignore"):
        most = power_wh * (1 + REGISTER_SHARE) + resolution_wh
        return np.asarray(register_wh > most)


def above_sun(energy_wh: Amounts, rated_w: Amounts, lit_s: Amounts) -> Marks:
    """
    Mark intervals with more energy than the rated power makes in their daylight.

    Parameters
    ----------
    energy_wh, rated_w, lit_s : float64 array, n
        Energy [Wh], rated power [W], time with light [s] (`ingest.sun.lit`).
    """
    with np.errstate(invalid="ignore"):
        return np.asarray(energy_wh > 1.1 * rated_w * lit_s / 3600)


def ac_against_dc(ac_wh: Amounts, dc_wh: Amounts, floor_wh: float | Amounts) -> Marks:
    """
    Mark intervals in which an inverter gave out more than went in, or less than half of it.

    Parameters
    ----------
    ac_wh, dc_wh : float64 array, n
        Energy on both sides. [Wh]
    floor_wh : float or float64 array, n
        Nothing is said of less than this: inverters draw their own power. [Wh]
    """
    with np.errstate(invalid="ignore"):
        working = np.maximum(ac_wh, dc_wh) > floor_wh
        return np.asarray(
            working & ((ac_wh > AC_OVER_DC * dc_wh) | (ac_wh < LEAST_AC_OF_DC * dc_wh))
        )


def throughput_without_power(
    throughput: Amounts, energy_wh: Amounts, least_wh_per_unit: float
) -> Marks:
    """
    Mark intervals in which more went through a machine than its energy can have moved.

    Parameters
    ----------
    throughput : float64 array, n
        Mass, volume or pieces, in any unit.
    energy_wh : float64 array, n
        What its meters counted. [Wh]
    least_wh_per_unit : float
        Least energy that a unit takes, by the machine's data sheet. [Wh]
    """
    with np.errstate(invalid="ignore"):
        return np.asarray(throughput * least_wh_per_unit > energy_wh)


def flow_above_pumps(flow_m3: Amounts, pump_wh: Amounts, least_head_m: float) -> Marks:
    """
    Mark intervals with more flow than the pumps' energy lifts, were they without loss.

    Parameters
    ----------
    flow_m3, pump_wh : float64 array, n
        Flow [m3] and the energy of all pumps that move it [Wh].
    least_head_m : float
        Head that every cubic metre is lifted by. [m]
    """
    return throughput_without_power(flow_m3, pump_wh, WH_PER_M3_M * least_head_m)


def still_while_serving(consumed: Amounts, service: Amounts, least_service: float) -> Marks:
    """
    Mark spans in which a meter of the project's side stood still while its service went on.

    Zero is a claim as well: that buses ran and nothing charged them.

    Parameters
    ----------
    consumed : float64 array, n
        What the charger, fuel or power meter counted; NaN where it told nothing.
    service : float64 array, n
        Distance, throughput or hours of the same span.
    least_service : float
        Service that needs no consumption yet: what a full battery or tank lasts for.
    """
    with np.errstate(invalid="ignore"):
        return np.asarray((consumed <= 0) & (service > least_service))


def charging_against_distance(charged_kwh: Amounts, distance_km: Amounts, vehicle: str) -> Marks:
    """
    Mark spans in which a kilometre took less, or more, than the class of vehicle takes.

    Spans are long enough that a battery is as full at their end as at their begin: a week.

    Parameters
    ----------
    charged_kwh, distance_km : float64 array, n
    vehicle : str
        One of `KWH_PER_KM`.

    Raises
    ------
    ValueError
        If no range is known for the class; names those that are.
    """
    if vehicle not in KWH_PER_KM:
        raise ValueError(
            f"no consumption is known for a {vehicle!r}; give one of {', '.join(KWH_PER_KM)}"
        )
    low, high = KWH_PER_KM[vehicle]
    with np.errstate(invalid="ignore"):
        drove = distance_km > 0
        outside = (charged_kwh < low * distance_km) | (charged_kwh > high * distance_km)
        return np.asarray(drove & outside)


def cost(energy: NDArray[np.int64], marks: Marks) -> int:
    """Return how much of a quantity stands in marked intervals. [base units]"""
    return int(energy[marks].sum())
