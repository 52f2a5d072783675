"""Time from a device's publish to the committed reading and its interval, one message at a time."""

import statistics
import time

import psycopg

from tests.bench import load
from tests.running import Pipeline

SAMPLES = 300
_READING = "SELECT 1 FROM reading_pv_inverter WHERE device_id = %s AND time = to_timestamp(%s)"
_INTERVAL = (
    "SELECT 1 FROM interval_quantity WHERE device_id = %s AND register_read = to_timestamp(%s)"
)


def measure(pipeline: Pipeline) -> dict[str, float]:
    """Return median and 99th percentile of the times to the reading and to its interval. [ms]"""
    pipeline.register(load.registry(100))
    log = pipeline.home / "run.log"
    publisher = load.Publisher(pipeline.stack.mosquitto.port)
    times: dict[str, list[float]] = {_READING: [], _INTERVAL: []}
    with (
        pipeline.running(log),
        psycopg.connect(pipeline.urls.database_url, autocommit=True) as connection,
    ):
        pipeline.receiving_since(log)
        time.sleep(0.5)
        for k, (topic, payload) in enumerate(load.messages(1, SAMPLES)):
            began = time.monotonic()
            publisher.send([(topic, payload)])
            of = ("bench-00000", load.START_MS / 1000 + k * 60)
            for query, found in times.items():
                while connection.execute(query, of, prepare=True).fetchone() is None:
                    if time.monotonic() - began > 10:
                        raise TimeoutError(f"message {k} never became a row")
                found.append((time.monotonic() - began) * 1000)
            time.sleep(0.01)
    publisher.close()
    return _figures("latency", times[_READING]) | _figures("interval_latency", times[_INTERVAL])


def _figures(name: str, times: list[float]) -> dict[str, float]:
    p50, p99 = statistics.median(times), statistics.quantiles(times, n=100)[98]
    print(f"{name}: median {p50:.1f} ms, 99th percentile {p99:.1f} ms")
    return {f"{name}_p50_ms": p50, f"{name}_p99_ms": p99}
