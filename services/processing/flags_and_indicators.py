"""
Flags of quality tests, and indicator values of stations, for the times that a batch affects.

New readings in order only add flags.  After a late or completed reading, flags are determined again
from an hour before it, as far as any test reaches: a neighbour may now be a spike, or a run of
equal values be interrupted.

Of indicators nothing is cached.  Hours are calculated from stored readings, indices and days from
stored hourly values, in the transaction of the readings.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from psycopg import Cursor

from ingest import classes
from ingest.classes import QUANTITY_INDEX
from ingest.model import HOUR_US, Fleet, Frame, Int32, Int64, IntervalRows
from ingest.pipeline import FROM_START, MeterState
from ingest.pipeline import quality_tests as tests
from ingest.pipeline.quality_limits import Checks, Flags
from ingest.pipeline.quality_state import NEAR_US, NEVER, Watched, runs_of
from ingest.pipeline.quality_tests import Judged, judge
from mrv import environment
from mrv.environment import CLASSES, Flow, Values
from mrv.environment.air import DAY_REACH_HOURS, NEEDED_US, REACH_HOURS, covers_us, starts
from mrv.environment.kinds import Day, day_of
from services.settle import Plan
from services.store.postgres.binary_copy import Words
from services.store.postgres.pool import FAR_US
from services.store.timeseries import interval_rows as indicator_rows
from services.store.timeseries import quality_flags as flags
from services.store.timeseries import quality_flags as watched
from services.store.timeseries import readings
from services.store.timeseries import register_checkpoints as marks
from services.store.timeseries.interval_rows import Span, of_spans
from services.store.timeseries.register_checkpoints import by_class


class Changed(NamedTuple):
    """First and last changed reading of a device; FROM_START and FAR_US for all. [us UTC]"""

    first_us: int
    last_us: int


def reaches(cursor: Cursor, plan: Plan, changed: Mapping[int, Changed]) -> dict[int, int]:
    """
    Return, by fleet index, the time after which no flag depends on the changed readings. [us UTC]

    The gap test compares two steps, so the next two readings are included; FAR_US if there are
    fewer.
    """
    fleet, result = plan.fleet, dict.fromkeys(changed, FAR_US)
    late = [d for d, changed in changed.items() if changed.last_us < FAR_US]
    for class_id, members in marks.by_class(fleet, late).items():
        since = {d: changed[d].last_us + 1 for d in members}
        for device, us in readings.second_after(cursor, fleet, class_id, since).items():
            near = changed[device].last_us + _reach_us(plan, class_id)
            result[device] = max(near, us + 1)
    return result


def _reach_us(plan: Plan, class_id: str) -> int:
    """Return how long after a reading other flags can depend on it. [us]"""
    channels = classes.load()[class_id].channels.values()
    runs = (w for channel in channels for w in runs_of(plan.checks, class_id, channel))
    longest = max((watch.reach_us for watch in runs), default=0)
    return longest + 2 * NEAR_US


class Again(NamedTuple):
    """Result of testing stored readings again: new flags, and the readings tested."""

    flags: Flags
    frames: list[Frame]


class Judging:
    """Quality tests of stored readings by one registry version; stateless."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._scratch = Watched(len(plan.fleet))

    def judge(
        self, cursor: Cursor, from_us: Mapping[int, int], until_us: Mapping[int, int]
    ) -> Again:
        """
        Return the flags of readings, each device in its own span.

        `from_us`: start by fleet index; FROM_START for all. [us UTC]
        `until_us`: end by fleet index, see `reaches`; without one, all later readings. [us UTC]
        """
        fleet, checks = self._plan.fleet, self._plan.checks
        _go_on(cursor, checks, self._scratch, from_us)
        frames, parts = [], []
        for class_id, members in marks.by_class(fleet, list(from_us)).items():
            after = {d: from_us[d] - 1 for d in members}
            # the next reading, if it is near, may affect the last one
            beyond = {d: us + NEAR_US + 1 for d, us in until_us.items()}
            frame = readings.fetch(cursor, fleet, class_id, after, beyond)
            if len(frame):
                frames.append(frame)
                parts.append(judge(checks, self._scratch, [frame]).flags)
        result = Flags.concat(parts)
        starts = np.full(len(fleet), FROM_START, dtype=np.int64)
        starts[list(from_us)] = list(from_us.values())
        stops = np.full(len(fleet), FAR_US, dtype=np.int64)
        stops[list(until_us)] = list(until_us.values())
        inside = (result.time_us >= starts[result.device]) & (result.time_us < stops[result.device])
        return Again(result.take(inside), frames)


