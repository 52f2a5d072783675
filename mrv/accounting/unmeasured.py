"""
What a methodology monitors and how it was come by: channels, a laboratory, nothing.

A parameter that the plant's own analysers or a laboratory measured counts by what they
found; where both did, by the one that leaves less.  One that nobody measured counts by the
bound that costs the claimant, or by the registry's constant where that costs more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import ceil, floor

from mrv.model import Methodology
from mrv.parameters.inputs import Inputs
from mrv.parameters.specs import ParameterSpec
from mrv.registry.project import Measured
from mrv.rounding import exact_text

# of a mean that is no decimal number
_SCALE = 10**9
AGREED = "the most that agrees with what else was metered"
LABORATORY = "laboratory results"
SHOWN = "the least that the metered quantities show"
UNMEASURED = "nobody measured it, and the bound that costs counts"
GIVEN = "the registry's, which is the lower"
CONSTANT = "nobody measured it, and the registry's constant costs more than the bound"


def rounded(value: Fraction, spec: ParameterSpec) -> Fraction:
    """
    Return a mean as a decimal that a statement can show: nine places, against the claimant.

    One of fewer places stays as it is.
    """
    scaled = value * _SCALE
    up = spec.side == "project" and not spec.lower_of
    return Fraction(ceil(scaled) if up else floor(scaled), _SCALE)


def settled(
    methodology: Methodology,
    parameters: Inputs,
    laboratory: Mapping[str, Fraction],
    channels: Mapping[str, Measured],
    reduction: Callable[[Inputs], Fraction],
) -> tuple[Inputs, dict[str, str]]:
    """
    Return the parameters that count, and in words how each was come by.

    Parameters
    ----------
    laboratory : mapping of str to Fraction
        Means of the period's samples, in the methodology's units.
    channels : mapping of str to Measured
        By the plant's own channels.
    reduction : callable
        What the period comes to with some parameters. [tCO2e]
    """
    used, told = dict(parameters), dict[str, str]()
    asked = {n: s for n, s in methodology.parameters.items() if s.unmeasured is not None}
    known = {
        name: _known(name, spec, parameters, laboratory, channels) for name, spec in asked.items()
    }
    for name, spec in asked.items():
        used[name] = next(iter(known[name].values()), _bound(spec, used))
    for name, spec in asked.items():
        choices = known[name]
        if not choices:
            choices = {UNMEASURED: _bound(spec, used)}
            # what goes out is at most what comes in, whatever the registry says
            if name in parameters and spec.unmeasured not in used:
                choices[CONSTANT] = Fraction(parameters[name])
        outcome = {how: reduction({**used, name: value}) for how, value in choices.items()}
        told[name] = min(outcome, key=outcome.__getitem__)
        used[name] = choices[told[name]]
    return used, told


def raised_to(
    methodology: Methodology,
    parameters: Inputs,
    told: Mapping[str, str],
    shown: Mapping[str, Fraction],
) -> tuple[Inputs, dict[str, str], list[str]]:
    """
    Return the parameters, none below what the metered quantities show of it.

    Parameters
    ----------
    told : mapping of str to str
        As `settled` returns it.
    shown : mapping of str to Fraction
        Least of a parameter, by the methodology's `shown`.

    Returns
    -------
    parameters, told, beyond : Inputs, dict, list of str
        The last says which were below.
    """
    used, words, beyond = dict(parameters), dict(told), list[str]()
    for name, least in shown.items():
        value, spec = rounded(least, methodology.parameters[name]), methodology.parameters[name]
        if used[name] < value:
            beyond.append(
                f"{name} = {exact_text(Fraction(used[name]))} {spec.unit} ({told[name]}) is less"
                f" than the metered quantities show, {exact_text(value)}, which counts"
            )
            used[name], words[name] = value, SHOWN
    return used, words, beyond


def _known(
    name: str,
    spec: ParameterSpec,
    parameters: Inputs,
    laboratory: Mapping[str, Fraction],
    channels: Mapping[str, Measured],
) -> dict[str, Fraction]:
    """What was measured of a parameter, by the words for it."""
    found = {}
    if name in laboratory:
        found[LABORATORY] = laboratory[name]
    if name in channels:
        found[channels[name].told] = channels[name].value
    if found and spec.lower_of and name in parameters:
        found[GIVEN] = Fraction(parameters[name])
    return found


def _bound(spec: ParameterSpec, used: Inputs) -> Fraction:
    """What costs: a number, or what another parameter is."""
    bound = spec.unmeasured or "0"
    return Fraction(used[bound]) if bound in used else Fraction(bound)
