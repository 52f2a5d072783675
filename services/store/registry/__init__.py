"""
Tables of the registry: sites, devices, projects, plans, factors, credentials, keys.

The functions below check that names are registered, so that an unknown name is an error instead of
an empty result.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import LiteralString

from psycopg import Connection

from ingest.errors import RegistryError, did_you_mean
from mrv.countries import country_at

# ids of the sites within about 100 m of the given devices' sites
AT_PLACE: LiteralString = """
SELECT n.id FROM device o JOIN site s ON s.id = o.site JOIN site n
    ON abs(n.latitude - s.latitude) < 0.001
    AND abs(n.longitude - s.longitude) * cos(radians(s.latitude)) < 0.001
WHERE o.id = ANY(%(ids)s)
"""
_FEW = 8
_QUERIES: dict[str, LiteralString] = {
    "site": "SELECT id FROM site ORDER BY id",
    "device": "SELECT id FROM device ORDER BY id",
    "project": "SELECT id FROM project ORDER BY id",
}


def names(conn: Connection, kind: str) -> list[str]:
    """Return the ids of a kind: site, device or project."""
    return [str(row[0]) for row in conn.execute(_QUERIES[kind]).fetchall()]


def unknown(conn: Connection, kind: str, name: str, more: Collection[str] = ()) -> RegistryError:
    """Return the error for an unregistered name, with similar ones of the kind and of `more`."""
    known = sorted({*names(conn, kind), *more})
    if not known:
        hint = f"no {kind} is registered; add one with `tonne registry import FILE`"
    else:
        listed = ", ".join(known[:_FEW]) + (f" and {len(known) - _FEW} more" * (len(known) > _FEW))
        hint = did_you_mean(name, known) or f"known: {listed}"
    return RegistryError(f"{kind} {name!r} is not registered; {hint}")


def require(conn: Connection, kind: str, *wanted: str | None) -> None:
    """
    Check that names are registered; None is skipped.
    Raises RegistryError, naming the first unregistered name.
    """
    required = [name for name in wanted if name is not None]
    if required:
        stored = set(names(conn, kind))
        for name in required:
            if name not in stored:
                raise unknown(conn, kind, name)


def zones_of(conn: Connection, devices: Collection[str | None]) -> dict[str | None, str]:
    """Return the time zone of each device's site; UTC for unregistered devices and None."""
    wanted = sorted({device for device in devices if device is not None})
    rows = conn.execute(
        "SELECT d.id, s.timezone FROM device d JOIN site s ON s.id = d.site WHERE d.id = ANY (%s)",
        [wanted],
    )
    return dict.fromkeys(devices, "UTC") | dict(rows.fetchall())


def timezones(conn: Connection) -> list[tuple[str, int]]:
    """Return the time zones with their number of sites, largest first."""
    rows = conn.execute("SELECT timezone, count(*) FROM site GROUP BY 1 ORDER BY 2 DESC, 1")
    return [(str(zone), int(count)) for zone, count in rows]


def countries(conn: Connection) -> set[str]:
    """Return the countries of the sites."""
    rows = conn.execute("SELECT DISTINCT country, timezone FROM site")
    return {result for row in rows if (result := country_at(*row)) is not None}
