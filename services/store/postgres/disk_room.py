"""
Size of the database, and free space on its disk.

PostgreSQL does not report free space.  On the database's machine its folder is used if the login
may read it (`pg_read_all_settings`); otherwise a mounted folder of that disk, named in the
settings.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from psycopg import Connection


class Room(NamedTuple):
    """Size of the database, and free space of its disk if known. [bytes]"""

    size: int
    free: int | None


def of(conn: Connection, disk: Path | None = None) -> Room:
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
