"""
The Faust app of `tonne worker`: one agent, no tables.

Faust 0.15's `take` acknowledges failed events, which are then not delivered again. So events are
acknowledged here, one list at a time, retried in place, and any other failure ends the process.

Faust starts at the group's offsets in Kafka, which may differ from what is stored; here a consumer
starts at the database's offsets, by taking the partitions over.

Lists contain the events that arrived while the last one was stored, without waiting (`gathered`).
Nothing is taken from the stream meanwhile, since taken events must be stored before the group can
reassign partitions.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import faust
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.auth import OAuthCredentials
from faust.transport.drivers import aiokafka as driver

from services.environment import TOKEN, KafkaAccess
from services.intake.kafka_client import Tokens
from services.stream import Record
from services.stream.chain import StreamChain
from services.stream.partitions import FRESH_MS, AwayError, Sharing

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Storing:
    """
    Runs database work outside of the event loop, which must send heartbeats.

    `failure` is the error that ended it; the process should exit with it.
    """

    def __init__(self, chain: StreamChain) -> None:
        self._chain = chain
        self._thread = ThreadPoolExecutor(1, "storing")
        self.failure: BaseException | None = None
        self.failed = asyncio.Event()

    async def take_over(self, begins: Mapping[int, int], seen: int) -> Mapping[int, int]:
        """Assign partitions, with their total number; return the next offset of each."""
        return await self._do(self._chain.take_over, begins, seen)

    async def store(self, records: Mapping[int, Sequence[Record]]) -> None:
        """Store a batch of Kafka records of several partitions."""
        await self._do(self._chain.store_all, records)

    async def idle(self) -> None:
        """Do periodic work: check the registry, set gauges."""
        await self._do(self._chain.look)

    async def positions(self) -> Mapping[int, int]:
        """Return the offset of the next record to store, by assigned partition."""
        return await self._do(self._chain.positions)

    def last_records(self) -> Mapping[int, tuple[int, bytes | None]]:
        """
        Return, by partition, the offset of the next record to store, and the SHA-256 of the record
        before it; None where that is not known.
        """
        return self._chain.last_records()

    def known(self) -> Mapping[int, int]:
        """
        Return the next record to store by partition, at once, without waiting for
        running stores.
        """
        return self._chain.positions()

    async def _do(self, work: Callable[_P, _T], *args: _P.args, **_: _P.kwargs) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, *args)
        except BaseException as error:
            if not isinstance(error, asyncio.CancelledError):
                self.fail(error)
            raise

    def fail(self, error: BaseException) -> None:
        """Record the first error that ended the storing."""
        if self.failure is None:
            self.failure = error
        self.failed.set()

    def close(self) -> None:
        """Wait for running work, and end the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._chain.close()


_QUIET = 5  # turns of the event loop without a new event before a list is complete


async def gathered(stream: Any, maximum: int) -> AsyncIterator[list[Any]]:
    """
    Yield lists of available events, up to a maximum; the consumer acknowledges them.

    Raises BaseException: the error that ended the stream.
    """
    stream.enable_acks = False
    stored: list[Any] = []
    came, wanted = asyncio.Event(), asyncio.Event()

    async def read() -> None:
        async with aclosing(stream.events()) as events:
            async for event in events:
                stored.append(event)
                came.set()
                if len(stored) >= maximum:
                    wanted.clear()
                await wanted.wait()

    reading = asyncio.ensure_future(read())
    reading.add_done_callback(lambda _: came.set())
    try:
        while not reading.done():
            wanted.set()
            await came.wait()
            await _quiet(stored, maximum)
            wanted.clear()
            came.clear()
            if stored:
                events = list(stored)
                stored.clear()
                yield events
                if stored:  # further events arrived while these were stored
                    came.set()
        if stored:
            yield list(stored)
        await reading
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading


async def _quiet(messages: list[Any], maximum: int) -> None:
    """Wait until the available events have arrived."""
    turns, before = 0, len(messages)
    while turns < _QUIET and len(messages) < maximum:
        await asyncio.sleep(0)
        turns, before = (turns + 1, before) if len(messages) == before else (0, len(messages))


TakeOver = Callable[[Mapping[int, int], int], Awaitable[Mapping[int, int]]]


FETCH_WAIT_MS = 100
COMMIT_S = 5.0
_AGAIN_S = 1.0


class _ReassignedError(Exception):
    """The group reassigned its partitions meanwhile."""


class _Thread(driver.AIOKafkaConsumerThread):
    """
    Faust's consumer thread, with shorter fetches and without waiting for commits.

    Some brokers, such as the local one, answer a fetch only after its maximum wait; Faust's 1.5 s
    would then delay every reading.
    """

    sharing: Sharing

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # set here, as Faust sets a fixed number and its own assignor
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001
        consumer._partition_assignment_strategy = [self.sharing]  # noqa: SLF001
        self.sharing.joined_by(self._join_again)
        return consumer

    async def _commit(self, offsets: Mapping[Any, int]) -> bool:
        """
        Commit offsets to Kafka; return whether it answered. The database has the authoritative
        ones.

        aiokafka retries while Kafka is unreachable, and Faust would end the process after a
        failure.
        """
        tps = {driver.ensure_aiokafka_TP(tp): offset for tp, offset in offsets.items()}
        ours = self._ensure_consumer().assignment()
        result = {tp: OffsetAndMetadata(o, "") for tp, o in tps.items() if tp in ours}
        try:
            await asyncio.wait_for(self._ensure_consumer().commit(result), COMMIT_S)
        except (KafkaError, OSError) as error:
            self.log.warning("offsets could not be stored in Kafka, next attempt later: %r", error)
            return False
        return True

    def _join_again(self) -> None:
        """Rejoin the group; safe from any thread."""
        coordinator = self._ensure_consumer()._coordinator  # noqa: SLF001 (no other way is offered)
        self.thread_loop.call_soon_threadsafe(coordinator.request_rejoin)


