"""Days are summed only where something changed, and the shown sums equal the rows."""

import random
from datetime import UTC, datetime

import numpy as np
import psycopg
import pytest

from services.clock import now_us
from services.store.dead_letter_write import Letters
from services.store.postgres.pool import connect
from services.store.timeseries import remake_requests
from services.store.views import console
from services.store.views.fleet_metrics import refresh_days, refresh_today
from tests.grafana.fleet import Size, register
from tests.planted import planted
from tests.services.issuer import plant
from tests.soak import SOAK
from tests.waiting import until

pytestmark = pytest.mark.integration
_EMISSION = """
SELECT e.project_id, e.device_id, tonne_clock(p.timezone, e.start)::date AS day, p.timezone,
       sum(e.baseline_ug) AS baseline_ug, sum(e.reduction_ug) AS reduction_ug
FROM interval_emission e JOIN project p ON p.id = e.project_id GROUP BY 1, 2, 3, 4
"""
_QUANTITY = """
SELECT i.device_id, i.quantity, tonne_clock(s.timezone, i.start)::date AS day, s.timezone,
       sum(i.value)::numeric AS value, sum(i.measured_us)::bigint AS measured_us
FROM interval_quantity i JOIN device d ON d.id = i.device_id JOIN site s ON s.id = d.site
GROUP BY 1, 2, 3, 4
"""
_ACCOUNT = f"""
SELECT project_id, day, timezone, sum(baseline_ug) AS baseline_ug, sum(reduction_ug) AS reduction_ug
FROM ({_EMISSION}) e GROUP BY 1, 2, 3
"""
_YOUNG = " WHERE day >= tonne_clock(timezone, now())::date - 1"
# what is shown at every moment
_SHOWN = {
    _EMISSION: "SELECT project_id, device_id, day, timezone, baseline_ug, reduction_ug"
    " FROM v_day_emission",
    _ACCOUNT: "SELECT project_id, day, timezone, baseline_ug, reduction_ug FROM v_account_day",
    # as boards of today show them
    f"SELECT * FROM ({_QUANTITY}) i{_YOUNG}": "SELECT device_id, quantity, day, timezone, value,"
    f" measured_us FROM v_day_quantity{_YOUNG}",
    "SELECT project_id, device_id, day, timezone, baseline_ug * 0.000000000001,"
    f" reduction_ug * 0.000000000001 FROM ({_EMISSION}) e{_YOUNG}": "SELECT project_id, device_id,"
    f" day, timezone, baseline_t, avoided_t FROM v_day_avoided_t{_YOUNG}",
}
_OVER = " WHERE day < tonne_clock(timezone, now())::date"
# what is kept once every mark is taken, of days that are over
_KEPT = {
    f"SELECT * FROM ({_EMISSION}) e{_OVER}": "SELECT project_id, device_id, day, timezone,"
    f" baseline_ug, reduction_ug FROM day_emission{_OVER}",
    f"SELECT * FROM ({_QUANTITY}) i{_OVER}": "SELECT device_id, quantity, day, timezone, value,"
    f" measured_us FROM day_quantity{_OVER}",
    f"SELECT * FROM ({_ACCOUNT}) a{_OVER}": "SELECT project_id, day, timezone, baseline_ug,"
    f" reduction_ug FROM day_account{_OVER} AND devices > 0",
}
# each connection has devices of its own: one would wait for the other's row for ever
_OURS, _THEIRS = ("inv-1", "chg-1"), ("inv-2", "met-1")
_PROJECTS = {"inv-1": "rooftop-pv", "inv-2": "rooftop-pv", "chg-1": "ebus", "met-1": "chillers"}
# of the last hour, without a mark; of days ago; and so that the hour is over a moment later
_AGES = ("random() * 900", "3600 + random() * 1000000", "3600 - random() / 10")
_ZONES = (
    "Asia/Ho_Chi_Minh", "America/Denver", "Pacific/Kiritimati", "Europe/Berlin", "Asia/Kathmandu",
    f"Asia/Ho_Chi_Minh, from {datetime.now(UTC).date()} Asia/Kathmandu",
)  # fmt: skip
_MARKS = "SELECT count(*) FROM day_mark"


@pytest.fixture
def registered(database_url, tmp_path):
    """Return the URL of a database with a small city, and rows of two weeks."""
    register(database_url, tmp_path, Size(), datetime.now(UTC))
    with psycopg.connect(database_url, autocommit=True) as conn:
        # a chunk that one connection makes, another would wait for
        for device in (*_OURS, *_THEIRS):
            for days in range(15):
                _quantity(conn, device, f"{days} * 86400", 1)
                _emission(conn, device, f"{days} * 86400", 1)
    return database_url


