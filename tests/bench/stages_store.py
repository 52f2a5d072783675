"""Metering and storing of a message: processor time, bytes per row, and cost of a device."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import yaml

from ingest.mqtt import Router
from ingest.pipeline import MeterState
from ingest.pipeline.admit import Admitted, admit
from mrv import factors
from services.clock import now_us
from services.intake.registry_watch import load_plan
from services.processing.commit import Store
from services.processing.registry_import import import_registry
from services.registry.files import read_files
from services.settle import Plan, settle
from services.store.dead_letter_write import Letters
from services.store.postgres.migrate import migrate
from services.store.postgres.pool import connect
from tests.bench import load
from tests.bench.load import Messages
from tests.bench.spent import Meter, cpu_s, rss_mb
from tests.running import Pipeline

DEVICES, MANY = 2_000, 20_000
SMALL = 25


def database(pipeline: Pipeline, name: str, devices: int) -> str:
    """Return the URL of a fresh database with a registry of a number of devices."""
    whole = pipeline.urls.database_url
    with psycopg.connect(whole, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = urlunsplit(urlsplit(whole)._replace(path=f"/{name}"))
    migrate(url)
    register(url, pipeline.home, devices)
    return url


def register(url: str, home: Path, devices: int) -> None:
    """Import a registry of a number of devices."""
    file = home / "registry.yaml"
    file.write_text(yaml.safe_dump(load.registry(devices), sort_keys=False))
    with connect(url) as connection:
        planned = import_registry(connection, read_files([file]), author="bench")
    if planned.refused:
        raise AssertionError(planned.results)


class Storing:
    """Batches in the form that a worker gets, metered and committed."""

    def __init__(self, url: str, plan: Plan) -> None:
        self.plan = plan
        self.store = Store(plan)
        self.connection = connect(url, role="tonne_ingest", autocommit=True)
        self._route = Router(plan.fleet).route
        self._state = MeterState(len(plan.fleet))

    def admit(self, batch: Messages) -> Admitted:
        """Read a batch."""
        none = [None] * len(batch)
        return admit(
            self.plan.fleet,
            self._route,
            [t for t, _ in batch],
            [p for _, p in batch],
            none,
            now_us(),
        )

    def settle(self, admitted: Admitted) -> None:
        """Meter a batch, without changing the store's own state."""
        settle(self.plan, self._state, admitted.frames).metered.apply(self._state)

    def commit(self, batch: Messages, admitted: Admitted) -> float:
        """Commit a batch; return the time that it took. [s]"""
        n = len(batch)
        letters = Letters(
            [t for t, _ in batch], [p for _, p in batch], [None] * n, [False] * n, [now_us()] * n
        )
        began = time.monotonic()
        self.store.commit(self.connection, admitted.frames, admitted.rejected, letters)
        return time.monotonic() - began


def stored(
    pipeline: Pipeline, url: str, plan: Plan, batches: Sequence[Messages]
) -> dict[str, float]:
    """Measure metering alone, then the whole commit, with the database's own time and bytes."""
    storing, settling = Storing(url, plan), Meter()
    committing = Meter(lambda: cpu_s(pipeline.stack.postgres.pid or 0))
    total, walls = sum(map(len, batches)), []
    wal = wal_bytes(storing.connection)
    for batch in batches:
        admitted = storing.admit(batch)
        with settling:
            storing.settle(admitted)
        with committing:
            walls.append(storing.commit(batch, admitted))
    wal = wal_bytes(storing.connection) - wal
    storing.connection.close()
    return {
        "settle_us": settling.ours_us(total),
        "commit_us": committing.ours_us(total) - settling.ours_us(total),
        "database_us": committing.servers_us(total),
        "commit_wall_us": statistics.median(walls) / len(batches[0]) * 1e6,
        "wal_bytes": wal / total,
        **sizes(url, total),
    }


def small_commits(url: str, plan: Plan, batches: Sequence[Messages]) -> dict[str, float]:
    """Return elapsed time of a commit of few messages, which is the cost of a transaction."""
    storing = Storing(url, plan)
    # every device twice, later than all that is stored: marks are loaded by the first round
    each = sum(map(len, batches)) // DEVICES
    messages = islice(load.messages(DEVICES, each + 2, 900), each * DEVICES, None)
    walls = []
    while batch := list(islice(messages, SMALL)):
        walls.append(storing.commit(batch, storing.admit(batch)))
    storing.connection.close()
    return {"commit_small_ms": statistics.median(walls[len(walls) // 2 :]) * 1e3}


def registered(pipeline: Pipeline) -> dict[str, float]:
    """Return the cost of each registered device for a process, at its start and at each change."""
    url = database(pipeline, "stages_registry", MANY)
    read = "import sys; from tests.bench.stages_store import hold; hold(*sys.argv[1:])"
    told = [
        subprocess.run(
            [sys.executable, "-c", read, url, kept], capture_output=True, text=True, check=True
        ).stdout.split()
        for kept in ("nothing", "plan")
    ]
    (before_mb, _), (after_mb, seconds) = ((float(a), float(b)) for a, b in told)
    return {
        "registry_load_us_device": seconds / MANY * 1e6,
        "registry_bytes_device": (after_mb - before_mb) * 1e6 / MANY,
    }


def hold(url: str, kept: str) -> None:
    """Print resident megabytes and processor seconds with a registry in memory, or without."""
    held, began = None, time.process_time()
    if kept == "plan":
        with connect(url, autocommit=True) as connection:
            held = Store(load_plan(connection, factors.load()))
    took = time.process_time() - began
    print(rss_mb(os.getpid()), took)
    del held


def wal_bytes(connection: psycopg.Connection) -> int:
    """Return the position of the write-ahead log. [bytes]"""
    row = connection.execute("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn").fetchone()
    return int(row[0])


def sizes(url: str, messages: int) -> dict[str, float]:
    """Return the bytes per row of each table and of its indexes."""
    figures = {}
    with psycopg.connect(url, autocommit=True) as connection:
        for table in ("reading_pv_inverter", "interval_quantity", "interval_emission"):
            row = connection.execute(
                "SELECT sum(table_bytes), sum(index_bytes) FROM hypertable_detailed_size(%s)",
                [table],
            ).fetchone()
            (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            figures[f"{table}_bytes"] = float(row[0]) / count
            figures[f"{table}_index_bytes"] = float(row[1]) / count
            figures[f"{table}_rows"] = count / messages
    return figures
