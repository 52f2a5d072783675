"""
Whether a partition still is the one that was stored: its last stored record is in its place.

A topic that was deleted and made again begins at 0, and so does a log that lost its end in
an election of a leader that was behind; reading on would take new records for stored ones.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from structlog.typing import FilteringBoundLogger

from ingest.errors import ServerError
from services.stream.topic_view import TopicView

REMEDY = "give bridges and workers a new --topic; devices send again what has no receipt"


class Continuity:
    """Compares what Kafka holds with what is stored."""

    def __init__(self, view: TopicView, log: FilteringBoundLogger) -> None:
        self._view, self._log = view, log

    async def check(
        self, stored: Mapping[int, tuple[int, bytes | None]], begins: Mapping[int, int]
    ) -> None:
        """
        Look at partitions before they are read on.

        Parameters
        ----------
        stored : mapping
            Partition to the next record to store, and the SHA-256 of the one before it.
        begins : mapping
            Partition to the first record that Kafka has.

        Raises
        ------
        ServerError
            When a partition ends before what is stored, or has another record there.
        AwayError
            When Kafka does not answer.
        """
        if not stored:
            return
        self.check_ends(
            {p: offset for p, (offset, _) in stored.items()}, await self._view.ends(stored)
        )
        for partition, (offset, digest) in stored.items():
            if digest is None or offset == 0:
                continue
            if begins.get(partition, 0) > offset - 1:
                self._log.info(
                    "the last stored record is past its retention: not compared",
                    partition=partition,
                    record=offset - 1,
                )
                continue
            found = await self._view.record(partition, offset - 1)
            if found is not None and found.digest != digest:
                raise self._another(partition, offset - 1)

    def check_ends(self, stored: Mapping[int, int], ends: Mapping[int, int]) -> None:
        """
        Look at where partitions end.

        Raises
        ------
        ServerError
            When one ends before what is stored of it.
        """
        for partition, offset in stored.items():
            end = ends.get(partition, offset)
            if offset > end:
                raise ServerError(
                    f"partition {partition} of {self._view.topic!r} ends at {end}, but {offset}"
                    " records of it are stored: the topic was made again, or its log was cut;"
                    f" {REMEDY}"
                )

    def check_there(self, stored: Mapping[int, int], there: Collection[int]) -> None:
        """
        Look whether all partitions are there of which something is stored, ours or others'.

        Raises
        ------
        ServerError
            When one is not: Kafka takes no partition away.
        """
        for partition, offset in stored.items():
            if offset and partition not in there:
                raise ServerError(
                    f"{self._view.topic!r} has {len(there)} partitions, but {offset} records of"
                    f" partition {partition} are stored: the topic was made again; {REMEDY}"
                )

    def _another(self, partition: int, record: int) -> ServerError:
        return ServerError(
            f"record {record} of partition {partition} of {self._view.topic!r} is not the one that"
            " was stored: the topic was made again, or its log was cut and written anew;"
            f" {REMEDY}"
        )
