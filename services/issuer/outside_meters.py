"""What meters measured in time in which a project leaves them out, and what that would cost."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from psycopg import Connection

from ingest import classes
from ingest.classes import QUANTITIES
from ingest.model import HOUR_US, INTERVAL_US, NULL, Fleet, Int64, IntervalRows
from mrv.accounting.outside_meters import counted, left_out
from mrv.calendar import local_date, utc_text
from mrv.registry.project import Project
from services.issuer.unserved_time import Span, Unserved
from services.store.messages.dead_letter_query import Filter, list_letters
from services.store.registry import load as registry
from services.store.registry.factors import load_book
from services.store.timeseries import readings
from services.store.timeseries.interval_rows import intervals_of

_REMEDY = (
    "bind it to the project, or show the verifier what it serves (a wiring diagram, a bill of its"
    " own)"
)
# why a rating that is too low refuses what a meter tells
_REFUSED = "implausible_register"
# part by which the days of a check meter and of its main meter may differ in sum
_AGREES = 0.05
_DAY_US = 24 * HOUR_US
# a reading and its neighbour on each side
_BESIDE = 3


class _Told(NamedTuple):
    """What a meter told in some time: by quantity [base units], unknown time, last rise [us]."""

    measured: dict[str, int]
    unknown_us: int
    last_us: int


class _Refused(NamedTuple):
    """Messages that were refused, and from their lowest to their highest value. [base units]"""

    messages: int
    rise: dict[str, int]


def outside(
    conn: Connection, project: Project, meters: Sequence[Unserved], period_us: Span
) -> Iterator[str]:
    """
    Name the meters that a role of the project's side would count, what they measured and cost.

    Parameters
    ----------
    meters : sequence of Unserved
    period_us : tuple of int
        Half-open. [us UTC]
    """
    fleet, book = registry.load_fleet(conn), load_book(conn)
    known = [one for one in meters if one.device in fleet.by_id]
    if not known:
        return
    names = sorted({one.device for one in known} | {one.checks for one in known if one.checks})
    with conn.cursor() as cursor:
        rows = intervals_of(cursor, fleet, *period_us, names, marks=False)
    year = local_date(period_us[0], project.timezone).year
    for one in known:
        index = fleet.by_id[one.device]
        class_id = fleet.devices[index].class_id
        wanted = counted(project, class_id, left_out=True)
        if one.checks and _agrees(rows, index, fleet.by_id[one.checks], wanted):
            continue
        told = _told(rows, index, one.spans, wanted)
        rise, number, refused = dict[str, int](), 0, _Refused(0, {})
        if told.unknown_us >= HOUR_US or not told.measured:
            rise, number = _rise(conn, fleet, index, one.spans, wanted)
            refused = _refused(conn, one.device, class_id, period_us[0], wanted)
        text = left_out(project, class_id, told.measured, book, year)
        until = f"told readings until {utc_text(told.last_us)} and " if one.ended else ""
        said = [f"{until}measured {text}"] if text else []
        if told.unknown_us >= HOUR_US:
            said.append(
                f"told of {told.unknown_us / HOUR_US:,.0f} h what its registered `rated_power_w`"
                " does not allow, or a reset, so that nobody knows it"
            )
        more = {q: value for q, value in rise.items() if value > told.measured.get(q, 0)}
        text = left_out(project, class_id, more, book, year)
        if text:
            said.append(f"told {number:,} readings, in which its register rose by {text}")
        if refused.messages:
            text = left_out(project, class_id, refused.rise, book, year)
            said.append(
                f"{refused.messages:,} of its messages since {utc_text(period_us[0])} were refused"
                " for more than its registered `rated_power_w` could make (correct it and send"
                " them again)" + (f"; the register that they tell rises by {text}" if text else "")
            )
        if said:
            yield f"{one.words} {', and '.join(said)}; {_REMEDY}"


def _within(start_us: Int64, spans: Sequence[Span]) -> NDArray[np.bool_]:
    found = np.zeros(len(start_us), dtype=np.bool_)
    for begin, end in spans:
        found |= (start_us >= begin) & (start_us < end)
    return found


def _told(rows: IntervalRows, index: int, spans: Sequence[Span], wanted: frozenset[str]) -> _Told:
    """Return what a meter's intervals hold of some time."""
    own = rows.take((rows.device == index) & _within(rows.start_us, spans))
    measured: dict[str, int] = {}
    unknown_us, last_us = 0, 0
    for number in np.unique(own.quantity).tolist():
        name, of = QUANTITIES[number].name, own.quantity == number
        if name not in wanted:
            continue
        rose = of & (own.value > 0)
        if rose.any():
            measured[name] = int(own.value[of].sum())
            last_us = max(last_us, int(own.start_us[rose].max()) + INTERVAL_US)
        unknown_us = max(unknown_us, int(own.unknown_us[of].sum()))
    return _Told(measured, unknown_us, last_us)


