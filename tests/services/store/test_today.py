"""Yesterday and today in views: stored sums and what came since say what the quarter hours say."""

import random
from datetime import UTC, datetime

import psycopg
import pytest

from services.store.postgres.pool import connect
from services.store.views.fleet_metrics import refresh_today
from tests.grafana.fleet import Size, register

_QUANTITY = """
SELECT i.device_id, i.quantity, tonne_clock(s.timezone, i.start)::date AS day, s.timezone,
       sum(i.value)::numeric, sum(i.measured_us)::bigint
FROM interval_quantity i JOIN device d ON d.id = i.device_id JOIN site s ON s.id = d.site
WHERE tonne_clock(s.timezone, i.start)::date >= tonne_clock(s.timezone, now())::date - 1
GROUP BY 1, 2, 3, 4
"""
_EMISSION = """
SELECT e.project_id, e.device_id, tonne_clock(p.timezone, e.start)::date AS day, p.timezone,
       sum(e.baseline_ug) * 0.000000000001, sum(e.reduction_ug) * 0.000000000001
FROM interval_emission e JOIN project p ON p.id = e.project_id
WHERE tonne_clock(p.timezone, e.start)::date >= tonne_clock(p.timezone, now())::date - 1
GROUP BY 1, 2, 3, 4
"""
_ACCOUNT = f"""
SELECT project_id, day, timezone, sum(baseline), sum(reduction)
FROM ({_EMISSION}) d (project_id, device_id, day, timezone, baseline, reduction) GROUP BY 1, 2, 3
"""
_YOUNG = "day >= tonne_clock(timezone, now())::date - 1"
_VIEWS = {
    _QUANTITY: "SELECT device_id, quantity, day, timezone, value, measured_us"
    f" FROM v_day_quantity WHERE {_YOUNG}",
    _EMISSION: "SELECT project_id, device_id, day, timezone, baseline_t, avoided_t"
    f" FROM v_day_avoided_t WHERE {_YOUNG}",
    _ACCOUNT: "SELECT project_id, day, timezone, baseline_t, avoided_t"
    f" FROM v_account_day WHERE {_YOUNG}",
}
# each connection has devices of its own: one would wait for the other's row for ever
_OURS, _THEIRS = ("inv-1", "chg-1"), ("inv-2", "met-1")
_PROJECTS = {"inv-1": "rooftop-pv", "inv-2": "rooftop-pv", "chg-1": "ebus", "met-1": "chillers"}
_ZONES = (
    "Asia/Ho_Chi_Minh", "America/Denver", "Pacific/Kiritimati", "Europe/Berlin",
    f"Asia/Ho_Chi_Minh, from {datetime.now(UTC).date()} Asia/Kathmandu",
)  # fmt: skip
# now; late; and so that the hour is over a moment after it is written
_AGES = ("random() * 900", "3600 + random() * 180000", "3600 - random() / 10")


@pytest.fixture
def registered(database_url, tmp_path):
    """Return the URL of a database with a small city, and rows two days old and of now."""
    register(database_url, tmp_path, Size(), datetime.now(UTC))
    with psycopg.connect(database_url, autocommit=True) as conn:
        # a chunk that one connection makes, another would wait for
        for device in (*_OURS, *_THEIRS):
            for age in ("0", "90000", "180000", "184000"):
                _quantity(conn, device, age, 1)
                _emission(conn, device, age, 1)
    return database_url


