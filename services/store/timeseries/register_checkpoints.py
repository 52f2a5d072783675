"""
Register checkpoints: the state of a register at the start of an interval, stored with interval
rows.

`load` restores a device's metering state of its last commit; `last` returns the checkpoints from
which metering is repeated after late data.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import Cursor
from psycopg.rows import TupleRow

from ingest import classes
from ingest.classes import QUANTITY_INDEX, Channel
from ingest.model import INTERVAL_US, LOOK_BACK_US, NULL, POWER_GAP_US, Fleet, Int16, Int32, Int64
from ingest.pipeline.quality_state import NEVER, MeterState, Register
from services.store import archive_catalog as archived
from services.store import archived_readings as cold
from services.store.archived_readings import ReadingSpan
from services.store.postgres import binary_copy
from services.store.postgres import nearest_rows as near
from services.store.postgres.pool import FAR_US, stamp

_US = "(extract(epoch FROM {}) * 1000000)::bigint"
# quantities of registers without checkpoints, by fleet index
Bare = Mapping[int, Collection[int]]
NONE: Bare = {}


class Checkpoint(NamedTuple):
    """
    Stored state of a register at the start of an interval.

    `device`, `quantity`: fleet index and number of the quantity.  `value`: base units.
    `read_us`, `changed_us`: times of its last reading and of its last rise. [us UTC]
    `other`: `value`, `read_us`, `count` and `first` of a second register sequence, as in
    `ingest.registers.lines.Other`; None without one.
    """

    device: int
    quantity: int
    start_us: int
    value: int
    read_us: int
    changed_us: int
    other: tuple[int, int, int, int] | None

    @property
    def seen_us(self) -> int:
        """Return the time of the last reading of either register sequence. [us UTC]"""
        waits = self.other is not None and self.other[2] != 0
        return max(self.read_us, self.other[1]) if waits and self.other else self.read_us

    @property
    def since_us(self) -> int:
        """
        Return the time from which later readings can change rows. [us UTC]

        This is the time of the checkpoint, or of the other register sequence if that is older.
        """
        return self.read_us if self.other is None else min(self.read_us, self.other[1])

    def set(self, register: Register) -> None:
        """Set a register's state to this checkpoint."""
        d = self.device
        register.known[d], register.away[d] = True, False
        register.value[d], register.read_us[d] = self.value, self.read_us
        register.changed_us[d] = self.changed_us
        register.other_read_us[d] = NEVER
        if self.other is not None:
            register.other_value[d], register.other_read_us[d] = self.other[:2]
            register.other_count[d], register.other_first[d] = self.other[2:]


def load(
    cursor: Cursor,
    fleet: Fleet,
    state: MeterState,
    devices: Sequence[int],
    near_us: Mapping[int, int] | None = None,
    before_us: Mapping[int, int] | None = None,
) -> None:
    """
    Load the metering state of devices that the process has not loaded yet.
    `near_us`: approximate time of devices' last data, near which their newest rows are searched
    first.
    `before_us`: time from which readings of a device have no rows yet. [us UTC]
    """
    state.reset(np.array(devices, dtype=np.intp))
    result = newest_readings(cursor, fleet, devices, near_us or {}, before_us or {})
    state.last_us[list(devices)] = [result[d] for d in devices]
    newest = {d: near.newest(int(state.last_us[d])) for d in devices}
    _load_open(cursor, fleet, state, newest)
    for mark in _marks(cursor, fleet, dict.fromkeys(devices, FAR_US), "start", newest):
        register = state.registers[mark.quantity]
        mark.set(register)
        # the newest reading of the device has no value of this register
        register.away[mark.device] = state.last_us[mark.device] > mark.seen_us
    _load_power(cursor, fleet, state, devices)
    state.loaded[list(devices)] = True


def bare(fleet: Fleet, state: MeterState, devices: Collection[int]) -> dict[int, set[int]]:
    """Return the quantities of registers without rows, by fleet index, according to `state`."""
    known = classes.load()
    kinds = {
        class_id: {QUANTITY_INDEX[str(c.quantity)] for c in known[class_id].registers}
        for class_id in by_class(fleet, list(devices))
    }
    return {
        d: {q for q in kinds[fleet.devices[d].class_id] if not state.registers[q].known[d]}
        for d in devices
        if state.loaded[d]
    }


def last(
    cursor: Cursor,
    fleet: Fleet,
    *,
    read_before: Mapping[int, int] | None = None,
    start_before: Mapping[int, int] | None = None,
    bare: Bare = NONE,
) -> list[Checkpoint]:
    """
    Return each register's last checkpoint before a time.
    Give either `read_before` (time of the reading) or `start_before` (start of the interval), by
    fleet index. [us UTC]
    `bare`: registers known to have no checkpoints; they are not searched.
    """
    column = "start" if read_before is None else "register_read"
    before_us = (start_before if read_before is None else read_before) or {}
    spans = {d: near.before(us) for d, us in before_us.items()}
    return _marks(cursor, fleet, before_us, column, spans, bare)


