"""
Every equation in the units that its docstring gives.

Each function is called twice: with bare numbers, and with quantities while its
conversion constants are 1.  The quantity, brought to the documented unit, must be
the number: a conversion that is missing, twice, or upside down shows, and so does
a sum of unlike things.
"""

import inspect
import pkgutil
from fractions import Fraction
from functools import cache
from importlib import import_module

import pytest

from mrv import equations

# Beside the units that pint knows.
OURS = (
    "tonne_co2 = [co2] = tCO2",
    "gram_co2 = tonne_co2 / 1000000 = gCO2",
    "tonne_ch4 = [ch4] = tCH4",
    "tonne_n2o = [n2o] = tN2O",
    "tonne_carbon = [carbon] = tC",
    "tonne_cod = [cod] = tCOD",
    "nitrogen = [nitrogen] = tN",
    "normal_m3 = [normal_volume] = Nm3",
)


@cache
def _units():
    import pint  # noqa: PLC0415 - a second of work in every process of tests

    units = pint.UnitRegistry(non_int_type=Fraction, cache_folder=None)
    for line in OURS:
        units.define(line)
    return units


# function -> units of its parameters, unit of its result
CASES = {
    "electricity.displaced": (("MWh", "tCO2/MWh"), "tCO2"),
    "electricity.at_generation": (("tCO2/MWh", ""), "tCO2/MWh"),
    "electricity.consumed": (("MWh", "tCO2/MWh", ""), "tCO2"),
    "electricity.drawn": (("MWh", "tCO2/MWh", ""), "tCO2"),
    "electricity.beyond_history": (("MWh", "MWh", "MWh"), "MWh"),
    "electricity.net": (("MWh", "MWh"), "MWh"),
    "electricity.captive": (("kW", "day"), "MWh"),
    "reductions.reduction": (("tCO2", "tCO2", "tCO2"), "tCO2"),
    "transport.specific_consumption": (("L/(100 km)", "kg/L"), "g/km"),
    "transport.baseline_factor": (("g/km", "TJ/(1000 t)", "tCO2/TJ", "", "int"), "gCO2/km"),
    "transport.fossil": (("gCO2/km", ""), "gCO2/km"),
    "transport.by_distance": (("km", "gCO2/km"), "tCO2"),
    "grid.operating_margin": (("tCO2", "MWh"), "tCO2/MWh"),
    "grid.build_margin": (("tCO2", "MWh"), "tCO2/MWh"),
    "grid.combined_margin": (("tCO2/MWh", "tCO2/MWh", "", ""), "tCO2/MWh"),
    "fuels.liquid_mass": (("L", "kg/L"), "t"),
    "fuels.burnt": (("t", "TJ/(1000 t)", "tCO2/TJ"), "tCO2"),
    "fuels.calcined": (("t", "tCO2/t"), "tCO2"),
    "landfill.methane_potential": (("", "", "tCO2/tCH4", "", "tCH4/tC", "", ""), "tCO2/tC"),
    "landfill.released": (("tC", "tCO2/tC"), "tCO2"),
    "composting.composted": (("t", "tCH4/t", "tCO2/tCH4"), "tCO2"),
    "wastewater.organic_load": (("m^3", "tCOD/(1000 m^3)"), "tCOD"),
    "wastewater.methane": (("tCOD", "", "tCH4/tCOD", ""), "tCH4"),
    "wastewater.biogas_methane": (("Nm3", "", "tCH4/Nm3"), "tCH4"),
    "wastewater.least_load": (("tCH4", "tCH4/tCOD"), "tCOD"),
    "wastewater.ratio": (("tCOD", "tCOD"), ""),
    "wastewater.concentration": (("tCOD", "m^3"), "tCOD/(1000 m^3)"),
    "wastewater.beyond": (("tCO2", "tCO2"), "tCO2"),
    "wastewater.warming": (("tCH4", "tCO2/tCH4"), "tCO2"),
    "wastewater.share_of": (("tCH4", ""), "tCH4"),
    "wastewater.remainder": (("tCH4", ""), "tCH4"),
    "wastewater.capped": (("tCO2", "tCO2", "tCO2"), "tCO2"),
    "waste_heat.credited_share": (("", ""), ""),
    "waste_heat.steam_heat": (("t", "kJ/kg", "kJ/kg"), "TJ"),
    "waste_heat.boiler": (("TJ", "", "tCO2/TJ"), "tCO2"),
    "waste_heat.counted": (("tCO2", ""), "tCO2"),
    "efficiency.credited_output": (("t", "t"), "t"),
    "efficiency.by_output": (("t", "MWh/t"), "MWh"),
    "efficiency.in_mwh": (("kWh",), "MWh"),
    "efficiency.equipment": (("", "kW", "hour", ""), "kWh"),
    "efficiency.regression": (("MWh", "MWh/(K day)", "K day"), "MWh"),
    "efficiency.by_ratio": (("MWh", "", ""), "MWh"),
    "efficiency.refrigerant": (("kg", "tCO2/t"), "tCO2"),
    "efficiency.hydraulic_minimum": (("m",), "kWh/m^3"),
    "recycling.plastic": (("t", "", "MWh/t", "tCO2/MWh", "GJ/t", "tCO2/TJ"), "tCO2"),
    "recycling.material": (("t", "tCO2/t"), "tCO2"),
    "recycling.in_panels": (("", "kg", ""), "t"),
    "modal_shift.passenger_factor": (("gCO2/km", "", "", "int"), "gCO2/km"),
    "modal_shift.travelled": (("", "km"), "km"),
    "modal_shift.shifted": (("km", "", "gCO2/km"), "tCO2"),
    "rice.as_fresh_straw": (("t/hectare", ""), "t/hectare"),
    "rice.daily_methane": (("tCH4/(1000 hectare day)", "", "", ""), "tCH4/(1000 hectare day)"),
    "rice.season": (("hectare", "day", "tCH4/(1000 hectare day)", "tCO2/tCH4"), "tCO2"),
    "rice.nitrous_oxide": (
        ("hectare", "tN/(1000 hectare)", "tN2O/tN", "tN2O/tN", "tCO2/tN2O"),
        "tCO2",
    ),
    "rice.after_deduction": (("tCO2", "tCO2", "", "tCO2"), "tCO2"),
}
# Numbers alone: an exponential or a power has no unit to check; the units of the
# regression are held in test_degree_days, by changing them.
PURE = {
    "landfill.decayed",
    "rice.amended",
    "degree_days.fit",
    "degree_days.predicted",
    "degree_days.lower_bound",
}
PRIMES = (7, 3, 5, 11, 13, 17, 19)


