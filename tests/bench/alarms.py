"""
How long after its cause an alarm stands, with 10,000 devices.

    python -m tests.bench.alarms --home FOLDER    # as `tests.bench.dashboards --large` filled it

`tonne watch` looks at its own pace.  Limits are exceeded one after the other at times that
have nothing to do with its rounds, each by one row as ingest writes it; the clock runs from
that row's commit until another session sees the alarm.  Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import psycopg

from services.store.postgres.pool import connect
from services.store.views import alarm_round
from services.store.views.fleet_metrics import refresh_days, refresh_today
from tests.bench.dashboards import filled
from tests.bench.spent import cpu_s
from tests.ports import free_port

_CAUSES = 12
_PATIENCE_S = 300.0
_CAUSE = (
    "INSERT INTO indicator_value (device_id, indicator, start, period, value, covered, grade)"
    " SELECT id, 'bench', date_trunc('hour', now()), 'hour', 1, 1, 'exceeded' FROM device"
    " WHERE class = 'noise_station' ORDER BY id OFFSET %s LIMIT 1 RETURNING device_id"
)
_STANDS = "SELECT count(*) FROM alarm WHERE subject = %s AND part = 'bench hour'"
_FORGET = (
    b"DELETE FROM alarm_event WHERE alarm_id IN (SELECT id FROM alarm WHERE part = 'bench hour')",
    b"DELETE FROM alarm WHERE part = 'bench hour'",
    b"DELETE FROM indicator_value WHERE indicator = 'bench'",
)


def rounds(url: str) -> dict[str, float]:
    """Seconds of a round of alarms and of adding up, by the clock and of the session's process."""
    figures = {}
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        pid = conn.info.backend_pid
        for name, work in (
            ("alarm_round", alarm_round.run),
            ("alarm_round_again", alarm_round.run),
            ("today", refresh_today),
            ("days", refresh_days),
        ):
            spent, began = cpu_s(pid), time.monotonic()
            work(conn)
            figures[f"{name}_s"] = time.monotonic() - began
            figures[f"{name}_processor_s"] = cpu_s(pid) - spent
    return figures


def causes(url: str, home: Path) -> dict[str, float]:
    """Seconds from a cause to its alarm."""
    watch = subprocess.Popen(
        [sys.executable, "-m", "services.cli", "watch"],
        env={
            **os.environ,
            "TONNE_HOME": str(home),
            "TONNE_DATABASE_URL": url,
            "TONNE_METRICS_BIND": f"127.0.0.1:{free_port()}",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    took = []
    try:
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute("SET session_replication_role = replica")  # alarms are append-only
            for statement in _FORGET:
                conn.execute(statement)
            time.sleep(40)  # past the watch's first rounds
            for n in range(_CAUSES):
                time.sleep(random.uniform(0, 10))  # noqa: S311 - at no time of its rounds
                took.append(_until_alarm(conn, n))
                print(f"{took[-1]:.1f} s", flush=True)
    finally:
        watch.terminate()
        watch.wait(60)
    return {"alarm_p50_s": median(took), "alarm_most_s": max(took)}


def _until_alarm(conn: psycopg.Connection, number: int) -> float:
    row = conn.execute(_CAUSE, [number]).fetchone()
    began = time.monotonic()
    while row and time.monotonic() - began < _PATIENCE_S:
        if conn.execute(_STANDS, [row[0]]).fetchone() != (0,):
            return time.monotonic() - began
        time.sleep(0.1)
    raise TimeoutError(f"no alarm of {row} after {_PATIENCE_S} s")


def main() -> None:
    """Measure on a filled database."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.alarms", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    options = parser.parse_args()
    with filled(options.home, large=True) as url:
        figures = rounds(url)
        print(figures, flush=True)
        figures |= causes(url, options.home.resolve())
    print(json.dumps({name: round(value, 2) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
