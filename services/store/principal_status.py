"""
Last message of each principal on its status topic, and state of Sparkplug edge nodes.

`claim` reserves nodes for a rebirth request, so that only one process sends it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import msgspec
from psycopg import Connection, Cursor

from ingest.formats.sparkplug import Birth, Tag
from ingest.model import Fleet
from ingest.sparkplug import Node, WaitingMessage
from services.store.postgres.pool import stamp

_FIRMWARE = 200


class Status(NamedTuple):
    """Status message and its time of receipt. [us UTC]"""

    principal: str
    payload: bytes
    at_us: int


class _Status(msgspec.Struct):
    state: Literal["online", "offline"]
    firmware: str | None = None
    clock_ahead_s: float | None = None


_decoder = msgspec.json.Decoder(_Status)


def keep(connection: Connection, fleet: Fleet, lines: Iterable[Status]) -> list[Status]:
    """
    Store the last status message of each registered principal; return the rejected messages.
    A message is rejected if it cannot be decoded, or its principal is not registered.
    """
    latest: dict[str, tuple[_Status, int]] = {}
    unused: list[Status] = []
    for item in lines:
        try:
            status = _decoder.decode(item.payload)
        except msgspec.MsgspecError:
            unused.append(item)
            continue
        if item.principal in fleet.by_id:
            latest[item.principal] = (status, item.at_us)
        else:
            unused.append(item)
    if latest:
        names = sorted(latest)
        words = [latest[name] for name in names]
        connection.execute(
            "INSERT INTO principal_status AS s (principal, said, at, firmware, clock_ahead_s)"
            " SELECT p.name, p.said, to_timestamp(p.at / 1e6), p.firmware, p.ahead"
            " FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::text[], %s::float8[])"
            " AS p (name, said, at, firmware, ahead)"
            " ON CONFLICT (principal) DO UPDATE SET said = excluded.said, at = excluded.at,"
            " firmware = coalesce(excluded.firmware, s.firmware),"
            " clock_ahead_s = coalesce(excluded.clock_ahead_s, s.clock_ahead_s)"
            " WHERE excluded.at >= s.at",
            (
                names,
                [status.state for status, _ in words],
                [at for _, at in words],
                [_clean_firmware(status.firmware) for status, _ in words],
                [status.clock_ahead_s for status, _ in words],
            ),
        )
    return unused


def _clean_firmware(text: str | None) -> str | None:
    return None if text is None else text.replace("\0", "")[:_FIRMWARE]


_US = "(extract(epoch FROM {}) * 1000000)::bigint"
_NODES = (
    f"SELECT node, group_id, online, {_US.format('changed')}, bd_seq, next_seq, born_ms,"
    f" certain_ms, {_US.format('gap_since')}, {_US.format('wanted')} FROM sparkplug_node"
)
_UPSERT = (
    "INSERT INTO sparkplug_node (node, group_id, online, changed, bd_seq, next_seq, born_ms,"
    " certain_ms, gap_since, wanted) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
    " ON CONFLICT (node) DO UPDATE SET (group_id, online, changed, bd_seq, next_seq, born_ms,"
    " certain_ms, gap_since, wanted) = (EXCLUDED.group_id, EXCLUDED.online, EXCLUDED.changed,"
    " EXCLUDED.bd_seq, EXCLUDED.next_seq, EXCLUDED.born_ms, EXCLUDED.certain_ms,"
    " EXCLUDED.gap_since, EXCLUDED.wanted)"
)
_CLAIM = (
    "UPDATE sparkplug_node SET rebirth_sent = clock_timestamp()"
    " WHERE wanted > clock_timestamp() - INTERVAL '2 minutes' AND (rebirth_sent IS NULL"
    " OR rebirth_sent < clock_timestamp() - make_interval(secs => %s))"
    " RETURNING group_id, node"
)


def load(connection: Connection) -> dict[str, Node]:
    """Return all Sparkplug edge nodes by name, with their births and waiting messages."""
    nodes = {row[0]: Node(*row) for row in connection.execute(_NODES)}
    births = connection.execute(
        "SELECT node, device, born_ms, certain_ms, asked, tags::text FROM sparkplug_birth"
        " ORDER BY node, device, born_ms"
    )
    for name, device, born_ms, certain_ms, was_requested, tags in births:
        result = msgspec.json.decode(tags, type=list[tuple[str, int | None, int, str | None]])
        birth = Birth(born_ms, tuple(Tag(*tag) for tag in result), was_requested, certain_ms)
        nodes[name].births.setdefault(device, []).append(birth)
        if certain_ms is None:
            nodes[name].live[device] = birth
    rows = connection.execute(
        f"SELECT node, id, topic, payload, {_US.format('received')}, seq, sent_ms"
        " FROM sparkplug_held"
        " ORDER BY received, id"
    )
    for name, *row in rows:
        nodes[name].waiting_messages.append(WaitingMessage(*row))
    return nodes


def write(cursor: Cursor, changed: Sequence[tuple[Node, Node]]) -> None:
    """
    Store the Sparkplug edge nodes that a batch changed.

    `changed`: each before and after the change.
    """
    cursor.executemany(
        _UPSERT,
        [
            (
                n.name, _clean(n.group), n.online, stamp(n.changed_us), n.bd_seq, n.next_seq,
                n.born_ms, n.certain_ms, _stamp(n.gap_us), _stamp(n.wanted_us),
            )
            for _, n in changed
        ],
    )  # fmt: skip
    rewritten = [(n, device) for _, n in changed for device in sorted(n.rewritten)]
    if rewritten:
        _write_births(cursor, rewritten)
    for before, after in changed:
        if before.waiting_messages or after.waiting_messages:
            _write_waiting(cursor, before, after)


def _write_births(cursor: Cursor, rewritten: Iterable[tuple[Node, str]]) -> None:
    for node, device in rewritten:
        cursor.execute(
            "DELETE FROM sparkplug_birth WHERE node = %s AND device = %s", (node.name, device)
        )
        cursor.executemany(
            "INSERT INTO sparkplug_birth (node, device, born_ms, certain_ms, asked, tags)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            [
                (node.name, device, b.born_ms, b.certain_ms, b.requested, _tags(b))
                for b in node.births[device]
            ],
        )


def _tags(birth: Birth) -> str:
    rows = [
        (_clean(t.name), t.alias, t.datatype, None if t.unit is None else _clean(t.unit))
        for t in birth.tags
    ]
    return msgspec.json.encode(rows).decode()


def _write_waiting(cursor: Cursor, before: Node, after: Node) -> None:
    before_ids, after_ids = (
        {w.id for w in before.waiting_messages},
        {w.id for w in after.waiting_messages},
    )
    if removed := sorted(before_ids - after_ids):
        cursor.execute("DELETE FROM sparkplug_held WHERE id = ANY(%s)", (removed,))
    cursor.executemany(
        "INSERT INTO sparkplug_held (id, node, received, topic, payload, seq, sent_ms)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO NOTHING",
        [
            (
                waiting_message.id,
                after.name,
                stamp(waiting_message.received_us),
                _clean(waiting_message.topic),
                waiting_message.payload,
                waiting_message.seq,
                waiting_message.sent_ms,
            )
            for waiting_message in after.waiting_messages
            if waiting_message.id not in before_ids
        ],
    )


def claim(connection: Connection, min_interval_s: float) -> list[tuple[str, str]]:
    """
    Return (group, name) of nodes that need a rebirth request, and reserve them for this process.

    `min_interval_s`: only nodes that were not reserved within this time. [s]
    """
    return list(connection.execute(_CLAIM, (min_interval_s,)).fetchall())


def _stamp(us: int | None) -> str | None:
    return None if us is None else stamp(us)


def _clean(text: str) -> str:
    """Return text without NUL, which PostgreSQL cannot store."""
    return text.replace("\0", "\ufffd")
