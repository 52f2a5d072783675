"""Days that are added up in parts are those that were added up at once."""

import time

import psycopg
import pytest

from services.store.postgres.pool import connect
from tests.planted import planted
from tests.services.issuer import plant

pytestmark = pytest.mark.integration
_TABLES = ("day_quantity", "day_emission", "day_pv")
_WRITTEN = (
    "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_all_tables"
    " WHERE schemaname = '_timescaledb_internal'"
)


@pytest.fixture
def conn(database_url, tmp_path):
    """Three days of a plant whose inverter also measures the sun."""
    planted(plant.quarter_hours, database_url, tmp_path)
    begin = plant.us("2026-03-03T00:00:00Z")
    times = [begin + k * 900_000_000 for k in range(192)]
    plant.send(database_url, "inv-1", times, irradiance_w_m2=[500.0 + k for k in range(192)])
    with psycopg.connect(database_url, autocommit=True) as conn:
        yield conn


@pytest.fixture
def watch(conn, database_url):
    """A connection as the watcher has it."""
    with connect(database_url, role="tonne_watch", autocommit=True) as watch:
        yield watch


def _write(conn, *statements):
    """Change rows, and wait until the server tells of it in its counts."""
    (before,) = conn.execute(_WRITTEN).fetchone()
    rows = sum(conn.execute(statement).rowcount for statement in statements)
    assert rows
    conn.execute("SELECT pg_stat_force_next_flush()")
    since = time.monotonic()
    while conn.execute(_WRITTEN).fetchone()[0] < before + rows:
        assert time.monotonic() - since < 60
        time.sleep(0.05)


def _days(conn):
    return {
        name: conn.execute(
            f"SELECT to_jsonb(t) - 'begins' FROM {name} t ORDER BY to_jsonb(t)::text"
        ).fetchall()
        for name in _TABLES
    }


def _at_once(conn):
    """Make all days anew, each chunk in one go."""
    conn.execute("TRUNCATE day_quantity, day_emission, day_pv, day_made")
    while conn.execute("SELECT tonne_refresh_days('1 hour', 10000)").fetchone()[0]:
        pass
    return _days(conn)


def _part(watch):
    """Make the next five days of the chunk that is next; return whether there was one."""
    return watch.execute("SELECT tonne_refresh_days('0 seconds', 5)").fetchone()[0] > 0


def _to_the_end(watch):
    parts = 0
    while _part(watch):
        parts += 1
    left = "SELECT count(*) FROM day_made WHERE next_day IS NOT NULL"
    assert watch.execute(left).fetchone() == (0,)
    return parts


def test_parts_give_the_same_days(conn, watch):
    """A large fleet's month would end nowhere, or its boards would show other sums."""
    whole = _at_once(conn)
    assert all(whole.values())
    chunks = conn.execute("SELECT count(*) FROM day_made").fetchone()[0]
    conn.execute("TRUNCATE day_quantity, day_emission, day_pv, day_made")
    assert _part(watch)
    # what was made is kept, and says where to go on
    ((next_day,),) = conn.execute("SELECT next_day FROM day_made").fetchall()
    assert next_day is not None
    assert _to_the_end(watch) >= 3 * chunks
    assert _days(conn) == whole


def test_what_changes_meanwhile_has_another_round(conn, watch):
    """A late reading into a day that was just made would never reach a board."""
    for _ in range(10):
        assert _part(watch)
    _write(
        conn,
        "UPDATE interval_quantity SET value = value + 7 WHERE device_id = 'inv-1'",
        "DELETE FROM interval_emission WHERE device_id = 'inv-2' AND start > '2026-03-03 12:00+00'",
    )
    conn.execute("UPDATE site SET timezone = 'America/Denver'")
    assert _part(watch)
    conn.execute("UPDATE project SET timezone = 'Pacific/Auckland'")
    _to_the_end(watch)
    found = _days(conn)
    zones = {row["timezone"] for rows in found.values() for (row,) in rows}
    assert zones == {"America/Denver", "Pacific/Auckland"}
    assert found == _at_once(conn)
