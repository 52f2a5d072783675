"""
Quality tests of readings by the limits of class, profile and device: unusual values.

Flags do not depend on the order and division of batches: state is cached for a live batch, loaded
for late readings, empty for a rebuild.  Flags inform people and change no quantity; `meter`
evaluates register steps, with other limits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ingest import classes
from ingest.classes import UNIT_LEVELS, Channel
from ingest.model import NULL, Column, Float64, Frame, Int32, Int64, is_absent
from ingest.pipeline.quality_limits import (
    PHASES_FLOOR,
    PHASES_LEAST_W,
    TIME,
    Checks,
    Flags,
    Series,
    Thresholds,
    each,
    heads,
)
from ingest.pipeline.quality_state import (
    Pair,
    Standing,
    Standstill,
    Watch,
    Watched,
    pairs_of,
    runs_of,
)
from ingest.quality import gauges, runs
from ingest.sun import elevation_deg

Mask = NDArray[np.bool_]


@dataclass(slots=True)
class Judged:
    """Flags of readings, and the state after them."""

    flags: Flags
    pairs: list[tuple[Pair, Series, NDArray[np.intp]]] = field(default_factory=list)
    runs: list[tuple[Standing, Int32, Standing]] = field(default_factory=list)

    def apply(self) -> None:
        """Store the state after the batch, once its flags are committed."""
        for pair, series, tail in self.pairs:
            device = series.device[tail]
            pair.time_us[device], pair.value[device] = series.time_us[tail], series.value[tail]
            pair.before_us[device] = series.time_us[tail - 1]
            pair.before[device] = series.value[tail - 1]
        for run, device, after in self.runs:
            for name in Standing.__slots__:
                getattr(run, name)[device] = getattr(after, name)


def judge(
    checks: Checks, watched: Watched, frames: Sequence[Frame], *, whole: bool = False
) -> Judged:
    """
    Return the quality flags of new readings, and of the reading before each.

    `watched`: current state; not changed until `Judged.apply`.
    `frames`: one per class; times unique per device, and later than the state's.
    `whole`: whether frames are complete histories, in which a constant run is flagged from its
    start.
    """
    out = Judged(Flags.concat([]))
    parts: list[Flags] = []
    for frame in frames:
        order = _order(frame)
        device, time_us = frame.device[order], frame.time_us[order]
        limits = checks.version(device, time_us)
        times = Series(device, time_us, limits, heads(device), np.zeros(len(device)))
        item = _Judge(checks, watched, frame.class_id, out, whole=whole)
        parts.extend(item.times(times))
        columns = {name: values[order] for name, values in frame.columns.items()}
        for channel in classes.load()[frame.class_id].channels.values():
            thresholds = checks.of(frame.class_id, channel.name)
            if thresholds is not None:
                parts.extend(item.channel(channel, thresholds, times, columns))
    out.flags = Flags.concat([part for part in parts if len(part)]).distinct()
    return out


class _Judge:
    """Quality tests of one class, on one batch."""

    def __init__(
        self, checks: Checks, watched: Watched, class_id: str, out: Judged, *, whole: bool
    ) -> None:
        self._checks = checks
        self._watched = watched
        self._class = class_id
        self._out = out
        self._whole = whole
        self._pairs = set(pairs_of(checks, class_id))

    def times(self, times: Series) -> Iterator[Flags]:
        thresholds = self._checks.of(self._class, TIME)
        if thresholds is None or not len(times):
            return
        whole, _ = self._with_last(TIME, times)
        marks = gauges.gaps(whole.device, whole.time_us, each(thresholds.gap_us, whole.limits))
        marks[1:] &= whole.time_us[:-1] > runs.NEVER  # a first reading has no predecessor
        rows = np.flatnonzero(marks)
        if len(rows) and _any(thresholds.sleep_us):
            marks[rows] = ~self._asleep(whole, rows, thresholds.sleep_us)
        yield _flags(TIME, "time_gap", whole, marks)

    def _asleep(self, whole: Series, rows: NDArray[np.intp], sleep_us: Float64) -> Mask:
        """
        Return a mask of readings after a night without data: the sun is down in the middle of the
        gap.
        """
        device, since_us = whole.device[rows], whole.time_us[rows - 1]
        step_us = whole.time_us[rows] - since_us
        place = self._checks.latitude[device], self._checks.longitude[device]
        height = elevation_deg(since_us + step_us // 2, *place)
        with np.errstate(invalid="ignore"):
            return np.asarray((height < 0) & (step_us <= sleep_us[whole.limits[rows]]))

    def channel(
        self, channel: Channel, thresholds: Thresholds, times: Series, columns: dict[str, Column]
    ) -> Iterator[Flags]:
        values = columns[channel.name]
        if is_absent(values):
            return
        known = values != NULL if values.dtype == np.int64 else ~np.isnan(values)
        if channel.kind == "register":
            known &= self._at_work(channel, times, columns)
        if not known.any():
            return
        result = times.of(values.astype(np.float64))
        series = result if known.all() else result.take(known)
        if channel.kind == "gauge":
            yield from self._alone(channel.name, thresholds, series)
            if channel.phases:
                yield from self._phases(channel, thresholds, result, columns)
        if channel.name in self._pairs:
            yield from self._neighbours(channel.name, thresholds, series)
        for watch in runs_of(self._checks, self._class, channel):
            if not self._whole or self._lasts(watch, thresholds, series):
                wh = counted_wh(watch.registers, columns)[known] if watch.registers else None
                yield self._run(watch, channel, thresholds, series, wh)

    def _at_work(self, channel: Channel, times: Series, columns: dict[str, Column]) -> Mask:
        """
        Return a mask of readings at which the device certainly operates; its register must
        rise.
        """
        if channel.power is None:
            return np.zeros(len(times), dtype=np.bool_)
        with np.errstate(invalid="ignore"):
            power = columns[channel.power] * channel.direction
            return np.asarray(power > each(self._checks.at_work, times.device))

    def _alone(self, name: str, thresholds: Thresholds, series: Series) -> Iterator[Flags]:
        low, high = each(thresholds.low, series.limits), each(thresholds.high, series.limits)
        yield _flags(name, "gross_range", series, gauges.outside(series.value, low, high))
        if _any(thresholds.night):
            marks = gauges.at_night(
                series.value,
                series.time_us,
                each(thresholds.night, series.limits),
                each(self._checks.latitude, series.device),
                each(self._checks.longitude, series.device),
            )
            yield _flags(name, "night_generation", series, marks)

    def _phases(
        self, channel: Channel, thresholds: Thresholds, series: Series, columns: dict[str, Column]
    ) -> Iterator[Flags]:
        total = sum(columns[name] for name in channel.phases)
        share = each(thresholds.share, series.limits)
        floor = np.fmax(PHASES_FLOOR * each(self._checks.rated, series.device), PHASES_LEAST_W)
        parts = np.asarray(total, dtype=np.float64)
        marks = runs.sums_differ(series.value, parts, share, floor)
        yield _flags(channel.name, "phase_sum", series, marks)

    def _neighbours(self, name: str, thresholds: Thresholds, series: Series) -> Iterator[Flags]:
        whole, new = self._with_last(name, series)
        columns = whole.device, whole.time_us, whole.value
        if _any(thresholds.spike):
            marks = gauges.spikes(*columns, each(thresholds.spike, whole.limits))
            yield _flags(name, "spike", whole, marks)
        if _any(thresholds.rate):
            marks = gauges.too_fast(*columns, each(thresholds.rate, whole.limits))
            yield _flags(name, "rate_of_change", whole, marks & new)

    def _with_last(self, name: str, series: Series) -> tuple[Series, Mask]:
        """
        Return a series with each device's last two values in front, and a mask of the new
        rows.
        """
        if self._whole:
            return series, np.ones(len(series), dtype=np.bool_)
        pair = self._watched.pair(self._class, name)
        device = series.device[series.head]
        earlier = tuple(
            Series(
                device,
                time_us[device],
                self._checks.version(device, time_us[device]),
                series.head,
                value[device],
            )
            for time_us, value in ((pair.before_us, pair.before), (pair.time_us, pair.value))
        )
        whole, new = series.after(earlier)
        self._out.pairs.append((pair, whole, whole.tails()))
        return whole, new

    def _lasts(self, watch: Watch, limits: Thresholds, series: Series) -> bool:
        """Return whether any run of a series can be too long; in general none can."""
        value = series.value
        if watch.key.purpose == "flat":
            floor = each(limits.floor, series.limits)
            changed = (value[1:] != value[:-1]) | (np.abs(value[1:]) <= floor[1:])
            return _stands_longer(changed, series, float(np.nanmin(limits.flat_us)))
        level = UNIT_LEVELS[int(watch.key.purpose)]
        with np.errstate(invalid="ignore"):
            reached = value[1:] >= level.share * each(limits.peak, series.limits[1:])
        return _stands_longer(reached, series, level.longest_us)

    def _run(
        self, watch: Watch, channel: Channel, limits: Thresholds, series: Series, wh: Float64 | None
    ) -> Flags:
        standing = self._watched.run(watch.key)
        value, level = series.value, None
        if watch.key.purpose != "flat":
            level = UNIT_LEVELS[int(watch.key.purpose)]
            value = runs.below(series.value, each(limits.peak, series.limits), level)
        device = series.device[series.head]
        last_us = standing.last_us[device]
        before = runs.Run(
            standing.value[device],
            last_us,
            standing.start_us[device],
            self._checks.version(device, last_us),
        )
        now = runs.Values(series.head, series.time_us, value, series.limits)
        begun = runs.begins(now, watch.gap_us, before)
        part = runs.Part(standing.part_us[device], standing.part_wh[device])
        if wh is not None:
            counted = _counted(watch, each(limits.flat_us, series.limits), wh)
            begun, part = runs.renewed(now, begun, counted, part)
        since_us = runs.starts(now, begun, before)
        tail = series.tails()
        after = Standing(value[tail], series.time_us[tail], since_us[tail], *part)
        self._out.runs.append((standing, series.device[tail], after))
        columns = series.value, series.time_us, since_us
        if level is not None:
            marks = runs.wrong_scale(*columns, each(limits.peak, series.limits), level)
            return _flags(channel.name, "unit_scale", series, marks)
        test = "flat_line" if channel.kind == "gauge" else "frozen_register"
        floor = each(limits.floor, series.limits)
        marks = runs.flat(*columns, each(limits.flat_us, series.limits), floor)
        if self._whole:
            marks = runs.flat_from_begin(marks, since_us, series.head)
        return _flags(channel.name, test, series, marks)


def counted_wh(registers: Sequence[Channel], columns: Mapping[str, Column]) -> Float64:
    """Return energy counted by registers in a gauge's direction; NaN if unknown. [Wh]"""
    known = [columns[register.name] != NULL for register in registers]
    parts = [channel.direction * np.where(at, columns[channel.name], 0)
             for channel, at in zip(registers, known, strict=True)]  # fmt: skip
    return np.where(np.any(known, axis=0), np.sum(parts, axis=0, dtype=np.float64), np.nan)


