"""
What a reading costs hot and archived, and how fast days move and are read again.

    python -m tests.bench.archiving

simulates days of every class, a busier fleet of inverters and a year of one, each
reading at ten seconds, and seals them before the clock runs.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from statistics import mean, median

import numpy as np
import psycopg

from ingest.model import Frame
from services.store.postgres.binary_copy import Words
from services.store.postgres.pool import connect
from services.store.timeseries import readings
from tests.bench import load, simulated_days
from tests.bench.simulated_days import DAY_US
from tests.running import Pipeline

CLASSES = ("pv_inverter", "ev_charger", "vehicle", "energy_meter", "air_station",
           "noise_station", "wastewater_plant")  # fmt: skip
# a Thursday: chunks begin on one
FROM_US = 1_759_968_000_000_000
EACH, FLEET, YEAR_DAYS = 2, 20, 365
YEAR = "year-000"
# five times real time of 2,000 devices at ten seconds, read once to be archived and once more
# before they leave the database
PACE = 2_000
LIVE, BURST, TURNS = 200, 100_000, 10
TICKS = os.sysconf("SC_CLK_TCK")


def measure(pipeline: Pipeline) -> dict[str, float]:
    """Bytes a reading, readings a second, seconds to verify."""
    pipeline.register(registry())
    figures = fill(pipeline)
    with spent() as sealing:
        pipeline.tonne("log", "seal")
    print(f"sealed in {sealing['wall_s']:.1f} s, {sealing['cpu_s']:.1f} s of processor time")
    figures |= beside(pipeline)
    figures |= archive(pipeline)
    figures |= verify(pipeline)
    return figures


def beside(pipeline: Pipeline) -> dict[str, float]:
    """Messages a second through `tonne run`, in turns alone and beside a run at `PACE`."""
    backlog = load.messages(LIVE, 2 * TURNS * BURST // LIVE)
    publisher = load.Publisher(pipeline.stack.mosquitto.port)
    rates: dict[bool, list[float]] = {False: [], True: []}
    cpu_us: dict[bool, list[float]] = {False: [], True: []}
    log, sent, share = pipeline.home / "run.log", 0, []
    with pipeline.running(log, "--no-seal") as ingest, archiving(pipeline) as (archiver, server):
        pipeline.receiving_since(log)
        for turn in range(2 * TURNS):
            both, batch = bool(turn % 2), list(islice(backlog, BURST))
            archiver.send_signal(signal.SIGCONT if both else signal.SIGSTOP)
            own, before = ticks(archiver.pid, server), ticks(ingest.pid)
            began, sent = time.time(), sent + len(batch)
            publisher.send(batch)
            took = pipeline.wait_for("tonne_ingest_messages_total", sent, pause_s=0.02) - began
            rates[both].append(len(batch) / took)
            cpu_us[both].append((ticks(ingest.pid) - before) / TICKS * 1e6 / len(batch))
            if both:
                share.append((ticks(archiver.pid, server) - own) / TICKS / took)
    publisher.close()
    print(
        f"ingest {rates}; processor time of a message {cpu_us} us; the archiver took {share} of"
        " a core"
    )
    return {
        # turns that follow one another share what else the machine does
        "ingest_beside_archiving": median(
            both / alone for alone, both in zip(rates[False], rates[True], strict=True)
        ),
        "ingest_cpu_beside_archiving": median(cpu_us[True]) / median(cpu_us[False]),
        "archiver_share_of_a_core": mean(share),
    }


def ticks(*pids: int) -> int:
    """Processor time that processes took so far, their own and the kernel's for them."""
    found = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        found += int(fields[11]) + int(fields[12])
    return found


