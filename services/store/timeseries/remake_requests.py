"""
Requests to calculate derived rows of devices again, or later.

The registry requests a whole device when the meaning of its readings changed; the pipeline
postpones more than a commit can hold.  A request is executed in spans, each in a commit that also
shortens the request, so that a crash repeats only one span.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from psycopg import Connection, Cursor

from ingest.model import Fleet
from services.store.postgres.values import FAR_US, stamp

# devices of which the next spans are cut together
AT_ONCE = 20
# the same where nothing was heard of them yet: each is looked for in the whole history
SILENT_AT_ONCE = 2_000
# no time that can be counted is as far as an infinity
_TIMES = ", ".join(
    f"CASE WHEN isfinite({name}) THEN (extract(epoch FROM {name}) * 1000000)::bigint END"
    for name in ("from_time", "last_time")
)


@dataclass(frozen=True, slots=True)
class Request:
    """
    Request to derive rows of a device.

    Attributes
    ----------
    from_us : int
        Readings from here on are to be metered; `-FAR_US` for all. [us UTC]
    last_us : int
        The last reading that changed; `FAR_US` for all. [us UTC]
    whole : bool
        Flags and values of stations are calculated again as well.
    unjudged : bool
        Readings from `from_us` to `last_us` lack flags and values of stations.
    """

    from_us: int = -FAR_US
    last_us: int = FAR_US
    whole: bool = True
    unjudged: bool = False

    def joined(self, other: Request | None) -> Request:
        """Return a request that covers both."""
        if other is None:
            return self
        return Request(
            min(self.from_us, other.from_us),
            max(self.last_us, other.last_us),
            self.whole or other.whole,
            self.unjudged or other.unjudged,
        )

    def moved(self, from_us: int) -> Request:
        """Return the request without the span before a time."""
        return replace(self, from_us=from_us)


def waiting(connection: Connection) -> dict[str, bool]:
    """
    Return the ids of devices with a request, oldest first, and whether each is only stored
    for now.
    """
    rows = connection.execute(
        "SELECT device_id, held FROM remake_request ORDER BY requested, device_id"
    )
    return dict(rows.fetchall())


def count(connection: Connection) -> int:
    """Return the number of devices with a request."""
    row = connection.execute("SELECT count(*) FROM remake_request").fetchone()
    return int(row[0]) if row else 0


def held(cursor: Cursor, fleet: Fleet, devices: Sequence[int]) -> set[int]:
    """Return the devices whose readings are only stored for now, by fleet index."""
    cursor.execute(
        "SELECT device_id FROM remake_request WHERE held AND device_id = ANY(%s)",
        (fleet.ids(list(devices)),),
    )
    return {fleet.by_id[device_id] for (device_id,) in cursor.fetchall()}


def without(cursor: Cursor, ids: Sequence[str]) -> set[str]:
    """Return the ids without a request."""
    cursor.execute("SELECT device_id FROM remake_request WHERE device_id = ANY(%s)", (list(ids),))
    return set(ids) - {device_id for (device_id,) in cursor.fetchall()}


def take(cursor: Cursor, ids: Sequence[str], version: int) -> dict[str, Request]:
    """
    Return requests to work on in this transaction; they stay until `move` or `end`.

    Parameters
    ----------
    version : int
        Registry version used; none is returned if there is a newer one.
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
    """
    Postpone the metering of devices' readings, by fleet index; existing requests are
    extended.
    """
    order = sorted(requests, key=lambda device: fleet.devices[device].id)
    subset = [requests[device] for device in order]
    cursor.execute(
        "INSERT INTO remake_request AS r (device_id, from_time, last_time, whole, unjudged, held)"
        " SELECT d.id, d.first, d.last, d.whole OR d.first = '-infinity', d.unjudged, true"
        " FROM unnest(%s::text[], %s::timestamptz[], %s::timestamptz[], %s::boolean[],"
        " %s::boolean[]) AS d (id, first, last, whole, unjudged)"
        " ON CONFLICT (device_id) DO UPDATE SET"
        " from_time = least(r.from_time, excluded.from_time),"
        # up to where rows are made already, they say nothing of those after
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
    """Shorten requests: everything before their `from_us` is done."""
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
    """Delete completed requests."""
    cursor.execute("DELETE FROM remake_request WHERE device_id = ANY(%s)", (list(ids),))
