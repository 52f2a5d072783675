"""
Costs that increase as fleet and history grow: commit, late reading, queries, close, verify, size.

    python -m tests.bench.growth 100x1 1000x1 100x12 100000x3d
    python -m tests.bench.growth 100000x1d/24h --parts size read compressed days sums
    python -m tests.bench.growth 5x17/8h --parts stored
    # 1,550 chunks of 8 hours
    python -m tests.bench.growth 10000x1 --home FOLDER --keep
    # filled once
    python -m tests.bench.growth 10000x1 --home FOLDER --keep --parts sums days

Each point is a number of devices and of months, or of days, in chunks of a week, or of a number of
hours.  A few devices are stored as `tonne run` stores them, for a month at least; all others are
rows of the same width, so that tables, indexes and chunks are as large as those of a real fleet.
Sealing, closing and verifying are measured for the few devices, among all rows:
`tests.bench.sealing` seals a fleet.  Times are processor times: milliseconds of this process and
its database session, seconds of this process and the whole server; `clock` is elapsed time.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from statistics import median
from typing import NamedTuple, TypeVar

import numpy as np
import psycopg
from psycopg import sql

from ingest.model import Frame
from mrv.calendar import midnight_us
from mrv.packs.reader import read_pack
from mrv.verify import verify
from services.issuer.pack import export
from services.local.stack import Postgres
from services.processing.commit import Store
from services.settle import Plan
from services.store.dead_letter_write import Letters
from services.store.postgres import columnstore
from services.store.postgres.migrate import migrate
from services.store.postgres.pool import connect, stamp
from services.store.registry import load as registry
from services.store.registry.load import load_book
from services.store.timeseries.interval_rows import intervals_of
from services.store.views import console, coverage
from services.store.views.fleet_metrics import refresh_days
from tests.bench import dashboards, fleet_rows, month
from tests.bench.alone import options, tell
from tests.bench.fleet_rows import TABLES
from tests.bench.spent import alone_s, cpu_s
from tests.bench.stages_store import register
from tests.running import Pipeline
from tests.services.issuer.sealed import close_period, up_to

T = TypeVar("T")
POINTS = ("100x1", "1000x1", "100x12")
SUBJECTS = 5
SUBJECT = "bench-00001"
ZONE = "Asia/Ho_Chi_Minh"
DAY_US = 86_400_000_000
LATE_DAYS = (1, 30, 365, 1825)
_NONE = Letters([], [], [], [], 0)
_BOARD = (
    "SELECT date_trunc('day', start), sum(reduction_ug) FROM interval_emission"
    " WHERE project_id = 'bench-000' AND start >= %s AND start < %s GROUP BY 1"
)
_CHUNKS = (
    "SELECT set_chunk_time_interval(name::regclass, make_interval(hours => %s))"
    " FROM unnest(%s::text[]) name"
)
# from the registry, while the days of the few are sealed: their rows stay
_OTHERS = (("project_device", "device_id"), ("device_rating", "device_id"), ("device", "id"))


class Point(NamedTuple):
    """A number of devices, of months or days of history, and a chunk length if not a week."""

    devices: int
    months: int
    days: int | None
    chunk_hours: int | None = None

    @staticmethod
    def of(text: str) -> Point:
        """Read `DEVICESxMONTHS` or `DEVICESxDAYSd`, and `/HOURSh` for the length of chunks."""
        history, _, chunk = text.partition("/")
        devices, history = history.split("x")
        hours = int(chunk.removesuffix("h")) if chunk else None
        days = int(history[:-1]) if history.endswith("d") else None
        return Point(int(devices), 1 if days else int(history), days, hours)

    @property
    def begin_us(self) -> int:
        """Return the start of the history of the few devices."""
        year, number = divmod(2026 * 12 + 3 - self.months, 12)
        return midnight_us(date(year, number + 1, 1), ZONE)

    @property
    def since_us(self) -> int:
        """Return the start of the history of all other devices."""
        return self.begin_us if self.days is None else month.END_US - self.days * DAY_US


def measure(pipeline: Pipeline) -> dict[str, float]:
    """Return figures of points that take a few minutes."""
    figures: dict[str, float] = {}
    for point in POINTS:
        figures |= at(pipeline.home / "growth", point, list(PARTS), keep=False)
    return figures


def at(home: Path, text: str, parts: Sequence[str], *, keep: bool) -> dict[str, float]:
    """Return figures of one point; its server's folder is removed unless it is kept."""
    figures = {}
    with filled(home, text) as server:
        found = _Point(server, Point.of(text))
        for name, value in found.figures(parts):
            figures[f"growth_{text.replace('/', '_')}_{name}"] = value
            print(f"{text}: {name} {value:.2f}", flush=True)
        found.close()
    if not keep:
        shutil.rmtree(home)
    return figures


