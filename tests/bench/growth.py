"""
What costs more as fleet and history grow: commit, late reading, queries, close, verify, size.

    python -m tests.bench.growth 100x1 1000x1 100x12 100000x3d

Each point is devices by months, or by days.  A few devices are stored as `tonne run` stores
them, a month at the least; all others are rows of the same width made in SQL, so that tables,
indexes and chunks are as large as those of a real fleet.  Sealing, closing and verifying are
those of the few devices, among all rows: `tests.bench.sealing` seals a fleet.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from statistics import median
from typing import TypeVar

import numpy as np
import psycopg

from ingest.model import Frame
from mrv.calendar import midnight_us
from mrv.packs.reader import read_pack
from mrv.verify import verify
from services.issuer.pack import export
from services.processing.commit import Store
from services.settle import Plan
from services.store.messages.dead_letter_write import Letters
from services.store.postgres.pool import connect
from services.store.postgres.timestamps import stamp
from services.store.registry import load as registry
from services.store.registry.factors import load_book
from services.store.timeseries.interval_rows import intervals_of
from services.store.views.fleet_metrics import refresh_days
from tests.bench import month
from tests.bench.alone import alone, options
from tests.bench.bulk import indexed_after
from tests.bench.registry_change import grow
from tests.bench.spent import cpu_s
from tests.bench.stages_store import database
from tests.running import Pipeline
from tests.services.issuer.sealed import close_period, up_to

T = TypeVar("T")
POINTS = ("100x1", "1000x1", "100x12")
SUBJECTS = 5
ZONE = "Asia/Ho_Chi_Minh"
_NONE = Letters([], [], [], [], 0)
TABLES = ("reading_pv_inverter", "interval_quantity", "interval_emission")
_TIMES = "generate_series(%(from)s::timestamptz, %(to)s::timestamptz, interval '15 min') t"
_WHO = "generate_series(%(first)s::int, %(last)s::int) d"
FILL = (
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
_BOARD = (
    "SELECT date_trunc('day', start), sum(reduction_ug) FROM interval_emission"
    " WHERE project_id = 'bench-000' AND start >= %s AND start < %s GROUP BY 1"
)

# from the registry: their rows stay
_OTHERS_LEAVE = (
    b"DELETE FROM project_device WHERE device_id >= %s",
    b"DELETE FROM device_rating WHERE device_id >= %s",
    b"DELETE FROM device WHERE id >= %s",
)


def measure(pipeline: Pipeline, points: Sequence[str] = POINTS) -> dict[str, float]:
    """Figures of points; those that take a few minutes where none is named."""
    figures: dict[str, float] = {}
    for point in points:
        figures |= at(pipeline, point)
    return figures


def at(pipeline: Pipeline, point: str) -> dict[str, float]:
    """Figures of one point, `DEVICESxMONTHS` or `DEVICESxDAYSd`."""
    number, history = point.split("x")
    devices = int(number)
    url = database(pipeline, f"growth_{devices}_{history}", 100)
    grow(url, devices)
    found = _Point(pipeline, url, _begin(1 if history.endswith("d") else int(history)))
    began = time.monotonic()
    days = int(history[:-1]) if history.endswith("d") else None
    found.fill(devices, None if days is None else month.END_US - days * 86_400_000_000)
    print(f"{point}: filled in {time.monotonic() - began:.0f} s", flush=True)
    figures = {}
    for name, value in found.figures():
        figures[name] = value
        print(f"{point}: {name} {value:.2f}", flush=True)
    found.close()
    with psycopg.connect(pipeline.urls.database_url, autocommit=True) as conn:
        conn.execute(f"DROP DATABASE growth_{devices}_{history} WITH (FORCE)")
    return {f"growth_{point}_{name}": value for name, value in figures.items()}


def _begin(months: int) -> int:
    year, number = divmod(2026 * 12 + 3 - months, 12)
    return midnight_us(date(year, number + 1, 1), ZONE)


class _Point:
    """A database with a fleet's history up to the end of March 2026."""

    def __init__(self, pipeline: Pipeline, url: str, begin_us: int) -> None:
        self._home, self._url, self._begin_us = pipeline.home, url, begin_us
        self._conn = connect(url, role="tonne_ingest", autocommit=True)
        projects = registry.load_projects(self._conn)
        fleet = registry.load_fleet(self._conn)
        self._store = Store(Plan.of(fleet, projects, load_book(self._conn)))
        self._written: list[int] = []
        self._quarters = iter(range(1, 1_000))
        row = self._conn.execute("SELECT pg_backend_pid()").fetchone()
        self._pid = int(row[0]) if row else 0

    def fill(self, devices: int, since_us: int | None = None) -> None:
        """Store a few devices' readings, and make the rows of all others since a time."""
        whole = month.frame(range(SUBJECTS), month.QUARTER_US)
        for shift in self._months():
            self._store.commit(self._conn, [_moved(whole, shift)], [], _NONE)
        span = {
            "from": stamp(self._begin_us if since_us is None else since_us),
            "to": stamp(month.END_US - month.QUARTER_US),
            "first": SUBJECTS,
            "last": devices - 1,
        }
        with psycopg.connect(self._url, autocommit=True) as conn:
            conn.execute("SET synchronous_commit = off")
            with indexed_after(conn):
                for statement in FILL:
                    conn.execute(statement.encode(), span)
            conn.execute("VACUUM (ANALYZE) " + ", ".join(TABLES))

    def _months(self) -> Iterator[int]:
        """Shifts of the month of readings, oldest first; registers go on rising."""
        length = month.END_US - month.BEGIN_US
        count = -(-(month.BEGIN_US - self._begin_us) // length)
        for back in range(count, -1, -1):
            yield -back * length

    def close(self) -> None:
        """Leave the database."""
        self._conn.close()

    def figures(self) -> Iterator[tuple[str, float]]:
        """Measure; milliseconds of processor time, of ours and the server's, where not said."""
        row = self._conn.execute(
            "SELECT sum(hypertable_size(n::regclass))::bigint FROM unnest(%s::text[]) n",
            [list(TABLES)],
        ).fetchone()
        yield "size_mb", float(row[0]) / 1e6 if row else 0.0
        yield "commit_ms", self._spent(self._commits(), 10)
        for place, share in (("begin", 0.02), ("middle", 0.5), ("end", 0.95)):
            self._written.clear()
            yield f"late_{place}_ms", self._spent(self._late(share), 7)
            yield f"late_{place}_rows", median(self._written)
        yield "intervals_ms", self._spent(self._intervals, 10)
        yield "board_ms", self._spent(self._board, 10)
        yield from self._added_up()
        yield from self._closed()

    def _spent(self, work: Callable[[], object], times: int) -> float:
        """Median of processor time in ms, the first of all left out."""
        found = []
        for _ in range(times + 1):
            began = time.process_time() + cpu_s(self._pid)
            work()
            found.append((time.process_time() + cpu_s(self._pid) - began) * 1_000)
        return median(found[1:])

    def _commits(self) -> Callable[[], object]:
        """New readings of the subjects, a quarter of an hour later each time."""
        last = month.frame(range(SUBJECTS), month.QUARTER_US)
        count = len(last) // SUBJECTS
        one = last.take(np.arange(SUBJECTS) * count + count - 1)
        return lambda: self._commit(_moved(one, next(self._quarters) * month.QUARTER_US))

    def _late(self, share: float) -> Callable[[], object]:
        """A late reading of one subject between two of its own, at a place of its history."""
        end = month.END_US
        place = self._begin_us + int((end - self._begin_us) * share)
        waiting = iter(range(1_000))

        def commit() -> None:
            us = place + next(waiting) * 86_400_000_000 // 4
            row = self._conn.execute(
                "SELECT (extract(epoch FROM time) * 1000000)::bigint, energy_export_wh"
                " FROM reading_pv_inverter WHERE device_id = 'bench-00001' AND time <= %s"
                " ORDER BY time DESC LIMIT 1",
                [stamp(us)],
            ).fetchone()
            held = month.frame([1], month.QUARTER_US).take(np.array([0]))
            time_us, value = (int(row[0]), int(row[1])) if row else (us, 0)
            columns = held.columns | {"energy_export_wh": np.array([value], dtype=np.int64)}
            at_us = np.array([time_us + 60_000_000], dtype=np.int64)
            self._commit(replace(held, time_us=at_us, columns=columns))

        return commit

    def _commit(self, frame: Frame) -> None:
        rows = self._store.commit(self._conn, [frame], [], _NONE).rows
        self._written.append(rows["interval_quantity"] + rows["interval_emission"])

    def _intervals(self) -> None:
        day = 86_400_000_000
        with self._conn.cursor() as cursor:
            fleet = self._store.plan.fleet
            intervals_of(cursor, fleet, month.END_US - 7 * day, month.END_US, ["bench-00001"])

    def _board(self) -> None:
        span = (stamp(month.BEGIN_US), stamp(month.END_US))
        self._conn.execute(_BOARD, span).fetchall()

    def _added_up(self) -> Iterator[tuple[str, float]]:
        """Days of all, added up for the first time and again after a commit; processor seconds."""
        later = self._commits()
        with connect(self._url, role="tonne_mrv", autocommit=True) as conn:
            self._pid, own = conn.info.backend_pid, self._pid
            yield "days_first_s", self._seconds(lambda: refresh_days(conn))[0]
            later()
            self._conn.execute("SELECT pg_stat_force_next_flush()")
            yield "days_again_s", self._seconds(lambda: refresh_days(conn))[0]
        self._pid = own

    def _closed(self) -> Iterator[tuple[str, float]]:
        """Seal the subjects' days, close their last month, verify its pack; seconds."""
        with psycopg.connect(self._url, autocommit=True) as conn:
            conn.execute("SET session_replication_role = replica")  # ratings are append-only
            for statement in _OTHERS_LEAVE:
                conn.execute(statement, [f"bench-{SUBJECTS:05d}"])
            conn.execute("DELETE FROM remake_request")
        with connect(self._url, role="tonne_mrv", autocommit=True) as conn:
            self._pid = conn.info.backend_pid
            began = time.monotonic()
            seconds, sealed = self._seconds(lambda: up_to(conn, month.END_US))
            yield "seal_days", sealed.days
            yield "seal_day_ms", seconds * 1_000 / sealed.days
            seconds, closed = self._seconds(
                lambda: close_period(conn, "bench-000", month.BEGIN_US, month.END_US, "bench")
            )
            yield "close_processor_s", seconds
            yield "close_s", time.monotonic() - began
            folder = self._home / "pack"
            shutil.rmtree(folder, ignore_errors=True)
            export(conn, closed.statement, folder)
            seconds, found = self._seconds(lambda: verify(read_pack(folder)))
        if not found.consistent:
            raise AssertionError("the pack does not verify")
        yield "verify_processor_s", seconds

    def _seconds(self, work: Callable[[], T]) -> tuple[float, T]:
        """Return processor time, of ours and the server's, and what came of it."""
        began = time.process_time() + cpu_s(self._pid)
        found = work()
        return time.process_time() + cpu_s(self._pid) - began, found


def _moved(frame: Frame, by_us: int) -> Frame:
    """The same readings at another time; the register rises by 19 MWh a month, as it does."""
    length = month.END_US - month.BEGIN_US
    rise = by_us * 19_000_000 // length
    held = frame.columns["energy_export_wh"]
    columns = frame.columns | {"energy_export_wh": held + 10**10 + rise}
    return replace(frame, time_us=frame.time_us + by_us, columns=columns)


def main() -> None:
    """Measure the points asked for, on servers of their own."""
    parser = options("growth", __doc__)
    parser.add_argument("points", nargs="*", default=list(POINTS))
    alone(parser, lambda pipeline, asked: measure(pipeline, asked.points))


if __name__ == "__main__":
    main()
