"""Chunks as long as their indexes fit into memory."""

from services.cli.local.doctor_database import storage
from services.store.postgres import reading_tables
from services.store.postgres.migrate import migrate
from services.store.postgres.pool import connect

FILL = (
    "INSERT INTO interval_quantity (device_id, quantity, start, value, measured_us, estimated_us,"
    " unknown_us, metering) SELECT 'd' || d, 'energy_export', now() - n * interval '1 hour', n, 0,"
    " 0, 0, 2 FROM generate_series(1, 600) n, generate_series(1, 40) d"
)


def days(url):
    """Return how many days new chunks of intervals hold."""
    with connect(url, autocommit=True) as conn:
        (found,) = [o for o in reading_tables.lengths(conn) if o.table == "interval_quantity"]
    return found.days


def test_chunks_of_a_small_fleet_stay_as_they_are(database_url):
    """A few devices would have thousands of chunks, and each query would open them."""
    with connect(database_url, autocommit=True) as conn:
        conn.execute(FILL)
        assert not any(one.what == "chunks" for one in storage(conn))
    migrate(database_url)
    assert days(database_url) == 30


def test_chunks_of_a_large_fleet_are_shorter(database_url, monkeypatch):
    """Indexes that do not fit into memory make each commit wait for the disk."""
    with connect(database_url, autocommit=True) as conn:
        conn.execute(FILL)
        held = sum(o.days * o.bytes_a_day for o in reading_tables.lengths(conn))
        monkeypatch.setattr(reading_tables, "memory", lambda _: int(held))
        assert any(one.what == "chunks" and one.state == "wrong" for one in storage(conn))
        notes = migrate(database_url).notes
        assert any("new chunks hold 7 days, not 30" in note for note in notes), notes
        assert not any(one.what == "chunks" for one in storage(conn))
    assert days(database_url) == 7
