"""
Assembly of a worker: reader, store and observers.

`Lag` reports how far each partition is behind Kafka, also while nothing is stored. Every worker
reports all partitions, so that one without a worker is included; sums take each partition once,
`max by (partition) (tonne_stream_offset_lag)`.  If the group's assignment omits a partition, a new
assignment is requested; a topic that ends before its stored offset ends the worker.

`Continuity` checks that a partition still contains its last stored record: after a recreation of
the topic, or a truncation by a leader election, new records would be taken for stored ones.

`Progress` gives the health signal: a worker with waiting records that stores none is unhealthy.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import faust
import psycopg
from psycopg import Connection
from structlog.typing import FilteringBoundLogger

from ingest.errors import ServerError
from services.intake.retry import PULSE
from services.metrics import Metrics
from services.scraping import Pulse
from services.settings import Settings
from services.store import offsets
from services.store.postgres.pool import connect
from services.stream.app import Storing, build_app
from services.stream.chain import StreamChain
from services.stream.partitions import AwayError, Sharing, TopicView

ASK_S = 10.0


class Progress:
    """Gives the health signal while partitions are being stored, or Kafka is unreachable."""

    def __init__(self, view: TopicView, storing: Storing, pulse: Pulse) -> None:
        self._view, self._storing, self._pulse = view, storing, pulse
        self._last: Mapping[int, int] = {}
        self._requested_s = 0.0

    async def look(self) -> None:
        """Give the health signal if the worker makes progress; ask Kafka at intervals."""
        positions = await self._storing.positions()
        now = asyncio.get_running_loop().time()
        moved, self._last = positions != self._last, positions
        if not moved:
            if now - self._requested_s < ASK_S:
                return
            self._requested_s = now
            if await self._behind(positions):
                return
        self._pulse.beat(PULSE)

    async def _behind(self, positions: Mapping[int, int]) -> bool:
        """Return whether Kafka has records that are not stored."""
        if not positions:
            return False
        try:
            ends = await self._view.ends(positions)
        except AwayError:
            self._pulse.lost("kafka")
            return False
        return any(ends.get(partition, 0) > offset for partition, offset in positions.items())


class StoredOffsets:
    """Reads `stream_offset`; the last values remain while the database is unreachable."""

    def __init__(self, database_url: str, topic: str) -> None:
        self._url, self._topic = database_url, topic
        self._connection: Connection | None = None
        self._last: dict[int, int] = {}

    def read(self) -> dict[int, int]:
        """Return the offset of the next record to store, by known partition."""
        try:
            if self._connection is None or self._connection.closed:
                self._connection = connect(
                    self._url, role="tonne_ingest", name="tonne worker (lag)", autocommit=True
                )
            self._last = offsets.stored(self._connection, self._topic)
        except (psycopg.Error, ServerError):
            self.close()
        return self._last

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


REMEDY = (
    "start bridges and workers with a new --topic; devices send readings without a receipt again"
)


class Continuity:
    """Checks that partitions in Kafka still contain the stored records."""

    def __init__(self, view: TopicView, log: FilteringBoundLogger) -> None:
        self._view, self._log = view, log

    async def check(
        self, stored: Mapping[int, tuple[int, bytes | None]], begins: Mapping[int, int]
    ) -> None:
        """
        Check partitions before they are read further.

        `stored`: partition to the next record to store, and the SHA-256 of the previous one.
        `begins`: partition to its first available record.
        Raises ServerError when a partition ends before its stored offset, or has another record
        there.
        Raises AwayError when Kafka does not answer.
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
            seen = await self._view.record(partition, offset - 1)
            if seen is not None and seen.digest != digest:
                raise self._another(partition, offset - 1)

    def check_ends(self, stored: Mapping[int, int], ends: Mapping[int, int]) -> None:
        """
        Check the ends of partitions.

        Raises ServerError when one ends before its stored offset.
        """
        for partition, offset in stored.items():
            end = ends.get(partition, offset)
            if offset > end:
                raise ServerError(
                    f"partition {partition} of {self._view.topic!r} ends at {end}, but {offset} "
                    "records of it are stored: the topic was created again, or its log was "
                    f"truncated; {REMEDY}"
                )

    def check_there(self, stored: Mapping[int, int], there: Collection[int]) -> None:
        """
        Check that all partitions with stored records exist, own or others'.

        Raises ServerError when one is missing, as Kafka removes no partition.
        """
        for partition, offset in stored.items():
            if offset and partition not in there:
                raise ServerError(
                    f"{self._view.topic!r} has {len(there)} partitions, but {offset} records of "
                    f"partition {partition} are stored: the topic was created again; {REMEDY}"
                )

    def _another(self, partition: int, record: int) -> ServerError:
        return ServerError(
            f"record {record} of partition {partition} of {self._view.topic!r} differs from"
            " the stored one: the topic was created again, or its log was truncated and rewritten;"
            f" {REMEDY}"
        )


EVERY_S = 5.0
# a rebalance takes a few seconds, and a leader's view may be ten seconds old [s]
ASK_AGAIN_S = 20.0
# the same time if an older worker is the leader, doubled after each request [s]
OLDER_LEADS_S = 60.0
LOG_EVERY_S = 30.0
KAFKA = "kafka"


