"""Closing a month of 2,000 devices."""

import time

import psycopg

from services.issuer import close
from services.processing.commit import Store
from services.settle import Plan
from services.store.dead_letter_write import Letters
from services.store.postgres.pool import connect
from services.store.registry import load as registry
from services.store.registry.load import load_book
from services.store.views.fleet_metrics import refresh_days
from tests.bench import month
from tests.bench.spent import cpu_s
from tests.bench.stages_store import database
from tests.running import Pipeline
from tests.services.issuer.sealed import up_to

DEVICES, AT_ONCE = 2_000, 50


def measure(pipeline: Pipeline) -> dict[str, float]:
    """Return the seconds for closing, one project after another."""
    url = database(pipeline, "closing", DEVICES)
    with connect(url, role="tonne_ingest", autocommit=True) as conn:
        projects = registry.load_projects(conn)
        store = Store(Plan.of(registry.load_fleet(conn), projects, load_book(conn)))
        ids = store.plan.fleet.by_id
        names = sorted(ids)
        for at in range(0, len(names), AT_ONCE):
            some = [ids[name] for name in names[at : at + AT_ONCE]]
            rows = month.frame(some, month.QUARTER_US, weather=True)
            store.commit(conn, [rows], [], Letters([], [], [], [], 0))
        store.remake_requested(conn)  # a month of many devices is more than a commit derives
    with psycopg.connect(url, autocommit=True) as conn:
        # as a month is when it is over; what was written this minute is read twice as slowly
        conn.execute("VACUUM (ANALYZE) reading_pv_inverter, interval_quantity")
    readings = len(names) * (month.END_US - month.BEGIN_US) // month.QUARTER_US
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        conn.execute("SET statement_timeout = 0")
        up_to(conn, month.END_US, pipeline.home)
        refresh_days(conn)
        took, session = 0.0, conn.info.backend_pid
        for project in projects:
            began, spent, asked = time.monotonic(), time.process_time(), cpu_s(session)
            close.close_period(conn, project.id, month.BEGIN_US, month.END_US, "bench")
            took += time.monotonic() - began
            print(
                f"closed {project.id}: {time.monotonic() - began:.2f} s, of it here"
                f" {time.process_time() - spent:.2f} s of processor time, and of its session"
                f" {cpu_s(session) - asked:.2f} s"
            )
    print(f"closed a month of {len(names)} devices, {readings} readings, in {took:.1f} s")
    return {"close_s": took}
