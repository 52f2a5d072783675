"""A hundred thousand sewer assets read, checked and stored; a window of them, and all counted."""

from __future__ import annotations

import time
from pathlib import Path

import psycopg

from services.api.console.maps import sewers as sewer_map
from services.sewers.assets import check
from services.sewers.files import read
from services.store.registry import sewers
from tests.running import Pipeline

_SIDE = 224  # nodes a side: 50,176 of them, and about as many pipes
_STEP = 0.0004
_WEST, _SOUTH = 106.60, 20.80
_WINDOWS, _TIMES = 50, 10
_EARTH = (-180.0, -90.0, 180.0, 90.0)


def _network(path: Path) -> None:
    """Write rows of streets that drain eastwards, each row to an outfall of its own."""
    rows = ["id,kind,from_node,to_node,lon,lat,path,level_m,level_to_m,diameter_mm,material"]
    for y in range(_SIDE):
        for x in range(_SIDE):
            kind = "outfall" if x == _SIDE - 1 else "manhole"
            lon, lat = f"{_WEST + x * _STEP:.6f}", f"{_SOUTH + y * _STEP:.6f}"
            rows.append(f"N-{y}-{x},{kind},,,{lon},{lat},,{20 - 0.05 * x:.2f},,,concrete")
            if x:
                before = f"{_WEST + (x - 1) * _STEP:.6f}"
                rows.append(
                    f"P-{y}-{x},pipe,N-{y}-{x - 1},N-{y}-{x},,,{before} {lat};{lon} {lat},"
                    f"{20 - 0.05 * (x - 1):.2f},{20 - 0.05 * x:.2f},600,concrete"
                )
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def measure(pipeline: Pipeline) -> dict[str, float]:
    """Import and query times. [s, ms]"""
    pipeline.tonne("migrate")
    file = pipeline.home / "network.csv"
    _network(file)
    begin = time.perf_counter()
    network = read([file])
    problems = [*network.problems, *check(network.assets, network.places)]
    assert not problems, problems[:3]
    with psycopg.connect(pipeline.urls.database_url, autocommit=True) as conn:
        sewers.write(conn, network.assets.values(), [], "bench")
        imported_s = time.perf_counter() - begin
        conn.execute("ANALYZE sewer_asset")
        took, held = [], 0
        for i in range(_WINDOWS):
            west, south = _WEST + i * 0.001, _SOUTH + i * 0.001
            begin = time.perf_counter()
            held = len(sewers.within(conn, (west, south, west + 0.01, south + 0.01), 2_001))
            took.append(time.perf_counter() - begin)
        counted, drawing = [], []
        for _ in range(_TIMES):
            begin = time.perf_counter()
            whole = sewer_map.fitted(sewers.extent(conn) or _EARTH)
            cells = sewers.cells(conn, whole, (sewer_map.COLUMNS, sewer_map.ROWS))
            counted.append(time.perf_counter() - begin)
            begin = time.perf_counter()
            found = sewers.within(conn, whole, sewer_map.MOST_DRAWN + 1)
            sewer_map.drawn(whole, found[: sewer_map.MOST_DRAWN], cells)
            drawing.append(time.perf_counter() - begin)
        assert sum(one.assets for one in cells) == len(network.assets)
    return {
        "sewer_assets": len(network.assets),
        "sewer_import_s": round(imported_s, 1),
        "sewer_window_assets": held,
        "sewer_window_p50_ms": round(sorted(took)[_WINDOWS // 2] * 1000, 1),
        "sewer_window_max_ms": round(max(took) * 1000, 1),
        "sewer_counted_p50_ms": round(sorted(counted)[_TIMES // 2] * 1000, 1),
        "sewer_drawn_p50_ms": round(sorted(drawing)[_TIMES // 2] * 1000, 1),
    }
