"""
The tools: published procedures whose result is a factor, one small file each.

A file declares `TOOL`; nothing else has to know its name.  A factor that a project calculated by a
tool names the tool and its inputs, so that anyone calculates it again.
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
from mrv.parameters.inputs import read

__all__ = ["calculated", "load"]
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


@cache
def load() -> Mapping[str, Tool]:
    """Return all tools by id."""
    modules = (
        import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)
    )
    found: list[Tool] = [module.TOOL for module in modules]
    return MappingProxyType({tool.id: tool for tool in sorted(found, key=lambda t: t.id)})


def calculated(said: Calculation, factors: Factors, where: str) -> Fraction:
    """
    Return the result of a factor's calculation.

    Raises
    ------
    MethodologyError, FactorError
        If there is no such tool or result, or an input is missing or wrong.
    """
    tool = load().get(said.tool)
    if tool is None:
        raise MethodologyError(f"{where}: no tool {said.tool!r}; known: {', '.join(load())}")
    given = filled(tool.inputs, read(tool.inputs, _numbers(said.inputs), where), factors)
    found = tool.compute(given, factors)
    value = found.get(said.result)
    if not isinstance(value, Fraction):
        names = ", ".join(key for key, one in found.items() if isinstance(one, Fraction))
        raise MethodologyError(
            f"{where}: {said.tool} has no result {said.result!r}; its results: {names}"
        )
    return value


def _numbers(said: Any) -> Any:
    """Return inputs with numbers in place of their text."""
    if isinstance(said, Mapping):
        return {key: _numbers(one) for key, one in said.items()}
    if isinstance(said, list | tuple):
        return [_numbers(one) for one in said]
    return Decimal(said) if isinstance(said, str) and _NUMBER.fullmatch(said) else said
