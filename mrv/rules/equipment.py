"""
Rules MTR-12 and MTR-13: power and efficiency of equipment, measured by its own meters.

Power (MTR-12): emissions of lamps are calculated as hours times an entered power.  If a group's
controller measures more than a twentieth above number times power times hours, in a part of about
four weeks, all of the measured electricity is charged, including standby.  Both are compared in the
time in which both are known; hours without known electricity have the group's mean power while on.
A part without hours is not compared.

Efficiency (MTR-13): the baseline of efficient equipment is its electricity times the ratio of two
entered efficiencies, of project and reference equipment.  If a device measures its output, such as
the cooling of a chiller, and its measured efficiency is far below the entered one, the measured one
is applied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor, prod

import numpy as np
from numpy.typing import NDArray

from ingest.model import HOUR_US, INTERVAL_US, Int64
from mrv.accounting.device_period import AbovePower, Kind, Monitored
from mrv.accounting.device_results import Pricing, beyond_entered
from mrv.accounting.period_result import ParameterUse
from mrv.calendar import local_span
from mrv.model import MEASURED, Methodology
from mrv.parameters import Inputs, ParameterSpec
from mrv.registry.project import Drawn
from mrv.rounding import decimal_text, exact_sum, exact_text, figure, six_places
from mrv.rules.metering import months
from mrv.texts import Text, text

ROOM = Fraction(5, 100)
_S_PER_HOUR = 3600
_WH_PER_KWH = 1000
# ratio of measured to entered efficiency above which the data sheet may be correct
MIN_SHARE_OF_POWER = Fraction(2, 3)
# minimum share of the electricity in the compared time
_KNOWN = Fraction(1, 2)
_DAY = 24 * HOUR_US // INTERVAL_US
_SCALE = 10**9


def serving(meters: Sequence[Monitored], number: Int64) -> NDArray[np.bool_]:
    """Return a mask of intervals in which at least one of the groups is installed."""
    result = np.zeros(len(number), dtype=np.bool_)
    for meter in meters:
        result |= (number >= meter.service.first) & (number < meter.service.last)
    return result


def watts(monitored: Monitored) -> Fraction:
    """Return the power of a device's group by the registry. [W]"""
    _, names = monitored.needs.draws or ("", ())
    return prod((Fraction(monitored.params[n]) for n in names), start=Fraction(1)) * _WH_PER_KWH


def unknown_time(monitored: Monitored, number: Int64, begin: int, end: int) -> int:
    """Return the time of operation in intervals [begin, end) that are not in `number`. [s]"""
    at = np.arange(monitored.service.first, monitored.service.first + len(monitored.service.value))
    beside = (at >= begin) & (at < end) & ~np.isin(at, number)
    return exact_sum(monitored.service.value[beside]) if beside.any() else 0


def without_lost(meters: Sequence[Monitored], number: Int64) -> NDArray[np.bool_]:
    """Return a mask of intervals in which every device's quantity is known."""
    result = np.ones(len(number), dtype=np.bool_)
    for meter in meters:
        for part in meter.parts:
            for cut in part.cuts:
                if cut.kind is Kind.GAP:
                    edges = cut.start_us // INTERVAL_US, -(-cut.end_us // INTERVAL_US)
                    begin, end = np.searchsorted(number, edges)
                    result[begin:end] = False
    return result


@dataclass(frozen=True, slots=True)
class _Part:
    """
    Part of about four weeks of a device: its electricity and, by group, its time of operation.

    `measured`: electricity in the time in which hours and electricity are known; `burning`: the
    part of `measured` in intervals with a group on. [Wh]
    `counted`: counted time of operation; `known`: the part of `counted` with known electricity. [s]
    """

    begin: int
    end: int
    measured: int
    burning: int
    counted: tuple[int, ...]
    known: tuple[int, ...]


def with_measured_power(
    monitored: Sequence[Monitored], drawn: Mapping[str, Drawn], edges: Sequence[int]
) -> list[Monitored]:
    """
    Return the devices with their measured power in place of a lower entered one.

    `drawn`: electricity by device.  `edges`: edges of the weeks. [interval numbers]
    """
    meters = list(monitored)
    for name, energy in drawn.items():
        places = [
            i for i, m in enumerate(meters)
            if m.device.id == name and m.needs.draws and any(p.counted for p in m.parts)
        ]  # fmt: skip
        groups = _compared([meters[i] for i in places], energy, edges) if places else []
        for i, meter in zip(places, groups, strict=True):
            meters[i] = meter
    return meters