class Quality:
    """
    Cached state of the quality tests after the last readings, for one registry version.

    Valid for loaded devices of `MeterState`, except `unsure` ones, which are reloaded before their
    next reading.
    """

    def __init__(self, plan: Plan, ids: Words) -> None:
        self._plan = plan
        self._ids = ids
        self._live = Watched(len(plan.fleet))
        self._unsure = np.zeros(len(plan.fleet), dtype=np.bool_)

    def take_over(self, before: Quality, here: Int32, there: Int32) -> None:
        """Copy devices' state at index `there` of an earlier registry version to index `here`."""
        self._live.take_over(before._live, here, there)
        self._unsure[here] = before._unsure[there]

    def load(self, cursor: Cursor, state: MeterState, devices: Sequence[int]) -> None:
        """Load the state of the tests; `state` has each device's newest reading."""
        newest = zip(devices, state.last_us[list(devices)].tolist(), strict=True)
        before = {d: us + 1 if us > NEVER else FROM_START for d, us in newest}
        _go_on(cursor, self._plan.checks, self._live, before)
        self._unsure[list(devices)] = False

    def forget(self, devices: Sequence[int]) -> None:
        """Discard the state of the tests; that of registers is kept."""
        self._unsure[list(devices)] = True

    def unsure(self, devices: Collection[int]) -> list[int]:
        """Return the devices whose state must be reloaded."""
        return [d for d in devices if self._unsure[d]]

    def store(self, cursor: Cursor, new: Sequence[Frame]) -> Judged:
        """Return flags of readings later than all stored ones; `Judged.apply` updates the state."""
        judged = judge(self._plan.checks, self._live, new)
        flags.write(cursor, self._ids, judged.flags)
        return judged


def _go_on(cursor: Cursor, checks: Checks, state: Watched, before_us: Mapping[int, int]) -> None:
    """Set devices' test states to those at a time, as `quality_flags.load` does."""
    for standstill in watched.load(cursor, checks, state, before_us):
        tests.settle(checks, state, standstill)


FLOW = QUANTITY_INDEX["flow"]
PLANT = "wastewater_plant"
_HOURS_AT_ONCE = 1_000


