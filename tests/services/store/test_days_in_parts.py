"""Days that are added up in parts are those that were added up at once."""

import psycopg
import pytest

from services.store.postgres.pool import connect
from tests.planted import planted
from tests.services.issuer import plant
from tests.waiting import until

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
    until(lambda: conn.execute(_WRITTEN).fetchone()[0] >= before + rows)


def _read(conn, relation):
    """Rows of a table that this transaction, and what is not yet in the counts, has read."""
    return conn.execute(
        "SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::int"
        " FROM pg_stat_xact_all_tables s JOIN timescaledb_information.chunks c"
        " ON (c.chunk_schema, c.chunk_name) = (s.schemaname, s.relname)"
        " WHERE c.hypertable_name = %s",
        [relation],
    ).fetchone()[0]


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


@pytest.mark.parametrize(
    "relation", ["interval_quantity", "interval_emission", "reading_pv_inverter"]
)
def test_a_day_is_made_of_its_own_rows(conn, relation):
    """Of ten thousand inverters three days were read for each one that was made."""
    conn.execute("ANALYZE")
    with conn.transaction():
        # with so few rows the server would rather read all
        conn.execute("SET LOCAL enable_seqscan = off")
        before = _read(conn, relation)
        conn.execute("SELECT tonne_make_days(%s, '2026-03-02', '2026-03-02')", [relation])
        rows = _read(conn, relation) - before
    # 96 quarter hours of two inverters, one of which was silent for six, and three hours more on
    # either side; the server may look a row up to find where an index ends
    assert 2 * 96 - 6 <= rows <= 2 * 120 + 4


@pytest.mark.parametrize(
    ("zone", "midnight"),
    [
        ("America/Havana", "2025-11-02"),  # shows its first hour twice
        ("America/Havana", "2026-03-08"),  # leaves its first hour out
        ("Asia/Kathmandu", "2026-03-08"),
        ("America/Denver, from 2026-03-08 Pacific/Auckland", "2026-03-08"),
        ("Pacific/Auckland, from 2026-03-08 America/Denver", "2026-03-08"),
    ],
)
def test_each_quarter_hour_is_in_one_day(conn, zone, midnight):
    """An hour that a clock shows twice, or at which it is changed, would be of no day."""
    conn.execute("UPDATE site SET timezone = %s", [zone])
    conn.execute(
        "INSERT INTO interval_quantity (device_id, quantity, start, value, measured_us,"
        " estimated_us, unknown_us) SELECT 'inv-1', 'energy_import', t, 1, 900000000, 0, 0"
        " FROM generate_series(%(day)s::date - 4, %(day)s::date + 4, INTERVAL '15 minutes') t",
        {"day": midnight},
    )
    for back in range(-3, 4):
        conn.execute(
            "SELECT tonne_make_days('interval_quantity', d, d) FROM (SELECT %s::date + %s AS d) t",
            [midnight, back],
        )
    differing = conn.execute(
        "SELECT * FROM (SELECT tonne_clock(%(zone)s, start)::date AS day, sum(value) FROM"
        " interval_quantity WHERE quantity = 'energy_import' GROUP BY 1) t"
        " WHERE day BETWEEN %(day)s::date - 3 AND %(day)s::date + 3"
        " EXCEPT SELECT day, value FROM day_quantity WHERE quantity = 'energy_import'",
        {"zone": zone, "day": midnight},
    )
    assert differing.fetchall() == []


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
