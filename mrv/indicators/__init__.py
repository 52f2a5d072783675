"""
Figures of air, water and noise; not part of any tonnes.

A file declares `INDICATORS`; it is loaded automatically.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import Any

from mrv import limits
from mrv.errors import IndicatorError
from mrv.limits import Table
from mrv.model import Indicator
from mrv.parameters import read

__all__ = ["evaluate", "find", "load"]


@cache
def load() -> Mapping[str, Indicator]:
    """Return all indicators by id."""
    indicators: list[Indicator] = [
        indicator
        for module in pkgutil.iter_modules(__path__)
        for indicator in import_module(f"{__name__}.{module.name}").INDICATORS
    ]
    return MappingProxyType({i.id: i for i in sorted(indicators, key=lambda i: i.id)})


def find(identifier: str) -> Indicator:
    """Return one indicator; IndicatorError lists the known ones."""
    if identifier not in load():
        raise IndicatorError(
            f"indicator {identifier!r} is unknown; known indicators: {', '.join(load())}"
        )
    return load()[identifier]


def evaluate(
    indicator: Indicator, value: object, where: str, configured: Table | None = None
) -> dict[str, Any]:
    """
    Return the result of an indicator from JSON inputs.

    `value`: the `inputs` object.
    `where`: source of the inputs, for the error.
    `configured`: limits in place of those that come with this package.
    Raises MethodologyError: a key is missing, unknown or out of bounds.
    Raises IndicatorError: the inputs do not suit the standard, or its limits are not known.
    """
    table = _table(indicator, configured)
    inputs = read(indicator.inputs, value, where)
    try:
        return dict(indicator.compute(inputs, table))
    except IndicatorError as error:
        raise IndicatorError(f"{where}: {indicator.id}: {error}") from None


def _table(indicator: Indicator, configured: Table | None) -> Table:
    if configured is not None:
        if configured.id != indicator.id:
            raise IndicatorError(
                f"the limits given have id {configured.id!r}; {indicator.id} needs those with"
                f' id = "{indicator.id}"'
            )
        return configured
    if indicator.configured:
        raise IndicatorError(
            # wording stored in databases of 0.1.0
            f"{indicator.id}: the limits of {indicator.reference} could not be read when this was"
            " written, and none are assumed; enter them with --limits FILE, a TOML like"
            f' mrv/countries/vn/limits/qcvn_40_2011.toml with id = "{indicator.id}"'
        )
    return limits.NONE if indicator.table is None else limits.load(indicator.table)
