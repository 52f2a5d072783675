"""
Ex-ante estimates of planned systems.

An estimate is never a claim: it is stored as `expected` of a project and compared with the meters
later.  Reductions follow from the equation of the methodology.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from mrv.errors import MethodologyError
from mrv.exante import ev_bus, pv
from mrv.exante.model import Estimate, Outcome, assumptions
from mrv.methodologies import compute, filled
from mrv.methodologies import load as methodologies
from mrv.model import Factors, Methodology
from mrv.parameters import Inputs, read
from mrv.registry import programme_systems as systems

__all__ = ["estimate", "find", "load"]


def load() -> Mapping[str, Estimate]:
    """Return estimates by id: systems with their own model, then every methodology."""
    own = (pv.ESTIMATE, ev_bus.ESTIMATE)
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
    """Return the estimate of a methodology."""

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
