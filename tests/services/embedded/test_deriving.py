"""Derived rows are made after storing: a delay in deriving delays no reading."""

import threading

import psycopg
import pytest

from ingest.errors import ServerError
from services.cli.local.doctor_checks import rows
from services.intake import database as writers
from services.intake.database import Database
from services.logs import get_logger
from services.processing import deriver
from services.store import offsets as source
from services.store.offsets import Source
from services.store.postgres.pool import connect
from tests.derived import derived
from tests.waiting import until

from .test_newer_registry import REGISTRY as ONE_METER
from .test_newer_registry import count, inbox

REGISTRY = ONE_METER

WAITING = "tonne_derive_waiting_seconds"


def stored(connection):
    """Return the number of stored readings."""
    return connection.execute("SELECT count(*) FROM reading_energy_meter").fetchone()[0]


def test_a_table_of_rows_that_is_locked_holds_up_no_reading(database_url, chain, metrics):
    """A rebuild of an hour would leave the devices of a city without their receipts."""
    chain.store(inbox(0))
    derived(database_url)
    with psycopg.connect(database_url) as locking:
        locking.execute("LOCK TABLE interval_quantity IN ACCESS EXCLUSIVE MODE")
        for minute in range(1, 20):
            chain.store(inbox(minute))
        assert stored(locking) == 20
        until(lambda: metrics.registry.get_sample_value(WAITING) > 0.2)
        found = rows(locking)
        assert (found.state, found.found.endswith("s behind the readings")) == ("ok", True)
        locking.execute("UPDATE underived SET stored = stored - INTERVAL '5 minutes'")
        assert rows(locking).state == "wrong"
        locking.rollback()
    assert count(database_url, "m-2") == (20, 2)
    until(lambda: metrics.registry.get_sample_value(WAITING) == 0)  # the rows come before it


def test_an_open_interval_is_written_once_a_round(database_url, chain):
    """Each batch would write the row of each device again, and wait for it."""
    chain.store(inbox(0))
    derived(database_url)
    with psycopg.connect(database_url) as locking:
        locking.execute("LOCK TABLE interval_quantity IN ACCESS EXCLUSIVE MODE")
        for minute in range(1, 14):
            chain.store(inbox(minute))
    derived(database_url)
    with psycopg.connect(database_url) as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        changed = connection.execute(
            "SELECT sum(n_tup_upd) FROM pg_stat_all_tables WHERE relid IN (SELECT"
            " format('%I.%I', chunk_schema, chunk_name)::regclass"
            " FROM timescaledb_information.chunks WHERE hypertable_name = 'interval_quantity')"
        ).fetchone()[0]
    assert changed <= 3
    assert count(database_url, "m-2") == (14, 1)


def test_more_than_memory_should_hold_is_left_to_the_database(database_url, chain, monkeypatch):
    """If no rows are derived for an hour, the queue would fill the memory of the process."""
    chain.store(inbox(0))
    derived(database_url)
    monkeypatch.setattr(deriver, "MAX_READINGS", 5)
    monkeypatch.setattr(deriver, "_PATIENCE_S", 0.01)
    with psycopg.connect(database_url) as locking:
        locking.execute("LOCK TABLE interval_quantity IN ACCESS EXCLUSIVE MODE")
        for minute in range(1, 40):
            chain.store(inbox(minute))
        assert chain._deriving._store.deriver.notes.readings < 10
    assert count(database_url, "m-2") == (40, 3)


def test_two_pipelines_do_not_write_beside_each_other(database_url, monkeypatch):
    """Two processes would use register states changed by each other, and store wrong intervals."""
    monkeypatch.setattr(writers, "PREDECESSOR_S", 1)
    opened = []
    first, second = (
        Database(
            database_url,
            name,
            get_logger("test"),
            threading.Event(),
            join=writers.alone,
            opened=lambda n=name: opened.append(n),
        )
        for name in ("first", "second")
    )
    first.connection()
    with pytest.raises(ServerError, match="another `tonne run` writes"):
        second.connection()
    first.close()
    monkeypatch.setattr(writers, "PREDECESSOR_S", 60)
    second.connection()
    second.connection()
    assert opened == ["first", "second"]
    second.close()


def test_workers_that_start_together_on_a_new_database_both_share(database_url):
    """Of two workers that start together, the second ended with an error: one remained."""
    wanted, found = Source("parcels", 4), []
    first, second, looks = (
        connect(database_url, role="tonne_ingest", autocommit=True) for _ in range(3)
    )
    with first, second, looks:
        first.execute("SELECT pg_advisory_lock(%s)", [writers._LOCK])
        late = threading.Thread(target=lambda: found.append(writers.share(second, wanted)))
        late.start()
        waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        until(lambda: looks.execute(waits).fetchone()[0] > 0, 60, lambda: "second waits")
        with first.transaction():
            source.choose(first, wanted)
        first.execute("SELECT pg_advisory_lock_shared(%s)", [writers._LOCK])
        first.execute("SELECT pg_advisory_unlock(%s)", [writers._LOCK])
        late.join(60)
    assert found == [4]
