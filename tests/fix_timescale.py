"""
A real PostgreSQL with TimescaleDB for the whole run, and a new database for each test.

If the packages are missing and cannot be installed, tests fail and name them; they are never
skipped silently.

If tests run in several processes each has its own server.  Their common start, a cluster with the
schema, is created once and copied.
"""

import fcntl
import os
import subprocess
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from services import local as machine
from services.local.stack import DATABASE, Postgres
from tests import databases, memory, reused
from tests.ports import give_ports

_TEMPLATE = "migrated"
# Each database that is made is a checkpoint, and what is touched first after one is written
# whole, and compressed: pages that only a machine without power tears.  Nobody's vacuum and no
# job of TimescaleDB looks at a database that lives for a second; tests call the jobs they are of.
_QUICK = (
    "fsync=off",
    "full_page_writes=off",
    "wal_compression=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "autovacuum=off",
    "timescaledb.max_background_workers=0",
)


class Quick(Postgres):
    """
    A server that does not wait for the disk, since no test cuts the machine's power.

    After `kill -9` it keeps committed data like any other.  Servers of `tonne local up`, which
    tests of faults kill, write as in the field.
    """

    def command(self, port):
        """Return the command line, with the slow parts of a new database turned off."""
        return [*super().command(port), *(word for one in _QUICK for word in ("-c", one))]

    def execute(self, statement):
        """Run a statement on a permanent connection, or on a new one if a test has ended it."""
        if self.pid is None:
            self.start()
        databases.execute(self.url, statement)

    def stop(self):
        """Stop the server and close the permanent connection."""
        databases.leave(self.url)
        super().stop()

    def kill(self):
        """Kill the server; its sessions, which may outlive it for a moment, are not reused."""
        super().kill()
        databases.leave(self.url)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """Return the home of a stopped server that has a database with the schema, for copying."""
    return once(tmp_path_factory, "cluster", _make_cluster)


@pytest.fixture(scope="session")
def migrated_cluster(tmp_path_factory, cluster):
    """Return the home of a stopped server after `tonne local up` and `tonne migrate`."""

    def make(home):
        copy_cluster(cluster, home)
        server = Quick(give_ports(home, Postgres.name))
        server.start()
        admin = databases.named(server.url, "postgres")
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
            connection.execute(f"ALTER DATABASE {_TEMPLATE} ALLOW_CONNECTIONS true")
            connection.execute(f"ALTER DATABASE {_TEMPLATE} RENAME TO {DATABASE}")
        server.stop()

    return once(tmp_path_factory, "migrated-cluster", make)


def copy_cluster(source, home):
    """Copy the databases of a stopped server to one that will start in `home`."""
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
        reused.begin(server.url)
        yield server
        server.stop()


@pytest.fixture(scope="session")
def migrated_template(timescale):
    """Return the name of a database with the schema, for copying."""
    return _TEMPLATE


@pytest.fixture
def database_url(timescale, migrated_template):
    """Return the URL of a new database with the whole schema."""
    yield from _fresh(timescale, migrated_template)


@pytest.fixture(scope="module")
def shared_database_url(timescale, migrated_template):
    """Return the URL of a database for tests of one file that do not disturb each other."""
    yield from _fresh(timescale, migrated_template)


@pytest.fixture
def empty_database_url(timescale):
    """Return the URL of a new, empty database."""
    yield from _fresh(timescale, "")


def once(factory, name, make):
    """Return a folder created by the first process that requests it; the others wait for it."""
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

    machine.require()
    server = Quick(give_ports(home, Postgres.name))
    server.start()
    _let_in_quickly(server)
    server.execute(f"CREATE DATABASE {_TEMPLATE}")
    migrate(databases.named(server.url, _TEMPLATE))
    _pack(databases.named(server.url, _TEMPLATE))
    # what is connected to cannot be copied
    server.execute(f"ALTER DATABASE {_TEMPLATE} ALLOW_CONNECTIONS false")
    server.stop()


def _pack(url):
    """Reduce the files and bytes of a database, as each is copied hundreds of times."""
    with psycopg.connect(url, autocommit=True) as connection:
        catalogs = connection.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND NOT relisshared"
            " AND relnamespace = 'pg_catalog'::regnamespace"
        ).fetchall()
        for (name,) in catalogs:
            connection.execute(f"VACUUM (FULL, FREEZE, ANALYZE) {name}")
    psycopg.connect(url).close()  # the first to come writes down what all that come later read


def _let_in_quickly(server):
    """
    Store the password with one round of its hash: thousands take two thirds
    of a connection's time.
    """
    password = urlsplit(server.url).password
    server.execute("SET scram_iterations = 1")
    server.execute(sql.SQL("ALTER ROLE CURRENT_USER PASSWORD {}").format(password))


def _fresh(server, template):
    url = databases.make(server.url, template)
    yield url
    databases.drop(url)
