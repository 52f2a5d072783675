"""The same backlog, drained through `tonne bridge`, Kafka and one `tonne worker`."""

from __future__ import annotations

from tests.bench import drain, load
from tests.bench.drain import DEVICES, TOTAL
from tests.bench.over_kafka import PARTITIONS, records, started, wait_for_line
from tests.running import Pipeline


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
