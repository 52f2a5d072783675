"""
Recalculation of indicator values for the station hours and days affected by a batch.

Nothing is cached.  Hours are calculated from stored readings, indices and days from stored hourly
values, in the transaction of the readings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
from psycopg import Cursor

from ingest.model import HOUR_US, Fleet, IntervalRows
from mrv import environment
from mrv.environment import CLASSES, Values
from mrv.environment.air import DAY_REACH_HOURS, REACH_HOURS
from mrv.environment.hours import NEEDED_US, covers_us, starts
from mrv.environment.kinds import Day, day_of
from mrv.environment.water import Flow
from services.processing.affected_periods import FLOW, PLANT, Touched
from services.store.postgres.binary_copy import Words
from services.store.timeseries import indicator_values as indicator_rows
from services.store.timeseries import readings
from services.store.timeseries.indicator_values import Span, of_spans
from services.store.timeseries.register_checkpoints import by_class

Flows = Mapping[int, Mapping[int, Flow]]

_REMADE_US = 30 * 24 * HOUR_US


def settle(cursor: Cursor, fleet: Fleet, ids: Words, touched: Touched) -> int:
    """Recalculate the values of affected hours and days; return their number."""
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
    """
    Return values of stations from all their readings and interval rows, without stored
    values.
    """
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
    """
    Recalculate hours and days, and the indices that depend on changed hours; return the
    number.
    """
    hours = _hours(cursor, fleet, spans)
    stored = indicator_rows.hourly(cursor, fleet, _windows(spans, days)).by_device()
    changed = _overlay(stored, hours)
    follow = _follow(fleet, stored, changed, days, _flows(cursor, fleet, days))
    values = Values.concat([hours, follow])
    anew = [(fleet.devices[d].id, day.begin_us) for d, days in days.items() for day in days]
    if len(values) or anew:
        indicator_rows.write(cursor, ids, values, anew)
    return len(values)


def _hours(cursor: Cursor, fleet: Fleet, spans: Sequence[Span]) -> Values:
    """Return the values of whole hours; earlier readings cover the start of each span."""
    parts = []
    for class_id, members in by_class(fleet, sorted({s.device for s in spans})).items():
        before = covers_us(class_id)
        wanted = [s._replace(from_us=s.from_us - before) for s in spans if s.device in members]
        frame = readings.within(cursor, class_id, *of_spans(fleet, wanted))
        result = environment.hourly(fleet.devices, frame)
        # what covers a span's beginning may be a whole hour itself, known by a part of its past
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
    """Return the spans of hourly values needed for these figures."""
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