def _functions():
    for module in pkgutil.iter_modules(equations.__path__):
        loaded = import_module(f"mrv.equations.{module.name}")
        for name, one in inspect.getmembers(loaded, inspect.isfunction):
            # `make mutants` puts its spoilt copies beside each function
            if one.__module__ == loaded.__name__ and "__mutmut_" not in name:
                yield f"{module.name}.{name}", one


FUNCTIONS = dict(_functions())


def test_every_equation_has_its_units_here():
    """A new equation would go without a check of its dimensions."""
    assert set(FUNCTIONS) == set(CASES) | PURE


@pytest.fixture
def without_conversions(monkeypatch):
    """Set `_KG_PER_T` and its like to 1: units convert by themselves here."""
    for name in {name.partition(".")[0] for name in FUNCTIONS}:
        module = import_module(f"mrv.equations.{name}")
        for constant in [c for c in vars(module) if "_PER_" in c and type(vars(module)[c]) is int]:
            monkeypatch.setattr(module, constant, 1)
        if name == "efficiency":
            weight = Fraction("9806.65") * _units().parse_expression("N/m^3")
            monkeypatch.setattr(module, "_WEIGHT_OF_WATER", weight)


@pytest.mark.parametrize("name", sorted(CASES))
def test_units(name, request):
    """A tonne would be off by a thousand, or a mass be added to an energy."""
    units, documented = CASES[name]
    numbers = [_number(unit, prime) for unit, prime in zip(units, PRIMES, strict=False)]
    bare = FUNCTIONS[name](*numbers)
    request.getfixturevalue("without_conversions")
    result = FUNCTIONS[name](*(_quantity(n, unit) for n, unit in zip(numbers, units, strict=True)))
    in_unit = result / _units().parse_expression(documented or "1")
    assert in_unit.dimensionless, f"{result.units} is not {documented}"
    assert float(in_unit.to("").magnitude) == pytest.approx(float(bare), rel=1e-12)


def _number(unit, prime):
    if unit == "int":
        return 2
    return Fraction(1, prime) if unit == "" else Fraction(prime)


def _quantity(number, unit):
    if unit == "int":
        return number
    return number * _units().parse_expression(unit) if unit else _units().Quantity(number, "")
