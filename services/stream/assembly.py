"""The parts of a worker, put together: what reads, what stores, what looks on."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

import faust
from structlog.typing import FilteringBoundLogger

from ingest.errors import ServerError
from services.metrics import Metrics
from services.settings import Settings
from services.stream.app import build_app
from services.stream.chain import StreamChain
from services.stream.commit_thread import Storing
from services.stream.continuity import Continuity
from services.stream.lag import Lag
from services.stream.progress import Progress
from services.stream.sharing import Sharing
from services.stream.stored_offsets import StoredOffsets
from services.stream.topic_view import TopicView


@dataclass(frozen=True, slots=True)
class Member:
    """How a worker is a member of the group: its name, how long it may be silent, its own name."""

    group: str
    session_s: float
    instance: str | None = None


class Parts:
    """
    A worker's parts.

    Parameters
    ----------
    chain : StreamChain
        Open already.
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
        """Make partitions ours, where they still are the ones that were stored."""
        offsets = await self.storing.take_over(begins, seen)
        try:
            await self._continuity.check(self.storing.last_records(), begins)
        except ServerError as error:
            self.storing.fail(error)
            raise
        return offsets

    async def close(self) -> None:
        """Let go of what only looks on."""
        with contextlib.suppress(TimeoutError):
            await self.view.close()
        self._others.close()
