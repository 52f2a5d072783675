"""Unusual readings in a statement: by test, with the quantities concerned."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from fractions import Fraction
from itertools import pairwise

import numpy as np

from ingest.classes import QUANTITY_INDEX
from ingest.model import INTERVAL_US, Int64
from ingest.pipeline.quality_limits import TESTS
from mrv.accounting.period_result import DeviceOutcome
from mrv.calendar import days
from mrv.documents.monitoring import UnusualDays, UnusualReadings
from mrv.rounding import decimal_text, exact_sum
from mrv.statement.evidence_case import Case
from mrv.statement.sampling_units import rate
from mrv.statement.unusual_readings import Unusual

_PLACES = 6


def unusual_out(case: Case) -> tuple[UnusualReadings, ...]:
    """Return the findings of each test, in order; tests without findings are omitted."""
    found = ((test, case.unusual.of(test)) for test in TESTS)
    key = case.rows.device.astype(np.int64) * len(QUANTITY_INDEX) + case.rows.quantity
    return tuple(_test(case, test, one, key) for test, one in found if len(one.interval))


def _test(case: Case, test: str, found: Unusual, key: Int64) -> UnusualReadings:
    energy, emissions = 0, Fraction(0)
    for one in case.result.devices:
        value = _metered(case, one, found, key)
        energy += value if one.unit == "Wh" else 0
        emissions += value * rate(one)
    return UnusualReadings(
        test=test,
        readings=str(exact_sum(found.readings)),
        devices=str(len(np.unique(found.device))),
        quarter_hours=str(len(found.interval)),
        energy_wh=str(energy),
        emissions_t=decimal_text(emissions, _PLACES, "up"),
        days=tuple(_runs(case, found)),
    )


def _runs(case: Case, found: Unusual) -> Iterator[UnusualDays]:
    """Yield runs of successive local days, by device in its order."""
    every = [*days(case.from_us, case.to_us, case.plan.project.timezone)]
    names = {index: name for name, index in case.fleet.by_id.items()}
    edges = [begin for _, begin, _ in every]
    place = np.searchsorted(edges, found.interval * INTERVAL_US, side="right") - 1
    cells, count = np.unique(np.stack([found.device, place]), axis=1, return_counts=True)
    # a run ends where the device changes or a day is left out
    ends = np.flatnonzero((np.diff(cells[0]) != 0) | (np.diff(cells[1]) != 1)) + 1
    for first, last in pairwise([0, *ends.tolist(), cells.shape[1]]):
        device, begin = cells[:, first].tolist()
        until = every[begin + last - first - 1][0] + timedelta(days=1)
        yield UnusualDays(
            device=names[device],
            from_=every[begin][0].isoformat(),
            to=until.isoformat(),
            quarter_hours=str(int(count[first:last].sum())),
        )


def _metered(case: Case, one: DeviceOutcome, found: Unusual, key: Int64) -> int:
    """What a device metered in unusual quarter hours of its service. [base unit]"""
    index, rows = case.fleet.by_id[one.device], case.rows
    first, last = np.searchsorted(found.device, [index, index + 1])
    at = found.interval[first:last] * INTERVAL_US
    at = at[(at >= one.from_us) & (at < one.to_us)]
    if not len(at):
        return 0
    whose = index * len(QUANTITY_INDEX) + QUANTITY_INDEX[one.quantity]
    begin, end = np.searchsorted(key, [whose, whose + 1])
    inside = np.isin(rows.start_us[begin:end], at)
    return exact_sum(rows.value[begin:end][inside])
