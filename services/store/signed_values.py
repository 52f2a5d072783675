"""
Values signed by meters, stored as evidence with the message that contained them.

They are passed in the same list as a batch's rejected messages, as both keep the payload, and are
separated here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from psycopg import Connection, Cursor

from ingest.model import Fleet
from ingest.mqtt import device_of
from ingest.reading import SIGNED_VALUE, time_us
from services.store.dead_letter_write import Letters
from services.store.postgres.pool import stamp

if TYPE_CHECKING:
    from ingest.decode import Rejected

_COLUMNS = (
    "received, topic, device_id, time, channel, context, data, method, encoding, public_key, "
    "payload, sha256"
)

# number of first and last values of a day, since some can be invalid
_PER_DAY = 8
# a signed batch has no separate data: the message itself is signed
_DATA = (
    "CASE WHEN v.data = '' THEN replace(encode(v.payload, 'base64'), E'\\n', '') ELSE v.data END"
)


class _Note(msgspec.Struct):
    """Signed value as passed by the codec."""

    ts: int | str
    channel: str
    context: str | None
    data: str
    method: str
    encoding: str
    public_key: str


@dataclass(frozen=True, slots=True)
class SignedValue:
    """Signed value, without the message that contained it."""

    id: int
    device: str | None
    time: datetime
    channel: str
    context: str | None
    data: str
    method: str
    encoding: str
    public_key: str
    topic: str
    received: datetime
    sha256: str


def refusals(noted: Sequence[Rejected]) -> list[Rejected]:
    """Return only the rejected messages; the others are signed values."""
    return [rejected for rejected in noted if rejected.reason != SIGNED_VALUE]


def record(cursor: Cursor, fleet: Fleet, noted: Sequence[Rejected], messages: Letters) -> int:
    """Store the signed values of a batch; return the number of new rows."""
    signed = [rejected for rejected in noted if rejected.reason == SIGNED_VALUE]
    if not signed:
        return 0
    cursor.executemany(
        f"INSERT INTO signed_value ({_COLUMNS}) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        [_row(fleet, rejected, messages) for rejected in signed],
    )
    return max(cursor.rowcount, 0)


def _row(fleet: Fleet, rejected: Rejected, messages: Letters) -> tuple[object, ...]:
    note = msgspec.json.decode(rejected.detail, type=_Note)
    topic, payload = messages.topics[rejected.message], messages.payloads[rejected.message]
    device = device_of(topic, fleet)
    texts = (note.channel, note.context, note.data, note.method, note.encoding, note.public_key)
    return (
        stamp(messages.received(rejected.message)),
        _clean(topic),
        device if device in fleet.by_id else None,
        stamp(time_us(note.ts)),
        *(None if text is None else _clean(text) for text in texts),
        payload,
        hashlib.sha256(payload).digest(),
    )


def _clean(text: str) -> str:
    """Return text without NUL, which PostgreSQL cannot store; the payload keeps the bytes."""
    return text.replace("\0", "\ufffd")


def find(
    conn: Connection,
    device: str | None,
    begin: datetime | None,
    end: datetime | None,
    limit: int | None,
) -> list[SignedValue]:
    """Return signed values in order of time; optionally of a device and a span, end excluded."""
    rows = conn.execute(
        f"SELECT id, device_id, time, channel, context, {_DATA}, method, encoding, public_key,"
        " topic, received, encode(sha256, 'hex') FROM signed_value v "
        "WHERE (%(device)s::text IS NULL OR device_id = %(device)s) "
        "AND time >= %(begin)s AND time < %(end)s ORDER BY time, id LIMIT %(limit)s",
        {
            "device": device,
            "begin": begin or datetime.min.replace(tzinfo=UTC),
            "end": end or datetime.max.replace(tzinfo=UTC),
            "limit": limit,
        },
    )
    return [SignedValue(*row) for row in rows]


class Candidate(NamedTuple):
    """
    Signed value that can be evidence: device, kind (COSE or other), local day, time of receipt,
    data.
    """

    device: str
    cose: bool
    day: date
    received: datetime
    data: str


def candidates(
    conn: Connection, devices: Sequence[str], days: Sequence[tuple[date, int, int]]
) -> list[Candidate]:
    """
    Return the first and last few signed values of each day, by device, kind and time.

    `days`: each day with start and end, end excluded. [us UTC]
    """
    if not days:
        return []
    # each day's first and last values are read by index, as a gateway may sign every minute
    kind = "device_id = d.name AND (method LIKE 'COSE%%') = k.cose"
    of_day = (
        f"SELECT id, time FROM signed_value WHERE {kind} AND time >= e.begin AND time < e.until"
    )
    rows = conn.execute(
        "WITH d AS (SELECT name FROM unnest(%(devices)s::text[]) AS name WHERE EXISTS (SELECT"
        " FROM signed_value WHERE device_id = name AND time >= %(begin)s AND time < %(end)s))"
        f" SELECT d.name, k.cose, e.day, v.received, {_DATA} FROM d"
        " CROSS JOIN (VALUES (false), (true)) AS k (cose)"
        " CROSS JOIN unnest(%(days)s::date[], %(begins)s::timestamptz[], %(ends)s::timestamptz[])"
        " AS e (day, begin, until)"
        f" CROSS JOIN LATERAL (({of_day} ORDER BY time, id LIMIT %(few)s) UNION"
        f" ({of_day} ORDER BY time DESC, id DESC LIMIT %(few)s)) AS p"
        " JOIN signed_value v ON v.id = p.id ORDER BY d.name, k.cose, e.day, v.time, v.id",
        {
            "devices": list(devices),
            "begin": stamp(days[0][1]),
            "end": stamp(days[-1][2]),
            "days": [day for day, *_ in days],
            "begins": [stamp(begin) for _, begin, _ in days],
            "ends": [stamp(end) for *_, end in days],
            "few": _PER_DAY,
        },
    )
    return [Candidate(*row) for row in rows]


def count(conn: Connection, devices: Sequence[str], from_us: int, to_us: int) -> int:
    """Return the number of stored values of devices in a span, end excluded. [us UTC]"""
    row = conn.execute(
        "SELECT count(*) FROM signed_value WHERE device_id = ANY(%s) AND time >= %s AND time < %s",
        [list(devices), stamp(from_us), stamp(to_us)],
    ).fetchone()
    return int(row[0]) if row else 0


def devices(conn: Connection) -> set[str]:
    """Return the devices with stored values."""
    rows = conn.execute("SELECT DISTINCT device_id FROM signed_value WHERE device_id IS NOT NULL")
    return {str(row[0]) for row in rows}


def message(conn: Connection, id_: int) -> bytes | None:
    """Return the bytes of the message that contained a signed value; None for an unknown id."""
    row = conn.execute("SELECT payload FROM signed_value WHERE id = %s", [id_]).fetchone()
    return None if row is None else bytes(row[0])
