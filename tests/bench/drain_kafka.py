"""The same backlog processed by `tonne run`, and through Kafka by one worker and by two."""

import time
from contextlib import ExitStack
from pathlib import Path

from tests.apache_kafka import APACHE, WHY
from tests.bench import drain, load
from tests.bench.alone import Measured
from tests.bench.drain import DEVICES, TOTAL
from tests.bench.over_kafka import PARTITIONS, records, started, wait_for_line
from tests.bench.spent import cpu_s
from tests.derived import derived
from tests.integration.kafka_path import ended_records
from tests.running import Pipeline

TOPIC = "tonne-parcels"


def measure(pipeline: Pipeline) -> dict[str, float]:
    """Return messages per second until all rows are derived, each variant on its own servers."""
    beside = drain.measure(pipeline)["drain_messages_per_s"]
    pipeline.stack.down()
    one, two = (_on_its_own(pipeline.home / str(count), count) for count in (1, 2))
    print(f"broker: {WHY if APACHE else 'the embedded one'}")
    print(f"embedded {beside:,.0f}/s, one worker {one:,.0f}/s, two workers {two:,.0f}/s")
    return {
        "drain_kafka_messages_per_s": one,
        "drain_kafka_two_workers_per_s": two,
        "drain_kafka_to_embedded": one / beside,
    }


def _on_its_own(home: Path, workers: int) -> float:
    home.mkdir()
    pipeline = Measured(home)
    try:
        return through(pipeline, workers)
    finally:
        pipeline.close()


def through(pipeline: Pipeline, workers: int) -> float:
    """
    Return messages per second by a number of workers, from the bridge's start until all rows are
    derived.
    """
    urls = pipeline.stack.up(kafka=True)
    pipeline.register(load.registry(DEVICES))
    pipeline.tonne("topics", "apply", "--partitions", str(PARTITIONS))
    drain.preload(pipeline, "tonne-bridge")
    bridge = pipeline.home / "bridge.log"
    with ExitStack() as stack:
        logs = [pipeline.home / f"worker-{k}.log" for k in range(workers)]
        pids = {"postgres": pipeline.stack.postgres.pid, "mosquitto": pipeline.stack.mosquitto.pid,
                "kafka": pipeline.stack.kafka.pid}  # fmt: skip
        for log in logs:
            worker = stack.enter_context(started(pipeline, log, "worker", "--session", "6"))
            pids[log.stem] = worker.pid
        for log in logs:
            wait_for_line(log, '"event": "working"')
        time.sleep(10)  # all have joined, and share
        sending = started(pipeline, bridge, "bridge", metrics=pipeline.metrics)
        pids["bridge"] = stack.enter_context(sending).pid
        began = pipeline.receiving_since(bridge)
        before = {name: cpu_s(pid or 0) for name, pid in pids.items()}
        pipeline.wait_for("tonne_ingest_messages_total", TOTAL)
        wanted = ended_records(str(urls.kafka_url), TOPIC, PARTITIONS)
        while records(pipeline.urls.database_url) < wanted:
            time.sleep(0.01)
        stored = time.time()
        derived(pipeline.urls.database_url)
        ended = time.time()
        spent = {n: (cpu_s(pid or 0) - before[n]) / TOTAL * 1e6 for n, pid in pids.items()}
    drain.check(pipeline.urls.database_url)
    rate = TOTAL / (ended - began)
    print(f"drained {TOTAL} messages over Kafka in {ended - began:.2f} s: {rate:,.0f}/s,")
    print(f"  stored in {stored - began:.2f} s, by {workers} of `tonne worker`, {wanted} records")
    print("  microseconds of processor time a message:", {n: round(u, 1) for n, u in spent.items()})
    return rate
