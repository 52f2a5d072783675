"""
Writing of dead letters: rejected messages with reason and payload.

A message that the broker marks as repeated (DUP) may have been stored before a crash; it is stored
only if it is not there yet.  Identical messages without the mark are stored each time.

Each principal has a daily quota of stored bytes (`DAY_BYTES`), and all principals together
`PRINCIPALS` times as much, so that faulty devices cannot fill the disk.  Beyond the quota, messages
are only counted by reason, with the first bytes of the last one.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, NamedTuple

from psycopg import Cursor

from ingest.model import Fleet
from ingest.mqtt import device_of, principal_of
from services.store.postgres.pool import stamp

if TYPE_CHECKING:
    from ingest.decode import Rejected

# daily quota of a principal for its stored messages and their descriptions [bytes]
DAY_BYTES = 20_000_000
# quota of all principals together, as a multiple of one
PRINCIPALS = 100
# name of the rows that count all principals together, beyond their common quota
ALL = "*"
_ROW_BYTES = 300
_FIRST_BYTES = 1_000
_MAX_DETAIL = 1_000
_COLUMNS = "received, topic, principal, device_id, reason, detail, payload, content_type, sha256"
_TYPES = ["timestamptz", "text", "text", "text", "text", "text", "bytea", "text", "bytea"]


@dataclass(frozen=True, slots=True)
class Letters:
    """
    Data of a batch of messages needed for dead letters.

    `received_us` is one time for all, or one per message.
    """

    topics: Sequence[str]
    payloads: Sequence[bytes]
    content_types: Sequence[str | None]
    repeated: Sequence[bool]
    received_us: int | Sequence[int]

    def received(self, message: int) -> int:
        """Return when a message was received. [us UTC]"""
        when = self.received_us
        return when if isinstance(when, int) else when[message]


@dataclass(slots=True)
class Recorded:
    """Number of stored dead letters, and numbers of only counted ones by reason."""

    kept: int = 0
    left_out: Counter[str] = field(default_factory=Counter)


def record(
    cursor: Cursor,
    fleet: Fleet,
    rejected: Sequence[Rejected],
    messages: Letters,
    day_bytes: int = DAY_BYTES,
) -> Recorded:
    """
    Store rejected messages, one row per message and reason; return the numbers.
    `day_bytes`: quota of stored bytes per principal and UTC day.
    """
    details: dict[tuple[int, str], list[str]] = {}
    for refusal in rejected:
        details.setdefault((refusal.message, refusal.reason), []).append(refusal.detail)
    if not details:
        return Recorded()
    digests = {k: hashlib.sha256(messages.payloads[k]).digest() for k, _ in details}
    known = _stored_already(cursor, [d for k, d in digests.items() if messages.repeated[k]])
    rows = [
        _row(fleet, messages, key, texts, digests[key[0]])
        for key, texts in details.items()
        if not (
            messages.repeated[key[0]]
            and (messages.topics[key[0]], key[1], digests[key[0]]) in known
        )
    ]
    kept, over = _by_quota(cursor, rows, day_bytes)
    if kept:
        with cursor.copy(f"COPY dead_letter ({_COLUMNS}) FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(_TYPES)
            for row in kept:
                copy.write_row(row)
    _count_over(cursor, over)
    return Recorded(len(kept), Counter(row.reason for row in over))


class _Row(NamedTuple):
    """Row of a dead letter, in the order of `_COLUMNS`."""

    received: datetime
    topic: str
    principal: str
    device: str | None
    reason: str
    detail: str
    payload: bytes
    content_type: str | None
    sha256: bytes

    @property
    def size(self) -> int:
        """Return the approximate size of the row in the database. [bytes]"""
        return len(self.payload) + len(self.detail) + _ROW_BYTES


def _row(
    fleet: Fleet, messages: Letters, key: tuple[int, str], texts: Sequence[str], digest: bytes
) -> _Row:
    number, reason = key
    topic = messages.topics[number]
    device, message = device_of(topic, fleet), messages.content_types[number]
    return _Row(
        _moment(messages.received(number)),
        _clean(topic),
        _clean(principal_of(topic)),
        device if device in fleet.by_id else None,
        reason,
        _clean("; ".join(texts))[:_MAX_DETAIL],
        messages.payloads[number],
        None if message is None else _clean(message),
        digest,
    )


def _by_quota(
    cursor: Cursor, rows: Sequence[_Row], day_bytes: int
) -> tuple[list[_Row], list[_Row]]:
    """Return the rows within the day's quota and those beyond it; record the use of the quota."""
    cursor.execute(
        "SELECT principal, day, bytes FROM dead_letter_day WHERE principal = ANY(%s)"
        " UNION ALL SELECT %s, day, sum(bytes)::bigint FROM dead_letter_day GROUP BY day",
        (sorted({row.principal for row in rows}), ALL),
    )
    taken: Counter[tuple[str, date]] = Counter(
        {(principal, day): size for principal, day, size in cursor.fetchall()}
    )
    kept, over = [], []
    added: Counter[tuple[str, date]] = Counter()
    for row in rows:
        day = row.received.date()
        key = row.principal, day
        if taken[ALL, day] + row.size > day_bytes * PRINCIPALS:
            over.append(row._replace(principal=ALL))
        elif taken[key] + row.size > day_bytes:
            over.append(row)
        else:
            added[key] += row.size
            taken[key] += row.size
            taken[ALL, day] += row.size
            kept.append(row)
    keys = sorted(added)
    cursor.execute(
        "INSERT INTO dead_letter_day AS d (principal, day, bytes)"
        " SELECT * FROM unnest(%s::text[], %s::date[], %s::bigint[])"
        " AS n (principal, day, bytes) WHERE NOT EXISTS (SELECT FROM dead_letter_day o"
        " WHERE o.principal = n.principal AND o.day > n.day)"
        " ON CONFLICT (principal) DO UPDATE SET day = excluded.day, bytes = excluded.bytes"
        " + CASE WHEN d.day = excluded.day THEN d.bytes ELSE 0 END",
        _newest_days(keys, added),
    )
    return kept, over


