"""
What a plant was built for: its capacity, the load that it takes, the energy that both use.

A flow, a mass or a load that only the plant's own meters report may be claimed too high by all of
them together.  What bounds it is the design capacity, which the plant's licence or design states
and which is fixed ex ante.  Below a fifth of it over the whole period the capacity may not be that
of this plant, and what its electricity carries by design counts.  These are rules of tonne's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

from ingest.model import HOUR_US, INTERVAL_US
from mrv.accounting.device_period import Kind, Monitored
from mrv.accounting.period_result import Finding
from mrv.accounting.time_in_service import together_us
from mrv.errors import PeriodError
from mrv.model import Methodology, Side
from mrv.parameters.inputs import Inputs, rounded
from mrv.registry.project import ProjectDevice
from mrv.rounding import decimal_text, figure
from mrv.service_bounds import Capacity, Consumption
from mrv.texts import Text, text

RULE = "MTR-07"
LEAST_LOAD = Fraction(1, 5)
# shares of the design's electricity below which a load is no more than that carries, and below
# which it is a finding: a plant that is built for storm water has stronger water when it is dry
_CARRIED, _SURE = Fraction(2, 3), Fraction(19, 20)
BUILT_FOR = "the most that the plant was built for"
CARRIED = "what its electricity carries by the design"
# stretches of about a week in a part that is compared with its energy
WEEKS = 4
_TIMES = "time_us", "lost_us"
_DAY_US = 24 * HOUR_US
_LONGEST_YEAR = 366


def energy_roles(methodology: Methodology, bound: Iterable[ProjectDevice]) -> tuple[str, ...]:
    """
    Return the roles that the design's energy is of, where a project meters other energy too.

    What it makes or saves, on the baseline's side, if the methodology meters that; what
    such a plant draws for itself is no part of it.  Empty: all that is metered is of it.
    """
    others = _energies(methodology, "project")
    return _energies(methodology, "baseline") if any(b.role in others for b in bound) else ()


def check_energy(methodology: Methodology, roles: tuple[str, ...]) -> None:
    """Refuse a plan whose design is of other roles' energy than its methodology's; PeriodError."""
    ours = _energies(methodology, "baseline")
    if roles and roles != ours:
        raise PeriodError(
            f"the plan compares the energy of {', '.join(roles)} with its design; with"
            f" {methodology.id} it is that of {', '.join(ours) or 'all meters'}"
        )


def _energies(methodology: Methodology, side: Side) -> tuple[str, ...]:
    roles = methodology.roles.items()
    return tuple(r for r, needs in roles if needs.side == side and needs.unit == "Wh")


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
        Parameters that laboratories found, with the hashes of their reports.

    Returns
    -------
    parameters, how, findings : Inputs, dict, list of Finding
        The second says how those were come by that count otherwise now.
    """
    used, how, found = parameters, dict[str, str](), list[Finding]()
    for one in methodology.capacities:
        used, above = _years_within(methodology, one, used, reduction)
        if above:
            how |= dict.fromkeys(above, BUILT_FOR)
            found.append(Finding(RULE, False, tuple(above.values())))
        served = sum(
            (m.counted(p) for m in serving(monitored, one) for p in m.parts), start=Fraction(0)
        )
        if not one.of or not used.get(one.of) or served <= 0 or one.parameter not in parameters:
            continue
        time_us = _time(serving(monitored, one))
        capacity = Fraction(parameters[one.parameter])
        most = capacity * one.base_units * Fraction(time_us, _DAY_US)
        load, texts = served * used[one.of], list[Text]()
        if load > most:
            spec = methodology.parameters[one.of]
            less = {**used, one.of: rounded(most / served, spec)}
            texts.append(
                text(
                    "MTR-07.load", value=figure(capacity * load / most), most=figure(capacity),
                    load_unit=methodology.parameters[one.parameter].unit, parameter=one.of,
                    counted=figure(less[one.of]), unit=spec.unit,
                )
            )  # fmt: skip
            if reduction(less) < reduction(used):
                used, how[one.of] = less, BUILT_FOR
        elif load < LEAST_LOAD * most:
            texts.append(below_fifth(methodology, one, capacity * load / most))
        powered, more = _powered(
            monitored, methodology, one, used, served, analysed=one.of in analysed
        )
        texts += more
        if reduction(powered) < reduction(used):
            used, how[one.of] = powered, CARRIED
        found.append(Finding(RULE, not texts, tuple(texts)))
    return used, how, found


