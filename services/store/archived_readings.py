"""
Reading of archived readings together with those of the database.

The database is read first, then the archive's parts.  A chunk is dropped only after its parts are
recorded, so a row that is being archived can be read twice, but never missed.  If both have a
device and time, the archived values take precedence, and the stored row fills empty channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import Cursor

from ingest.model import NULL, Column, Fleet, Frame
from services import vault_table
from services.store import archive_catalog as archived
from services.store.postgres import nearest_rows as near
from services.store.postgres.binary_copy import Blob, Field, Float8, Int8, Text, Time, Words, encode
from services.store.postgres.pool import FAR_US, stamp
from services.vault import Part

_DAY_US = 86_400_000_000


class ReadingSpan(NamedTuple):
    """Requested readings: a device, its number in the frame, and the span [from, to). [us UTC]"""

    id: str
    number: int
    from_us: int
    to_us: int


class ArchivedReadings(NamedTuple):
    """Archived readings, and their quality flags by device id and time."""

    frames: list[Frame]
    flags: vault_table.Flags


def with_archived(cursor: Cursor, stored: Frame, spans: Sequence[ReadingSpan]) -> Frame:
    """Return stored and archived readings as one frame, by device and time."""
    frames = fetch(cursor, stored.class_id, spans).frames
    return overlay([*frames, stored]) if frames else stored


def fetch(cursor: Cursor, class_id: str, spans: Sequence[ReadingSpan]) -> ArchivedReadings:
    """
    Return archived readings of a class, each device-day checked against its seal.

    Raises DamagedError or VaultError if a needed file differs from its seal, or cannot be reached.
    """
    out = ArchivedReadings([], {})
    if not spans:
        return out
    ids = sorted({wanted.id for wanted in spans})
    span = min(wanted.from_us for wanted in spans), max(wanted.to_us for wanted in spans)
    parts = archived.parts(cursor, class_id, ids, *span)
    if not parts:
        return out
    place = archived.place_of(cursor)
    for part in archived.newest(parts, frozenset(ids)):
        inside = [wanted for wanted in spans if _touches(wanted, part)]
        if inside:
            read = vault_table.read(place, part, {wanted.id for wanted in inside})
            out.frames.append(_cut(read, inside))
            out.flags.update(read.flags)
    return out


def _touches(reading_span: ReadingSpan, part: Part) -> bool:
    return (
        reading_span.id in part.leaves
        and reading_span.from_us < part.day.to_us
        and reading_span.to_us > part.day.from_us
    )


def _cut(read: vault_table.Stored, spans: Sequence[ReadingSpan]) -> Frame:
    """Return the requested rows, with the requested numbers of devices."""
    frame, number = read.frame, {name: k for k, name in enumerate(read.devices)}
    kept = np.zeros(len(frame), dtype=np.bool_)
    index = np.empty(len(read.devices), dtype=np.int32)
    for item in spans:
        own = frame.device == number[item.id]
        kept |= own & (frame.time_us >= item.from_us) & (frame.time_us < item.to_us)
        index[number[item.id]] = item.number
    out = frame.take(kept)
    out.device = index[out.device]
    return out


def overlay(frames: Sequence[Frame]) -> Frame:
    """Return one frame by device and time; of equal rows each channel keeps its first value."""
    device = np.concatenate([f.device for f in frames])
    time_us = np.concatenate([f.time_us for f in frames])
    order = np.lexsort((time_us, device))  # a stable sort: earlier frames come first
    device, time_us = device[order], time_us[order]
    again = np.zeros(len(order), dtype=np.bool_)
    again[1:] = (device[1:] == device[:-1]) & (time_us[1:] == time_us[:-1])
    heads = np.flatnonzero(~again)
    message = np.concatenate([f.message for f in frames])[order][heads]
    columns = {
        name: _first(np.concatenate([f.columns[name] for f in frames])[order], again, heads)
        for name in frames[0].columns
    }
    return Frame(frames[0].class_id, device[heads], time_us[heads], message, columns)


def _first(values: Column, again: NDArray[np.bool_], heads: NDArray[np.intp]) -> Column:
    """
    Return, for each run of rows with equal device and time, the first known value.

    `again`: rows of the same device and time as the row before.  `heads`: first row of each run.
    """
    out = values[heads]
    later = np.flatnonzero(again & ~_absent(values))
    run = np.searchsorted(heads, later, side="right") - 1
    lacking = _absent(out[run])
    run, at = np.unique(run[lacking], return_index=True)
    out[run] = values[later[lacking][at]]
    return out


def _absent(values: Column) -> NDArray[np.bool_]:
    return values == NULL if values.dtype == np.int64 else np.isnan(values)


class Split(NamedTuple):
    """
    Received readings compared with archived ones of the same device and time.

    `frame`: rows to be stored; `rows`: their numbers among the received rows.  `filled`: by row,
    channels that were empty in the archive.  `conflicts`: received rows that contradict the
    archive.
    """

    frame: Frame
    rows: NDArray[np.intp]
    conflicts: list[int]
    filled: dict[int, list[str]]


def split(cursor: Cursor, ids: Sequence[str], frame: Frame) -> Split:
    """
    Return late readings split into those missing in the archive and those contradicting it.

    `ids`: device ids by the frame's numbers.
    """
    every = np.arange(len(frame))
    stored = _archived_rows(cursor, ids, frame)
    if not len(stored):
        return Split(frame, every, [], {})
    at = _places(stored, frame)
    met = np.flatnonzero(at >= 0)
    differ, fill = np.zeros(len(met), dtype=np.bool_), np.zeros(len(met), dtype=np.bool_)
    columns = {}
    filled: dict[int, list[str]] = {}
    for name, values in frame.columns.items():
        old, new = stored.columns[name][at[met]], values[met]
        none_old, none_new = _absent(old), _absent(new)
        differ |= ~none_old & ~none_new & (old != new)
        fill |= none_old & ~none_new
        for row in met[none_old & ~none_new].tolist():
            filled.setdefault(row, []).append(name)
        columns[name] = values.copy()
        columns[name][met] = np.where(none_old, new, old)
    same = met[~differ & ~fill]
    rows = np.setdiff1d(every, np.concatenate([met[differ], same]))
    whole = Frame(frame.class_id, frame.device, frame.time_us, frame.message, columns, frame.flags)
    return Split(whole.take(rows), rows, met[differ].tolist(), filled)


def _archived_rows(cursor: Cursor, ids: Sequence[str], frame: Frame) -> Frame:
    """Return archived rows around the times of a frame's rows."""
    whose = np.unique(frame.device).tolist()
    last = {name: us for name, (_, us) in archived.reach(cursor, [ids[d] for d in whose]).items()}
    spans = []
    for device in whose:
        times = np.sort(frame.time_us[frame.device == device])
        times = times[times <= last.get(ids[device], -FAR_US)]
        # spans of neighbouring rows: each day is read once, and only days with received readings
        edges = np.flatnonzero(np.diff(times) > _DAY_US) + 1
        spans += [
            ReadingSpan(ids[device], device, int(run[0]), int(run[-1]) + 1)
            for run in np.split(times, edges)
            if len(run)
        ]
    frames = fetch(cursor, frame.class_id, spans).frames if spans else []
    return overlay(frames) if frames else frame.take(np.empty(0, dtype=np.intp))


