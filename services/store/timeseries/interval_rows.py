"""
Writing and reading of derived rows: interval quantities, emissions, indicators of stations.

New rows are written by COPY; the current interval of each register is inserted or updated.  Of a
recalculated span, and of indicators, only changed rows are written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from psycopg import Cursor, sql
from psycopg.rows import TupleRow

from ingest.classes import QUANTITIES, QUANTITY_INDEX
from ingest.model import METERING, NULL, Fleet, IntervalRows
from mrv.accounting.emission_rows import Bindings, EmissionRows
from mrv.environment import KIND_INDEX, KINDS, Values
from services.store.postgres import binary_copy
from services.store.postgres import nearest_rows as near
from services.store.postgres.binary_copy import (
    Blob,
    Field,
    Float8,
    Int2,
    Int8,
    Text,
    Time,
    Words,
    encode,
)
from services.store.postgres.pool import FAR_US, stamp

QUANTITY_WORDS = Words.of([q.name for q in QUANTITIES])
INTERVAL_COLUMNS = (
    "device_id", "quantity", "start", "value", "measured_us", "estimated_us", "unknown_us",
    "register_value", "register_read", "register_changed",
    "other_value", "other_read", "other_count", "other_first", "metering",
)  # fmt: skip
EMISSION_COLUMNS = (
    "project_id", "device_id", "start", "baseline_ug", "project_ug", "leakage_ug",
    "reduction_ug", "methodology", "factor",
)  # fmt: skip
_MARK_TIMES = ("register_read", "register_changed", "other_read")
_VALUES = INTERVAL_COLUMNS[3:-1]
_MARKS = 7
KEY = 3  # number of key columns, the first ones of both tables


@dataclass(frozen=True, slots=True)
class Table:
    """Table of derived rows; `other_key`: its key column in addition to device and start."""

    name: str
    columns: tuple[str, ...]
    other_key: str

    @property
    def names(self) -> str:
        """Return the table's columns as an SQL list."""
        return ", ".join(self.columns)

    @property
    def incoming(self) -> str:
        """Return the name of its temporary table."""
        return f"incoming_{self.name}"


INTERVALS = Table("interval_quantity", INTERVAL_COLUMNS, "quantity")
EMISSIONS = Table("interval_emission", EMISSION_COLUMNS, "project_id")


class BindingWords:
    """Project, methodology and factor names of a registry version, encoded once."""

    def __init__(self, bindings: Bindings) -> None:
        self.projects = Words.of(bindings.projects)
        self.methodologies = Words.of([s.methodology for s in bindings.sources])
        self.factors = Words.of([s.factors for s in bindings.sources])


def write_intervals(cursor: Cursor, ids: Words, rows: IntervalRows, *, fresh: bool) -> None:
    """Store interval rows; `fresh` rows are known not to exist."""
    if len(rows):
        _write(cursor, INTERVALS, _intervals(ids, rows), fresh=fresh)


def write_emissions(
    cursor: Cursor, ids: Words, words: BindingWords, rows: EmissionRows, *, fresh: bool
) -> None:
    """
    Store emission rows; `fresh` rows are known not to exist.

    `ids`: device ids by fleet index.  `words`: the names to which the rows refer by number.
    """
    if len(rows):
        _write(cursor, EMISSIONS, _emissions(ids, words, rows), fresh=fresh)


def _intervals(ids: Words, rows: IntervalRows) -> bytes:
    fields: list[Field] = [
        Text(ids, rows.device),
        Text(QUANTITY_WORDS, rows.quantity),
        Time(rows.start_us),
        Int8(rows.value),
        Int8(rows.measured_us),
        Int8(rows.estimated_us),
        Int8(rows.unknown_us),
        Int8(rows.register),
        Time(rows.read_us),
        Time(rows.changed_us),
        Int8(rows.other_value),
        Time(rows.other_read_us),
        Int8(rows.other_count),
        Int8(rows.other_first),
        Int2(np.full(len(rows), METERING, dtype=np.int16)),
    ]
    return encode(fields, len(rows))


