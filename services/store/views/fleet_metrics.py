"""Numbers of devices, statements and other rows for Prometheus metrics."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from psycopg import Connection

from services.store.postgres import columnstore
from services.store.statements import signer_requests
from services.store.statements.signer_requests import Waiting
from services.store.timeseries import remake_requests


class Room(NamedTuple):
    """Size of the database, and free space of its disk if known. [bytes]"""

    size: int
    free: int | None


def disk_room(conn: Connection, disk: Path | None = None) -> Room:
    """
    Return a database's size and its disk's free space.

    Parameters
    ----------
    disk : Path, optional
        A folder on that disk; by default the server's own folder.
    """
    row = conn.execute("SELECT pg_database_size(current_database())").fetchone()
    folder = disk or _own_folder(conn)
    try:
        free = None if folder is None else shutil.disk_usage(folder).free
    except OSError:
        free = None
    return Room(int(row[0]) if row else 0, free)


def _own_folder(conn: Connection) -> Path | None:
    """Return the server's data folder; None if the server is on another machine."""
    row = conn.execute(
        "SELECT setting FROM pg_settings WHERE name = 'data_directory'"
        " AND (inet_server_addr() IS NULL OR inet_server_addr() <<= '127.0.0.0/8'"
        " OR inet_server_addr() = '::1')"
    ).fetchone()
    return None if row is None or not row[0] else Path(row[0])


@dataclass(frozen=True, slots=True)
class Gauges:
    """
    One look at the database.

    Attributes
    ----------
    devices : dict
        Number of devices by (state, class).
    dark_devices : int
        Devices that are silent because the gateway before them is.
    gateways : dict
        Number of gateways by state.
    last_reading_s : float or None
        Device time of the newest reading; None where there is none. [s since 1970]
    coverage : dict
        Measured share of each project's last closed period. [-]
    statements : dict
        Number of statements by state entered.
    calibrations : dict
        Number of devices by (project, state of their calibration).
    overdue : int or None
        Chunks that are rows though they are long old enough for the columnstore; None where
        the server has none.
    waiting : int
        Devices whose intervals are not calculated yet.
    size_bytes : int
        Size of the database on disk.
    free_bytes : int or None
        Free space of that disk; None if not visible from here.
    asked : Waiting
        Requests that the signer has not answered.
    failed_jobs : int
        Jobs of TimescaleDB that fail; its own from the second time on.
    """

    devices: dict[tuple[str, str], int]
    dark_devices: int
    gateways: dict[str, int]
    last_reading_s: float | None
    coverage: dict[str, float]
    statements: dict[str, int]
    calibrations: dict[tuple[str, str], int]
    overdue: int | None
    waiting: int
    size_bytes: int
    free_bytes: int | None
    asked: Waiting
    failed_jobs: int


_DEVICES = """
SELECT state, class, count(*), extract(epoch FROM max(last_reading))::double precision,
       count(*) FILTER (WHERE state IN ('late', 'offline') AND NOT alarm)
FROM v_device_health GROUP BY state, class
"""
_GATEWAYS = "SELECT state, count(*) FROM v_gateway_health GROUP BY state"
_COVERAGE = """
SELECT DISTINCT ON (project_id) project_id, coverage::double precision FROM monitoring_period
ORDER BY project_id, local_to DESC, id DESC
"""
_STATEMENTS = "SELECT state, count(*) FROM statement_event GROUP BY state"
_CALIBRATIONS = "SELECT project_id, state, count(*) FROM v_calibration_due GROUP BY 1, 2"
# after which tonne_refresh_days() ends, done or not
_ROUND_S = 60.0


def read(conn: Connection, disk: Path | None = None) -> Gauges:
    """
    Return the current numbers, as a role that may read statements.

    Parameters
    ----------
    disk : Path, optional
        A folder on the database's disk.
    """
    devices = conn.execute(_DEVICES).fetchall()
    times = [row[3] for row in devices if row[3] is not None]
    return Gauges(
        {(state, class_): count for state, class_, count, *_ in devices},
        sum(row[4] for row in devices),
        dict(conn.execute(_GATEWAYS).fetchall()),
        max(times, default=None),
        dict(conn.execute(_COVERAGE).fetchall()),
        dict(conn.execute(_STATEMENTS).fetchall()),
        {(project, state): n for project, state, n in conn.execute(_CALIBRATIONS).fetchall()},
        _overdue(conn),
        remake_requests.count(conn),
        *disk_room(conn, disk),
        signer_requests.waiting(conn),
        len(columnstore.failed_jobs(conn)),
    )


def _overdue(conn: Connection) -> int | None:
    if not columnstore.available(conn):
        return None
    return len(columnstore.waiting(conn, columnstore.OVERDUE_DAYS))


def refresh_today(conn: Connection) -> None:
    """Update the sums of yesterday and today up to an hour ago, so that views add only the rest."""
    conn.execute("SELECT tonne_refresh_today()")


def refresh_days(conn: Connection) -> int:
    """
    Update the sums of changed days; return the number of devices.

    Each transaction lasts about a minute, so that finished work is kept.
    """
    made = 0
    while True:
        began = time.monotonic()
        row = conn.execute("SELECT tonne_refresh_days()").fetchone()
        made += int(row[0]) if row else 0
        if time.monotonic() - began < _ROUND_S:
            return made
