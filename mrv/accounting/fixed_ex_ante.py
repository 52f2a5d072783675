"""
What was fixed ex ante counts as it was issued with, unless another value leaves less.

A baseline that rises after the first statement is where tonnes come from nowhere, and so is
a limit that is raised or left out.  Whoever has a new value shows it to a verifier, and the
project is registered with it; until then the condition says by how many tonnes the two differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from mrv.accounting.value_choices import Move
from mrv.methodologies import find
from mrv.registry.project import FixedBefore, Project
from mrv.rounding import UG_PER_T, decimal_of, decimal_text

RULE = "PAR-01"
_PLACES = 6


def issued_values(before: Iterable[FixedBefore]) -> list[Move]:
    """Return the values of issued statements, each of which counts where it leaves no more."""
    return [_move(one) for one in before]


def _move(one: FixedBefore) -> Move:
    whose = "" if one.device is None else f" of {one.device}"

    def told(difference_ug: int | None, counts: bool) -> str | None:
        if not counts:
            return None
        more = decimal_text(Fraction(difference_ug or 0, UG_PER_T), _PLACES, "up")
        return (
            f"{one.parameter}{whose} = {one.value} of {one.statement} counts; by the value of now"
            f" there would be {more} t more"
        )

    return Move(
        f"{one.parameter}{whose}, {one.statement}",
        lambda project: with_value(project, one.device, one.parameter, one.value),
        told,
    )


def with_value(project: Project, device: str | None, parameter: str, value: str | None) -> Project:
    """Return a project with another value of a parameter, its own or a device's; None: without."""
    if device is None:
        return replace(project, parameters=_changed(project.parameters, parameter, value))
    roles = find(project.methodology, project.version).roles
    return replace(
        project,
        devices=tuple(
            replace(bound, params=_changed(bound.params, parameter, value))
            if bound.device == device and parameter in roles[bound.role].params
            else bound
            for bound in project.devices
        ),
    )


def _changed(values: Mapping[str, Any], parameter: str, text: str | None) -> dict[str, Any]:
    """Put a value in place of that of now, or where there is none now; None: leave it out."""
    if text is None:
        return {key: value for key, value in values.items() if key != parameter}
    value = decimal_of(text)
    whole = value == value.to_integral_value()
    return {**values, parameter: int(value) if whole else value}
