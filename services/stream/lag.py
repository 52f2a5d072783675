"""
How far each partition of the topic is behind Kafka, reported also while nothing is stored.

Every worker tells it for every partition, its own and others', so that one which no one
stores is reported as well: anyone who adds up takes each partition once,
`max by (partition) (tonne_stream_offset_lag)`.  Where the group's last share leaves a
partition out, it is asked to share anew; a topic that ends before what is stored of it
ends the worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from structlog.typing import FilteringBoundLogger

from services.intake.retry import PULSE
from services.metrics import Metrics
from services.stream.commit_thread import Storing
from services.stream.continuity import Continuity
from services.stream.sharing import Sharing
from services.stream.stored_offsets import StoredOffsets
from services.stream.topic_view import AwayError, TopicView

EVERY_S = 5.0
ASK_AGAIN_S = 20.0  # a rebalance takes a few seconds, and a leader's view may be ten old
UNTOLD_S = 60.0  # the same where an older worker leads, and longer with each time
TELL_S = 30.0
KAFKA = "kafka"


class Lag:
    """
    Looks at the topic now and then, and sets the gauges.

    Parameters
    ----------
    others : StoredOffsets
        How far partitions are stored that are not ours.
    sharing : Sharing
        How the group shares the topic.
    group : str
        The group that we read as.
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
        self._told: set[int] = set()
        self._asked_s = asyncio.get_running_loop().time() - ASK_AGAIN_S
        self._said_s = float("-inf")
        self._untold_s = UNTOLD_S

    async def watch(self) -> None:
        """
        Look now and then until cancelled; while Kafka cannot tell, what it said last stands.

        Raises
        ------
        ServerError
            When the topic ends before what is stored of it.
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
            raise AwayError(f"topic {self._view.topic!r} is not there")
        await self._view.require_group(self._group)
        ends = await self._view.ends(partitions)
        ours = self._storing.known()
        self._continuity.check_ends(ours, ends)
        stored = {**await asyncio.to_thread(self._others.read), **ours}
        self._continuity.check_there(stored, partitions)
        self._tell(stored, ends)
        self._cover(len(partitions))

    def _tell(self, stored: Mapping[int, int], ends: Mapping[int, int]) -> None:
        gauge = self._metrics.offset_lag
        for partition in self._told - ends.keys():
            gauge.remove(str(partition))
        self._told = set(ends)
        for partition, end in ends.items():
            gauge.labels(str(partition)).set(max(0, end - stored.get(partition, 0)))

    def _cover(self, count: int) -> None:
        """Have the group share anew where its last share leaves partitions out."""
        covered = self._sharing.covered
        left_out = 0 if covered is None else max(0, count - covered)
        self._metrics.unassigned.set(left_out)
        now_s = asyncio.get_running_loop().time()
        if self._sharing.untold and now_s - self._asked_s >= self._untold_s:
            # made before an update: no restart of named workers has the group share anew
            self._asked_s, self._untold_s = now_s, self._untold_s * 2
            self._sharing.anew()
        elif left_out and now_s - self._asked_s >= ASK_AGAIN_S:
            self._asked_s = now_s
            self._log.warning(
                "partitions without a worker, sharing anew", partitions=count, without=left_out
            )
            self._sharing.anew()

    def _lost(self, error: AwayError) -> None:
        pulse, now_s = self._metrics.pulse, asyncio.get_running_loop().time()
        pulse.lost(KAFKA)
        pulse.beat(PULSE)  # a server that is waited for is no standstill of ours
        if now_s - self._said_s >= TELL_S:
            self._said_s = now_s
            self._log.warning(
                "kafka lost, holding", error=str(error), since_s=round(pulse.waiting_s(KAFKA))
            )

    def _back(self) -> None:
        away_s = self._metrics.pulse.back(KAFKA)
        self._said_s = float("-inf")
        if away_s is not None:
            self._log.info("kafka back", after_s=round(away_s))
