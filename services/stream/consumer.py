"""
Faust's consumer, reading on from where the database says.

Faust seeks to what the group committed in Kafka, which may be behind what is
stored or, when it committed past work in flight, ahead of it.  The database
knows, and asking it is also how a partition becomes ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers import aiokafka as driver

from services.stream.sharing import Sharing
from services.stream.topic_view import AwayError

TakeOver = Callable[[Mapping[int, int], int], Awaitable[Mapping[int, int]]]


FETCH_WAIT_MS = 100
COMMIT_S = 5.0
_AGAIN_S = 1.0


class _SharedAnewError(Exception):
    """The group shared partitions anew meanwhile."""


class _Thread(driver.AIOKafkaConsumerThread):
    """
    Faust's reader, that asks for records more often, and waits for no commit.

    Kafka answers a fetch as soon as it has a record.  Some brokers that speak its
    protocol, the local one among them, answer when the fetch's longest wait is over:
    Faust's 1.5 s would then be the age of every reading.
    """

    sharing: Sharing

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust passes a number and an assignor of its own
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001
        consumer._partition_assignment_strategy = [self.sharing]  # noqa: SLF001
        self.sharing.joined_by(self._join_again)
        return consumer

    async def _commit(self, offsets: Mapping[Any, int]) -> bool:
        """
        Tell Kafka how far we are, if it listens: the database knows.

        aiokafka tries a commit for as long as Kafka is away, and Faust ends the process
        where one fails.
        """
        tps = {driver.ensure_aiokafka_TP(tp): offset for tp, offset in offsets.items()}
        ours = self._ensure_consumer().assignment()
        found = {tp: OffsetAndMetadata(o, "") for tp, o in tps.items() if tp in ours}
        try:
            await asyncio.wait_for(self._ensure_consumer().commit(found), COMMIT_S)
        except (KafkaError, OSError) as error:
            self.log.warning("Kafka does not take our offsets: %r", error)
            return False
        return True

    def _join_again(self) -> None:
        """Join the group once more; safe from any thread."""
        coordinator = self._ensure_consumer()._coordinator  # noqa: SLF001 (no other way is offered)
        self.thread_loop.call_soon_threadsafe(coordinator.request_rejoin)


def transport(url: Any, app: Any, take_over: TakeOver, sharing: Sharing) -> Any:
    """
    Return a Faust transport whose consumer takes partitions over before it reads them.

    Parameters
    ----------
    take_over : callable
        Partitions with the first record that Kafka has of each, and how many partitions
        there are, to the next offset of each.
    sharing : Sharing
        How the group shares the topic.
    """

    class Consumer(driver.Consumer):
        """Seeks to the stored offsets."""

        def _new_consumer_thread(self) -> Any:
            thread = _Thread(self, loop=self.loop, beacon=self.beacon)
            thread.sharing = sharing
            return thread

        _sharing = 0  # how often partitions were shared among the group

        async def seek_to_committed(self) -> Mapping[Any, int]:
            """
            Take over what is assigned, and read on from there.

            The group may share anew meanwhile: what was ours may be another's by then, and
            taking it over again would end that one.
            """
            self._sharing += 1
            ours = self._sharing
            while ours == self._sharing:
                assigned = {tp.partition: tp for tp in self.assignment()}
                try:
                    return await self._taken(assigned)
                except _SharedAnewError:
                    continue
                except (AwayError, KafkaError) as error:
                    self.log.warning("Kafka is waited for: %r", error)
                    await asyncio.sleep(_AGAIN_S)
            return {}

        async def _taken(self, assigned: Mapping[int, Any]) -> Mapping[Any, int]:
            if not assigned:  # what was ours is another's now
                await take_over({}, 0)
                return {}
            seen = max(self.topic_partitions(tp.topic) or 0 for tp in assigned.values())
            first = await self.earliest_offsets(*assigned.values())
            if self.assignment() != set(assigned.values()):
                raise _SharedAnewError
            begins = {partition: first.get(assigned[partition]) or 0 for partition in assigned}
            offsets = await take_over(begins, max(seen, max(assigned) + 1))
            found = {assigned[partition]: offset for partition, offset in offsets.items()}
            await self.seek_wait(found)
            return found

    class Transport(driver.Transport):
        """Makes our consumer."""

    Transport.Consumer = Consumer
    return Transport(url, app)
