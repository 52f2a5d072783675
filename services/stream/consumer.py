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
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    TakeOver = Callable[[Sequence[int], int], Awaitable[Mapping[int, int]]]


def transport(url: Any, app: Any, take_over: TakeOver) -> Any:
    """
    Return a Faust transport whose consumer takes partitions over before it reads them.

    Parameters
    ----------
    take_over : callable
        Partitions, and how many the topic has, to the next offset of each.
    """

    class Consumer(driver.Consumer):
        """Seeks to the stored offsets."""

        async def seek_to_committed(self) -> Mapping[Any, int]:
            """Take over what is assigned, and read on from there."""
            assigned = {tp.partition: tp for tp in self.assignment()}
            if not assigned:  # what was ours is another's now
                await take_over([], 0)
                return {}
            ends = await self.highwaters(*assigned.values())
            seen = max(self.topic_partitions(tp.topic) or 0 for tp in assigned.values())
            offsets = await take_over(sorted(assigned), max(seen, max(assigned) + 1))
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
