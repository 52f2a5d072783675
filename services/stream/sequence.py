"""Continuity of a partition's offsets: no record is left out, none is stored twice."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from psycopg import Connection
from structlog.typing import FilteringBoundLogger

from ingest.errors import TonneError
from services.store.stream import offsets
from services.store.stream.offsets import Position
from services.stream.records import Record, in_sequence

AHEAD_S = 30.0


class MissingError(TonneError):
    """Records come, but not the one that is next; nothing was left out."""


class Following:
    """
    Takes what follows, and waits for what is missing.

    Parameters
    ----------
    topic : str
        Named where a record does not come.
    """

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._ahead_since_s: dict[int, float] = {}

    def forget(self) -> None:
        """Begin anew: partitions changed hands."""
        self._ahead_since_s = {}

    def of(self, position: Position, records: Sequence[Record]) -> list[Record]:
        """
        Return the records that are next, without a gap.

        Those before are stored.  Those after may be left over from before partitions
        changed hands: they come again in their turn, and taking them now would leave
        out what is between.

        Raises
        ------
        MissingError
            When only later ones have come for a while.
        """
        todo, ahead = in_sequence(records, position.offset)
        if todo or not ahead:
            self._ahead_since_s.pop(position.partition, None)
            return todo
        since_s = self._ahead_since_s.setdefault(position.partition, time.monotonic())
        if time.monotonic() - since_s > AHEAD_S:
            raise MissingError(
                f"record {position.offset} of partition {position.partition} of {self._topic!r} is "
                "missing, only later records came. Restart this worker: it requests the record "
                "from Kafka"
            )
        return todo


def begin(
    connection: Connection, position: Position, first: int, log: FilteringBoundLogger
) -> Position:
    """Go on from where Kafka has records, and say which it no longer had."""
    if first <= position.offset:
        return position
    log.error(
        "records missing: Kafka no longer had them",
        partition=position.partition,
        first=position.offset,
        count=first - position.offset,
    )
    with connection.transaction(), connection.cursor() as cursor:
        offsets.advance(cursor, position, first, None)
    return replace(position, offset=first, digest=None)
