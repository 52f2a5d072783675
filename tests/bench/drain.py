"""A backlog of a persistent session processed by `tonne run`, compared with the raw COPY rate."""

import time
from itertools import islice

import numpy as np
import psycopg

from ingest import classes
from ingest.model import Device, Fleet, Frame
from services.store.postgres.binary_copy import Words
from services.store.timeseries.readings import copy_new
from tests.bench import load
from tests.bench.spent import cpu_s
from tests.derived import derived
from tests.running import Pipeline

DEVICES, EACH = 2_000, 100
TOTAL = DEVICES * EACH


def measure(pipeline: Pipeline) -> dict[str, float]:
    """Return messages per second from the start of the backlog to the last commit."""
    pipeline.register(load.registry(DEVICES))
    copy_rate = raw_copy(pipeline.urls.database_url)
    preload(pipeline)
    log = pipeline.home / "run.log"
    with pipeline.running(log) as process:
        stack = pipeline.stack
        pids = {"run": process.pid, "postgres": stack.postgres.pid, "broker": stack.mosquitto.pid}
        began = pipeline.receiving_since(log)
        before = {name: cpu_s(pid or 0) for name, pid in pids.items()}
        stored = pipeline.wait_for("tonne_ingest_messages_total", TOTAL)
        derived(pipeline.urls.database_url)
        ended = time.time()
        spent = {n: (cpu_s(pid or 0) - before[n]) / TOTAL * 1e6 for n, pid in pids.items()}
    check(pipeline.urls.database_url)
    rate = TOTAL / (ended - began)
    print(f"drained {TOTAL} messages of 12 channels in {ended - began:.2f} s: {rate:,.0f}/s,")
    print(f"  stored and acknowledged in {stored - began:.2f} s")
    print(f"  {rate / copy_rate:.2f} of the raw COPY rate of {copy_rate:,.0f} rows/s")
    print(
        "  microseconds of processor time a message:", {n: round(us, 1) for n, us in spent.items()}
    )
    return {
        **{f"drain_{name}_us": us for name, us in spent.items()},
        "drain_messages_per_s": rate,
        "copy_rows_per_s": copy_rate,
        "drain_to_copy": rate / copy_rate,
    }


def preload(pipeline: Pipeline, client_id: str = "tonne-run") -> None:
    """Open the persistent session, disconnect, and publish the backlog."""
    pipeline.open_session(client_id)
    publisher = load.Publisher(pipeline.stack.mosquitto.port)
    backlog = load.messages(DEVICES, EACH)
    while batch := list(islice(backlog, 20_000)):
        publisher.send(batch)
    publisher.close()


def raw_copy(database_url: str) -> float:
    """Return rows per second of binary COPY alone, with the same rows and kind of table."""
    fleet = Fleet([Device(f"copy-{i:05d}", "bench", "pv_inverter") for i in range(DEVICES)])
    rows = 20_000
    ids = Words.of([d.id for d in fleet.devices])
    columns = {
        name: np.full(
            rows,
            12_345 if c.kind == "register" else 12.5,
            np.int64 if c.kind == "register" else np.float64,
        )
        for name, c in classes.load()["pv_inverter"].channels.items()
    }
    device = np.tile(np.arange(DEVICES, dtype=np.int32), rows // DEVICES)
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        began = time.monotonic()
        for k in range(10):
            minute = np.repeat(np.arange(rows // DEVICES), DEVICES) + k * (rows // DEVICES)
            time_us = load.START_MS * 1000 + minute * 60_000_000
            frame = Frame("pv_inverter", device, time_us, device, columns)
            copy_new(cursor, ids, frame)
            connection.commit()
        took = time.monotonic() - began
    return 10 * rows / took


def check(database_url: str) -> None:
    """Check that all messages are stored, and that intervals have the registers' increase."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "SELECT count(*),"
            " (SELECT sum(value) FROM interval_quantity WHERE quantity = 'energy_export'),"
            " (SELECT count(*) FROM interval_emission), (SELECT count(*) FROM dead_letter)"
            " FROM reading_pv_inverter WHERE device_id LIKE 'bench-%'"
        ).fetchone()
        rise = connection.execute(
            "SELECT sum(d) FROM (SELECT max(energy_export_wh) - min(energy_export_wh) AS d"
            " FROM reading_pv_inverter WHERE device_id LIKE 'bench-%' GROUP BY device_id) AS r"
        ).fetchone()
    print(f"stored {row[0]} readings, {row[2]} emission rows, {row[3]} dead letters;")
    print(f"  {row[1]} Wh in intervals, {rise[0]} Wh by the registers")
    if row[0] != TOTAL or row[1] != rise[0] or row[3]:
        raise AssertionError(f"the drain lost or made something: {row}, rise {rise}")
