"""
The methodologies: one small file each, found by being in this folder.

A file declares `METHODOLOGY`; nothing else has to know its name.
"""

from __future__ import annotations

import pkgutil
from fractions import Fraction
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mrv.equations.reductions import reduction
from mrv.errors import MethodologyError
from mrv.inputs import read
from mrv.model import Activity, Methodology
from mrv.specs import ParameterSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mrv.inputs import Inputs
    from mrv.model import Factors, Reductions
    from mrv.specs import Spec

# Kinds of factors of the grid: what it emits, and the low references for what is avoided.
GRID = "grid.vn"
REFERENCE = "jcm-vn-am007."

__all__ = ["compute", "evaluate", "filled", "find", "load", "reduction", "unit_reductions"]


@cache
def load() -> Mapping[str, Methodology]:
    """All methodologies by id."""
    modules = (
        import_module(f"{__name__}.{module.name}")
        for module in pkgutil.iter_modules(__path__)
        if not (module.ispkg or module.name.startswith("_"))
    )
    found: list[Methodology] = [module.METHODOLOGY for module in modules]
    return MappingProxyType({m.id: m for m in sorted(found, key=lambda m: m.id)})


def find(identifier: str, version: str | None = None) -> Methodology:
    """
    Return one methodology.

    Raises
    ------
    MethodologyError
        If the id or the version is unknown; lists the known ones.
    """
    known = load()
    if identifier not in known:
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
    """Put the published number where an input that has one was not given."""
    found = dict(inputs)
    for key, one in spec.items():
        if isinstance(one, ParameterSpec) and one.factor is not None and key not in found:
            found[key] = factors.select(*one.factor).value
    return found


def evaluate(methodology: Methodology, given: object, factors: Factors, where: str) -> Reductions:
    """
    Compute a methodology from inputs as JSON holds them.

    Parameters
    ----------
    methodology : Methodology
    given : object
        The `inputs` object.
    factors : Factors
        `mrv.factors.load()`.
    where : str
        Where the inputs stand, for the error.

    Raises
    ------
    MethodologyError
        A key is missing, unknown or out of bounds; the numbers belong to no real
        project; or a condition of the methodology does not hold.
    FactorError
        A factor that it needs is not there.
    """
    inputs = filled(methodology.inputs, read(methodology.inputs, given, where), factors)
    return compute(methodology, inputs, factors, where)


def _refuse_avoided(methodology: Methodology, inputs: Inputs, factors: Factors, where: str) -> None:
    """Refuse a low reference factor for electricity that only the project consumes."""
    low = {f.value: f for f in factors if f.direction == "avoided" and f.kind.startswith(REFERENCE)}
    for key, spec in methodology.inputs.items():
        if not isinstance(spec, ParameterSpec) or spec.side != "project":
            continue
        if spec.published == GRID and inputs.get(key) in low:
            factor = low[inputs[key]]
            raise MethodologyError(
                f"{where}: {methodology.id}, direction of factors: {key} = {factor.text} is"
                f" {factor.id}, which stands for avoided electricity; for what the project"
                " consumes it would overstate the reduction: give the official factor of the grid"
            )


def compute(methodology: Methodology, inputs: Inputs, factors: Factors, where: str) -> Reductions:
    """
    Compute a methodology from inputs that are read and filled, its conditions held.

    Raises
    ------
    MethodologyError, FactorError
        As `evaluate` raises.
    """
    _refuse_avoided(methodology, inputs, factors, where)
    try:
        methodology.plausible(inputs)
    except MethodologyError as error:
        raise MethodologyError(f"{where}: {methodology.id}, plausibility: {error}") from None
    result = methodology.reductions(inputs, factors)
    for condition in methodology.conditions:
        broken = condition.test(inputs, result)
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
    Emissions of one base unit (1 Wh, 1 m) of a role's activity, exact. [tCO2e]

    The methodology's own period equation, at one unit: the live interval and
    the statement cannot drift apart, because there is no second formula.
    """
    unit = [Activity(role, params, Fraction(1))]
    return methodology.reductions(methodology.inputs_of(unit, parameters, factors, year), factors)
