"""
Limits on the rows derived per commit, and division of a long history into spans.

A single reading after months without data makes thousands of rows.  So the rows are counted first;
a number beyond the limit becomes a `remake_request`, executed span by span.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from psycopg import Cursor

from ingest import classes
from ingest.model import HOUR_US, INTERVAL_US, NULL, Fleet, Frame, Int32, Int64
from ingest.pipeline import FROM_START, SPREAD_US, Bounds, MeterState
from services.store.postgres.pool import FAR_US
from services.store.timeseries import readings
from services.store.timeseries.register_checkpoints import by_class
from services.store.timeseries.remake_requests import Request

# derived rows that a commit holds, about 60 MB of memory
MOST_ROWS = 60_000
# readings that a span of one device, or of several together, begins with
MOST_READINGS = 60_000
# time that a catch-up may reach back, and what it takes to see the next readings
AHEAD_US = SPREAD_US + 2 * HOUR_US
# what is archived is not counted before it is read
_ARCHIVED_US = 8 * 86_400_000_000


def registers(fleet: Fleet, device: int) -> int:
    """Return the number of quantities of a device's class."""
    return len(classes.load()[fleet.devices[device].class_id].registers)


def rows_between(fleet: Fleet, device: int, from_us: int, to_us: int) -> int:
    """Return the highest number of interval rows of a device between two times."""
    return registers(fleet, device) * max((to_us - from_us) // INTERVAL_US + 1, 0)


class Expected(NamedTuple):
    """
    Number of rows that new readings will make for each device, and from when on; n devices.
    [us UTC]
    """

    device: Int32
    rows: Int64
    since_us: Int64

    def too_much(self) -> dict[int, int]:
        """
        Return the devices beyond the limit of a commit, those with the longest gaps first.

        Returns: fleet index to the time up to which everything is derived. [us UTC]
        """
        if not len(self.device) or int(self.rows.sum()) <= MOST_ROWS:
            return {}
        order = np.argsort(-self.rows, kind="stable")
        remaining = int(self.rows.sum()) - np.cumsum(self.rows[order])
        count = int(np.flatnonzero(remaining <= MOST_ROWS)[0]) + 1
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
            aheads |= readings.ahead(cursor, fleet, class_id, since, MOST_READINGS // 4)
        for device in members:
            if device not in aheads:
                done.append(device)
                continue
            span = _span(fleet, device, requests[device], aheads[device])
            if out and (rows + span.rows > MOST_ROWS or count + span.readings > MOST_READINGS):
                continue
            out[device] = span
            rows, count = rows + span.rows, count + span.readings
    return out, done


def _span(fleet: Fleet, device: int, request: Request, ahead: readings.Ahead) -> Span:
    from_us = request.from_us
    begin = ahead.first_us if from_us == FROM_START else from_us
    kinds = max(registers(fleet, device), 1)
    until = _ceil(begin + MOST_ROWS // kinds * INTERVAL_US)
    if request.last_us < FAR_US:
        # rows may agree soon after the last change; the longer they do not, the farther
        beyond = max(begin - request.last_us, 0)
        until = min(until, _ceil(max(begin, request.last_us) + AHEAD_US + 3 * beyond))
    first = _ceil(ahead.first_us)
    if ahead.archived_us is not None:
        until = min(until, _ceil(max(begin, ahead.first_us)) + _ARCHIVED_US)
    elif ahead.number == MOST_READINGS // 4:
        until = min(until, _ceil(ahead.last_us))
    until = max(until, first)  # a step over a long silence is not cut
    last = until >= ahead.newest_us
    rows = rows_between(fleet, device, begin, min(until, ahead.newest_us))
    return Span(from_us, None if last else until, ahead.newest_us, rows, ahead.number)


def _ceil(us: int) -> int:
    return -(-us // INTERVAL_US) * INTERVAL_US
