"""
Values of a parameter from a plant's analysers in a period: COD, methane content.

Days are weighted by flow, as methodologies need loads.  For a day with flow but without readings
the conservative value is applied: zero if the parameter raises the reduction, else the value of the
highest day.  A removal share is calculated from the days on which the inflow was measured.  For
days without a valid certificate the permissible error is applied (`Measured.off`).  This is tonne's
own rule, like that on missing data (mrv/accounting).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest import classes
from ingest.classes import QUANTITY_INDEX
from ingest.model import HOUR_US, INTERVAL_US, Fleet, Frame, Int64, IntervalRows
from mrv.accounting.coverage import role_needs
from mrv.calendar import days
from mrv.methodologies import find
from mrv.parameters import ParameterSpec, rounded
from mrv.registry import Calibration
from mrv.registry.calibration import of_channels, uncovered
from mrv.registry.project import Lit, Loaded, Measured, Project, Silent
from mrv.rounding import plain_text
from mrv.texts import Text, text

Floats = NDArray[np.float64]
# readings are summed as integers, in thousandths of their unit
_SCALE = 1000
# longest time between two readings of a level; time of one aeration (IPCC 2006 Guidelines, volume
# 4, table 5.12: more than three days) [intervals]; some days have 25 hours
_A_DAY, _AERATION = 25 * HOUR_US // INTERVAL_US, 72 * HOUR_US // INTERVAL_US
ZERO = Fraction(0)


class Wanted(NamedTuple):
    """Channels by fleet index, and the starts of the period's local days. [us UTC]"""

    channels: Mapping[int, tuple[str, ...]]
    edges: Int64
    lit: Mapping[int, tuple[str, ...]] = {}


class Gauged(NamedTuple):
    """
    Readings of a device's channel by local day: sum in thousandths, and number.

    `hours`: numbers of the period's hours with a reading, counted since 1970.  `lowest`, `highest`:
    lowest and highest reading of each interval of the period, for a channel that detects a flame.
    """

    total: Int64
    number: Int64
    hours: frozenset[int]
    lowest: Floats | None = None
    highest: Floats | None = None


def wanted(project: Project, fleet: Fleet, from_us: int, to_us: int) -> Wanted:
    """Return the channels that measure a parameter of the project's methodology."""
    result: dict[int, tuple[str, ...]] = {}
    lit: dict[int, tuple[str, ...]] = {}

    def add(to: dict[int, tuple[str, ...]], role: str, channels: Iterable[str]) -> None:
        for device in _serving(project, role):
            index = fleet.by_id[device]
            known = classes.load()[fleet.devices[index].class_id].channels
            more = (c for c in channels if c in known)
            to[index] = tuple(dict.fromkeys((*to.get(index, ()), *more)))

    for spec in _specs(project).values():
        add(result, spec.channels[0], spec.channels[1:])
    for role, levels in _flames(project).values():
        add(result, role, [channel for channel, *_ in levels])
        add(lit, role, [channel for channel, *_ in levels])
    drained = find(project.methodology, project.version).drained
    if drained is not None:
        add(result, drained[0], drained[1:2])
        add(lit, drained[0], drained[1:2])
    ends = [min(end, to_us) for _, _, end in days(from_us, to_us, project.timezone)]
    return Wanted(result, np.array([from_us, *ends], dtype=np.int64), lit)


