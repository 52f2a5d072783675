"""
Rows of long histories: those next to a time, and queries of one week each.

`ORDER BY time DESC LIMIT 1` makes the planner open and lock every chunk, so its cost grows with
the history.  Here a few days are searched first, devices with similar times in one statement, and
the whole history only for devices with too few rows in these days.  The result is the same.

Statements are not prepared, as a generic plan would visit every chunk again.

Rows are stored in order of arrival, so that in this order each page is read once.
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

# span searched first: covers a night and a weekend
LOOK_US = 3 * 86_400_000_000

Span = tuple[int, int]


def before(time_us: int) -> Span:
    """Return the span searched first for rows before a time. [us UTC]"""
    return time_us - LOOK_US, time_us


def after(time_us: int) -> Span:
    """Return the span searched first for rows from a time on. [us UTC]"""
    return time_us, time_us + LOOK_US


def newest(known_us: int) -> Span:
    """Return the span searched first for the newest rows, near a known one. [us UTC]"""
    return known_us - LOOK_US, FAR_US


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
    Return, for each device, the rows next to a time of its own.

    `query`: SELECT of `d.number` and more from `{sought}`, an `unnest` with the alias `d (number,
    ..)`, and of the look-up of its rows, newest first (oldest first where it is `onward`), with
    `{near}` behind its conditions.
    `sought`: columns of `d`, as `name type`; all of one length.
    `first_us`: half-open span of each that is searched first; its end (its begin, if `onward`)
    excludes no wanted row. [us UTC]
    `column`: time column of the table.
    `many`: number of rows wanted for each; fewer only if the history has no more.

    The rows are in no order.
    """
    result: list[TupleRow] = []
    missing: list[int] = []
    for group in together_in_time([since for since, _ in first_us]):
        span = _span(first_us, group)
        rows = _look(cursor, query, sought, group, span, column)
        counts = Counter(row[0] for row in rows)
        less = {number for number in group if counts[number] < many}
        if _whole(span, onward=onward) == span:
            less.clear()
        missing += sorted(less)
        result += [row for row in rows if row[0] not in less]
    if missing:
        whole = _whole(_span(first_us, missing), onward=onward)
        result += _look(cursor, query, sought, missing, whole, column)
    return result


def together_in_time(times_us: Sequence[int]) -> Iterator[list[int]]:
    """Yield groups of positions whose times are within `LOOK_US` of the group's first."""
    group: list[int] = []
    for at in sorted(range(len(times_us)), key=times_us.__getitem__):
        if group and times_us[at] - times_us[group[0]] > LOOK_US:
            yield group
            group = []
        group.append(at)
    if group:
        yield group


def within(column: str, since_us: int, until_us: int) -> str:
    """
    Return SQL for a half-open span, after other conditions; empty for an open end. [us UTC]

    It is given with the times of each device and gives their common bounds as constants: the
    planner does not know times that come from a join.
    """
    ends = ((">=", since_us), ("<", until_us))
    return "".join(
        f" AND {column} {sign} '{text}'::timestamptz"
        for sign, us in ends
        if not (text := stamp(us)).endswith("infinity")
    )


def _whole(span_us: Span, *, onward: bool) -> Span:
    """
    Return a span extended to the end of the history, or back to its beginning if not
    `onward`.
    """
    since, until = span_us
    return (since, max(until, FAR_US)) if onward else (min(since, -FAR_US), until)


def _span(spans_us: Sequence[Span], which: Sequence[int]) -> Span:
    return min(spans_us[k][0] for k in which), max(spans_us[k][1] for k in which)


def _look(
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


# length of a run, which the server gathers before sending it: eight days of readings per second are
# 100 MB
_RUN_US = 8 * 86_400_000_000
_LONGEST_US = 20 * 366 * 86_400_000_000
# columns as in `Weeks.arguments`
SELECTED = "unnest(%s::int[], %s::text[], %s::timestamptz[], %s::timestamptz[])"
NAMED = "(number, id, since, until)"


class Weeks(NamedTuple):
    """Device numbers of the runs, by device and time; and the arguments of `SELECTED`."""

    device: Int32
    arguments: tuple[list[int], list[str], list[str], list[str]]


def cut(fleet: Fleet, spans: Mapping[int, tuple[int, int]]) -> Weeks:
    """
    Return the weeks of the devices' spans, by fleet index; an open span is not divided. [us
    UTC]
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
    """Yield the weeks of a span as `cut` does. [us UTC]"""
    step = _RUN_US if until - since <= _LONGEST_US else until - since
    for begin in range(since, until, step):
        yield begin, min(begin + step, until)


def of_similar_spans(spans: Mapping[int, tuple[int, int]]) -> Iterator[dict[int, tuple[int, int]]]:
    """
    Yield groups of devices with similar spans, so that each group is queried with constant bounds.
    [us UTC]

    The planner does not know the length of spans from a join, and would read all devices' rows in
    them.  A group's total time is at most twice what its devices need.
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