@contextmanager
def filled(home: Path, text: str) -> Iterator[Postgres]:
    """Start the server of a folder, filled by this or by an earlier call."""
    done = home / "filled"
    if done.exists() and done.read_text() != text:
        raise SystemExit(f"{home} holds {done.read_text()}, not {text}; name another folder")
    if not done.exists():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        began = time.monotonic()
        _fill(home, Point.of(text))
        print(f"{text}: filled in {time.monotonic() - began:.0f} s", flush=True)
        done.write_text(text)
    server = Postgres(home)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _fill(home: Path, point: Point) -> None:
    """Create the rows of all other devices, and store a few devices' readings."""
    server: Postgres = fleet_rows.Hurried(home)
    server.start()
    try:
        migrate(server.url)
        register(server.url, home, 100)
        grow(server.url, point.devices)
        with psycopg.connect(server.url, autocommit=True) as conn:
            if point.chunk_hours:
                conn.execute(_CHUNKS, [point.chunk_hours, list(TABLES)])
            span = fleet_rows.Span(SUBJECTS, point.devices, point.since_us, month.END_US)
            if point.devices > SUBJECTS:
                fleet_rows.fill(conn, span)
    finally:
        server.stop()
    server = Postgres(home)
    server.start()
    try:
        with connect(server.url, role="tonne_ingest", autocommit=True) as conn:
            store = _store(conn)
            whole = month.frame(range(SUBJECTS), month.QUARTER_US)
            for shift in _months(point.begin_us):
                store.commit(conn, [_moved(whole, shift)], [], _NONE)
        with psycopg.connect(server.url, autocommit=True) as conn:
            conn.execute("VACUUM (ANALYZE) " + ", ".join(TABLES))
    finally:
        server.stop()


def _store(conn: psycopg.Connection) -> Store:
    projects, fleet = registry.load_projects(conn), registry.load_fleet(conn)
    return Store(Plan.of(fleet, projects, load_book(conn)))


