"""
Raw readings: new rows are written by COPY, possibly existing rows are merged.

Of two readings with equal device and time: equal values are ignored, empty channels are filled; if
a value differs, the first reading remains and the second becomes a dead letter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from psycopg import Cursor
from psycopg.rows import TupleRow

from ingest import classes
from ingest.model import NULL, Device, Fleet, Frame
from services.store import archive_catalog as archived
from services.store import archived_readings as cold
from services.store.archived_readings import ReadingSpan
from services.store.postgres import binary_copy
from services.store.postgres import nearest_rows as near
from services.store.postgres.binary_copy import Blob, Field, Float8, Int8, Text, Time, Words, encode
from services.store.postgres.pool import FAR_US, stamp, us_of

_TEMP = "incoming_{class_id}"


def channels(class_id: str) -> list[str]:
    """Return the channel columns of a class, in table order."""
    return list(classes.load()[class_id].channels)


def _fields(frame: Frame, ids: Words) -> list[Field]:
    fields: list[Field] = [Text(ids, frame.device), Time(frame.time_us)]
    for name in channels(frame.class_id):
        values = frame.columns[name]
        if values.dtype == np.int64:
            fields.append(Int8(values))  # type: ignore[arg-type]
        else:
            fields.append(Float8(values))  # type: ignore[arg-type]
    return fields


def copy_new(cursor: Cursor, ids: Words, frame: Frame) -> None:
    """
    Store readings that are known to be new.

    Raises psycopg.errors.UniqueViolation if a row exists; the caller then merges.
    """
    columns = ["device_id", "time", *channels(frame.class_id)]
    fields = _fields(frame, ids)
    if frame.flags:
        columns.append("flags")
        rows = range(len(frame))
        fields.append(Blob([_flags(frame, i) for i in rows], version=b"\x01"))
    _copy(cursor, f"reading_{frame.class_id}", columns, encode(fields, len(frame)))


def _flags(frame: Frame, row: int) -> bytes | None:
    result = frame.flags.get(row)
    return None if result is None else msgspec.json.encode(result)


def _copy(cursor: Cursor, table: str, columns: Sequence[str], data: bytes) -> None:
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT binary)"
    with cursor.copy(statement) as copy:
        copy.write(data)


class Merged(NamedTuple):
    """
    Result of a merge, by row number in the frame.

    `changed`: rows that were stored or filled channels.  `conflicts`: rows that contradict stored
    ones.
    `filled`: channels that a row filled in an existing reading.
    """

    changed: list[int]
    conflicts: list[int]
    filled: dict[int, list[str]]


def merge(cursor: Cursor, ids: Words, frame: Frame) -> Merged:
    """
    Store possibly existing rows in order of arrival, and return the result.
    Rows of equal device and time are stored one after another, so that the first value remains.
    """
    out = Merged([], [], {})
    for rows in _ranks(frame):
        part = _merge_unique(cursor, ids, frame.take(rows))
        out.changed.extend(int(rows[i]) for i in part.changed)
        out.conflicts.extend(int(rows[i]) for i in part.conflicts)
        out.filled.update((int(rows[i]), channels) for i, channels in part.filled.items())
    return out


def _ranks(frame: Frame) -> list[np.ndarray]:
    """Return row numbers in groups: first rows of their device and time, second rows, and so on."""
    order = np.lexsort((np.arange(len(frame)), frame.time_us, frame.device))
    device, time_us = frame.device[order], frame.time_us[order]
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (device[1:] != device[:-1]) | (time_us[1:] != time_us[:-1])
    heads = np.flatnonzero(new)
    rank = np.arange(len(order)) - heads[np.cumsum(new) - 1]
    return [np.sort(order[rank == k]) for k in range(int(rank.max(initial=-1)) + 1)]


def _merge_unique(cursor: Cursor, ids: Words, frame: Frame) -> Merged:
    names = channels(frame.class_id)
    table, temp = f"reading_{frame.class_id}", _TEMP.format(class_id=frame.class_id)
    cursor.execute(
        f"CREATE TEMP TABLE IF NOT EXISTS {temp}"
        f" (LIKE {table}, row bigint) ON COMMIT DELETE ROWS; DELETE FROM {temp}"
    )
    rows = np.arange(len(frame), dtype=np.int64)
    fields = [
        *_fields(frame, ids),
        Blob([_flags(frame, i) for i in range(len(frame))], version=b"\x01"),
        Int8(rows),
    ]
    _copy(cursor, temp, ["device_id", "time", *names, "flags", "row"], encode(fields, len(frame)))
    differ = " OR ".join(f"t.{n} <> i.{n}" for n in names)
    adds = ", ".join(f"CASE WHEN t.{n} IS NULL AND i.{n} IS NOT NULL THEN '{n}' END" for n in names)
    result: list[TupleRow] = []
    times = frame.time_us.tolist()
    for group in near.together_in_time(times):
        first, last = times[group[0]], times[group[-1]]
        cursor.execute(
            f"SELECT i.row, coalesce({differ}, false), array_remove(ARRAY[{adds}], NULL)"
            f" FROM {temp} i JOIN {table} t"
            " ON t.device_id = i.device_id AND t.time = i.time"
            f" WHERE i.row = ANY(%s){near.within('t.time', first, last + 1)}",
            (group,),
            prepare=False,
        )
        result += cursor.fetchall()
    conflicts = [row for row, differs, _ in result if differs]
    # rows that change nothing are omitted, as an insert into a compressed chunk makes the server
    # decompress rows near it
    known = [row for row, differs, more in result if differs or not more]
    if len(known) == len(frame):
        return Merged([], conflicts, {})
    filled = {row: more for row, differs, more in result if more and not differs}
    every = ["device_id", "time", *names, "flags"]
    fills = " OR ".join(f"(t.{n} IS NULL AND excluded.{n} IS NOT NULL)" for n in names)
    sets = ", ".join(f"{n} = coalesce(t.{n}, excluded.{n})" for n in names)
    cursor.execute(
        f"WITH stored AS (INSERT INTO {table} AS t ({', '.join(every)})"
        f" SELECT {', '.join(every)} FROM {temp} WHERE row <> ALL(%s)"
        f" ON CONFLICT (device_id, time) DO UPDATE SET {sets},"
        f" flags = nullif(coalesce(excluded.flags, '{{}}') || coalesce(t.flags, '{{}}'), '{{}}')"
        f" WHERE {fills} RETURNING device_id, time)"
        f" SELECT row FROM {temp} JOIN stored USING (device_id, time)",
        (known,),
    )
    return Merged([row for (row,) in cursor.fetchall()], conflicts, filled)


def fetch(
    cursor: Cursor,
    fleet: Fleet,
    class_id: str,
    after_us: Mapping[int, int],
    until_us: int | Mapping[int, int] | None = None,
) -> Frame:
    """
    Return stored and archived readings of devices, each after its own time; sorted by device and
    time.

    `after_us`: start of each device, excluded, by fleet index. [us UTC]
    `until_us`: end, excluded, of all or by fleet index; None or absent for no end. [us UTC]
    """
    spans = {d: (us + 1, _end(d, until_us)) for d, us in after_us.items()}
    parts = []
    for group in near.of_similar_spans(spans or {0: (0, 0)}):
        begins, ends = zip(*group.values(), strict=True)
        query = (
            " FROM unnest(%s::text[], %s::int[], %s::timestamptz[], %s::timestamptz[])"
            " AS d (id, index, since, until)"
            # one look-up per device, by the primary key: a join would read the whole columnstore
            f" CROSS JOIN LATERAL (SELECT * FROM reading_{class_id} WHERE device_id = d.id"
            " AND time >= d.since AND time < d.until"
            f"{near.within('time', min(begins), max(ends))} OFFSET 0) r"
        )
        edges = ([stamp(us) for us in edge] for edge in (begins, ends))
        parts.append(
            _select(cursor, class_id, query, (fleet.ids(list(group)), list(group), *edges))
        )
    stored = parts[0] if len(parts) == 1 else cold.overlay(parts)
    reading_spans = [ReadingSpan(fleet.devices[d].id, d, *span) for d, span in spans.items()]
    return cold.with_archived(cursor, stored, reading_spans)


def _end(device: int, until_us: int | Mapping[int, int] | None) -> int:
    if until_us is None or isinstance(until_us, int):
        return FAR_US if until_us is None else until_us
    return until_us.get(device, FAR_US)


def months(
    cursor: Cursor, fleet: Fleet, class_id: str, spans: Mapping[int, tuple[int, int]]
) -> Frame:
    """
    Return stored and archived readings of a few devices over long spans; sorted by device and time.
    `spans`: requested spans by fleet index, end excluded. [us UTC]
    """
    runs = near.cut(fleet, spans)
    absent = {name: _absent(c.kind) for name, c in classes.load()[class_id].channels.items()}
    arrays = (
        f"CASE WHEN count({n}) > 0 THEN array_agg(coalesce({n}, {null})) END"
        for n, (_, null) in absent.items()
    )
    fetch_runs = binary_copy.fetch_runs(
        cursor,
        f"SELECT d.number, r.* FROM {near.SELECTED} AS d {near.NAMED} CROSS JOIN LATERAL"
        f" (SELECT array_agg(time) AS times, {', '.join(arrays)} FROM (SELECT * FROM"
        f" reading_{class_id} WHERE device_id = d.id AND time >= d.since AND time < d.until"
        # common bounds as parameters, so that the planner excludes other chunks
        " AND time >= %s AND time < %s ORDER BY time) ordered) r WHERE r.times IS NOT NULL",
        (
            *runs.arguments,
            stamp(min((since for since, _ in spans.values()), default=0)),
            stamp(max((until for _, until in spans.values()), default=0)),
        ),
        {"time": "timestamptz"} | {name: kind for name, (kind, _) in absent.items()},
    )
    time_us = fetch_runs.columns.pop("time")
    messages = np.zeros(len(time_us), dtype=np.int32)
    stored = Frame(class_id, runs.device[fetch_runs.run], time_us, messages, fetch_runs.columns)
    reading_spans = [ReadingSpan(fleet.devices[d].id, d, *span) for d, span in spans.items()]
    return cold.with_archived(cursor, stored, reading_spans)


def within(
    cursor: Cursor,
    class_id: str,
    ids: Sequence[str],
    index: Sequence[int],
    since: Sequence[str],
    until: Sequence[str],
) -> Frame:
    """Return readings within a span of each device, ends excluded; sorted by device and time."""
    edges = [[us_of(text) for text in edge] for edge in (since, until)]
    query = (
        " FROM unnest(%s::text[], %s::int[], %s::timestamptz[], %s::timestamptz[])"
        " AS d (id, index, since, until)"
        f" CROSS JOIN LATERAL (SELECT * FROM reading_{class_id} WHERE device_id = d.id"
        " AND time >= d.since AND time < d.until"
        f"{near.within('time', min(edges[0], default=0), max(edges[1], default=0))} OFFSET 0) r"
    )
    stored = _select(cursor, class_id, query, (ids, index, since, until))
    return cold.with_archived(cursor, stored, list(map(ReadingSpan, ids, index, *edges)))


def arrival_flags_of(
    cursor: Cursor, class_id: str, ids: Sequence[str], from_us: int, to_us: int
) -> dict[tuple[str, int], str]:
    """
    Return the flags set at arrival of stored and archived readings in [from, to), as JSON by device
    id and time.
    """
    cursor.execute(
        f"SELECT device_id, {_us('time')}, flags::text FROM reading_{class_id}"
        " WHERE device_id = ANY(%s) AND time >= %s AND time < %s AND flags IS NOT NULL",
        (list(ids), stamp(from_us), stamp(to_us)),
    )
    stored = {(name, int(us)): text for name, us, text in cursor.fetchall()}
    spans = [ReadingSpan(name, k, from_us, to_us) for k, name in enumerate(ids)]
    before = cold.fetch(cursor, class_id, spans).flags
    both = {
        key: json.dumps(json.loads(stored[key]) | json.loads(before[key]), sort_keys=True)
        for key in stored.keys() & before.keys()
    }
    return before | stored | both


def _select(cursor: Cursor, class_id: str, query: str, arguments: Sequence[Any]) -> Frame:
    """Return a query's readings as a frame: `d.index` is the device, `r` the reading."""
    result = classes.load()[class_id].channels
    absent = {name: _absent(channel.kind) for name, channel in result.items()}
    stored_columns = (f"coalesce(r.{name}, {null})" for name, (_, null) in absent.items())
    columns = binary_copy.fetch(
        cursor,
        f"SELECT d.index, r.time, {', '.join(stored_columns)}{query} ORDER BY d.index, r.time",
        arguments,
        {"device": "int4", "time": "timestamptz"} | {n: kind for n, (kind, _) in absent.items()},
    )
    device, time_us = columns.pop("device"), columns.pop("time")
    return Frame(class_id, device, time_us, np.zeros(len(device), dtype=np.int32), columns)


