"""
Queries of long histories: rows next to a time, and rows of long spans in weeks.

For `ORDER BY time DESC LIMIT 1` the server opens and locks every chunk, so the cost grows with the
history.  Here a few days are searched first, devices with similar times in one statement, and then
the whole history for devices with too few rows in these days.  The result is the same.  Statements
are not prepared, as a generic plan would open every chunk.

Rows of a long span are read week by week for all devices: they are stored in order of arrival, so
that each page is read once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from psycopg import Cursor
from psycopg.rows import TupleRow

from ingest.model import Fleet, Int32
from services.store.postgres.pool import FAR_US, stamp

# length of the span searched first: a night and a weekend
FIRST_SPAN_US = 3 * 86_400_000_000

Span = tuple[int, int]


def before(time_us: int) -> Span:
    """Return the span searched first for rows before a time. [us UTC]"""
    return time_us - FIRST_SPAN_US, time_us


def after(time_us: int) -> Span:
    """Return the span searched first for rows from a time on. [us UTC]"""
    return time_us, time_us + FIRST_SPAN_US


def newest(known_us: int) -> Span:
    """Return the span searched first for the newest rows, near a known one. [us UTC]"""
    return known_us - FIRST_SPAN_US, FAR_US


def nearest(
    cursor: Cursor,
    query: str,
    sought: Mapping[str, Sequence[Any]],
    first_us: Sequence[Span],
    column: str,
    *,
    many: int = 1,
    onward: bool = False,
) -> list[TupleRow]:
    """
    Return, for each device, the rows next to its own time; in no order.

    `query`: SELECT of `d.number` and further columns from `{sought}`, an `unnest` with alias
    `d (number, ..)`, joined with the device's rows, newest first (with `onward` oldest first);
    `{near}` follows the conditions of these rows.
    `sought`: values of the columns of `d` by `name type`, one for each device.
    `first_us`: span of each device that is searched first; its end (with `onward` its start)
    excludes no wanted row. [us UTC]
    `column`: time column of the table.
    `many`: number of wanted rows per device; fewer are returned only if the history has no more.
    """
    result: list[TupleRow] = []
    missing: list[int] = []
    for group in together_in_time([since for since, _ in first_us]):
        span = _span(first_us, group)
        rows = _rows(cursor, query, sought, group, span, column)
        counts = Counter(row[0] for row in rows)
        less = {number for number in group if counts[number] < many}
        if _whole(span, onward=onward) == span:
            less.clear()
        missing += sorted(less)
        result += [row for row in rows if row[0] not in less]
    if missing:
        whole = _whole(_span(first_us, missing), onward=onward)
        result += _rows(cursor, query, sought, missing, whole, column)
    return result


def together_in_time(times_us: Sequence[int]) -> Iterator[list[int]]:
    """Yield indices in groups whose times are within `FIRST_SPAN_US` of the group's first time."""
    group: list[int] = []
    for at in sorted(range(len(times_us)), key=times_us.__getitem__):
        if group and times_us[at] - times_us[group[0]] > FIRST_SPAN_US:
            yield group
            group = []
        group.append(at)
    if group:
        yield group


def within(column: str, since_us: int, until_us: int) -> str:
    """
    Return SQL of constant bounds of a half-open span, to be appended to conditions. [us UTC]
    The planner excludes chunks only by constants, not by times of a join.  An open end has no
    bound.
    """
    ends = ((">=", since_us), ("<", until_us))
    return "".join(
        f" AND {column} {sign} '{text}'::timestamptz"
        for sign, us in ends
        if not (text := stamp(us)).endswith("infinity")
    )


def _whole(span_us: Span, *, onward: bool) -> Span:
    """Return a span extended to the start of the history, with `onward` to its end."""
    since, until = span_us
    return (since, max(until, FAR_US)) if onward else (min(since, -FAR_US), until)


def _span(spans_us: Sequence[Span], which: Sequence[int]) -> Span:
    return min(spans_us[k][0] for k in which), max(spans_us[k][1] for k in which)


def _rows(
    cursor: Cursor,
    query: str,
    sought: Mapping[str, Sequence[Any]],
    numbers: Sequence[int],
    span_us: Span,
    column: str,
) -> list[TupleRow]:
    names, types = zip(*(word.split() for word in sought), strict=True)
    arrays = ", ".join(f"%s::{kind}[]" for kind in types)
    unnested = f"unnest(%s::int[], {arrays}) AS d (number, {', '.join(names)})"
    statement = query.format(sought=unnested, near=within(column, *span_us))
    values = ([of[k] for k in numbers] for of in sought.values())
    return cursor.execute(statement, (list(numbers), *values), prepare=False).fetchall()


# length of a part, which the server collects before sending it: eight days with a reading per
# second are 100 MB
_RUN_US = 8 * 86_400_000_000
_LONGEST_US = 20 * 366 * 86_400_000_000
# columns as in `Weeks.arguments`
SELECTED = "unnest(%s::int[], %s::text[], %s::timestamptz[], %s::timestamptz[])"
NAMED = "(number, id, since, until)"


class Weeks(NamedTuple):
    """
    Parts of spans, by device and time.

    `device`: fleet index of each part.  `arguments`: part numbers, device ids, starts and ends, in
    order of start, as `SELECTED` takes them.
    """

    device: Int32
    arguments: tuple[list[int], list[str], list[str], list[str]]


def cut(fleet: Fleet, spans: Mapping[int, tuple[int, int]]) -> Weeks:
    """
    Return the spans of devices, by fleet index, divided into parts of eight days; an open span is
    one part. [us UTC]
    """
    runs = [
        (device, begin, end)
        for device, (since, until) in sorted(spans.items())
        for begin, end in weeks(since, until)
    ]
    device = np.array([d for d, _, _ in runs], dtype=np.int32)
    order = sorted(range(len(runs)), key=lambda k: runs[k][1])
    since, until = ([stamp(runs[k][edge]) for k in order] for edge in (1, 2))
    return Weeks(device, (order, fleet.ids(device[order]), since, until))


def weeks(since: int, until: int) -> Iterator[tuple[int, int]]:
    """Yield the parts (eight days) in which a span is read; an open span is one part. [us UTC]"""
    step = _RUN_US if until - since <= _LONGEST_US else until - since
    for begin in range(since, until, step):
        yield begin, min(begin + step, until)


def of_similar_spans(spans: Mapping[int, tuple[int, int]]) -> Iterator[dict[int, tuple[int, int]]]:
    """
    Yield groups of devices with similar spans, each to be queried with common constant bounds. [us
    UTC] The planner does not know the length of spans from a join, and would read the rows of all
    devices.  The common span of a group is at most twice the mean span of its devices.
    """
    group: dict[int, tuple[int, int]] = {}
    begin = end = total = 0
    for device, (since, until) in sorted(spans.items(), key=lambda item: item[1]):
        reach = max(end, until)
        if group and (reach - begin) * (len(group) + 1) > 2 * (total + until - since):
            yield group
            group, total = {}, 0
        if not group:
            begin, reach = since, until
        group[device], end, total = (since, until), reach, total + until - since
    if group:
        yield group
