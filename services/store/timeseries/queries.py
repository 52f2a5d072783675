"""Stored interval rows for display and for the API."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from ingest.classes import QUANTITIES
from ingest.model import INTERVAL_US, quality
from mrv.calendar import utc_text
from mrv.environment import KIND_INDEX, KINDS
from services.store.postgres.timestamps import stamp
from services.store.registry.known import unknown
from services.store.registry.load import load_project

_UNITS = {q.name: q.unit for q in QUANTITIES}
_START = "(extract(epoch FROM start) * 1000000)::bigint"


def device_timezone(conn: Connection, device: str) -> str:
    """
    Return the time zone of a device's site.

    Raises
    ------
    RegistryError
        If the device is not registered.
    """
    row = conn.execute(
        "SELECT s.timezone FROM device d JOIN site s ON s.id = d.site WHERE d.id = %s", [device]
    ).fetchone()
    if row is None:
        raise unknown(conn, "device", device)
    return str(row[0])


def site_timezone(conn: Connection, site: str) -> str:
    """Return a site's time zone; RegistryError if it is not registered."""
    row = conn.execute("SELECT timezone FROM site WHERE id = %s", [site]).fetchone()
    if row is None:
        raise unknown(conn, "site", site)
    return str(row[0])


def project_timezone(conn: Connection, project: str) -> str:
    """Return a project's time zone; RegistryError if it is not registered."""
    return load_project(conn, project).timezone


def quantities(
    conn: Connection,
    device: str,
    from_us: int,
    to_us: int,
    after: tuple[str, str] | None = None,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """
    Return a device's interval quantities with starts in [from, to).

    Intervals without data are omitted.

    Parameters
    ----------
    after : tuple of (str, str), optional
        Start and quantity of the last row of the previous page.
    limit : int, optional
        Maximum number of rows.
    """
    rows = conn.execute(
        f"SELECT {_START}, quantity, value, measured_us, estimated_us, unknown_us"
        " FROM interval_quantity WHERE device_id = %s AND start >= %s AND start < %s"
        " AND measured_us + estimated_us + unknown_us > 0"
        " AND (%s::timestamptz IS NULL OR (start, quantity) > (%s::timestamptz, %s))"
        " ORDER BY start, quantity LIMIT %s",
        (device, stamp(from_us), stamp(to_us), *_after(after), limit),
    )
    return [
        {
            "start": utc_text(start),
            "quantity": quantity,
            "value": value,
            "unit": _UNITS[quantity],
            "quality": quality(estimated_us, unknown_us),
            "measured_share": measured_us / INTERVAL_US,
        }
        for start, quantity, value, measured_us, estimated_us, unknown_us in rows.fetchall()
    ]


def emissions(
    conn: Connection, project: str, from_us: int, to_us: int, limit: int | None = None
) -> list[dict[str, Any]]:
    """Return a project's emissions by interval, exact sums over its devices. [ug CO2e]"""
    names = ("baseline_ug", "project_ug", "leakage_ug", "reduction_ug")
    names_ = ", ".join(names)
    rows = conn.execute(
        f"SELECT {_START.replace('start', 'time')}, {names_}"
        " FROM tonne_account_quarters(%s, %s::timestamptz, %s::timestamptz) ORDER BY time LIMIT %s",
        (project, stamp(from_us), stamp(to_us), limit),
    )
    return [
        {"start": utc_text(start), **{n: int(v) for n, v in zip(names, values, strict=True)}}
        for start, *values in rows.fetchall()
    ]


def indicators(
    conn: Connection,
    from_us: int,
    to_us: int,
    *,
    device: str | None = None,
    site: str | None = None,
) -> list[dict[str, Any]]:
    """Return values of a station, or of a site's stations, that start in [from, to)."""
    rows = conn.execute(
        f"SELECT {_START.replace('start', 'v.start')}, v.device_id, v.indicator, v.period,"
        " v.value, v.covered, v.grade, v.detail"
        " FROM indicator_value v JOIN device d ON d.id = v.device_id"
        " WHERE (v.device_id = %s OR d.site = %s) AND v.start >= %s AND v.start < %s"
        " ORDER BY v.device_id, v.start, v.period DESC, v.indicator",
        (device, site, stamp(from_us), stamp(to_us)),
    )
    return [
        {
            "start": utc_text(start),
            "device": name,
            "period": period,
            "indicator": indicator,
            "value": value,
            "unit": KINDS[KIND_INDEX[indicator]].unit,
            "covered": covered,
            "grade": grade,
            "detail": detail,
        }
        for start, name, indicator, period, value, covered, grade, detail in rows.fetchall()
    ]


def _after(row: tuple[str, str] | None) -> tuple[str | None, str | None, str | None]:
    return (None, None, None) if row is None else (row[0], *row)
