"""
Command `tonne worker`: stores readings from Kafka in TimescaleDB, also a second time
(replay).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import threading
from collections.abc import Coroutine
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click
from structlog.typing import FilteringBoundLogger

from services.cli import Moment
from services.cli.output import Exit, explain
from services.cli.server_options import load_kafka, metrics_bind, topic_option, wait_option
from services.logs import LibraryLog, get_logger
from services.metrics import Metrics
from services.settings import Settings

END_S = 1.0  # time for cancelled tasks to end, and for threads before the process exits [s]
LEAVE_S = 1.5


def run_and_leave(work: Coroutine[Any, Any, None], log: FilteringBoundLogger) -> None:
    """
    Run a coroutine to its end, then exit without waiting for background threads.

    Raises what `work` raises. An error in a library's thread is logged.
    """
    before = set(threading.enumerate())
    threading.excepthook = lambda failure: log.warning(
        "a thread ended",
        thread=getattr(failure.thread, "name", ""),
        error=repr(failure.exc_value)[:300],
    )
    sys.unraisablehook = lambda failure: log.warning(
        "an unexpected error", error=repr(failure.exc_value)[:300]
    )
    loop = asyncio.new_event_loop()
    code: int = Exit.DONE
    try:
        loop.run_until_complete(work)
    except BaseException as error:
        known = explain(error)
        code = Exit.FALSE if known is None else known[0]
        raise
    finally:
        # discard errors of a library's coroutine whose event loop has ended
        sys.unraisablehook = lambda _: None
        if loop.run_until_complete(_ended()) and not _busy(before):
            loop.close()
        else:
            _leave_soon(code)


async def _ended() -> bool:
    """Cancel the remaining tasks of the event loop; return whether all ended."""
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in left:
        task.cancel()
    if not left:
        return True
    done, pending = await asyncio.wait(left, timeout=END_S)
    for task in done:
        if not task.cancelled():
            task.exception()
    return not pending


def _busy(before: set[threading.Thread]) -> bool:
    """Return whether threads started since `before` would keep the interpreter running."""
    return any(
        thread.is_alive() and not thread.daemon for thread in set(threading.enumerate()) - before
    )


def _leave_soon(code: int) -> None:
    logging.disable()  # messages of remaining threads concern no user

    def leave() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    timer = threading.Timer(LEAVE_S, leave)
    timer.daemon = True
    timer.start()


@click.command()
@topic_option
@click.option(
    "--group", default="tonne-worker", help="Consumer group; the same for all workers of a topic."
)
@click.option(
    "--session",
    "session_s",
    type=click.FloatRange(6, 300),
    default=30,
    help="Seconds without a heartbeat after which a worker is considered failed.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    help="Number of workers that share the topic, which must have as many partitions.",
)
@click.option(
    "--instance", metavar="NAME", help="Name of this worker, kept across restarts; default: none."
)
@click.option(
    "--from-offset",
    type=click.IntRange(0),
    metavar="N",
    help=(
        "Store records of each partition again from offset N on, then end. Default: "
        "continue at the stored offset."
    ),
)
@click.option(
    "--from-time",
    type=Moment(),
    metavar="TIME",
    help="Store records again with a Kafka timestamp from this time on, then end.",
)
@click.option(
    "--partition",
    "partitions",
    type=click.IntRange(0),
    multiple=True,
    metavar="P",
    help="With --from-offset or --from-time: only this partition; repeatable. Default: all.",
)
@wait_option
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON. Needs --from-offset or --from-time."
)
def worker(
    topic: str,
    group: str,
    session_s: float,
    workers: int,
    instance: str | None,
    from_offset: int | None,
    from_time: datetime | None,
    partitions: tuple[int, ...],
    wait_s: float,
    *,
    as_json: bool,
) -> None:
    """
    Store readings from Kafka with their 15-minute intervals and emissions.

    With --from-offset or --from-time records are stored again, while workers continue to run.
    Existing rows are unchanged; missing rows are added.

    \b
    Example:
      tonne worker --instance worker-0
      tonne worker --from-time 2026-03-01T00:00:00+01:00
    """
    settings = Settings()
    log = get_logger("worker")
    replaying = from_offset is not None or from_time is not None
    if from_offset is not None and from_time is not None:
        raise click.UsageError("use --from-offset or --from-time, not both")
    if (partitions or as_json) and not replaying:
        raise click.UsageError("--partition and --json need --from-offset or --from-time")
    if replaying:
        time_ms = None if from_time is None else round(from_time.timestamp() * 1000)
        _replay(settings, topic, (from_offset, time_ms, partitions or None), log, as_json=as_json)
        return
    metrics = Metrics()
    work = load_kafka("services.stream.worker", "work")
    bind = metrics_bind(settings)
    with LibraryLog(log), metrics.serve(bind):
        log.info("metrics", bind=bind or "off")
        run_and_leave(
            work(
                settings, topic, metrics, log, group=group, session_s=session_s,
                instance=instance, workers=workers, wait_s=wait_s,
            ),
            log,
        )  # fmt: skip
    log.info("stopped")


def _replay(settings: Settings, topic: str, since: Any, log: Any, *, as_json: bool) -> None:
    replay = load_kafka("services.stream.replay", "replay")
    make = load_kafka("services.stream.replay", "Since")
    seen = _ProgressBar()
    with LibraryLog(log):
        done = asyncio.run(replay(settings, topic, make(*since), log, seen))
    seen.end()
    if as_json:
        click.echo(json.dumps(asdict(done)))
        return
    changed = ", ".join(f"{rows} in {table}" for table, rows in sorted(done.changed.items()))
    click.echo(
        f"{done.messages} messages in {done.records} records; changed: {changed or 'nothing'}"
    )
    if done.unstorable:
        click.echo(
            f"not stored: {done.unstorable} messages that cannot be stored; `tonne "
            "deadletter list --reason unstorable`"
        )


class _ProgressBar:
    """Progress bar in a terminal."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __call__(self, done: int, of: int) -> None:
        """Show the progress."""
        if self._bar is None and sys.stderr.isatty():
            self._bar = click.progressbar(length=of, label="records", file=sys.stderr)
        if self._bar is not None:
            self._bar.update(done - self._bar.pos)

    def end(self) -> None:
        """End the progress line."""
        if self._bar is not None:
            self._bar.render_finish()
