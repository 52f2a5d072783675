"""Stored indicator values of stations, read as columns and written if changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from psycopg import Cursor

from ingest.model import Fleet
from mrv.environment import KIND_INDEX, KINDS, Values
from services.store.postgres import binary_copy
from services.store.postgres import nearest_rows as near
from services.store.postgres.binary_copy import Blob, Field, Float8, Text, Time, Words, encode
from services.store.postgres.pool import stamp

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
    """Return hourly values of stations in non-overlapping spans, without grades or details."""
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
    """Return spans as arrays for a query's `unnest`."""
    return (
        fleet.ids([s.device for s in spans]),
        [s.device for s in spans],
        [stamp(s.from_us) for s in spans],
        [stamp(s.to_us) for s in spans],
    )


def write(cursor: Cursor, ids: Words, values: Values, days: Sequence[tuple[str, int]]) -> None:
    """
    Store values; unchanged rows are not written.

    Parameters
    ----------
    days : sequence of (device id, beginning)
        Recalculated local days: stored values that are no longer given are deleted. [us UTC]
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
    grades = [values.said.get(i, (None, None))[0] for i in rows]
    details = [values.said.get(i, (None, None))[1] for i in rows]
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


def said_texts(values: Values, row: int) -> tuple[str | None, str | None]:
    """Return grade and detail of a row as text for comparison."""
    grade, detail = values.said.get(row, (None, None))
    return grade, None if detail is None else _ORDERED.encode(detail).decode()


def canonical(detail: str | None) -> str | None:
    """Return stored detail in the form of `said_texts`, with sorted keys."""
    return None if detail is None else _ORDERED.encode(msgspec.json.decode(detail)).decode()


def clear(cursor: Cursor, ids: Sequence[str], span_us: tuple[int, int] | None = None) -> None:
    """Delete all values of stations, or those that start in a span, end excluded. [us UTC]"""
    begin, end = ("-infinity", "infinity") if span_us is None else map(stamp, span_us)
    cursor.execute(
        "DELETE FROM indicator_value WHERE device_id = ANY(%s) AND start >= %s AND start < %s",
        (list(ids), begin, end),
    )