def _emissions(ids: Words, words: BindingWords, rows: EmissionRows) -> bytes:
    fields: list[Field] = [
        Text(words.projects, rows.project),
        Text(ids, rows.device),
        Time(rows.start_us),
        Int8(rows.baseline_ug),
        Int8(rows.project_ug),
        Int8(rows.leakage_ug),
        Int8(rows.reduction_ug),
        Text(words.methodologies, rows.source),
        Text(words.factors, rows.source),
    ]
    return encode(fields, len(rows))


def _write(cursor: Cursor, table: Table, data: bytes, *, fresh: bool) -> None:
    if fresh:
        _copy(cursor, table, table.name, data)
        return
    _incoming(cursor, table, data)
    _upsert(cursor, table)


def _copy(cursor: Cursor, table: Table, target: str, data: bytes) -> None:
    with cursor.copy(f"COPY {target} ({table.names}) FROM STDIN (FORMAT binary)") as copy:
        copy.write(data)


def _incoming(cursor: Cursor, table: Table, data: bytes) -> None:
    """Write rows to the temporary table."""
    cursor.execute(
        f"CREATE TEMP TABLE IF NOT EXISTS {table.incoming} (LIKE {table.name})"
        " ON COMMIT DELETE ROWS"
    )
    _copy(cursor, table, table.incoming, data)


def _upsert(cursor: Cursor, table: Table) -> None:
    """Store the rows of the temporary table, and empty it."""
    sets = ", ".join(f"{c} = excluded.{c}" for c in table.columns[KEY:])
    # as a prepared statement, since planning would take as long as execution
    cursor.execute(
        f"WITH rows AS (DELETE FROM {table.incoming} RETURNING {table.names})"
        f" INSERT INTO {table.name} ({table.names}) SELECT {table.names} FROM rows"
        f" ON CONFLICT ({', '.join(table.columns[:KEY])}) DO UPDATE SET {sets}",
        prepare=True,
    )


def later_than_stored(
    cursor: Cursor, fleet: Fleet, devices: Sequence[int], rows: IntervalRows
) -> NDArray[np.bool_]:
    """Return a mask of rows that are later than any stored row of their device and quantity."""
    last = np.full((len(fleet), len(QUANTITIES)), -FAR_US, dtype=np.int64)
    quantities = np.unique(rows.quantity).tolist()
    # stored rows before the first of these rows need not be searched
    begin_us = int(rows.start_us.min(initial=FAR_US))
    cursor.execute(
        "SELECT d.index, q.number, (extract(epoch FROM i.start) * 1000000)::bigint"
        " FROM unnest(%s::text[], %s::int[]) AS d (id, index)"
        " CROSS JOIN unnest(%s::text[], %s::smallint[]) AS q (name, number)"
        " CROSS JOIN LATERAL (SELECT start FROM interval_quantity WHERE device_id = d.id"
        f" AND quantity = q.name{near.within('start', begin_us, FAR_US)}"
        " ORDER BY start DESC LIMIT 1) i",
        (
            fleet.ids(list(devices)),
            list(devices),
            [QUANTITIES[q].name for q in quantities],
            quantities,
        ),
        prepare=False,
    )
    for device, quantity, start in cursor.fetchall():
        last[device, quantity] = start
    later: NDArray[np.bool_] = rows.start_us > last[rows.device, rows.quantity]
    return later


def replace_intervals(
    cursor: Cursor,
    fleet: Fleet,
    ids: Words,
    rows: IntervalRows,
    spans: Mapping[int, tuple[int, int]],
) -> int:
    """Replace the devices' interval rows in their spans; return the number changed."""
    return _replace(cursor, fleet, INTERVALS, _intervals(ids, rows), spans)


def replace_emissions(
    cursor: Cursor,
    fleet: Fleet,
    ids: Words,
    words: BindingWords,
    rows: EmissionRows,
    spans: Mapping[int, tuple[int, int]],
) -> int:
    """Replace the devices' emission rows in their spans; return the number changed."""
    return _replace(cursor, fleet, EMISSIONS, _emissions(ids, words, rows), spans)