class Touched:
    """Hours and days of stations whose values may have changed."""

    def __init__(self, fleet: Fleet, last_us: Int64) -> None:
        self._fleet = fleet
        self._last_us = last_us
        self._newest: dict[int, int] = {}
        self._hours: dict[int, set[int]] = {}
        self._days: dict[int, set[Day]] = {}

    def __bool__(self) -> bool:
        return bool(self._hours or self._days)

    def readings(self, frame: Frame) -> None:
        """Add the hours of stored readings."""
        if frame.class_id not in CLASSES or not len(frame):
            return
        devices = self._fleet.devices
        for time_us in (frame.time_us, frame.time_us + covers_us(frame.class_id) - 1):
            hour = starts(devices, frame.device, time_us)
            pairs = np.unique(np.stack([frame.device.astype(np.int64), hour]), axis=1)
            for device, start in pairs.T.tolist():
                self._hours.setdefault(device, set()).add(start)
        for device in np.unique(frame.device).tolist():
            newest = int(frame.time_us[frame.device == device].max())
            before = self._newest.get(device, int(self._last_us[device]))
            self._newest[device] = max(newest, before)

    def join(self, other: Touched) -> None:
        """Add the devices and times of another batch of the same fleet."""
        self.note_newest(other._newest)
        for device, hours in other._hours.items():
            self._hours.setdefault(device, set()).update(hours)
        for device, days in other._days.items():
            self._days.setdefault(device, set()).update(days)

    def flows(self, rows: IntervalRows) -> None:
        """Add the days of written interval rows."""
        of = np.flatnonzero(rows.quantity == FLOW)
        for device, start in zip(rows.device[of].tolist(), rows.start_us[of].tolist(), strict=True):
            result = self._fleet.devices[device]
            # pumps and fuel meters have a flow, too, but no indicator of plants
            if result.class_id == PLANT:
                self._days.setdefault(device, set()).add(day_of(start, result.timezone))

    def note_newest(self, newest_us: Mapping[int, int]) -> None:
        """Add the newest readings of devices received by other processes. [us UTC]"""
        for device, us in newest_us.items():
            self._newest[device] = max(us, self._newest.get(device, us))

    def flows_from(self, device: int, from_us: int, to_us: int) -> None:
        """Add the days of a plant's recalculated interval rows in [from, to)."""
        result = self._fleet.devices[device]
        if result.class_id != PLANT:
            return
        newest = min(self._newest.get(device, int(self._last_us[device])), to_us)
        day = day_of(from_us, result.timezone)
        while day.begin_us <= newest:
            self._days.setdefault(device, set()).add(day)
            day = day_of(day.end_us, result.timezone)

    def drop(self, devices: Iterable[int]) -> None:
        """Remove stations that are recalculated from all their readings."""
        for device in devices:
            self._hours.pop(device, None)
            self._days.pop(device, None)

    def portions(self) -> Iterator[tuple[list[Span], dict[int, set[Day]]]]:
        """Yield runs of hours with the affected days, in portions of limited size."""
        spans: list[Span] = []
        days: dict[int, set[Day]] = {}
        size = 0
        for device in sorted(self._hours.keys() | self._days.keys()):
            newest = self._newest.get(device, int(self._last_us[device]))
            covers = covers_us(self._fleet.devices[device].class_id)
            hours = sorted(h for h in self._hours.get(device, ()) if _may_count(h, newest, covers))
            spans += _runs(device, hours)
            of_hours = _days_of(self._fleet, device, hours)
            every = self._days.get(device, set()) | of_hours
            result = {day for day in every if _may_be_known(day, newest)}
            if result:
                days[device] = result
            size += len(hours) + len(result)
            if size >= _HOURS_AT_ONCE:
                yield spans, days
                spans, days, size = [], {}, 0
        if size:
            yield spans, days


def _may_count(start_us: int, newest_us: int, covers: int) -> bool:
    """
    Return whether readings may cover three quarters of an hour by now.

    An hour with less has no value.  `covers`: time that one reading covers. [us]
    """
    return newest_us - start_us >= NEEDED_US - covers


def _may_be_known(day: Day, newest_us: int) -> bool:
    """Return whether readings can cover three quarters of a day by now."""
    return 4 * (newest_us - day.begin_us) >= 3 * (day.end_us - day.begin_us)


def _runs(device: int, hours: Sequence[int]) -> list[Span]:
    """Return consecutive hours as one span each."""
    out: list[Span] = []
    for start in hours:
        if out and start <= out[-1].to_us:
            out[-1] = Span(device, out[-1].from_us, start + HOUR_US)
        else:
            out.append(Span(device, start, start + HOUR_US))
    return out


def _days_of(fleet: Fleet, device: int, hours: Iterable[int]) -> set[Day]:
    """Return the days affected by hours: their own, and for air those of the eight-hour means."""
    result = fleet.devices[device]
    reach = DAY_REACH_HOURS * HOUR_US if result.class_id == "air_station" else 0
    return {day_of(at, result.timezone) for h in hours for at in {h, h + reach}}


Flows = Mapping[int, Mapping[int, Flow]]

_REMADE_US = 30 * 24 * HOUR_US


