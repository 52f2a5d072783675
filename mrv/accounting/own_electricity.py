"""
Hours of operation, held against the electricity that the same device measures.

A lamp that is on takes its power.  Where a group's controller measures its electricity beside its
hours, no more hours count than that carries at the registered count and power of the project's
lamps, in each part of about four weeks, with a twentieth of room for what two registers and the
supply's voltage differ by.  Hours of intervals whose electricity is not known are left to the other
rules.  Lamps that are dimmed take less for the same hours: their `kw_project` is to be their
measured mean power.  A rule of tonne's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from math import prod

import numpy as np
from numpy.typing import NDArray

from ingest.model import INTERVAL_US, Int64
from mrv.accounting.device_period import Monitored
from mrv.accounting.period_result import Finding
from mrv.accounting.service_history import WEEKS, take_off
from mrv.calendar import utc_text
from mrv.registry.project import Drawn
from mrv.rounding import exact_sum

CLAUSE = "tonne: no more hours count than a device's own electricity carries"
ROOM = Fraction(5, 100)
_S_PER_HOUR = 3600
_WH_PER_KWH = 1000
_SHOWN = 3


def within_electricity(
    monitored: Sequence[Monitored], drawn: Mapping[str, Drawn], edges: Sequence[int], timezone: str
) -> tuple[list[Monitored], list[Finding]]:
    """
    Count no more hours of a device than its own electricity carries, and say so.

    Parameters
    ----------
    drawn : mapping of str to Drawn
        By device.
    edges : sequence of int
        Of the stretches. [interval numbers]
    """
    found, told = list(monitored), list[str]()
    for name, energy in drawn.items():
        places = [i for i, m in enumerate(found) if m.device.id == name and m.needs.draws]
        some = [found[i] for i in places]
        told += _held(some, energy, edges, timezone)
        for i, one in zip(places, some, strict=True):
            found[i] = one
    if not told:
        return found, []
    more = f"; and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    text = (
        "; ".join(told[:_SHOWN])
        + f"{more}: give the count of lamps that burn, and for lamps that are dimmed their measured"
        " mean power as kw_project"
    )
    return found, [Finding(CLAUSE, False, text)]


def _held(
    some: list[Monitored], energy: Drawn, edges: Sequence[int], timezone: str
) -> Iterator[str]:
    """Take off what a device's groups tell beyond its electricity; what is said of each part."""
    weeks = len(edges) - 1
    count = max(1, weeks // WEEKS)
    for first, last in pairwise(weeks * k // count for k in range(count + 1)):
        begin, end = np.searchsorted(energy.number, [edges[first], edges[last]])
        number = energy.number[begin:end]
        value = energy.value[begin:end][serving(some, number)]
        wh = exact_sum(value) if len(value) else 0
        told = [Fraction(sum(s.value for s in m.stretches[first:last])) for m in some]
        unknown = [unknown_time(m, number, edges[first], edges[last]) for m in some]
        # groups of one controller share its electricity [W s]
        most = [
            max(Fraction(0), t - u) * watts(m) for m, t, u in zip(some, told, unknown, strict=True)
        ]
        carried = wh * _S_PER_HOUR * (1 + ROOM)
        if not len(number) or sum(most) <= carried:
            continue
        share = 1 - carried / sum(most)
        begin_us, end_us = edges[first] * INTERVAL_US, edges[last] * INTERVAL_US
        for i, one in enumerate(some):
            if not most[i]:
                continue
            kw = watts(one) / _WH_PER_KWH
            hours = most[i] / watts(one) / _S_PER_HOUR
            reason = (
                f"its electricity, {short(Fraction(wh, _WH_PER_KWH))} kWh, carries"
                f" {short(hours * (1 - share) / (1 + ROOM))} h at {short(kw)} kW, of"
                f" {short(hours)} h: that and a twentieth counts"
            )
            excess = hours * _S_PER_HOUR * share
            alone = [one]
            take_off(
                alone, (one.bound.role,), (first, last), begin_us, end_us, excess, reason, timezone
            )
            # a schedule is held against what hour meters tell
            some[i] = replace(alone[0], stretches=one.stretches)
            yield f"{one.device.id}, {utc_text(begin_us)} to {utc_text(end_us)}: {reason}"


def serving(some: Sequence[Monitored], number: Int64) -> NDArray[np.bool_]:
    """Say which intervals are of the time in which one of the groups serves the project."""
    found = np.zeros(len(number), dtype=np.bool_)
    for one in some:
        first = one.service.first
        found |= (number >= first) & (number < first + one.service.intervals)
    return found


def watts(one: Monitored) -> Fraction:
    """Return the power that a device's group takes, by the registry. [W]"""
    _, names = one.needs.draws or ("", ())
    return prod((Fraction(one.params[n]) for n in names), start=Fraction(1)) * _WH_PER_KWH


def unknown_time(one: Monitored, number: Int64, begin: int, end: int) -> int:
    """Return the time of operation in intervals [begin, end) that are none of `number`. [s]"""
    if one.series is None:
        return 0
    at = np.arange(one.service.first, one.service.first + len(one.series))
    beside = (at >= begin) & (at < end) & ~np.isin(at, number)
    return exact_sum(one.series[beside].astype(np.int64)) if beside.any() else 0


def without_lost(some: Sequence[Monitored], number: Int64) -> NDArray[np.bool_]:
    """Say in which intervals the own quantity of each of some devices is known."""
    found = np.ones(len(number), dtype=np.bool_)
    for one in some:
        for part in one.parts:
            for charge in part.gaps:
                edges = charge.gap.start_us // INTERVAL_US, -(-charge.gap.end_us // INTERVAL_US)
                begin, end = np.searchsorted(number, edges)
                found[begin:end] = False
    return found


def short(value: Fraction) -> str:
    """Return a figure with as many digits as a condition shows."""
    return f"{float(value):,.6g}"
