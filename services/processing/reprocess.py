"""
Metering of stored readings again from an earlier register checkpoint, writing only differences, in
spans of limited rows.

For cases beyond the live state: late readings, a register that returns from a glitch, a catch-up
after a constant register, a changed registry.

Limits on the rows derived per commit, and division of a long history into spans.

A single reading after months without data makes thousands of rows.  So the rows are counted first;
a number beyond the limit becomes a `remake_request`, executed span by span.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from psycopg import Cursor

from ingest import classes
from ingest.model import HOUR_US, INTERVAL_US, NULL, Fleet, Frame, Int32, Int64, IntervalRows
from ingest.pipeline import (
    FROM_START,
    LOOK_BACK_US,
    POWER_GAP_US,
    SPREAD_US,
    Bounds,
    Metered,
    MeterState,
    meter,
)
from services.settle import Part, Plan
from services.store.postgres.binary_copy import Words
from services.store.postgres.pool import FAR_US
from services.store.timeseries import interval_rows as derived
from services.store.timeseries import readings
from services.store.timeseries import register_checkpoints as marks
from services.store.timeseries.interval_rows import BindingWords
from services.store.timeseries.register_checkpoints import NONE, Bare, by_class
from services.store.timeseries.remake_requests import Request

# minimum number of rows from which rows later than all stored ones are written separately
_MANY = 1_000


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of devices, each in [from, to); `FAR_US` for no end. [us UTC]"""

    from_us: dict[int, int]
    to_us: dict[int, int]
    metered: Metered

    def only(self, devices: Collection[int]) -> Piece:
        """Return the part of given devices."""
        kept = [d for d in self.from_us if d in devices]
        return replace(self, from_us={d: self.from_us[d] for d in kept})

    def shortened(self, to_us: Mapping[int, int]) -> Piece:
        """Return the spans with other ends for some devices."""
        return replace(self, to_us=self.to_us | {d: to_us[d] for d in self.from_us if d in to_us})

    @property
    def rows(self) -> IntervalRows:
        """Return the interval rows of the spans."""
        rows = self.metered.rows
        if not self.from_us:
            return rows.take(np.zeros(len(rows), dtype=np.bool_))
        size = max(int(rows.device.max(initial=0)), *self.from_us) + 1
        begin, end = (np.full(size, us, dtype=np.int64) for us in (FAR_US, FROM_START))
        index = list(self.from_us)
        begin[index] = list(self.from_us.values())
        end[index] = [self.to_us.get(d, FAR_US) for d in index]
        inside = (rows.start_us >= begin[rows.device]) & (rows.start_us < end[rows.device])
        return rows.take(inside)


@dataclass(slots=True)
class Remade:
    """Recalculated rows: of each device from its own interval on."""

    pieces: list[Piece] = field(default_factory=list)
    events: list[str] = field(default_factory=list)

    def spans(self) -> Iterator[tuple[int, int, int]]:
        """Yield each recalculated device with start and end. [us UTC]"""
        for piece in self.pieces:
            for device, begin in piece.from_us.items():
                yield device, begin, piece.to_us.get(device, FAR_US)

    def rows(self) -> IntervalRows:
        """Return the recalculated interval rows."""
        return IntervalRows.concat([piece.rows for piece in self.pieces])

    def devices(self) -> set[int]:
        """Return the recalculated devices."""
        return {device for device, _, _ in self.spans()}

    def only(self, devices: Collection[int]) -> Remade:
        """Return the part of given devices."""
        return Remade([p.only(devices) for p in self.pieces], self.events)

    def shortened(self, to_us: Mapping[int, int]) -> Remade:
        """Return the rows with other ends for some devices."""
        return Remade([p.shortened(to_us) for p in self.pieces], self.events)

    def within(self, from_us: int, to_us: int) -> Remade:
        """Return the part in a span, end excluded. [us UTC]"""
        return Remade(
            [
                replace(
                    p,
                    from_us={d: max(us, from_us) for d, us in p.from_us.items()},
                    to_us=dict.fromkeys(p.from_us, to_us),
                )
                for p in self.pieces
            ],
            self.events,
        )

    def join(self, other: Remade) -> None:
        """Add the recalculated rows of another result."""
        self.pieces += other.pieces
        self.events += other.events


