"""Queries for dead letters and the unregistered devices they name; deletion of dead letters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.errors import InvalidParameterValue
from psycopg.rows import TupleRow

from ingest.errors import InputError
from ingest.mqtt import device_of
from services.store.registry.load import load_fleet

LEAST_DAYS = 30


@dataclass(frozen=True, slots=True)
class Removal:
    """
    Recorded deletion of dead letters.

    `before`: they were received before this time.  `letters`: their number; `reasons`: by reason.
    `sha256`: digest of the digests of their payloads, in order of number; hex.
    """

    id: int
    removed: datetime
    author: str
    before: datetime
    letters: int
    reasons: dict[str, int]
    sha256: str


def expire(conn: Connection, before: datetime, author: str) -> int:
    """
    Delete dead letters received before a time; return their number.

    Raises InputError when the time is less than 30 days ago.
    """
    try:
        row = conn.execute("SELECT tonne_expire_dead_letters(%s, %s)", [before, author]).fetchone()
    except InvalidParameterValue as error:
        raise InputError(f"{error.diag.message_primary}; use at least {LEAST_DAYS} days") from None
    return 0 if row is None else int(row[0])


def tidy(conn: Connection, before: datetime | None) -> None:
    """
    Delete quota counts of past days, and contents of old messages beyond the quota.
    `before`: topic, detail and first bytes of messages received before this time are deleted; None
    keeps all.
    """
    conn.execute("SELECT tonne_tidy_letters(%s)", [before])


def removals(conn: Connection) -> list[Removal]:
    """Return all deletions, oldest first."""
    rows = conn.execute(
        "SELECT id, removed, author, before, letters, reasons, encode(sha256, 'hex')"
        " FROM dead_letter_removal ORDER BY id"
    )
    return [Removal(*row) for row in rows]


def removed_of(conn: Connection, letters: list[int]) -> set[int]:
    """Return the given letters that a recorded deletion contains."""
    rows: list[Any] = conn.execute(
        "SELECT l.id FROM unnest(%s::bigint[]) l (id)"
        " WHERE EXISTS (SELECT FROM dead_letter_removal r WHERE r.ids @> l.id)",
        [letters],
    ).fetchall()
    return {id_ for (id_,) in rows}


_COLUMNS = (
    "d.id, d.received, d.topic, d.principal, d.device_id, d.reason, d.detail, d.content_type, "
    "length(d.payload), encode(d.sha256, 'hex'), "
    "(SELECT max(r.replayed) FROM dead_letter_replay r WHERE r.dead_letter_id = d.id)"
)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """
    Rejected message without its payload.

    `device`: None if the message names none.  `size`: size of the payload. [bytes]
    `replayed`: time at which it was last resent; None if never.
    """

    id: int
    received: datetime
    topic: str
    principal: str
    device: str | None
    reason: str
    detail: str
    content_type: str | None
    size: int
    sha256: str
    replayed: datetime | None


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions on dead letters; None matches any. `waiting`: never resent."""

    ids: Sequence[int] | None = None
    reason: str | None = None
    device: str | None = None
    received_from: datetime | None = None
    received_to: datetime | None = None
    waiting: bool = False
    principal: str | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """
    Number of rejected messages (`refused`) of a device for a reason.

    `device`: None if the messages name none.  `waiting`: number of messages never resent.
    """

    reason: str
    device: str | None
    refused: int
    waiting: int
    first: datetime
    last: datetime


def count_letters(conn: Connection, wanted: Filter) -> list[Count]:
    """Return the number of dead letters by reason and device, largest first."""
    condition, values = where(wanted)
    rows = conn.execute(
        "SELECT d.reason, d.device_id, count(*), count(*) FILTER (WHERE NOT EXISTS "
        "(SELECT FROM dead_letter_replay r WHERE r.dead_letter_id = d.id)), "
        f"min(d.received), max(d.received) FROM dead_letter d {condition} "
        "GROUP BY d.reason, d.device_id ORDER BY 3 DESC, 1, 2",
        values,
    )
    return [Count(*row) for row in rows]


def list_letters(conn: Connection, wanted: Filter, limit: int | None = None) -> list[DeadLetter]:
    """Return dead letters, newest first."""
    condition, values = where(wanted)
    rows = conn.execute(
        f"SELECT {_COLUMNS} FROM dead_letter d {condition} ORDER BY d.id DESC LIMIT %(limit)s",
        {**values, "limit": limit},
    )
    return [DeadLetter(*row) for row in rows]