@pytest.fixture
def conn(registered):
    with psycopg.connect(registered, autocommit=True) as opened:
        yield opened


@pytest.fixture
def other(registered):
    """Connect a second time, for transactions that stay open."""
    with psycopg.connect(registered) as opened:
        yield opened


@pytest.fixture
def watch(registered):
    with connect(registered, role="tonne_watch", autocommit=True) as opened:
        yield opened


def test_days_are_what_their_rows_are_whatever_is_written(conn, other, watch):
    """A tonne would be left out or counted twice until someone adds up again, or permanently."""
    # the same steps each time, and others in `make soak`
    seed = random.randrange(10**9) if SOAK else 20261127  # noqa: S311 (draws what happens)
    print("seed", seed)  # noqa: T201 (pytest shows it where the test fails)
    choose = random.Random(seed)  # noqa: S311 (draws what happens)
    for _ in range(90 if SOAK else 45):
        step = choose.random()
        if step < 0.35:
            _write(conn, choose, _OURS)
        elif step < 0.55:  # stays open for a while
            _write(other, choose, _THEIRS)
        elif step < 0.65:
            choose.choice([other.commit, other.rollback])()
        elif step < 0.72:
            _move(conn, choose)
        elif step < 0.8:  # cut off
            with watch.transaction(force_rollback=True):
                _some(watch, choose)
        elif step < 0.9:
            _some(watch, choose)
        else:
            refresh_today(watch)
        _same(watch, _SHOWN)
    other.commit()
    while refresh_days(watch):
        _same(watch, _SHOWN)
    assert watch.execute(_MARKS).fetchone() == (0,)
    _same(watch, _SHOWN)
    # rows of the last hour have no mark; their day is marked as it ends
    _ended(conn, days=2)
    while refresh_days(watch):
        pass
    _same(watch, _KEPT)


def test_what_is_written_meanwhile_keeps_its_mark(conn, other, watch):
    """A late reading that is stored while its day is added up would never be in its sum."""
    refresh_days(watch)
    _emission(other, "inv-1", "500000", 1_000)  # not committed yet
    _emission(conn, "inv-1", "500001", 500)  # marks the same day
    assert refresh_days(watch) == 1
    assert watch.execute(_MARKS).fetchone() == (0,)
    _same(watch, _SHOWN)
    other.commit()
    assert watch.execute(_MARKS).fetchone() == (1,)
    _same(watch, _SHOWN)
    assert refresh_days(watch) == 1
    _same(watch, _SHOWN)


def test_what_an_open_transaction_wrote_is_not_passed_over(other, watch):
    """A row written just before its hour ends would have no mark, and be missing in the sum."""
    refresh_today(watch)
    _quantity(other, "inv-2", "3600 - 0.02", 1_000)
    _emission(other, "inv-2", "3600 - 0.02", 1_000)
    watch.execute("SELECT pg_sleep(0.03)")
    for _ in range(3):
        refresh_today(watch)
        _same(watch, _SHOWN)
    other.commit()
    for _ in range(3):
        _same(watch, _SHOWN)
        refresh_today(watch)


def test_a_round_that_is_killed_leaves_marks_and_days(registered, conn, watch):
    """A server that is restarted while days are added up would forget which of them wait."""
    refresh_days(watch)
    _emission(conn, "inv-1", "500000", 1_000)
    before = conn.execute("SELECT * FROM day_emission ORDER BY 1, 2, 3").fetchall()
    with connect(registered, role="tonne_watch") as killed:
        assert killed.execute("SELECT tonne_refresh_days()").fetchone() == (1,)
        assert refresh_days(watch) == 0  # one at a time
        conn.execute("SELECT pg_terminate_backend(%s)", [killed.info.backend_pid])
        with pytest.raises(psycopg.OperationalError):
            killed.execute("SELECT 1")
    assert conn.execute(_MARKS).fetchone() == (1,)
    assert conn.execute("SELECT * FROM day_emission ORDER BY 1, 2, 3").fetchall() == before
    _same(watch, _SHOWN)
    until(lambda: refresh_days(watch) == 1, 60, lambda: "the lock of the killed is held")
    _same(watch, _SHOWN)


