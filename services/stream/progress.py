"""
Whether a worker makes progress: offsets that Kafka holds beside those that are stored.

A worker with nothing before it is well; one that has records before it and
stores none is not, whatever its port answers.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiokafka.errors import KafkaError
from faust.types import TP

from services.intake.retry import PULSE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.pulse import Pulse
    from services.stream.commit_thread import Storing

ASK_S = 10.0


class Progress:
    """
    Beats the pulse while the worker's partitions are stored, or were.

    Parameters
    ----------
    app : faust.App
        Its consumer knows where the partitions end.
    """

    def __init__(self, app: Any, topic: str, storing: Storing, pulse: Pulse) -> None:
        self._app, self._topic = app, topic
        self._storing, self._pulse = storing, pulse
        self._last: Mapping[int, int] = {}
        self._asked_s = 0.0

    async def look(self) -> None:
        """Beat, if the worker moves; Kafka is asked now and then."""
        positions = await self._storing.positions()
        now = asyncio.get_running_loop().time()
        moved, self._last = positions != self._last, positions
        if not moved:
            if now - self._asked_s < ASK_S:
                return
            self._asked_s = now
            if await self._behind(positions):
                return
        self._pulse.beat(PULSE)

    async def _behind(self, positions: Mapping[int, int]) -> bool:
        """Whether Kafka holds records that are not stored; so we say, too, when it cannot tell."""
        if not positions:
            return False
        wanted = [TP(self._topic, partition) for partition in positions]
        try:
            ends = await asyncio.wait_for(self._app.consumer.highwaters(*wanted), ASK_S)
        except (KafkaError, OSError, TimeoutError):
            return True
        return any(ends.get(tp, 0) > positions[tp.partition] for tp in wanted)