def transport(url: Any, app: Any, take_over: TakeOver, sharing: Sharing) -> Any:
    """
    Return a Faust transport whose consumer takes over partitions before reading them.

    `take_over`: called with the first available record of each partition and the number of
    partitions; returns the next offset of each.
    `sharing`: assignment of partitions in the group.
    """

    class Consumer(driver.Consumer):
        """Consumer that starts at the stored offsets."""

        def _new_consumer_thread(self) -> Any:
            thread = _Thread(self, loop=self.loop, beacon=self.beacon)
            thread.sharing = sharing
            return thread

        _sharing = 0  # number of assignments of partitions in the group

        async def seek_to_committed(self) -> Mapping[Any, int]:
            """
            Take over the assigned partitions; return the stored offset of each, where reading
            begins.

            Empty if the group reassigned them meanwhile, as another worker may have them.
            """
            self._sharing += 1
            ours = self._sharing
            while ours == self._sharing:
                assigned = {tp.partition: tp for tp in self.assignment()}
                try:
                    return await self._taken(assigned)
                except _ReassignedError:
                    continue
                except (AwayError, KafkaError) as error:
                    self.log.warning("Kafka is not reachable, next attempt later: %r", error)
                    await asyncio.sleep(_AGAIN_S)
            return {}

        async def _taken(self, assigned: Mapping[int, Any]) -> Mapping[Any, int]:
            if not assigned:  # the group has given the partitions to other workers
                await take_over({}, 0)
                return {}
            seen = max(self.topic_partitions(tp.topic) or 0 for tp in assigned.values())
            first = await self.earliest_offsets(*assigned.values())
            if self.assignment() != set(assigned.values()):
                raise _ReassignedError
            begins = {partition: first.get(assigned[partition]) or 0 for partition in assigned}
            offsets = await take_over(begins, max(seen, max(assigned) + 1))
            result = {assigned[partition]: offset for partition, offset in offsets.items()}
            await self.seek_wait(result)
            return result

    class Transport(driver.Transport):
        """Transport that creates this consumer."""

    Transport.Consumer = Consumer
    return Transport(url, app)


GROUP = "tonne-worker"
SESSION_S = 30.0
RECORDS = 64


def build_app(
    kafka: KafkaAccess,
    home: Path,
    topic: str,
    storing: Storing,
    take_over: TakeOver,
    sharing: Sharing,
    *,
    group: str = GROUP,
    session_s: float = SESSION_S,
    instance: str | None = None,
) -> faust.App:
    """
    Return the app that stores a topic's records.

    `home`: data folder.
    `storing`: stores the records.
    `take_over`: takes over partitions; see `consumer.transport`.
    `sharing`: assignment of partitions in the group.
    `group`: consumer group; the same for all workers of a topic.
    `session_s`: time without a heartbeat after which a worker is considered failed. [s]
    `instance`: name kept across restarts: a restart within the session causes no reassignment.
    """
    data = home / "worker"  # Faust requires a folder; tonne stores nothing in it
    data.mkdir(parents=True, exist_ok=True)
    brokers = [f"kafka://{server}" for server in kafka.bootstrap]
    options = _options(data, session_s, instance)
    app = faust.App(group, broker=brokers, broker_credentials=_credentials(kafka), **options)
    app.transport = transport(app.conf.broker_consumer, app, take_over, sharing)
    parcels = app.topic(topic, value_serializer="raw", key_serializer="raw")

    @app.agent(parcels, concurrency=1, name="store")
    async def store(stream: Any) -> AsyncIterator[None]:
        async for events in gathered(stream, RECORDS):
            await storing.store(_by_partition(events))
            for event in events:
                await stream.ack(event)
            yield

    return app


def _credentials(kafka: KafkaAccess) -> Any:
    """Return Kafka credentials in Faust's form; None without TLS and authentication."""
    context = kafka.context()
    if kafka.user is None:
        return None if context is None else faust.SSLCredentials(context)
    if kafka.mechanism == TOKEN:
        return OAuthCredentials(oauth_cb=Tokens(kafka), ssl_context=context)
    return faust.SASLCredentials(
        username=kafka.user, password=kafka.password, ssl_context=context, mechanism=kafka.mechanism
    )


def _options(data: Path, session_s: float, instance: str | None) -> dict[str, Any]:
    return {
        "version": 1,
        "autodiscover": False,
        "datadir": str(data),
        "store": "memory://",
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "table_standby_replicas": 0,  # without tables Kafka's own assignor is sufficient
        "consumer_auto_offset_reset": "earliest",
        # time after which a leader sees new partitions of the topic
        "consumer_metadata_max_age_ms": FRESH_MS,
        "consumer_group_instance_id": instance,  # an empty name would be one name for all workers
        "broker_session_timeout": session_s,
        # the group waits for a rejoin as long as for a heartbeat
        "broker_rebalance_timeout": session_s,
        "broker_heartbeat_interval": session_s / 6,
        "broker_max_poll_interval": 600,
        "broker_commit_interval": 1.0,
        # a worker stores all buffered events before it releases partitions
        "stream_buffer_maxsize": RECORDS,
        "stream_wait_empty": True,
        "processing_guarantee": "at_least_once",
        "agent_supervisor": "mode.CrashingSupervisor",
        "web_enabled": False,  # tonne's own exporter has the metrics
    }


def _by_partition(events: Sequence[Any]) -> dict[int, list[Record]]:
    records: dict[int, list[Record]] = {}
    for event in events:
        message = event.message
        records.setdefault(message.partition, []).append(
            Record(message.offset, message.value or b"")
        )
    return records
