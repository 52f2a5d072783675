"""Device-days of a period with reasons for a closer look; see `mrv.statement.sampling`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ingest.classes import QUANTITY_INDEX
from ingest.model import IntervalRows
from mrv.accounting.device_period import Kind
from mrv.accounting.period_result import DeviceOutcome
from mrv.calendar import midnight_us
from mrv.documents.sampling_list import Drawn, SampledDay
from mrv.registry.project import FIRST
from mrv.rounding import exact_sum
from mrv.statement.arrival import Arrivals
from mrv.statement.device_days import local_days
from mrv.statement.evidence_case import Case


@dataclass(frozen=True, slots=True)
class Unit:
    """A device in a role on a local day: metered quantity, weight and reasons."""

    device: str
    role: str
    day: str
    value: int
    unit: str
    weight: int
    reasons: tuple[str, ...]

    def drawn(self, how: Drawn) -> SampledDay:
        """Return the unit as in a sampling list."""
        return SampledDay(
            device=self.device,
            role=self.role,
            day=self.day,
            drawn=how,
            weight=str(self.weight),
            reasons=self.reasons,
            metered=str(self.value),
            unit=self.unit,
        )


class _Days(NamedTuple):
    """Sums of a device's quantity by local day, in the order of the days."""

    value: list[int]
    known_us: list[int]
    estimated_us: list[int]


class _Period(NamedTuple):
    """What all devices share: the days with their edges, what is doubted, bare or unusual."""

    dates: list[date]
    edges: list[int]
    doubted: frozenset[str]
    arrivals: Arrivals
    bare: Mapping[str, list[tuple[int, int]]]
    unusual: frozenset[tuple[int, int]]


def units(case: Case) -> list[Unit]:
    """Return all device-days of a case, by device, role and day."""
    period = _period(case)
    sums = _sums(case.rows, period.edges)
    none = [0] * len(period.dates)
    of = [
        (device, sums.get(_key(case, device), _Days(none, none, none)))
        for device in case.result.devices
    ]
    largest = max((rate(one) * max(days.value) for one, days in of), default=Fraction(0))
    found = [unit for one, days in of for unit in _of_device(case, one, days, period, largest)]
    return sorted(found, key=lambda u: (u.device, u.role, u.day))


def _period(case: Case) -> _Period:
    zone = case.plan.project.timezone
    begins, dates = local_days(case.from_us, case.to_us - 1, zone)
    end = midnight_us(dates[-1] + timedelta(days=1), zone)
    bare: dict[str, list[tuple[int, int]]] = {}
    for charge in case.result.deductions:
        if charge.kind == Kind.CALIBRATION:
            bare.setdefault(charge.device, []).append((charge.start_us, charge.end_us))
    doubted = {d for c in case.result.cross_checks if c.holds is False for d in c.devices}
    edges, arrivals = [*begins.tolist(), end], case.plan.arrivals or {}
    unusual = case.unusual.days(edges) if case.plan.accounting > FIRST else frozenset()
    return _Period(dates, edges, frozenset(doubted), arrivals, bare, unusual)


def rate(device_outcome: DeviceOutcome) -> Fraction:
    """Return emissions of a metered base unit of a device. [t CO2e]."""
    return (
        Fraction(device_outcome.emissions_t) / device_outcome.metered
        if device_outcome.metered
        else Fraction(0)
    )


def _of_device(
    case: Case, device_outcome: DeviceOutcome, days: _Days, period: _Period, largest: Fraction
) -> Iterator[Unit]:
    index = case.fleet.by_id[device_outcome.device]
    swaps = [r.at_us for r in case.fleet.devices[index].replacements]
    for place, day in enumerate(period.dates):
        begin = max(period.edges[place], device_outcome.from_us)
        end = min(period.edges[place + 1], device_outcome.to_us)
        if begin >= end:
            continue
        value = days.value[place]
        came = period.arrivals.get(device_outcome.device, {}).get(day.isoformat())
        reasons = {
            "unknown or missing": 8 * max(0, end - begin - days.known_us[place]) // (end - begin),
            "estimated": 2 * bool(days.estimated_us[place]),
            "no valid certificate": 4
            * any(a < end and b > begin for a, b in period.bare.get(device_outcome.device, ())),
            "meter replaced": 6 * any(begin <= at < end for at in swaps),
            "another witness differs": 4 * (device_outcome.device in period.doubted),
            "arrived late": -(-8 * came.late // came.readings) if came else 0,
            "arrived at once": 2 * bool(came and came.at_once),
            "unusual readings": 3 * ((index, place) in period.unusual),
            "large": int(10 * value * rate(device_outcome) / largest) if largest else 0,
        }
        why = tuple(name for name, points in reasons.items() if points)
        weight = 1 + sum(reasons.values())
        yield Unit(
            device_outcome.device,
            device_outcome.role,
            day.isoformat(),
            value,
            device_outcome.unit,
            weight,
            why,
        )


def _key(case: Case, device_outcome: DeviceOutcome) -> tuple[int, int]:
    return case.fleet.by_id[device_outcome.device], QUANTITY_INDEX[device_outcome.quantity]


def _sums(rows: IntervalRows, edges: list[int]) -> dict[tuple[int, int], _Days]:
    """Sum the rows of each device and quantity by day; rows come by device, quantity, start."""
    count = len(edges) - 1
    sums = {}
    key = rows.device.astype(np.int64) * len(QUANTITY_INDEX) + rows.quantity
    heads = np.flatnonzero(np.append(True, key[1:] != key[:-1])).tolist() if len(key) else []
    known = rows.measured_us + rows.estimated_us
    for begin, end in pairwise([*heads, len(key)]):
        cuts = begin + np.searchsorted(rows.start_us[begin:end], edges)
        sums[int(rows.device[begin]), int(rows.quantity[begin])] = _Days(
            *(
                [exact_sum(column[cuts[i] : cuts[i + 1]]) for i in range(count)]
                for column in (rows.value, known, rows.estimated_us)
            )
        )
    return sums