def _rise(
    conn: Connection, fleet: Fleet, index: int, spans: Sequence[Span], wanted: frozenset[str]
) -> tuple[dict[str, int], int]:
    """By how much registers rose in some time, by the readings alone [base units]; how many."""
    class_id = fleet.devices[index].class_id
    edges = spans[0][0], spans[-1][1]
    with conn.cursor() as cursor:
        frame = readings.months(cursor, fleet, class_id, {index: edges})
    found: dict[str, int] = {}
    number = 0
    for channel in classes.load()[class_id].registers:
        values = frame.columns[channel.name].astype(np.int64, copy=False)
        held = (values != NULL) & _within(frame.time_us, spans)
        if str(channel.quantity) in wanted and held.any():
            number = max(number, int(held.sum()))
            name = str(channel.quantity)
            found[name] = found.get(name, 0) + _risen(values[held])
    return found, number


def _risen(values: Int64) -> int:
    """Sum of a register's rises; a single reading beside its line is none."""
    if len(values) >= _BESIDE:
        beside = np.sort(sliding_window_view(values, _BESIDE), axis=1)
        values = np.concatenate([values[:1], beside[:, _BESIDE // 2], values[-1:]])
    return int(np.maximum(np.diff(values), 0).sum())


def _agrees(rows: IntervalRows, check: int, main: int, wanted: frozenset[str]) -> bool:
    """Whether a check meter says of each day what its main meter says, where both are known."""
    by_meter = []
    for device in (check, main):
        of = (rows.device == device) & (rows.unknown_us == 0)
        of &= np.isin(rows.quantity, [i for i, q in enumerate(QUANTITIES) if q.name in wanted])
        by_meter.append(rows.take(of))
    ours, theirs = by_meter
    start, here, there = np.intersect1d(ours.start_us, theirs.start_us, return_indices=True)
    if not len(start):
        return False
    _, day = np.unique(start // _DAY_US, return_inverse=True)
    sums = [np.bincount(day, of) for of in (ours.value[here], theirs.value[there])]
    return float(np.abs(sums[0] - sums[1]).sum()) <= _AGREES * float(np.maximum(*sums).sum())


def _refused(
    conn: Connection, device: str, class_id: str, from_us: int, wanted: frozenset[str]
) -> _Refused:
    """Return what was refused since a period began, for more than the rating allows."""
    since = datetime.fromisoformat(utc_text(from_us))
    letters = list_letters(conn, Filter(device=device, reason=_REFUSED, received_from=since))
    messages, rise = 0, dict[str, int]()
    for channel in classes.load()[class_id].registers:
        name = str(channel.quantity)
        said = [re.findall(rf"\b{channel.name} (\d+) ", one.detail) for one in letters]
        values = [int(value) for found in said for value in found]
        if name in wanted and values:
            messages = max(messages, sum(map(bool, said)))
            rise[name] = rise.get(name, 0) + max(values) - min(values)
    return _Refused(messages, rise)
