"""
What was fixed ex ante counts as it was issued with, unless another value leaves less.

A baseline that rises after the first statement is where tonnes come from nowhere.  Whoever
has a new one shows it to a verifier, and the project is registered with it; until then the
condition says by how many tonnes the two differ.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from mrv.accounting.period_result import Finding
from mrv.rounding import decimal_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mrv.accounting.device_period import Monitored
    from mrv.parameters.inputs import Inputs
    from mrv.registry.project import FixedBefore

CLAUSE = "tonne: what was fixed ex ante counts as it was issued with"
_PLACES = 6


def kept(
    before: Iterable[FixedBefore],
    parameters: Inputs,
    monitored: Sequence[Monitored],
    reduction: Callable[[Inputs, Sequence[Monitored]], Fraction],
) -> tuple[Inputs, list[Monitored], list[Finding]]:
    """
    Count by the value of the statement before where that of now would leave more.

    Parameters
    ----------
    reduction : callable
        What the period comes to with some parameters and devices. [tCO2e]
    """
    used, devices, told = dict(parameters), list(monitored), []
    for one in before:
        other, others = _with(one, used, devices)
        ours, theirs = reduction(used, devices), reduction(other, others)
        if theirs < ours:
            used, devices = other, others
            whose = "" if one.device is None else f" of {one.device}"
            told.append(
                f"{one.parameter}{whose} = {one.value} of {one.statement} counts; by the value of"
                f" now there would be {decimal_text(ours - theirs, _PLACES, 'up')} t more"
            )
    return used, devices, [Finding(CLAUSE, False, "; ".join(told))] if told else []


def _with(
    one: FixedBefore, parameters: dict[str, Any], monitored: list[Monitored]
) -> tuple[dict[str, Any], list[Monitored]]:
    if one.device is None:
        return _changed(parameters, one), monitored
    return parameters, [
        replace(m, params=_changed(dict(m.params), one)) if m.device.id == one.device else m
        for m in monitored
    ]


def _changed(values: dict[str, Any], one: FixedBefore) -> dict[str, Any]:
    """Put the value of before in place of that of now, of the same kind of number."""
    if one.parameter not in values:
        return values
    exact = Fraction(one.value)
    whole = isinstance(values[one.parameter], int) and exact.denominator == 1
    return {**values, one.parameter: int(exact) if whole else exact}
