"""The same backlog, drained through `tonne bridge`, Kafka and one `tonne worker`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.bench import drain, load
from tests.bench.drain import DEVICES, TOTAL
from tests.running import Pipeline

PARTITIONS = 4


def measure(pipeline: Pipeline) -> dict[str, float]:
    """Messages a second from the session's backlog to the worker's last commit."""
    pipeline.stack.up(kafka=True)
    pipeline.register(load.registry(DEVICES))
    pipeline.tonne("topics", "apply", "--partitions", str(PARTITIONS))
    drain.preload(pipeline, "tonne-bridge")
    worker, bridge = pipeline.home / "worker.log", pipeline.home / "bridge.log"
    with started(pipeline, worker, "worker", "--session", "6", metrics=pipeline.metrics):
        wait_for_line(worker, '"event": "working"')
        wait_for_line(worker, '"event": "partitions"')
        with started(pipeline, bridge, "bridge"):
            began = pipeline.receiving_since(bridge)
            ended = pipeline.wait_for("tonne_ingest_messages_total", TOTAL)
    drain.check(pipeline.urls.database_url)
    rate = TOTAL / (ended - began)
    print(f"drained {TOTAL} messages over Kafka in {ended - began:.2f} s: {rate:,.0f}/s,")
    print(f"  in {records(pipeline.urls.database_url)} records")
    return {"drain_kafka_messages_per_s": rate}


def records(database_url: str) -> int:
    """Kafka records that were stored."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute('SELECT sum("offset") FROM stream_offset').fetchone()
    return int(row[0])


@contextmanager
def started(pipeline: Pipeline, log: Path, *words: str, metrics: str = "") -> Iterator[None]:
    """Run a command until the end of the block."""
    environment = pipeline.environment | {"TONNE_METRICS_BIND": metrics}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.cli", *words],
            env=os.environ | environment, stdout=out, stderr=out,
        )  # fmt: skip
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def wait_for_line(log: Path, words: str, patience_s: float = 60) -> None:
    """Wait until a process has said something."""
    end = time.monotonic() + patience_s
    while words not in log.read_text():
        if time.monotonic() > end:
            raise TimeoutError(log.read_text())
        time.sleep(0.05)
