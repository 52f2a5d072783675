"""
How large a database is, and how much room its disk has.

PostgreSQL does not say what its disk has left.  On the database's own machine its folder
tells, if the login may ask for it (`pg_read_all_settings`); elsewhere a folder of that
disk that is mounted here does, which a setting names.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from psycopg import Connection


class Room(NamedTuple):
    """Bytes of the database, and free bytes of its disk, where visible."""

    size: int
    free: int | None


def of(conn: Connection, disk: Path | None = None) -> Room:
    """
    Look at a database's size and disk.

    Parameters
    ----------
    disk : Path, optional
        A folder on that disk; the server's own is looked for otherwise.
    """
    row = conn.execute("SELECT pg_database_size(current_database())").fetchone()
    folder = disk or _own_folder(conn)
    try:
        free = None if folder is None else shutil.disk_usage(folder).free
    except OSError:
        free = None
    return Room(int(row[0]) if row else 0, free)


def _own_folder(conn: Connection) -> Path | None:
    """Return the server's folder, where it is a server of this machine."""
    row = conn.execute(
        "SELECT setting FROM pg_settings WHERE name = 'data_directory'"
        " AND (inet_server_addr() IS NULL OR inet_server_addr() <<= '127.0.0.0/8'"
        " OR inet_server_addr() = '::1')"
    ).fetchone()
    return None if row is None or not row[0] else Path(row[0])
