"""An evidence pack of many readings, read and verified offline."""

from __future__ import annotations

import json
import time

from mrv.verify import verify
from services.issuer.pack import read_pack
from tests.bench import load
from tests.running import Pipeline

DEVICES, EACH, CADENCE_S = 50, 10_080, 60


def measure(pipeline: Pipeline) -> dict[str, float]:
    """Readings a second of reading a pack and working through every step of its check."""
    pipeline.register(load.registry(DEVICES))
    publisher = load.Publisher(pipeline.stack.mosquitto.port)
    log = pipeline.home / "run.log"
    with pipeline.running(log):
        pipeline.receiving_since(log)
        publisher.send(list(load.messages(DEVICES, EACH, CADENCE_S)))
        pipeline.wait_for("tonne_ingest_messages_total", DEVICES * EACH)
    publisher.close()
    span = ("--from", "2026-01-02", "--to", "2026-01-08")
    closed = json.loads(pipeline.tonne("period", "close", "bench-000", *span, "--json"))
    folder = pipeline.home / "pack"
    pipeline.tonne("statement", "export", closed["statement"], "--out", str(folder))
    began = time.monotonic()
    pack = read_pack(folder)
    report = verify(pack)
    took = time.monotonic() - began
    if not report.ok:
        raise AssertionError(f"the bench's pack does not verify: {report}")
    readings = sum(len(table.time_us) for held in pack.readings.values() for table in held)
    print(f"verified {readings} readings of {DEVICES} devices in {took:.2f} s")
    return {"verify_readings_per_s": readings / took}
