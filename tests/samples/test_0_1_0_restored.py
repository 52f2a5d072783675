"""Databases restored from a dump and migrated beside another database of the server."""

import subprocess

import psycopg
import pytest

from services.local import POSTGRES_BIN
from services.local.stack import Postgres
from services.store.postgres.migrate import SchemaError, migrate
from services.store.postgres.pool import connect
from tests import databases
from tests.fix_timescale import Quick, once
from tests.ports import give_ports
from tests.samples import sample

pytestmark = pytest.mark.integration
# what a database is made of, and whose each part is
_OWNERS = """
    SELECT c.relkind::text, c.oid::regclass::text, c.relowner::regrole::text FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relname <> 'schema_migration'
      AND c.relkind IN ('r', 'p', 'v', 'S')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
    UNION ALL
    SELECT 'function', p.oid::regprocedure::text, p.proowner::regrole::text FROM pg_proc p
    WHERE p.pronamespace = 'public'::regnamespace
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
    UNION ALL
    SELECT 'type', t.oid::regtype::text, t.typowner::regrole::text FROM pg_type t
    WHERE t.typnamespace = 'public'::regnamespace AND t.typtype IN ('d', 'e')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = t.oid AND d.deptype = 'e')
    UNION ALL
    SELECT DISTINCT 'chunk', h.hypertable_name::text, c.relowner::regrole::text
    FROM timescaledb_information.chunks h
    JOIN pg_class c ON c.oid = format('%%I.%%I', h.chunk_schema, h.chunk_name)::regclass
    WHERE h.hypertable_schema = %s"""


def owners(url):
    """Return the owner of each part of a database; chunks of a hypertable count as one."""
    with psycopg.connect(url) as conn:
        return {tuple(row) for row in conn.execute(_OWNERS, ["public"])}


def run(program, *words):
    """Run one of PostgreSQL's programs; return its warnings."""
    done = subprocess.run(
        [str(POSTGRES_BIN / program), *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 or program == "pg_restore", done.stderr
    return done.stderr


def restore(url, dump, *options):
    """Restore as in docs/backup.md; return the warnings."""
    before = ("CREATE EXTENSION timescaledb", "SELECT timescaledb_pre_restore()")
    run("psql", url, *(word for one in before for word in ("-c", one)))
    warned = run("pg_restore", *options, "-d", url, dump)
    run("psql", url, "-c", "SELECT timescaledb_post_restore()")
    return warned


@pytest.fixture(scope="session")
def old_dump(timescale, tmp_path_factory):
    """Return a dump of a database of 0.1.0."""

    def make(home):
        url = databases.make(timescale.url, "")
        sample.restore(url)
        home.mkdir()
        run("pg_dump", "-Fc", "-f", str(home / "dump"), url)
        databases.drop(url)

    return str(once(tmp_path_factory, "dump-0.1.0", make) / "dump")


@pytest.fixture
def bare_server(tmp_path):
    """Yield a server without any database or role of tonne."""
    server = Quick(give_ports(tmp_path / "server", Postgres.name))
    server.start()
    yield server
    server.stop()


def test_a_dump_without_owners_is_brought_to_this_version(
    old_dump, empty_database_url, came_from_0_1_0
):
    """The way back from a lost disk would end at a table that even a superuser may not change."""
    url = empty_database_url
    restore(url, old_dump, "--no-owner")
    assert "tonne_owner" not in {owner for _, _, owner in owners(url)}
    assert any("belonged to tonne: given to tonne_owner" in note for note in migrate(url).notes)
    assert owners(url) == owners(came_from_0_1_0)
    assert not any("belonged" in note for note in migrate(url).notes)


def test_a_dump_of_this_version_without_owners_has_them_again(
    database_url, empty_database_url, tmp_path
):
    """Functions that act as their owner would act as a superuser, for anyone who may call them."""
    run("pg_dump", "-Fc", "-f", str(tmp_path / "dump"), database_url)
    restore(empty_database_url, str(tmp_path / "dump"), "--no-owner")
    assert owners(empty_database_url) != owners(database_url)
    assert migrate(empty_database_url).applied == ()
    assert owners(empty_database_url) == owners(database_url)


def test_a_dump_that_was_restored_before_its_roles_were_made_is_refused(old_dump, bare_server):
    """Migrations would go through, and then no process could read what it works with."""

    def made(name):
        bare_server.execute(f"CREATE DATABASE {name}")
        return databases.named(bare_server.url, name)

    url = made("early")
    assert 'role "tonne_ingest" does not exist' in restore(url, old_dump)
    with pytest.raises(SchemaError) as refused:
        migrate(url)
    assert str(refused.value).startswith("tonne_api, tonne_archive, tonne_grafana, tonne_ingest,")
    # as the message says
    assert "`tonne migrate` on an empty database of this server" in str(refused.value)
    migrate(made("empty"))
    with pytest.raises(SchemaError):  # the roles alone do not bring their privileges back
        migrate(url)
    url = made("again")
    restore(url, old_dump)
    migrate(url)
    with connect(url, role="tonne_api") as conn:
        assert conn.execute("SELECT count(*) FROM statement").fetchone() > (0,)