def departed(
    cursor: Cursor, fleet: Fleet, from_us: Mapping[int, int], bare: Bare = NONE
) -> dict[int, int]:
    """
    Return since when a register has a second sequence, by fleet index of its device. [us UTC]
    Sequences that begin more than a week after `from_us` have no effect and are omitted.
    `bare`: as for `last`.
    """
    spans = {
        device: (us - 1 - INTERVAL_US, us + LOOK_BACK_US + INTERVAL_US)
        for device, us in from_us.items()
    }
    beside = _US.format("least(register_read, other_read)")
    rows: list[TupleRow] = []
    for group in near.of_similar_spans(spans):
        begins, ends = zip(*group.values(), strict=True)
        cursor.execute(
            f"SELECT d.index, min({beside})"
            " FROM unnest(%s::text[], %s::int[], %s::timestamptz[], %s::timestamptz[])"
            " AS d (id, index, since, until) CROSS JOIN LATERAL"
            " (SELECT * FROM interval_quantity WHERE device_id = d.id"
            f" {near.within('start', min(begins), max(ends))} OFFSET 0) h"
            " WHERE start > d.since AND start < d.until AND other_read IS NOT NULL GROUP BY 1",
            (fleet.ids(list(group)), list(group), list(map(stamp, begins)), list(map(stamp, ends))),
            prepare=False,
        )
        rows += cursor.fetchall()
    # after a data gap, the first reading after the week is needed too
    pairs = _Pairs.of(fleet, list(spans), bare)
    until = [spans[d][1] for d in pairs.device]
    result = near.nearest(
        cursor,
        "SELECT d.number, d.index, n.beside FROM {sought} CROSS JOIN LATERAL"
        f" (SELECT CASE WHEN other_read IS NOT NULL THEN {beside} END AS beside"
        " FROM interval_quantity WHERE device_id = d.id AND quantity = d.quantity"
        " AND start >= d.until AND register_read IS NOT NULL{near} ORDER BY start LIMIT 1) n",
        pairs.columns | {"until timestamptz": list(map(stamp, until))},
        list(map(near.after, until)),
        "start",
        onward=True,
    )
    rows += [(index, us) for _, index, us in result if us is not None]
    out: dict[int, int] = {}
    for index, us in rows:
        out[index] = min(us, out.get(index, us))
    return out


class StoredRows(NamedTuple):
    """Stored interval rows with a register's state; n rows."""

    device: Int32
    quantity: Int16
    start_us: Int64
    value: Int64
    read_us: Int64
    changed_us: Int64
    other: NDArray[np.bool_]
    metering: Int16


def between(cursor: Cursor, fleet: Fleet, spans: Mapping[int, tuple[int, int]]) -> StoredRows:
    """Return stored interval rows of devices in their spans, ends excluded, sorted. [us UTC]"""
    types = {"device": "int4", "quantity": "int2", "start": "timestamptz"}
    types |= dict.fromkeys(("value", "read", "changed"), "int8")
    types |= {"other": "int2", "metering": "int2"}
    marks = (
        f"coalesce(i.register_value, ({NULL})),"
        f" coalesce({_US.format('i.register_read')}, ({NULL})),"
        f" coalesce({_US.format('i.register_changed')}, ({NULL}))"
    )
    parts = []
    for group in near.of_similar_spans(spans or {0: (0, 0)}):
        begins, ends = zip(*group.values(), strict=True)
        result = binary_copy.fetch(
            cursor,
            f"SELECT d.index, q.number, i.start, {marks},"
            " (i.other_read IS NOT NULL)::int::smallint, i.metering"
            " FROM unnest(%s::text[], %s::int[], %s::timestamptz[], %s::timestamptz[])"
            " AS d (id, index, since, until) CROSS JOIN LATERAL (SELECT * FROM interval_quantity"
            " WHERE device_id = d.id AND start >= %s AND start < %s OFFSET 0) i"
            " JOIN unnest(%s::text[], %s::smallint[]) AS q (name, number) ON q.name = i.quantity"
            " WHERE i.start >= d.since AND i.start < d.until",
            (
                fleet.ids(list(group)),
                list(group),
                list(map(stamp, begins)),
                list(map(stamp, ends)),
                stamp(min(begins)),
                stamp(max(ends)),
                list(QUANTITY_INDEX),
                list(QUANTITY_INDEX.values()),
            ),
            types,
        )
        parts.append([result[name] for name in types])
    columns = list(map(np.concatenate, zip(*parts, strict=True)))
    order = np.lexsort((columns[2], columns[1], columns[0]))
    columns = [column[order] for column in columns]
    columns[-2] = columns[-2] != 0
    return StoredRows(*columns)


