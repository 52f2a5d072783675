"""A sample against a standard's limits: which limits hold for it, and which it exceeds."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from mrv.errors import IndicatorError
from mrv.limits import Limit, Table


def judge(
    table: Table,
    scaled: Mapping[str, Fraction],
    unscaled: Mapping[str, Fraction],
    scale: Fraction,
    select: Mapping[str, str],
    flow: Fraction | None = None,
) -> dict[str, Any]:
    """
    Judge a sample of water.

    Parameters
    ----------
    table : Table
    scaled : mapping of parameter to measured value
        Whose limits are multiplied by `scale`. [mg/L]
    unscaled : mapping of parameter to measured value
        Whose limits stand as they are, pH among them.
    scale : Fraction
        Kq * Kf, or K. [1]
    select : mapping
        Column and whatever else the limits depend on.
    flow : Fraction, optional
        Of the plant, where limits come in bands of it. [m3/d]

    Raises
    ------
    IndicatorError
        The standard does not limit one of the parameters there.
    """
    limits: dict[str, Fraction] = {}
    plain: dict[str, Any] = {}
    exceeded = []
    for name, value in scaled.items():
        limits[name] = _limit(table, name, select, flow).value * scale
        if value > limits[name]:
            exceeded.append(name)
    for name, value in unscaled.items():
        limit = _limit(table, name, select, flow)
        plain[name] = limit.value if limit.lowest is None else [limit.lowest, limit.value]
        if limit.exceeded(value):
            exceeded.append(name)
    apart = {"limit_unscaled": plain} if plain else {}
    return {"limit_mg_l": limits, **apart, "exceeded": exceeded}


def _limit(table: Table, name: str, select: Mapping[str, str], flow: Fraction | None) -> Limit:
    limit = table.limit(name, select, flow=flow)
    if limit is None:
        where = ", ".join(f"{key} {value}" for key, value in select.items())
        raise IndicatorError(f"{table.id} has no limit of {name} for {where}; leave it out")
    return limit
