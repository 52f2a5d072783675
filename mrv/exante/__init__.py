"""
Ex-ante estimates of planned systems: their types, and the estimate of each id.

An estimate is never a claim: it is stored as `expected` of a project and compared with the meters
later.  Reductions follow from the equation of the methodology.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from importlib import import_module
from types import MappingProxyType
from typing import Any, Literal

from mrv.errors import MethodologyError
from mrv.methodologies import compute, filled
from mrv.methodologies import load as methodologies
from mrv.model import Factors, Methodology, Reductions
from mrv.parameters import ChoiceSpec, Inputs, ParameterSpec, Spec, read
from mrv.registry import programme_systems as systems

__all__ = ["Assumption", "Estimate", "Flag", "Outcome", "estimate", "find", "load"]

# files of this folder with a model of their own, which declare `ESTIMATE`
_MODELS = ("pv", "ev_bus")


@dataclass(frozen=True, slots=True)
class Flag:
    """
    An inconsistency in a plan; `text` names the values and the remedy.

    Severity `impossible`: no plant can have these values; `check`: the value needs review.
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

    `energy_kwh`: None if the system generates no electricity, or an unknown amount.  `reductions`:
    None if that amount is unknown.  `uncertainty_percent`: one standard deviation.  `withheld`: why
    the result cannot be used as `expected`.  `figures`: further results, with the unit in the name.
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
    """Yield every simple input with the value used; `values`: inputs given by the user."""
    for key, item in spec.items():
        if key not in inputs:
            continue
        if isinstance(item, ParameterSpec):
            # a default has the certainty of its source; a value from the plan has none
            certainty = "" if key in values else item.certainty.strip("[]")
            yield Assumption(key, inputs[key], item.unit, key in values, item.source, certainty)
        elif isinstance(item, ChoiceSpec):
            yield Assumption(key, inputs[key], "", key in values, item.source, "")


def load() -> Mapping[str, Estimate]:
    """Return estimates by id: systems with their own model, then every methodology."""
    own = [import_module(f"{__name__}.{name}").ESTIMATE for name in _MODELS]
    every = {m.id: _of_methodology(m) for m in methodologies().values()}
    return MappingProxyType({e.id: e for e in own} | every)


def find(identifier: str) -> Estimate:
    """
    Return the ex-ante estimate of an id.

    Raises MethodologyError if the id is unknown; lists the known ones.
    """
    known = load()
    system = systems.load().get(identifier)
    if identifier not in known and system is not None:
        raise MethodologyError(
            f"{identifier} is a system; "
            + (
                f"estimate one of {', '.join(system.methods)}"
                if system.methods
                else f"it has no tonnes to estimate: {system.reason}"
            )
        )
    if identifier not in known:
        raise MethodologyError(
            f"there is no estimate {identifier!r}; known: {', '.join(known)}; a "
            "system without a methodology has no tonnes to estimate"
        )
    return known[identifier]


def estimate(item: Estimate, value: object, factors: Factors, where: str) -> Outcome:
    """
    Return the estimate of a planned system from JSON inputs.

    Raises MethodologyError or FactorError as `mrv.methodologies.evaluate` raises.
    """
    inputs = filled(item.inputs, read(item.inputs, value, where), factors)
    stated = set(value) if isinstance(value, Mapping) else set()
    outcome = item.compute(inputs, factors, where)
    return replace(outcome, assumptions=tuple(assumptions(item.inputs, inputs, stated)))


def _of_methodology(methodology: Methodology) -> Estimate:
    def run(inputs: Inputs, factors: Factors, where: str) -> Outcome:
        result = compute(methodology, inputs, factors, where)
        return Outcome(
            method=methodology.id, energy_kwh=None, reductions=result, figures=result.extra
        )

    return Estimate(
        methodology.id,
        methodology.title,
        methodology.reference,
        f"The planned year's activity in the equation of {methodology.id}.\n\n{methodology.notes}",
        methodology.inputs,
        run,
    )
