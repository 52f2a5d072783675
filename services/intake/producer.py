"""
Kafka producer that stores each batch on all required copies.

aiokafka's event loop runs in its own thread, so that the sending thread can wait.  An idempotent
aiokafka producer would retry without end; here it is dropped, with the reason, if Kafka
acknowledges no record for a while. After any failure it is created again, as its sequence numbers
are uncertain.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from aiokafka import AIOKafkaProducer
from aiokafka.errors import IllegalOperation, KafkaError, UnknownError, UnsupportedVersionError
from structlog.typing import FilteringBoundLogger

from services.environment import KafkaAccess
from services.intake.kafka_client import (
    LARGEST,
    MAX_RECORD,
    Connections,
    Reasons,
    client_options,
    without_leader,
    words,
)

DEADLINE_S = 10.0  # time without an acknowledgement after which the producer is dropped [s]
STOPPING_S = 3.0  # the same time while the process stops [s]
_LOOK_S = 0.5
_TIMEOUT_MS = 10_000
_T = TypeVar("_T")
__all__ = ["MAX_RECORD", "NotStoredError", "Outgoing", "Producer"]


class NotStoredError(KafkaError):  # type: ignore[misc]  # aiokafka has no types
    """Some records are possibly not stored; all can be sent again."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to send; without a partition it is assigned by its key."""

    value: bytes
    partition: int | None = None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


class Producer:
    """
    Idempotent producer with `acks=all`.

    With a broker without producer ids (such as that of `tonne local`) a record may be stored twice,
    which changes no row.
    """

    def __init__(
        self,
        access: KafkaAccess,
        topic: str,
        log: FilteringBoundLogger,
        stopping: threading.Event | None = None,
    ) -> None:
        self._access = access
        self._topic = topic
        self._log = log
        self._stopping = stopping or threading.Event()
        self._kafka: Any = None
        self._warned = False
        self._moved_s = 0.0
        self._loop = asyncio.new_event_loop()
        self._connections = Connections(self._loop)
        self._thread = threading.Thread(target=self._loop.run_forever, name="kafka", daemon=True)
        self._thread.start()

    def send(self, records: Sequence[Outgoing]) -> None:
        """
        Send records; return once all are stored.

        Raises NotStoredError when it is not certain that all are stored; all can be sent again.
        Raises InputError when a TLS file cannot be used.
        """
        with Reasons(self._access) as reasons:
            try:
                self._do(self._within(self._send(records)))
            except (KafkaError, OSError) as error:
                known = self._kafka
                why = known and without_leader(known.client, self._topic)
                self.drop()
                why = why or words(reasons.of(error), f"write to topic {self._topic!r}")
                raise NotStoredError(why) from error

    def drop(self) -> None:
        """Close the connection and discard unsent records; the next `send` connects again."""
        kafka, self._kafka = self._kafka, None
        self._do(_abandon(kafka, self._connections))

    def close(self) -> None:
        """Disconnect and end the thread."""
        self.drop()  # no record is pending here, as `send` waits for all
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _within(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work, and cancel it if it stalls."""
        self._moved_s = time.monotonic()
        task = asyncio.ensure_future(work)
        while not task.done():
            await asyncio.wait({task}, timeout=_LOOK_S)
            limit_s = STOPPING_S if self._stopping.is_set() else DEADLINE_S
            if not task.done() and time.monotonic() - self._moved_s > limit_s:
                task.cancel()
                await asyncio.wait({task})
                raise TimeoutError(
                    f"Kafka acknowledged no record for {limit_s:.0f} s; check its brokers"
                )
        await task

    async def _send(self, records: Sequence[Outgoing]) -> None:
        if self._kafka is None:
            self._kafka = await self._start()
        waiting = set()
        for r in records:
            sent = await self._kafka.send(
                self._topic, r.value, key=r.key, partition=r.partition, headers=list(r.headers)
            )
            sent.add_done_callback(_seen)
            waiting.add(sent)
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for answer in done:
                answer.result()
            self._moved_s = time.monotonic()

    async def _start(self) -> Any:
        """Connect and return the client, idempotent if the broker now supports it."""
        try:
            kafka = await self._started(idempotent=True)
        except (UnknownError, UnsupportedVersionError, IllegalOperation):
            if not self._warned:
                self._warned = True
                self._log.warning(
                    "the broker assigns no producer id; a record may be stored twice in Kafka"
                )
            return await self._started(idempotent=False)
        self._warned = False
        return kafka

    async def _started(self, *, idempotent: bool) -> Any:
        kafka = AIOKafkaProducer(
            **client_options(self._access),
            enable_idempotence=idempotent,
            acks="all",
            max_request_size=LARGEST,
            max_batch_size=LARGEST,
            request_timeout_ms=_TIMEOUT_MS,
        )
        try:
            await kafka.start()
        except BaseException:
            await _disconnect(kafka)
            raise
        return kafka


def _seen(answer: asyncio.Future[Any]) -> None:
    """Retrieve a record's result, so that asyncio does not warn of an error never raised."""
    if not answer.cancelled():
        answer.exception()


async def _abandon(kafka: Any, connections: Connections) -> None:
    """
    Close a producer without sending its records, and clean up its loop.

    Its own `stop` would wait for Kafka.
    """
    if kafka is not None:
        await _disconnect(kafka)
    here = asyncio.current_task()
    remaining = [task for task in asyncio.all_tasks() if task is not here]
    for task in remaining:
        task.cancel()
    if remaining:
        await asyncio.wait(remaining, timeout=2)
    for task in remaining:
        if task.done() and not task.cancelled():
            task.exception()
    await connections.end()


async def _disconnect(kafka: Any) -> None:
    kafka._closed = True  # noqa: SLF001 (else it warns that it was not stopped)
    with contextlib.suppress(TimeoutError, OSError, RuntimeError):
        await asyncio.wait_for(kafka.client.close(), timeout=1)
