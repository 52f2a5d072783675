"""
A plant that many tests begin with: made once in a process of tests, then copied.

To fill a database costs half a second of a processor, to copy one a tenth of it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit, urlunsplit

import psycopg

_numbers = count(1)
T = TypeVar("T")


class _Kept(NamedTuple):
    database: str
    home: Path
    value: Any


_MADE: dict[tuple[str, Callable[..., Any]], _Kept] = {}


def planted(make: Callable[[str, Path], T], url: str, home: Path) -> T:
    """
    Let a fresh database and a folder be as `make(url, home)` leaves them; return its value.

    Nothing that `make` returns may know of the database or of the folder.
    """
    server = urlsplit(url)
    name = server.path.removeprefix("/")
    with psycopg.connect(urlunsplit(server._replace(path="/postgres")), autocommit=True) as admin:
        kept = _MADE.get((server.netloc, make))
        if kept is None:
            kept_home = Path(tempfile.mkdtemp(prefix="planted-"))
            kept = _Kept(f"planted_{next(_numbers)}", kept_home, make(url, kept_home))
            _copy(admin, name, kept.database)
            _MADE[server.netloc, make] = kept
        else:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
            _copy(admin, kept.database, name)
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    shutil.copytree(kept.home, home, dirs_exist_ok=True)
    return kept.value


def _copy(admin: psycopg.Connection, source: str, name: str) -> None:
    """Copy a database; TimescaleDB's scheduler, too, must be away from it for that moment."""
    admin.execute(f'ALTER DATABASE "{source}" ALLOW_CONNECTIONS false')
    admin.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [source]
    )
    admin.execute(f'CREATE DATABASE "{name}" STRATEGY file_copy TEMPLATE "{source}"')
    admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
