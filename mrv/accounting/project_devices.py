"""The devices that serve a project in a period, each with its own rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ingest.classes import QUANTITY_INDEX
from ingest.model import INTERVAL_US, IntervalRows
from mrv.accounting.device_bindings import Span
from mrv.registry.project import ProjectDevice


def windows(spans: Sequence[Span], period: Span) -> list[Span]:
    """Cut the period at the spans' begins, so that each row belongs to one of them."""
    begins = [period[0], *(begin for begin, _ in spans[1:])]
    return list(zip(begins, [*begins[1:], period[1]], strict=True))


def between(rows: IntervalRows, edges: Span) -> IntervalRows:
    """Return the rows of some intervals, half-open."""
    number = rows.start_us // INTERVAL_US
    return rows.take(np.flatnonzero((number >= edges[0]) & (number < edges[1])))


def grouped(rows: IntervalRows) -> Callable[[int, int], IntervalRows]:
    """Return a look-up of rows by device and quantity, sorted once for all devices."""
    keys = rows.device.astype(np.int64) * len(QUANTITY_INDEX) + rows.quantity
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]

    def look_up(device: int, quantity: int) -> IntervalRows:
        key = device * len(QUANTITY_INDEX) + quantity
        begin, end = np.searchsorted(ordered, [key, key + 1])
        return rows.take(order[begin:end])

    return look_up


def meets(bound: ProjectDevice, period_us: tuple[int, int]) -> bool:
    """Whether a device serves its project in a period."""
    return bound.from_us < period_us[1] and (bound.to_us is None or bound.to_us > period_us[0])
