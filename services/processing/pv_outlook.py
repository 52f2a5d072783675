"""
Reference values of dashboards: clear-sky irradiance, trends, and losses by missing data.

Clear skies are calculated per site, tilt and azimuth, from five weeks ago until tomorrow, if pvlib
is installed.  Trends are updated daily: soiling from one year of data on, ageing from two.

The rates follow from registry, factors and class limits.  They are updated when registry or
program change, and once a day, as the largest intervals may grow.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib.metadata import version
from importlib.util import find_spec
from multiprocessing import get_context
from typing import Any

import numpy as np
from psycopg import Connection
from psycopg.types.json import Jsonb

from ingest.errors import TonneError
from ingest.model import Fleet
from mrv.accounting.live_emissions import Seen, SilenceRate, silence_rates
from mrv.calendar import zone
from mrv.errors import MethodologyError
from mrv.exante.sun import Roof, typical_months
from mrv.model import Factors
from mrv.performance import YEAR_D, Soiling, plane_w_m2, soiling, year_on_year
from mrv.registry.project import Project
from services.store.registry import load as registry
from services.store.registry.load import load_book

_BACK_D = 35
# maximum number of arrays and of inverters per round, which takes about ten seconds
_SKIES, _TRENDS = 100, 100
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
_TREND = (
    "first_day", "last_day", "pairs", "percent_per_year", "low", "high", "soiling_percent",
    "soiling_low", "soiling_high", "soiling_intervals", "soiling_missing",
)  # fmt: skip
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
    # ratios of days without standstill or clipping, for the soiling trend; a day mainly at
    # standstill has none
    "SELECT device_id, day, performance_ratio_25, CASE WHEN standing_kwh < 0.5 * expected_kwh"
    " THEN energy_kwh / (expected_kwh - standing_kwh) END, insolation_kwh_m2 FROM v_day_pv"
    " WHERE device_id = ANY (%s) AND performance_ratio_25 IS NOT NULL ORDER BY device_id, day"
)
_WRITE_TREND = (
    f"INSERT INTO pv_trend (device_id, made, {', '.join(_TREND)})"
    f" VALUES (%s, (now() AT TIME ZONE 'UTC')::date, {', '.join(['%s'] * len(_TREND))})"
    " ON CONFLICT (device_id) DO UPDATE SET made = excluded.made, "
    + ", ".join(f"{name} = excluded.{name}" for name in _TREND)
)


@dataclass(frozen=True, slots=True)
class Made:
    """Numbers of arrays with new clear-sky data, and of inverters with new trends."""

    skies: int
    trends: int


def refresh_outlook(conn: Connection) -> Made:
    """
    Calculate a portion of missing clear-sky data and trends; repeat for the rest. Return the
    numbers.

    Raises MethodologyError if the process that calculates skies ends early.
    """
    trends = _trends(conn)
    return Made(_skies(conn), trends)


def forget_skies(conn: Connection, before: date) -> int:
    """Delete clear-sky data before a day, in several transactions; return the number of days."""
    gone = 0
    while rowcount := conn.execute(_FORGET_SKIES, [before]).rowcount:
        gone += rowcount
    return gone


def _skies(conn: Connection) -> int:
    if find_spec("pvlib") is None:
        return 0
    wanted = conn.execute(_MISSING, {"back": _BACK_D, "most": _SKIES}).fetchall()
    if not wanted:
        return 0
    # a separate process, since pvlib and pandas would keep 150 MB
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
            made = apart.submit(_planes, wanted).result()
    except (BrokenProcessPool, OSError) as error:
        raise MethodologyError(
            f"clear-sky values were not calculated, the process ended early: {error}; check "
            "the free memory"
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
        device
        for (device,) in conn.execute(_DUE, {"least": YEAR_D - 1, "most": _TRENDS}).fetchall()
    ]
    if not due:
        return 0
    result: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for device, *day in conn.execute(_RATIOS, [due]).fetchall():
        result[device].append(tuple(day))
    with conn.transaction():
        conn.cursor().executemany(_WRITE_TREND, [_row(device, result[device]) for device in due])
    return len(due)


def _row(device: str, rows: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    """
    Return the row of `_WRITE_TREND` for an inverter, from its daily performance ratios.

    `rows`: day, performance ratio, ratio for soiling, sun; one row per day, in order. A trend that
    these days do not determine has None in place of its figures.
    """
    days = np.array([row[0] for row in rows], dtype="datetime64[D]")
    ratio, dusty, sun = np.array([row[1:] for row in rows], dtype=float).reshape(-1, 3).T
    trend, dust = year_on_year(days, ratio), soiling(days, dusty, sun)
    return (
        device,
        *((rows[0][0], rows[-1][0]) if rows else (None, None)),
        *((0, None, None, None) if trend is None else
          (trend.pairs, trend.percent_per_year, trend.low, trend.high)),
        *((dust.percent, dust.low, dust.high, dust.intervals, None)
          if isinstance(dust, Soiling) else (None, None, None, None, str(dust))),
    )  # fmt: skip


# maximum per round: about ten seconds
_MAX = 50
_WANTED = """
SELECT m.project_id::text AS project_id,
       jsonb_agg(jsonb_build_array(s.latitude, s.longitude, a.tilt, a.azimuth,
           coalesce(a.dc_power_w, d.rated_power_w, 1000) / 1000.0) ORDER BY d.id) AS roofs
