"""
What was fixed ex ante counts as it was issued with, unless another value leaves less.

A baseline that rises after the first statement is where tonnes come from nowhere, and so is
a limit that is raised or left out.  Whoever has a new value shows it to a verifier, and the
project is registered with it; until then the condition says by how many tonnes the two differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from mrv.accounting.period_result import Finding
from mrv.methodologies import find
from mrv.registry.project import FixedBefore, Project
from mrv.rounding import UG_PER_T, decimal_of, decimal_text

CLAUSE = "tonne: what was fixed ex ante counts as it was issued with"
_PLACES = 6


def keep_issued_values(
    before: Iterable[FixedBefore], project: Project, left_by: Callable[[Project], int]
) -> tuple[Project, list[Finding]]:
    """
    Return the project with each value of issued statements that leaves no more than that of now.

    Parameters
    ----------
    left_by : callable
        Reduction that the whole period comes to with a project: limits, ranges and methodology
        all go by its parameters. [ug CO2e]
    """
    told = []
    before = list(before)
    ours = left_by(project) if before else 0
    for one in before:
        other = with_value(project, one.device, one.parameter, one.value)
        theirs = left_by(other)
        if theirs <= ours:  # on a tie too: a day of rest would change what counts afterwards
            whose = "" if one.device is None else f" of {one.device}"
            more = decimal_text(Fraction(ours - theirs, UG_PER_T), _PLACES, "up")
            told.append(
                f"{one.parameter}{whose} = {one.value} of {one.statement} counts; by the value of"
                f" now there would be {more} t more"
            )
            project, ours = other, theirs
    return project, [Finding(CLAUSE, False, "; ".join(told))] if told else []


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