def test_many_days_at_once_have_statistics(conn, watch):
    """A city's pages would take half a minute after its import, until autovacuum comes."""
    refresh_days(watch)
    conn.execute(
        "INSERT INTO interval_quantity (device_id, quantity, start, value, measured_us,"
        " estimated_us, unknown_us) SELECT device, 'energy_export',"
        " clock_timestamp() - make_interval(days => age), 1, 1, 0, 0"
        " FROM unnest(%s::text[]) device, generate_series(20, 900) age",
        [list(_PROJECTS)],
    )
    conn.execute("DELETE FROM pg_statistic WHERE starelid = 'day_quantity'::regclass")
    assert refresh_days(watch) == len(_PROJECTS)
    row = conn.execute(
        "SELECT reltuples FROM pg_class WHERE oid = 'day_quantity'::regclass"
    ).fetchone()
    known = conn.execute("SELECT FROM pg_stats WHERE tablename = 'day_quantity'").fetchall()
    assert row is not None
    assert row[0] > 3_000
    assert known


def test_days_that_nobody_adds_up_are_shown_as_they_are(conn, watch):
    """Where the watcher hangs, tonnes of days since then would be missing."""
    refresh_days(watch)
    _ended(conn, days=8)
    with conn.transaction():
        # as rows that were written within their hour: without marks
        conn.execute("SET LOCAL session_replication_role = replica")
        for age in range(20_000, 600_000, 20_000):
            _emission(conn, "inv-1", str(age), age)
    _same(watch, _SHOWN)
    assert refresh_days(watch) > 0
    _same(watch, _SHOWN)


def test_a_project_s_sums_are_those_of_its_quarter_hours(registered, conn, watch):
    """The console would show other tonnes than the API and the report."""
    plain = (
        "SELECT sum(reduction_ug), sum(reduction_ug) FILTER (WHERE start >= (SELECT month_begins"
        " FROM v_project_state WHERE project_id = %(id)s)),"
        # local midnights of the first and the last day
        " tonne_clock(p.timezone, tonne_clock(p.timezone, min(start))::date::timestamp),"
        " tonne_clock(p.timezone, tonne_clock(p.timezone, max(start))::date::timestamp)"
        " FROM project p LEFT JOIN interval_emission ON project_id = p.id WHERE p.id = %(id)s"
        " GROUP BY p.timezone"
    )
    with connect(registered, role="tonne_api", autocommit=True) as api:
        for step in range(3):
            _emission(conn, "inv-1", f"{step} * 1500000 + 7200", 10**15 + step)
            for one in console.project_sums(api):
                rows = api.execute(plain, {"id": one.id}).fetchone()
                assert (one.reduction_ug, one.month_ug, one.first, one.last) == rows
                assert console.project_sums(api, one.id) == [one]
            refresh_days(watch)


def test_steady_readings_mark_nothing(conn, watch):
    """Each reading of a fleet would cost a further row."""
    refresh_days(watch)
    for write in (_quantity, _emission):
        for age in range(0, 3_000, 200):
            write(conn, "inv-1", str(age), 1)
    assert conn.execute(_MARKS).fetchone() == (0,)
    # late rows of a transaction mark each day once, not for each row
    with conn.transaction():
        for write in (_quantity, _emission):
            conn.execute("SAVEPOINT s")
            write(conn, "inv-1", "900000", 1)
            conn.execute("ROLLBACK TO s")
            for age in range(690_000, 700_000, 900):
                write(conn, "inv-1", str(age), 1)
    assert conn.execute(_MARKS).fetchone()[0] in {1, 2}
    _same(watch, _SHOWN)


def test_a_backlog_in_the_order_of_time_marks_sites(database_url, tmp_path):
    """Each commit of what came while the database was away would mark each device of a city."""
    register(database_url, tmp_path, Size(inverters=12), datetime.now(UTC))
    quarter = 900_000_000
    begin = now_us() // quarter * quarter - 5 * 86_400_000_000
    with (
        connect(database_url, role="tonne_ingest", autocommit=True) as conn,
        connect(database_url, role="tonne_watch", autocommit=True) as watch,
    ):
        conn.execute("SELECT tonne_refresh_days()")
        store = plant.store_of(conn)
        fleet = store.plan.fleet
        devices = [fleet.by_id[f"inv-{k}"] for k in range(1, 13)]
        for k in range(8):
            times = np.full(12, begin + k * quarter)
            readings = plant.frame("pv_inverter", devices, times, energy_export_wh=[k * 900] * 12)
            store.commit(conn, [readings], [], Letters([], [], [], [], 0))
            _same(watch, _SHOWN)
        # rows that are made again have marks of their own: those of new devices, and once a first
        # hour of a register is known
        (marks,) = conn.execute(_MARKS).fetchone()
        assert marks <= 3 * len(devices)
        (sites,) = conn.execute("SELECT count(*) FROM day_mark_site").fetchone()
        places = len({fleet.devices[d].site for d in devices})
        assert 0 < sites <= 2 * 8 * places
        # what others write in the same transaction has its own mark
        with conn.transaction(), conn.cursor() as cursor:
            old = np.array([begin], dtype=np.int64)
            with remake_requests.noted(
                cursor, fleet, [(np.array(devices[:1], dtype=np.int32), old)]
            ):
                pass
            _emission(conn, "inv-2", "999000", 7)
        _same(watch, _SHOWN)
        assert refresh_days(watch) > 0
        _same(watch, _SHOWN | _KEPT)
        assert watch.execute("SELECT count(*) FROM v_day_mark").fetchone() == (0,)


