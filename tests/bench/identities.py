"""
A fleet of principals, each with its own certificate and connection, before one mosquitto.

    python -m tests.bench.identities --principals 10000 --seconds 600 --every 10

imports and enrols them, connects them by TLS with the configuration that tonne writes,
lets each send its readings to `tonne run` and publish as another once, and then counts
every row.  Ends with 1 where one is missing or twice, or where a forged one came through.
`make bench` runs the short form.
"""

from __future__ import annotations

import multiprocessing as mp
import resource
import shutil
import sys
import time
from dataclasses import dataclass
from typing import Self

import numpy as np
import psycopg

from services.identity.folder import IdentityFolder
from services.identity.mosquitto import SECURITY
from tests.bench import load
from tests.bench.alone import alone, options
from tests.bench.crowd import FORGED_MS, Task, Told, work
from tests.bench.memory import rss_mb
from tests.bench.spent import cpu_s
from tests.running import Pipeline

SHORT = (200, 20.0, 2.0)
_PROCESSES = 2
_SPARE_FILES = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """How many principals, for how long, and their cadence."""

    principals: int
    seconds: float
    every_s: float

    @property
    def rounds(self) -> int:
        """Readings that each sends."""
        return max(1, round(self.seconds / self.every_s))


def measure(pipeline: Pipeline) -> dict[str, float]:
    """The short form; its figures by names of their own among those of the other parts."""
    found = run(pipeline, Asked(*SHORT))
    return {f"identities_{name}": value for name, value in found.items()}


def run(pipeline: Pipeline, asked: Asked) -> dict[str, float]:
    """
    Return the figures of one run.

    Raises
    ------
    AssertionError
        When a reading is missing or twice, or a forged one was taken.
    """
    limit = _raise_file_limit(asked.principals + _SPARE_FILES)
    figures = enrol(pipeline, asked.principals)
    log = pipeline.home / "run.log"
    with pipeline.running(log, "--no-seal") as running:
        pipeline.receiving_since(log)
        servers = {
            "run": running.pid,
            "mosquitto": pipeline.stack.mosquitto.pid or 0,
            "postgres": pipeline.stack.postgres.pid or 0,
        }
        with Connected(pipeline, asked) as crowd:
            before = {name: cpu_s(pid) for name, pid in servers.items()}
            told = crowd.speak()
            spent = {f"{n}_processor_s": cpu_s(p) - before[n] for n, p in servers.items()}
            figures["mosquitto_rss_mb"] = rss_mb(servers["mosquitto"])
            figures["run_rss_mb"] = rss_mb(servers["run"])
    figures |= summary(told) | spent | counted(pipeline, asked, told)
    figures["file_limit"] = limit
    _tell(figures)
    return figures


def enrol(pipeline: Pipeline, count: int) -> dict[str, float]:
    """Bring the fleet in as its operator would; the broker then starts with all of it."""
    pipeline.close()
    pipeline.urls = pipeline.stack.up(kafka=False, secure=True)
    broker = pipeline.stack.mosquitto
    began = time.monotonic()
    pipeline.register(load.registry(count))
    imported = time.monotonic()
    pipeline.tonne("registry", "issue-credentials", "--all", "--no-apply")
    issued = time.monotonic()
    pipeline.tonne("broker", "config", "mosquitto", "--host", "127.0.0.1", "--sparkplug")
    port = broker.port
    broker.stop()
    shutil.copyfile(pipeline.home / "identity" / "broker" / SECURITY, broker.folder / SECURITY)
    broker.start()
    if broker.port != port:
        raise RuntimeError(f"the broker moved from port {port} to {broker.port}")
    return {"import_s": imported - began, "issue_s": issued - imported}


class Connected:
    """The principals, connected, in processes of their own."""

    def __init__(self, pipeline: Pipeline, asked: Asked) -> None:
        context = mp.get_context("spawn")
        names = [f"bench-{i:05d}" for i in range(asked.principals)]
        devices = IdentityFolder(pipeline.home / "identity").path / "devices"
        self._every_s = asked.every_s
        self._pipes, self._processes = [], []
        for part in range(_PROCESSES):
            ours = tuple(names[part::_PROCESSES])
            others = tuple((names[1:] + names[:1])[part::_PROCESSES])
            task = Task(pipeline.stack.mosquitto.port, devices, ours, others, asked.every_s,
                        asked.rounds, len(ours))  # fmt: skip
            here, there = context.Pipe()
            process = context.Process(target=work, args=(task, there), daemon=True)
            process.start()
            there.close()
            self._pipes.append(here)
            self._processes.append(process)

    def __enter__(self) -> Self:
        """Wait until all are connected."""
        for pipe in self._pipes:
            pipe.recv()
        return self

    def speak(self) -> list[Told]:
        """Let them speak; return what each process tells at the end."""
        start = time.monotonic() + 1.0
        for part, pipe in enumerate(self._pipes):
            pipe.send(start + part * self._every_s / len(self._pipes) / 1_000)
        return [pipe.recv() for pipe in self._pipes]

    def __exit__(self, *_: object) -> None:
        """Let them leave, or end them."""
        for pipe, process in zip(self._pipes, self._processes, strict=True):
            if process.is_alive():
                pipe.send(None)
            process.join(30)
            process.kill()