def get_letter(conn: Connection, letter_id: int) -> tuple[DeadLetter, bytes]:
    """
    Return one dead letter and its payload.

    Raises InputError when there is none with that number.
    """
    dead_letters = list_letters(conn, Filter(ids=[letter_id]))
    payload = conn.execute("SELECT payload FROM dead_letter WHERE id = %s", [letter_id]).fetchone()
    if not dead_letters or payload is None:
        raise InputError(f"dead letter {letter_id} is not known; see `tonne deadletter list`")
    return dead_letters[0], bytes(payload[0])


def mark_replayed(conn: Connection, letter_id: int, author: str) -> None:
    """Record that a dead letter was resent."""
    conn.execute(
        "INSERT INTO dead_letter_replay (dead_letter_id, author) VALUES (%s, %s)",
        [letter_id, author],
    )


def where(wanted: Filter) -> tuple[str, dict[str, object]]:
    """Return the WHERE clause of the conditions that are set, and its parameters."""
    conditions = {
        "ids": ("d.id = ANY(%(ids)s)", None if wanted.ids is None else list(wanted.ids)),
        "reason": ("d.reason = %(reason)s", wanted.reason),
        "device": ("d.device_id = %(device)s", wanted.device),
        "principal": ("d.principal = %(principal)s", wanted.principal),
        "begin": ("d.received >= %(begin)s", wanted.received_from),
        "end": ("d.received < %(end)s", wanted.received_to),
    }
    arguments = {
        name: (text, value) for name, (text, value) in conditions.items() if value is not None
    }
    texts = [text for text, _ in arguments.values()]
    if wanted.waiting:
        texts.append("NOT EXISTS (SELECT FROM dead_letter_replay r WHERE r.dead_letter_id = d.id)")
    values: dict[str, object] = {name: value for name, (_, value) in arguments.items()}
    return ("WHERE " + " AND ".join(texts) if texts else ""), values


def of_period(
    conn: Connection, principals: Sequence[str], from_us: int, to_us: int
) -> list[tuple[Any, ...]]:
    """
    Return rejected messages of devices or gateways in [from, to), oldest first.

    Returns: id, microseconds of receipt, principal, topic, device, reason, detail, content type,
    bytes, SHA-256 in hex.
    """
    edge = "to_timestamp(%s / 1000000) + %s %% 1000000 * interval '1 microsecond'"
    return conn.execute(
        "SELECT id, (extract(epoch FROM received) * 1000000)::bigint, principal, topic, device_id,"
        " reason, detail, content_type, length(payload)::bigint, encode(sha256, 'hex')"
        " FROM dead_letter WHERE (principal = ANY(%s) OR device_id = ANY(%s))"
        f" AND received >= {edge} AND received < {edge} ORDER BY received, id",
        (list(principals), list(principals), from_us, from_us, to_us, to_us),
    ).fetchall()


GROUPS = {
    "reason": "d.reason",
    "device": "d.device_id",
    "principal": "d.principal",
    "topic": "d.topic",
    "day": "to_char(d.received AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
}


def group_letters(conn: Connection, wanted: Filter, by: Sequence[str]) -> list[dict[str, Any]]:
    """
    Return the number of dead letters by groups, the largest first.

    `by`: one or more of `GROUPS`.

    Returns: the group's values, then `refused`, `waiting` (never resent), `first` and `last` (times
    of receipt), and `example`, the number of the newest letter.
    """
    condition, values = where(wanted)
    columns = ", ".join(GROUPS[name] for name in by)
    rows = conn.execute(
        f"SELECT {columns}, count(*), count(*) FILTER (WHERE NOT EXISTS "
        "(SELECT FROM dead_letter_replay r WHERE r.dead_letter_id = d.id)), "
        f"min(d.received), max(d.received), max(d.id) FROM dead_letter d {condition} "
        f"GROUP BY {', '.join(str(i + 1) for i in range(len(by)))} "
        f"ORDER BY {len(by) + 1} DESC, {', '.join(str(i + 1) for i in range(len(by)))}",
        values,
    )
    names = [*by, "refused", "waiting", "first", "last", "example"]
    return [dict(zip(names, row, strict=True)) for row in rows]


