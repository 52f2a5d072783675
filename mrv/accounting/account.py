"""
Interval quantities to emissions as they arrive (the hot path).

Rows of an additive methodology are exact.  The others are a live view in which
each row is rounded against the claimant; the period's statement is computed
from exact sums instead.  Gaps and late calibrations are the period's business.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from ingest.model import Int32, Int64, IntervalRows
from mrv.accounting.device_bindings import key
from mrv.accounting.emission_rows import Bindings, EmissionRows
from mrv.methodologies import reduction
from mrv.rounding import Rates


def account(rows: IntervalRows, bindings: Bindings) -> EmissionRows:
    """
    Emissions of interval rows; rows that serve no project give none.

    Parameters
    ----------
    rows : IntervalRows, n
        Values not negative, [Wh, m, ...]; any order.
    bindings : Bindings
        Compiled for the fleet whose indices `rows` carry.

    Returns
    -------
    EmissionRows, at most n, in the order of `rows`
    """
    row, segment = _matches(rows, bindings)
    value = rows.value[row]
    source = bindings.source[segment]
    baseline = _scaled(bindings.baseline, value, source, "down")
    project = _scaled(bindings.emitted, value, source, "up")
    leakage = _scaled(bindings.leakage, value, source, "up")
    withheld = _scaled(bindings.withheld, value, source, "up")
    return EmissionRows(
        project=bindings.project[segment],
        device=rows.device[row],
        start_us=rows.start_us[row],
        baseline_ug=baseline,
        project_ug=project,
        leakage_ug=leakage,
        reduction_ug=reduction(baseline, project, leakage) - withheld,
        source=source,
    )


def _matches(rows: IntervalRows, bindings: Bindings) -> tuple[Int64, Int64]:
    """Row numbers that serve a project, and the segment of each."""
    if len(bindings.begin) == 0 or len(rows) == 0:
        nothing = np.empty(0, dtype=np.int64)
        return nothing, nothing
    wanted = key(rows.device.astype(np.int64), rows.quantity.astype(np.int64), rows.start_us)
    segment = np.searchsorted(bindings.begin, wanted, side="right") - 1
    serves = (segment >= 0) & (wanted < bindings.end[segment])
    row = np.flatnonzero(serves)
    return row, segment[row]


def _scaled(rates: Rates, value: Int64, source: Int32, mode: Literal["down", "up"]) -> Int64:
    if not rates.any:
        return np.zeros(len(value), dtype=np.int64)
    return rates.apply(value, source, mode)