def _counted(watch: Watch, flat_us: Float64, wh: Float64) -> runs.Counted:
    tolerance_wh = float(sum(register.tolerance for register in watch.registers))
    return runs.Counted(wh, runs.part_us(flat_us), tolerance_wh)


def settle(checks: Checks, watched: Watched, standstill: Standstill) -> None:
    """Shorten stored constant runs of a gauge where registers corroborate them."""
    watch, limits = standstill.watch, checks.of(*standstill.watch.key[:2])
    if limits is None or not len(standstill.device):
        return
    head, run = heads(standstill.device), watched.run(watch.key)
    never, nan = np.full(len(head), runs.NEVER), np.full(len(head), np.nan)
    before = runs.Run(nan, never, never, never)
    version = checks.version(standstill.device, standstill.time_us)
    now = runs.Values(head, standstill.time_us, run.value[standstill.device], version)
    counted = _counted(
        watch, each(limits.flat_us, version), counted_wh(watch.registers, standstill.columns)
    )
    begun, part = runs.renewed(
        now, runs.begins(now, watch.gap_us, before), counted, runs.Part(never, nan)
    )
    device, tail = standstill.device[head], np.append(head[1:], len(standstill.device)) - 1
    run.start_us[device] = runs.starts(now, begun, before)[tail]
    run.part_us[device], run.part_wh[device] = part