def _months(begin_us: int) -> Iterator[int]:
    """Return shifts of the month of readings, oldest first; registers continue to rise."""
    length = month.END_US - month.BEGIN_US
    count = -(-(month.BEGIN_US - begin_us) // length)
    for back in range(count, -1, -1):
        yield -back * length


class _Point:
    """A fleet's history up to the end of March 2026."""

    def __init__(self, server: Postgres, point: Point) -> None:
        began = time.monotonic()
        applied = migrate(server.url).applied
        self._migrate_s = time.monotonic() - began if applied else 0.0
        self._server, self._point = server, point
        self._conn = connect(server.url, role="tonne_ingest", autocommit=True)
        self._store = _store(self._conn)
        self._written: list[int] = []

    def close(self) -> None:
        """Close the connection."""
        self._conn.close()

    def figures(self, parts: Sequence[str]) -> Iterator[tuple[str, float]]:
        """Measure some parts."""
        yield "migrate_clock_s", self._migrate_s
        for part in parts:
            yield from PARTS[part](self)

    def _stored(self) -> Iterator[tuple[str, float]]:
        """Store new readings, and late ones by their place in the history."""
        yield from self._spent("commit", self._commits(), 10)
        for days in LATE_DAYS:
            if month.END_US - days * DAY_US >= self._point.begin_us:
                self._written.clear()
                yield from self._spent(f"late_{days}d", self._late(days), 7)
                yield f"late_{days}d_rows", median(self._written)

    def _read(self) -> Iterator[tuple[str, float]]:
        yield from self._spent("intervals", self._intervals, 10)
        yield from self._spent("board", self._board, 10)

    def _sizes(self) -> Iterator[tuple[str, float]]:
        """Return the size of the three tables, and bytes per row with its keys."""
        whole = 0.0
        for table in TABLES:
            row = self._conn.execute(
                "SELECT hypertable_size(%(t)s::regclass), approximate_row_count(%(t)s::regclass)",
                {"t": table},
            ).fetchone()
            size, count = (float(row[0]), float(row[1])) if row else (0.0, 0.0)
            whole += size
            yield f"{table}_row_bytes", size / max(count, 1)
        yield "size_mb", whole / 1e6

    def _compressed(self) -> Iterator[tuple[str, float]]:
        """Compress all chunks on TimescaleDB's Community edition; return sizes and reads again."""
        with psycopg.connect(self._server.url, autocommit=True) as conn:
            if reason := columnstore.why_not(conn):
                print(reason, flush=True)
                return
            seconds, clock, done = self._seconds(lambda: columnstore.compress(conn, 0))
        if done.failed:
            raise AssertionError(f"not compressed: {done.failed}")
        yield "compress_s", seconds
        yield "compress_clock_s", clock
        for part in (self._sizes, self._read):
            for name, value in part():
                yield f"compressed_{name}", value

    def _used(self) -> float:
        """Processor seconds of this process and of all of the server's."""
        return time.process_time() + cpu_s(self._server.pid or 0)

    def _spent(
        self, name: str, work: Callable[[], object], times: int
    ) -> Iterator[tuple[str, float]]:
        """
        Return milliseconds of processor and of elapsed time per call; the
        first call is omitted.
        """
        used, clock = [], []
        pid = self._conn.info.backend_pid
        work()
        for _ in range(times):
            began = time.monotonic(), time.process_time() + alone_s(pid)
            work()
            clock.append(time.monotonic() - began[0])
            used.append(time.process_time() + alone_s(pid) - began[1])
        yield f"{name}_ms", median(used) * 1_000
        yield f"{name}_clock_ms", median(clock) * 1_000

    def _commits(self) -> Callable[[], object]:
        """Store new readings of the subjects, each time 15 minutes later."""
        last = month.frame(range(SUBJECTS), month.QUARTER_US)
        count = len(last) // SUBJECTS
        one = last.take(np.arange(SUBJECTS) * count + count - 1)
        row = self._conn.execute(
            "SELECT (extract(epoch FROM max(time)) * 1000000)::bigint FROM reading_pv_inverter"
            " WHERE device_id = %s",
            [SUBJECT],
        ).fetchone()
        stored = (int(row[0]) if row else month.END_US) - int(one.time_us[1])
        shifts = iter(range(stored + month.QUARTER_US, stored + DAY_US, month.QUARTER_US))
        return lambda: self._commit(_moved(one, next(shifts)))

    def _late(self, days: int) -> Callable[[], object]:
        """Store late readings of one subject between two of its own."""
        noon = month.END_US - days * DAY_US + DAY_US // 2
        ends = iter(range(noon, noon + DAY_US, month.QUARTER_US))

        def commit() -> None:
            (since, low), (until, high) = self._about(next(ends))
            held = month.frame([1], month.QUARTER_US).take(np.array([0]))
            value = np.array([low + (high - low) // 3], dtype=np.int64)
            at_us = np.array([(since + until) // 2], dtype=np.int64)
            columns = held.columns | {"energy_export_wh": value}
            self._commit(replace(held, time_us=at_us, columns=columns))

        return commit

    def _about(self, time_us: int) -> list[tuple[int, int]]:
        """Return time and register of a subject's readings before and after a time."""
        found = []
        for before in ("time < %s ORDER BY time DESC", "time >= %s ORDER BY time"):
            row = self._conn.execute(
                "SELECT (extract(epoch FROM time) * 1000000)::bigint, energy_export_wh"
                " FROM reading_pv_inverter WHERE device_id = %s AND time > %s AND time < %s"
                f" AND {before} LIMIT 1".encode(),
                [SUBJECT, *(stamp(time_us + us) for us in (-DAY_US, DAY_US, 0))],
                prepare=False,
            ).fetchone()
            if row is None:
                raise LookupError(f"{SUBJECT} has no reading about {stamp(time_us)}")
            found.append((int(row[0]), int(row[1])))
        return found

    def _commit(self, frame: Frame) -> None:
        rows = self._store.commit(self._conn, [frame], [], _NONE).rows
        self._written.append(rows["interval_quantity"] + rows["interval_emission"])

    def _intervals(self) -> None:
        """Read a week of one device in tables with the rows of all others."""
        with self._conn.cursor() as cursor:
            fleet = self._store.plan.fleet
            since = month.END_US - 7 * DAY_US
            intervals_of(cursor, fleet, since, month.END_US, [fleet.devices[-1].id])

    def _board(self) -> None:
        self._conn.execute(_BOARD, (stamp(month.BEGIN_US), stamp(month.END_US))).fetchall()

    def _added_up(self) -> Iterator[tuple[str, float]]:
        """Update the daily sums of all devices, and again after a commit; return seconds."""
        later = self._commits()
        with connect(self._server.url, role="tonne_mrv", autocommit=True) as conn:
            conn.execute("SET statement_timeout = 0")
            for name in ("waiting", "again"):
                self._conn.execute("SELECT pg_stat_force_next_flush()")
                used, clock, _ = self._seconds(lambda: refresh_days(conn))
                yield f"days_{name}_s", used
                yield f"days_{name}_clock_s", clock
                later()

    def _asked(self) -> Iterator[tuple[str, float]]:
        """Run the queries of the console's overview, a project's page and the programme."""
        with connect(self._server.url, role="tonne_api", autocommit=True) as conn:
            conn.execute("SET statement_timeout = 0")
            asked: dict[str, Callable[[], object]] = {
                "sums_of_all": lambda: console.project_sums(conn),
                "sums_of_one": lambda: console.project_sums(conn, "bench-000"),
                "years": lambda: coverage.accounted(conn),
            }
            for name, ask in asked.items():
                used, clock, _ = self._seconds(ask)
                yield f"{name}_s", used
                yield f"{name}_clock_s", clock

    def _boards(self) -> Iterator[tuple[str, float]]:
        """Run every query of every board at the end of the history."""
        found = dashboards.measure(
            self._server.url, datetime.fromtimestamp(month.END_US / 1e6, UTC)
        )
        (board, title), took = max(found.items(), key=lambda one: one[1].clock_ms)
        print(f"slowest on {board}: {title}", flush=True)
        yield "boards_slowest_clock_ms", took.clock_ms
        yield "boards_slowest_ms", took.processor_ms
        yield "boards_median_clock_ms", median(one.clock_ms for one in found.values())

    def _closed(self) -> Iterator[tuple[str, float]]:
        """Seal the subjects' days, close their last month, verify its pack; seconds."""
        with self._alone(), connect(self._server.url, role="tonne_mrv", autocommit=True) as conn:
            conn.execute("SET statement_timeout = 0")
            seconds, clock, sealed = self._seconds(
                lambda: up_to(conn, month.END_US, self._server.home)
            )
            yield "seal_days", sealed.days
            yield "seal_day_ms", seconds * 1_000 / max(sealed.days, 1)
            yield "seal_clock_s", clock
            seconds, clock, closed = self._seconds(
                lambda: close_period(conn, "bench-000", month.BEGIN_US, month.END_US, "bench")
            )
            yield "close_s", seconds
            yield "close_clock_s", clock
            folder = self._server.home / "pack"
            shutil.rmtree(folder, ignore_errors=True)
            export(conn, closed.statement, folder)
            seconds, clock, found = self._seconds(lambda: verify(read_pack(folder)))
        if not found.consistent:
            raise AssertionError("the pack does not verify")
        yield "verify_s", seconds
        yield "verify_clock_s", clock

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Context in which only the subjects are registered; the rows of all others stay."""
        names = [sql.Identifier(table) for table, _ in _OTHERS]
        aside = [sql.Identifier(f"bench_{table}") for table, _ in _OTHERS]
        with psycopg.connect(self._server.url, autocommit=True) as conn:
            conn.execute("SET session_replication_role = replica")  # ratings are append-only
            for (_, column), name, held in zip(_OTHERS, names, aside, strict=True):
                others = sql.SQL("{} >= {}").format(sql.Identifier(column), f"bench-{SUBJECTS:05d}")
                conn.execute(
                    sql.SQL("CREATE TABLE {} AS SELECT * FROM {} WHERE {}").format(
                        held, name, others
                    )
                )
                conn.execute(sql.SQL("DELETE FROM {} WHERE {}").format(name, others))
            conn.execute("DELETE FROM remake_request")
            try:
                yield
            finally:
                for name, held in zip(names, aside, strict=True):
                    conn.execute(sql.SQL("INSERT INTO {} SELECT * FROM {}").format(name, held))
                    conn.execute(sql.SQL("DROP TABLE {}").format(held))

    def _seconds(self, work: Callable[[], T]) -> tuple[float, float, T]:
        """Return processor time of this process and the server, elapsed time, and the result."""
        used, began = self._used(), time.monotonic()
        found = work()
        return self._used() - used, time.monotonic() - began, found


PARTS: dict[str, Callable[[_Point], Iterator[tuple[str, float]]]] = {
    "size": _Point._sizes,
    "stored": _Point._stored,
    "read": _Point._read,
    "sums": _Point._asked,
    "days": _Point._added_up,
    "boards": _Point._boards,
    "close": _Point._closed,
    "compressed": _Point._compressed,
}


def _moved(frame: Frame, by_us: int) -> Frame:
    """Return the same readings at another time; the register rises by 19 MWh a month."""
    length = month.END_US - month.BEGIN_US
    rise = by_us * 19_000_000 // length
    held = frame.columns["energy_export_wh"]
    columns = frame.columns | {"energy_export_wh": held + 10**10 + rise}
    return replace(frame, time_us=frame.time_us + by_us, columns=columns)


def main() -> None:
    """Measure the requested points, on separate servers."""
    parser = options("growth", __doc__)
    parser.add_argument("points", nargs="*", default=list(POINTS))
    parser.add_argument("--keep", action="store_true", help="the folder, for another call")
    parser.add_argument("--fill", action="store_true", help="and measure nothing")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    asked = parser.parse_args()
    if asked.fill:
        for point in asked.points:
            with filled(asked.home.resolve(), point):
                pass
        return
    figures: dict[str, float] = {}
    for point in asked.points:
        figures |= at(asked.home.resolve(), point, asked.parts, keep=asked.keep)
    tell(figures)


def grow(url: str, devices: int) -> None:
    """Extend a registry of a hundred devices to many by SQL: the import is not measured."""
    with psycopg.connect(url) as conn:
        conn.execute(
            "INSERT INTO device (id, site, class, profile, rated_power_w, installed)"
            " SELECT format('bench-%%s', lpad(n::text, 5, '0')), site, class, profile,"
            " rated_power_w, installed FROM device, generate_series(100, %s - 1) n"
            " WHERE id = 'bench-00000'",
            [devices],
        )
        names = conn.execute(
            "SELECT column_name::text FROM information_schema.columns"
            " WHERE table_name = 'project' AND column_name <> 'id'"
        ).fetchall()
        held = ", ".join(name for (name,) in names)
        conn.execute(
            f"INSERT INTO project (id, {held})"
            f" SELECT format('bench-%%s', lpad(n::text, 3, '0')), {held}"
            " FROM project, generate_series(1, %s / 100 - 1) n WHERE id = 'bench-000'".encode(),
            [devices],
        )
        conn.execute(
            "INSERT INTO project_device SELECT format('bench-%%s', lpad(n::text, 3, '0')),"
            " format('bench-%%s', lpad((n * 100 + position)::text, 5, '0')), role, params,"
            " position, during FROM project_device, generate_series(1, %s / 100 - 1) n"
            " WHERE project_id = 'bench-000'",
            [devices],
        )
        conn.execute("INSERT INTO registry_version (author, changes) VALUES ('bench', '[]')")
        conn.execute("DELETE FROM remake_request")


if __name__ == "__main__":
    main()
