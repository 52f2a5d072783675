"""
Memory of bridge and worker over a long run at a steady load.

    python -m tests.bench.steady --minutes 30 --rate 2000

prints a line a minute, and one of JSON at the end.  `make bench` runs the short form.
"""

import time

import numpy as np

from tests.bench import load
from tests.bench.alone import alone, options
from tests.bench.load import Paced
from tests.bench.over_kafka import Running, over_kafka
from tests.bench.spent import rss_mb
from tests.running import Pipeline

DEVICES, CADENCE_S = 2_000, 60
SHORT_S, SHORT_RATE = 40.0, 2_000.0
_SAMPLE_S, _WARM = 2.0, 0.2


def measure(pipeline: Pipeline) -> dict[str, float]:
    """Return the maximum memory of a worker at load, in the short form. [MB]"""
    return {"worker_rss_mb": run(pipeline, SHORT_S, SHORT_RATE)["worker_end_mb"]}


def run(pipeline: Pipeline, seconds: float, rate: float) -> dict[str, float]:
    """
    Return resident memory at the start, in the middle and at the end, and
    its slope after warm-up.
    """
    each = int(seconds * rate / DEVICES) + 1
    with over_kafka(pipeline, load.registry(DEVICES)) as running:
        messages = load.messages(DEVICES, each, CADENCE_S)
        paced = Paced(pipeline.stack.mosquitto.port, messages, rate)
        paced.start()
        samples = sampled(pipeline, running, seconds)
        sent = paced.finish()
        pipeline.wait_for("tonne_ingest_messages_total", sent, 120)
    figures = {"messages": sent, "messages_per_s": sent / seconds}
    for name, column in (("worker", 1), ("bridge", 2)):
        figures |= summary(name, samples[:, 0], samples[:, column])
    print(f"{sent} messages in {seconds:.0f} s, all stored; resident memory of the worker")
    print(
        "  {worker_start_mb:.0f}, {worker_middle_mb:.0f}, {worker_end_mb:.0f} MB".format(**figures)
    )
    return figures


def sampled(pipeline: Pipeline, running: Running, seconds: float) -> np.ndarray:
    """Return rows of seconds since the start, and resident megabytes of worker and bridge."""
    began, told, rows = time.monotonic(), 0, []
    while (now := time.monotonic() - began) < seconds:
        rows.append((now, rss_mb(running.worker.pid), rss_mb(running.bridge.pid)))
        if now // 60 > told:
            told = int(now // 60)
            stored = pipeline.counted("tonne_ingest_messages_total")
            print(
                f"  minute {told}: worker {rows[-1][1]:.0f} MB, bridge {rows[-1][2]:.0f} MB,"
                f" {stored:.0f} stored",
                flush=True,
            )
        time.sleep(_SAMPLE_S)
    return np.array(rows)


def summary(name: str, at_s: np.ndarray, mb: np.ndarray) -> dict[str, float]:
    """Return the means of the first, middle and last tenth after warm-up, and the slope. [MB/h]"""
    kept = at_s >= _WARM * at_s[-1]
    at_s, mb = at_s[kept], mb[kept]
    tenth = max(1, len(mb) // 10)
    middle = len(mb) // 2
    slope = np.polyfit(at_s, mb, 1)[0] * 3600 if len(mb) > 1 else 0.0
    return {
        f"{name}_start_mb": float(mb[:tenth].mean()),
        f"{name}_middle_mb": float(mb[middle : middle + tenth].mean()),
        f"{name}_end_mb": float(mb[-tenth:].mean()),
        f"{name}_mb_an_hour": float(slope),
    }


def main() -> None:
    """Run for the requested time, on separate servers."""
    parser = options("steady", __doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=2_000, help="messages a second")
    alone(parser, lambda pipeline, asked: run(pipeline, asked.minutes * 60, asked.rate))


if __name__ == "__main__":
    main()
