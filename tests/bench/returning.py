"""
A fleet that returns after an outage: maximum memory of `tonne run`, and the time that it takes.

Each device sends a reading, is offline, and sends another one: all intervals in between are
calculated from the two.
"""

import re
import time
from itertools import islice
from pathlib import Path

from tests.bench import load
from tests.running import Pipeline

DEVICES, DAYS = 1_200, 60
_DAY_S, _PATIENCE_S = 86_400, 7_200


def measure(pipeline: Pipeline) -> dict[str, float]:
    """
    Return the maximum memory of `tonne run` [MB], and seconds until all
    intervals are calculated.
    """
    pipeline.register(load.registry(DEVICES))
    log, sent = pipeline.home / "run.log", load.messages(DEVICES, 2, DAYS * _DAY_S)
    with pipeline.running(log) as process:
        pipeline.receiving_since(log)
        publisher = load.Publisher(pipeline.stack.mosquitto.port)
        publisher.send(list(islice(sent, DEVICES)))
        pipeline.wait_for("tonne_ingest_messages_total", DEVICES)
        pipeline.derived()
        before, began = _most_mb(process.pid), time.monotonic()
        publisher.send(list(sent))
        pipeline.wait_for("tonne_ingest_messages_total", 2 * DEVICES)
        pipeline.derived(_PATIENCE_S)
        took, most = time.monotonic() - began, _most_mb(process.pid)
        publisher.close()
    intervals = pipeline.ask("SELECT count(*) FROM interval_quantity")[0][0]
    if intervals < DEVICES * DAYS * 96:
        raise AssertionError(f"{intervals} intervals of {DEVICES} devices over {DAYS} days")
    print(f"{intervals} intervals of {DEVICES} devices after {DAYS} days in {took:.0f} s;")
    print(f"  `tonne run` used at most {most:.0f} MB of memory, {before:.0f} MB before")
    return {"returning_s": took, "returning_rss_mb": most}


def _most_mb(pid: int) -> float:
    """Most resident memory of a process so far. [MB]"""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    if found is None:
        raise RuntimeError(f"process {pid} has ended")
    return int(found[1]) / 1000
