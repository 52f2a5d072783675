"""
Quantities that a project measures apart and that have to agree: gas and its COD, fuel and its air.

Where they do not, a parameter counts by the most that agrees, if that leaves less, and a condition
says so, with what it costs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

from mrv.accounting.period_result import Finding
from mrv.accounting.unmeasured import AGREED, rounded
from mrv.model import Factors, Methodology
from mrv.parameters.inputs import Inputs
from mrv.rounding import decimal_text

RULE = "PAR-08"
_PLACES = 6


def agreed(
    methodology: Methodology,
    parameters: Inputs,
    how: Mapping[str, str],
    inputs: Callable[[Inputs], Mapping[int, Inputs]],
    reduction: Callable[[Inputs], Fraction],
    factors: Factors,
) -> tuple[Inputs, dict[str, str], list[Finding]]:
    """
    Return the parameters that agree, how each was come by, and what did not agree.

    Parameters
    ----------
    inputs : callable
        Of each year, with some parameters.
    reduction : callable
        What the period comes to with some parameters. [tCO2e]
    """
    used, told, said = parameters, dict(how), list[Finding]()
    for one in methodology.agreement:
        of, before = inputs(used), used
        found = {y: f for y in of if (f := one.test(of[y], factors)) is not None}
        for name, value in (item for _, most in found.values() for item in most.items()):
            less = {**used, name: rounded(value, methodology.parameters[name])}
            if reduction(less) < reduction(used):
                used, told[name] = less, AGREED
        if found:
            detail = "; ".join(f"{y}: {text}" for y, (text, _) in found.items())
            if used is not before:
                cost = reduction(before) - reduction(used)
                detail += f". It costs {decimal_text(cost, _PLACES, 'up')} t"
            said.append(Finding(RULE, False, f"{one.clause}: {detail}"))
    return used, told, said