def settle(cursor: Cursor, fleet: Fleet, ids: Words, touched: Touched) -> int:
    """Recalculate the values of affected hours and days; return the number of values written."""
    return sum(_settle(cursor, fleet, ids, spans, days) for spans, days in touched.portions())


def remake(cursor: Cursor, fleet: Fleet, ids: Words, devices: Sequence[int]) -> int:
    """Recalculate all indicator values of stations, a month at a time; return their number."""
    members = [d for d in devices if fleet.devices[d].class_id in CLASSES]
    if not members:
        return 0
    indicator_rows.clear(cursor, fleet.ids(members))
    return sum(
        _settle(cursor, fleet, ids, [span], {span.device: set(_days(fleet, span))})
        for device in members
        for span in _months(cursor, fleet, device)
    )


def computed(cursor: Cursor, fleet: Fleet, devices: Sequence[int], flows: IntervalRows) -> Values:
    """Return stations' values from all their readings and interval rows, not stored ones."""
    valueses = []
    for device in devices:
        if fleet.devices[device].class_id not in CLASSES:
            continue
        months = _months(cursor, fleet, device)
        hours = Values.concat(_hours(cursor, fleet, [month]) for month in months)
        days = {day for month in months for day in _days(fleet, month)}
        known = {device: hours.by_device().get(device, {})}
        through = {device: _flow_of(fleet, device, flows)}
        changed = {device: set(hours.start_us.tolist())}
        valueses += [hours, _follow(fleet, known, changed, {device: days}, through)]
    return Values.concat(valueses)


def _months(cursor: Cursor, fleet: Fleet, device: int) -> list[Span]:
    """Return a station's history in spans of whole hours."""
    ends = readings.ends(cursor, fleet.devices[device])
    if ends is None:
        return []
    edges = np.arange(ends[0], ends[1] + HOUR_US + _REMADE_US, _REMADE_US)
    at = starts(fleet.devices, np.full(len(edges), device, dtype=np.int32), edges).tolist()
    return [Span(device, b, e) for b, e in pairwise(at)]


def _days(fleet: Fleet, span: Span) -> Iterator[Day]:
    """Yield the local days affected by the hours of a span."""
    day = day_of(span.from_us, fleet.devices[span.device].timezone)
    while day.begin_us < span.to_us + DAY_REACH_HOURS * HOUR_US:
        yield day
        day = day_of(day.end_us, day.timezone)


def _settle(
    cursor: Cursor, fleet: Fleet, ids: Words, spans: Sequence[Span], days: Mapping[int, set[Day]]
) -> int:
    """Recalculate hours, days and the indices of changed hours; return their number."""
    hours = _hours(cursor, fleet, spans)
    stored = indicator_rows.hourly(cursor, fleet, _windows(spans, days)).by_device()
    changed = _overlay(stored, hours)
    follow = _follow(fleet, stored, changed, days, _flows(cursor, fleet, days))
    values = Values.concat([hours, follow])
    recalculated = [(fleet.devices[d].id, day.begin_us) for d, days in days.items() for day in days]
    if len(values) or recalculated:
        indicator_rows.write(cursor, ids, values, recalculated)
    return len(values)


def _hours(cursor: Cursor, fleet: Fleet, spans: Sequence[Span]) -> Values:
    """Return the values of whole hours; earlier readings cover the start of each span."""
    parts = []
    for class_id, members in by_class(fleet, sorted({s.device for s in spans})).items():
        before = covers_us(class_id)
        wanted = [s._replace(from_us=s.from_us - before) for s in spans if s.device in members]
        frame = readings.within(cursor, class_id, *of_spans(fleet, wanted))
        result = environment.hourly(fleet.devices, frame)
        # readings of a long averaging time also give a value for the hour before the span
        parts.append(_inside(result, spans) if before >= NEEDED_US else result)
    return Values.concat(parts)


def _inside(values: Values, spans: Sequence[Span]) -> Values:
    """Return the values whose hours lie within spans."""
    kept = np.zeros(len(values), dtype=np.bool_)
    for span in spans:
        begun = (values.start_us >= span.from_us) & (values.start_us < span.to_us)
        kept |= begun & (values.device == span.device)
    return values.take(kept)


