"""Resident memory of `tonne run` with 10,000 devices and a day of data behind it."""

import re
from itertools import islice
from pathlib import Path

from tests.bench import load
from tests.running import Pipeline

DEVICES, EACH, CADENCE_S = 10_000, 96, 900


def measure(pipeline: Pipeline) -> dict[str, float]:
    """Peak memory over a day of every device, and after a restart and one more reading. [MB]"""
    pipeline.register(load.registry(DEVICES))
    publisher = load.Publisher(pipeline.stack.mosquitto.port)
    backlog = load.messages(DEVICES, EACH + 1, CADENCE_S)
    with pipeline.running(pipeline.home / "day.log") as process:
        pipeline.receiving_since(pipeline.home / "day.log")
        for _ in range(EACH):
            publisher.send(list(islice(backlog, DEVICES)))
        pipeline.wait_for("tonne_ingest_messages_total", DEVICES * EACH)
        day_mb = peak_mb(process.pid)
    with pipeline.running(pipeline.home / "restart.log") as process:
        pipeline.receiving_since(pipeline.home / "restart.log")
        publisher.send(list(backlog))
        pipeline.wait_for("tonne_ingest_messages_total", DEVICES)
        restart_mb = peak_mb(process.pid)
    publisher.close()
    print(
        f"peak resident memory: {day_mb:.0f} MB over the day, {restart_mb:.0f} MB after a restart"
    )
    return {"run_peak_rss_mb": max(day_mb, restart_mb)}


def peak_mb(pid: int) -> float:
    """Most resident memory that a process ever had. [MB]"""
    return _told(pid, "VmHWM")


def rss_mb(pid: int) -> float:
    """Resident memory of a process now. [MB]"""
    return _told(pid, "VmRSS")


def _told(pid: int, field: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"process {pid} has ended")
    return int(found[1]) / 1000