def summary(told: list[Told]) -> dict[str, float]:
    """Add up what the processes tell."""
    names = (
        "connected", "sent", "acknowledged", "refused", "receipted", "forged", "forged_refused",
        "forged_taken", "lost_connections", "processor_s",
    )  # fmt: skip
    found = {name: float(sum(getattr(one, name) for one in told)) for name in names}
    found["crowd_processor_s"] = found.pop("processor_s")
    found["connect_s"] = max(one.connect_s for one in told)
    took = np.array([s for one in told for s in one.receipt_s])
    for name, part in (("p50", 50), ("p99", 99), ("max", 100)):
        found[f"receipt_{name}_ms"] = float(np.percentile(took, part)) * 1000 if len(took) else 0.0
    if len(took):
        at = np.array([s for one in told for s in one.receipt_at_s])
        found["receipt_slowest_at_s"] = float(at[took.argmax()])
    return found


def counted(pipeline: Pipeline, asked: Asked, told: list[Told]) -> dict[str, float]:
    """Count every row, of every device, and hold it against what was sent."""
    sent = sum(one.sent for one in told)
    with psycopg.connect(pipeline.urls.database_url or "") as conn:
        rows, devices, least, most = conn.execute(
            "SELECT coalesce(sum(n), 0), count(*), min(n), max(n) FROM (SELECT device_id,"
            " count(*) AS n FROM reading_pv_inverter GROUP BY device_id) each"
        ).fetchone() or (0, 0, 0, 0)
        (forged,) = conn.execute(
            "SELECT count(*) FROM reading_pv_inverter WHERE time = to_timestamp(%s / 1e3)",
            [FORGED_MS],
        ).fetchone() or (0,)
        (letters,) = conn.execute("SELECT count(*) FROM dead_letter").fetchone() or (0,)
    found = {"rows": float(rows), "rows_forged": float(forged), "dead_letters": float(letters)}
    each = asked.rounds
    assert (rows, devices, least, most) == (sent, asked.principals, each, each), (
        f"{sent} sent by {asked.principals}, {each} each; stored {rows} of {devices},"
        f" {least} to {most} each"
    )
    assert (forged, letters) == (0, 0), f"{forged} forged rows, {letters} dead letters"
    refused = sum(one.forged_refused for one in told)
    tried = sum(one.forged for one in told)
    assert refused == tried == asked.principals, f"{refused} of {tried} forged ones refused"
    return found


def _raise_file_limit(needed: int) -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed:
        if hard < needed:
            raise RuntimeError(
                f"{needed} open files are needed in the broker and {hard} are allowed; "
                "raise it: ulimit -n, or LimitNOFILE"
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _tell(figures: dict[str, float]) -> None:
    print(
        "{connected:.0f} principals by TLS in {connect_s:.0f} s; {sent:.0f} readings sent,"
        " {rows:.0f} stored, each once; {forged_refused:.0f} of {forged:.0f} forged ones refused,"
        " {rows_forged:.0f} stored".format(**figures)
    )
    print(
        "receipts after {receipt_p50_ms:.0f} ms in the median, {receipt_p99_ms:.0f} ms of 99 %,"
        " {receipt_max_ms:.0f} ms at most, {receipt_slowest_at_s:.0f} s after the beginning".format(
            **figures
        )
    )


def main() -> None:
    """Run as asked, on servers of its own."""
    parser = options("identities", __doc__)
    parser.add_argument("--principals", type=int, default=SHORT[0])
    parser.add_argument("--seconds", type=float, default=SHORT[1])
    parser.add_argument("--every", type=float, default=SHORT[2], help="seconds")
    try:
        alone(
            parser,
            lambda pipeline, asked: run(
                pipeline, Asked(asked.principals, asked.seconds, asked.every)
            ),
        )
    except AssertionError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
