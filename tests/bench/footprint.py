"""
Memory of the servers that tonne runs beside, as deploy/limits.toml has it.

    make bench ARGS=footprint          # BENCH_SECONDS=300 for longer

PostgreSQL as its image sets it up for 8 GiB, while 200 devices stream 2,000 messages a second into
`tonne run`, every panel of every board is asked for, a base backup and the write-ahead log are
fetched by deploy/backup's own scripts, and then a day is closed; beside it Prometheus with our
rules over `tonne run`, `watch`, `signer` and `api`, Alertmanager with 200 alerts, and nginx with
deploy/proxy's configuration before the API, with 2,000 idle TLS connections and clients that mean
harm.  Of each the most that it and its children held, by their shares of shared pages (Pss).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from services.local.machine import POSTGRES_BIN
from services.local.process import service_account
from services.local.prometheus import Prometheus
from services.store.postgres.pool import connect
from tests import commands
from tests.bench import footprint_servers as beside
from tests.bench import load
from tests.bench.paced import Paced
from tests.bench.pss import Watch, held
from tests.grafana.city import expanded
from tests.grafana.macros import boards, panels
from tests.operations.rules import RULES
from tests.ports import free_port
from tests.running import Pipeline
from tests.services.issuer.sealed import close_period

SECONDS = float(os.environ.get("BENCH_SECONDS", "40"))
DEVICES, RATE, CADENCE_S = 200, 2_000.0, 300
SHARED_MIB = 2_048
# what timescaledb-tune of the image writes for 8 GiB and 4 processors
_TUNED = {
    "shared_buffers": f"{SHARED_MIB}MB", "effective_cache_size": "6GB",
    "maintenance_work_mem": "1GB", "work_mem": "10MB", "wal_buffers": "16MB",
    "max_worker_processes": "23", "timescaledb.max_background_workers": "16",
    "max_parallel_workers": "4", "max_parallel_workers_per_gather": "2",
    "autovacuum_max_workers": "10", "max_locks_per_transaction": "128", "jit": "on",
}  # fmt: skip
_SCRIPTS = Path(__file__).parents[2] / "deploy/backup"
_FROM_US, _DAY_US = (load.START_MS - 7 * 3_600_000) * 1_000, 86_400_000_000


def measure(pipeline: Pipeline) -> dict[str, float]:
    """Most memory of each. [MiB]"""
    _tune(pipeline)
    pipeline.register(load.registry(DEVICES))
    url = pipeline.urls.database_url or ""
    with ExitStack() as stack:
        watch = stack.enter_context(Watch())
        watch.look("database", pipeline.stack.postgres.pid or 0)
        log = pipeline.home / "run.log"
        stack.enter_context(pipeline.running(log))
        pipeline.receiving_since(log)
        api = stack.enter_context(_processes(pipeline, watch))
        watch.look("alertmanager", stack.enter_context(beside.alertmanager(pipeline.home)))
        harmed = stack.enter_context(beside.proxy(pipeline.home, api, watch))
        paced = Paced(
            pipeline.stack.mosquitto.port,
            load.messages(DEVICES, int(SECONDS * RATE / DEVICES) + 1, CADENCE_S),
            RATE,
        )
        paced.start()
        with _asking(url) as asked, _backup(url, watch):
            time.sleep(SECONDS)
        sent = paced.finish()
        pipeline.wait_for("tonne_ingest_messages_total", sent, 300)
        pipeline.derived(300)
        with connect(url, role="tonne_mrv", autocommit=True) as conn:
            day = _FROM_US, _FROM_US + _DAY_US
            close_period(conn, "bench-000", *day, "bench", home=pipeline.home)
        print(f"{sent} messages stored, boards asked: {dict(asked)}; {harmed()}")
    found = watch.most()
    print(watch.told())
    own = watch.parts["database"]
    figures = {f"{name}_mib": mib for name, mib in found.items()}
    # shared buffers fill in the course of days
    figures["database_full_mib"] = own.anonymous + own.file + SHARED_MIB
    figures["psql_mib"] = _psql_mib(url)
    return figures


def _tune(pipeline: Pipeline) -> None:
    with psycopg.connect(pipeline.urls.database_url or "", autocommit=True) as conn:
        for name, value in _TUNED.items():
            conn.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
    pipeline.stack.postgres.restart()
    with psycopg.connect(pipeline.urls.database_url or "") as conn:
        assert conn.execute("SHOW shared_buffers").fetchone() == ("2GB",)


@contextmanager
def _processes(pipeline: Pipeline, watch: Watch) -> Iterator[str]:
    """Run `watch`, `signer` and `api`, and Prometheus over all; give the API's address."""
    binds = {"run": pipeline.metrics} | {
        name: f"127.0.0.1:{free_port()}" for name in ("watch", "signer", "api")
    }
    server = Prometheus(pipeline.home / "prometheus", "1s", tuple(RULES))
    server.watch(binds)
    with ExitStack() as stack:
        for name in ("watch", "signer", "api"):
            bind = {"TONNE_METRICS_BIND": binds[name]}
            if name == "api":
                bind = {"TONNE_METRICS_BIND": "", "TONNE_API_BIND": binds[name]}
            out = stack.enter_context((pipeline.home / f"{name}.log").open("wb"))
            process = commands.start(
                [name], anew=True, env=pipeline.environment | bind, stdout=out, stderr=out
            )
            stack.callback(process.wait, 120)
            stack.callback(process.terminate)
            watch.look(name, process.pid)
        server.start()
        stack.callback(server.stop)
        watch.look("prometheus", server.pid or 0)
        yield binds["api"]


