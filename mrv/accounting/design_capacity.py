"""
What a plant delivers, held against what it was built for.

A flow, a mass or a load that only the plant's own meters tell may be claimed too high by all of
them together: water and gas, COD and gas, a scale before a line that no meter follows.  What
bounds it then is the design capacity, which stands in the plant's licence or design and is
fixed ex ante.  Each stretch of about a week counts no more than its days at capacity; above it
the capacity counts, and a condition does not hold.  Below a fifth of it over the whole period
the condition says that the capacity may not be that of this plant, and what its electricity
carries by design counts.  These are rules of tonne's own.  A day may be above the capacity, as
after rain; a week is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from ingest.model import HOUR_US
from mrv.accounting.device_period import Monitored
from mrv.accounting.period_result import Finding
from mrv.accounting.service_history import electricity
from mrv.accounting.time_in_service import together_us
from mrv.model import Methodology
from mrv.parameters.inputs import Inputs, rounded
from mrv.service_bounds import Capacity, Consumption

RULE = "MTR-07"
LEAST_LOAD = Fraction(1, 5)
# shares of the design's electricity below which a load is no more than that carries, and below
# which a condition says so: a plant that is built for storm water has stronger water when it is dry
_CARRIED, _SURE = Fraction(2, 3), Fraction(19, 20)
BUILT_FOR = "the most that the plant was built for"
CARRIED = "what its electricity carries by the design"
_DAY_US = 24 * HOUR_US
_LONGEST_YEAR = 366
_SHOWN = 3


def too_large(
    monitored: Sequence[Monitored],
    methodology: Methodology,
    parameters: Inputs,
    least: Fraction = LEAST_LOAD,
) -> frozenset[str]:
    """
    Return the capacities of which less than a share was delivered: they bound nothing.

    Parameters
    ----------
    monitored : sequence of Monitored
        With the sums and times of each stretch.
    least : Fraction
        That share.
    """
    return frozenset(
        one.parameter
        for one in methodology.capacities
        if not one.of
        and one.parameter in parameters
        and (delivered := _delivered(serving(monitored, one)))
        and delivered < least * at_capacity(serving(monitored, one), one, parameters)
    )


def _delivered(there: Sequence[Monitored]) -> int:
    return sum(s.value for m in there for s in m.stretches)


def at_capacity(there: Sequence[Monitored], one: Capacity, parameters: Inputs) -> Fraction:
    """Return what a plant delivers at its capacity in the time of its meters. [base units]"""
    whole = sum(s.time_us for m in there for s in m.stretches) if one.each else _time(there)
    return Fraction(parameters[one.parameter]) * one.base_units * Fraction(whole, _DAY_US)


def _time(there: Sequence[Monitored]) -> int:
    """Return the time of a plant's meters together. [us]"""
    first = min((m.service.first for m in there), default=0)
    last = max((m.service.first + m.service.intervals for m in there), default=0)
    return together_us(there, first, last)


def within_load(
    monitored: Sequence[Monitored],
    methodology: Methodology,
    parameters: Inputs,
    reduction: Callable[[Inputs], Fraction],
    *,
    analysed: frozenset[str] = frozenset(),
) -> tuple[Inputs, dict[str, str], list[Finding]]:
    """
    Count no more of a parameter than the plant's design leaves for what was delivered.

    That is the strength of what came in, by the design load and by the electricity that such a
    load takes, and the service of earlier years.

    Parameters
    ----------
    monitored : sequence of Monitored
        What counts, by device, with its time in each stretch.
    reduction : callable
        What the period comes to with some parameters. [tCO2e]
    analysed : frozenset of str
        Parameters that laboratories told, with the hashes of their reports.

    Returns
    -------
    parameters, told, conditions : Inputs, dict, list of Finding
        The second says how those were come by that count otherwise now.
    """
    used, how, said = parameters, dict[str, str](), list[Finding]()
    for one in methodology.capacities:
        used, above = _years_within(methodology, one, used, reduction)
        if above:
            how |= dict.fromkeys(above, BUILT_FOR)
            years = f"{subject(methodology, one)}, earlier years"
            said.append(Finding(RULE, False, f"{years}: {'; '.join(above.values())}"))
        served = sum(
            (m.counted(p) for m in serving(monitored, one) for p in m.parts), start=Fraction(0)
        )
        if not one.of or not used.get(one.of) or served <= 0 or one.parameter not in parameters:
            continue
        time_us = _time(serving(monitored, one))
        most = parameters[one.parameter] * one.base_units * Fraction(time_us, _DAY_US)
        load, told = served * used[one.of], []
        if load > most:
            spec = methodology.parameters[one.of]
            less = {**used, one.of: rounded(most / served, spec)}
            rate = _told(parameters[one.parameter] * load / most)
            told.append(
                f"{rate} {_unit(methodology, one)}, and the plant was built for"
                f" {_told(parameters[one.parameter])}: {one.of} counts as {_told(less[one.of])}"
                f" {spec.unit}, which is {BUILT_FOR}"
            )
            if reduction(less) < reduction(used):
                used, how[one.of] = less, BUILT_FOR
        elif load < LEAST_LOAD * most:
            told.append(foreign(methodology, one, parameters[one.parameter] * load / most))
        powered, more = _powered(
            monitored, methodology, one, used, served, analysed=one.of in analysed
        )
        told += more
        if reduction(powered) < reduction(used):
            used, how[one.of] = powered, CARRIED
        said.append(_found(methodology, one, told, ""))
    return used, how, said


