"""The rows next to a time: those of the whole history, found in a few of its chunks."""

from random import Random
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.model import Device, Fleet
from mrv import factors
from services.processing.commit import Store
from services.settle import Plan
from services.store.dead_letter_write import Letters
from services.store.postgres import columnstore
from services.store.postgres import nearest_rows as near
from services.store.postgres.pool import FAR_US, connect, stamp
from tests.ingest.metering import MINUTE_US, T0_US
from tests.integration import stored, test_pipeline_any_order
from tests.integration.deliveries import Reading, batches, frame
from tests.soak import SOAK

connection = test_pipeline_any_order.connection
_HOUR_US = 60 * MINUTE_US
_DAY_US = 24 * _HOUR_US
_DAYS = 40
_READING = (
    "SELECT d.number, r.time, r.energy_import_wh FROM {{sought}} CROSS JOIN LATERAL (SELECT *"
    " FROM reading_energy_meter WHERE device_id = d.id AND time {side} d.edge{held}{{near}}"
    " ORDER BY time {order} LIMIT {many}) r"
)
# what a plan holds stays locked until its transaction ends
_OPENED = """
SELECT extract(epoch FROM c.range_start) * 1000000
FROM pg_locks l JOIN timescaledb_information.chunks c
    ON l.relation = format('%I.%I', c.chunk_schema, c.chunk_name)::regclass
WHERE l.pid = pg_backend_pid()
"""


@pytest.fixture
def sparse(database_url):
    """Return a connection to a database whose meters have gaps of an hour, or of weeks."""
    draw = Random(20)  # noqa: S311 (draws silences)
    rows = []
    for device in range(12):
        at = 0.0
        while (at := at + draw.choice((0.01, 0.3, 0.3, 2.9, 3.1, 9, 25))) < _DAYS:
            shown = draw.random() < 0.6
            us = T0_US + int(at * _DAY_US) // 1000 * 1000
            rows.append((f"m{device}", stamp(us), len(rows) if shown else None))
    with connect(database_url, autocommit=True) as opened, opened.cursor() as cursor:
        _chunks_of_a_day(cursor, "reading_energy_meter")
        cursor.executemany("INSERT INTO reading_energy_meter VALUES (%s, %s, %s)", rows)
        yield opened


def _chunks_of_a_day(cursor, *tables):
    for table in tables:
        cursor.execute("SELECT set_chunk_time_interval(%s::regclass, interval '1 day')", [table])


def test_what_is_found_is_what_the_whole_history_has(sparse):
    """A mark that is passed over would count the energy of a silence twice, or not at all."""
    _same_as_whole(sparse)
    if columnstore.available(sparse):
        columnstore.compress(sparse)
        _same_as_whole(sparse)


def _same_as_whole(connection):
    draw = Random(1)  # noqa: S311 (draws what is asked)
    found_any = False
    for _ in range(60):
        onward, many = draw.random() < 0.5, draw.choice((1, 2))
        held = draw.choice(("", " AND energy_import_wh IS NOT NULL"))
        side, order = (">=", "ASC") if onward else ("<", "DESC")
        query = _READING.format(side=side, order=order, many=many, held=held)
        number = draw.choice((1, 3, 20))
        edge = [T0_US + draw.randrange(-2 * _DAY_US, (_DAYS + 2) * _DAY_US) for _ in range(number)]
        first = list(map(near.after if onward else near.before, edge))
        if not onward and draw.random() < 0.3:  # the newest of all, where it may be or may not
            first = list(map(near.newest, edge))
            edge = [FAR_US] * number
        sought = {
            "id text": [f"m{draw.randrange(14)}" for _ in edge],  # two were never heard of
            "edge timestamptz": list(map(stamp, edge)),
        }
        with connection.cursor() as cursor:
            found = near.nearest(cursor, query, sought, first, "time", many=many, onward=onward)
            whole = query.format(
                sought="unnest(%s::int[], %s::text[], %s::timestamptz[]) AS d (number, id, edge)",
                near="",
            )
            cursor.execute(whole, (list(range(number)), *sought.values()))
            assert sorted(found) == sorted(cursor.fetchall())
        found_any |= bool(found)
    assert found_any


@settings(
    max_examples=40 if SOAK else 3,
    deadline=None,
    derandomize=not SOAK,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(batches(3), st.sampled_from([MINUTE_US, 15 * MINUTE_US]))
def test_the_same_rows_where_every_silence_is_longer_than_the_first_look(connection, arriving, us):
    """A tonne must not depend on how far back is looked first."""
    plan = test_pipeline_any_order.plan(next(test_pipeline_any_order._examples), None)
    with patch.object(near, "FIRST_SPAN_US", us):
        journal = test_pipeline_any_order.deliver(connection, plan, arriving)
        assert test_pipeline_any_order._readings(connection, plan) == journal.rows
    stored.check(connection, plan)


def test_a_late_reading_opens_the_chunks_about_it(database_url):
    """A late reading would cost what the history is long: 0.5 s each after some years."""
    fleet = Fleet([Device("d0", "s", "pv_inverter", rated_power_w=100_000)])
    plan = Plan.of(fleet, [], factors.load())
    # a plan for any values, as the server takes after some uses, opens each chunk
    plans = ["plan_cache_mode=force_generic_plan"]
    with connect(database_url, role="tonne_ingest", autocommit=True, limits=plans) as conn:
        with connect(database_url, autocommit=True) as owner:
            _chunks_of_a_day(owner, "reading_pv_inverter", "interval_quantity", "quality_flag")
        store, days = Store(plan), 48
        hours = range(days * 24)
        _commit(conn, store, [Reading(0, T0_US + h * _HOUR_US, export=h * 100) for h in hours])
        for k in range(3):
            late, now = (T0_US + d * _DAY_US + k * _HOUR_US for d in (16, days))
            value = (late - T0_US) // _HOUR_US * 100
            with conn.transaction():
                _commit(conn, store, [Reading(0, late + MINUTE_US, export=value)])
                opened = _opened(conn)
            with conn.transaction():
                _commit(conn, store, [Reading(0, now, export=(days * 24 + k) * 100)])
                live = _opened(conn)
        # a run is looked for over ten days back, what follows over two weeks ahead
        about = [d for d in opened if 3 <= d <= 32]
        last = [d for d in opened if d >= days - 5]
        assert sorted(about + last) == sorted(opened)
        assert min(len(about), len(last)) > 0
        assert all(d >= days - 13 for d in live)
        stored.check(conn, plan)


def _commit(connection, store, readings):
    n = len(readings)
    letters = Letters(["t"] * n, [b"x"] * n, [None] * n, [False] * n, T0_US)
    store.commit(connection, [frame(readings)], [], letters)


def _opened(connection):
    """Return the days of the chunks in the query plans of this transaction."""
    found = connection.execute(_OPENED).fetchall()
    return [(int(us) - T0_US) // _DAY_US for (us,) in found]
