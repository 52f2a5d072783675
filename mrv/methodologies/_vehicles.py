"""
Limits of vehicles by class: electricity per kilometre, kilometres a day, speed.

The class follows from the baseline's fuel consumption, as a project vehicle has the size of the one
it replaces: a baseline with the diesel of a large bus requires the electricity of a large bus.

Sources, all [M], quoted without the source and to be compared: UITP ZeEUS eBus Report 2 (2017)
and Gallet, Massier, Hamacher, Applied Energy 230 (2018), for buses in service, 12 m with
air conditioning 0.9 to 1.9 kWh/km, and 0.6 without it in flat cities (a simulated bus
with recuperation took 0.42 to 0.99: Graurs, Laizans, Rajeckis, Rubenis, Public bus energy
consumption, abstract [r]); WLTP type approvals
and their real-world surplus (ICCT 2021) for cars and vans; highest speeds of Circular
31/2019/TT-BGTVT.  Kilometres a day are twenty hours at the usual speed of the class.

Mean distance of a vehicle per day, all [M] as well: buses of Shenzhen 174 to 190 km and its taxis
in two shifts 420 (World Bank, Electrification of Public Transport: A Case Study of the Shenzhen Bus
Group, 2021); buses of the European Union 50,000 to 70,000 km a year (UITP).  The bounds are above
all of these: 350 km, 18 hours at 19 km/h, are 127,750 a year.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from mrv.model import ClassLimit
from mrv.parameters import Inputs, ParameterSpec
from mrv.service_bounds import Consumption


@dataclass(frozen=True, slots=True)
class VehicleClass:
    """
    A class of vehicles: its diesel consumption, and limits of an electric one of its size.

    `below`: upper limit of the baseline's fuel [L/100 km]; `kwh_per_km`: lowest and highest value
    over days; `km_per_mean_day`: the highest mean over a period.
    """

    name: str
    below: Fraction
    kwh_per_km: tuple[Fraction, Fraction]
    km_per_day: int
    km_per_h: int
    km_per_mean_day: int


def _class(
    name: str, below: str, kwh: tuple[str, str], day: int, hour: int, mean: int
) -> VehicleClass:
    low, high = map(Fraction, kwh)
    return VehicleClass(name, Fraction(below), (low, high), day, hour, mean)


CLASSES = (
    _class("two-wheeler", "4", ("0.02", "0.10"), 400, 80, 200),
    _class("car", "9", ("0.11", "0.32"), 800, 120, 500),
    _class("van or minibus", "15", ("0.18", "0.60"), 800, 110, 400),
    _class("bus up to 9 m", "24", ("0.40", "1.20"), 500, 100, 350),
    _class("bus of 10 to 13.5 m", "45", ("0.60", "2.00"), 500, 100, 350),
    _class("articulated bus", "1000", ("1.10", "3.00"), 450, 90, 350),
)
SOURCE = "UITP ZeEUS eBus Report 2 (2017); Gallet et al. 2018; Circular 31/2019/TT-BGTVT [M]"
# means of a day: World Bank 2021, Shenzhen Bus Group; UITP [M]
_M_PER_KM = 1000


def class_of(inputs: Inputs) -> VehicleClass:
    """Return the class of a baseline's fuel consumption."""
    fuel = inputs["sfc_l_per_100km"]
    return next(kind for kind in CLASSES if fuel < kind.below)


def specific(inputs: Inputs) -> tuple[Fraction, Fraction]:
    """Return the lowest and highest specific electricity of the class. [kWh/km]"""
    return class_of(inputs).kwh_per_km


def class_limit(inputs: Inputs) -> ClassLimit:
    """Return the maximum distance of a vehicle of the class in an hour and in a day. [m]"""
    kind = class_of(inputs)
    return ClassLimit(
        per_hour=kind.km_per_h * _M_PER_KM,
        per_day=kind.km_per_day * _M_PER_KM,
        source=SOURCE,
        per_day_as_mean=kind.km_per_mean_day * _M_PER_KM,
    )


# 1 kWh/km is 1 Wh/m, and 1000 of it are 1 MWh/km
CONSUMPTION = Consumption(
    uses=("charging",),
    serves=("vehicle",),
    unit="kWh/km",
    per_base=Fraction(1),
    keys=("charging_mwh", "distance_km"),
    per_input=Fraction(1000),
    span=specific,
    source=SOURCE,
    by_history=True,
    by_model="kwh_per_km",
    # the same buses took 15 % less on a suburban line than in the city: measured over two years
    # (Vepsalainen et al., Energies 11 (2018) 3267, abstract [r]); some more is left for drivers
    driven=Fraction(4, 5),
    # the approval leaves out air conditioning and losses of charging: less by a material part
    # (Circular 38/2023/TT-BCT) is asked about
    sure=Fraction(19, 20),
)
# what a vehicle takes in service at the charger's input is no less: losses of charging and
# the air conditioning come on top of what is measured for the approval
MODEL = {
    CONSUMPTION.by_model: ParameterSpec(
        unit="kWh/km",
        meaning="electricity per kilometre, by the type approval of the vehicle's model",
        required=False,
        minimum="0.02",
        maximum="3",
        source="type approval (UN Regulation 101, WLTP), or a test report (UITP SORT)",
        symbol="SEC_i",
        side="baseline",
    )
}
