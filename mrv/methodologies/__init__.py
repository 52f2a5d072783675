"""
The methodologies: one file each in this folder.

A file declares `METHODOLOGY`, and is loaded automatically.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from fractions import Fraction
from functools import cache
from importlib import import_module
from math import floor, log10
from types import MappingProxyType
from typing import Any

from mrv.errors import MethodologyError
from mrv.method_lives import not_computed
from mrv.methodologies._shared import abroad, diesel, hosted
from mrv.model import Activity, Factor, Factors, Methodology, Reductions
from mrv.parameters import Inputs, ParameterSpec, Spec, read
from mrv.steps import reduction, steps

# Kinds of grid factors: emission factor of the grid, and lower references for avoided generation.
GRID = "grid"
REFERENCE = "jcm-vn-am007."
DIRECTION = "direction of factors"
_DIESEL_DIGITS = 2

__all__ = [
    "abroad",
    "compute",
    "diesel_litres",
    "evaluate",
    "filled",
    "find",
    "hosted",
    "hypothetical",
    "implausible",
    "implausible_first",
    "load",
    "low_reference",
    "odd",
    "official_grid",
    "reduction",
    "unit_reductions",
    "unserved",
]


@cache
def load() -> Mapping[str, Methodology]:
    """Return all methodologies by id."""
    modules = (
        import_module(f"{__name__}.{module.name}")
        for module in pkgutil.iter_modules(__path__)
        if not (module.ispkg or module.name.startswith("_"))
    )
    methodologies: list[Methodology] = [module.METHODOLOGY for module in modules]
    return MappingProxyType({m.id: m for m in sorted(methodologies, key=lambda m: m.id)})


def find(identifier: str, version: str | None = None) -> Methodology:
    """
    Return the methodology of an id and version.

    Raises MethodologyError if the id or the version is unknown; lists the known ones.
    """
    known = load()
    if identifier not in known:
        if (text := not_computed(identifier)) is not None:
            raise MethodologyError(text)
        raise MethodologyError(
            f"methodology {identifier!r} is unknown; known methodologies: {', '.join(known)}"
        )
    methodology = known[identifier]
    if version is not None and version not in methodology.versions:
        raise MethodologyError(
            f"methodology {identifier} has no version {version!r};"
            f" known versions: {', '.join(methodology.versions)}"
        )
    return methodology


def filled(spec: Spec, inputs: Inputs, factors: Factors) -> dict[str, Any]:
    """Return the inputs, with published default values for those that are missing."""
    result = dict(inputs)
    for key, item in spec.items():
        if isinstance(item, ParameterSpec) and item.factor is not None and key not in result:
            result[key] = factors.select(*item.factor).value
    return result


def evaluate(methodology: Methodology, value: object, factors: Factors, where: str) -> Reductions:
    """
    Return the result of a methodology from JSON inputs.

    `value`: the `inputs` object.
    `factors`: `mrv.factors.load()`.
    `where`: source of the inputs, for the error.
    Raises MethodologyError: a key is missing, unknown or out of bounds; the numbers are
    implausible; or a condition of the methodology is not met.
    Raises FactorError: a required factor is missing.
    """
    inputs = filled(methodology.inputs, read(methodology.inputs, value, where), factors)
    return compute(methodology, inputs, factors, where)


def implausible(methodology: Methodology, inputs: Inputs) -> str | None:
    """Return the error of implausible inputs that would raise the reduction; None if plausible."""
    return _raised(methodology.plausible, inputs)


def odd(methodology: Methodology, inputs: Inputs) -> str | None:
    """
    Return the error of implausible inputs that do not raise the reduction; None if there are none.

    Such inputs are used.
    """
    return _raised(methodology.odd, inputs) or _overused(methodology, inputs)


def implausible_first(methodology: Methodology, inputs: Inputs) -> str | None:
    """Return the error of implausible inputs by rule set 1; None if plausible."""
    return _raised(methodology.odd, inputs) or implausible(methodology, inputs)


def _raised(test: Callable[[Inputs], None], inputs: Inputs) -> str | None:
    try:
        test(inputs)
    except MethodologyError as error:
        return str(error)
    return None


def official_grid(
    methodology: Methodology, parameters: Inputs, factors: Factors, year: int
) -> Factor | None:
    """
    Return the official grid factor for comparison with an entered one; None if none is entered.

    Raises FactorError if the project's country has none; the entered factor is then not accepted.
    """
    if all(methodology.parameters[name].published != GRID for name in parameters):
        return None
    return factors.select(GRID, "consumed", date(year, 1, 1))


def low_reference(methodology: Methodology, inputs: Inputs, factors: Factors) -> str | None:
    """
    Return the text on an entered grid factor for consumption below the official one, if any.

    A factor that serves baseline and project electricity is checked for the project side.
    """
    low = {f.value: f for f in factors if f.direction == "avoided" and f.kind.startswith(REFERENCE)}
    sides = {"project", "both"} if "power_mwh" in methodology.inputs else {"project"}
    for key, spec in methodology.inputs.items():
        if not isinstance(spec, ParameterSpec) or spec.side not in sides:
            continue
        if spec.published == GRID and inputs.get(key) in low:
            factor = low[inputs[key]]
            return (
                f"{key} = {factor.text} is {factor.id}, a factor for avoided electricity; "
                "for the project's own consumption it would overstate the reduction: "
                "enter the official factor of the grid"
            )
    return None


def unserved(methodology: Methodology, inputs: Inputs) -> str | None:
    """
    Return a text on a service delivered in the year without any consumption; None if there is none.

    Zero consumption for a delivered service means that it was not measured.
    """
    return next(
        (
            f"{text}; check the meter that did not advance, and the units"
            for specific, (low, _), text in _specific(methodology, inputs)
            if specific < low
        ),
        None,
    )


def _overused(methodology: Methodology, inputs: Inputs) -> str | None:
    """
    Return a text on a service whose specific consumption is above the plausible
    range, else None.
    """
    return next(
        (
            f"{text}; check the units"
            for specific, (_, high), text in _specific(methodology, inputs)
            if specific > high
        ),
        None,
    )


def _specific(
    methodology: Methodology, inputs: Inputs
) -> Iterator[tuple[Fraction, tuple[Fraction, Fraction], str]]:
    """
    Yield of each service its specific consumption, plausible range [both in its
    unit], and text.
    """
    for consumption in methodology.consumptions:
        if (
            consumption.keys is None
            or consumption.span is None
            or not set(consumption.keys) <= inputs.keys()
        ):
            continue
        used, service = (inputs[key] for key in consumption.keys)
        low, high = span = consumption.span(inputs)
        if service:
            specific = used / service * consumption.per_input
            yield (
                specific,
                span,
                (
                    f"{consumption.keys[0]} divided by {consumption.keys[1]} is"
                    f" {float(specific):.4g} {consumption.unit}; "
                    f"such services take {float(low):.4g} to {float(high):.4g}"
                    f" ({consumption.source})"
                ),
            )


def hypothetical(
    methodology: Methodology, parameters: Mapping[str, Any], factors: Factors, where: str
) -> Reductions:
    """
    Return the emissions of one side of a plan, exact, for planning only. [tCO2e]

    The caller finds with them the consumption at which the reduction becomes zero.

    Raises MethodologyError or FactorError: a key is missing, unknown or out of bounds, or a factor
    is missing.
    """
    inputs = filled(methodology.inputs, read(methodology.inputs, parameters, where), factors)
    return methodology.reductions(inputs, factors)


def compute(methodology: Methodology, inputs: Inputs, factors: Factors, where: str) -> Reductions:
    """
    Return the result of a methodology from complete inputs, with its conditions checked.

    Raises MethodologyError or FactorError as `evaluate` raises.
    """
    low = low_reference(methodology, inputs, factors)
    if low is not None:
        raise MethodologyError(f"{where}: {methodology.id}, {DIRECTION}: {low}")
    strange = implausible(methodology, inputs) or unserved(methodology, inputs)
    if strange is not None:
        raise MethodologyError(f"{where}: {methodology.id}, plausibility: {strange}")
    result = methodology.reductions(inputs, factors)
    for condition in methodology.conditions:
        broken = None if condition.first else condition.test(inputs, result)
        if broken is not None:
            raise MethodologyError(f"{where}: {methodology.id}, {condition.clause}: {broken}")
    return result


def unit_reductions(
    methodology: Methodology,
    role: str,
    params: Mapping[str, Any],
    parameters: Inputs,
    factors: Factors,
    year: int,
) -> Reductions:
    """
    Return the emissions per base unit (1 Wh, 1 m) of a role's activity, exact. [tCO2e]

    The methodology's own equation is used, so that live rows and statements agree.
    """
    unit = [Activity(role, params, Fraction(1))]
    return methodology.reductions(methodology.inputs_of(unit, parameters, factors, year), factors)


def diesel_litres(tonnes: Fraction, factors: Factors) -> int | None:
    """
    Return the litres of diesel that emit the same CO2 when burnt; None for less than a litre. [L]

    Rounded down to two digits, for illustration only: not used in statements or calculations.  The
    fuel's density and the upper bounds of its calorific value and carbon content (IPCC 2006
    Guidelines, volume 2, tables 1.2 and 1.4) give a low value.

    `tonnes`: [tCO2]
    `factors`: published factors.
    """
    burnt: Fraction = steps(diesel()).values({"diesel_l": Fraction(1)}, factors)["fuel_t"]
    litres = tonnes / burnt
    if litres < 1:
        return None
    step = int(10 ** max(0, floor(log10(floor(litres))) + 1 - _DIESEL_DIGITS))
    return floor(litres / step) * step