def _replace(
    cursor: Cursor, fleet: Fleet, table: Table, data: bytes, spans: Mapping[int, tuple[int, int]]
) -> int:
    """
    Replace the stored rows in spans, writing only differences; return the number of changes.
    A late reading usually changes one or two intervals; to rewrite all would enlarge the table and
    decompress chunks.
    """
    _incoming(cursor, table, data)
    key = " AND ".join(f"r.{c} = s.{c}" for c in table.columns[:KEY])
    given, stored_columns = (", ".join(f"{x}.{c}" for c in table.columns[KEY:]) for x in "rs")
    changed = 0
    for group in near.of_similar_spans(spans):
        begins, ends = zip(*group.values(), strict=True)
        cursor.execute(
            "WITH stored AS MATERIALIZED (SELECT s.*"
            " FROM unnest(%s::text[], %s::timestamptz[], %s::timestamptz[]) AS d (id, begin, until)"
            f" CROSS JOIN LATERAL (SELECT * FROM {table.name} t WHERE t.device_id = d.id"
            f"{near.within('t.start', min(begins), max(ends))} OFFSET 0) s"
            " WHERE s.start >= d.begin AND s.start < d.until),"
            f" same AS (DELETE FROM {table.incoming} r USING stored s WHERE {key}"
            f" AND ROW({given}) IS NOT DISTINCT FROM ROW({stored_columns}))"
            f" SELECT s.device_id, s.{table.other_key}, array_agg(s.start::text),"
            " min(s.start)::text, max(s.start)::text FROM stored s"
            f" WHERE NOT EXISTS (SELECT FROM {table.incoming} r WHERE {key}) GROUP BY 1, 2",
            (fleet.ids(list(group)), list(map(stamp, begins)), list(map(stamp, ends))),
            prepare=False,
        )
        changed += _delete(cursor, table, cursor.fetchall())
    row = cursor.execute(f"SELECT count(*) FROM {table.incoming}").fetchone()
    changed += int(row[0]) if row else 0
    _upsert(cursor, table)
    return changed


def _delete(cursor: Cursor, table: Table, stored: Sequence[TupleRow]) -> int:
    """Delete rows by device, other key columns, and starts; return their number."""
    for device, other, *starts in stored:
        # with constants in the statement, the server decompresses only the affected chunks
        item = sql.SQL(
            "DELETE FROM {} WHERE device_id = {} AND {} = {} AND start = ANY({}::timestamptz[])"
            " AND start >= {}::timestamptz AND start <= {}::timestamptz"
        )
        name, column = sql.Identifier(table.name), sql.Identifier(table.other_key)
        which = map(sql.Literal, (device, other, *starts))
        cursor.execute(item.format(name, next(which), column, *which))
    return sum(len(starts) for _, _, starts, *_ in stored)


def intervals_of(
    cursor: Cursor,
    fleet: Fleet,
    from_us: int,
    to_us: int,
    device_ids: list[str],
    *,
    marks: bool = True,
) -> IntervalRows:
    """
    Return stored interval rows of devices with starts in [from, to), as columns.

    Sorted by device, quantity and start.  `marks`: include the register checkpoints.
    """
    types = {"quantity": "int2", "start": "timestamptz"}
    types |= dict.fromkeys(_VALUES[: None if marks else -_MARKS], "int8")
    stored = [_epoch(c) if c in _MARK_TIMES else f"coalesce(i.{c}, ({NULL}))" for c in types]
    arrays = ", ".join(f"array_agg({c})" for c in ["q.number", "i.start", *stored[2:]])
    device = np.array([fleet.by_id[name] for name in device_ids], dtype=np.int32)
    parts = []
    for edges in list(near.weeks(from_us, to_us)) or [(from_us, to_us)]:
        # one look-up per device, by the primary key, with constant bounds: a join would read whole
        # chunks for a few devices
        runs = binary_copy.fetch_runs(
            cursor,
            "SELECT d.number, r.* FROM unnest(%s::int[], %s::text[]) AS d (number, id)"
            f" CROSS JOIN LATERAL (SELECT {arrays} FROM (SELECT * FROM interval_quantity"
            " WHERE device_id = d.id AND start >= %s AND start < %s ORDER BY quantity, start) i"
            " JOIN unnest(%s::text[], %s::smallint[]) AS q (name, number) ON q.name = i.quantity"
            ") r (number) WHERE r.number IS NOT NULL",
            (
                list(range(len(device_ids))),
                device_ids,
                *map(stamp, edges),
                list(QUANTITY_INDEX),
                list(QUANTITY_INDEX.values()),
            ),
            types,
        )
        parts.append([device[runs.run], *runs.columns.values()])
    return IntervalRows(*map(np.concatenate, zip(*parts, strict=True))).in_order()