def _absent(kind: str) -> tuple[str, str]:
    """Return a channel's SQL type, and the expression for an absent value."""
    return ("int8", f"({NULL})") if kind == "register" else ("float8", "'NaN'")


class Ahead(NamedTuple):
    """
    Readings of a device from a time on.

    `number`, `first_us`, `last_us`: number (at most a maximum) of stored readings, and their times.
    `newest_us`: time of the newest reading.  `archived_us`: time of the newest archived one; None
    if none.
    """

    number: int
    first_us: int
    last_us: int
    newest_us: int
    archived_us: int | None


def ahead(
    cursor: Cursor, fleet: Fleet, class_id: str, from_us: Mapping[int, int], maximum: int
) -> dict[int, Ahead]:
    """
    Return numbers and times of readings by fleet index, each from its own time on, included.
    Devices without readings are omitted; archived readings are not counted.
    """
    least = near.within("time", min(from_us.values(), default=0), FAR_US)
    cursor.execute(
        f"SELECT d.index, n.count, {_us('n.first')}, {_us('n.last')}, {_us('l.time')}"
        " FROM unnest(%s::text[], %s::int[], %s::timestamptz[]) AS d (id, index, since)"
        " CROSS JOIN LATERAL (SELECT count(*), min(time) AS first, max(time) AS last"
        f" FROM (SELECT time FROM reading_{class_id} WHERE device_id = d.id"
        f" AND time >= d.since{least} ORDER BY time LIMIT %s) s) n"
        f" CROSS JOIN LATERAL (SELECT max(time) AS time FROM (SELECT time FROM reading_{class_id}"
        f" WHERE device_id = d.id AND time >= d.since{least} ORDER BY time DESC LIMIT 1) s) l",
        (fleet.ids(list(from_us)), list(from_us), [stamp(us) for us in from_us.values()], maximum),
        prepare=False,
    )
    rows = cursor.fetchall()
    reach = archived.reach(cursor, fleet.ids(list(from_us)))
    aheads = {}
    for index, count, first, last, newest in rows:
        name = fleet.devices[index].id
        oldest, end = reach.get(name, (FAR_US, -FAR_US))
        if name not in reach or end < from_us[index]:
            if count:
                aheads[index] = Ahead(count, first, last, newest, None)
            continue
        begin = max(oldest, from_us[index])
        aheads[index] = Ahead(count, begin, last or end, max(newest or end, end), end)
    return aheads


