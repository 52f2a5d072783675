"""
Dead letters: what was refused, with its reason and its bytes.

A message that the broker delivers again (DUP) after a crash may have been kept
already; only for those do we look before writing, so that the count is exact
and identical messages that were really sent twice count twice.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from ingest.mqtt.topics import device_of, principal_of
from services.store.postgres.timestamps import stamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg import Cursor
    from psycopg.rows import TupleRow

    from ingest.decode import Rejected
    from ingest.model import Fleet

_DETAIL = 1_000
_COLUMNS = "received, topic, principal, device_id, reason, detail, payload, content_type, sha256"
_TYPES = ["timestamptz", "text", "text", "text", "text", "text", "bytea", "text", "bytea"]


@dataclass(frozen=True, slots=True)
class Letters:
    """
    The messages of a batch: what a dead letter keeps of each.

    `received_us` is one time for all, or one a message.
    """

    topics: Sequence[str]
    payloads: Sequence[bytes]
    content_types: Sequence[str | None]
    repeated: Sequence[bool]
    received_us: int | Sequence[int]

    def received(self, message: int) -> int:
        """When a message was received. [us UTC]"""
        when = self.received_us
        return when if isinstance(when, int) else when[message]


def record(
    cursor: Cursor[TupleRow], fleet: Fleet, rejected: Sequence[Rejected], messages: Letters
) -> int:
    """
    Keep refused messages: one row a message and reason.

    Returns
    -------
    int
        Rows written.
    """
    details: dict[tuple[int, str], list[str]] = {}
    for refusal in rejected:
        details.setdefault((refusal.message, refusal.reason), []).append(refusal.detail)
    if not details:
        return 0
    digests = {k: hashlib.sha256(messages.payloads[k]).digest() for k, _ in details}
    known = _known(cursor, [d for k, d in digests.items() if messages.repeated[k]])
    written = 0
    with cursor.copy(f"COPY dead_letter ({_COLUMNS}) FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(_TYPES)
        for (k, reason), texts in details.items():
            topic = messages.topics[k]
            if messages.repeated[k] and (topic, reason, digests[k]) in known:
                continue
            device = device_of(topic, fleet)
            copy.write_row(
                (
                    _moment(messages.received(k)),
                    _clean(topic),
                    _clean(principal_of(topic)),
                    device if device in fleet.by_id else None,
                    reason,
                    _clean("; ".join(texts))[:_DETAIL],
                    messages.payloads[k],
                    None
                    if messages.content_types[k] is None
                    else _clean(messages.content_types[k] or ""),
                    digests[k],
                )
            )
            written += 1
    return written


def _known(cursor: Cursor[TupleRow], digests: list[bytes]) -> set[tuple[str, str, bytes]]:
    if not digests:
        return set()
    cursor.execute(
        "SELECT topic, reason, sha256 FROM dead_letter WHERE sha256 = ANY(%s)", (digests,)
    )
    return {(topic, reason, bytes(digest)) for topic, reason, digest in cursor.fetchall()}


def _moment(us: int) -> datetime:
    return datetime.fromisoformat(stamp(us))


def _clean(text: str) -> str:
    """PostgreSQL text holds no NUL; the bytes themselves are in the payload."""
    return text.replace("\0", "\ufffd")