@contextmanager
def _asking(url: str) -> Iterator[dict[str, int]]:
    """Ask for every panel of every board, again and again; give how many, and how many failed."""
    ended, told = threading.Event(), {"queries": 0, "failed": 0}

    def again() -> None:
        with connect(url, role="tonne_grafana", autocommit=True) as conn:
            while not ended.is_set():
                for board, query in _queries():
                    if ended.is_set():
                        return
                    try:
                        text = expanded(conn, board, query, datetime.now(UTC))
                        conn.execute(text.encode()).fetchall()
                        told["queries"] += 1
                    except psycopg.Error:
                        told["failed"] += 1

    asker = threading.Thread(target=again, daemon=True)
    asker.start()
    yield told
    ended.set()
    asker.join(120)


def _queries() -> Iterator[tuple[dict[str, Any], str]]:
    for board in boards():
        for panel in panels(board):
            for target in panel["targets"]:
                if "rawSql" in target:
                    yield board, target["rawSql"]


@contextmanager
def _backup(url: str, watch: Watch) -> Iterator[None]:
    """Fetch the write-ahead log during the block, and a base backup in it."""
    folder = Path(tempfile.mkdtemp(prefix="tonne-bench-backup-"))
    shutil.copytree(_SCRIPTS, folder / "scripts")
    (folder / "url").write_text(url)
    (folder / "kept").mkdir()
    account = service_account("postgres")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)
        if account is not None:
            os.chown(path, account.uid, account.gid)

    def script(name: str, *words: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            ["sh", folder / "scripts" / name, *words, folder / "kept"],
            env={**os.environ, "WAL_BY": "stream"},
            user=None if account is None else account.uid,
            group=None if account is None else account.gid,
        )
        watch.look(name.removesuffix(".sh").replace("-", "_"), process.pid)
        return process

    receiving = script("receive-wal.sh", str(folder / "url"))
    base = script("base-backup.sh", url)
    try:
        yield
        assert base.wait(600) == 0, "the base backup failed"
    finally:
        for process in (receiving, base):
            process.terminate()
            process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def _psql_mib(url: str) -> float:
    """Return what psql holds with an answer of some hundred rows. [MiB]"""
    process = subprocess.Popen(
        [POSTGRES_BIN / "psql", "-X", "-q", "-c", "SELECT * FROM pg_settings",
         "-c", "SELECT pg_sleep(2)", url],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    most = 0.0
    while process.poll() is None:
        most = max(most, held(process.pid).total)
        time.sleep(0.05)
    assert process.returncode == 0
    return most
