"""
Every step of every methodology in its declared units.

Each formula is evaluated twice: with plain numbers, and with quantities while its conversion
constants are 1. The quantity, converted to the declared unit, must equal the number. This detects a
missing, doubled or inverted conversion, and a sum of different dimensions.
"""

import ast
import re
from fractions import Fraction
from functools import cache

import pytest

from mrv import methodologies
from mrv.methodologies import _tools as tools
from mrv.steps import BEFORE, CONSTANTS, FUNCTIONS, Step, _code, parsed

EVERY = {**methodologies.load(), **tools.load()}
STEPS = {one.id: one.steps for one in EVERY.values()}
# gases and elements are no masses of one kind: methane is not added to CO2
KINDS = ("CO2", "CH4", "N2O", "N2ON", "COD", "C", "N", "nm")
_KIND = re.compile(r"\b([kMGT]?[gt])(CO2|CH4|N2ON|N2O|COD|C|N)\b")
_WORDS = {
    "L/100 km": "L/(100 km)", "1": "", "Nm3": "nm*m^3", "kWh/m3": "kWh/m^3", "m3": "m^3",
    "t/Nm3": "t/(nm*m^3)", "tCH4/Nm3": "tCH4/(nm*m^3)", "%": "", "month": "", "year": "",
}  # fmt: skip
# what a mass is of, where the unit of an input does not say it
OF = {
    "cod_in_kg_per_m3": "kgCOD/m^3", "cod_out_kg_per_m3": "kgCOD/m^3", "n_kg_per_ha": "kgN/ha",
    "gas_t_per_nm3": "tCH4/(nm*m^3)", "ef_g_per_km": "gCO2/km",
}  # fmt: skip
MOLAR = {"N2O_PER_N": "N2O/N2ON", "CH4_PER_C": "CH4/C", "RESERVOIR_W_PER_M2": "W/m^2"}
# an exponential, a power or a regression has no unit to check
PURE = re.compile(r"\b(exp|power|fit|fitted|predicted|lower_bound)\(")
PRIMES = (7, 3, 5, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67)


@cache
def _registry():
    import pint  # noqa: PLC0415 - a second of work in every process of tests

    units = pint.UnitRegistry(non_int_type=Fraction, cache_folder=None)
    for kind in KINDS:
        units.define(f"{kind} = [kind_{kind}]")
    return units


def _unit(text):
    text = _WORDS.get(text, text).replace("CO2e", "CO2").replace("N2O-N", "N2ON")
    text = _KIND.sub(r"(\1*\2)", text).replace("K d", "K*d")
    text = text.replace("m2", "m^2").replace("m3", "m^3")
    units = _registry()
    return units.parse_expression(text) if text else units.Quantity(Fraction(1), "")


def _units_of(one):
    """Return units by name: inputs, factors, steps."""
    found = {}
    for key, spec in one.inputs.items():
        fields = getattr(spec, "fields", {})
        found |= {k: getattr(s, "unit", "") for k, s in fields.items() if k not in one.inputs}
        found |= {f"{key}.{k}": getattr(s, "unit", "") for k, s in fields.items()}
    found |= {key: getattr(spec, "unit", "") for key, spec in one.inputs.items()}
    found |= {part.name: part.unit for part in one.steps.parts}
    return {**found, **{key: unit for key, unit in OF.items() if key in found}}


def names_of(formula):
    """Return the names in a formula, without functions."""
    tree = parsed(formula)
    called = {id(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    result = [n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in called]
    return list(dict.fromkeys(result))


CASES = [
    pytest.param(one, part, id=f"{one.id}-{part.name}-{place}")
    for one in EVERY.values()
    for place, part in enumerate(one.steps.parts)
    if isinstance(part, Step) and not PURE.search(part.formula) and part.formula != "0"
]


@pytest.mark.parametrize(("one", "step"), CASES)
def test_units(one, step):
    """A tonne would be off by a thousand, or a mass be added to an energy."""
    units = {**_units_of(one), BEFORE: step.unit}
    names = [name for name in names_of(step.formula) if name not in CONSTANTS]
    columns = {part.name for part in one.steps.parts if part.over} if not step.over else set()
    bare, quantities = {}, {}
    for name, prime in zip(names, PRIMES, strict=False):
        # a reduction is above zero, so that no bound of it at zero counts
        size = prime + 100 if name == "baseline_t" else prime
        number = Fraction(1, prime) if units[name] in {"", "1"} else Fraction(size)
        whole = name.startswith(("years_", "year"))
        bare[name] = 2 if whole else number
        quantities[name] = 2 if whole else number * _unit(units[name])
        if name in columns:
            bare[name], quantities[name] = [bare[name]], [quantities[name]]
    code = _code(step.formula)
    expected = eval(code, {**FUNCTIONS, **CONSTANTS}, bare)  # noqa: S307 - our own formula
    ones = dict.fromkeys(CONSTANTS, 1) | {
        name: CONSTANTS[name] * _unit(unit) for name, unit in MOLAR.items()
    }
    found = eval(code, {**FUNCTIONS, **ones}, quantities)  # noqa: S307 - our own formula
    in_unit = found / _unit(OF.get(step.name, step.unit))
    assert in_unit.dimensionless, f"{found.units} is not {step.unit}"
    assert float(in_unit.to("").magnitude) == pytest.approx(float(expected), rel=1e-12)


def test_every_formula_names_what_is_there():
    """A formula with a slip in a name would fail only for the project that needs it."""
    for one in EVERY.values():
        known = {*_units_of(one), *CONSTANTS, BEFORE, *one.steps.defaults}
        before = set()
        for part in one.steps.parts:
            if isinstance(part, Step):
                later = {p.name for p in one.steps.parts if isinstance(p, Step)} - before
                inputs = {*one.inputs, *(k for k in _units_of(one) if "." in k)}
                for name in names_of(part.formula):
                    assert name in known, (one.id, part.name, name)
                    assert name not in later - inputs - _fields(one), (one.id, part.name, name)
                before.add(part.name)


def _fields(one):
    return {k for spec in one.inputs.values() for k in getattr(spec, "fields", {})}