def _places(stored: Frame, frame: Frame) -> NDArray[np.intp]:
    """Return the row of `stored` for each row of `frame`, by device and time; -1 for none."""
    known, keys = _keys(stored, frame)
    at = np.searchsorted(known, keys)
    at[at == len(known)] = 0
    return np.where(known[at] == keys, at, -1)


def _keys(stored: Frame, frame: Frame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """
    Return the number of each row of both frames, in the order of device and time.

    Rows of equal device and time have equal numbers.  `stored` is sorted.
    """
    pairs = np.concatenate(
        [np.stack([f.device.astype(np.int64), f.time_us], axis=1) for f in (stored, frame)]
    )
    _, number = np.unique(pairs, axis=0, return_inverse=True)
    number = number.reshape(-1)
    return number[: len(stored)], number[len(stored) :]


def with_two_readings(
    cursor: Cursor, class_id: str, spans: Sequence[ReadingSpan]
) -> list[ReadingSpan]:
    """
    Return spans that begin earlier, so that each contains two readings.

    A span is extended back to the second last stored reading, or if there is none by two archived
    days.  Spans after all archived readings of their device are omitted.
    """
    reach = archived.reach(cursor, [wanted.id for wanted in spans])
    stored = [wanted for wanted in spans if wanted.id in reach]
    if not stored:
        return []
    rows = near.nearest(
        cursor,
        "SELECT d.number, (extract(epoch FROM two.time) * 1000000)::bigint FROM {sought}"
        f" CROSS JOIN LATERAL (SELECT time FROM reading_{class_id} r WHERE r.device_id = d.id"
        " AND r.time < d.before{near} ORDER BY r.time DESC OFFSET 1 LIMIT 1) two",
        {
            "id text": [wanted.id for wanted in stored],
            "before timestamptz": [stamp(wanted.to_us) for wanted in stored],
        },
        [near.before(wanted.to_us) for wanted in stored],
        "r.time",
    )
    least = {stored[k].id: us for k, us in rows}
    fewer = [wanted for wanted in stored if wanted.id not in least]
    cursor.execute(
        "SELECT d.id, (extract(epoch FROM back.time) * 1000000)::bigint"
        " FROM unnest(%s::text[], %s::timestamptz[]) AS d (id, before)"
        " CROSS JOIN LATERAL (SELECT min(t.from_time) AS time FROM (SELECT DISTINCT p.from_time"
        " FROM archive_part p WHERE p.class_id = %s AND p.devices @> ARRAY[d.id]"
        " AND p.from_time < d.before ORDER BY 1 DESC LIMIT 2) t) back WHERE back.time IS NOT NULL",
        ([wanted.id for wanted in fewer], [stamp(wanted.to_us) for wanted in fewer], class_id),
    )
    least |= dict(cursor.fetchall())
    wide = [
        wanted._replace(from_us=min(wanted.from_us, least.get(wanted.id, FAR_US)))
        for wanted in stored
    ]
    return [wanted for wanted in wide if wanted.from_us <= reach[wanted.id][1]]


def with_few_readings(cursor: Cursor, fleet: Fleet, devices: Sequence[int]) -> list[int]:
    """Return the fleet indices of devices with fewer than two readings in the database."""
    result = []
    for device in devices:
        cursor.execute(
            f"SELECT count(*) FROM (SELECT FROM reading_{fleet.devices[device].class_id}"
            " WHERE device_id = %s LIMIT 2) r",
            [fleet.devices[device].id],
        )
        row = cursor.fetchone()
        if row is None or row[0] < 2:  # noqa: PLR2004
            result.append(device)
    return result


def relation(cursor: Cursor, class_id: str, spans: Sequence[ReadingSpan]) -> str:
    """
    Return the SQL of a relation with a class's readings, including archived ones of some spans.
    Call it in the transaction of the query, during which no chunk is dropped.
    """
    plain = f"reading_{class_id}"
    if not spans or not archived.reach(cursor, [wanted.id for wanted in spans]):
        return plain
    archived.guard(cursor)
    result = fetch(cursor, class_id, spans)
    if not result.frames:
        return plain
    name = thaw(cursor, class_id, {wanted.number: wanted.id for wanted in spans}, result)
    return f"(SELECT * FROM {plain} UNION ALL SELECT * FROM {name})"


def thaw(
    cursor: Cursor, class_id: str, ids: Mapping[int, str], archived_readings: ArchivedReadings
) -> str:
    """
    Load the archived rows that the database lacks into a temporary table, and return its name.

    `ids`: device ids by the frames' numbers.
    """
    name, frame = f"cold_{class_id}", overlay(archived_readings.frames)
    cursor.execute(
        f"CREATE TEMP TABLE IF NOT EXISTS {name} (LIKE reading_{class_id},"
        f" PRIMARY KEY (device_id, time)); TRUNCATE {name}"
    )
    columns, fields = ["device_id", "time", *frame.columns], _fields(frame, ids)
    if archived_readings.flags:
        columns.append("flags")
        keys = zip(frame.device.tolist(), frame.time_us.tolist(), strict=True)
        lines = [archived_readings.flags.get((ids[device], us)) for device, us in keys]
        fields.append(Blob([None if s is None else s.encode() for s in lines], version=b"\x01"))
    with cursor.copy(f"COPY {name} ({', '.join(columns)}) FROM STDIN (FORMAT binary)") as copy:
        copy.write(encode(fields, len(frame)))
    cursor.execute(
        f"DELETE FROM {name} c USING reading_{class_id} r"
        f" WHERE r.device_id = c.device_id AND r.time = c.time; ANALYZE {name}"
    )
    return name


def _fields(frame: Frame, ids: Mapping[int, str]) -> list[Field]:
    numbers = np.array(sorted(ids), dtype=np.int32)
    words = Words.of([ids[number] for number in numbers.tolist()])
    fields: list[Field] = [Text(words, np.searchsorted(numbers, frame.device)), Time(frame.time_us)]
    for values in frame.columns.values():
        if values.dtype == np.int64:
            fields.append(Int8(values))  # type: ignore[arg-type]
        else:
            fields.append(Float8(values))  # type: ignore[arg-type]
    return fields


def first(
    cursor: Cursor, class_id: str, devices: Sequence[str], channel: str, from_us: int
) -> dict[str, int]:
    """
    Return the time of each device's first reading of a channel from a time on. [us UTC]
    Devices without one are omitted.
    """
    cursor.execute(
        "SELECT d.id, (extract(epoch FROM r.time) * 1000000)::bigint FROM unnest(%s::text[])"
        f" AS d (id) CROSS JOIN LATERAL (SELECT time FROM reading_{class_id}"
        f" WHERE device_id = d.id AND time >= %s AND {channel} IS NOT NULL"
        " ORDER BY time LIMIT 1) r",
        (list(devices), stamp(from_us)),
    )
    best = {str(name): int(us) for name, us in cursor.fetchall()}
    until = FAR_US if len(best) < len(devices) else max(best.values(), default=FAR_US)
    parts = archived.parts(cursor, class_id, devices, from_us, until)
    for part in sorted(archived.newest(parts, devices), key=lambda part: part.day.from_us):
        later = [d for d in part.leaves if part.day.from_us < best.get(d, FAR_US)]
        if not later:
            continue
        read = vault_table.read(archived.place_of(cursor), part, later)
        spans = [ReadingSpan(d, k, from_us, best.get(d, FAR_US)) for k, d in enumerate(later)]
        frame = _cut(read, spans)
        known = ~_absent(frame.columns[channel])
        for k, us in zip(frame.device[known].tolist(), frame.time_us[known].tolist(), strict=True):
            best[later[k]] = min(us, best.get(later[k], FAR_US))
    return best