def newest(
    cursor: Cursor, fleet: Fleet, near_us: Mapping[int, int], bare: Bare = NONE
) -> dict[int, dict[int, int]]:
    """
    Return the times of registers' last readings, by fleet index and quantity. [us UTC]
    The newest row of a register has a checkpoint, unless it was calculated from power.
    `near_us`: time of the newest reading by fleet index, near which rows are searched. [us UTC]
    `bare`: as for `last`.
    """
    pairs = _Pairs.of(fleet, list(near_us), bare)
    rows = near.nearest(
        cursor,
        f"SELECT d.number, d.index, d.quantity, {_US.format('i.register_read')}"
        " FROM {sought} CROSS JOIN LATERAL (SELECT register_read FROM interval_quantity"
        " WHERE device_id = d.id AND quantity = d.quantity{near} ORDER BY start DESC LIMIT 1) i",
        pairs.columns,
        [near.newest(near_us[d]) for d in pairs.device],
        "start",
    )
    result: dict[int, dict[int, int]] = {}
    for _, index, quantity, read_us in rows:
        if read_us is not None:
            result.setdefault(index, {})[QUANTITY_INDEX[quantity]] = read_us
    return result


def showing(cursor: Cursor, fleet: Fleet, devices: Sequence[int], channel: Channel) -> list[int]:
    """Return the fleet indices of those devices of one class that ever had a register reading."""
    class_id = fleet.devices[devices[0]].class_id
    cursor.execute(
        "SELECT d.index FROM unnest(%s::text[], %s::int[]) AS d (id, index)"
        # ordered by the key, so that the index is used instead of a scan
        " WHERE coalesce((SELECT true FROM interval_quantity WHERE device_id = d.id"
        " AND quantity = %s AND register_read IS NOT NULL ORDER BY start DESC LIMIT 1),"
        f" (SELECT true FROM reading_{class_id} WHERE device_id = d.id"
        f" AND {channel.name} IS NOT NULL ORDER BY time DESC LIMIT 1))",
        (fleet.ids(list(devices)), list(devices), str(channel.quantity)),
    )
    return [index for (index,) in cursor.fetchall()]


def newest_readings(
    cursor: Cursor,
    fleet: Fleet,
    devices: Sequence[int],
    near_us: Mapping[int, int],
    before_us: Mapping[int, int] | None = None,
) -> dict[int, int]:
    """
    Return the time of each device's newest reading, by fleet index; NEVER if none. [us UTC]

    `near_us`: approximate time of it, near which it is searched first.
    `before_us`: only readings before this time; by default all.
    """
    before, result = before_us or {}, dict.fromkeys(devices, NEVER)
    for class_id, members in by_class(fleet, devices).items():
        rows = near.nearest(
            cursor,
            f"SELECT d.number, d.index, {_US.format('r.time')} FROM {{sought}} CROSS JOIN LATERAL"
            f" (SELECT time FROM reading_{class_id} WHERE device_id = d.id AND time < d.before"
            "{near} ORDER BY time DESC LIMIT 1) r",
            {
                "id text": fleet.ids(members),
                "index int": members,
                "before timestamptz": [stamp(before.get(d, FAR_US)) for d in members],
            },
            [near.newest(min(near_us.get(d, NEVER), before.get(d, FAR_US))) for d in members],
            "time",
        )
        result |= {index: time_us for _, index, time_us in rows}
    for name, (_, last_us) in archived.reach(cursor, fleet.ids(list(devices))).items():
        device = fleet.by_id[name]
        result[device] = max(result[device], last_us)
    return result


def _load_open(
    cursor: Cursor, fleet: Fleet, state: MeterState, first_us: Mapping[int, near.Span]
) -> None:
    pairs = _Pairs.of(fleet, list(first_us), NONE)
    rows = near.nearest(
        cursor,
        f"SELECT d.number, d.index, d.quantity, {_US.format('i.start')}, i.value, i.measured_us,"
        " i.estimated_us, i.unknown_us FROM {sought} CROSS JOIN LATERAL (SELECT *"
        " FROM interval_quantity WHERE device_id = d.id AND quantity = d.quantity{near}"
        " ORDER BY start DESC LIMIT 1) i",
        pairs.columns,
        [first_us[d] for d in pairs.device],
        "start",
    )
    for _, index, quantity, start, value, measured, estimated, unknown in rows:
        register = state.registers[QUANTITY_INDEX[quantity]]
        register.open_us[index], register.open_value[index] = start, value
        register.open_measured[index] = measured
        register.open_estimated[index] = estimated
        register.open_unknown[index] = unknown


