"""
Hourly loss of reductions by missing data, for each device of a project, for dashboards.

The rates follow from registry, factors and class limits.  They are updated when registry or program
change, and once a day, as the largest intervals may grow.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version

from psycopg import Connection

from ingest.errors import TonneError
from ingest.model import Fleet
from mrv.accounting.live_emissions import Seen, SilenceRate, silence_rates
from mrv.calendar import zone
from mrv.model import Factors
from mrv.registry.project import Project
from services.store.registry import load as registry
from services.store.registry.factors import load_book

_FRESH = (
    "SELECT FROM silence_rate_made WHERE registry = %s AND version = %s"
    " AND made > now() - INTERVAL '1 day'"
)
# the last one of each time: a row corrects the one before it
_RATED = (
    "SELECT device_id, max(rated_power_w) FROM (SELECT DISTINCT ON (device_id, begins) device_id,"
    " rated_power_w FROM device_rating ORDER BY device_id, begins, recorded DESC) r GROUP BY 1"
)
# of devices that nothing rates alone; each by its key
_LARGEST = (
    "SELECT m.device_id, q.quantity, q.value FROM project_device m"
    " CROSS JOIN LATERAL (SELECT quantity, max(value) AS value FROM interval_quantity i"
    " WHERE i.device_id = m.device_id AND i.start > now() - INTERVAL '1 year' GROUP BY quantity) q"
    " WHERE NOT EXISTS (SELECT FROM device_rating r WHERE r.device_id = m.device_id)"
)
_WRITE = (
    "INSERT INTO silence_rate (project_id, device_id, role, side, ug_per_h)"
    " VALUES (%s, %s, %s, %s, %s)"
)


def refresh(conn: Connection) -> bool:
    """
    Update the rates if they may have changed; return whether it did.

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
        conn.cursor().executemany(_WRITE, rows)
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
        # of a device that comes and goes once more, one row
        named = {
            silence_rate.device: silence_rate
            for silence_rate in silence_rates(project, fleet, seen, factors, year)
        }
    except TonneError:
        return
    yield from named.values()
