"""
Faust's consumer, reading on from where the database says.

Faust seeks to what the group committed in Kafka, which may be behind what is
stored or, when it committed past work in flight, ahead of it.  The database
knows, and asking it is also how a partition becomes ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faust.transport.drivers import aiokafka as driver

from ingest.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    TakeOver = Callable[[Mapping[int, int], int], Awaitable[Mapping[int, int]]]


FETCH_WAIT_MS = 100


class _Thread(driver.AIOKafkaConsumerThread):
    """
    Faust's reader, that asks for records more often.

    Kafka answers a fetch as soon as it has a record.  Some brokers that speak its
    protocol, the local one among them, answer when the fetch's longest wait is over:
    Faust's 1.5 s would then be the age of every reading.
    """

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001 (Faust passes a number of its own)
        return consumer


def transport(url: Any, app: Any, take_over: TakeOver) -> Any:
    """
    Return a Faust transport whose consumer takes partitions over before it reads them.

    Parameters
    ----------
    take_over : callable
        Partitions with the first record that Kafka has of each, and how many partitions
        there are, to the next offset of each.
    """

    class Consumer(driver.Consumer):
        """Seeks to the stored offsets."""

        def _new_consumer_thread(self) -> Any:
            return _Thread(self, loop=self.loop, beacon=self.beacon)

        async def seek_to_committed(self) -> Mapping[Any, int]:
            """Take over what is assigned, and read on from there."""
            assigned = {tp.partition: tp for tp in self.assignment()}
            if not assigned:  # what was ours is another's now
                await take_over({}, 0)
                return {}
            ends = await self.highwaters(*assigned.values())
            seen = max(self.topic_partitions(tp.topic) or 0 for tp in assigned.values())
            first = await self.earliest_offsets(*assigned.values())
            begins = {partition: first.get(assigned[partition]) or 0 for partition in assigned}
            offsets = await take_over(begins, max(seen, max(assigned) + 1))
            found = {assigned[partition]: offset for partition, offset in offsets.items()}
            for tp, offset in found.items():
                _check(tp, offset, ends.get(tp))
            await self.seek_wait(found)
            return found

    class Transport(driver.Transport):
        """Makes our consumer."""

    Transport.Consumer = Consumer
    return Transport(url, app)


def _check(tp: Any, offset: int, end: int | None) -> None:
    """A topic that ends before what was stored of it is another one by the same name."""
    if end is not None and offset > end:
        raise ServerError(
            f"partition {tp.partition} of {tp.topic!r} ends at {end}, but {offset} records of it"
            " are stored: the topic was made again. Use a new --topic for bridges and workers"
        )
