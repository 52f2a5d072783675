"""
What a reading costs hot and archived, and how fast days move and are read again.

    python -m tests.bench.archiving

simulates days of every class, a busier fleet of inverters and a year of one, each
reading at ten seconds, and seals them before the clock runs.
"""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import psycopg

from ingest.model import Frame
from services.store import readings
from services.store.binary_copy import Words
from services.store.pool import connect
from tests.bench import load, simulated_days
from tests.bench.simulated_days import DAY_US
from tests.running import Pipeline

CLASSES = ("pv_inverter", "ev_charger", "vehicle", "energy_meter", "air_station",
           "noise_station", "wastewater_plant")  # fmt: skip
# a Thursday: chunks begin on one
FROM_US = 1_759_968_000_000_000
EACH, FLEET, YEAR_DAYS = 2, 20, 365
YEAR = "year-000"


def measure(pipeline: Pipeline) -> dict[str, float]:
    """Bytes a reading, readings a second, seconds to verify."""
    pipeline.register(registry())
    figures = fill(pipeline)
    pipeline.tonne("log", "seal")
    figures |= archive(pipeline)
    figures |= verify(pipeline)
    return figures


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
    return {"sites": [load.SITE], "devices": devices}


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
    for number, device in enumerate(registry()["devices"]):
        days = YEAR_DAYS if device["id"] == YEAR else 7
        for day in range(days):
            begin = FROM_US + day * DAY_US
            frame = simulated_days.of(device["id"], device["class"], begin, begin + DAY_US)
            frame.device[:] = number
            yield frame


def archive(pipeline: Pipeline) -> dict[str, float]:
    """Move it all; processor seconds are those of `tonne archive run` alone."""
    with spent() as cpu:
        done = json.loads(pipeline.tonne(
            "archive", "run", "--url", str(pipeline.home / "archive"), "--days", "7", "--json"
        ))  # fmt: skip
    if done["refused"] or not done["dropped"]:
        raise AssertionError(f"not all of the bench's days were archived: {done}")
    figures = {"archive_rows_per_s": done["rows"] / cpu["wall_s"],
               "archive_rows_per_cpu_s": done["rows"] / cpu["cpu_s"]}  # fmt: skip
    print(f"archived {done['rows']:,} readings in {cpu['wall_s']:.1f} s")
    for class_id in CLASSES:
        files = [f for f in json.loads(pipeline.tonne("archive", "list", "--json"))
                 if f["class"] == class_id]  # fmt: skip
        figures[f"archived_bytes_{class_id}"] = sum(f["bytes"] for f in files) / sum(
            f["rows"] for f in files
        )
    whole = sum(f.stat().st_size for f in (pipeline.home / "archive").rglob("*") if f.is_file())
    figures["archived_bytes_with_manifests"] = whole / done["rows"]
    return figures


def verify(pipeline: Pipeline) -> dict[str, float]:
    """A month and a year of one device at ten seconds, from a command's start to its end."""
    figures = {}
    for name, days in (("month", 30), ("year", YEAR_DAYS)):
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