def _compared(meters: Sequence[Monitored], energy: Drawn, edges: Sequence[int]) -> list[Monitored]:
    """
    Return the groups of a device, with more power if the device used more electricity
    than entered.
    """
    parts = [*_parts(meters, energy, edges)]
    entered = any(watts(meter) for meter in meters)
    # if the entered power is 0, the numbers of pieces are the weights
    weights = [watts(meter) if entered else _pieces(meter) for meter in meters]
    by_s = Fraction(int(entered), _S_PER_HOUR)
    more = [Fraction(0) for _ in meters]
    above = list[AbovePower]()
    for part in parts:
        total = _weighed(part.counted, weights)
        computed = _weighed(part.known, weights) * by_s
        beyond = part.measured - computed
        if not total or beyond <= ROOM * total * by_s:
            continue
        for i, weight in enumerate(weights):
            more[i] += beyond * part.counted[i] * weight / total
        span_us = part.begin * INTERVAL_US, part.end * INTERVAL_US
        above.append(AbovePower(span_us, part.measured, computed))
    if not above:
        return list(meters)
    rate = _rate(parts, weights) - by_s
    for part in parts if rate > 0 else ():
        for i, weight in enumerate(weights):
            more[i] += (part.counted[i] - part.known[i]) * weight * rate
    return [_raised(meter, extra, above) for meter, extra in zip(meters, more, strict=True)]


def _rate(parts: Sequence[_Part], weights: Sequence[Fraction]) -> Fraction:
    """
    Return the electricity per weighted second of operation, in the time in which it is known. [Wh]

    If the electricity of less than half of the hours is known, standby is excluded, as the standby
    of many days would be divided by few hours.
    """
    counted, known = (
        sum(_weighed(t, weights) for t in times)
        for times in zip(*((part.counted, part.known) for part in parts), strict=True)
    )
    used = sum(part.measured if 2 * known >= counted else part.burning for part in parts)
    return Fraction(used) / known if known else Fraction(0)


def _raised(monitored: Monitored, more: Fraction, above: Sequence[AbovePower]) -> Monitored:
    """Return a group with its power increased by `more` electricity. [Wh]"""
    _, names = monitored.needs.draws or ("", ())
    served = monitored.counts * _pieces(monitored)
    if not served or not more:
        return monitored
    power = Fraction(monitored.params[names[-1]]) + more * _S_PER_HOUR / _WH_PER_KWH / served
    rounded = Fraction(ceil(power * _SCALE), _SCALE)
    return replace(monitored, measured={names[-1]: rounded}, above_power=tuple(above))


def _parts(meters: Sequence[Monitored], energy: Drawn, edges: Sequence[int]) -> Iterator[_Part]:
    for first, last in months(edges):
        begin, end = np.searchsorted(energy.number, [edges[first], edges[last]])
        number, value = energy.number[begin:end], energy.value[begin:end]
        kept = serving(meters, number) & without_lost(meters, number)
        number, value = number[kept], value[kept]
        on = value[_on(meters, number)]
        counted = [sum(s.value for s in m.stretches[first:last]) for m in meters]
        unknown = [unknown_time(m, number, edges[first], edges[last]) for m in meters]
        yield _Part(
            edges[first],
            edges[last],
            exact_sum(value) if len(value) else 0,
            exact_sum(on) if len(on) else 0,
            tuple(counted),
            tuple(max(0, t - u) for t, u in zip(counted, unknown, strict=True)),
        )


def _on(meters: Sequence[Monitored], number: Int64) -> NDArray[np.bool_]:
    """Return a mask of intervals in which at least one group was on."""
    result = np.zeros(len(number), dtype=np.bool_)
    for meter in meters:
        at = number - meter.service.first
        inside = (at >= 0) & (at < len(meter.service.value))
        result[inside] |= meter.service.value[at[inside]] > 0
    return result


def _weighed(times: Sequence[int], weights: Sequence[Fraction]) -> Fraction:
    return sum((t * w for t, w in zip(times, weights, strict=True)), start=Fraction(0))


def _pieces(monitored: Monitored) -> Fraction:
    """Return the number of pieces in a group; the group's power is this number times a piece's."""
    _, names = monitored.needs.draws or ("", ())
    return prod((Fraction(monitored.params[n]) for n in names[:-1]), start=Fraction(1))


def above_power(
    monitored: Sequence[Monitored], pricing: Pricing, timezone: str
) -> tuple[Text, ...]:
    """Return texts on devices that measure more power than entered, each with its effect."""
    texts = list[Text]()
    for meter in monitored:
        device = meter.device.id
        _, names = meter.needs.draws or ("", ())
        entered = tuple(f"{name} = {figure(Fraction(meter.params[name]), 6)}" for name in names)
        for name, value in meter.measured.items():
            values = {"value": figure(value, 6), "unit": meter.needs.params[name].unit}
            cost = six_places(beyond_entered(meter, pricing))
            texts.append(text("MTR-12.applied", device=device, parameter=name, cost=cost, **values))
            texts += [
                text(
                    "MTR-12.measured", device=device, entered=entered,
                    measured=decimal_text(Fraction(part.measured_wh, _WH_PER_KWH), 3, "up"),
                    computed=decimal_text(part.entered_wh / _WH_PER_KWH, 3, "up"),
                    **local_span(part.span_us, timezone),
                )
                for part in meter.above_power
            ]  # fmt: skip
    return tuple(texts)


