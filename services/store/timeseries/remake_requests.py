"""
Rows still to be derived: requests by device, notes of new readings, marks of changed days.

Requests: an import requests whole devices if the meaning of their readings changed; the pipeline
requests rows that exceed one commit.  A request is executed in spans, each in a commit that also
shortens the request, so that a crash repeats only one span.

Marks: triggers on derived rows mark days whose sums have changed.  The pipeline marks the days of
its own rows in bulk, as triggers are slow for many devices.  Tables of readings have no triggers:
the code that stores readings of inverters marks their days.

Notes: a commit notes the readings whose rows are not derived yet (a worker one note per partition),
and the transaction that writes the rows deletes the note.  Notes of an interrupted process become
requests.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection, Cursor

from ingest.model import Fleet, Frame, Int32, Int64
from services.clock import now_us
from services.store.postgres.pool import FAR_US, of_ids, of_numbers, stamp

# number of devices whose next spans are determined in one query
AT_ONCE = 20
# the same number for devices without known readings, as each is searched in its whole history
UNREAD_AT_ONCE = 2_000
# SQL of each time in microseconds; `infinity` becomes `FAR_US`
_TIMES = ", ".join(
    f"CASE WHEN isfinite({name}) THEN (extract(epoch FROM {name}) * 1000000)::bigint END"
    for name in ("from_time", "last_time")
)


@dataclass(frozen=True, slots=True)
class Request:
    """
    Request to derive rows of a device.

    `from_us`: time of the first reading to be metered; `-FAR_US` for all. [us UTC]
    `last_us`: time of the last changed reading; `FAR_US` for all. [us UTC]
    `whole`: quality flags and indicators are recalculated, too.
    `unjudged`: readings from `from_us` to `last_us` have no quality flags and indicators yet.
    """

    from_us: int = -FAR_US
    last_us: int = FAR_US
    whole: bool = True
    unjudged: bool = False

    def joined(self, other: Request | None) -> Request:
        """Return a request that covers both requests."""
        if other is None:
            return self
        return Request(
            min(self.from_us, other.from_us),
            max(self.last_us, other.last_us),
            self.whole or other.whole,
            self.unjudged or other.unjudged,
        )

    def moved(self, from_us: int) -> Request:
        """Return the request reduced to readings from a time on."""
        return replace(self, from_us=from_us)


def waiting(connection: Connection) -> dict[str, bool]:
    """
    Return devices with a request, oldest first, and whether derivation of new readings is
    postponed.
    """
    rows = connection.execute(
        "SELECT device_id, held FROM remake_request ORDER BY requested, device_id"
    )
    return dict(rows.fetchall())


def count(connection: Connection) -> int:
    """Return the number of devices with a request."""
    row = connection.execute("SELECT count(*) FROM remake_request").fetchone()
    return int(row[0]) if row else 0


def deferred(cursor: Cursor, fleet: Fleet, devices: Sequence[int]) -> set[int]:
    """Return the devices whose new readings are stored without derivation, by fleet index."""
    cursor.execute(
        "SELECT device_id FROM remake_request WHERE held AND device_id = ANY(%s)",
        (fleet.ids(list(devices)),),
    )
    return {fleet.by_id[device_id] for (device_id,) in cursor.fetchall()}


def without(cursor: Cursor, ids: Sequence[str]) -> set[str]:
    """Return the ids of devices without a request."""
    cursor.execute("SELECT device_id FROM remake_request WHERE device_id = ANY(%s)", (list(ids),))
    return set(ids) - {device_id for (device_id,) in cursor.fetchall()}


def take(cursor: Cursor, ids: Sequence[str], version: int) -> dict[str, Request]:
    """
    Return requests, locked until the transaction ends; `move` or `end` then records the work.
    `version`: registry version in use; with a newer registry no request is returned.
    """
    cursor.execute(
        f"SELECT device_id, {_TIMES}, whole, unjudged FROM remake_request"
        " WHERE device_id = ANY(%s)"
        " AND %s = (SELECT coalesce(max(version), 0) FROM registry_version)"
        " ORDER BY device_id FOR UPDATE SKIP LOCKED",
        (list(ids), version),
    )
    return {
        device_id: Request(
            -FAR_US if begin is None else begin, FAR_US if last is None else last, whole, unjudged
        )
        for device_id, begin, last, whole, unjudged in cursor.fetchall()
    }


def put_off(cursor: Cursor, fleet: Fleet, requests: Mapping[int, Request]) -> None:
    """Postpone the derivation of devices' rows, by fleet index; existing requests are extended."""
    order = sorted(requests, key=lambda device: fleet.devices[device].id)
    subset = [requests[device] for device in order]
    cursor.execute(
        "INSERT INTO remake_request AS r (device_id, from_time, last_time, whole, unjudged, held)"
        " SELECT d.id, d.first, d.last, d.whole OR d.first = '-infinity', d.unjudged, true"
        " FROM unnest(%s::text[], %s::timestamptz[], %s::timestamptz[], %s::boolean[],"
        " %s::boolean[]) AS d (id, first, last, whole, unjudged)"
        " ON CONFLICT (device_id) DO UPDATE SET"
        " from_time = least(r.from_time, excluded.from_time),"
        # an existing request ends before rows that are derived already
        " last_time = greatest(r.last_time, excluded.last_time, r.from_time),"
        " whole = r.whole OR excluded.whole, held = true,"
        " unjudged = r.unjudged OR excluded.unjudged",
        (
            fleet.ids(order),
            [stamp(request.from_us) for request in subset],
            [stamp(request.last_us) for request in subset],
            [request.whole for request in subset],
            [request.unjudged for request in subset],
        ),
    )


