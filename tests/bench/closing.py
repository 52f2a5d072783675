"""Closing a month of 2,000 devices, and verifying a month of 100 at one minute, offline."""

from __future__ import annotations

import os
import shutil
import time

import numpy as np
import psycopg

from ingest import classes
from ingest.model import NULL, Frame
from mrv import canonical
from mrv.calendar import instant_us
from mrv.statement.body import Label, compose
from mrv.statement.case import Case
from mrv.statement.evidence import monitored, remeter
from mrv.verify import verify
from services.flow import Plan
from services.issuer import bundle
from services.issuer.close import CODE_VERSION, close_period
from services.issuer.collect import plan_of
from services.issuer.evidence import files as case_files
from services.issuer.pack import read_pack
from services.store import registry
from services.store.commit import Store
from services.store.factors import load_book
from services.store.letters import Letters
from services.store.pool import connect
from services.store.registry_rows import load_registry
from tests.bench.stages_store import database
from tests.running import Pipeline

DEVICES, FEW, AT_ONCE = 2_000, 100, 50
QUARTER_US, MINUTE_US = 900_000_000, 60_000_000
ZONE = "Asia/Ho_Chi_Minh"
SPAN = "2026-03-01", "2026-04-01"


def measure(pipeline: Pipeline) -> dict[str, float]:
    """Seconds of a close, and readings a second of a core of a verification."""
    count = int(os.environ.get("TONNE_BENCH_CLOSING_DEVICES", DEVICES))
    begin, end = (instant_us(day, ZONE) for day in SPAN)
    url = database(pipeline, "verifying", FEW)
    found = _verify(url, pipeline, begin, end)
    url = database(pipeline, "closing", count)
    with connect(url, role="tonne_ingest", autocommit=True) as conn:
        projects = registry.load_projects(conn)
        store = Store(Plan.of(registry.load_fleet(conn), projects, load_book(conn)))
        ids = store.plan.fleet.by_id
        names = sorted(ids)
        for at in range(0, len(names), AT_ONCE):
            some = [ids[name] for name in names[at : at + AT_ONCE]]
            store.commit(
                conn, [_frame(some, begin, end, QUARTER_US)], [], Letters([], [], [], [], 0)
            )
    with psycopg.connect(url, autocommit=True) as conn:
        # as a month is when it is over; what was written this minute is read twice as slowly
        conn.execute("VACUUM (ANALYZE) reading_pv_inverter, interval_quantity")
    readings = len(names) * (end - begin) // QUARTER_US
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        took = 0.0
        for project in projects:
            began, spent = time.monotonic(), time.process_time()
            close_period(conn, project.id, begin, end, "bench")
            took += time.monotonic() - began
            print(f"closed {project.id}: {time.monotonic() - began:.2f} s, of it here"
                  f" {time.process_time() - spent:.2f} s of processor time")  # fmt: skip
    print(f"closed a month of {len(names)} devices, {readings} readings, in {took:.1f} s")
    return found | {"close_s": took}


def _verify(url: str, pipeline: Pipeline, begin: int, end: int) -> dict[str, float]:
    """Write the pack of a month at one minute, and verify it."""
    folder = pipeline.home / "pack"
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        (project,) = load_registry(conn).projects
        plan = plan_of(conn, project, begin, end)
        fleet = plan.fleet()
        frame = _frame(range(len(fleet)), begin, end, MINUTE_US)
        rows = remeter(fleet, [frame], monitored(plan.project, fleet), begin, end)
        case = Case(plan, [frame], rows, begin, end, load_book(conn))
        papers = bundle.Papers(compose(case, Label(1, CODE_VERSION)), None, ())
        whole = bundle.complete(conn, papers, case_files(case), logged=False)
    for name, data in whole.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    began, spent = time.monotonic(), time.process_time()
    report = verify(read_pack(folder))
    took, cpu = time.monotonic() - began, time.process_time() - spent
    if not report.ok:
        raise AssertionError(f"the bench's pack does not verify: {report}")
    digest = canonical.sha256_hex((folder / "statement.json").read_bytes())[:8]
    print(f"verified {len(frame)} readings of {len(fleet)} devices ({digest}) in {took:.2f} s,"
          f" {cpu:.2f} s of processor time")  # fmt: skip
    shutil.rmtree(folder)
    return {"verify_month_s": took, "verify_month_readings_per_cpu_s": len(frame) / cpu}


def _frame(devices: list[int] | range, begin: int, end: int, step_us: int) -> Frame:
    """Readings of inverters from day to day, the sun's power and a register that it fills."""
    times = np.arange(begin, end, step_us, dtype=np.int64) + 17_000_000
    hour = ((times + 7 * 3_600_000_000) % 86_400_000_000) / 3_600_000_000
    power = np.maximum(np.sin((hour - 6) / 12 * np.pi), 0) * 80_000
    energy = np.cumsum(power * step_us / 3_600_000_000).astype(np.int64)
    many = len(devices)
    columns = {}
    for channel in classes.load()["pv_inverter"].channels.values():
        if channel.kind == "register":
            columns[channel.name] = np.full(many * len(times), NULL, dtype=np.int64)
        else:
            columns[channel.name] = np.full(many * len(times), np.nan)
    columns["energy_export_wh"] = np.concatenate([energy + 1000 * d for d in devices])
    columns["active_power_w"] = np.tile(np.round(power, 1), many)
    index = np.repeat(np.array(list(devices), dtype=np.int32), len(times))
    nobody = np.zeros(many * len(times), dtype=np.int32)
    return Frame("pv_inverter", index, np.tile(times, many), nobody, columns)
