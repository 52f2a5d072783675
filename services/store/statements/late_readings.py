"""
Notes of readings that arrived after, or during, the sealing of their day.

A sealer first announces the time up to which it will seal, and waits for running commits.  Thus a
reading is either committed before the seal's snapshot, or noted in its own transaction.  A commit
only takes a shared lock, and never waits for a sealer.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import LiteralString, NamedTuple

import numpy as np
from psycopg import Connection, Cursor

from ingest.errors import ServerError
from ingest.model import Fleet, Frame, Int32, Int64
from services.store.postgres.pool import stamp

_DAY_US = 86_400_000_000
_LOCK = "hashtextextended('tonne sealing', 0)"  # as in tonne_sealing_until()
_COMMITS = (
    "SELECT l.virtualtransaction, l.pid, a.application_name FROM pg_locks l"
    " LEFT JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND l.granted"
    f" AND (l.classid::bigint << 32) + l.objid::bigint = {_LOCK}"
    " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_POLL_S, _PATIENCE_S = 0.02, 600.0


class Completed(NamedTuple):
    """Stored readings whose empty channels were filled, and these channels."""

    frame: Frame
    channels: Sequence[Sequence[str]]


class Late(NamedTuple):
    """Times of a device's readings that a seal lacks: new ones and filled channels. [us UTC]"""

    added: Int64
    filled: dict[str, Int64]


class Notes(NamedTuple):
    """Late readings of a day since its last seal: ids of their notes, and readings by device."""

    ids: list[int]
    late: dict[str, Late]


class Waiting(NamedTuple):
    """
    Notes of late readings of a device on a UTC day.

    `ids`: their ids; empty if tonne 0.1.0 noted the day as a whole.
    `sealed`: days whose last seals include all of them, as `name_of` writes them.
    `noted`: time of the first note.
    """

    device: str
    day: date
    ids: list[int]
    sealed: frozenset[str]
    noted: datetime


def name_of(project: str, day: date) -> str:
    """Return the name of a sealed day as used in notes: `PROJECT 2026-03-01`."""
    return f"{project} {day}"


def _reach_us(cursor: Cursor, function: LiteralString = "tonne_sealing_until") -> int | None:
    """Return until when days may be sealed before this transaction ends; None if none. [us UTC]"""
    cursor.execute(f"SELECT (extract(epoch FROM {function}()) * 1000000)::bigint")
    row = cursor.fetchone()
    return None if row is None else row[0]


