"""`tonne bridge` and `tonne worker` as processes, for measurements through them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.running import Pipeline

PARTITIONS = 4


@dataclass(frozen=True, slots=True)
class Running:
    """Running processes: the worker is the one whose metrics are read."""

    bridge: subprocess.Popen[bytes]
    worker: subprocess.Popen[bytes]


@contextmanager
def started(
    pipeline: Pipeline, log: Path, *words: str, metrics: str = ""
) -> Iterator[subprocess.Popen[bytes]]:
    """Context that runs a command until the end of the block."""
    environment = pipeline.environment | {"TONNE_METRICS_BIND": metrics}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.cli", *words],
            env=os.environ | environment,
            stdout=out,
            stderr=out,
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


@contextmanager
def over_kafka(pipeline: Pipeline, registry: dict) -> Iterator[Running]:
    """
    Context with servers including Kafka, the topic, a worker with its
    partitions, and a bridge.
    """
    pipeline.stack.up(kafka=True)
    pipeline.register(registry)
    pipeline.tonne("topics", "apply", "--partitions", str(PARTITIONS))
    worker, bridge = pipeline.home / "worker.log", pipeline.home / "bridge.log"
    with ExitStack() as stack:
        work = started(pipeline, worker, "worker", "--session", "6", metrics=pipeline.metrics)
        worker_process = stack.enter_context(work)
        wait_for_line(worker, '"event": "working"')
        wait_for_line(worker, '"event": "partitions"')
        bridge_process = stack.enter_context(started(pipeline, bridge, "bridge"))
        pipeline.receiving_since(bridge)
        time.sleep(0.5)  # its subscription is under way
        yield Running(bridge_process, worker_process)


def wait_for_line(log: Path, words: str, patience_s: float = 60) -> None:
    """Wait until a process has logged a line."""
    end = time.monotonic() + patience_s
    while words not in log.read_text():
        if time.monotonic() > end:
            raise TimeoutError(log.read_text())
        time.sleep(0.05)


def records(database_url: str) -> int:
    """Return the number of Kafka records stored."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute('SELECT sum("offset") FROM stream_offset').fetchone()
    return int(row[0])
