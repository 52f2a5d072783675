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
from mrv.model import Activity, Methodology

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mrv.inputs import Inputs
    from mrv.model import Factors, Reductions

__all__ = ["find", "load", "reduction", "unit_reductions"]


@cache
def load() -> Mapping[str, Methodology]:
    """All methodologies by id."""
    modules = (
        import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)
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
