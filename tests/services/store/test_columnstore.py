"""Old chunks: compressed where the server can, and reported where it cannot."""

import threading
from datetime import timedelta

import psycopg
import pytest
from click.testing import CliRunner
from psycopg import sql

from services.cli.columnstore import columnstore as command
from services.cli.local.doctor_checks import storage
from services.intake.database import Database
from services.logs import get_logger
from services.store.postgres import columnstore
from services.store.postgres.migrate import migrate
from services.store.postgres.pool import connect


def test_a_chunk_holds_a_week(shared_database_url):
    """Days are twice as large when compressed; months stay uncompressed for longer."""
    with connect(shared_database_url) as conn:
        lengths = conn.execute(
            "SELECT DISTINCT time_interval FROM timescaledb_information.dimensions"
            " WHERE starts_with(hypertable_name, 'reading_')"
            " OR hypertable_name IN ('interval_quantity', 'interval_emission')"
        ).fetchall()
    assert lengths == [(timedelta(days=7),)]


@pytest.fixture
def connection(database_url):
    """Return a connection to a fresh database that has an old reading and interval."""
    with connect(database_url, autocommit=True) as opened:
        opened.execute(
            "INSERT INTO reading_energy_meter (device_id, time, energy_import_wh)"
            " SELECT 'd', '2025-01-06'::timestamptz + n * interval '1 minute', n"
            " FROM generate_series(1, 1000) n"
        )
        yield opened


def test_what_is_claimed_is_what_is(database_url, connection, monkeypatch):
    """Ten years of rows would fill a disk that was sized for compressed ones."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    note = migrate(database_url).notes[0]
    found = next(one for one in storage(connection) if one.what == "columnstore")
    done = CliRunner().invoke(command, ["run"])
    shown = CliRunner().invoke(command, ["status"])
    if not columnstore.available(connection):
        assert "Apache edition has no columnstore" in note
        assert "Apache edition has no columnstore" in shown.output
        assert found.state == "missing"
        assert "none needed" not in found.fix
        assert "no columnstore" in str(done.exception)
        return
    assert columnstore.without(connection) == []
    assert found.state == "wrong"
    assert "1 chunk compressed" in done.output
    assert "reading_energy_meter" in shown.output
    assert columnstore.waiting(connection) == []
    found = next(one for one in storage(connection) if one.what == "columnstore")
    assert found.state == "ok"
    count = connection.execute("SELECT count(*), sum(energy_import_wh) FROM reading_energy_meter")
    assert count.fetchone() == (1000, 500_500)


def test_compressed_chunks_under_another_license_are_told_of(database_url, connection, monkeypatch):
    """
    After a move to Debian's package old chunks cannot be read, and they would
    be reported as rows.
    """
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    monkeypatch.setattr(columnstore, "licence", lambda _: "apache")
    assert "kept as rows" in columnstore.why_not(connection)
    connection.execute("UPDATE _timescaledb_catalog.chunk SET status = status | 1")
    said = "timescaledb.license is apache: compressed chunks (1) can be neither read nor written"
    (found,) = [one for one in storage(connection) if one.what == "columnstore"]
    assert (found.state, said in found.found) == ("wrong", True)
    assert said in columnstore.switch_on(connection)
    assert said in CliRunner().invoke(command, ["status"]).output
    assert said in str(CliRunner().invoke(command, ["run"]).exception)


def test_a_chunk_that_others_write_to_is_told_of(database_url, connection, monkeypatch):
    """TimescaleDB leaves such a chunk with a warning; it would be counted as compressed."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    if not columnstore.available(connection):
        assert columnstore.compress(connection) == columnstore.Done()
        return
    assert len(columnstore.compress(connection).compressed) == 1
    late = "INSERT INTO reading_energy_meter (device_id, time) VALUES (%s, '2025-01-06 12:00')"
    connection.execute(late, ["late"])
    with psycopg.connect(database_url) as one, psycopg.connect(database_url) as other:
        one.execute(late, ["one"])
        other.execute(late, ["other"])
        beside = CliRunner().invoke(command, ["run"])
    assert "other processes write to it" in str(beside.exception)
    assert "0 chunks compressed" in beside.output
    assert "1 chunk compressed" in CliRunner().invoke(command, ["run"]).output
    assert columnstore.waiting(connection) == []


def test_a_job_that_fails_is_named(connection):
    """All compression jobs of an installation failed, and `tonne doctor` said ok."""
    row = connection.execute(
        "SELECT coalesce(to_regclass('_timescaledb_catalog.bgw_job'),"
        " to_regclass('_timescaledb_config.bgw_job'))::text"
    ).fetchone()
    jobs = sql.SQL(row[0])
    for number, name, failures in ((900, "own_once", 1), (901, "own_twice", 2), (1900, "added", 1)):
        connection.execute(
            sql.SQL(
                "INSERT INTO {} SELECT (jsonb_populate_record(j, jsonb_build_object('id', %s::int,"
                " 'proc_name', %s::text, 'scheduled', false))).* FROM {} j ORDER BY j.id LIMIT 1"
            ).format(jobs, jobs),
            [number, name],
        )
        connection.execute(
            "INSERT INTO _timescaledb_internal.bgw_job_stat VALUES (%(job)s, now(), now(), now(),"
            " now(), false, %(n)s, '1 s', '1 s', 0, %(n)s, 0, %(n)s, 0, 0)",
            {"job": number, "n": failures},
        )
    named = columnstore.failed_jobs(connection)
    assert {"901 own_twice", "1900 added"} <= set(named)
    assert "900 own_once" not in named
    (found,) = [one for one in storage(connection) if one.what == "jobs"]
    assert found.state == "wrong"
    assert "1900 added" in found.found


def test_old_rows_wait(connection):
    """A chunk that no one compresses would be taken for compressed."""
    (one,) = columnstore.waiting(connection)
    assert one.table == "reading_energy_meter"
    assert one.age_days > 300
    assert columnstore.waiting(connection, days=10_000) == []


@pytest.mark.parametrize("what", ["device", "reading_energy_meter"])
def test_only_old_chunks_can_be_compressed(database_url, what):
    """Anyone who may watch could lock any table of the database."""
    with (
        connect(database_url, role="tonne_mrv", autocommit=True) as conn,
        pytest.raises(psycopg.errors.InvalidParameterValue, match="no chunk of"),
    ):
        conn.execute("SELECT tonne_compress(%s::regclass)", [what])
    with (
        connect(database_url, role="tonne_grafana", autocommit=True) as conn,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        conn.execute("SELECT tonne_compress(%s::regclass)", [what])


def test_the_limit_on_decompressed_rows_is_lifted(database_url):
    """A few late readings of many devices would be refused as too much work."""
    database = Database(database_url, "test", get_logger("test"), threading.Event())
    row = database.connection().execute(
        "SELECT setting FROM pg_settings"
        " WHERE name = 'timescaledb.max_tuples_decompressed_per_dml_transaction'"
    )
    assert row.fetchone() in (None, ("0",))
    database.close()


def test_interval_tables_keep_room_for_updates(connection):
    """An open interval that moves with each batch would bloat table and index."""
    rows = connection.execute(
        "SELECT relname, reloptions::text FROM pg_class WHERE relname = ANY(%s) AND relkind = 'r'",
        [["interval_quantity", "interval_emission"]],
    ).fetchall()
    assert len(rows) == 2
    assert all("fillfactor=70" in options for _, options in rows)
    assert all("autovacuum_vacuum_scale_factor=0.02" in options for _, options in rows)
