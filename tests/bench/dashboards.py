"""
How long every query of every dashboard takes over a year of 200 devices, or on 10,000.

    python -m tests.bench.dashboards                    # fills a database first: some minutes
    python -m tests.bench.dashboards --large            # 10,000 devices, two weeks
    python -m tests.bench.dashboards --home FOLDER      # filled once, and kept for other benches
    python -m tests.bench.dashboards --url URL          # one that was filled so before

Each query runs as the dashboards' role over its dashboard's own range with all of each
variable chosen, three times; the median counts, by the clock and as processor time of the
session's process (parallel workers have their own, and are seen by the clock alone).  Ends
with one line of JSON.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from services.local.stack import Postgres
from services.store.postgres.migrate import migrate
from services.store.postgres.pool import connect
from tests.bench.simulated_days import indexed_after
from tests.bench.spent import cpu_s
from tests.grafana import city
from tests.grafana.fill import fill
from tests.grafana.fleet import YEAR, Size
from tests.grafana.macros import boards, panels

# 10,000 devices, as many of each class as a city has
LARGE = Size(15, 60, 4000, 1500, 1500, 2000, 400, 300, 200, 50)
_TIMES = 3
_SHOWN = 12


class Took(NamedTuple):
    """Elapsed time and processor time of a query. [ms]"""

    clock_ms: float
    processor_ms: float


def main() -> None:
    """Measure, after filling a database if none is given."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.dashboards", description=__doc__)
    parser.add_argument("--url")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--home", type=Path)
    options = parser.parse_args()
    if options.url is not None:
        report(measure(options.url))
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        filled(options.home or Path(folder), large=options.large) as url,
    ):
        report(measure(url))


@contextmanager
def filled(home: Path, *, large: bool) -> Iterator[str]:
    """Start the server of a folder, filled now or by an earlier call; return its URL."""
    home.mkdir(parents=True, exist_ok=True)
    server = Postgres(home.resolve())
    server.start()
    done = home / "filled"
    try:
        if not done.exists():
            migrate(server.url)
            began = time.monotonic()
            fill(server.url, home, LARGE if large else YEAR, around=indexed_after)
            print(f"filled in {time.monotonic() - began:.0f} s", flush=True)
            done.touch()
        yield server.url
    finally:
        server.stop()


def measure(url: str, until: datetime | None = None) -> dict[tuple[str, str], Took]:
    """Return the median times of each panel's query, by board, title and letter."""
    found = {}
    with connect(url, role="tonne_grafana", autocommit=True) as conn:
        for board in boards():
            for panel in panels(board):
                for target in panel["targets"]:
                    if "rawSql" in target:
                        name = f"{panel['title']} {target['refId']}"
                        found[board["uid"], name] = _median(conn, board, target, until)
    return found


def _median(
    conn: Any, board: dict[str, Any], target: dict[str, Any], until: datetime | None
) -> Took:
    times, pid = [], conn.info.backend_pid
    for _ in range(_TIMES):
        query = city.expanded(conn, board, target["rawSql"], until or datetime.now(UTC))
        spent, began = cpu_s(pid), time.perf_counter()
        conn.execute(query).fetchall()
        times.append((time.perf_counter() - began, cpu_s(pid) - spent))
    clock, processor = zip(*times, strict=True)
    return Took(median(clock) * 1000, median(processor) * 1000)


def report(found: dict[tuple[str, str], Took]) -> None:
    """Print the slowest, those of each board, and the figures."""
    ordered = sorted(found.items(), key=lambda one: -one[1].clock_ms)
    seen = set()
    for n, ((board, title), took) in enumerate(ordered):
        line = f"{took.clock_ms:7.0f} ms  processor {took.processor_ms:7.0f} ms  {board}: {title}"
        if n < _SHOWN or board not in seen:
            print(line)
        seen.add(board)
    figures = {
        "dashboard_queries": len(found),
        "dashboard_median_ms": round(median(one.clock_ms for one in found.values()), 1),
        "dashboard_slowest_ms": round(ordered[0][1].clock_ms, 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
