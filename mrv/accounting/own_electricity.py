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

from collections.abc import Sequence
from fractions import Fraction
from math import prod

import numpy as np
from numpy.typing import NDArray

from ingest.model import INTERVAL_US, Int64
from mrv.accounting.cuts import Kind
from mrv.accounting.device_period import Monitored
from mrv.rounding import exact_sum

RULE = "MTR-09"
ROOM = Fraction(5, 100)
_S_PER_HOUR = 3600
_WH_PER_KWH = 1000
_SHOWN = 3


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
            for cut in part.cuts:
                if cut.kind is Kind.GAP:
                    edges = cut.start_us // INTERVAL_US, -(-cut.end_us // INTERVAL_US)
                    begin, end = np.searchsorted(number, edges)
                    found[begin:end] = False
    return found


def short(value: Fraction) -> str:
    """Return a figure with as many digits as a condition shows."""
    return f"{float(value):,.6g}"
