"""
Power of a project's pieces, held against the electricity that the same device measures.

The project's emissions of lamps are hours times a power that somebody typed.  Where a group's
controller measures its electricity beside its hours, and that is more than count times power times
the hours that count, by more than a twentieth of a part of about four weeks, the larger of the two
counts: all that the controller measured, its own standby too.  Both are compared where both are
known.  Hours whose electricity nobody knows then take the mean power that the group showed while
it was on.  A part without hours is asked nothing.  A rule of tonne's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from math import ceil, prod

import numpy as np
from numpy.typing import NDArray

from ingest.model import INTERVAL_US, Int64
from mrv.accounting.device_period import Monitored
from mrv.accounting.device_results import Pricing, beyond_typed
from mrv.accounting.own_electricity import ROOM, serving, short, unknown_time, watts, without_lost
from mrv.accounting.period_result import Finding, ParameterUse
from mrv.accounting.service_history import WEEKS
from mrv.calendar import utc_text
from mrv.model import MEASURED
from mrv.registry.project import Drawn
from mrv.rounding import decimal_text, exact_sum, exact_text

RULE = "MTR-12"
_S_PER_HOUR = 3600
_WH_PER_KWH = 1000
_SHOWN = 3
_PLACES = 6
_SCALE = 10**9


@dataclass(frozen=True, slots=True)
class _Part:
    """
    About four weeks of a device: its electricity and, by group, its time of operation.

    `measured` is all of its electricity, `burning` that of intervals in which a group was on,
    both where hours and electricity are known. [Wh]  `told` is the time that counts, `known`
    what of it has its electricity known. [s]
    """

    begin: int
    end: int
    measured: int
    burning: int
    told: tuple[int, ...]
    known: tuple[int, ...]


def as_measured(
    monitored: Sequence[Monitored], drawn: Mapping[str, Drawn], edges: Sequence[int]
) -> list[Monitored]:
    """
    Return the devices, each with the power that its own electricity shows where that is more.

    Parameters
    ----------
    drawn : mapping of str to Drawn
        By device.
    edges : sequence of int
        Of the stretches. [interval numbers]
    """
    found = list(monitored)
    for name, energy in drawn.items():
        places = [
            i for i, m in enumerate(found)
            if m.device.id == name and m.needs.draws and any(m.counted(p) for p in m.parts)
        ]  # fmt: skip
        held = _held([found[i] for i in places], energy, edges) if places else []
        for i, one in zip(places, held, strict=True):
            found[i] = one
    return found


def _held(some: Sequence[Monitored], energy: Drawn, edges: Sequence[int]) -> list[Monitored]:
    """Hold the groups of one device against its electricity."""
    parts = [*_parts(some, energy, edges)]
    typed = any(watts(one) for one in some)
    # a power of 0 says nothing of how the groups share it: their pieces do
    weights = [watts(one) if typed else _pieces(one) for one in some]
    by_s = Fraction(int(typed), _S_PER_HOUR)
    more = [Fraction(0) for _ in some]
    texts = list[str]()
    for part in parts:
        total = _weighed(part.told, weights)
        computed = _weighed(part.known, weights) * by_s
        beyond = part.measured - computed
        if not total or beyond <= ROOM * total * by_s:
            continue
        for i, weight in enumerate(weights):
            more[i] += beyond * part.told[i] * weight / total
        begin, end = (utc_text(edge * INTERVAL_US) for edge in (part.begin, part.end))
        texts.append(
            f"{begin} to {end}: it measured {short(Fraction(part.measured, _WH_PER_KWH))} kWh, and"
            f" its hours take {short(computed / _WH_PER_KWH)} kWh at {_names(some[0])}"
        )
    if not texts:
        return list(some)
    rate = _rate(parts, weights) - by_s
    for part in parts if rate > 0 else ():
        for i, weight in enumerate(weights):
            more[i] += (part.told[i] - part.known[i]) * weight * rate
    return [_raised(one, extra, texts) for one, extra in zip(some, more, strict=True)]


def _rate(parts: Sequence[_Part], weights: Sequence[Fraction]) -> Fraction:
    """
    Return the electricity of a weighed second, by the time in which it is known. [Wh]

    Where that is less than half of the hours, standby of many days would stand over few hours:
    then electricity of the time in which the lamps were on alone.
    """
    told, known = (
        sum(_weighed(t, weights) for t in times)
        for times in zip(*((part.told, part.known) for part in parts), strict=True)
    )
    used = sum(part.measured if 2 * known >= told else part.burning for part in parts)
    return Fraction(used) / known if known else Fraction(0)


def _raised(one: Monitored, more: Fraction, texts: Sequence[str]) -> Monitored:
    """Return a group with the power that it takes with so much more electricity. [Wh]"""
    _, names = one.needs.draws or ("", ())
    served = sum((one.counted(part) for part in one.parts), start=Fraction(0)) * _pieces(one)
    if not served or not more:
        return one
    power = Fraction(one.params[names[-1]]) + more * _S_PER_HOUR / _WH_PER_KWH / served
    rounded = Fraction(ceil(power * _SCALE), _SCALE)
    return replace(one, shown={names[-1]: rounded}, told=tuple(texts))


def _parts(some: Sequence[Monitored], energy: Drawn, edges: Sequence[int]) -> Iterator[_Part]:
    weeks = len(edges) - 1
    count = max(1, weeks // WEEKS)
    for first, last in pairwise(weeks * k // count for k in range(count + 1)):
        begin, end = np.searchsorted(energy.number, [edges[first], edges[last]])
        number, value = energy.number[begin:end], energy.value[begin:end]
        kept = serving(some, number) & without_lost(some, number)
        number, value = number[kept], value[kept]
        on = value[_on(some, number)]
        told = [sum(s.value for s in m.stretches[first:last]) for m in some]
        beside = [unknown_time(m, number, edges[first], edges[last]) for m in some]
        yield _Part(
            edges[first],
            edges[last],
            exact_sum(value) if len(value) else 0,
            exact_sum(on) if len(on) else 0,
            tuple(told),
            tuple(max(0, t - u) for t, u in zip(told, beside, strict=True)),
        )


def _on(some: Sequence[Monitored], number: Int64) -> NDArray[np.bool_]:
    """Say in which intervals a group was on."""
    found = np.zeros(len(number), dtype=np.bool_)
    for one in some:
        if one.series is not None:
            at = number - one.service.first
            inside = (at >= 0) & (at < len(one.series))
            found[inside] |= one.series[at[inside]] > 0
    return found


def _weighed(times: Sequence[int], weights: Sequence[Fraction]) -> Fraction:
    return sum((t * w for t, w in zip(times, weights, strict=True)), start=Fraction(0))


def _pieces(one: Monitored) -> Fraction:
    """Return how many pieces a group has: all that its power is multiplied by."""
    _, names = one.needs.draws or ("", ())
    return prod((Fraction(one.params[n]) for n in names[:-1]), start=Fraction(1))


def _names(one: Monitored) -> str:
    _, names = one.needs.draws or ("", ())
    return " and ".join(f"{n} = {short(Fraction(one.params[n]))}" for n in names)


def measured_powers(monitored: Sequence[Monitored], pricing: Pricing) -> list[Finding]:
    """Say which devices measured more than their power was typed to be, and what that costs."""
    told = []
    for one in monitored:
        for name, value in one.shown.items():
            unit = one.needs.params[name].unit
            more = f"; and {len(one.told) - _SHOWN} more" if len(one.told) > _SHOWN else ""
            told.append(
                f"{one.device.id}, {'; '.join(one.told[:_SHOWN])}{more}: the electricity counts,"
                f" {name} = {short(value)} {unit} in the mean, which costs"
                f" {decimal_text(beyond_typed(one, pricing), _PLACES, 'up')} t; correct"
                f" {' or '.join((one.needs.draws or ('', ()))[1])} by a dated document, and give"
                " what else this meter feeds a meter of its own"
            )
    return [Finding(RULE, False, ". ".join(told))] if told else []


def shown_powers(monitored: Sequence[Monitored]) -> Iterator[ParameterUse]:
    """Return the powers that counted in place of typed ones, as parameters of a statement."""
    for one in monitored:
        for name, value in one.shown.items():
            spec = one.needs.params[name]
            yield ParameterUse(
                device=one.device.id,
                name=MEASURED + name,
                symbol=spec.symbol,
                value=exact_text(value),
                unit=spec.unit,
                meaning=f"{spec.meaning}, by the electricity that the device measured",
                source="import register of the device",
                certainty="R",
                option="C",
            )
