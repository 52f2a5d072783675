"""
How far a worker's partitions are behind Kafka, told also while nothing is stored.

A figure that is set when records are stored stands still when the storing does,
and says of a partition that went to another worker what was true when it left.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from aiokafka.errors import KafkaError
from faust.exceptions import FaustError
from faust.types import TP

from services.stream.progress import ASK_S

if TYPE_CHECKING:
    from services.metrics import Metrics
    from services.stream.commit_thread import Storing

EVERY_S = 5.0


class Lag:
    """
    Sets `tonne_stream_offset_lag` for the partitions that are ours, and takes others away.

    Parameters
    ----------
    app : faust.App
        Its consumer asks Kafka where partitions end.
    """

    def __init__(self, app: Any, topic: str, storing: Storing, metrics: Metrics) -> None:
        self._app, self._topic, self._storing = app, topic, storing
        self._gauge = metrics.offset_lag
        self._told: set[int] = set()

    async def watch(self) -> None:
        """Look now and then until cancelled; while Kafka cannot tell, what it said last stands."""
        while True:
            with contextlib.suppress(KafkaError, FaustError, OSError, TimeoutError):
                await asyncio.wait_for(self._look(), ASK_S)
            await asyncio.sleep(EVERY_S)

    async def _look(self) -> None:
        ours = self._storing.known()
        for partition in self._told - ours.keys():
            self._gauge.remove(str(partition))
        self._told &= ours.keys()
        if not ours:
            return
        ends = await self._app.consumer.highwaters(*(TP(self._topic, p) for p in ours))
        for partition, offset in self._storing.known().items():
            end = ends.get(TP(self._topic, partition))
            if end is not None:
                self._gauge.labels(str(partition)).set(max(0, end - offset))
                self._told.add(partition)