def move(cursor: Cursor, requests: Mapping[str, Request]) -> None:
    """Shorten requests, whose rows before `from_us` are derived."""
    if requests:
        cursor.execute(
            "UPDATE remake_request r SET from_time = d.first, last_time = d.last, whole = d.whole"
            " FROM unnest(%s::text[], %s::timestamptz[], %s::timestamptz[], %s::boolean[])"
            " AS d (id, first, last, whole) WHERE r.device_id = d.id",
            (
                list(requests),
                [stamp(request.from_us) for request in requests.values()],
                [stamp(request.last_us) for request in requests.values()],
                [request.whole for request in requests.values()],
            ),
        )


def end(cursor: Cursor, ids: Iterable[str]) -> None:
    """Delete the requests of devices whose rows are derived."""
    cursor.execute("DELETE FROM remake_request WHERE device_id = ANY(%s)", (list(ids),))


_CLASS = "pv_inverter"
_DAY_US = 86_400_000_000
_HOUR_US = 3_600_000_000
# rows of the last hour need no mark, as views add that hour; half of it allows for clock
# differences [us]
_YOUNG_US = 1_800_000_000
# from this number of devices of a site on a day, the site is marked instead
_MANY = 8
_MARK = (
    "SELECT tonne_mark_days(%s, %s::timestamptz[], %s::timestamptz[]),"
    " tonne_mark_sites(%s, %s::timestamptz[], %s::timestamptz[])"
)


def mark_late_days(cursor: Cursor, fleet: Fleet, frames: Iterable[Frame]) -> None:
    """
    Mark the days of late readings of inverters, in the caller's transaction.
    A reading up to an hour after midnight also changes the day before.
    """
    _mark(cursor, fleet, [(f.device, f.time_us) for f in frames if f.class_id == _CLASS], _HOUR_US)


@contextmanager
def noted(cursor: Cursor, fleet: Fleet, rows: Sequence[tuple[Int32, Int64]]) -> Iterator[None]:
    """
    Context that marks the days of late derived rows; the block writes only these rows.

    Parameters
    ----------
    rows : sequence of (int32 array, int64 array)
        Devices by fleet index, and starts of their rows. [us UTC]
    """
    if not _mark(cursor, fleet, rows, 0):
        yield
        return
    cursor.execute("SELECT set_config('tonne.marks', 'made', true)")
    yield
    cursor.execute("SELECT set_config('tonne.marks', '', true)")


def _mark(cursor: Cursor, fleet: Fleet, rows: Sequence[tuple[Int32, Int64]], reach_us: int) -> bool:
    before = now_us() - _YOUNG_US
    late = [(device, time_us, time_us < before) for device, time_us in rows]
    late = [batch for batch in late if batch[2].any()]
    if not late:
        return False
    device = np.concatenate([device[old] for device, _, old in late])
    time_us = np.concatenate([time_us[old] for _, time_us, old in late])
    spans = _Spans.of(device, time_us)
    names, number = np.unique(
        [fleet.devices[d].site for d in spans.device.tolist()], return_inverse=True
    )
    # number of devices of each site on each day
    _, of, count = np.unique(number * 2**32 + spans.day, return_inverse=True, return_counts=True)
    many = count[of] >= _MANY
    places = _Spans.of(number[many], spans.first_us[many], spans.last_us[many])
    few = spans.take(~many)
    cursor.execute(
        _MARK,
        (
            fleet.ids(few.device.tolist()),
            *few.stamps(reach_us),
            names[places.device].tolist(),
            *places.stamps(reach_us),
        ),
    )
    return True


