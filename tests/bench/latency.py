"""From a device's publish to the committed row, one message at a time."""

from __future__ import annotations

import statistics
import time

import psycopg

from tests.bench import load
from tests.running import Pipeline

SAMPLES = 300
_QUERY = "SELECT 1 FROM reading_pv_inverter WHERE device_id = %s AND time = to_timestamp(%s)"


def measure(pipeline: Pipeline) -> dict[str, float]:
    """Median and 99th percentile of publish-to-row times. [ms]"""
    pipeline.register(load.registry(100))
    log = pipeline.home / "run.log"
    publisher = load.Publisher(pipeline.stack.mosquitto.port)
    times: list[float] = []
    with (
        pipeline.running(log),
        psycopg.connect(pipeline.urls.database_url, autocommit=True) as connection,
    ):
        pipeline.receiving_since(log)
        time.sleep(0.5)
        for topic, payload in load.messages(1, SAMPLES):
            began = time.monotonic()
            publisher.send([(topic, payload)])
            at = load.START_MS / 1000 + len(times) * 60
            while connection.execute(_QUERY, ("bench-00000", at), prepare=True).fetchone() is None:
                if time.monotonic() - began > 10:
                    raise TimeoutError(f"message {len(times)} never became a row")
            times.append((time.monotonic() - began) * 1000)
            time.sleep(0.01)
    publisher.close()
    p50, p99 = statistics.median(times), statistics.quantiles(times, n=100)[98]
    print(f"publish to committed row: median {p50:.1f} ms, 99th percentile {p99:.1f} ms")
    return {"latency_p50_ms": p50, "latency_p99_ms": p99}
