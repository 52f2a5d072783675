"""
Unverified default factors: a project says by name which of them it accepts.

A factor of certainty [M] was never compared with the text that it is cited
from.  `parameters.accept_factors` of a project lists the ids of those that it
takes nevertheless.  A statement says of each such factor whether it did, and holds
the condition `RULE` unmet where it did not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mrv.errors import MethodologyError
from mrv.model import Factor, Methodology
from mrv.parameters.inputs import Inputs, read

KEY = "accept_factors"
FROM_MEMORY = "M"
RULE = "FAC-02"


def accepted(parameters: Mapping[str, Any], where: str) -> frozenset[str]:
    """
    Return ids of the factors that a project accepts.

    Raises
    ------
    MethodologyError
        If they are no list of texts.
    """
    names = parameters.get(KEY, [])
    if not isinstance(names, list | tuple) or not all(isinstance(n, str) for n in names):
        raise MethodologyError(
            f"{where}: {KEY} = {names!r} must be a list of factor ids, such as"
            " [jcm-vn-am007-case-1]"
        )
    return frozenset(names)


def parameters_of(methodology: Methodology, parameters: Mapping[str, Any], where: str) -> Inputs:
    """Read the methodology's own parameters; raises MethodologyError as `inputs.read`."""
    own = {key: value for key, value in parameters.items() if key != KEY}
    return read(methodology.parameters, own, where)


def is_accepted(factor: Factor, names: frozenset[str]) -> bool | None:
    """Whether an unverified factor is accepted; None for one that needs no acceptance."""
    return factor.id in names if factor.certainty == FROM_MEMORY else None


def unaccepted(factors: Iterable[Factor], names: frozenset[str]) -> list[Factor]:
    """Return the unverified factors that a project does not accept."""
    return [factor for factor in factors if is_accepted(factor, names) is False]
