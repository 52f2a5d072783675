"""
Consumption on the project's side that a register does not record.

A baseline register must not count too much (`corroborated_energy`); a register of a charger, an
auxiliary or a fuel meter must not count too little.  The integral of power is compared with the
register's rise over each day and over the period.  If it exceeds the rise by the tolerance (two
meters of class 2) and its sampling errors, the integral is applied, without tolerance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from ingest.model import HOUR_US, INTERVAL_US, NULL, Fleet, Float64, Frame, Int64, IntervalRows
from ingest.quality import energy_budget
from ingest.quality.energy_budget import DAY, METERS, SIGMAS, SIGMAS_ALONE, integral
from mrv.accounting.evidenced_time import COVERED
from mrv.accounting.register_scan import Key, Scan, devices_of, register_step, registers
from mrv.calendar import utc_text
from mrv.registry.project import Project, Uncorroborated
from mrv.rounding import exact_sum
from mrv.texts import Text, text

# gauge of a quantity's rate, by class and quantity, and base units per unit of the gauge and hour
_RATES = {("fuel_meter", "flow"): ("rate_l_h", 1000)}
# possible resolutions of a gauge [W, mL/h]
_ROUNDED = {"Wh": (1000.0, 100.0, 10.0), "mL": (1000.0, 100.0, 10.0)}
_STARTING = 0.001
# minimum number of samples of an integral; tolerance for binary fractions of a step
_MIN_SAMPLES, _BINARY = 2, 1e-6
# maximum factor by which sampling errors are enlarged to their scatter against the register
_MAX_SCATTER = 2.0
# a longer register step is distributed over days, so it states nothing about single days
_SPREAD_US = 2 * HOUR_US


class _Channel(NamedTuple):
    """Register on the project side and the gauge of its rate, in base units per hour."""

    quantity: str
    unit: str
    register: str
    tolerance: int
    gauge: str
    scale: int


class Unreported(NamedTuple):
    """Quantity of a gauge above its register, and the share of time that it corroborates."""

    more: Uncorroborated | None
    share: Fraction


@dataclass(frozen=True)
class UnreportedUse(Scan):
    """Registers of the project's side with a gauge of their rate, by fleet index."""

    wanted: Mapping[int, tuple[_Channel, ...]]

    @staticmethod
    def of(
        project: Project, fleet: Fleet, rows: IntervalRows, period_us: tuple[int, int]
    ) -> UnreportedUse:
        """Return the registers of a period that are compared with their own gauge."""
        edges = Scan.edges(project, period_us)
        return UnreportedUse(fleet, rows, *edges, _wanted(project, fleet))

    def beyond(self, block: Frame) -> Iterator[tuple[Key, Unreported]]:
        """
        Yield quantities of gauges above their registers, for the devices of a block of readings.

        `block`: whole devices, sorted by device and time.
        """
        none = np.zeros(self.last - self.first, dtype=np.int64)
        for index, of in devices_of(block):
            for channel in self.wanted.get(index, ()):
                more, share = none, Fraction(0)
                reason = text("MTR-04.below_gauge", channel=channel.gauge)
                if channel.gauge:
                    more, share = self._more(block, of, index, channel)
                    reason = self._repetition_reason(block, of, channel, more) or reason
                hidden = none if share >= COVERED else self._hidden(block, of, index, channel)
                if exact_sum(hidden) > exact_sum(more):
                    more, reason = hidden, text("MTR-04.exchanged")
                at = np.flatnonzero(more)
                if len(at) or share:
                    result = Uncorroborated(reason, self.first + at, more[at]) if len(at) else None
                    yield (
                        (self.fleet.devices[index].id, channel.quantity),
                        Unreported(result, share),
                    )

    def _repetition_reason(
        self, block: Frame, of: slice, channel: _Channel, more: Int64
    ) -> Text | None:
        """Return the reason of an excess mainly in one run of repeated readings; else None."""
        columns: Any = (block.columns[name][of] for name in (channel.gauge, channel.register))
        gauge, register = columns
        same = (np.diff(gauge) == 0) & (np.diff(register) == 0) & (gauge[1:] != 0)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], same, [0]]))).reshape(-1, 2)
        times = block.time_us[of][edges].tolist()
        begin, end = max(times, key=lambda span: span[1] - span[0], default=(0, 0))
        first, last = (max(us // INTERVAL_US - self.first, 0) for us in (begin, end))
        if end - begin <= HOUR_US or 2 * exact_sum(more[first:last]) <= exact_sum(more):
            return None
        span = {"begin": utc_text(begin), "end": utc_text(end)}
        return text("MTR-04.repeated", channel=channel.gauge, **span)

    def _hidden(self, block: Frame, of: slice, index: int, channel: _Channel) -> Int64:
        """
        Return by interval the excess of readings that arrived under the name of an interchanged
        register. [base units]
        """
        (value,) = self.laid_out(index, channel.quantity, "value")
        more = np.zeros_like(value)
        for inside, under in self.exchanged(block, of, index, channel.register):
            beyond = under - exact_sum(value[inside])
            if beyond > 0:
                more[inside] = in_whole_units(np.ones(len(more[inside])), float(beyond))
        return more

    def _more(
        self, block: Frame, of: slice, index: int, channel: _Channel
    ) -> tuple[Int64, Fraction]:
        """Return the excess of the gauge's integral by interval, and the share that agrees."""
        none = np.zeros(self.last - self.first, dtype=np.int64), Fraction(0)
        gauge: Any = block.columns[channel.gauge][of]
        register: Any = block.columns[channel.register][of]
        times, step = block.time_us[of], register_step(register, channel.tolerance)
        read, known = np.isfinite(gauge), register != NULL
        if np.count_nonzero(read) < _MIN_SAMPLES or not known.any():
            return none
        rate = gauge[read] * channel.scale
        rated = self.fleet.devices[index].rated_power_w if channel.unit == "Wh" else None
        rate = np.where(rate < _STARTING * (rated or 0), 0.0, rate)
        at_us = times[read]
        gauged = integral(at_us, rate, at_us, self.first, self.last)
        names = "value", "measured_us", "estimated_us"
        value, measured_us, estimated_us = self.laid_out(index, channel.quantity, *names)
        whole = measured_us + estimated_us == INTERVAL_US
        # 1.5 times the usual time between samples; at least 15 minutes, at most an hour
        longest_us = min(max(int(np.median(np.diff(at_us))) * 3 // 2, INTERVAL_US), HOUR_US)
        seen = gauged.known & whole & ~self.longer(at_us, longest_us)
        if not seen.any():
            return none
        rounded = _resolution(np.abs(rate[rate != 0]), _ROUNDED[channel.unit])
        allowed = np.where(gauged.energy_wh > 0, 0.5 * rounded * INTERVAL_US / HOUR_US, 0.0)
        sums = (value.astype(np.float64), gauged.energy_wh, gauged.variance, allowed)
        ours, theirs, variance, off = (np.where(seen, some, 0.0) for some in sums)
        scatter = energy_budget.scatter(value, gauged.energy_wh, seen, np.zeros_like(seen), step)
        both = _Compared(ours, theirs, variance, off, step).off_by(scatter)
        spread = self.longer(times[known], _SPREAD_US)
        more = max(
            (both.of_period(), both.of_days(self.into_day, spread)), key=lambda some: some.sum()
        )
        if not both.corroborated():
            return more, Fraction(0)
        return more, Fraction(int(np.count_nonzero(seen)), int(np.count_nonzero(whole)))


class _Compared(NamedTuple):
    """Rise of a register and quantity of its gauge by interval; 0 where not compared."""

    value: Float64
    by_power: Float64
    variance: Float64
    rounded: Float64
    step: float

    def off_by(self, scatter: float) -> _Compared:
        """
        Return the comparison with its sampling errors multiplied to fit the scatter of both series.

        The factor is 1 to `_MAX_SCATTER`.
        """
        error = float(np.sqrt(self.variance.sum()))
        times = min(max(scatter / error, 1.0), _MAX_SCATTER) if error > 0 else 1.0
        return self._replace(variance=self.variance * times**2)

    def corroborated(self) -> bool:
        """Return whether the gauge's integral agrees with the register, within their tolerance."""
        value, gauged = float(self.value.sum()), float(self.by_power.sum())
        doubt = SIGMAS * np.sqrt(self.variance.sum()) + self.step + self.rounded.sum()
        return gauged > 0 and value <= (1 + METERS) * gauged + doubt

    def of_period(self) -> Int64:
        """
        Return the gauge's excess over the whole period, distributed over its intervals. [base
        units]
        """
        more = float(self.by_power.sum() - self.value.sum())
        doubt = METERS * self.value.sum() + SIGMAS * np.sqrt(self.variance.sum())
        if more <= doubt + self.step + self.rounded.sum():
            return np.zeros(len(self.value), dtype=np.int64)
        return in_whole_units(np.maximum(self.by_power - self.value, 0.0), more)

    def of_days(self, into_day: int, spread: np.ndarray) -> Int64:
        """
        Return the gauge's excess on single days, by interval. [base units]

        The register's excess on other days is deducted; the rest is distributed over the intervals
        of the days with an excess of the gauge.
        """
        edges = into_day, -(into_day + len(self.value)) % DAY

        def by_day(of: Float64) -> Float64:
            days: Float64 = np.pad(of, edges).reshape(-1, DAY).sum(axis=1)
            return days

        value, gauged, variance, rounded = (by_day(column) for column in self[:4])
        doubt = SIGMAS_ALONE * np.sqrt(variance) + self.step + rounded
        judged = by_day(spread.astype(np.float64)) == 0
        short = judged & (gauged > (1 + METERS) * value + doubt)
        caught = value > (1 + METERS) * gauged + doubt
        more = float((gauged - value)[short].sum() - (value - gauged)[caught].sum())
        if more <= 0:
            return np.zeros(len(self.value), dtype=np.int64)
        of_short = np.repeat(short, DAY)[edges[0] : edges[0] + len(self.value)]
        return in_whole_units(
            np.where(of_short, np.maximum(self.by_power - self.value, 0.0), 0.0), more
        )


def in_whole_units(weights: Float64, total: float) -> Int64:
    """Return a total distributed by weights in whole units; their sum is rounded up."""
    running = np.ceil(np.cumsum(weights) * (total / weights.sum()) - 1e-6).astype(np.int64)
    result: Int64 = np.diff(running, prepend=0)
    return result


def _resolution(values: Float64, steps: Sequence[float]) -> float:
    """Return the largest of `steps` of which all values are multiples; 0 if there is none."""
    for step in steps:
        off = np.abs(values / step - np.round(values / step))
        if not len(values) or float(off.max()) < _BINARY:
            return step
    return 0.0


def _wanted(project: Project, fleet: Fleet) -> dict[int, tuple[_Channel, ...]]:
    channels: dict[int, dict[str, _Channel]] = {}
    for register in registers(project, fleet):
        needs, channel = register.needs, register.channel
        crossed = any(
            channel.name in (exchange.channel, exchange.other)
            for exchange in fleet.devices[register.index].exchanged
        )
        if needs.side != "project" or (needs.unit not in _ROUNDED and not crossed):
            continue
        gauge, scale = channel.power, channel.direction
        if needs.unit != "Wh":
            gauge, scale = _RATES.get((register.class_id, needs.quantity), (None, 0))
        if gauge is not None or crossed:
            channels.setdefault(register.index, {})[channel.name] = _Channel(
                needs.quantity, needs.unit, channel.name, channel.tolerance, gauge or "", scale
            )
    return {index: tuple(of.values()) for index, of in channels.items()}
