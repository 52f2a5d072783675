"""Panels of PV plants, calculated from the account: yields, losses by cause, one plant's days."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.figures.account import Account, Figures, kwh


def yields(
    a: Account, since: datetime, until: datetime
) -> list[tuple[str, Decimal, Decimal | None]]:
    """
    Return inverter, energy and, with a known nameplate, yield of each
    day before today. [kWh, h]
    """
    wanted = a.device_days(since, until)
    return [
        (
            device,
            kwh(total),
            kwh(total) / (Decimal(a.devices[device]["dc"]) / 1000)
            if a.devices[device]["dc"]
            else None,
        )
        for device in a.of_class("pv_inverter")
        for day, rows in a.amount_days[device, "energy_export"].items()
        if wanted(device, day) and day < a.now.astimezone(a.devices[device]["zone"]).date()
        for total in [sum(r.value for r in rows)]
    ]


def pv_losses(a: Account, since: datetime, until: datetime) -> dict[tuple[str, date], Any]:
    """
    Return an inverter's losses on a day (standstill, rating, other), and
    its expectation. [kWh]
    """
    key = "pv_losses", since, until
    if key not in a.kept:
        a.kept[key] = _pv_losses(a, since, until)
    return a.kept[key]


def _pv_losses(a: Account, since: datetime, until: datetime) -> dict[tuple[str, date], Any]:
    wanted = a.device_days(since, until)
    found = {}
    for device in a.of_class("pv_inverter"):
        one = a.devices[device]
        if one["dc"] is None or one["gamma"] is None:
            continue
        steps: dict[date, list[tuple[float, ...]]] = defaultdict(list)
        rows_of = a.suns[device]
        # the last one counts as long as one counts at most
        ends = [later for later, *_ in rows_of[1:]] + [datetime.max.replace(tzinfo=UTC)]
        for (at, sun, module, power), later in zip(rows_of, ends, strict=False):
            hours = min((later - at).total_seconds(), 900) / 3600
            day = at.astimezone(one["zone"]).date()
            steps[day].append((hours, max(sun, 0.0), module - 25, power))
        for day, rows in a.amount_days[device, "energy_export"].items():
            if not wanted(device, day) or day >= a.now.astimezone(one["zone"]).date():
                continue
            lit = sum(h for h, sun, *_ in steps[day] if sun > 50)
            insolation = sum(h * sun for h, sun, *_ in steps[day])
            if lit < 8 or insolation <= 500:
                continue
            gain = one["dc"] / 1e6 * (1 - 0.1408) * 0.96
            warmth = sum(h * sun * degrees for h, sun, degrees, _ in steps[day])
            whole = gain * (insolation + warmth * float(one["gamma"]) / 100)
            full = [s for s in steps[day] if s[3] >= 0.98 * one["rated"]]
            clipped = sum(h * sun for h, sun, *_ in full) / insolation * whole
            clipped = max(0.0, clipped - sum(h * power for h, _, _, power in full) / 1000)
            stood = sum(h * sun for h, sun, _, power in steps[day] if sun >= 100 and power <= 0)
            stood *= whole / insolation
            energy = float(kwh(sum(r.value for r in rows)) or 0)
            expected = whole - clipped
            found[device, day] = stood, clipped, max(0.0, expected - energy - stood), expected
    return found


def losses_by_day(a: Account, since: datetime, until: datetime) -> Figures:
    """Return the same of all inverters, by day and cause."""
    found: dict[str, tuple[float, ...]] = {}
    for (_, day), parts in pv_losses(a, since, until).items():
        before = found.get(str(day), (0.0, 0.0, 0.0))
        found[str(day)] = tuple(x + y for x, y in zip(before, parts[:3], strict=True))
    return found


def losses(tonnes: bool, a: Account, since: datetime, until: datetime) -> Figures:
    """Return the losses of an inverter in total, or as tonnes of its project. [t]"""
    found: dict[str, float | None] = defaultdict(float)
    for (device, _), parts in pv_losses(a, since, until).items():
        found[device] += sum(parts[:3])
    if not tonnes:
        return found
    rates = {device: rate_of(a, device) for device in found}
    return {d: None if rates[d] is None else lost * rates[d] for d, lost in found.items()}


def rate_of(a: Account, device: str) -> float | None:
    """Return the tonnes per kilowatt hour of an inverter, by its project's last 28 days."""
    for project in a.serving([device]):
        days = {
            day: sum(r.reduction for r in rows if r.device == device)
            for day, rows in a.days[project].items()
            if any(r.device == device for r in rows)
        }
        last = [day for day in days if day > max(days) - timedelta(days=28)]
        energy = sum(r.value for day in last for r in a.amount_days[device, "energy_export"][day])
        if energy:
            return sum(days[day] for day in last) / 1e12 / (energy / 1000)
    return None


def yield_a_day(a: Account, since: datetime, until: datetime) -> float | None:
    """Return the mean yield of inverters' days. [h]"""
    found = [y for _, _, y in yields(a, since, until) if y is not None]
    return float(sum(found)) / len(found) if found else None


def last_week(which: int, a: Account, since: datetime, until: datetime) -> Figures:
    """Return energy or mean yield of each inverter over the days that began in the last eight."""
    del since, until
    found: dict[str, list[Decimal]] = {d: [] for d in a.of_class("pv_inverter")}
    for device, *values in yields(a, a.now - timedelta(days=8) + timedelta(microseconds=1), a.now):
        if values[which] is not None:
            found[device].append(values[which])
    return {
        d: None if not v else float(sum(v)) / (len(v) if which else 1) for d, v in found.items()
    }
