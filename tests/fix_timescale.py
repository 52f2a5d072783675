"""
A real PostgreSQL with TimescaleDB for the whole run, and a fresh database a test.

Where the packages are missing and cannot be installed, tests fail and say what
to install; they are never skipped in silence.
"""

from itertools import count
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from services.local import packages
from services.local.postgres import Postgres

_TEMPLATE = "migrated"
_numbers = count(1)


@pytest.fixture(scope="session")
def timescale(tmp_path_factory):
    """Return the running server: `url`, `pid`, `kill()`, `start()`, `restart()`."""
    packages.require()
    server = Postgres(tmp_path_factory.mktemp("timescale"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def migrated_template(timescale):
    """Return the name of a database that holds the schema, for copying."""
    # tests of servers need no store
    from services.store.postgres.migrate import migrate  # noqa: PLC0415

    _execute(timescale, f"CREATE DATABASE {_TEMPLATE}")
    migrate(_named(timescale.url, _TEMPLATE))
    # TimescaleDB's scheduler connects to every database that lets it, and what is
    # connected to cannot be copied
    _execute(timescale, f"ALTER DATABASE {_TEMPLATE} ALLOW_CONNECTIONS false")
    _execute(
        timescale,
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{_TEMPLATE}'",
    )
    return _TEMPLATE


@pytest.fixture
def database_url(timescale, migrated_template):
    """URL of a fresh database with the whole schema."""
    yield from _fresh(timescale, f"TEMPLATE {migrated_template}")


@pytest.fixture
def empty_database_url(timescale):
    """URL of a fresh database with nothing in it."""
    yield from _fresh(timescale, "")


def _fresh(server, options):
    name = f"test_{next(_numbers)}"
    _execute(server, f"CREATE DATABASE {name} {options}")
    yield _named(server.url, name)
    server.start()  # a test may have ended it
    _execute(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _execute(server, statement):
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(statement)


def _named(url, database):
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))
