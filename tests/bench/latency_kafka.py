"""
Time from publish to a visible row through bridge, Kafka and worker, at 5,000 messages/s.

Every device of the fleet sends in turn.  A second connection watches the rows of 16 of them, so one
message in 125 is timed.
"""

import statistics
import time
from bisect import bisect_left

import psycopg

from tests.apache_kafka import APACHE, WHY
from tests.bench import load
from tests.bench.load import Paced
from tests.bench.over_kafka import Running, over_kafka, records
from tests.bench.spent import cpu_s
from tests.running import Pipeline

RATE, SECONDS, WARM_S = 5_000, 30, 5
DEVICES, WATCHED, CADENCE_S = 2_000, 16, 60
_QUERY = (
    "SELECT device_id, extract(epoch FROM max(time))::bigint FROM reading_pv_inverter"
    " WHERE device_id = ANY(%s) GROUP BY 1"
)


def measure(pipeline: Pipeline) -> dict[str, float]:
    """
    Return median and 99th percentile [ms], processor time per message
    [us], messages per record.
    """
    watched = {f"bench-{k * (DEVICES // WATCHED):05d}": k * (DEVICES // WATCHED) for k in range(16)}
    total = RATE * SECONDS
    with (
        over_kafka(pipeline, load.registry(DEVICES)) as running,
        psycopg.connect(pipeline.urls.database_url, autocommit=True) as connection,
    ):
        before = spent(running)
        paced = Paced(
            pipeline.stack.mosquitto.port,
            iter(list(load.messages(DEVICES, total // DEVICES, CADENCE_S))),
            RATE,
        )
        paced.start()
        seen = watch(connection, watched, total // DEVICES)
        sent = paced.finish()
        costs = [(after - b) / sent * 1e6 for after, b in zip(spent(running), before, strict=True)]
        held = records(pipeline.urls.database_url)
    times = latencies(paced, watched, seen)
    p50, p99 = statistics.median(times), statistics.quantiles(times, n=100)[98]
    took = paced.moments[-1][0] - paced.moments[0][0]
    print(f"broker: {WHY if APACHE else 'the embedded one'}")
    print(f"through Kafka at {sent / took:,.0f} messages/s, {len(times)} timed:")
    print(f"  publish to visible row: median {p50:.0f} ms, 99th percentile {p99:.0f} ms,")
    print(f"  longest {max(times):.0f} ms; {sent / held:.0f} messages a record,")
    print(f"  bridge {costs[0]:.0f} us, worker {costs[1]:.0f} us of processor time a message")
    return {
        "kafka_latency_p50_ms": p50,
        "kafka_latency_p99_ms": p99,
        "kafka_paced_bridge_us": costs[0],
        "kafka_paced_worker_us": costs[1],
        "kafka_paced_messages_a_record": sent / held,
    }


def spent(running: Running) -> tuple[float, float]:
    """Return the processor seconds of bridge and worker so far."""
    return cpu_s(running.bridge.pid), cpu_s(running.worker.pid)


def watch(
    connection: psycopg.Connection, watched: dict[str, int], each: int
) -> list[tuple[str, int, float]]:
    """Yield device, message number and time of every message, as rows become visible."""
    found: list[tuple[str, int, float]] = []
    there = dict.fromkeys(watched, -1)
    end = time.monotonic() + SECONDS + 60
    while min(there.values()) < each - 1:
        rows = connection.execute(_QUERY, [list(watched)], prepare=True).fetchall()
        now = time.monotonic()
        if now > end:
            raise TimeoutError(f"rows are missing: {there}, of {each} each")
        for device, at_s in rows:
            newest = (at_s - load.START_MS // 1000) // CADENCE_S
            found += [(device, k, now) for k in range(there[device] + 1, newest + 1)]
            there[device] = newest
        time.sleep(0.005)
    return found


def latencies(
    paced: Paced, watched: dict[str, int], seen: list[tuple[str, int, float]]
) -> list[float]:
    """Return milliseconds from publish to row of each timed message, without the start."""
    counts = [count for _, count in paced.moments]
    began = paced.moments[0][0]
    times = []
    for device, k, moment in seen:
        sent_at = paced.moments[bisect_left(counts, k * DEVICES + watched[device] + 1)][0]
        if sent_at - began >= WARM_S:
            times.append((moment - sent_at) * 1000)
    return times