class _Spans(NamedTuple):
    """First and last time on each UTC day, by device or site."""

    device: NDArray[np.integer]
    day: Int64
    first_us: Int64
    last_us: Int64

    @staticmethod
    def of(device: NDArray[np.integer], time_us: Int64, last_us: Int64 | None = None) -> _Spans:
        """Return times, or spans, grouped by device and day."""
        day = time_us // _DAY_US
        order = np.lexsort((time_us, day, device))
        device, day, time_us = device[order], day[order], time_us[order]
        last_us = time_us if last_us is None else last_us[order]
        new = np.ones(len(device), dtype=np.bool_)
        new[1:] = (device[1:] != device[:-1]) | (day[1:] != day[:-1])
        heads = np.flatnonzero(new)
        last = np.maximum.reduceat(last_us, heads) if len(heads) else last_us
        return _Spans(device[heads], day[heads], time_us[heads], last)

    def take(self, rows: NDArray[np.bool_]) -> _Spans:
        """Return the times of the selected rows."""
        return _Spans(self.device[rows], self.day[rows], self.first_us[rows], self.last_us[rows])

    def stamps(self, reach_us: int) -> tuple[list[str], list[str]]:
        """Return first times minus `reach_us`, and last times, as SQL text."""
        first = [stamp(us - reach_us) for us in self.first_us.tolist()]
        return first, [stamp(us) for us in self.last_us.tolist()]


def note_underived(
    cursor: Cursor, fleet: Fleet, spans: Mapping[int, tuple[int, int]], home: int | None = None
) -> int:
    """
    Note changed readings whose rows are not derived yet; return the note's id.
    `spans`: times of the first and last changed reading, by fleet index. [us UTC]
    `home`: the partition of all these devices.
    """
    first, last = zip(*spans.values(), strict=True)
    cursor.execute(
        "INSERT INTO underived (devices, first, last, home) VALUES (%s::text[], %s, %s, %s)"
        " RETURNING id",
        (of_ids(fleet.ids(list(spans))), of_numbers(first), of_numbers(last), home),
    )
    row = cursor.fetchone()
    assert row is not None  # noqa: S101 (an INSERT that returns)
    return int(row[0])


def drop(cursor: Cursor, notes: Sequence[int]) -> bool:
    """Delete notes, in the transaction that writes the rows; return whether all existed."""
    cursor.execute("DELETE FROM underived WHERE id = ANY(%s)", (list(notes),))
    return cursor.rowcount == len(notes)


def fold(cursor: Cursor, homes: Collection[int] | None = None) -> None:
    """
    Convert notes into requests; existing requests are extended.

    `homes`: only notes of these partitions, or without partition; by default all.
    """
    cursor.execute("SELECT tonne_fold_underived(%s)", (None if homes is None else sorted(homes),))


def with_underived(cursor: Cursor, ids: Sequence[str], before_us: int = FAR_US) -> set[str]:
    """Return the devices with underived readings before a time. [us UTC]"""
    cursor.execute(
        "SELECT DISTINCT device_id FROM v_underived WHERE device_id = ANY(%s) AND from_time < %s",
        (list(ids), stamp(before_us)),
    )
    return {device_id for (device_id,) in cursor.fetchall()}


def just_stored(cursor: Cursor, ids: Sequence[str]) -> bool:
    """Return whether readings of the devices, stored within a minute, are not derived yet."""
    cursor.execute(
        "SELECT EXISTS (SELECT FROM underived WHERE devices && %s"
        " AND stored > clock_timestamp() - INTERVAL '1 minute')",
        (list(ids),),
    )
    return cursor.fetchone() == (True,)


def age_s(connection: Connection) -> float:
    """Return how long the oldest noted reading has waited for its rows; 0 if none. [s]"""
    row = connection.execute(
        "SELECT extract(epoch FROM clock_timestamp() - min(stored))::double precision"
        " FROM underived"
    ).fetchone()
    return max(float(row[0]), 0.0) if row and row[0] is not None else 0.0
