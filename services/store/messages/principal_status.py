"""Last message of each principal on its status topic."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

import msgspec
from psycopg import Connection

from ingest.model import Fleet

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
    Store the last status message of each registered principal; return the rejected ones.

    Returns
    -------
    list of Status
        Those that cannot be read, or whose principal is not registered.
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
                [_clean(status.firmware) for status, _ in words],
                [status.clock_ahead_s for status, _ in words],
            ),
        )
    return unused


def _clean(text: str | None) -> str | None:
    return None if text is None else text.replace("\0", "")[:_FIRMWARE]