def _newest_days(
    keys: Sequence[tuple[str, date]], added: Mapping[tuple[str, date], int]
) -> tuple[list[str], list[date], list[int]]:
    """Return the newest day of each principal, and its bytes, as three lists."""
    last = dict(keys)  # keys are ascending, so the newest day remains
    pairs = list(last.items())
    return list(last), list(last.values()), [added[pair] for pair in pairs]


def _count_over(cursor: Cursor, over: Sequence[_Row]) -> None:
    """Count letters beyond the quota by principal, day, reason; store the last one's beginning."""
    groups: dict[tuple[str, date, str], list[_Row]] = {}
    for row in over:
        groups.setdefault((row.principal, row.received.date(), row.reason), []).append(row)
    cursor.executemany(
        "INSERT INTO dead_letter_excess AS e VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (principal, day, reason) DO UPDATE SET"
        " letters = e.letters + excluded.letters, bytes = e.bytes + excluded.bytes,"
        " last = excluded.last, topic = excluded.topic, detail = excluded.detail,"
        " beginning = excluded.beginning",
        [
            (
                *key,
                len(rows),
                sum(len(row.payload) for row in rows),
                rows[-1].received,
                rows[-1].topic[:_FIRST_BYTES],
                rows[-1].detail,
                rows[-1].payload[:_FIRST_BYTES],
            )
            for key, rows in sorted(groups.items())
        ],
    )


def _stored_already(cursor: Cursor, digests: list[bytes]) -> set[tuple[str, str, bytes]]:
    if not digests:
        return set()
    cursor.execute(
        "SELECT topic, reason, sha256 FROM dead_letter WHERE sha256 = ANY(%s)", (digests,)
    )
    return {(topic, reason, bytes(digest)) for topic, reason, digest in cursor.fetchall()}


def _moment(us: int) -> datetime:
    return datetime.fromisoformat(stamp(us))


def _clean(text: str) -> str:
    """Return text without NUL, which PostgreSQL cannot store."""
    return text.replace("\0", "\ufffd")
