"""A database written by 0.1.0, migrated to this version once, and copies of it."""

import psycopg
import pytest

from services.local.stack import Postgres
from services.store.postgres.migrate import migrate
from tests import databases, memory, reused
from tests.fix_timescale import Quick, _fresh, copy_cluster, once
from tests.ports import give_ports
from tests.samples import sample

NAME = "sample"


@pytest.fixture(scope="session")
def old_cluster(tmp_path_factory):
    """Return the home of a stopped server with that database, and no other version's roles."""
    return once(tmp_path_factory, "cluster-0.1.0", _make_cluster)


def _make_cluster(home):
    server = Quick(give_ports(home, Postgres.name))
    server.start()
    with psycopg.connect(server.url, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {NAME}")
    url = databases.named(server.url, NAME)
    sample.restore(url)
    migrate(url)
    server.stop()


@pytest.fixture(scope="session")
def old_server(old_cluster, tmp_path_factory):
    """Yield a server of this process over a copy of it."""
    with memory.folder(tmp_path_factory.mktemp("0.1.0")) as home:
        copy_cluster(old_cluster, home)
        server = Quick(give_ports(home, Postgres.name))
        server.start()
        reused.begin(server.url)
        yield server
        server.stop()


@pytest.fixture(scope="session")
def came_from_0_1_0(old_server):
    """Return the URL of the database of 0.1.0 after the present `tonne migrate`; read only."""
    return databases.named(old_server.url, NAME)


@pytest.fixture
def upgraded(old_server):
    """Return the URL of a copy of it, for writing."""
    with psycopg.connect(old_server.url, autocommit=True) as conn:
        # TimescaleDB's scheduler connects to it, and what is connected to cannot be copied
        conn.execute(f"ALTER DATABASE {NAME} ALLOW_CONNECTIONS false")
        reused.forget(databases.named(old_server.url, NAME))
        conn.execute(
            f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{NAME}'"
        )
        copies = _fresh(old_server, NAME)
        url = next(copies)
        conn.execute(f"ALTER DATABASE {NAME} ALLOW_CONNECTIONS true")
    yield url
    next(copies, None)


@pytest.fixture
def operator(tmp_path):
    """
    Return the environment of the operator who ran 0.1.0: keys,
    identities, archive; no database.
    """
    return {
        "TONNE_HOME": str(sample.home(tmp_path / "home")),
        "TONNE_ARCHIVE_URL": sample.archive(tmp_path),
    }
