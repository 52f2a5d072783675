"""
How long mosquitto takes to acknowledge while messages wait in it, by how many wait.

It writes all that waits to disk at each autosave, and does nothing else meanwhile.  A
durable subscriber stays away, its queue is filled to each size in turn, and then one client
publishes 50 messages a second, each with the time to its PUBACK.

    python -m tests.bench.broker_queue --mib 0 64 256 --autosave 1 30

Payloads are the bench's, 310 bytes; a size counts payloads, as mosquitto's max_queued_bytes
does.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np

from services.identity.mosquitto import AUTOSAVE_S
from services.local.machine import MOSQUITTO
from services.settings import QUEUE_BYTES
from tests.bench.load import Publisher, messages
from tests.ports import free_port
from tests.running import Pipeline, open_session

_CONFIG = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {folder}/
autosave_interval {autosave}
max_queued_messages 50000000
max_queued_bytes 8589934592
max_inflight_messages 20000
persistent_client_expiration 30d
user {user}
"""
_EVERY_S, SECONDS = 0.02, 20
MIB = 1 << 20


class Broker:
    """A mosquitto of its own, whose autosave can be changed while it runs."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self.port = folder, free_port()
        self._file = folder / "mosquitto.conf"
        self._write(1800)
        self._process = subprocess.Popen(
            [str(MOSQUITTO), "-c", str(self._file)], stderr=subprocess.DEVNULL
        )
        until_s = time.monotonic() + 10
        while time.monotonic() < until_s:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise ConnectionError("mosquitto did not start")

    def _write(self, autosave: int) -> None:
        self._file.write_text(
            _CONFIG.format(
                port=self.port,
                folder=self._folder,
                autosave=autosave,
                user=os.environ.get("USER") or "root",
            ),
            encoding="utf-8",
        )

    def autosave(self, seconds: int) -> None:
        """Write the queue to disk so often from now on. [s]"""
        self._write(seconds)
        self._process.send_signal(signal.SIGHUP)
        time.sleep(1.0)

    def memory_mib(self) -> float:
        """Memory that it holds. [MiB]"""
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise RuntimeError("no VmRSS")

    def close(self) -> None:
        """End it; what it holds is of no use."""
        self._process.kill()
        self._process.wait()


def _probe(port: int, seconds: float) -> np.ndarray:
    """Publish one message after another, at its time; return the time to each PUBACK. [s]"""
    publisher = Publisher(port)
    # a topic that nobody waits for: the queue stays as it is
    one = [("probe", next(iter(messages(1, 1)))[1])]
    found = []
    begin_s = due_s = time.monotonic()
    while due_s < begin_s + seconds:
        time.sleep(max(0.0, due_s - time.monotonic()))
        publisher.send(one)
        # a message that could not be sent in its time has waited as well
        found.append(time.monotonic() - due_s)
        due_s += _EVERY_S
    publisher.close()
    return np.array(found)


def taken(folder: Path, sizes: list[int], autosaves: list[int], seconds: float) -> list[dict]:
    """
    Fill a queue to each size, and measure at each autosave.

    Parameters
    ----------
    sizes : list of int
        Bytes of payload that wait, rising.
    autosaves : list of int
        Seconds between two of mosquitto's savings.
    seconds : float
        How long each is measured; one and a half times the autosave at least.

    Returns
    -------
    list of dict
        `mib`, `messages`, `autosave_s`, `memory_mib` and PUBACK's `p50_ms`, `p95_ms`,
        `p99_ms`, `longest_ms`.
    """
    broker = Broker(folder)
    found = []
    try:
        open_session(f"mqtt://127.0.0.1:{broker.port}", "away")
        stream, held, count = messages(1_000, 1_000_000), 0, 0
        for size in sizes:
            publisher = Publisher(broker.port)
            while held < size:
                some = list(islice(stream, 5_000))
                publisher.send(some)
                held += sum(len(payload) for _, payload in some)
                count += len(some)
            publisher.close()
            for autosave in autosaves:
                broker.autosave(autosave)
                took = _probe(broker.port, max(seconds, 1.5 * autosave)) * 1000
                p50, p95, p99 = np.percentile(took, [50, 95, 99])
                found.append(
                    {
                        "mib": round(held / MIB, 1),
                        "messages": count,
                        "autosave_s": autosave,
                        "memory_mib": round(broker.memory_mib()),
                        "p50_ms": round(float(p50), 1),
                        "p95_ms": round(float(p95), 1),
                        "p99_ms": round(float(p99), 1),
                        "longest_ms": round(float(took.max()), 1),
                    }
                )
                print(found[-1], file=sys.stderr, flush=True)
            broker.autosave(1800)
    finally:
        broker.close()
    return found


def measure(pipeline: Pipeline) -> dict[str, float]:
    """Return what PUBACK takes with an empty queue, and at the limit that tonne ships."""
    rows = taken(pipeline.home / "queue", [0, QUEUE_BYTES], [AUTOSAVE_S], SECONDS)
    return {
        "broker_puback_empty_p95_ms": rows[0]["p95_ms"],
        "broker_puback_full_p95_ms": rows[1]["p95_ms"],
        "broker_puback_full_longest_ms": rows[1]["longest_ms"],
    }


def main() -> None:
    """Measure as asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mib", type=int, nargs="+", default=[0, 16, 64, 128, 256, 405])
    parser.add_argument("--autosave", type=int, nargs="+", default=[1, 10, 30])
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--folder", type=Path, default=Path(".tonne/bench/queue"))
    options = parser.parse_args()
    sizes = [mib * MIB for mib in options.mib]
    taken(options.folder.resolve(), sizes, options.autosave, options.seconds)


if __name__ == "__main__":
    main()
