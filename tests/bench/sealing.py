"""
Cost of sealing a fleet's days, and of counting the arrival of their readings.

    python -m tests.bench.sealing --devices 10000 --days 2 [--profile]

Rows of all devices are created in SQL, a reading every 15 minutes, in projects of a hundred
devices; then their days are sealed as by `tonne log seal`, one day after another.
"""

import cProfile
import pstats
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta

import numpy as np
import psycopg
from psycopg import Connection

from mrv.calendar import midnight_us
from mrv.signatures.keys import SigningKey
from mrv.statement.device_days import LATE_US
from services.issuer import keys
from services.issuer.seal import arrival_of, seal
from services.issuer.sealed_contents import SETTLE_US, ended
from services.issuer.transitions import Signer
from services.store.dead_letter_write import Letters
from services.store.postgres.pool import connect, stamp
from services.store.registry import load as registry
from services.store.registry import signing_keys
from services.store.timeseries import last_seen
from tests.bench import month
from tests.bench.alone import alone, options
from tests.bench.fleet_rows import TABLES
from tests.bench.spent import cpu_s
from tests.bench.stages_store import database
from tests.running import Pipeline

DEVICES, DAYS = 1_000, 2
FIRST = date(2026, 3, 2)
ZONE = "Asia/Ho_Chi_Minh"
HOUR_US = 3_600_000_000
_TIMES = "generate_series(%(from)s::timestamptz, %(to)s::timestamptz, interval '15 min') t"
_WHO = "generate_series(%(first)s::int, %(last)s::int) d"
_FILL = (
    (
        "INSERT INTO reading_pv_inverter (device_id, time, energy_export_wh, active_power_w)"
        " SELECT format('bench-%%s', lpad(d::text, 5, '0')), t,"
        f" (extract(epoch FROM t) / 100)::bigint, 20000 + d FROM {_TIMES}, {_WHO}"
    ),
    (
        "INSERT INTO interval_quantity (device_id, quantity, start, value, measured_us,"
        " estimated_us, unknown_us, register_value, register_read, register_changed, metering)"
        " SELECT format('bench-%%s', lpad(d::text, 5, '0')), 'energy_export', t, 5000 + d,"
        f" 900000000, 0, 0, (extract(epoch FROM t) / 100)::bigint, t, t, 2 FROM {_TIMES}, {_WHO}"
    ),
    (
        "INSERT INTO interval_emission SELECT format('bench-%%s', lpad((d / 100)::text, 3, '0')),"
        " format('bench-%%s', lpad(d::text, 5, '0')), t, 2000000 + d, 0, 0, 2000000 + d,"
        f" 'jcm-vn-am007@1.0', 'vn-grid' FROM {_TIMES}, {_WHO}"
    ),
)
# one in ten readings of an hour comes in the next one
_ARRIVED = (
    "INSERT INTO arrival_count SELECT format('bench-%%s', lpad(d::text, 5, '0')), t,"
    " t + n * interval '1 hour', 4 - n * 3 FROM"
    " generate_series(%(from)s::timestamptz, %(to)s::timestamptz, interval '1 hour') t,"
    " generate_series(%(first)s::int, %(last)s::int) d, generate_series(0, 1) n"
    " WHERE n = 0 OR d %% 10 = 0"
)


def measure(pipeline: Pipeline) -> dict[str, float]:
    """Return figures of a fleet that takes a few minutes."""
    return at(pipeline, DEVICES, DAYS)


def at(pipeline: Pipeline, devices: int, days: int, *, profile: bool = False) -> dict[str, float]:
    """Return processor times of this process and of its session, by number of devices and days."""
    url = database(pipeline, f"sealing_{devices}", devices)
    edges = [midnight_us(FIRST + timedelta(days=n), ZONE) for n in range(days + 1)]
    began = time.monotonic()
    _fill(url, devices, edges)
    print(f"{devices} devices, {days} days: filled in {time.monotonic() - began:.0f} s", flush=True)
    figures: dict[str, float] = {}
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        signer = _signer(conn)
        for n, end_us in enumerate(edges[1:]):
            name = "first" if n == 0 else "day"  # the first enters the registry, too
            with _spent(conn, figures, f"seal_{name}"), _profiled(profile and n == days - 1):
                report = seal(conn, signer, end_us + SETTLE_US + HOUR_US)
            print(f"{report.days} days sealed", flush=True)
        with _spent(conn, figures, "again"):
            seal(conn, signer, edges[-1] + SETTLE_US + 2 * HOUR_US)
        figures |= _arrival(conn, edges, devices)
    figures |= _counting(url, devices)
    with psycopg.connect(pipeline.urls.database_url, autocommit=True) as conn:
        conn.execute(f"DROP DATABASE sealing_{devices} WITH (FORCE)")
    return {f"sealing_{name}": value for name, value in figures.items()}


