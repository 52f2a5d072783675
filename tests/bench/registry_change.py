"""
A change of one device in a large registry: until it is taken up, and whether storing stands still.

    python -m tests.bench.registry_change --devices 100000

Ten thousand devices send a reading every ten seconds; one more sends twenty a second, and how
long each of these takes to its row is seen by a second connection.  Then one device changes.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import psycopg

from tests.bench import load
from tests.bench.alone import alone, options
from tests.bench.memory import peak_mb
from tests.running import Pipeline

DEVICES, LIVE, CADENCE_S = 20_000, 10_000, 10
_PROBE = "bench-10000"
_EVERY_S, _BEFORE_S, _AFTER_S = 0.05, 25.0, 15.0


def grow(url: str, devices: int) -> None:
    """Make a registry of a hundred devices one of many, by SQL: importing it is not measured."""
    with psycopg.connect(url) as conn:
        conn.execute(
            "INSERT INTO device (id, site, class, profile, rated_power_w, installed)"
            " SELECT format('bench-%%s', lpad(n::text, 5, '0')), site, class, profile,"
            " rated_power_w, installed FROM device, generate_series(100, %s - 1) n"
            " WHERE id = 'bench-00000'",
            [devices],
        )
        names = conn.execute(
            "SELECT column_name::text FROM information_schema.columns"
            " WHERE table_name = 'project' AND column_name <> 'id'"
        ).fetchall()
        held = ", ".join(name for (name,) in names)
        conn.execute(
            f"INSERT INTO project (id, {held})"
            f" SELECT format('bench-%%s', lpad(n::text, 3, '0')), {held}"
            " FROM project, generate_series(1, %s / 100 - 1) n WHERE id = 'bench-000'".encode(),
            [devices],
        )
        conn.execute(
            "INSERT INTO project_device SELECT format('bench-%%s', lpad(n::text, 3, '0')),"
            " format('bench-%%s', lpad((n * 100 + position)::text, 5, '0')), role, params,"
            " position, during FROM project_device, generate_series(1, %s / 100 - 1) n"
            " WHERE project_id = 'bench-000'",
            [devices],
        )
        conn.execute("INSERT INTO registry_version (author, changes) VALUES ('bench', '[]')")
        conn.execute("DELETE FROM remake_request")


def measure(pipeline: Pipeline) -> dict[str, float]:
    """Figures with as many devices as take a minute to make."""
    return run(pipeline, DEVICES)


def run(pipeline: Pipeline, devices: int) -> dict[str, float]:
    """Change one device while others send."""
    pipeline.register(load.registry(100))
    grow(pipeline.urls.database_url, devices)
    log = pipeline.home / "run.log"
    with pipeline.running(log) as process, _sending(pipeline) as sent, _watching(pipeline) as seen:
        pipeline.receiving_since(log, 300)
        time.sleep(_BEFORE_S)
        changed = _change(pipeline)
        time.sleep(_AFTER_S)
        peak = peak_mb(process.pid)
    taken_up = _taken_up(log, changed.version)
    lags = _lags(sent, seen)
    began = min(sent) + 2 * CADENCE_S  # the first batches read where their devices stand
    usual = [lag for at, lag in lags.items() if began < at < changed.committed - 0.5]
    after = [lag for at, lag in lags.items() if changed.committed - 0.5 <= at]
    figures = {
        "registry_taken_up_s": taken_up - changed.committed,
        "registry_lag_before_s": max(usual),
        "registry_lag_after_s": max(after),
        "registry_lag_p50_s": float(np.median(usual)),
        "registry_peak_rss_mb": peak,
    }
    print(f"{devices} devices: { ({k: round(v, 3) for k, v in figures.items()}) }")
    return figures


class _Changed(NamedTuple):
    version: int
    committed: float


def _change(pipeline: Pipeline) -> _Changed:
    """Change a device as an import writes it, and nothing else of the import."""
    change = [{"kind": "device", "id": "bench-00050", "before": None, "after": None}]
    with psycopg.connect(pipeline.urls.database_url) as conn:
        conn.execute("UPDATE device SET rated_power_w = 120000 WHERE id = 'bench-00050'")
        (version,) = conn.execute(
            "INSERT INTO registry_version (author, changes) VALUES ('bench', %s) RETURNING version",
            [json.dumps(change)],
        ).fetchone()
    return _Changed(version, time.time())


def _taken_up(log: Path, version: int) -> float:
    for line in log.read_text().splitlines():
        entry = json.loads(line) if line.startswith("{") else {}
        if entry.get("event") == "registry" and entry.get("version", 0) >= version:
            return _epoch(entry["timestamp"])
    raise AssertionError(f"version {version} was not taken up: {log.read_text()[-2000:]}")


def _epoch(text: str) -> float:
    return float(np.datetime64(text.removesuffix("Z"), "us").astype(np.int64)) / 1e6


@contextmanager
def _sending(pipeline: Pipeline) -> Iterator[dict[float, int]]:
    """Send; when each reading of the probe was sent, and its time. [s], [ms]"""
    sent: dict[float, int] = {}
    over = threading.Event()

    def send() -> None:
        publisher = load.Publisher(pipeline.stack.mosquitto.port)
        k = 0
        while not over.wait(_EVERY_S):
            now_ms = int(time.time() * 1000)
            body = {"ts": now_ms, "values": {"active_power_kw": 20.5}}
            some = [(f"tonne/v1/{_PROBE}/telemetry", msgspec.json.encode(body))]
            turns = round(CADENCE_S / _EVERY_S)
            share = range(k % turns, LIVE, turns)
            some += [(f"tonne/v1/bench-{i:05d}/telemetry", some[0][1]) for i in share]
            sent[time.time()] = now_ms
            publisher.send(some)
            k += 1
        publisher.close()

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield sent
    finally:
        over.set()
        thread.join()


@contextmanager
def _watching(pipeline: Pipeline) -> Iterator[list[tuple[float, int]]]:
    """Look at the probe's newest row all the time: when it was seen, and its time. [s], [ms]"""
    seen: list[tuple[float, int]] = []
    over = threading.Event()

    def watch() -> None:
        with psycopg.connect(pipeline.urls.database_url, autocommit=True) as conn:
            while not over.wait(0.01):
                row = conn.execute(
                    "SELECT (extract(epoch FROM time) * 1000)::bigint FROM reading_pv_inverter"
                    " WHERE device_id = %s ORDER BY time DESC LIMIT 1",
                    [_PROBE],
                ).fetchone()
                if row and (not seen or row[0] != seen[-1][1]):
                    seen.append((time.time(), int(row[0])))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def _lags(sent: dict[float, int], seen: list[tuple[float, int]]) -> dict[float, float]:
    """How long each reading of the probe took to its row, by when it was sent. [s]"""
    at, newest = (np.array(column) for column in zip(*seen, strict=True))
    found = {}
    for began, ms in sent.items():
        k = int(np.searchsorted(newest, ms))
        if k < len(at):
            found[began] = float(at[k]) - began
    return found


def main() -> None:
    """Measure as asked, on servers of its own."""
    parser = options("registry_change", __doc__)
    parser.add_argument("--devices", type=int, default=DEVICES)
    alone(parser, lambda pipeline, asked: run(pipeline, asked.devices))


if __name__ == "__main__":
    main()