FROM project_device m
JOIN project p ON p.id = m.project_id
JOIN device d ON d.id = m.device_id
JOIN site s ON s.id = d.site
LEFT JOIN v_device_array a ON a.device_id = d.id AND a.ends = 'infinity'
WHERE NOT p.expected ? 'by_month' AND d.class NOT IN ('energy_meter', 'weather_station')
GROUP BY m.project_id
HAVING bool_and(d.class = 'pv_inverter' AND a.tilt IS NOT NULL AND a.azimuth IS NOT NULL)
"""
_MONTHS_DUE = f"""
SELECT w.project_id, w.roofs FROM ({_WANTED}) w
LEFT JOIN project_months k ON k.project_id = w.project_id
WHERE k.made_from IS DISTINCT FROM w.roofs ORDER BY 1 LIMIT %s
"""
_GONE = (
    f"DELETE FROM project_months WHERE project_id NOT IN (SELECT w.project_id FROM ({_WANTED}) w)"
)
_WRITE_MONTHS = (
    "INSERT INTO project_months (project_id, months, made_from) VALUES (%s, %s::numeric[], %s)"
    " ON CONFLICT (project_id) DO UPDATE"
    " SET months = excluded.months, made_from = excluded.made_from"
)


def refresh_months(conn: Connection) -> int:
    """
    Update expected months of projects with new or changed modules; return the number of projects.

    Raises MethodologyError if the process that computes them ends early.
    """
    conn.execute(_GONE)
    due = conn.execute(_MONTHS_DUE, [_MAX]).fetchall()
    if not due or find_spec("pvlib") is None:
        return 0
    # a separate process, since pvlib and pandas would keep 150 MB
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
            made = apart.submit(_all, [roofs for _, roofs in due]).result()
    except (BrokenProcessPool, OSError) as error:
        raise MethodologyError(
            f"monthly irradiation was not calculated, the process ended early: {error}; check "
            "the free memory"
        ) from error
    rows = [(name, months, Jsonb(roofs)) for (name, roofs), months in zip(due, made, strict=True)]
    with conn.transaction():
        conn.cursor().executemany(_WRITE_MONTHS, rows)
    return len(rows)


def _all(projects: list[list[list[Any]]]) -> list[list[float]]:
    return [
        [
            round(typical_month, 1)
            for typical_month in typical_months([(Roof(*place), kw) for *place, kw in roofs])
        ]
        for roofs in projects
    ]


_FRESH = (
    "SELECT FROM silence_rate_made WHERE registry = %s AND version = %s"
    " AND made > now() - INTERVAL '1 day'"
)
# the last row of each time counts, as it corrects earlier ones
_RATED = (
    "SELECT device_id, max(rated_power_w) FROM (SELECT DISTINCT ON (device_id, begins) device_id,"
    " rated_power_w FROM device_rating ORDER BY device_id, begins, recorded DESC) r GROUP BY 1"
)
# largest interval of each quantity in the last year, for devices without a rated power
_LARGEST = (
    "SELECT m.device_id, q.quantity, q.value FROM project_device m"
    " CROSS JOIN LATERAL (SELECT quantity, max(value) AS value FROM interval_quantity i"
    " WHERE i.device_id = m.device_id AND i.start > now() - INTERVAL '1 year' GROUP BY quantity) q"
    " WHERE NOT EXISTS (SELECT FROM device_rating r WHERE r.device_id = m.device_id)"
)
_WRITE_RATES = (
    "INSERT INTO silence_rate (project_id, device_id, role, side, ug_per_h)"
    " VALUES (%s, %s, %s, %s, %s)"
)


def refresh_rates(conn: Connection) -> bool:
    """
    Update the rates (reduction lost per hour of silence) if they may have changed.

    Return whether they were updated.

    A project whose methodology cannot price its roles has no rates.
    """
    key = (registry.registry_version(conn), version("tonne"))
    if conn.execute(_FRESH, key).fetchone() is not None:
        return False
    fleet, book, seen = registry.load_fleet(conn), load_book(conn), _seen(conn)
    rows = [
        (project.id, *rate)
        for project in registry.load_projects(conn)
        for rate in _of_project(project, fleet, seen, book)
    ]
    with conn.transaction():
        conn.execute("LOCK TABLE silence_rate IN EXCLUSIVE MODE")
        conn.execute("DELETE FROM silence_rate")
        conn.cursor().executemany(_WRITE_RATES, rows)
        conn.execute(
            "INSERT INTO silence_rate_made (registry, version, made) VALUES (%s, %s, now())"
            " ON CONFLICT (only_one) DO UPDATE SET registry = excluded.registry,"
            " version = excluded.version, made = excluded.made",
            key,
        )
    return True


def _seen(conn: Connection) -> dict[str, Seen]:
    seens: dict[str, Seen] = {
        device: Seen(rated, {}) for device, rated in conn.execute(_RATED).fetchall()
    }
    largest: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for device, quantity, value in conn.execute(_LARGEST).fetchall():
        largest[device][quantity] = value
    return seens | {device: Seen(None, values) for device, values in largest.items()}


def _of_project(
    project: Project, fleet: Fleet, seen: dict[str, Seen], factors: Factors
) -> Iterator[SilenceRate]:
    year = datetime.now(UTC).astimezone(zone(project.timezone)).year
    try:
        # one row per device, also with several service times
        named = {
            silence_rate.device: silence_rate
            for silence_rate in silence_rates(project, fleet, seen, factors, year)
        }
    except TonneError:
        return
    yield from named.values()
