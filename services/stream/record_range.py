"""Records of the past: what Kafka still holds of what was stored, from an offset or a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from structlog.typing import FilteringBoundLogger

from services.intake.kafka_client import client_options, unreachable
from services.kafka_access import KafkaAccess
from services.stream.records import MAX_BYTES, Record

_WAIT_MS = 1_000


@dataclass(frozen=True, slots=True)
class Since:
    """
    Where to begin: an offset of every partition, or the time at which Kafka got a record.

    `partitions` narrows; None for all.
    """

    offset: int | None = None
    time_ms: int | None = None
    partitions: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class _Span:
    """Records of a partition: [first, end)."""

    tp: Any
    first: int
    end: int


async def past(
    kafka: KafkaAccess,
    topic: str,
    stored: Mapping[int, int],
    since: Since,
    log: FilteringBoundLogger,
) -> AsyncIterator[tuple[int, list[Record], int]]:
    """
    Yield records that were stored: partition, some of its records, and how many there are in all.

    Parameters
    ----------
    stored : mapping of int to int
        How far each partition is stored; records from there on are the workers' still.

    Raises
    ------
    ServerError
        When Kafka cannot be reached.
    """
    consumer = AIOKafkaConsumer(
        **client_options(kafka),
        enable_auto_commit=False,
        auto_offset_reset="none",
        max_partition_fetch_bytes=MAX_BYTES,
    )
    try:
        await consumer.start()
        spans = [
            await _span(consumer, TopicPartition(topic, partition), end, since, log)
            for partition, end in stored.items()
            if since.partitions is None or partition in since.partitions
        ]
        total = sum(max(0, span.end - span.first) for span in spans)
        for span in spans:
            async for records in _read(consumer, span, since.time_ms or 0):
                yield span.tp.partition, records, total
    except (KafkaError, OSError) as error:
        raise unreachable(kafka, error) from error
    finally:
        await consumer.stop()


async def _span(
    consumer: Any, tp: Any, stored: int, since: Since, log: FilteringBoundLogger
) -> _Span:
    begins = (await consumer.beginning_offsets([tp]))[tp]
    end = min(stored, (await consumer.end_offsets([tp]))[tp])
    first = since.offset or 0
    if since.time_ms is not None:
        answer = (await consumer.offsets_for_times({tp: since.time_ms}))[tp]
        first = end if answer is None else answer.offset
    if first < begins:
        log.warning(
            "Kafka no longer holds the first records",
            partition=tp.partition,
            first=first,
            begins=begins,
        )
    return _Span(tp, max(first, begins), end)


async def _read(consumer: Any, span: _Span, since_ms: int) -> AsyncIterator[list[Record]]:
    """Yield a span's records; a broker may answer with an earlier offset than a time has."""
    if span.first >= span.end:
        return
    consumer.assign([span.tp])
    consumer.seek(span.tp, span.first)
    while await consumer.position(span.tp) < span.end:
        found = await consumer.getmany(span.tp, timeout_ms=_WAIT_MS)
        records = [
            Record(message.offset, message.value or b"")
            for message in found.get(span.tp, ())
            if message.offset < span.end and message.timestamp >= since_ms
        ]
        if records:
            yield records