def consumption_of(methodology: Methodology, one: Capacity) -> Consumption | None:
    """Return what a plant's service takes of electricity; None where that is not known."""
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
) -> tuple[Inputs, list[Text]]:
    """
    Compare a load with the electricity that the design takes for it; what counts, and texts.

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
    values = {
        "percent": decimal_text(100 - 100 * carried / load, 1, "up"),
        "value": figure(power / served * taken.per_base), "unit": taken.unit, "parameter": one.of,
    }  # fmt: skip
    moved = power * taken.per_base >= _CARRIED * rate * served
    if carried >= _CARRIED * load or (analysed and moved):
        return used, [text("MTR-07.load_beyond", **values)]
    spec = methodology.parameters[one.of]
    less = {**used, one.of: rounded(carried / served, spec)}
    counted = {"counted": figure(less[one.of]), "counted_unit": spec.unit}
    return less, [text("MTR-07.load_carried", **values, **counted)]


def _years_within(
    methodology: Methodology, one: Capacity, used: Inputs, reduction: Callable[[Inputs], Fraction]
) -> tuple[Inputs, dict[str, Text]]:
    """Count no more of an earlier year than it has days at capacity; a text of each."""
    above = {}
    for name in one.years:
        if name not in used or one.parameter not in used:
            continue
        most = Fraction(used[one.parameter]) * _LONGEST_YEAR
        if used[name] <= most:
            continue
        above[name] = text(
            "MTR-07.earlier_year", parameter=name, value=figure(Fraction(used[name])),
            unit=methodology.parameters[name].unit, most=figure(most), capacity=one.parameter,
        )  # fmt: skip
        less = {**used, name: most}
        if reduction(less) < reduction(used):
            used = less
    return used, above


def serving(monitored: Sequence[Monitored], one: Capacity) -> list[Monitored]:
    """Return the meters of what a capacity bounds."""
    return [m for m in monitored if m.bound.role in one.serves]


def below_fifth(methodology: Methodology, one: Capacity, rate: Fraction) -> Text:
    """Say that little of a capacity was delivered, so that it bounds nothing."""
    unit = methodology.parameters[one.parameter].unit
    return text("MTR-07.below_fifth", value=figure(rate), unit=unit, parameter=one.parameter)


def used_of(
    one: Monitored, first: int, last: int, span_us: tuple[int, int], of: Consumption, *kinds: Kind
) -> Fraction:
    """
    Quantity of some stretches, with what is charged for lost time and by cuts of some kinds.

    A plant's meter that is lost for less than half of the time used as much then as else: what
    lost time is charged, which is little beside methane, would carry any service.
    """
    rate = one.rate or Fraction(0)
    time, lost = (sum(getattr(s, n) for s in one.stretches[first:last]) for n in _TIMES)
    if of.by_design and 0 < 2 * lost < time:
        known = sum(s.value for s in one.stretches[first:last])
        rate = min(rate, Fraction(known * HOUR_US, time - lost))
    charged = (
        -c.quantity
        for p in one.parts
        for c in p.cuts
        if c.kind in kinds and span_us[0] <= c.start_us < span_us[1]
    )
    metered = (s.value + rate * Fraction(s.lost_us, HOUR_US) for s in one.stretches[first:last])
    return sum((*metered, *charged), start=Fraction(0))


def electricity(monitored: Sequence[Monitored], one: Consumption) -> Fraction:
    """Return what a service used in the whole period, with what is charged for it. [base units]"""
    users = [m for m in monitored if m.bound.role in one.uses]
    begin = min((m.service.first for m in users), default=0) * INTERVAL_US
    end = max((m.service.first + m.service.intervals for m in users), default=0) * INTERVAL_US
    span_us, charged = (begin, end), (Kind.CONSUMPTION, Kind.SERVICE)
    used = (used_of(m, 0, len(m.stretches), span_us, one, *charged) for m in users)
    return sum(used, start=Fraction(0))
