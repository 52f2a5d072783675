"""
The tools: published procedures whose result is a factor, one small file each.

A file declares `TOOL` and is loaded automatically.  A calculated factor names its tool and inputs,
so that it can be recalculated.
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import Any

from mrv.errors import MethodologyError
from mrv.methodologies import filled
from mrv.model import Calculation, Factors, Tool
from mrv.parameters import read

__all__ = ["calculated", "load"]
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


@cache
def load() -> Mapping[str, Tool]:
    """Return all tools by id."""
    modules = (
        import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)
    )
    tools: list[Tool] = [module.TOOL for module in modules]
    return MappingProxyType({tool.id: tool for tool in sorted(tools, key=lambda t: t.id)})


def calculated(calculation: Calculation, factors: Factors, where: str) -> Fraction:
    """
    Return the result of a factor's calculation.

    Raises MethodologyError or FactorError if there is no such tool or result, or an input is
    missing or wrong.
    """
    tool = load().get(calculation.tool)
    if tool is None:
        raise MethodologyError(f"{where}: no tool {calculation.tool!r}; known: {', '.join(load())}")
    parameters = filled(
        tool.inputs, read(tool.inputs, _numbers(calculation.inputs), where), factors
    )
    result = tool.compute(parameters, factors)
    value = result.get(calculation.result)
    if not isinstance(value, Fraction):
        names = ", ".join(key for key, value in result.items() if isinstance(value, Fraction))
        raise MethodologyError(
            f"{where}: {calculation.tool} has no result {calculation.result!r}; its results:"
            f" {names}"
        )
    return value


def _numbers(content: Any) -> Any:
    """Return the inputs with texts of numbers converted to fractions."""
    if isinstance(content, Mapping):
        return {key: _numbers(item) for key, item in content.items()}
    if isinstance(content, list | tuple):
        return [_numbers(item) for item in content]
    return Decimal(content) if isinstance(content, str) and _NUMBER.fullmatch(content) else content