@pytest.fixture
def sunny(database_url, tmp_path):
    """Return three days of a plant whose inverter also measures irradiance, all summed."""
    planted(plant.quarter_hours, database_url, tmp_path)
    begin = plant.us("2026-03-03T00:00:00Z")
    times = [begin + k * 900_000_000 for k in range(192)]
    plant.send(database_url, "inv-1", times, irradiance_w_m2=[500.0 + k for k in range(192)])
    with (
        psycopg.connect(database_url, autocommit=True) as conn,
        connect(database_url, role="tonne_watch", autocommit=True) as watch,
    ):
        refresh_days(watch)
        yield conn, watch


def _pv(conn):
    return dict(
        conn.execute(
            "SELECT day::text, to_jsonb(d)::text FROM day_pv d WHERE device_id = 'inv-1'"
        ).fetchall()
    )


def test_a_late_reading_of_the_sun_makes_its_own_days(sunny, database_url):
    """Insolation of a day would leave out what came late, where no register changed."""
    conn, watch = sunny
    # one just after midnight ends what the last one of the day before counts
    for time, days in (
        ("2026-03-03T09:07:00Z", {"2026-03-03"}),
        ("2026-03-05T16:55:00Z", {"2026-03-05"}),
        ("2026-03-05T17:05:00Z", {"2026-03-05", "2026-03-06"}),
    ):
        before = _pv(conn)
        plant.send(database_url, "inv-1", [plant.us(time)], irradiance_w_m2=[1000.0])
        assert refresh_days(watch) == 1
        after = _pv(conn)
        assert {day for day in after if after[day] != before.get(day)} == days
    conn.execute("INSERT INTO day_mark VALUES ('inv-1', '2000-01-01', '2100-01-01')")
    assert refresh_days(watch) == 1
    assert _pv(conn) == after


def test_parts_give_the_same_days(sunny):
    """A large fleet's history would end nowhere, or its boards would show other sums."""
    conn, watch = sunny
    tables = ("day_quantity", "day_emission", "day_pv")
    text = "SELECT (to_jsonb(t) - 'begins')::text FROM {} t ORDER BY 1"
    whole = [conn.execute(text.format(name)).fetchall() for name in tables]
    assert all(whole)
    conn.execute(f"TRUNCATE {', '.join(tables)}")
    conn.execute("INSERT INTO day_mark SELECT id, '2000-01-01', '2100-01-01' FROM device")
    one = "SELECT tonne_refresh_days('0 seconds', 1)"
    parts = 0
    while watch.execute(one).fetchone()[0]:
        parts += 1
    assert parts == conn.execute("SELECT count(*) FROM device").fetchone()[0]
    assert [conn.execute(text.format(name)).fetchall() for name in tables] == whole


@pytest.mark.parametrize(
    "relation", ["interval_quantity", "interval_emission", "reading_pv_inverter"]
)
def test_a_day_is_made_of_its_own_rows(sunny, relation):
    """A late reading would cost what the history of its device holds, or a whole chunk."""
    conn, _ = sunny
    conn.execute("ANALYZE")
    with conn.transaction():
        # with so few rows the server would rather read all
        conn.execute("SET LOCAL enable_seqscan = off")
        before = _read(conn, relation)
        conn.execute(
            "SELECT tonne_make_days('{inv-1}', ARRAY['{[2026-03-01 17:00+00, 2026-03-02"
            " 17:00+00)}'::tstzmultirange])"
        )
        rows = _read(conn, relation) - before
    # 96 quarter hours and three hours more on either side, of both inverters where the server goes
    # by time; it may look a row up to find where an index ends
    assert 0 < rows <= 2 * 120 + 4


