"""
Monthly distribution of a solar plant's expected annual energy, where none is registered.

Twelve typical shares per project with inverters of known location, tilt and azimuth; updated when
these change, and removed when the registry has its own. Without pvlib the year is divided evenly.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib.util import find_spec
from multiprocessing import get_context
from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb

from mrv.errors import MethodologyError
from mrv.exante.sun import Roof, typical_months

# of one round: about ten seconds at most
_MOST = 50
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
_DUE = f"""
SELECT w.project_id, w.roofs FROM ({_WANTED}) w
LEFT JOIN project_months k ON k.project_id = w.project_id
WHERE k.made_from IS DISTINCT FROM w.roofs ORDER BY 1 LIMIT %s
"""
_GONE = (
    f"DELETE FROM project_months WHERE project_id NOT IN (SELECT w.project_id FROM ({_WANTED}) w)"
)
_WRITE = (
    "INSERT INTO project_months (project_id, months, made_from) VALUES (%s, %s::numeric[], %s)"
    " ON CONFLICT (project_id) DO UPDATE"
    " SET months = excluded.months, made_from = excluded.made_from"
)


def refresh(conn: Connection) -> int:
    """
    Update expected months of projects with new or changed modules; return the
    number of projects.

    Raises
    ------
    MethodologyError
        If the process that computes them ends early.
    """
    conn.execute(_GONE)
    due = conn.execute(_DUE, [_MOST]).fetchall()
    if not due or find_spec("pvlib") is None:
        return 0
    # pvlib and pandas would stay in this process, with 150 MB
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
        conn.cursor().executemany(_WRITE, rows)
    return len(rows)


def _all(projects: list[list[list[Any]]]) -> list[list[float]]:
    return [
        [
            round(typical_month, 1)
            for typical_month in typical_months([(Roof(*place), kw) for *place, kw in roofs])
        ]
        for roofs in projects
    ]
