"""The schema is made once, whole, the same everywhere, or refused with a reason."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import urlsplit

import psycopg
import pytest

from ingest.errors import ServerError
from services.store.postgres.migrate import (
    Migration,
    PrerequisiteError,
    SchemaError,
    check_versions,
    load,
    migrate,
)


def _everything(url):
    with psycopg.connect(url) as conn:
        return conn.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = 'public' ORDER BY 1, ordinal_position"
        ).fetchall()


def test_a_second_run_changes_nothing(empty_database_url):
    """An operator could not run `tonne migrate` at every start."""
    first = migrate(empty_database_url)
    before = _everything(empty_database_url)
    second = migrate(empty_database_url)
    assert len(first.applied) == len(load())
    assert second.applied == ()
    assert _everything(empty_database_url) == before


def test_two_at_once_apply_each_file_once(empty_database_url):
    """Two services started together would break each other's start."""
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(migrate, [empty_database_url] * 4))
    assert sorted(len(r.applied) for r in reports) == [0, 0, 0, len(load())]


def test_a_changed_file_is_refused(empty_database_url):
    """No one could say what the database of an audited period looked like."""
    files = load()
    migrate(empty_database_url)
    files[1] = replace(files[1], text=files[1].text + "\n-- later\n")
    with pytest.raises(SchemaError, match="0002_append_only was changed after it was applied"):
        migrate(empty_database_url, files)


def test_an_older_program_is_refused(empty_database_url):
    """An old program would write rows that a newer schema means differently."""
    migrate(empty_database_url)
    with pytest.raises(SchemaError, match="does not know"):
        migrate(empty_database_url, load()[:-1])


def test_a_failing_file_leaves_nothing_behind(empty_database_url):
    """Half a migration could be neither repeated nor undone."""
    broken = Migration(1, "broken", "CREATE TABLE half (a int); SELECT 1 / 0;")
    with pytest.raises(SchemaError, match=r"0001_broken failed and was rolled back: division"):
        migrate(empty_database_url, [broken])
    with psycopg.connect(empty_database_url) as conn:
        assert conn.execute("SELECT to_regclass('half')").fetchone() == (None,)
    assert migrate(empty_database_url).applied


def test_a_server_that_is_lost_meanwhile_is_no_wrong_input(empty_database_url):
    """A restart of the server would read as if the login lacked a right."""
    ends = Migration(9000, "ends", "SELECT pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(ServerError, match=r"lost during migration 9000_ends.*migrate. again"):
        migrate(empty_database_url, [*load(), ends])
    with psycopg.connect(empty_database_url) as connection:
        last = connection.execute("SELECT max(version) FROM schema_migration").fetchone()
        name = connection.info.dbname
        connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    assert last == (load()[-1].version,)
    with pytest.raises(PrerequisiteError, match="is read-only for this login"):
        migrate(empty_database_url)


def test_a_database_of_another_encoding_is_refused(empty_database_url):
    """A cluster made without a locale would be informed that it has no TimescaleDB."""
    name = f"ascii_{secrets.token_hex(4)}"
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII'"
            " LC_COLLATE 'C' LC_CTYPE 'C'"
        )
        try:
            url = urlsplit(empty_database_url)._replace(path=f"/{name}").geturl()
            with pytest.raises(PrerequisiteError, match="encoding SQL_ASCII; tonne needs UTF8"):
                migrate(url)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_an_unreachable_server_says_what_to_do():
    """A wrong port would end in a driver's stack trace."""
    with pytest.raises(ServerError, match="TONNE_DATABASE_URL") as caught:
        migrate("postgresql://someone:secret@127.0.0.1:1/tonne")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"btree_gist": "1.7"}, "has no timescaledb extension"),
        ({"timescaledb": "2.19.3"}, "has no btree_gist extension"),
        ({"timescaledb": "2.14.2", "btree_gist": "1.7"}, r"has TimescaleDB 2\.14\.2"),
        ({"timescaledb": "1.7.5", "btree_gist": "1.7"}, r"needs 2\.15 or newer"),
    ],
)
def test_a_database_without_timescaledb_is_refused(found, message):
    """The first hypertable would fail with a message that names no package."""
    with pytest.raises(PrerequisiteError, match=message) as caught:
        check_versions(found, "db:5432/tonne")
    assert "postgresql-17-timescaledb" in str(caught.value)


@pytest.mark.parametrize("version", ["2.15.0", "2.19.3", "2.22.0-dev", "3.0"])
def test_new_enough_versions_pass(version):
    """A later release would be refused for sorting as text."""
    check_versions({"timescaledb": version, "btree_gist": "1.7"}, "db")