def _marks(
    cursor: Cursor,
    fleet: Fleet,
    before_us: Mapping[int, int],
    column: str,
    first_us: Mapping[int, near.Span],
    bare: Bare = NONE,
) -> list[Checkpoint]:
    pairs = _Pairs.of(fleet, list(before_us), bare)
    before = [stamp(before_us[d]) for d in pairs.device]
    rows = near.nearest(
        cursor,
        f"SELECT d.number, d.index, d.quantity, {_US.format('i.start')}, i.register_value,"
        f" {_US.format('i.register_read')}, {_US.format('i.register_changed')},"
        f" i.other_value, {_US.format('i.other_read')}, i.other_count, i.other_first"
        " FROM {sought} CROSS JOIN LATERAL (SELECT * FROM interval_quantity"
        " WHERE device_id = d.id AND quantity = d.quantity AND register_read IS NOT NULL"
        f" AND {column} < d.before AND start < d.before{{near}} ORDER BY start DESC LIMIT 1) i",
        pairs.columns | {"before timestamptz": before},
        [first_us[d] for d in pairs.device],
        "start",
    )
    return [_checkpoint(row[1:]) for row in rows]


def _checkpoint(row: TupleRow) -> Checkpoint:
    device, quantity, start_us, value, read_us, changed_us, *other = row
    beside = None if other[0] is None else (other[0], other[1], other[2], other[3])
    quantity_index = QUANTITY_INDEX[quantity]
    return Checkpoint(device, quantity_index, start_us, value, read_us, changed_us, beside)


def _load_power(cursor: Cursor, fleet: Fleet, state: MeterState, devices: Sequence[int]) -> None:
    for class_id, members in by_class(fleet, devices).items():
        for channel in classes.load()[class_id].registers:
            register = state.registers[QUANTITY_INDEX[str(channel.quantity)]]
            unmetered = [i for i in members if not register.known[i] and state.last_us[i] > NEVER]
            if channel.power is None or not unmetered:
                continue
            spans = [
                ReadingSpan(fleet.devices[i].id, i, last - POWER_GAP_US, last + 1)
                for i, last in zip(unmetered, state.last_us[unmetered].tolist(), strict=True)
            ]
            source = cold.relation(cursor, class_id, spans)
            least = near.within("time", min(span.from_us for span in spans), FAR_US)
            cursor.execute(
                f"SELECT d.index, {_US.format('r.time')}, r.power"
                " FROM unnest(%s::text[], %s::int[], %s::timestamptz[], %s::timestamptz[])"
                " AS d (id, index, after, last)"
                f" CROSS JOIN LATERAL (SELECT time, {channel.power} AS power FROM {source} s"
                f" WHERE device_id = d.id AND time >= d.after AND time <= d.last{least}"
                f" AND {channel.power} IS NOT NULL ORDER BY time DESC LIMIT 1) r",
                (
                    fleet.ids(unmetered),
                    unmetered,
                    [stamp(int(state.last_us[i]) - POWER_GAP_US) for i in unmetered],
                    [stamp(int(state.last_us[i])) for i in unmetered],
                ),
                prepare=False,
            )
            for index, time_us, watts in cursor.fetchall():
                register.power_us[index], register.power_w[index] = time_us, watts


def by_class(fleet: Fleet, devices: Sequence[int]) -> dict[str, list[int]]:
    """Return fleet indices by device class."""
    result: dict[str, list[int]] = {}
    for index in devices:
        result.setdefault(fleet.devices[index].class_id, []).append(int(index))
    return result


class _Pairs(NamedTuple):
    """Pairs of devices and the quantities of their classes' registers."""

    ids: list[str]
    device: list[int]
    quantity: list[str]

    @staticmethod
    def of(fleet: Fleet, devices: Sequence[int], bare: Bare) -> _Pairs:
        """Return all pairs, except registers without checkpoints."""
        pairs = _Pairs([], [], [])
        for device in devices:
            for channel in classes.load()[fleet.devices[device].class_id].registers:
                quantity = str(channel.quantity)
                if QUANTITY_INDEX[quantity] not in bare.get(device, ()):
                    pairs.ids.append(fleet.devices[device].id)
                    pairs.device.append(int(device))
                    pairs.quantity.append(quantity)
        return pairs

    @property
    def columns(self) -> dict[str, list[Any]]:
        """Return the pairs as `sought` of `nearest`."""
        return {"id text": self.ids, "index int": self.device, "quantity text": self.quantity}