def remake(
    cursor: Cursor,
    plan: Plan,
    scratch: MeterState,
    from_us: Mapping[int, int],
    until_us: Mapping[int, int] | None = None,
    whole: Collection[int] = (),
    bare: Bare = NONE,
) -> Remade:
    """
    Return derived rows recalculated from stored readings, from each device's own time on.

    `scratch`: metering state of the fleet's size, without state of these devices. `from_us`: fleet
    index to the time from which readings changed; FROM_START for all. `until_us`: end of the
    readings used, on the grid; none for other devices. `whole`: devices whose rows are all
    recalculated, span by span. `bare`: registers without stored checkpoints, which are not looked
    up.
    """
    out = Remade()
    until = dict(until_us or {})
    todo = dict(from_us)
    while todo:
        begins = _begin(cursor, plan, scratch, todo, whole, bare)
        metered = _meter(cursor, plan, scratch, begins, until)
        # the catch-up covers a standstill that began before the replaced rows: recalculate from its
        # start
        again = {d: us + 1 for d, us in metered.spread.items() if us < begins[d].replaced_us}
        again |= metered.rewrites | _first_registers(plan, scratch, todo, metered)
        done = {d: b.replaced_us for d, b in begins.items() if d not in again}
        rows = metered.rows.take(np.isin(metered.rows.device, list(done)))
        metered.rewrites = {}
        _keep_only(metered, rows, set(done))
        out.pieces.append(Piece(done, {d: until[d] for d in done if d in until}, metered))
        out.events.extend(metered.events if not again else [])
        todo = {d: us if us < todo[d] else FROM_START for d, us in again.items()}
    return out


def _first_registers(
    plan: Plan, scratch: MeterState, todo: dict[int, int], metered: Metered
) -> dict[int, int]:
    """
    Return FROM_START by fleet index, for devices to be recalculated from their first reading.

    Their register has its first readings here, so that rows calculated from power are replaced.
    """
    limited = np.array([d for d, us in todo.items() if us > FROM_START], dtype=np.int32)
    powered = {
        (class_id, column.quantity)
        for class_id in marks.by_class(plan.fleet, limited.tolist())
        for column in plan.bounds.columns(class_id)
        if column.channel.power is not None
    }
    first_registers: dict[int, int] = {}
    for quantity, ends in metered.ends:
        register = scratch.registers[quantity]
        new = ends.device[~register.known[ends.device] & ~register.transmitted[ends.device]]
        for device in new[np.isin(new, limited)].tolist():
            if (plan.fleet.devices[device].class_id, quantity) in powered:
                first_registers[device] = FROM_START
    return first_registers


def _keep_only(metered: Metered, rows: IntervalRows, devices: set[int]) -> None:
    """Keep the result of some devices, with their `rows`, as the others are metered again."""
    metered.rows = rows
    index = np.array(sorted(devices), dtype=np.int32)
    metered.ends = [(q, e.of(index)) for q, e in metered.ends]
    metered.powers = [(q, p.of(index)) for q, p in metered.powers]
    metered.newest = [(d[np.isin(d, index)], t[np.isin(d, index)]) for d, t in metered.newest]


@dataclass(frozen=True, slots=True)
class _Begin:
    """Start of recalculation: readings after `after_us`, rows replaced from `replaced_us` on."""

    after_us: int
    replaced_us: int


def _begin(
    cursor: Cursor,
    plan: Plan,
    scratch: MeterState,
    from_us: dict[int, int],
    whole: Collection[int],
    bare: Bare,
) -> dict[int, _Begin]:
    """
    Return the start of the recalculation by fleet index, and load the checkpoints before it.

    Steps change from the last checkpoint before the change; every row from that checkpoint's time
    on is replaced.  Checkpoints of earlier intervals start the registers.
    """
    scratch.reset(np.array(list(from_us), dtype=np.intp))
    begins = {d: _Begin(FROM_START, FROM_START) for d, us in from_us.items() if us == FROM_START}
    limited = {d: us for d, us in from_us.items() if us > FROM_START}
    replaced = {d: floor(us - POWER_GAP_US) for d, us in limited.items()}
    for mark in marks.last(cursor, plan.fleet, read_before=limited, bare=bare):
        # the register stood still at this checkpoint: rows of a catch-up over that time may change
        still = max(mark.changed_us, limited[mark.device] - SPREAD_US)
        replaced[mark.device] = min(replaced[mark.device], floor(min(mark.since_us, still)))
    for device, us in marks.departed(cursor, plan.fleet, limited, bare).items():
        # rows up to this time before a fall, return or settlement of the register may change
        replaced[device] = min(replaced[device], floor(us - LOOK_BACK_US))
    after = {d: us - POWER_GAP_US - 1 for d, us in replaced.items()}
    for mark in marks.last(cursor, plan.fleet, start_before=replaced, bare=bare):
        mark.set(scratch.registers[mark.quantity])
        after[mark.device] = min(after[mark.device], mark.seen_us)
    _note_transmitted(cursor, plan, scratch, [d for d in from_us if d in whole])
    return begins | {d: _Begin(after[d], replaced[d]) for d in limited}


