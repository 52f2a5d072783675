"""
Emissions per 15-minute interval, calculated as data arrive, and per local day of a closed period.

A device's emissions are distributed over days by its quantity; others (leakage, base load,
auxiliaries) by time.  The days add up to the period exactly, in micrograms.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from ingest.model import Int32, Int64, IntervalRows
from mrv.calendar import days
from mrv.model import Side
from mrv.rounding import Rates


@dataclass(frozen=True, slots=True)
class EmissionRows:
    """
    Emissions on the 15-minute grid, n rows: one per project, device and interval. [ug CO2e]

    `project` indexes `Bindings.projects`, `source` (methodology and factors)
    `Bindings.sources`, `device` the fleet.
    """

    project: Int32
    device: Int32
    start_us: Int64
    baseline_ug: Int64
    project_ug: Int64
    leakage_ug: Int64
    reduction_ug: Int64
    source: Int32

    def __len__(self) -> int:
        return len(self.start_us)


class Source(NamedTuple):
    """Methodology of a rate, such as `jcm-vn-am007@1.0`, and the ids of its factors."""

    methodology: str
    factors: str


@dataclass(frozen=True, slots=True)
class Bindings:
    """
    Segments of time with a constant rate, n, sorted by `begin`.

    `begin`, `end`: half-open, as sort keys of device, quantity and interval (`live_emissions.key`).
    `project`: index into `projects`. `source`: index into `sources` and into the rates. [ug CO2e
    per base unit] `withheld`: rate of the methodology's own deduction.
    """

    projects: tuple[str, ...]
    sources: tuple[Source, ...]
    begin: Int64
    end: Int64
    project: Int32
    source: Int32
    baseline: Rates
    emitted: Rates
    leakage: Rates
    withheld: Rates


class Sums(NamedTuple):
    """Both sides of an account and the reduction. [ug CO2e]"""

    baseline_ug: int
    project_ug: int
    leakage_ug: int
    reduction_ug: int


class Counted(NamedTuple):
    """A device's emissions on one side: indices of device and quantity, and [ug CO2e]."""

    device: int
    quantity: int
    side: Side
    ug: int


class AccountDay(NamedTuple):
    """A local day of a period, or the part of it within the period. [us UTC, ug CO2e]"""

    day: str
    begin_us: int
    end_us: int
    sums: Sums


def by_day(
    sums: Sums,
    counted: Iterable[Counted],
    rows: IntervalRows,
    from_us: int,
    to_us: int,
    timezone: str,
) -> list[AccountDay]:
    """
    Return a period's account by local day.

    `sums`: emissions of the whole period, exact.
    `counted`: parts that are distributed by a device's quantity; the rest is distributed by time.
    `rows`: interval rows of these devices in the period, in any order.
    `from_us`, `to_us`: half-open. [us UTC]
    """
    each = [
        (day.isoformat(), max(begin, from_us), min(end, to_us))
        for day, begin, end in days(from_us, to_us, timezone)
    ]
    edges = [begin for _, begin, _ in each] + [to_us]
    lengths = [end - begin for begin, end in pairwise(edges)]
    sides: dict[Side, list[int]] = {"baseline": [0] * len(each), "project": [0] * len(each)}
    for item in counted:
        amounts = _by_day(rows, item, edges)
        if any(amounts):
            part = shares(item.ug, amounts)
            sides[item.side] = [a + b for a, b in zip(sides[item.side], part, strict=True)]
    baseline = _with_rest(sides["baseline"], sums.baseline_ug, lengths)
    project = _with_rest(sides["project"], sums.project_ug, lengths)
    leakage = shares(sums.leakage_ug, lengths)
    remaining = [b - p - k for b, p, k in zip(baseline, project, leakage, strict=True)]
    reduction = _reduced(remaining, sums.reduction_ug, lengths)
    return [
        AccountDay(*entry, Sums(*values))
        for entry, *values in zip(each, baseline, project, leakage, reduction, strict=True)
    ]


def shares(total: int, weights: Sequence[int]) -> list[int]:
    """
    Return a whole number divided by weights into whole numbers that add up to it.

    Raises ZeroDivisionError if the sum of the weights is 0.
    """
    whole = sum(weights)
    reached = [total * up_to // whole for up_to in accumulate(weights)]
    return [b - a for a, b in pairwise([0, *reached])]


def _by_day(rows: IntervalRows, counted: Counted, edges: Sequence[int]) -> list[int]:
    """Return a device's counted quantity on each day. [base units]"""
    mine = (rows.device == counted.device) & (rows.quantity == counted.quantity)
    day = np.searchsorted(np.array(edges), rows.start_us[mine], side="right") - 1
    result = np.zeros(len(edges) - 1, dtype=np.int64)
    np.add.at(result, day, rows.value[mine])
    return [int(value) for value in result.tolist()]


def _with_rest(by_devices: Sequence[int], total: int, lengths: Sequence[int]) -> list[int]:
    rest = shares(total - sum(by_devices), lengths)
    return [a + b for a, b in zip(by_devices, rest, strict=True)]


def _reduced(remaining: Sequence[int], total: int, lengths: Sequence[int]) -> list[int]:
    """Return the reduction of each day, so that the days add up to `total`. [ug CO2e]"""
    whole = sum(remaining)
    if whole and (total == 0 or (whole > 0) == (total > 0)):
        return shares(total, remaining)
    return _with_rest(remaining, total, lengths)