def measured_powers(monitored: Sequence[Monitored]) -> Iterator[ParameterUse]:
    """Yield measured powers applied in place of entered ones, as parameters of a statement."""
    by = "the electricity that the device measured", "import register of the device"
    for meter in monitored:
        for name, value in meter.measured.items():
            yield _measured_use(meter.device.id, name, meter.needs.params[name], value, *by)


@dataclass(frozen=True, slots=True)
class Performance:
    """A measured performance that replaces the entered one, and a text on each device's output."""

    name: str
    value: Fraction
    texts: tuple[Text, ...]

    def counted(self, parameters: Inputs) -> Inputs:
        """Return the project's parameters, with the measured performance if it is applied."""
        return {**parameters, self.name: self.value} if self.texts else parameters

    def reported(
        self, parameters: Inputs, reduction: Callable[[Inputs], Fraction]
    ) -> tuple[Text, ...]:
        """Return texts on devices that perform below the entered value, each with its effect."""
        if not self.texts:
            return ()
        cost_t = reduction(parameters) - reduction(self.counted(parameters))
        applied = text(
            "MTR-13.applied", parameter=self.name, value=figure(self.value, 6),
            cost=six_places(max(cost_t, Fraction(0))),
        )  # fmt: skip
        return (applied, *self.texts)

    def uses(self, methodology: Methodology) -> Iterator[ParameterUse]:
        """Yield the measured performance as a parameter of the statement."""
        if not self.texts:
            return
        spec = methodology.parameters[self.name]
        by = "what the devices delivered", "registers of the devices"
        yield _measured_use(None, self.name, spec, self.value, *by)


def _measured_use(
    device: str | None, name: str, spec: ParameterSpec, value: Fraction, by: str, source: str
) -> ParameterUse:
    """Return a measured value that replaces an entered one, as a parameter of the statement."""
    return ParameterUse(
        device=device,
        name=MEASURED + name,
        symbol=spec.symbol,
        value=exact_text(value),
        unit=spec.unit,
        meaning=f"{spec.meaning}, by {by}",
        source=source,
        certainty="R",
        option="C",
    )


def performing(
    monitored: Sequence[Monitored], parameters: Inputs, drawn: Mapping[str, Drawn]
) -> Performance:
    """
    Return the performance measured by the devices' meters, if far below the entered one.

    `drawn`: delivered energy by device.
    """
    delivering = [m for m in monitored if m.needs.delivers]
    texts, whole, weighed = list[Text](), Fraction(0), Fraction(0)
    for meter in delivering:
        _, name, reference = meter.needs.delivers or ("", "", "")
        entered = value = Fraction(parameters[name])
        measured = _ratio(meter, drawn[meter.device.id]) if meter.device.id in drawn else None
        counted = meter.counts
        if measured is not None and measured < MIN_SHARE_OF_POWER * entered and counted:
            value = min(entered, max(measured, Fraction(parameters[reference])))
            texts.append(
                text(
                    "MTR-13.delivered", device=meter.device.id, measured=figure(measured, 6),
                    parameter=name, entered=figure(entered, 6),
                )
            )  # fmt: skip
        whole, weighed = whole + counted, weighed + counted * value
    if not texts:
        return Performance("", whole, ())
    _, name, _ = delivering[0].needs.delivers or ("", "", "")
    return Performance(name, Fraction(floor(weighed / whole * _SCALE), _SCALE), tuple(texts))


def _ratio(monitored: Monitored, delivered: Drawn) -> Fraction | None:
    """Return a device's output divided by its electricity [1]; None if too few data are known."""
    at = delivered.number - monitored.service.first
    kept = (
        (at >= 0)
        & (at < len(monitored.service.value))
        & without_lost([monitored], delivered.number)
    )
    at, value = at[kept], delivered.value[kept]
    if not len(at):
        return None
    of_day = np.zeros(len(monitored.service.value) // _DAY + 1, dtype=np.int64)
    np.add.at(of_day, at // _DAY, value)
    moved = of_day[at // _DAY] > 0
    used = monitored.service.value[at[moved]]
    total = exact_sum(monitored.service.value)
    known = exact_sum(used) if len(used) else 0
    if not known or known < _KNOWN * total:
        return None
    return Fraction(exact_sum(value[moved]), known)
