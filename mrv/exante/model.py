"""Types of an estimate: inputs, flags and results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

from mrv.model import Factors, Reductions
from mrv.parameters import ChoiceSpec, Inputs, ParameterSpec, Spec


@dataclass(frozen=True, slots=True)
class Flag:
    """
    An inconsistency in a plan; `text` names the values and the remedy.

    Severity `impossible`: no plant can do this; `check`: the value needs review.
    """

    about: str
    severity: Literal["impossible", "check"]
    text: str


@dataclass(frozen=True, slots=True)
class Assumption:
    """A value used in the estimate: given by the user, or a default."""

    name: str
    value: Fraction | int | str
    unit: str
    given: bool
    source: str
    certainty: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    Result for one year of the planned system.

    `energy_kwh` is None where the system generates no electricity, or an unknown amount;
    `reductions` is None with it.  `uncertainty_percent` is one standard deviation.  `withheld`: why
    it cannot be used as `expected`. `figures`: further results of the model, with the unit in the
    name.
    """

    method: str
    energy_kwh: int | None
    reductions: Reductions | None
    uncertainty_percent: Fraction | None = None
    withheld: str | None = None
    flags: tuple[Flag, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Estimate:
    """One kind of planned system: its inputs and its model."""

    id: str
    title: str
    reference: str
    notes: str
    inputs: Spec
    compute: Callable[[Inputs, Factors, str], Outcome]


def assumptions(spec: Spec, inputs: Inputs, values: set[str]) -> Iterator[Assumption]:
    """Return every simple input with the value used; `given` are the keys not by default."""
    for key, item in spec.items():
        if key not in inputs:
            continue
        if isinstance(item, ParameterSpec):
            # how sure a default is, its source says; a value from the plan is the planner's
            certainty = "" if key in values else item.certainty.strip("[]")
            yield Assumption(key, inputs[key], item.unit, key in values, item.source, certainty)
        elif isinstance(item, ChoiceSpec):
            yield Assumption(key, inputs[key], "", key in values, item.source, "")