REASONS = (
    "unknown_device",
    "not_your_device",
    "unknown_topic",
    "empty_payload",
    "invalid_utf8",
    "malformed_json",
    "malformed_cbor",
    "wrong_shape",
    "not_a_number",
    "not_finite",
    "value_missing",
    "payload_too_large",
    "content_type_unknown",
    "unit_mismatch",
    "channel_twice",
    "version_unknown",
    "label_unknown",
    "ocpp_action",
    "registers_invalid",
    "scale_missing",
    "time_missing",
    "time_invalid",
    "time_future",
    "time_too_old",
    "time_in_seconds",
    "no_known_channel",
    "out_of_range",
    "implausible_register",
    "malformed_protobuf",
    "birth_invalid",
    "metric_unknown",
    "datatype_mismatch",
    "seq_invalid",
    "birth_missing",
    "sequence_gap",
    "quality_bad",
    "name_unusable",
    "node_twice",
    "conflict",
    "rate",
    "foreign_record",
    "damaged_record",
    "unknown_schema",
    "unstorable",
)


# number of newest letters examined, which limits the time of the query
_NEWEST = 200_000


@dataclass(frozen=True, slots=True)
class UnknownDevice:
    """
    Unregistered device, and the principal that published for it.

    `example`: number of its newest dead letter.  `refused`: reason why the operator marked it as
    unwanted, if so.
    """

    device: str
    principal: str
    topic: str
    messages: int
    first: datetime
    last: datetime
    example: int
    refused: str | None


@dataclass(frozen=True, slots=True)
class Claim:
    """
    Registered device for which another principal published.

    `principal`: sender of the messages.  `speaker`: principal that is permitted to send them.
    """

    device: str
    principal: str
    speaker: str
    messages: int
    first: datetime
    last: datetime


def unknown_devices(conn: Connection, *, refused: bool = False) -> list[UnknownDevice]:
    """Return unregistered devices named in messages, newest first; unwanted ones if `refused`."""
    fleet = load_fleet(conn)
    decided = {
        (principal, device): reason
        for principal, device, reason in conn.execute(
            "SELECT principal, device, reason FROM knock_refused"
        )
    }
    devices = []
    for principal, topic, count, first, last, example in _refused_as(conn, "unknown_device"):
        device = device_of(topic, fleet)
        if device is None or device in fleet.by_id:
            continue
        why = decided.get((principal, device))
        if (why is not None) == refused:
            devices.append(
                UnknownDevice(device, principal, topic, count, first, last, example, why)
            )
    return devices


def claims(conn: Connection) -> list[Claim]:
    """Return claims of principals on devices of other principals, newest first."""
    fleet = load_fleet(conn)
    result: dict[tuple[str, str], Claim] = {}
    for principal, topic, count, first, last, _ in _refused_as(conn, "not_your_device"):
        device = device_of(topic, fleet)
        if device is None or device not in fleet.by_id:
            continue
        speaker = fleet.devices[fleet.by_id[device]].gateway or device
        if principal == speaker:
            continue  # the cause no longer exists, as the registry was corrected since
        claim = Claim(device, principal, speaker, count, first, last)
        newer = result.get((principal, device), replace(claim, messages=0))
        result[principal, device] = replace(
            newer, messages=newer.messages + count, first=min(newer.first, first)
        )
    return list(result.values())


def _refused_as(conn: Connection, reason: str) -> list[TupleRow]:
    """
    Return the topics of letters with a reason, newest first: principal, topic, number, first and
    last time of receipt, newest letter.
    """
    return conn.execute(
        "SELECT principal, topic, count(*), min(received), max(received), max(id) FROM ("
        " SELECT principal, topic, received, id FROM dead_letter WHERE reason = %s"
        " ORDER BY id DESC LIMIT %s) newest GROUP BY principal, topic ORDER BY max(id) DESC",
        [reason, _NEWEST],
    ).fetchall()


def refuse(conn: Connection, principal: str, device: str, author: str, reason: str) -> None:
    """Mark an unregistered device as unwanted; `unknown_devices` no longer lists it."""
    conn.execute(
        "INSERT INTO knock_refused (principal, device, author, reason) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (principal, device) DO UPDATE SET refused = now(),"
        " author = excluded.author, reason = excluded.reason",
        [principal, device, author, reason],
    )