def test_views_of_today_say_what_the_quarter_hours_say(registered):
    """A board would leave out what came late, or show tonnes that no quarter hour holds."""
    seed = random.randrange(10**9)  # noqa: S311 (draws what happens)
    print("seed", seed)  # noqa: T201 (pytest shows it where the test fails)
    choose = random.Random(seed)  # noqa: S311 (draws what happens)
    with (
        psycopg.connect(registered, autocommit=True) as conn,
        psycopg.connect(registered) as other,
        connect(registered, role="tonne_watch", autocommit=True) as watch,
    ):
        for _ in range(90):
            step = choose.random()
            if step < 0.4:
                _write(conn, choose, _OURS)
            elif step < 0.65:  # stays open for a while
                _write(other, choose, _THEIRS)
            elif step < 0.75:
                choose.choice([other.commit, other.rollback])()
            else:
                refresh_today(watch)
            _same(watch)
        other.commit()
        for _ in range(2):
            refresh_today(watch)
            _same(watch)
        # what is stored is used: with nobody writing, all but the last hour comes from there
        assert watch.execute("SELECT count(*) FROM day_today_late").fetchone() == (0,)
        assert watch.execute(
            "SELECT until > now() - INTERVAL '61 minutes' FROM day_today_until"
        ).fetchone() == (True,)


def test_a_day_follows_a_clock_that_is_corrected(registered):
    """Energy of a site would be gone from boards until its sums are made again."""
    with (
        psycopg.connect(registered, autocommit=True) as conn,
        connect(registered, role="tonne_watch", autocommit=True) as watch,
    ):
        for change in (
            *(f"UPDATE site SET timezone = '{zone}' WHERE id = 'nam-cau-kien'" for zone in _ZONES),
            *(f"UPDATE project SET timezone = '{zone}' WHERE id = 'rooftop-pv'" for zone in _ZONES),
            "UPDATE device SET site = 'cat-ba' WHERE id = 'inv-1'",
        ):
            refresh_today(watch)
            conn.execute(change)
            _same(watch)


def test_every_late_write_is_seen_at_once(registered):
    """A correction would show five minutes late, or, taken back by a savepoint, for ever."""
    tables = {"interval_quantity": "value", "interval_emission": "reduction_ug"}
    with (
        psycopg.connect(registered, autocommit=True) as conn,
        connect(registered, role="tonne_watch", autocommit=True) as watch,
    ):
        late = "device_id = 'inv-1' AND start < now() - INTERVAL '2 h'"
        late += " AND start > now() - INTERVAL '30 h'"
        for table, column in tables.items():
            for change in (f"UPDATE {table} SET {column} = 7", f"DELETE FROM {table}"):
                refresh_today(watch)
                assert conn.execute(f"{change} WHERE {late}").rowcount == 1
                _same(watch)
        for write in (_quantity, _emission):
            refresh_today(watch)
            write(conn, "inv-1", "80000", 3)
            _same(watch)
            refresh_today(watch)
            with conn.transaction():
                with conn.transaction(force_rollback=True):
                    write(conn, "inv-1", "81000", 4)
                write(conn, "inv-1", "82000", 5)
            _same(watch)


def test_what_an_open_transaction_wrote_is_not_passed_over(registered):
    """A row that is a moment within its hour as it is written comes without a mark."""
    with (
        psycopg.connect(registered) as other,
        connect(registered, role="tonne_watch", autocommit=True) as watch,
    ):
        refresh_today(watch)
        _quantity(other, "inv-2", "3600 - 0.02", 1_000)
        _emission(other, "inv-2", "3600 - 0.02", 1_000)
        watch.execute("SELECT pg_sleep(0.03)")
        for _ in range(3):
            refresh_today(watch)
            _same(watch)
        other.commit()
        for _ in range(3):
            _same(watch)
            refresh_today(watch)


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


def _same(conn):
    for plain, view in _VIEWS.items():
        # at one moment, by one statement
        differs = conn.execute(
            f"WITH plain AS ({plain}), shown AS ({view})"
            " (SELECT 'missing', * FROM (SELECT * FROM plain EXCEPT ALL SELECT * FROM shown) m)"
            " UNION ALL"
            " (SELECT 'too much', * FROM (SELECT * FROM shown EXCEPT ALL SELECT * FROM plain) m)"
        ).fetchall()
        assert differs == []
