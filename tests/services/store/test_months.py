"""Readings of a long time, fetched in parts, equal the stored ones."""

import numpy as np
import psycopg

from services.store.postgres.nearest_rows import of_similar_spans as together
from services.store.postgres.pool import connect, stamp
from services.store.registry import load as registry
from services.store.timeseries import readings
from services.store.timeseries.interval_rows import intervals_of
from services.store.timeseries.register_checkpoints import between, departed
from tests.services.issuer import plant

HOUR_US = 3_600_000_000
_OPENED = """
SELECT count(DISTINCT c.chunk_name) FROM pg_locks l JOIN timescaledb_information.chunks c
    ON l.relation = format('%I.%I', c.chunk_schema, c.chunk_name)::regclass
WHERE l.pid = pg_backend_pid()
"""
_FLEET = """
INSERT INTO interval_quantity
    (device_id, quantity, start, value, measured_us, estimated_us, unknown_us)
SELECT CASE d WHEN 0 THEN 'inv-1' ELSE format('other-%s', d) END, 'energy_export', t, 1, 9e8, 0, 0
FROM generate_series('2026-03-10Z'::timestamptz, '2026-03-19T23:45Z', '15 min') t,
    generate_series(0, 29) d
"""
_TOUCHED = """
SELECT coalesce(sum(s.idx_tup_fetch + s.seq_tup_read), 0)::bigint
FROM pg_stat_xact_all_tables s JOIN timescaledb_information.chunks c
    ON (s.schemaname, s.relname) = (c.chunk_schema, c.chunk_name)
"""


def test_a_month_in_runs_is_the_month_as_it_is_stored(database_url, tmp_path):
    """A period of more than eight days would be closed without some of its readings."""
    plant.register(database_url, tmp_path)
    begin, end = plant.us("2026-03-01"), plant.us("2026-03-27")
    times = np.arange(begin, end, HOUR_US)
    plant.send(database_url, "inv-1", times, energy_export_wh=np.arange(len(times)))
    # silent from the eighth to the twentieth day, and without power before that
    kept = times[(times < begin + 8 * 24 * HOUR_US) | (times > begin + 20 * 24 * HOUR_US)]
    power = np.where(kept < begin + 8 * 24 * HOUR_US, np.nan, 5.5)
    plant.send(database_url, "inv-2", kept, energy_export_wh=kept - begin, active_power_w=power)
    with connect(database_url, role="tonne_mrv") as conn, conn.cursor() as cursor:
        fleet = registry.load_fleet(conn)
        one, other = fleet.by_id["inv-1"], fleet.by_id["inv-2"]
        spans = {other: (begin, end), one: (begin + HOUR_US, end - HOUR_US)}
        found = readings.months(cursor, fleet, "pv_inverter", spans)
        after = {d: since - 1 for d, (since, _) in spans.items()}
        stored = readings.fetch(cursor, fleet, "pv_inverter", after, end)
        assert len(readings.months(cursor, fleet, "pv_inverter", {one: (0, begin)})) == 0
    until = np.where(stored.device == one, end - HOUR_US, end)
    stored = stored.take(stored.time_us < until)
    assert len(found) == len(stored) == len(times) - 2 + len(kept)
    assert found.device.tolist() == stored.device.tolist()
    assert found.time_us.tolist() == stored.time_us.tolist()
    for name, values in stored.columns.items():
        assert found.columns[name].dtype == values.dtype
        assert np.array_equal(found.columns[name], values, equal_nan=values.dtype == np.float64)


def test_only_chunks_of_the_span_are_opened(database_url, tmp_path):
    """Planning for years of chunks would cost more than the week that is asked for."""
    plant.register(database_url, tmp_path)
    for month in range(1, 7):
        begin = plant.us(f"2026-{month:02d}-10")
        times = np.arange(begin, begin + 2 * HOUR_US, HOUR_US // 4)
        plant.send(database_url, "inv-1", times, energy_export_wh=times - plant.us("2026-01-01"))
    since, until = plant.us("2026-03-10"), plant.us("2026-03-11")
    with connect(database_url, role="tonne_mrv", autocommit=True) as conn, conn.cursor() as cursor:
        fleet = registry.load_fleet(conn)
        one = fleet.by_id["inv-1"]
        spans, edges = {one: (since, until)}, [[stamp(since)], [stamp(until)]]
        asked = {
            "months": lambda: readings.months(cursor, fleet, "pv_inverter", spans),
            "within": lambda: readings.within(cursor, "pv_inverter", ["inv-1"], [one], *edges),
            "intervals": lambda: intervals_of(cursor, fleet, since, until, ["inv-1"]),
            "checkpoints": lambda: between(cursor, fleet, spans).start_us,
        }
        chunks = conn.execute("SELECT count(*) FROM timescaledb_information.chunks").fetchone()
        rows, opened = {}, {}
        for name, ask in asked.items():
            with conn.transaction():
                rows[name] = len(ask())
                # what a plan holds stays locked until its transaction ends
                opened[name] = cursor.execute(_OPENED).fetchone()[0]
    assert chunks[0] >= 12
    assert rows == {"months": 8, "within": 8, "intervals": 96, "checkpoints": 96}
    assert opened == dict.fromkeys(asked, 1)


def test_of_a_small_fleet_only_the_rows_of_the_device_are_read(database_url, tmp_path):
    """An index by time looks cheap where no one says how long a span is: it reads all devices."""
    plant.register(database_url, tmp_path)
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(_FLEET)
        conn.execute("ANALYZE interval_quantity")
    since, until = plant.us("2026-03-11"), plant.us("2026-03-18")
    with connect(database_url, role="tonne_mrv", autocommit=True) as conn, conn.cursor() as cursor:
        fleet = registry.load_fleet(conn)
        one = fleet.by_id["inv-1"]
        asked = {
            "intervals": lambda: intervals_of(cursor, fleet, since, until, ["inv-1"]),
            "checkpoints": lambda: between(cursor, fleet, {one: (since, until)}),
            "departed": lambda: departed(cursor, fleet, {one: since}),
        }
        touched = {}
        for name, ask in asked.items():
            with conn.transaction():
                before = cursor.execute(_TOUCHED).fetchone()[0]
                ask()
                touched[name] = cursor.execute(_TOUCHED).fetchone()[0] - before
    week = (until - since) // (HOUR_US // 4)
    assert all(0 < rows < 2 * week for rows in touched.values()), touched


def test_spans_that_lie_apart_are_asked_for_apart():
    """The common time span of a group may hold at most twice the rows that are needed."""
    day = 24 * HOUR_US
    spans = {0: (0, day), 1: (2 * HOUR_US, day), 2: (300 * day, 301 * day), 3: (0, day)}
    assert list(together(spans)) == [{0: spans[0], 3: spans[3], 1: spans[1]}, {2: spans[2]}]
    assert list(together({})) == []