def _note_transmitted(cursor: Cursor, plan: Plan, scratch: MeterState, devices: list[int]) -> None:
    """Record devices whose register has its first readings."""
    for class_id, members in marks.by_class(plan.fleet, devices).items():
        for column in plan.bounds.columns(class_id):
            register = scratch.registers[column.quantity]
            bare = [d for d in members if not register.known[d]]
            if column.channel.power is not None and bare:
                register.transmitted[marks.showing(cursor, plan.fleet, bare, column.channel)] = True


def floor(us: int) -> int:
    """Return the start of the interval that contains a time. [us UTC]"""
    return us // INTERVAL_US * INTERVAL_US


def _meter(
    cursor: Cursor,
    plan: Plan,
    scratch: MeterState,
    begins: dict[int, _Begin],
    until: Mapping[int, int],
) -> Metered:
    frames = []
    # a reading on the grid belongs to the interval that it ends
    ends = {d: us + 1 for d, us in until.items()}
    for class_id, members in marks.by_class(plan.fleet, list(begins)).items():
        after = {d: begins[d].after_us for d in members}
        frames.append(readings.fetch(cursor, plan.fleet, class_id, after, ends))
    metered = meter(plan.bounds, scratch, [f for f in frames if len(f)])
    starts = np.full(len(plan.fleet), FROM_START, dtype=np.int64)
    starts[list(begins)] = [b.replaced_us for b in begins.values()]
    before = np.full(len(plan.fleet), FAR_US, dtype=np.int64)
    before[list(until)] = list(until.values())
    rows = metered.rows
    inside = (rows.start_us >= starts[rows.device]) & (rows.start_us < before[rows.device])
    metered.rows = rows.take(inside)
    return metered


def write(
    cursor: Cursor, plan: Plan, ids: Words, words: BindingWords, remade: Remade
) -> Counter[str]:
    """
    Update stored rows to the recalculated ones; return the numbers written or deleted, by table.

    Many rows later than all stored ones are written by COPY, without comparison.
    """
    written: Counter[str] = Counter()
    for piece in remade.pieces:
        if not piece.from_us:
            continue
        rows = piece.rows
        fresh = np.zeros(len(rows), dtype=np.bool_)
        if len(rows) > _MANY:
            fresh = derived.later_than_stored(cursor, plan.fleet, list(piece.from_us), rows)
        part = Part.of(plan, rows.take(~fresh))
        span = {d: (us, piece.to_us.get(d, FAR_US)) for d, us in piece.from_us.items()}
        written["interval_quantity"] += derived.replace_intervals(
            cursor, plan.fleet, ids, part.intervals, span
        )
        written["interval_emission"] += derived.replace_emissions(
            cursor, plan.fleet, ids, words, part.emissions, span
        )
        if fresh.any():
            part = Part.of(plan, rows.take(fresh))
            derived.write_intervals(cursor, ids, part.intervals, fresh=True)
            derived.write_emissions(cursor, ids, words, part.emissions, fresh=True)
            written["interval_quantity"] += len(part.intervals)
            written["interval_emission"] += len(part.emissions)
    return written


# maximum derived rows per commit, about 60 MB of memory
MAX_ROWS = 60_000
# number of readings in the first part of a span, of one device or several together
MAX_SPAN_READINGS = 60_000
# time after the last change that is recalculated too: the longest catch-up, and two hours for the
# next readings
AHEAD_US = SPREAD_US + 2 * HOUR_US
# archived readings are not counted before they are read
_ARCHIVED_US = 8 * 86_400_000_000


def registers(fleet: Fleet, device: int) -> int:
    """Return the number of quantities of a device's class."""
    return len(classes.load()[fleet.devices[device].class_id].registers)