def _order(frame: Frame) -> NDArray[np.intp] | slice:
    """Return an index that sorts rows by device and time; a slice, without a copy, if sorted."""
    same = frame.device[1:] == frame.device[:-1]
    later = frame.time_us[1:] >= frame.time_us[:-1]
    if bool(((frame.device[1:] > frame.device[:-1]) | (same & later)).all()):
        return slice(None)
    return np.lexsort((frame.time_us, frame.device))


def _stands_longer(changed: Mask, series: Series, max_us: float) -> bool:
    """Return whether a device was constant for more than `max_us`; `changed` marks changes."""
    if len(series.head) == 1 and _changes_often(changed, series.time_us, max_us):
        return False
    changed[series.head[1:] - 1] = True
    begins = np.append(0, np.flatnonzero(changed) + 1)
    ends = np.append(begins[1:], len(series)) - 1
    return bool((series.time_us[ends] - series.time_us[begins]).max() > max_us)


def _changes_often(changed: Mask, time_us: Int64, max_us: float) -> bool:
    """Return whether the values change in each half of `max_us`, so that no run is that long."""
    half = int(max_us) // 2
    count = (int(time_us[-1]) - int(time_us[0])) // max(half, 1)
    if not 0 < count < len(changed) // 2:
        return False
    rows = np.searchsorted(time_us, time_us[0] + half * np.arange(count + 1))
    if rows[-1] >= len(changed) or not (rows[1:] > rows[:-1]).all():  # a half without a reading
        return False
    return bool(np.maximum.reduceat(changed.view(np.uint8), rows)[:-1].all())


def _flags(channel: str, test: str, series: Series, marks: Mask) -> Flags:
    rows = np.flatnonzero(marks)
    return Flags.of(channel, test, series.device[rows], series.time_us[rows])


def _any(limits: Float64) -> bool:
    return not np.isnan(limits).all()
