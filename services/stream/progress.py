"""
Whether a worker makes progress: offsets that Kafka holds beside those that are stored.

A worker with nothing before it is well, and so is one that waits for Kafka; one that has
records before it and stores none is not, whatever its port answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from services.intake.retry import PULSE
from services.pulse import Pulse
from services.stream.commit_thread import Storing
from services.stream.topic_view import AwayError, TopicView

ASK_S = 10.0


class Progress:
    """Beats the pulse while the worker's partitions are stored, or were, or Kafka is away."""

    def __init__(self, view: TopicView, storing: Storing, pulse: Pulse) -> None:
        self._view, self._storing, self._pulse = view, storing, pulse
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
        """Whether Kafka holds records that are not stored."""
        if not positions:
            return False
        try:
            ends = await self._view.ends(positions)
        except AwayError:
            self._pulse.lost("kafka")
            return False
        return any(ends.get(partition, 0) > offset for partition, offset in positions.items())