def second_after(
    cursor: Cursor, fleet: Fleet, class_id: str, from_us: Mapping[int, int]
) -> dict[int, int]:
    """
    Return the time of the second reading from a time on, included, by fleet index. [us UTC]
    Devices with fewer readings, or archived ones from that time on, are omitted.
    """
    index, ids = list(from_us), fleet.ids(list(from_us))
    rows = near.nearest(
        cursor,
        f"SELECT d.number, {_us('n.time')} FROM {{sought}} CROSS JOIN LATERAL (SELECT time"
        f" FROM reading_{class_id} WHERE device_id = d.id AND time >= d.since{{near}}"
        " ORDER BY time OFFSET 1 LIMIT 1) n",
        {"id text": ids, "since timestamptz": list(map(stamp, from_us.values()))},
        list(map(near.after, from_us.values())),
        "time",
        onward=True,
    )
    reach = archived.reach(cursor, ids)
    return {
        index[k]: us for k, us in rows if reach.get(ids[k], (0, -FAR_US))[1] < from_us[index[k]]
    }


def ends(cursor: Cursor, device: Device) -> tuple[int, int] | None:
    """Return times of a device's first and last reading, also archived; None if none. [us UTC]"""
    first, last = (
        f"(SELECT {_us('time')} FROM reading_{device.class_id} WHERE device_id = %s"
        f" ORDER BY time {order} LIMIT 1)"
        for order in ("ASC", "DESC")
    )
    cursor.execute(f"SELECT {first}, {last}", (device.id, device.id))
    row = cursor.fetchone()
    result = [] if row is None or row[0] is None else [(int(row[0]), int(row[1]))]
    result += archived.reach(cursor, [device.id]).values()
    return (min(a for a, _ in result), max(b for _, b in result)) if result else None


def _us(expression: str) -> str:
    """Return SQL for the exact microseconds UTC of a timestamptz."""
    return f"(extract(epoch FROM {expression}) * 1000000)::bigint"