def note(
    cursor: Cursor, fleet: Fleet, added: Sequence[Frame], completed: Sequence[Completed] = ()
) -> None:
    """
    Note readings of days that may be sealed, in the transaction that stores them.

    `added`: new readings.
    `completed`: existing readings with values of formerly empty channels.
    """
    reach = _reach_us(cursor)
    if reach is None:
        return
    new = _by_day([(f.device, f.time_us) for f in added], reach)
    filled: dict[tuple[int, int], dict[str, list[int]]] = {}
    for item in completed:
        times, devices = item.frame.time_us.tolist(), item.frame.device.tolist()
        for device, us, channels in zip(devices, times, item.channels, strict=True):
            if us < reach:
                of_day = filled.setdefault((device, us // _DAY_US), {})
                for channel in channels:
                    of_day.setdefault(channel, []).append(us)
    _insert(cursor, fleet, new, filled)


def note_made(cursor: Cursor, fleet: Fleet, rows: Sequence[tuple[Int32, Int64]]) -> None:
    """
    Note days that may be sealed and have new derived rows.
    `rows`: devices and starts of these rows. [us UTC]

    Raises a serialisation failure if sealing was announced since the transaction's snapshot.
    """
    reach = _reach_us(cursor, "tonne_sealing_held")
    if reach is not None:
        _insert(cursor, fleet, dict.fromkeys(_by_day(rows, reach), ()), {})


def _by_day(
    rows: Sequence[tuple[Int32, Int64]], until_us: int
) -> dict[tuple[int, int], Sequence[int]]:
    """Return the times of rows before `until_us`, by device and UTC day. [us UTC]"""
    late = [(device, us, us < until_us) for device, us in rows]
    late = [batch for batch in late if batch[2].any()]
    if not late:
        return {}
    device = np.concatenate([d[old] for d, _, old in late])
    time_us = np.concatenate([us[old] for _, us, old in late])
    order = np.lexsort((time_us, device))
    device, time_us = device[order], time_us[order]
    day = time_us // _DAY_US
    new = np.r_[True, (device[1:] != device[:-1]) | (day[1:] != day[:-1])]
    begins = np.flatnonzero(new)
    keys = zip(device[begins].tolist(), day[begins].tolist(), strict=True)
    return dict(zip(keys, (some.tolist() for some in np.split(time_us, begins[1:])), strict=True))


def _insert(
    cursor: Cursor,
    fleet: Fleet,
    added: dict[tuple[int, int], Sequence[int]],
    filled: dict[tuple[int, int], dict[str, list[int]]],
) -> None:
    keys = sorted(added.keys() | filled.keys())
    if not keys:
        return
    cursor.execute(
        "INSERT INTO late_reading (device_id, day, added, filled)"
        " SELECT d.id, d.day, d.added::bigint[], d.filled::jsonb"
        " FROM unnest(%s::text[], %s::date[], %s::text[], %s::text[])"
        " AS d (id, day, added, filled)",
        (
            [fleet.devices[device].id for device, _ in keys],
            [datetime.fromtimestamp(day * 86_400, UTC).date() for _, day in keys],
            ["{" + ",".join(map(str, added.get(key, ()))) + "}" for key in keys],
            [json.dumps(filled[key]) if key in filled else None for key in keys],
        ),
    )


def announce(conn: Connection, until: datetime) -> None:
    """
    Announce that days up to a time are being sealed, and wait for running commits.
    Later commits note their readings from before that time.  `conn` is in autocommit, so that other
    commits see the announcement.  Raises ServerError if a commit does not end.
    """
    conn.execute(
        "INSERT INTO sealing (until) VALUES (%s)"
        " ON CONFLICT (one) DO UPDATE SET until = greatest(sealing.until, excluded.until)",
        [until],
    )
    running = {row[0] for row in conn.execute(_COMMITS)}
    since_s, count = time.monotonic(), len(running)
    while remaining := [row for row in conn.execute(_COMMITS) if row[0] in running]:
        if len(remaining) < count:
            since_s, count = time.monotonic(), len(remaining)
        if time.monotonic() - since_s > _PATIENCE_S:
            _, pid, name = remaining[0]
            raise ServerError(
                f"a transaction that stores readings has been open for {_PATIENCE_S / 60:.0f} "
                f"minutes: process {pid} of the server, {name or 'of another login'}; no day is "
                "sealed while it is open. End the program if it hangs, and seal again"
            )
        time.sleep(_POLL_S)


def of_day(cursor: Cursor, name: str, devices: Sequence[str], from_us: int, to_us: int) -> Notes:
    """
    Return the notes of a sealed day's late readings that its last seal does not include.

    `name`: the day, as `name_of` writes it.
    `from_us`, `to_us`: its start and end, end excluded. [us UTC]
    """
    cursor.execute(
        "SELECT id, device_id, added, filled FROM late_reading WHERE device_id = ANY(%s)"
        " AND day >= %s::date AND day <= %s::date AND NOT sealed @> ARRAY[%s] ORDER BY id",
        (list(devices), stamp(from_us)[:10], stamp(to_us - 1)[:10], name),
    )
    ids: list[int] = []
    added: defaultdict[str, list[int]] = defaultdict(list)
    filled: defaultdict[str, defaultdict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for number, device, times, channels in cursor.fetchall():
        ids.append(number)
        added[device] += times
        for channel, subset in (channels or {}).items():
            filled[device][channel] += subset

    def inside(times: Sequence[int]) -> Int64:
        result = np.array(times, dtype=np.int64)
        return result[(result >= from_us) & (result < to_us)]

    every = {
        device: Late(inside(times), {c: inside(some) for c, some in filled[device].items()})
        for device, times in added.items()
    }
    subset = {d: x for d, x in every.items() if len(x.added) or any(map(len, x.filled.values()))}
    return Notes(ids, subset)


def sealed(conn: Connection, ids: Sequence[int], name: str) -> None:
    """
    Mark notes of late readings as included in the last seal of a day; call it in the transaction of
    the seal.
    """
    if ids:
        conn.execute(
            "UPDATE late_reading SET sealed = sealed || %s::text WHERE id = ANY(%s)",
            (name, list(ids)),
        )


def waiting(conn: Connection) -> list[Waiting]:
    """Return the notes of late readings that no seal includes yet, by day and device."""
    rows = conn.execute(
        "SELECT device_id, day, array_agg(id), min(noted), min(sealed), max(sealed)"
        " FROM late_reading GROUP BY 1, 2"
        " UNION ALL SELECT device_id, day, '{}', noted, '{}', '{}' FROM late_day ORDER BY 2, 1"
    )
    return [
        Waiting(device, day, ids, frozenset(least) if least == maximum else frozenset(), noted)
        for device, day, ids, noted, least, maximum in rows
    ]


def whole_days(conn: Connection) -> list[tuple[str, date]]:
    """Return devices and UTC days that tonne 0.1.0 noted as a whole."""
    return list(conn.execute("SELECT device_id, day FROM late_day ORDER BY day, device_id"))


def forget(conn: Connection, days: Iterable[Waiting]) -> None:
    """Delete notes of late readings that are sealed; notes added since are kept."""
    every = list(days)
    ids = [number for note in every for number in note.ids]
    conn.execute("DELETE FROM late_reading WHERE id = ANY(%s)", [ids])
    old = [(note.device, note.day, note.noted) for note in every if not note.ids]
    conn.execute(
        "DELETE FROM late_day l USING unnest(%s::text[], %s::date[], %s::timestamptz[])"
        " AS d (id, day, noted) WHERE (l.device_id, l.day, l.noted) = (d.id, d.day, d.noted)",
        tuple(map(list, zip(*old, strict=True))) if old else ([], [], []),
    )


def waits(conn: Connection, devices: Sequence[str], from_us: int, to_us: int) -> bool:
    """Return whether devices have unsealed late readings on the UTC days of a span. [us]"""
    row = conn.execute(
        "SELECT EXISTS (SELECT FROM (SELECT device_id, day FROM late_reading"
        " UNION ALL SELECT device_id, day FROM late_day) l"
        " WHERE device_id = ANY(%s) AND day >= %s::date AND day <= %s::date)",
        (list(devices), stamp(from_us)[:10], stamp(to_us - 1)[:10]),
    ).fetchone()
    return row == (True,)
