"""
Main function of `tonne worker`: Kafka to TimescaleDB.

SIGTERM stores the records read, leaves the group, and ends.  An error ends the process; a restart
continues at the stored offsets.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import faust
from structlog.typing import FilteringBoundLogger

from ingest.errors import InputError, ServerError
from ingest.heap import collect_seldom
from services.intake.retry import GaveUpError, quiet_stop, wait_for_server
from services.intake.sparkplug import sparkplug_nodes
from services.intake.topics import dead, partitions
from services.metrics import Metrics
from services.settings import Settings
from services.store.offsets import FencedError, Source
from services.stream import DeadTopic
from services.stream.app import GROUP, SESSION_S, Storing
from services.stream.assembly import Member, Parts, Progress
from services.stream.chain import StreamChain
from services.stream.partitions import MissingError

_T = TypeVar("_T")
IDLE_S = 2.0
# maximum waiting time for Kafka at the stop, as service managers wait little longer [s]
STOP_S = 5.0
START_S = 700.0  # longer than a busy member may keep the group waiting [s]
_LEFT = "stopped without leaving the group; the group detects it"


async def work(
    settings: Settings,
    topic: str,
    metrics: Metrics,
    log: FilteringBoundLogger,
    *,
    group: str = GROUP,
    session_s: float = SESSION_S,
    instance: str | None = None,
    workers: int = 1,
    wait_s: float = 0.0,
) -> None:
    """
    Store records until stopped.

    `workers`: number of workers that share the topic, each with at least one partition.
    `wait_s`: maximum waiting time for unreachable servers at the start. [s]
    Raises InputError when the topic or its dead-letter topic does not exist, the topic has too few
    partitions, or the clock is wrong.
    Raises ServerError when a server stays unreachable, a successor took over, or the topic was
    replaced.
    """
    collect_seldom()
    stopping, leave = threading.Event(), asyncio.Event()
    _on_signals(stopping, leave)
    with quiet_stop():
        spoiled, chain, count = await _opened(settings, topic, metrics, log, stopping, wait_s)
        try:
            _enough(topic, count, workers)
            parts = Parts(settings, topic, chain, Member(group, session_s, instance), metrics, log)
            await _run(parts, leave, stopping, group, log)
        finally:
            stopping.set()
            await asyncio.to_thread(chain.close)
            await asyncio.to_thread(spoiled.close)
        _raise(parts.storing)


async def _opened(
    settings: Settings,
    topic: str,
    metrics: Metrics,
    log: FilteringBoundLogger,
    stopping: threading.Event,
    wait_s: float,
) -> tuple[DeadTopic, StreamChain, int]:
    """Connect to Kafka and database; return dead-letter topic, chain and number of partitions."""
    kafka = settings.require_kafka()

    async def once(what: str, begin: Callable[[], _T]) -> _T:
        return await asyncio.to_thread(wait_for_server, what, begin, wait_s, stopping, log)

    count = await once("Kafka", partial(partitions, kafka, topic))
    await once("Kafka", partial(partitions, kafka, dead(topic)))
    spoiled = DeadTopic(kafka, dead(topic), log, stopping, metrics.pulse)
    chain = StreamChain(
        settings.require("database_url"), Source(topic, count), spoiled, metrics, log,
        stopping, sparkplug_nodes(settings), settings.dead_letter_bytes_a_day,
    )  # fmt: skip
    await once("database", chain.open)
    return spoiled, chain, count


async def _run(
    parts: Parts,
    leave: asyncio.Event,
    stopping: threading.Event,
    group: str,
    log: FilteringBoundLogger,
) -> None:
    telling = asyncio.ensure_future(parts.lag.watch())
    telling.add_done_callback(partial(_noted, parts.storing))
    try:
        if await _started(parts, leave, group):
            log.info("working", topic=parts.view.topic, group=group)
        await _until(leave, parts.storing, parts.app, parts.progress)
    finally:
        stopping.set()
        telling.cancel()
        await _end(parts.app, parts.storing, log)
        await parts.close()


def _on_signals(stopping: threading.Event, leave: asyncio.Event) -> None:
    def stop() -> None:
        stopping.set()
        leave.set()

    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop)


async def _started(parts: Parts, leave: asyncio.Event, group: str) -> bool:
    """Start the app; return False if stopped or failed before the group admitted the worker."""
    starting = asyncio.ensure_future(parts.app.start())
    ending = asyncio.ensure_future(_any(leave, parts.storing.failed))
    done, remaining = await asyncio.wait(
        (starting, ending), timeout=START_S, return_when=asyncio.FIRST_COMPLETED
    )
    for task in remaining:
        task.cancel()
    if starting in done:
        await starting
    elif not done:
        raise ServerError(
            f"Kafka's group {group!r} has not accepted this worker for {START_S:.0f} s. Restart "
            "it; if that does not help, start all workers with another --group: the database"
            " records "
            "how far the topic is stored"
        )
    return starting in done


def _noted(storing: Storing, ended: asyncio.Future[None]) -> None:
    """Fail the worker if the task that reports the lag ended with an error."""
    if not ended.cancelled() and (error := ended.exception()) is not None:
        storing.fail(error)


def _enough(topic: str, partitions: int, workers: int) -> None:
    if partitions < workers:
        raise InputError(
            f"topic {topic!r} has {partitions} partitions for {workers} workers: some would be "
            "idle. Start fewer, or add partitions (docs/scaling.md)"
        )


async def _until(
    leave: asyncio.Event, storing: Storing, app: faust.App, progress: Progress
) -> None:
    """Wait for the signal or a failure, doing periodic work meanwhile."""
    while not (leave.is_set() or storing.failed.is_set() or app.crashed):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(_any(leave, storing.failed), IDLE_S)
        if not (leave.is_set() or storing.failed.is_set()):
            await _look(storing, progress)
    if app.crashed and storing.failure is None:
        storing.fail(
            app.crash_reason
            or ServerError(
                "the stream worker ended without an error; read its log, and start it again"
            )
        )


async def _look(storing: Storing, progress: Progress) -> None:
    """Do periodic work; a permanent failure is recorded in `storing`."""
    try:
        await storing.idle()
        await progress.look()
    except Exception:
        if storing.failure is None:
            raise


async def _any(*events: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _end(app: faust.App, storing: Storing, log: FilteringBoundLogger) -> None:
    try:
        await asyncio.wait_for(app.stop(), STOP_S)
    except TimeoutError:
        log.warning(_LEFT, after_s=STOP_S)
    except Exception as error:  # noqa: BLE001 (`_raise` reports why the storing ended)
        log.warning(_LEFT, error=repr(error)[:300])
    await asyncio.to_thread(storing.close)


def _raise(storing: Storing) -> None:
    if isinstance(storing.failure, GaveUpError):
        raise ServerError(
            "the worker stopped while the database was not available; no message was lost"
        )
    if isinstance(storing.failure, FencedError | MissingError):
        raise ServerError(str(storing.failure))
    if storing.failure is not None:
        raise storing.failure
