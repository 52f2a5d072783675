"""
How long every query of every dashboard takes over a year of 200 devices, or on 10,000.

    python -m tests.bench.dashboards                # fills a database first: some minutes
    python -m tests.bench.dashboards --large        # 10,000 devices, two weeks
    python -m tests.bench.dashboards --url URL      # one that was filled so before

Each query runs as the dashboards' role over its dashboard's own range with all of each
variable chosen, three times; the median counts.  Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from services.local.postgres import Postgres
from services.store.postgres.migrate import migrate
from services.store.postgres.pool import connect
from tests.grafana import city
from tests.grafana.fill import fill
from tests.grafana.fleet import YEAR, Size
from tests.grafana.macros import boards, panels

# 10,000 devices, as many of each class as a city has
LARGE = Size(15, 60, 4000, 1500, 1500, 2000, 400, 300, 200, 50)
_TIMES = 3
_SHOWN = 12


def main() -> None:
    """Fill a year where none is given, and measure."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.dashboards", description=__doc__)
    parser.add_argument("--url")
    parser.add_argument("--large", action="store_true")
    options = parser.parse_args()
    url = options.url
    if url is not None:
        report(measure(url))
        return
    with tempfile.TemporaryDirectory() as folder:
        server = Postgres(Path(folder))
        server.start()
        try:
            migrate(server.url)
            fill(server.url, Path(folder), LARGE if options.large else YEAR)
            report(measure(server.url))
        finally:
            server.stop()


def measure(url: str) -> dict[str, float]:
    """Median time of each panel's query. [ms]"""
    found = {}
    with connect(url, role="tonne_grafana", autocommit=True) as conn:
        for board in boards():
            for panel in panels(board):
                for target in panel["targets"]:
                    if "rawSql" in target:
                        found[f"{board['uid']}: {panel['title']}"] = _median(conn, board, target)
    return found


def _median(conn: Any, board: dict[str, Any], target: dict[str, Any]) -> float:
    times = []
    for _ in range(_TIMES):
        query = city.expanded(conn, board, target["rawSql"], datetime.now(UTC))
        began = time.perf_counter()
        conn.execute(query).fetchall()
        times.append((time.perf_counter() - began) * 1000)
    return median(times)


def report(found: dict[str, float]) -> None:
    """Print the slowest, and the figures."""
    for name, ms in sorted(found.items(), key=lambda one: -one[1])[:_SHOWN]:
        print(f"{ms:7.0f} ms  {name}")
    figures = {
        "dashboard_queries": len(found),
        "dashboard_median_ms": round(median(found.values()), 1),
        "dashboard_slowest_ms": round(max(found.values()), 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