def older_rows(
    cursor: Cursor, device_ids: Sequence[str], from_us: int, to_us: int
) -> tuple[str, int] | None:
    """
    Return a device that has rows of older metering rules in [from, to), and their version; None if
    none has.
    """
    cursor.execute(
        "SELECT device_id, metering FROM interval_quantity WHERE device_id = ANY(%s)"
        " AND start >= %s AND start < %s AND metering < %s LIMIT 1",
        (list(device_ids), stamp(from_us), stamp(to_us), METERING),
    )
    row = cursor.fetchone()
    return None if row is None else (row[0], row[1])


def older_until(cursor: Cursor, fleet: Fleet, device_ids: Sequence[str]) -> dict[int, int]:
    """
    Return the start of the last interval by version 1 of the metering rules, by fleet index. [us
    UTC]
    """
    cursor.execute(
        "SELECT d.id, (extract(epoch FROM i.start) * 1000000)::bigint"
        " FROM unnest(%s::text[]) AS d (id) CROSS JOIN LATERAL (SELECT start"
        " FROM interval_quantity WHERE device_id = d.id AND metering = 1"
        " ORDER BY start DESC LIMIT 1) i",
        (list(device_ids),),
    )
    return {fleet.by_id[name]: us for name, us in cursor.fetchall()}


def _epoch(column: str) -> str:
    """Return SQL for a time of a register checkpoint, in microseconds UTC; `NULL` if absent."""
    return f"coalesce((extract(epoch FROM i.{column}) * 1000000)::bigint, ({NULL}))"


_NAMES = Words.of([kind.name for kind in KINDS])
_PERIODS = Words.of(["hour", "day"])
_IS_DAY = np.array([kind.period == "day" for kind in KINDS])
_KEY = ("device_id", "start", "indicator")
_REST = ("period", "value", "covered", "grade", "detail")
_ORDERED = msgspec.json.Encoder(order="sorted")
_TEMP = "incoming_indicator_value"


class Span(NamedTuple):
    """Device and time span, end excluded. [us UTC]"""

    device: int
    from_us: int
    to_us: int


def hourly(cursor: Cursor, fleet: Fleet, spans: Sequence[Span]) -> Values:
    """Return hourly indicator values of stations in spans that do not overlap."""
    query = (
        "SELECT d.index, k.kind, i.start, coalesce(i.value, 'NaN'), coalesce(i.covered, 'NaN')"
        " FROM unnest(%s::text[], %s::int[], %s::timestamptz[], %s::timestamptz[])"
        " AS d (id, index, since, until)"
        " JOIN indicator_value i ON i.device_id = d.id AND i.period = 'hour'"
        f" AND i.start >= d.since AND i.start < d.until{_within(spans)}"
        " JOIN unnest(%s::text[], %s::smallint[]) AS k (name, kind) ON k.name = i.indicator"
    )
    names, numbers = list(KIND_INDEX), list(KIND_INDEX.values())
    types = {
        "device": "int4",
        "kind": "int2",
        "start": "timestamptz",
        "value": "float8",
        "covered": "float8",
    }
    result = binary_copy.fetch(cursor, query, (*of_spans(fleet, spans), names, numbers), types)
    columns: list[Any] = list(result.values())
    return Values(*columns)


