"""
What boards of PV hold the plants against: the sun under a clear sky, and the trend of years.

Clear skies are made for each site, tilt and azimuth of the registry, from five weeks back to
tomorrow, and kept for some time; where pvlib is not installed there are none.  Trends are made
again each day for inverters with two years of days.
"""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import numpy as np

from mrv.errors import MethodologyError
from mrv.exante.sun import Roof
from mrv.performance.clear_sky import plane_w_m2
from mrv.performance.degradation import Trend, year_on_year

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from psycopg import Connection

_BACK_D = 35
# of one round each: about ten seconds at most
_SKIES, _TRENDS = 100, 100
_TWO_YEARS_D = 729
_MISSING = """
SELECT w.site, w.tilt, w.azimuth, w.latitude, w.longitude, min(d.day), max(d.day)
FROM (
    SELECT DISTINCT d.site::text AS site, a.tilt, a.azimuth, s.latitude, s.longitude
    FROM v_device_array a JOIN device d ON d.id = a.device_id JOIN site s ON s.id = d.site
    WHERE a.tilt IS NOT NULL AND a.azimuth IS NOT NULL AND a.ends > now()
      AND (d.removed IS NULL OR d.removed > now())
) w
CROSS JOIN LATERAL (
    SELECT g::date AS day FROM generate_series((now() AT TIME ZONE 'UTC')::date - %(back)s,
        (now() AT TIME ZONE 'UTC')::date + 1, INTERVAL '1 day') g
) d
WHERE NOT EXISTS (
    SELECT FROM clear_sky_day c WHERE (c.site, c.tilt, c.azimuth, c.day)
        = (w.site, w.tilt, w.azimuth, d.day) AND c.place ~= point(w.longitude, w.latitude)
)
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3 LIMIT %(most)s
"""
_WRITE_SKY = (
    "INSERT INTO clear_sky_day (site, tilt, azimuth, day, place, w_m2)"
    " VALUES (%s, %s, %s, %s, point(%s, %s), %s::real[])"
    " ON CONFLICT (site, tilt, azimuth, day) DO UPDATE"
    " SET place = excluded.place, w_m2 = excluded.w_m2"
)
_FORGET_SKIES = (
    "DELETE FROM clear_sky_day WHERE ctid = ANY (ARRAY("
    " SELECT ctid FROM clear_sky_day WHERE day < %s LIMIT 10000))"
)
_DUE = """
SELECT d.id::text FROM device d
CROSS JOIN LATERAL (SELECT min(day) AS first, max(day) AS last FROM day_pv p
    WHERE p.device_id = d.id) days
LEFT JOIN pv_trend t ON t.device_id = d.id
WHERE d.class = 'pv_inverter' AND days.last - days.first >= %(least)s
  AND (t.made IS NULL OR t.made < (now() AT TIME ZONE 'UTC')::date)
ORDER BY t.made NULLS FIRST, d.id LIMIT %(most)s
"""
_RATIOS = (
    "SELECT device_id, day, performance_ratio_25 FROM v_day_pv"
    " WHERE device_id = ANY (%s) AND performance_ratio_25 IS NOT NULL ORDER BY device_id, day"
)
_WRITE_TREND = (
    "INSERT INTO pv_trend (device_id, made, first_day, last_day, pairs, percent_per_year, low,"
    " high) VALUES (%s, (now() AT TIME ZONE 'UTC')::date, %s, %s, %s, %s, %s, %s)"
    " ON CONFLICT (device_id) DO UPDATE SET made = excluded.made, first_day = excluded.first_day,"
    " last_day = excluded.last_day, pairs = excluded.pairs,"
    " percent_per_year = excluded.percent_per_year, low = excluded.low, high = excluded.high"
)


@dataclass(frozen=True, slots=True)
class Made:
    """How many arrays got their sky, and how many inverters their trend."""

    skies: int
    trends: int


def refresh(conn: Connection) -> Made:
    """
    Make what is missing, of each some; whoever calls again makes the rest.

    Raises
    ------
    MethodologyError
        Where the process that makes skies ends early.
    """
    trends = _trends(conn)
    return Made(_skies(conn), trends)


def forget_skies(conn: Connection, before: date) -> int:
    """Remove clear skies of days before this one, some in each transaction; return how many."""
    gone = 0
    while some := conn.execute(_FORGET_SKIES, [before]).rowcount:
        gone += some
    return gone


def _skies(conn: Connection) -> int:
    if find_spec("pvlib") is None:
        return 0
    wanted = conn.execute(_MISSING, {"back": _BACK_D, "most": _SKIES}).fetchall()
    if not wanted:
        return 0
    # pvlib and pandas would stay in this process, with 150 MB
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
            made = apart.submit(_planes, wanted).result()
    except (BrokenProcessPool, OSError) as error:
        raise MethodologyError(
            f"clear skies were not made, their process ended early: {error}; is there memory?"
        ) from error
    rows = [
        (site, tilt, azimuth, first + np.timedelta64(k, "D").item(), longitude, latitude, day)
        for (site, tilt, azimuth, latitude, longitude, first, _), days in zip(
            wanted, made, strict=True
        )
        for k, day in enumerate(days)
    ]
    with conn.transaction():
        conn.cursor().executemany(_WRITE_SKY, rows)
    return len(wanted)


def _planes(wanted: Sequence[tuple[Any, ...]]) -> list[list[list[float]]]:
    return [
        np.round(
            plane_w_m2(
                Roof(latitude, longitude, float(tilt), float(azimuth)),
                first,
                (last - first).days + 1,
            ),
            1,
        ).tolist()
        for _, tilt, azimuth, latitude, longitude, first, last in wanted
    ]


def _trends(conn: Connection) -> int:
    due = [
        one for (one,) in conn.execute(_DUE, {"least": _TWO_YEARS_D, "most": _TRENDS}).fetchall()
    ]
    if not due:
        return 0
    found: defaultdict[str, list[tuple[Any, float]]] = defaultdict(list)
    for device, day, ratio in conn.execute(_RATIOS, [due]).fetchall():
        found[device].append((day, ratio))
    with conn.transaction():
        conn.cursor().executemany(_WRITE_TREND, [_row(one, found[one]) for one in due])
    return len(due)


def _row(device: str, days: list[tuple[Any, float]]) -> tuple[Any, ...]:
    """Return the row of a device; without rates where its days with a ratio are too few."""
    trend: Trend | None = None
    if days:
        trend = year_on_year(
            np.array([day for day, _ in days], dtype="datetime64[D]"),
            np.array([ratio for _, ratio in days], dtype=float),
        )
    first, last = (days[0][0], days[-1][0]) if days else (None, None)
    if trend is None:
        return device, first, last, 0, None, None, None
    return device, first, last, trend.pairs, trend.percent_per_year, trend.low, trend.high
