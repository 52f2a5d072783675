"""Whether a plant is as its registered design says, and its reduction within the estimate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from fractions import Fraction
from typing import TYPE_CHECKING

from mrv.accounting.period_result import PeriodResult
from mrv.accounting.rounded_figures import DESIGN, exceeds, in_force
from mrv.calendar import local_date
from mrv.methodologies import find
from mrv.parameters.inputs import exact
from mrv.quantity_text import plain_text
from mrv.registry.declared import Design, Event
from mrv.signatures.organisations import stem
from mrv.texts import Text, Value, text

if TYPE_CHECKING:
    from mrv.statement.plan_extract import MonitoringPlan

# a shorter period has its season
_YEAR_US = 350 * 86_400_000_000
# by how much the rated power may be off that of an estimate [%, M]
_OFF_CAPACITY = 10
# full-load hours of a year: of PV in the sunniest places with trackers [M], of anything
_SUN, _SUN_H, _YEAR_H = "pv_inverter", 2_800, 8_784


def as_designed(plan: MonitoringPlan, result: PeriodResult) -> Iterator[Text]:
    """Say where a plant differs from its registered design, and is above its estimate."""
    days = (
        local_date(result.from_us, result.timezone),
        local_date(result.to_us - 1, result.timezone),
    )
    design = plan.declared.design
    if design is not None:
        yield from _equipment(plan, design)
        yield from _phases(design, days[1])
    yield from _full_load(plan)
    yield from _capacity(plan, result)
    if not any(_explains(one, days) for one in plan.declared.events):
        yield from _above(result)


def _equipment(plan: MonitoringPlan, design: Design) -> Iterator[Text]:
    """Compare the project's devices with the equipment of the design, where it names any."""
    named = {(stem(one.make), stem(one.model)): one for one in design.devices}
    held: dict[tuple[str, str], list[str]] = {}
    for device in sorted({one.device for one in plan.project.devices}):
        maker, model = plan.meters.get(device, (None, None))
        if named and maker and model:
            held.setdefault((stem(maker), stem(model)), []).append(device)
    for key, devices in held.items():
        maker, model = plan.meters[devices[0]]
        of: dict[str, Value] = {"make": maker or "", "model": model or "", "design": design.version}
        if key not in named:
            yield text("PLN-01.not_designed", devices=tuple(devices), **of)
        elif len(devices) != named[key].number:
            number = named[key].number
            yield text("PLN-01.other_number", held=len(devices), number=number, **of)


def _full_load(plan: MonitoringPlan) -> Iterator[Text]:
    """Say where the energy that is expected of a year is more than the plant can give in one."""
    devices = {one.id: (one.class_id, one.rated_power_w) for one in plan.devices}
    bound = ((one.role, *devices[one.device]) for one in plan.project.devices)
    counted = [one for one in bound if not plan.energy or one[0] in plan.energy]
    method = plan.project.methodology, plan.project.version
    found = over_full_load(*method, plan.project.expected.get("energy_kwh_per_year"), counted)
    if found is not None:
        yield found


def _capacity(plan: MonitoringPlan, result: PeriodResult) -> Iterator[Text]:
    """Say where the plant has another rated power than the estimate of its last day is of."""
    span = result.from_us, result.to_us, result.timezone
    estimate, _, _ = in_force(plan.project.expected, span)[-1]
    stated = estimate.get("capacity_kw")
    if stated is None:
        return
    roles = find(plan.project.methodology, plan.project.version).roles
    rated = {one.id: one.rated_power_w for one in plan.devices}
    there = [
        rated[one.device]
        for one in plan.project.devices
        if roles[one.role].unit == "Wh" and roles[one.role].side == "baseline"
        and one.from_us < result.to_us and (one.to_us is None or one.to_us >= result.to_us)
    ]  # fmt: skip
    held = Fraction(sum(watt or 0 for watt in there), 1000)
    if None not in there and abs(held - exact(stated, "capacity_kw")) * 100 > _OFF_CAPACITY * held:
        begin = str(estimate["from"])
        yield text("PLN-01.capacity", begin=begin, capacity=str(stated), held=plain_text(held, 3))


def over_full_load(
    methodology: str, version: str, expected: object, devices: Iterable[tuple[str, str, int | None]]
) -> Text | None:
    """
    Return what is wrong with an estimate that its plant cannot give in a year; None if it can.

    Parameters
    ----------
    expected : object
        Energy of a year, as the registry states it; None where it states none. [kWh]
    devices : iterable of (role, class, rated power)
        Meters of the project; those that make energy count. [W]
    """
    roles = find(methodology, version).roles
    rated = [
        (kind, power)
        for role, kind, power in devices
        if roles[role].unit == "Wh" and roles[role].side == "baseline"
    ]
    watt = sum(power or 0 for _, power in rated)
    if expected is None or not watt or any(power is None for _, power in rated):
        return None
    most = _SUN_H if all(kind == _SUN for kind, _ in rated) else _YEAR_H
    hours = exact(expected, "energy_kwh_per_year") * 1000 / watt
    if hours <= most:
        return None
    values = {"energy": str(expected), "hours": plain_text(hours, 0), "power": str(watt)}
    return text("PLN-01.full_load", **values, most=most)


def _phases(design: Design, last: date) -> Iterator[Text]:
    """Name phases that are later than planned, without a reason."""
    for phase in design.phases:
        done = phase.commissioned if phase.commissioned and phase.commissioned <= last else None
        if phase.reason or (done or last) <= phase.planned:
            continue
        of: dict[str, Value] = {"phase": phase.name, "planned": str(phase.planned)}
        if done:
            yield text("PLN-01.phase_late", **of, commissioned=str(done))
        else:
            yield text("PLN-01.phase_open", **of)


def _explains(one: Event, days: tuple[date, date]) -> bool:
    """Whether an event with its document explains a reduction above the estimate of these days."""
    return one.what == "increase" and bool(one.document) and one.covers(None, *days)


def _above(result: PeriodResult) -> Iterator[Text]:
    if result.to_us - result.from_us < _YEAR_US:
        return
    for one in result.comparisons:
        if one.basis == DESIGN and exceeds(one.what, one.difference_percent):
            yield text(
                "PLN-01.above_estimate", expected=one.expected, actual=one.actual,
                percent=str(one.difference_percent),
            )  # fmt: skip