def rows_between(fleet: Fleet, device: int, from_us: int, to_us: int) -> int:
    """Return the highest number of interval rows of a device between two times."""
    return registers(fleet, device) * max((to_us - from_us) // INTERVAL_US + 1, 0)


class Expected(NamedTuple):
    """Expected rows of n devices: their number, and the time from which they are new. [us UTC]"""

    device: Int32
    rows: Int64
    since_us: Int64

    def too_much(self) -> dict[int, int]:
        """
        Return the devices beyond the limit of a commit, those with the longest gaps first.

        Returns: fleet index to the time up to which everything is derived. [us UTC]
        """
        if not len(self.device) or int(self.rows.sum()) <= MAX_ROWS:
            return {}
        order = np.argsort(-self.rows, kind="stable")
        remaining = int(self.rows.sum()) - np.cumsum(self.rows[order])
        count = int(np.flatnonzero(remaining <= MAX_ROWS)[0]) + 1
        return {int(self.device[k]): int(self.since_us[k]) for k in order[:count]}


def expected(bounds: Bounds, state: MeterState, frames: Sequence[Frame]) -> Expected:
    """
    Return the numbers of rows that new readings will make, before they are made.

    `state`: current state of registers.
    `frames`: readings later than all stored ones of their devices.
    """
    parts = []
    for frame in frames:
        device, of = np.unique(frame.device, return_inverse=True)
        rows = np.zeros(len(device), dtype=np.int64)
        since = np.full(len(device), FAR_US, dtype=np.int64)
        for column in bounds.columns(frame.class_id):
            measured = frame.columns[column.channel.name] != NULL
            begin = np.full(len(device), FAR_US, dtype=np.int64)
            end = -begin
            np.minimum.at(begin, of[measured], frame.time_us[measured])
            np.maximum.at(end, of[measured], frame.time_us[measured])
            register = state.registers[column.quantity]
            known = register.known[device]
            begin = np.where(known, register.seen_us(device), begin)
            there = end > begin
            rows[there] += (end[there] - begin[there]) // INTERVAL_US + 1
            since[there] = np.minimum(since[there], begin[there])
        parts.append((device, rows, since))
    if not parts:
        none = np.zeros(0, dtype=np.int64)
        return Expected(none.astype(np.int32), none, none)
    return Expected(*(np.concatenate(column) for column in zip(*parts, strict=True)))


class Span(NamedTuple):
    """
    Next span of a device to derive; endless if it is the last.

    `rows` and `readings` are upper bounds of its size.
    """

    from_us: int
    until_us: int | None
    newest_us: int
    rows: int
    readings: int


def spans(
    cursor: Cursor,
    fleet: Fleet,
    requests: Mapping[int, Request],
    known: Mapping[int, readings.Ahead],
) -> tuple[dict[int, Span], list[int]]:
    """
    Return the next spans of requests, within the limit of a commit, at least one.

    `known`: known later readings, which need not be looked up.

    Returns `spans`: spans by fleet index; other devices must wait.
    Returns `done`: devices without readings from the time of their request on.
    """
    out: dict[int, Span] = {}
    done: list[int] = []
    rows = count = 0
    for class_id, members in by_class(fleet, list(requests)).items():
        aheads = {d: known[d] for d in members if d in known}
        since = {d: requests[d].from_us for d in members if d not in known}
        if since:
            aheads |= readings.ahead(cursor, fleet, class_id, since, MAX_SPAN_READINGS // 4)
        for device in members:
            if device not in aheads:
                done.append(device)
                continue
            span = _span(fleet, device, requests[device], aheads[device])
            if out and (rows + span.rows > MAX_ROWS or count + span.readings > MAX_SPAN_READINGS):
                continue
            out[device] = span
            rows, count = rows + span.rows, count + span.readings
    return out, done


def _span(fleet: Fleet, device: int, request: Request, ahead: readings.Ahead) -> Span:
    from_us = request.from_us
    begin = ahead.first_us if from_us == FROM_START else from_us
    kinds = max(registers(fleet, device), 1)
    until = _ceil(begin + MAX_ROWS // kinds * INTERVAL_US)
    if request.last_us < FAR_US:
        # rows may agree soon after the last change; otherwise the look-ahead grows
        beyond = max(begin - request.last_us, 0)
        until = min(until, _ceil(max(begin, request.last_us) + AHEAD_US + 3 * beyond))
    first = _ceil(ahead.first_us)
    if ahead.archived_us is not None:
        until = min(until, _ceil(max(begin, ahead.first_us)) + _ARCHIVED_US)
    elif ahead.number == MAX_SPAN_READINGS // 4:
        until = min(until, _ceil(ahead.last_us))
    until = max(until, first)  # a step over a long gap of readings is not divided
    last = until >= ahead.newest_us
    rows = rows_between(fleet, device, begin, min(until, ahead.newest_us))
    return Span(from_us, None if last else until, ahead.newest_us, rows, ahead.number)


def _ceil(us: int) -> int:
    return -(-us // INTERVAL_US) * INTERVAL_US
