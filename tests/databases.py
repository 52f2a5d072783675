"""
Databases on the servers of tests: copies of a template, created and dropped on a permanent
connection.

Copying one and dropping it takes 30 ms of processor time, a thousand times per run.
"""

import time
from collections import defaultdict
from contextlib import suppress
from itertools import count
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from tests import reused

_LEAVING_S = 60.0
_numbers = count(1)
_connections: dict[str, psycopg.Connection] = {}
_templates: dict[str, str] = {}  # of fresh copies, by URL
_spare: dict[tuple[str, str], list[str]] = defaultdict(list)


def named(url: str, database: str) -> str:
    """Return the URL of another database on the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def name_of(url: str) -> str:
    """Return the name of the database in a URL."""
    return urlsplit(url).path.removeprefix("/")


def execute(url: str, statement: Any, values: Any = None) -> psycopg.Cursor:
    """Run a statement on the server itself, on a permanent connection."""
    with suppress(psycopg.OperationalError):  # the server was ended and started again
        _connected(url).execute("")
    return _connected(url).execute(statement, values)


def leave(url: str) -> None:
    """Close the permanent connection to a server."""
    kept = _connections.pop(urlsplit(url).netloc, None)
    if kept is not None:
        kept.close()
    reused.forget(url, server=True)


def make(url: str, template: str) -> str:
    """Create a copy of a template on a server, or an empty database without one; return its URL."""
    fresh = named(url, f"test_{next(_numbers)}")
    spare = _spare[urlsplit(url).netloc, template]
    if spare:
        _alone(url, f'ALTER DATABASE "{spare.pop()}" RENAME TO "{name_of(fresh)}"')
    else:
        copy(fresh, template)
    _templates[fresh] = template
    return fresh


def copy(url: str, template: str) -> None:
    """Create a database, as a copy of a template or, without one, empty."""
    source = f'TEMPLATE "{template}"' if template else ""
    # by copying files: the other way writes all of them into the log first
    _alone(url, f'CREATE DATABASE "{name_of(url)}" STRATEGY file_copy {source}')


def drop(url: str) -> None:
    """Drop a database, also if a client is connected to it."""
    _templates.pop(url, None)
    reused.forget(url)
    _alone(url, f'DROP DATABASE IF EXISTS "{name_of(url)}" WITH (FORCE)')


def put_by(url: str) -> None:
    """Keep a fresh copy for the next request; drop it if a client was ever connected to it."""
    name, template = name_of(url), _templates.pop(url, "")
    seen = (
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = %s) OR sessions > 0"
        " FROM pg_stat_database WHERE datname = %s"
    )
    if not template or execute(url, seen, [name, name]).fetchone() != (False,):
        drop(url)
        return
    spare = f"spare_{next(_numbers)}"
    _alone(url, f'ALTER DATABASE "{name}" RENAME TO "{spare}"')
    _spare[urlsplit(url).netloc, template].append(spare)


def _alone(url: str, statement: str) -> None:
    """
    Run a statement that needs a database without connections; the server
    waits for five seconds.
    """
    end = time.monotonic() + _LEAVING_S
    while True:
        try:
            execute(url, statement)
        except psycopg.errors.ObjectInUse:  # a busy machine has not ended them yet
            if time.monotonic() > end:
                raise
        else:
            return


def _connected(url: str) -> psycopg.Connection:
    server = urlsplit(url).netloc
    kept = _connections.get(server)
    if kept is None or kept.closed:
        kept = _connections[server] = psycopg.connect(named(url, "postgres"), autocommit=True)
    return kept