def gauge(
    block: Frame, device: int, rows: slice, analysers: Wanted
) -> dict[tuple[int, str], Gauged]:
    """
    Return the daily sums of a device's channels, by device index and channel.

    `rows`: rows of the device in the block.
    """
    count = len(analysers.edges) - 1
    gauged = {}
    for channel in analysers.channels.get(device, ()):
        value: Any = block.columns[channel][rows]
        day = np.searchsorted(analysers.edges, block.time_us[rows], side="right") - 1
        inside = (day >= 0) & (day < count) & np.isfinite(value)
        total = np.zeros(count, dtype=np.int64)
        np.add.at(total, day[inside], np.rint(value[inside] * _SCALE).astype(np.int64))
        hours = frozenset(np.unique(block.time_us[rows][inside] // HOUR_US).tolist())
        ends: tuple[Floats, ...] = ()
        if channel in analysers.lit.get(device, ()):
            times, values = block.time_us[rows][inside], value[inside]
            ends = (
                _lowest(times, values, analysers.edges),
                -_lowest(times, -values, analysers.edges),
            )
        number = np.bincount(day[inside], minlength=count)
        gauged[device, channel] = Gauged(total, number, hours, *ends)
    return gauged


def _lowest(time_us: Int64, value: Any, edges: Int64) -> Floats:
    """Return the lowest reading of each interval; without any, the last one of the hour before."""
    first = int(edges[0]) // INTERVAL_US
    result = np.full(-(-int(edges[-1]) // INTERVAL_US) - first, np.inf)
    np.minimum.at(result, time_us // INTERVAL_US - first, value)
    result[np.isinf(result)] = np.nan
    lowest = result.copy()
    for k in range(1, HOUR_US // INTERVAL_US):
        bare = np.isnan(lowest)
        bare[:k] = False
        at = np.flatnonzero(bare)
        lowest[at] = result[at - k]
    return lowest


def flames(
    project: Project,
    fleet: Fleet,
    rows: IntervalRows,
    analysers: Wanted,
    gauged: Mapping[tuple[int, str], Gauged],
    certificates: Mapping[str, Sequence[Calibration]],
) -> dict[str, Lit]:
    """
    Return flow to a flare, and flow with a flame, by parameter. [base units]

    An interval has a flame if every reading is at least the required level, and at most the
    manufacturer's maximum, if known.  For an interval without a reading, the last reading of the
    hour before is used.  Without a valid certificate the levels are tightened by the permissible
    error.

    For rice fields, also return by channel of the water level: the number of fields, the number of
    drained fields, and the ids of the tubes in the other fields.
    """
    first, last = (int(us) // INTERVAL_US for us in (analysers.edges[0], analysers.edges[-1]))
    bench = _Bench(project, fleet, rows, analysers.edges, gauged, certificates)
    lit = {}
    for name, (role, levels) in _flames(project).items():
        flow, with_flame, known = 0, 0, dict[str, None]()
        for device in _serving(project, role):
            number, value = bench.flowed(device, role)
            burning = np.zeros(last - first, dtype=bool)
            for channel, level, hottest in levels:
                item = gauged.get((fleet.by_id[device], channel))
                if (
                    item is None
                    or item.lowest is None
                    or item.highest is None
                    or not item.number.any()
                ):
                    continue
                known[channel] = None
                off = np.zeros(last - first)
                valid = of_channels(certificates.get(device, ()), (channel,))
                for span in uncovered(valid, channel, project.timezone, first, last):
                    off[span.first - first : span.last - first] = float(span.percent) / 100
                above = float(project.parameters.get(hottest, np.inf))
                burning |= (item.lowest[: last - first] >= float(level) * (1 + off)) & (
                    item.highest[: last - first] <= above * (1 - off)
                )
            inside = (number >= first) & (number < last)
            flow += int(value[inside].sum())
            with_flame += int(value[inside][burning[number[inside] - first]].sum())
        if flow:
            lit[name] = Lit(flow, with_flame, tuple(known))
    drained = find(project.methodology, project.version).drained
    return lit if drained is None else lit | {drained[1]: _drained(bench, *drained[:2])}


class _Field(NamedTuple):
    """A rice field: ids of its water-level tubes, intervals with a known level, and the levels."""

    tubes: tuple[str, ...]
    number: Int64
    level: Floats

    @classmethod
    def of(cls, bench: _Bench, device: str, role: str, channel: str) -> _Field:
        """Return the field measured by a single tube."""
        first, last = (int(us) // INTERVAL_US for us in (bench.edges[0], bench.edges[-1]))
        number, _ = bench.flowed(device, role)
        number = number[(number >= first) & (number < last)]
        item = bench.gauged.get((bench.fleet.by_id[device], channel))
        if item is None or item.highest is None:
            return cls((device,), number[:0], np.empty(0))
        level = item.highest[number - first]
        known = np.isfinite(level)
        return cls((device,), number[known], level[known])

    def continues(self, other: _Field) -> bool:
        """Return whether this tube's data begin within a day after those of another field end."""
        both = self.number.size and other.number.size
        return bool(both and 0 < self.number[0] - other.number[-1] <= _A_DAY)

    def after(self, other: _Field) -> _Field:
        """Return another field, continued with the tubes and levels of this one."""
        number = np.concatenate([other.number, self.number])
        return _Field(
            (*other.tubes, *self.tubes), number, np.concatenate([other.level, self.level])
        )

    @property
    def drained(self) -> bool:
        """
        Return whether the level was above the ground, then at or below it for more than three
        days, and above it afterwards.  A dry field before the first flooding is not drained, and
        drainage for the harvest does not count, as no flooding follows.  Readings more than a day
        apart are not connected.
        """
        dry, apart = self.level <= 0, np.diff(self.number) > _A_DAY
        edges = np.flatnonzero((dry[1:] != dry[:-1]) | apart) + 1
        return any(
            dry[a] and not dry[b] and not apart[b - 1] and not dry[:a].all()
            and self.number[b - 1] - self.number[a] >= _AERATION
            for a, b in pairwise([0, *edges])
        )  # fmt: skip


def _drained(bench: _Bench, role: str, channel: str) -> Lit:
    """
    Return the number of fields, the number of drained fields, and the ids of the other fields'
    tubes.
    """
    fields = list[_Field]()
    tubes = (_Field.of(bench, device, role, channel) for device in _serving(bench.project, role))
    for tube in sorted(tubes, key=lambda tube: [*tube.number[:1]]):
        before = next((field for field in fields if tube.continues(field)), None)
        if before is not None:
            fields.remove(before)
        fields.append(tube if before is None else tube.after(before))
    others = [field for field in fields if not field.drained]
    names = tuple(tube for field in others for tube in field.tubes)
    return Lit(len(fields), len(fields) - len(others), names)


def _flames(project: Project) -> dict[str, tuple[str, tuple[tuple[str, str, str], ...]]]:
    specs = find(project.methodology, project.version).parameters
    return {name: spec.lit for name, spec in specs.items() if spec.lit is not None}


def measured(
    project: Project,
    fleet: Fleet,
    rows: IntervalRows,
    analysers: Wanted,
    gauged: Mapping[tuple[int, str], Gauged],
    certificates: Mapping[str, Sequence[Calibration]] = {},
) -> dict[str, Measured]:
    """
    Return the values measured by channels, by parameter, in the methodology's units.

    `rows`: flow of the period, which weights the days.
    `certificates`: certificates by device, limited to the meter in service.
    """
    bench = _Bench(project, fleet, rows, analysers.edges, gauged, certificates)
    result = {name: bench.measured(spec) for name, spec in _specs(project).items()}
    return {name: value for name, value in result.items() if value is not None}


@dataclass(frozen=True)
class _Bench:
    """Data used for all parameters of a period: project, rows, edges of days, readings by day."""

    project: Project
    fleet: Fleet
    rows: IntervalRows
    edges: Int64
    gauged: Mapping[tuple[int, str], Gauged]
    certificates: Mapping[str, Sequence[Calibration]]

    def measured(self, spec: ParameterSpec) -> Measured | None:
        """Return the value of a parameter from its channels; None without data."""
        role, *channels = spec.channels
        gains = spec.unmeasured == "0"
        flow, known, of, hours = 0, 0, list[str](), 0
        best, silent = [ZERO] * len(channels), list[Silent]()
        read, read_flow, bare = list(best), 0, list[Text]()
        count = len(self.edges) - 1
        # mean loads by channel and day
        flows, daily = [0] * count, [[ZERO] * count for _ in channels]
        erred = [list(each) for each in daily]
        for device in _serving(self.project, role):
            seen = self._seen(device, channels)
            if not seen:
                continue
            by_day = self._flow(device, role)
            flow += int(by_day.sum())
            both = np.where(np.all([gauged.number > 0 for gauged in seen], axis=0), by_day, 0)
            read_flow += int(both.sum())
            compared = by_day if len(seen) == 1 else np.where(seen[0].number > 0, by_day, 0)
            for k, gauged in enumerate(seen):
                # removal increases with the inflow and decreases with the outflow
                each = _loads(compared, gauged, low=gains == (k == 0))
                daily[k] = [a + b for a, b in zip(daily[k], each, strict=True)]
                best[k] += _load(compared, gauged, low=gains != (k == 0))
                read[k] += _load(both, gauged, low=True)
                percents, reported = self._errors(device, channels[k], compared)
                bare += reported
                erred[k] = [
                    error + load * p / 100
                    for error, load, p in zip(erred[k], each, percents, strict=True)
                ]
            silent += self._silent(device, by_day, seen)
            flows = [a + int(b) for a, b in zip(flows, by_day.tolist(), strict=True)]
            known += int(np.count_nonzero(seen[0].number))
            of.append(device)
            hours += min(len(gauged.hours) for gauged in seen)
        loads, errors = ([sum(each, start=ZERO) for each in some] for some in (daily, erred))
        if not flow or not loads[0]:
            return None
        value, maximum = (_mean(some, flow, spec) for some in (loads, best))
        days_ = (len(self.edges) - 1) * len(of)
        message = f"{' and '.join(channels)} of {', '.join(of)} on {known} of {days_} days"
        off = (_mean(some, flow, spec) for some in _shifted(loads, errors) if some[0] > 0)
        whole = (int(self.edges[-1]) - int(self.edges[0])) // HOUR_US
        return Measured(
            rounded(value, spec), message, hours, whole * len(of), tuple(silent),
            rounded(maximum, spec),
            tuple(
                Loaded(begin, end, by_flow, *(part for pair in pairs for part in pair))
                for (begin, end), by_flow, *pairs in zip(
                    pairwise(self.edges.tolist()), flows,
                    *(list(zip(a, b, strict=True)) for a, b in zip(daily, erred, strict=True)),
                    strict=True,
                )
            ),
            tuple(rounded(value, spec) for value in off) if bare else (), tuple(bare),
            rounded(_mean(read, read_flow, spec), spec) if read[0] else None,
        )  # fmt: skip

    def _errors(self, device: str, channel: str, flow: Int64) -> tuple[list[Fraction], list[Text]]:
        """Return a channel's permissible error on days without a certificate [%], with texts."""
        begin, end = (int(us) // INTERVAL_US for us in (self.edges[0], self.edges[-1]))
        valid = of_channels(self.certificates.get(device, ()), (channel,))
        spans = uncovered(valid, channel, self.project.timezone, begin, end)
        result, days_ = [Fraction(0)] * len(flow), 0
        for k, (a, b) in enumerate(pairwise(us // INTERVAL_US for us in self.edges.tolist())):
            result[k] = max((s.percent for s in spans if s.first < b and a < s.last), default=ZERO)
            days_ += bool(result[k] and flow[k])
        if not days_:
            return result, []
        percent = plain_text(max(result), 4)
        why = next(s.reason for s in spans)
        return result, [
            text("PAR-06.gauge", device=device, channel=channel, days=days_, of=len(flow),
                 percent=percent, why=why)
        ]  # fmt: skip

    def _silent(self, device: str, flow: Int64, seen: Sequence[Gauged]) -> Iterator[Silent]:
        """Yield runs of days with flow and without readings of a channel."""
        bare = (flow > 0) & np.any([gauged.number == 0 for gauged in seen], axis=0)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], bare, [0]]).astype(np.int8)))
        for first, last in edges.reshape(-1, 2).tolist():
            begin, end = int(self.edges[first]), int(self.edges[last])
            yield Silent(device, begin, end, int(flow[first:last].sum()))

    def _seen(self, device: str, channels: Sequence[str]) -> list[Gauged]:
        """Return the readings of a device's channels; empty if a channel has none."""
        index = self.fleet.by_id[device]
        gauged = [self.gauged.get((index, channel)) for channel in channels]
        seen = [gauge for gauge in gauged if gauge is not None and gauge.number.any()]
        return seen if len(seen) == len(channels) else []

    def _flow(self, device: str, role: str) -> Int64:
        """Return the quantity of a device in its role, by local day. [base units]"""
        number, value = self.flowed(device, role)
        day = np.searchsorted(self.edges, number * INTERVAL_US, side="right") - 1
        result = np.zeros(len(self.edges) - 1, dtype=np.int64)
        np.add.at(result, day, value)
        return result

    def flowed(self, device: str, role: str) -> tuple[Int64, Int64]:
        """Return interval numbers, and the quantity of a device in its role in each. [base unit]"""
        methodology = find(self.project.methodology, self.project.version)
        bound = next(d for d in self.project.devices if (d.device, d.role) == (device, role))
        quantity = QUANTITY_INDEX[role_needs(methodology, bound, device).quantity]
        rows = self.rows
        mine = (rows.device == self.fleet.by_id[device]) & (rows.quantity == quantity)
        return rows.start_us[mine] // INTERVAL_US, rows.value[mine]


def daily_means(
    spec: ParameterSpec, measured: Measured | None
) -> Iterator[tuple[str, Loaded, Fraction, Fraction]]:
    """
    Yield channel, day, mean and error of each day with flow, channel after channel.

    The mean is in the parameter's unit; for two channels, in the channels' unit.  The error is the
    permissible one in time without a certificate. [%]
    """
    for k, channel in enumerate(spec.channels[1:]):
        for day in measured.days if measured else ():
            load, error = (day.left, day.left_error) if k else (day.load, day.error)
            if day.flow:
                yield (
                    channel,
                    day,
                    load / day.flow / _SCALE / spec.per,
                    (100 * error / load if load else ZERO),
                )


def _shifted(loads: Sequence[Fraction], errors: Sequence[Fraction]) -> Iterator[Sequence[Fraction]]:
    """
    Yield the channels' loads with the error subtracted, then with the error added.

    For a second channel the order is reversed, as it is subtracted from the first.
    """
    for sign in (-1, 1):
        yield [
            load + (sign if k == 0 else -sign) * error
            for k, (load, error) in enumerate(zip(loads, errors, strict=True))
        ]


def _mean(loads: Sequence[Fraction], flow: int, spec: ParameterSpec) -> Fraction:
    """Return a parameter's mean from its channels' loads; for two channels, the removed share."""
    if len(loads) > 1:
        return max(Fraction(0), 1 - loads[1] / loads[0])
    return loads[0] / flow / _SCALE / spec.per


def _load(flow: Int64, gauged: Gauged, *, low: bool) -> Fraction:
    """Return the sum of daily flow times daily mean, as `_loads`. [thousandths]"""
    return sum(_loads(flow, gauged, low=low), start=Fraction(0))


def _loads(flow: Int64, gauged: Gauged, *, low: bool) -> list[Fraction]:
    """
    Return daily flow times daily mean. [thousandths]

    A day without readings has the mean 0 if `low`, else the highest daily mean.
    """
    means = [
        Fraction(total, count) if count else None
        for total, count in zip(gauged.total.tolist(), gauged.number.tolist(), strict=True)
    ]
    rest = Fraction(0) if low else max((m for m in means if m is not None), default=Fraction(0))
    return [
        volume * (rest if mean is None else mean)
        for volume, mean in zip(flow.tolist(), means, strict=True)
    ]


def _specs(project: Project) -> dict[str, ParameterSpec]:
    specs = find(project.methodology, project.version).parameters
    return {name: spec for name, spec in specs.items() if spec.channels}


def _serving(project: Project, role: str) -> list[str]:
    return list(dict.fromkeys(d.device for d in project.devices if d.role == role))
