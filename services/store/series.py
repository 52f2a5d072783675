"""Stored interval rows as people and programs read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ingest.classes import QUANTITIES
from ingest.errors import RegistryError
from ingest.model import INTERVAL_US, quality
from mrv.calendar import utc_text
from services.store.readings import stamp
from services.store.registry import load_project

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

_UNITS = {q.name: q.unit for q in QUANTITIES}
_START = "(extract(epoch FROM start) * 1000000)::bigint"


def device_timezone(conn: Connection[TupleRow], device: str) -> str:
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
        raise RegistryError(
            f"device {device!r} is not registered; `tonne registry export` lists what is"
        )
    return str(row[0])


def project_timezone(conn: Connection[TupleRow], project: str) -> str:
    """Return a project's time zone; RegistryError if it is not registered."""
    return load_project(conn, project).timezone


def quantities(
    conn: Connection[TupleRow], device: str, from_us: int, to_us: int
) -> list[dict[str, Any]]:
    """
    Return a device's quantities on the grid whose start lies in [from, to).

    Intervals without any covered time hold no value and are left out.
    """
    rows = conn.execute(
        f"SELECT {_START}, quantity, value, measured_us, estimated_us, unknown_us"
        " FROM interval_quantity WHERE device_id = %s AND start >= %s AND start < %s"
        " AND measured_us + estimated_us + unknown_us > 0 ORDER BY start, quantity",
        (device, stamp(from_us), stamp(to_us)),
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
    conn: Connection[TupleRow], project: str, from_us: int, to_us: int
) -> list[dict[str, Any]]:
    """Return a project's emissions on the grid, exact sums over its devices. [ug CO2e]."""
    names = ("baseline_ug", "project_ug", "leakage_ug", "reduction_ug")
    sums = ", ".join(f"sum({name})" for name in names)
    rows = conn.execute(
        f"SELECT {_START}, {sums} FROM interval_emission"
        " WHERE project_id = %s AND start >= %s AND start < %s GROUP BY start ORDER BY start",
        (project, stamp(from_us), stamp(to_us)),
    )
    return [
        {"start": utc_text(start), **{n: int(v) for n, v in zip(names, values, strict=True)}}
        for start, *values in rows.fetchall()
    ]