def _fill(url: str, devices: int, edges: list[int]) -> None:
    span = {
        "from": stamp(edges[0]),
        "to": stamp(edges[-1] - month.QUARTER_US),
        "first": 0,
        "last": devices - 1,
    }
    with psycopg.connect(url, autocommit=True) as conn:
        for statement in (*_FILL, _ARRIVED):
            conn.execute(statement.encode(), span)
        conn.execute("VACUUM (ANALYZE) arrival_count, " + ", ".join(TABLES))


def _signer(conn: Connection) -> Signer:
    key = SigningKey(bytes(32))
    holder = keys.EnrolledKey("bench-log", "log", key.public_multikey)
    signing_keys.enroll(conn, holder)
    return Signer(key, holder)


def _arrival(conn: Connection, edges: list[int], devices: int) -> dict[str, float]:
    """
    Read the arrival of the last day's readings, project by project, and
    of all in one project.
    """
    figures: dict[str, float] = {}
    fleet = registry.load_fleet(conn)
    jobs = [one for one in ended(conn, fleet, edges[-1]) if one.to_us == edges[-1]]
    with _spent(conn, figures, "arrival_of_a_day"), conn.cursor() as cursor:
        count = sum(int(arrival_of(cursor, job)["readings"]) for job in jobs)
    if count != devices * 96 + devices // 10 * 24:
        raise AssertionError(f"{count} readings counted")
    ids = [one.id for one in fleet.devices]
    with _spent(conn, figures, "arrival_of_a_period"), conn.cursor() as cursor:
        found = last_seen.by_day(cursor, ids, (edges[0], edges[-1]), edges, LATE_US)
    if len(found) != devices * (len(edges) - 1):
        raise AssertionError(f"{len(found)} device-days counted")
    return figures


def _counting(url: str, devices: int) -> dict[str, float]:
    """Return the milliseconds for counting the arrivals of one interval of the whole fleet."""
    figures: dict[str, float] = {}
    with connect(url, role="tonne_ingest", autocommit=True) as conn:
        fleet = registry.load_fleet(conn)
        whole = month.frame(range(devices), 24 * month.QUARTER_US)
        step = len(whole) // devices
        frame = whole.take(np.arange(devices) * step)
        for name in ("new_hour", "same_hour"):
            letters = Letters([], [], [], [], month.BEGIN_US + HOUR_US)
            with (
                _spent(conn, figures, f"count_{name}"),
                conn.transaction(),
                conn.cursor() as cursor,
            ):
                last_seen.note(cursor, fleet, [frame], letters)
    return figures


@contextmanager
def _spent(conn: Connection, figures: dict[str, float], name: str) -> Iterator[None]:
    """Record seconds: of this process, of the session, and elapsed."""
    pid = conn.info.backend_pid
    began = time.process_time(), cpu_s(pid), time.monotonic()
    yield
    figures[f"{name}_cpu_s"] = time.process_time() - began[0]
    figures[f"{name}_server_cpu_s"] = cpu_s(pid) - began[1]
    figures[f"{name}_s"] = time.monotonic() - began[2]


@contextmanager
def _profiled(on: bool) -> Iterator[None]:
    profile = cProfile.Profile()
    if on:
        profile.enable()
    yield
    profile.disable()
    if on:
        pstats.Stats(profile).sort_stats("cumulative").print_stats(45)


def main() -> None:
    """Measure on servers of their own."""
    parser = options("sealing", __doc__)
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=2)
    parser.add_argument("--profile", action="store_true")
    alone(
        parser,
        lambda pipeline, asked: at(pipeline, asked.devices, asked.days, profile=asked.profile),
    )


if __name__ == "__main__":
    main()