def _read(conn, relation):
    """Return the rows of a table read by this transaction, including those not yet counted."""
    return conn.execute(
        "SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::int"
        " FROM pg_stat_xact_all_tables s JOIN timescaledb_information.chunks c"
        " ON (c.chunk_schema, c.chunk_name) = (s.schemaname, s.relname)"
        " WHERE c.hypertable_name = %s",
        [relation],
    ).fetchone()[0]


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
def test_each_quarter_hour_is_in_one_day(sunny, zone, midnight):
    """An hour that a clock shows twice, or at which it is changed, would be of no day."""
    conn, watch = sunny
    conn.execute("UPDATE site SET timezone = %s", [zone])
    refresh_days(watch)
    conn.execute(
        "INSERT INTO interval_quantity (device_id, quantity, start, value, measured_us,"
        " estimated_us, unknown_us) SELECT 'inv-1', 'energy_import', t, 1, 900000000, 0, 0"
        " FROM generate_series(%(day)s::date - 4, %(day)s::date + 4, INTERVAL '15 minutes') t",
        {"day": midnight},
    )
    # a mark a day, of as many as the clock shows
    assert conn.execute("SELECT count(DISTINCT begins) FROM day_mark").fetchone()[0] in {8, 9, 10}
    refresh_days(watch)
    _same(conn, {_QUANTITY: "SELECT device_id, quantity, day, timezone, value, measured_us"
                 " FROM day_quantity"})  # fmt: skip


def _some(watch, choose):
    """Take some of the marks, or all."""
    watch.execute("SELECT tonne_refresh_days('0 seconds', %s)", [choose.choice((1, 40, 5000))])


def _ended(conn, days):
    """Let these days have ended since the last run."""
    conn.execute(
        "UPDATE day_until SET until = now() - make_interval(days => %(days)s),"
        " looked = now() - make_interval(days => %(days)s)",
        {"days": days},
    )


def _move(conn, choose):
    """Give a site or project another clock, or a device another site or project."""
    zone = choose.choice(_ZONES)
    match choose.randrange(4):
        case 0:
            conn.execute("UPDATE site SET timezone = %s WHERE id = 'nam-cau-kien'", [zone])
        case 1:
            conn.execute("UPDATE project SET timezone = %s WHERE id = 'rooftop-pv'", [zone])
        case 2:
            site = choose.choice(("cat-ba", "nam-cau-kien"))
            conn.execute("UPDATE device SET site = %s WHERE id = 'inv-1'", [site])
        case _:
            conn.execute(
                "UPDATE interval_emission SET project_id = %s WHERE device_id = 'inv-1'"
                " AND start = (SELECT max(start) FROM interval_emission WHERE device_id = 'inv-1'"
                "   AND start < now() - INTERVAL '3 days')",
                [choose.choice(("rooftop-pv", "chillers"))],
            )


def _write(conn, choose, devices):
    device, age = choose.choice(devices), choose.choice(_AGES)
    table = choose.choice(("interval_quantity", "interval_emission"))
    one = f"device_id = %(d)s AND start = (SELECT start FROM {table} WHERE device_id = %(d)s"
    one += " ORDER BY random() LIMIT 1)"
    match choose.randrange(6):
        case 0:
            conn.execute(f"DELETE FROM {table} WHERE {one}", {"d": device})
        case 1:
            column = "value" if table == "interval_quantity" else "reduction_ug"
            conn.execute(f"UPDATE {table} SET {column} = {column} + 1 WHERE {one}", {"d": device})
        case 2 | 3:
            _quantity(conn, device, age, choose.randrange(10**6))
        case _:
            _emission(conn, device, age, choose.randrange(10**12))


def _quantity(conn, device, age, value):
    conn.execute(
        "INSERT INTO interval_quantity (device_id, quantity, start, value, measured_us,"
        " estimated_us, unknown_us) VALUES (%s, 'energy_export',"
        f" clock_timestamp() - make_interval(secs => {age}), %s, %s, 0, 0)",
        (device, value, value),
    )


def _emission(conn, device, age, value):
    conn.execute(
        "INSERT INTO interval_emission (project_id, device_id, start, baseline_ug, project_ug,"
        " leakage_ug, reduction_ug, methodology, factor) VALUES (%s, %s,"
        f" clock_timestamp() - make_interval(secs => {age}), %s, 1, 0, %s, 'm', 'f')",
        (_PROJECTS[device], device, value, value),
    )


def _same(conn, pairs):
    for plain, view in pairs.items():
        # at one moment, by one statement
        differs = conn.execute(
            f"WITH plain AS ({plain}), shown AS ({view})"
            " (SELECT 'missing', * FROM (SELECT * FROM plain EXCEPT ALL SELECT * FROM shown) m)"
            " UNION ALL"
            " (SELECT 'too much', * FROM (SELECT * FROM shown EXCEPT ALL SELECT * FROM plain) m)"
        ).fetchall()
        assert differs == []