def consumption_of(methodology: Methodology, one: Capacity) -> Consumption | None:
    """Return what a plant's service takes of electricity; None where nobody knows."""
    return next(
        (c for c in methodology.consumptions if c.by_design and {*c.serves} >= {*one.serves}), None
    )


def _powered(
    monitored: Sequence[Monitored],
    methodology: Methodology,
    one: Capacity,
    used: Inputs,
    served: Fraction,
    *,
    analysed: bool,
) -> tuple[Inputs, list[str]]:
    """
    Hold a load against the electricity that the design takes for it; what counts, what is said.

    Rain thins what comes in, and neither load nor electricity follows.  Stronger water that a
    laboratory found is believed as long as its pumps moved it.
    """
    taken = consumption_of(methodology, one)
    flow = next((c for c in methodology.capacities if not c.of and c.serves == one.serves), None)
    if taken is None or flow is None:
        return used, []
    names = flow.parameter, one.parameter, taken.by_design
    if not all(used.get(name) for name in names):
        return used, []
    water, strength, rate = (Fraction(used[name]) for name in names)
    power = electricity(monitored, taken)
    load, carried = served * used[one.of], power * strength * taken.per_base / (rate * water)
    if carried >= _SURE * load:
        return used, []
    share = f"{float(100 - 100 * carried / load):.1f} %"
    said = (
        f"{share} of the load are more than {_told(power / served * taken.per_base)}"
        f" {taken.unit} carry by the design"
    )
    moved = power * taken.per_base >= _CARRIED * rate * served
    if carried >= _CARRIED * load or (analysed and moved):
        return used, [f"{said}; it counts"]
    spec = methodology.parameters[one.of]
    less = {**used, one.of: rounded(carried / served, spec)}
    counts = f"{one.of} counts as {_told(less[one.of])} {spec.unit}, which is {CARRIED}"
    return less, [f"{said}: {counts}"]


def _years_within(
    methodology: Methodology, one: Capacity, used: Inputs, reduction: Callable[[Inputs], Fraction]
) -> tuple[Inputs, dict[str, str]]:
    """Count no more of an earlier year than it has days at capacity; what is said of each."""
    told = {}
    for name in one.years:
        if name not in used or one.parameter not in used:
            continue
        most = Fraction(used[one.parameter]) * _LONGEST_YEAR
        if used[name] <= most:
            continue
        unit = methodology.parameters[name].unit
        told[name] = (
            f"{name} = {_told(Fraction(used[name]))} {unit} is more than a year at"
            f" {one.parameter}, {_told(most)}, which counts"
        )
        less = {**used, name: most}
        if reduction(less) < reduction(used):
            used = less
    return used, told


def serving(monitored: Sequence[Monitored], one: Capacity) -> list[Monitored]:
    """Return the meters of what a capacity bounds."""
    return [m for m in monitored if m.bound.role in one.serves]


def foreign(methodology: Methodology, one: Capacity, rate: Fraction) -> str:
    """Say that little of a capacity was delivered, so that it bounds nothing."""
    return (
        f"{_told(rate)} {_unit(methodology, one)} are less than a fifth of"
        f" {one.parameter}, which bounds nothing then: what its electricity carries by design"
        " counts; if it is not the capacity of this plant, or a unit is wrong, correct it"
    )


def _found(methodology: Methodology, one: Capacity, told: Sequence[str], said: str) -> Finding:
    said = said or "; ".join(told)
    return Finding(RULE, not told, f"{subject(methodology, one)}: {said}" if said else "")


def subject(methodology: Methodology, one: Capacity) -> str:
    """Return what a capacity is of."""
    return methodology.parameters[one.parameter].meaning


def _unit(methodology: Methodology, one: Capacity) -> str:
    return methodology.parameters[one.parameter].unit


def _told(value: Fraction) -> str:
    return f"{float(value):.4g}"