class Lag:
    """
    Checks the topic at intervals, and sets the gauges.

    `others`: stored offsets of other workers' partitions.
    `sharing`: assignment of partitions in the group.
    `group`: the worker's group.
    """

    def __init__(
        self,
        view: TopicView,
        storing: Storing,
        others: StoredOffsets,
        continuity: Continuity,
        sharing: Sharing,
        group: str,
        metrics: Metrics,
        log: FilteringBoundLogger,
    ) -> None:
        self._view, self._storing, self._others = view, storing, others
        self._group = group
        self._continuity = continuity
        self._sharing, self._metrics, self._log = sharing, metrics, log
        self._reported: set[int] = set()
        self._requested_s = asyncio.get_running_loop().time() - ASK_AGAIN_S
        self._logged_s = float("-inf")
        self._older_leads_s = OLDER_LEADS_S

    async def watch(self) -> None:
        """
        Check at intervals until cancelled; while Kafka is unreachable the last values remain.

        Raises ServerError when the topic ends before its stored offset.
        """
        while True:
            try:
                await self._look()
            except AwayError as error:
                self._lost(error)
            else:
                self._back()
            await asyncio.sleep(EVERY_S)

    async def _look(self) -> None:
        partitions = await self._view.partitions()
        if not partitions:
            raise AwayError(
                f"topic {self._view.topic!r} does not exist; create it with `tonne topics apply`"
            )
        await self._view.require_group(self._group)
        ends = await self._view.ends(partitions)
        ours = self._storing.known()
        self._continuity.check_ends(ours, ends)
        stored = {**await asyncio.to_thread(self._others.read), **ours}
        self._continuity.check_there(stored, partitions)
        self._set_lag(stored, ends)
        self._cover(len(partitions))

    def _set_lag(self, stored: Mapping[int, int], ends: Mapping[int, int]) -> None:
        gauge = self._metrics.offset_lag
        for partition in self._reported - ends.keys():
            gauge.remove(str(partition))
        self._reported = set(ends)
        for partition, end in ends.items():
            gauge.labels(str(partition)).set(max(0, end - stored.get(partition, 0)))

    def _cover(self, count: int) -> None:
        """Make the group reassign partitions if its last assignment omits some."""
        covered = self._sharing.covered
        left_out = 0 if covered is None else max(0, count - covered)
        self._metrics.unassigned.set(left_out)
        now_s = asyncio.get_running_loop().time()
        if self._sharing.by_older and now_s - self._requested_s >= self._older_leads_s:
            # an assignment by a worker of an older release: a restart of named workers does not
            # change it
            self._requested_s, self._older_leads_s = now_s, self._older_leads_s * 2
            self._sharing.reassign()
        elif left_out and now_s - self._requested_s >= ASK_AGAIN_S:
            self._requested_s = now_s
            self._log.warning(
                "partitions without a worker, redistributed", partitions=count, without=left_out
            )
            self._sharing.reassign()

    def _lost(self, error: AwayError) -> None:
        pulse, now_s = self._metrics.pulse, asyncio.get_running_loop().time()
        pulse.lost(KAFKA)
        pulse.beat(PULSE)  # while it waits for a server the process counts as working
        if now_s - self._logged_s >= LOG_EVERY_S:
            self._logged_s = now_s
            self._log.warning(
                "kafka lost, holding", error=str(error), since_s=round(pulse.waiting_s(KAFKA))
            )

    def _back(self) -> None:
        away_s = self._metrics.pulse.back(KAFKA)
        self._logged_s = float("-inf")
        if away_s is not None:
            self._log.info("kafka back", after_s=round(away_s))


@dataclass(frozen=True, slots=True)
class Member:
    """Group membership of a worker: group name, session timeout, own name."""

    group: str
    session_s: float
    instance: str | None = None


class Parts:
    """
    Parts of a running worker: its storing thread, its checks and its metrics.

    `chain`: chain of processing steps, open already.
    """

    def __init__(
        self,
        settings: Settings,
        topic: str,
        chain: StreamChain,
        member: Member,
        metrics: Metrics,
        log: FilteringBoundLogger,
    ) -> None:
        kafka = settings.require_kafka()
        self.storing, self.view = Storing(chain), TopicView(kafka, topic)
        self._sharing, self._continuity = Sharing(topic), Continuity(self.view, log)
        self.app: faust.App = build_app(
            kafka, settings.home, topic, self.storing, self._take_over, self._sharing,
            group=member.group, session_s=member.session_s, instance=member.instance,
        )  # fmt: skip
        self._others = StoredOffsets(settings.require("database_url"), topic)
        self.lag = Lag(
            self.view, self.storing, self._others, self._continuity, self._sharing,
            member.group, metrics, log,
        )  # fmt: skip
        self.progress = Progress(self.view, self.storing, metrics.pulse)

    async def _take_over(self, begins: Mapping[int, int], seen: int) -> Mapping[int, int]:
        """
        Take over partitions after checking that they contain the stored records.

        Return the next offset of each.  `begins`, `seen`: see `StreamChain.take_over`.
        """
        offsets = await self.storing.take_over(begins, seen)
        try:
            await self._continuity.check(self.storing.last_records(), begins)
        except ServerError as error:
            self.storing.fail(error)
            raise
        return offsets

    async def close(self) -> None:
        """Disconnect the parts that observe Kafka."""
        with contextlib.suppress(TimeoutError):
            await self.view.close()
        self._others.close()