@contextmanager
def archiving(pipeline: Pipeline) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A run at `PACE` and its server process; ended before it is through, the next goes on."""
    place = str(pipeline.home / "archive")
    process = subprocess.Popen(
        [sys.executable, "-m", "services.cli", "archive", "run", "--url", place, "--days", "7",
         "--pace", str(PACE)], env=pipeline.environment,
    )  # fmt: skip
    try:
        yield process, _server_of(pipeline)
        if process.poll() is not None:
            raise AssertionError(f"the archiver ended with {process.returncode} before ingest did")
    finally:
        process.kill()
        process.wait(30)


def _server_of(pipeline: Pipeline, patience_s: float = 60) -> int:
    """Process of the database that works for the archiver, once it is past its start."""
    end = time.monotonic() + patience_s
    with psycopg.connect(pipeline.urls.database_url, autocommit=True) as conn:
        while time.monotonic() < end:
            row = conn.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'tonne archive'"
            ).fetchone()
            if row is not None:
                return int(row[0])
            time.sleep(0.2)
    raise TimeoutError("the archiver did not connect")


def registry() -> dict:
    """Some devices of every class, a fleet of inverters, and one with a year of readings."""
    names = [(f"{c}-{k:03d}", c) for c in CLASSES for k in range(EACH)]
    names += [(f"fleet-{k:03d}", "pv_inverter") for k in range(FLEET)]
    names.append((YEAR, "pv_inverter"))
    devices = [
        {"id": name, "site": "bench", "class": c, "profile": "generic", "rated_power_w": 100_000,
         "installed": "2025-01-01T00:00:00Z"}
        for name, c in names
    ]  # fmt: skip
    live = load.registry(LIVE)
    return {**live, "devices": [*devices, *live["devices"]]}


def fill(pipeline: Pipeline) -> dict[str, float]:
    """Store what the devices would have said; return the bytes of a stored row of each class."""
    names = [d["id"] for d in registry()["devices"]]
    ids, figures = Words.of(names), {}
    with connect(pipeline.urls.database_url, role="tonne_ingest") as conn, conn.cursor() as cursor:
        for frame in frames():
            readings.copy_new(cursor, ids, frame)
        conn.commit()
    with psycopg.connect(pipeline.urls.database_url, autocommit=True) as conn:
        conn.execute("VACUUM ANALYZE")
        for class_id in CLASSES:
            size, rows = conn.execute(
                f"SELECT hypertable_size('reading_{class_id}'), count(*) FROM reading_{class_id}"
            ).fetchone()
            figures[f"hot_bytes_{class_id}"] = size / rows
    return figures


def frames() -> Iterator[Frame]:
    """Readings of every device, numbered as in the registry."""
    quiet = [d for d in registry()["devices"] if not d["id"].startswith("bench-")]
    for number, device in enumerate(quiet):
        days = YEAR_DAYS if device["id"] == YEAR else 7
        for day in range(days):
            begin = FROM_US + day * DAY_US
            frame = simulated_days.of(device["id"], device["class"], begin, begin + DAY_US)
            frame.device[:] = number
            yield frame


def archive(pipeline: Pipeline) -> dict[str, float]:
    """Move it all; processor seconds are those of `tonne archive run` alone."""
    with spent() as cpu:
        done = json.loads(
            pipeline.tonne(
                "archive", "run", "--url", str(pipeline.home / "archive"), "--days", "7", "--json"
            )
        )
    if done["refused"] or not done["dropped"]:
        raise AssertionError(f"not all of the bench's days were archived: {done}")
    figures = {
        "archive_rows_per_s": done["rows"] / cpu["wall_s"],
        "archive_rows_per_cpu_s": done["rows"] / cpu["cpu_s"],
    }
    print(f"archived {done['rows']:,} readings in {cpu['wall_s']:.1f} s")
    for class_id in CLASSES:
        files = [
            f
            for f in json.loads(pipeline.tonne("archive", "list", "--json"))
            if f["class"] == class_id
        ]
        figures[f"archived_bytes_{class_id}"] = sum(f["bytes"] for f in files) / sum(
            f["rows"] for f in files
        )
    whole = sum(f.stat().st_size for f in (pipeline.home / "archive").rglob("*") if f.is_file())
    figures["archived_bytes_with_manifests"] = whole / done["rows"]
    return figures


def verify(pipeline: Pipeline) -> dict[str, float]:
    """A month and a year of one device at ten seconds, from a command's start to its end."""
    figures = {}
    for name, days in (("month", min(30, YEAR_DAYS)), ("year", YEAR_DAYS)):
        ends = (np.datetime64(FROM_US + k * DAY_US, "us").astype(str)[:19] + "Z" for k in (0, days))
        begin, end = ends
        words = ("--device", YEAR, "--from", begin, "--to", end, "--json")
        began = time.monotonic()
        found = json.loads(pipeline.tonne("archive", "verify", *words))
        figures[f"verify_device_{name}_s"] = time.monotonic() - began
        if found["breaks"] or found["rows"] != days * 8_640:
            raise AssertionError(f"the bench's archive does not verify: {found}")
    return figures


@contextmanager
def spent() -> Iterator[dict[str, float]]:
    """Wall clock and processor seconds of the commands that end within."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    began, found = time.monotonic(), {"wall_s": 0.0, "cpu_s": 0.0}
    yield found
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found["wall_s"] = time.monotonic() - began
    found["cpu_s"] = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
