"""
Records to Kafka, each batch until every copy that counts has it.

aiokafka lives in an event loop; ours runs in a thread of its own, so that the
sending thread may wait in plain code.  After any failure the producer is made
anew: what an idempotent one believes of its sequence is then no longer sure.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from aiokafka import AIOKafkaProducer
from aiokafka.errors import IllegalOperation, KafkaError, UnknownError, UnsupportedVersionError

from services.intake.topics import bootstrap

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from structlog.typing import FilteringBoundLogger

MAX_RECORD = 900_000
_ENVELOPE = 65_536
_TIMEOUT_MS = 10_000
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record on its way: without a partition it goes by its key."""

    value: bytes
    partition: int | None = None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


class Producer:
    """
    An idempotent producer with `acks=all`.

    A broker that gives out no producer ids (the one that `tonne local` starts)
    is served without: a record may then be stored twice, which changes no row.
    """

    def __init__(self, url: str, topic: str, log: FilteringBoundLogger) -> None:
        self._bootstrap = bootstrap(url)
        self._topic = topic
        self._log = log
        self._idempotent = True
        self._kafka: Any = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="kafka", daemon=True)
        self._thread.start()

    def send(self, records: Sequence[Outgoing]) -> None:
        """
        Send records; return once all are stored.

        Raises
        ------
        KafkaError, OSError
            When one is not known to be stored; all may be sent again.
        """
        try:
            self._do(self._send(records))
        except (KafkaError, OSError):
            self.drop()
            raise

    def drop(self) -> None:
        """Give up the connection and what is unsent; the next `send` makes another."""
        kafka, self._kafka = self._kafka, None
        if kafka is not None:
            self._do(_stop(kafka))

    def close(self) -> None:
        """Disconnect and end the thread."""
        self.drop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _send(self, records: Sequence[Outgoing]) -> None:
        if self._kafka is None:
            self._kafka = await self._start()
        sent = [
            await self._kafka.send(
                self._topic, r.value, key=r.key, partition=r.partition, headers=list(r.headers)
            )
            for r in records
        ]
        for answer in await asyncio.gather(*sent, return_exceptions=True):
            if isinstance(answer, BaseException):
                raise answer

    async def _start(self) -> Any:
        try:
            return await self._started(idempotent=self._idempotent)
        except (UnknownError, UnsupportedVersionError, IllegalOperation):
            if not self._idempotent:
                raise
            self._idempotent = False
            self._log.warning("broker gives no producer id; a record may be stored twice")
            return await self._started(idempotent=False)

    async def _started(self, *, idempotent: bool) -> Any:
        kafka = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            enable_idempotence=idempotent,
            acks="all",
            max_request_size=MAX_RECORD + _ENVELOPE,
            max_batch_size=MAX_RECORD + _ENVELOPE,
            request_timeout_ms=_TIMEOUT_MS,
        )
        try:
            await kafka.start()
        except BaseException:
            await _stop(kafka)
            raise
        return kafka


async def _stop(kafka: Any) -> None:
    """Stop a producer that may never have come up, or whose broker is gone."""
    try:
        await asyncio.wait_for(kafka.stop(), timeout=5)
    except (TimeoutError, OSError, RuntimeError):
        return