def _windows(spans: Sequence[Span], days: Mapping[int, set[Day]]) -> list[Span]:
    """Return the spans of hourly values needed for indices of hours and figures of days."""
    reach, before = REACH_HOURS * HOUR_US, DAY_REACH_HOURS * HOUR_US
    wide = [Span(s.device, s.from_us - reach, s.to_us + reach) for s in spans]
    wide += [Span(d, day.begin_us - before, day.end_us) for d, of in days.items() for day in of]
    out: list[Span] = []
    for span in sorted(wide):
        if out and out[-1].device == span.device and span.from_us <= out[-1].to_us:
            out[-1] = out[-1]._replace(to_us=max(out[-1].to_us, span.to_us))
        else:
            out.append(span)
    return out


def _overlay(stored: dict[int, dict[str, dict[int, float]]], hours: Values) -> dict[int, set[int]]:
    """Replace stored hourly values by new ones; return the hours that differ."""
    changed: dict[int, set[int]] = {}
    for device, kinds in hours.by_device().items():
        own_values = stored.setdefault(device, {})
        for kind, values in kinds.items():
            old = own_values.setdefault(kind, {})
            differ = {start for start, value in values.items() if old.get(start) != value}
            if differ:
                changed.setdefault(device, set()).update(differ)
            old.update(values)
    return changed


def _follow(
    fleet: Fleet,
    hourly: Mapping[int, Mapping[str, Mapping[int, float]]],
    changed: Mapping[int, set[int]],
    days: Mapping[int, set[Day]],
    flows: Flows,
) -> Values:
    """Return the indices of hours and the figures of days."""
    parts = []
    for device in sorted(changed.keys() | days.keys()):
        station, values = fleet.devices[device], hourly.get(device, {})
        reached = {
            start + i * HOUR_US for start in changed.get(device, ()) for i in range(REACH_HOURS + 1)
        }
        rows = environment.of_hours(station, values, reached)
        rows += environment.of_days(station, values, days.get(device, ()), flows.get(device, {}))
        parts.append(Values.of(device, rows))
    return Values.concat(parts)


def _flows(
    cursor: Cursor, fleet: Fleet, days: Mapping[int, set[Day]]
) -> dict[int, dict[int, Flow]]:
    """Return the flow of plants on given days, by stored intervals."""
    spans = [
        Span(device, day.begin_us, day.end_us)
        for device, days in days.items()
        if fleet.devices[device].class_id == PLANT
        for day in days
    ]
    if not spans:
        return {}
    cursor.execute(
        "SELECT d.index, (extract(epoch FROM d.since) * 1000000)::bigint, sum(i.value),"
        " sum(i.measured_us + i.estimated_us)"
        " FROM unnest(%s::text[], %s::int[], %s::timestamptz[], %s::timestamptz[])"
        " AS d (id, index, since, until)"
        " JOIN interval_quantity i ON i.device_id = d.id AND i.quantity = 'flow'"
        " AND i.start >= d.since AND i.start < d.until GROUP BY 1, 2",
        of_spans(fleet, spans),
    )
    flows: dict[int, dict[int, Flow]] = {}
    for device, begin, ml, known in cursor.fetchall():
        flows.setdefault(device, {})[begin] = Flow(int(ml), int(known))
    return flows


def _flow_of(fleet: Fleet, device: int, rows: IntervalRows) -> dict[int, Flow]:
    """Return the flow of a plant by day, from interval rows."""
    of = rows.take((rows.device == device) & (rows.quantity == FLOW))
    known = of.measured_us + of.estimated_us
    flows: dict[int, Flow] = {}
    zone = fleet.devices[device].timezone
    columns = (of.start_us, of.value, known)
    for start, value, us in zip(*(c.tolist() for c in columns), strict=True):
        begin = day_of(start, zone).begin_us
        before = flows.get(begin, Flow(0, 0))
        flows[begin] = Flow(before.ml + value, before.known_us + us)
    return flows