def _within(spans: Sequence[Span]) -> str:
    begin = min((s.from_us for s in spans), default=0)
    return near.within("i.start", begin, max((s.to_us for s in spans), default=0))


def of_spans(
    fleet: Fleet, spans: Sequence[Span]
) -> tuple[list[str], list[int], list[str], list[str]]:
    """Return spans as the arrays of an `unnest`: ids, fleet indices, starts, ends."""
    return (
        fleet.ids([s.device for s in spans]),
        [s.device for s in spans],
        [stamp(s.from_us) for s in spans],
        [stamp(s.to_us) for s in spans],
    )


def write(cursor: Cursor, ids: Words, values: Values, days: Sequence[tuple[str, int]]) -> None:
    """
    Store indicator values; unchanged rows are not written.
    `days`: device and start [us UTC] of recalculated local days, of which other stored values are
    deleted.
    """
    names = ", ".join((*_KEY, *_REST))
    cursor.execute(
        f"CREATE TEMP TABLE IF NOT EXISTS {_TEMP} (LIKE indicator_value) ON COMMIT DELETE ROWS"
    )
    with cursor.copy(f"COPY {_TEMP} ({names}) FROM STDIN (FORMAT binary)") as copy:
        copy.write(_encoded(ids, values))
    times = [us for _, us in days]
    for group in near.together_in_time(times):
        cursor.execute(
            "DELETE FROM indicator_value t USING unnest(%s::text[], %s::timestamptz[])"
            " AS d (id, start) WHERE t.device_id = d.id AND t.start = d.start"
            f" AND t.period = 'day'{near.within('t.start', times[group[0]], times[group[-1]] + 1)}"
            f" AND NOT EXISTS (SELECT FROM {_TEMP} i WHERE"
            f" {' AND '.join(f'i.{c} = t.{c}' for c in _KEY)})",
            ([days[k][0] for k in group], [stamp(times[k]) for k in group]),
            prepare=False,
        )
    old, new = (", ".join(f"{row}.{c}" for c in _REST) for row in ("t", "excluded"))
    cursor.execute(
        f"INSERT INTO indicator_value AS t ({names}) SELECT {names} FROM {_TEMP}"
        f" ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET"
        f" {', '.join(f'{c} = excluded.{c}' for c in _REST)}"
        f" WHERE ({old}) IS DISTINCT FROM ({new}); DELETE FROM {_TEMP}"
    )


def _encoded(ids: Words, values: Values) -> bytes:
    rows = range(len(values))
    grades = [values.verdicts.get(i, (None, None))[0] for i in rows]
    details = [values.verdicts.get(i, (None, None))[1] for i in rows]
    fields: list[Field] = [
        Text(ids, values.device),
        Time(values.start_us),
        Text(_NAMES, values.kind),
        Text(_PERIODS, _IS_DAY[values.kind].astype(np.int64)),
        Float8(values.value),
        Float8(values.covered),
        Blob([None if g is None else g.encode() for g in grades]),
        Blob([None if d is None else _ORDERED.encode(d) for d in details], version=b"\x01"),
    ]
    return encode(fields, len(values))


def verdict_texts(values: Values, row: int) -> tuple[str | None, str | None]:
    """
    Return grade and detail (JSON) of a row as text, to compare with stored rows.

    None if absent.
    """
    grade, detail = values.verdicts.get(row, (None, None))
    return grade, None if detail is None else _ORDERED.encode(detail).decode()


def canonical(detail: str | None) -> str | None:
    """Return a stored detail as JSON with sorted keys, as `verdict_texts` does; None for None."""
    return None if detail is None else _ORDERED.encode(msgspec.json.decode(detail)).decode()


def clear(cursor: Cursor, ids: Sequence[str], span_us: tuple[int, int] | None = None) -> None:
    """Delete indicator values of stations: all, or from a span, end excluded. [us UTC]"""
    begin, end = ("-infinity", "infinity") if span_us is None else map(stamp, span_us)
    cursor.execute(
        "DELETE FROM indicator_value WHERE device_id = ANY(%s) AND start >= %s AND start < %s",
        (list(ids), begin, end),
    )
