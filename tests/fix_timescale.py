"""
A real PostgreSQL with TimescaleDB for the whole run, and a fresh database a test.

Where the packages are missing and cannot be installed, tests fail and say what
to install; they are never skipped in silence.

Where tests run in several processes each has a server of its own.  What all of them
begin with, a cluster with the schema in it, is made once and copied.
"""

import fcntl
import os
import subprocess
from contextlib import suppress
from itertools import count
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from services.local import packages
from services.local.postgres import DATABASE, Postgres
from tests import memory
from tests.ports import give_ports

_TEMPLATE = "migrated"
_numbers = count(1)


class Quick(Postgres):
    """
    A server that does not wait for the disk: no test over it cuts the machine's power.

    Killed it keeps what was committed, as any other does.  Servers of `tonne local up`,
    which tests of faults kill, write as in the field.
    """

    def command(self, port):
        """Return the command line, with what costs most of a fresh database's time turned off."""
        quick = ("fsync=off", "wal_level=minimal", "max_wal_senders=0")
        return [*super().command(port), *(word for one in quick for word in ("-c", one))]

    def execute(self, statement):
        """Run a statement on a connection that is kept, or on a new one if a test has ended it."""
        if self.pid is None:
            self.start()
        with suppress(psycopg.OperationalError):  # the server was ended and started again
            self._kept().execute("")
        self._kept().execute(statement)

    _admin = None

    def _kept(self):
        if self._admin is None or self._admin.closed:
            self._admin = psycopg.connect(self.url, autocommit=True)
        return self._admin

    def stop(self):
        """Stop, and keep no connection."""
        if self._admin is not None:
            self._admin.close()
        super().stop()


class _Unscheduled(Quick):
    """A server that starts no job of TimescaleDB: one that the stop ends counts as failed."""

    def command(self, port):
        """Return the command line, without the scheduler's processes."""
        return [*super().command(port), "-c", "timescaledb.max_background_workers=0"]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """Home of a stopped server that has a database with the schema, for copying."""
    return _once(tmp_path_factory, "cluster", _make_cluster)


@pytest.fixture(scope="session")
def migrated_cluster(tmp_path_factory, cluster):
    """Home of a stopped server as `tonne local up` and `tonne migrate` leave it."""

    def make(home):
        copy_cluster(cluster, home)
        server = _Unscheduled(give_ports(home, Postgres.name))
        server.start()
        admin = _named(server.url, "postgres")
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
            connection.execute(f"ALTER DATABASE {_TEMPLATE} ALLOW_CONNECTIONS true")
            connection.execute(f"ALTER DATABASE {_TEMPLATE} RENAME TO {DATABASE}")
        server.stop()

    return _once(tmp_path_factory, "migrated-cluster", make)


def copy_cluster(source, home):
    """Give a server that will start in `home` the databases of a stopped one."""
    home.mkdir(parents=True, exist_ok=True)
    kept = [source / Postgres.name, source / f"{Postgres.name}.password"]
    subprocess.run(["cp", "--archive", *kept, home], check=True)  # with their owners


@pytest.fixture(scope="session")
def timescale(tmp_path_factory, cluster):
    """Return the running server: `url`, `pid`, `kill()`, `start()`, `restart()`."""
    with memory.folder(tmp_path_factory.mktemp("timescale")) as home:
        copy_cluster(cluster, home)
        server = Quick(give_ports(home, Postgres.name))
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def migrated_template(timescale):
    """Return the name of a database that holds the schema, for copying."""
    return _TEMPLATE


@pytest.fixture
def database_url(timescale, migrated_template):
    """URL of a fresh database with the whole schema."""
    yield from _fresh(timescale, f"TEMPLATE {migrated_template}")


@pytest.fixture
def empty_database_url(timescale):
    """URL of a fresh database with nothing in it."""
    yield from _fresh(timescale, "")


def _once(factory, name, make):
    """Have a folder made by the first process that wants it; the others wait for it."""
    base = factory.getbasetemp()
    home = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = home.with_suffix(".made")
        if not done.exists():
            make(home)
            done.touch()
    return home


def _make_cluster(home):
    # tests of servers need no store
    from services.store.postgres.migrate import migrate  # noqa: PLC0415

    packages.require()
    server = _Unscheduled(give_ports(home, Postgres.name))
    server.start()
    _let_in_quickly(server)
    server.execute(f"CREATE DATABASE {_TEMPLATE}")
    migrate(_named(server.url, _TEMPLATE))
    # TimescaleDB's scheduler connects to every database that lets it, and what is
    # connected to cannot be copied
    server.execute(f"ALTER DATABASE {_TEMPLATE} ALLOW_CONNECTIONS false")
    server.stop()


def _let_in_quickly(server):
    """Keep the password with one round of its hash: thousands are two thirds of a connection."""
    password = urlsplit(server.url).password
    server.execute("SET scram_iterations = 1")
    server.execute(sql.SQL("ALTER ROLE CURRENT_USER PASSWORD {}").format(password))


def _fresh(server, options):
    name = f"test_{next(_numbers)}"
    # by copying files: the other way writes all of them into the log first
    server.execute(f"CREATE DATABASE {name} STRATEGY file_copy {options}")
    yield _named(server.url, name)
    server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _named(url, database):
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))
