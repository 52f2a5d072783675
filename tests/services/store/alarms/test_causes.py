"""Alarms of devices that send: limits, certificates, clocks, yield, consumption."""

from datetime import UTC, datetime

import pytest

from services.registry import limits
from services.store.views import alarms
from tests.services.store import placed
from tests.services.store.alarms.rounds import site_today, standing, watch


def test_limits_frozen_gauges_certificates_chargers_and_clocks(conn):
    """A fault without missing data would be noticed only by chance, on the right board."""
    conn.execute(
        "INSERT INTO indicator_value (device_id, indicator, start, value, grade, period) VALUES"
        " ('alone', 'noise', now() - interval '3 hours', 80, 'exceeded', 'hour'),"
        " ('alone', 'noise', now() - interval '2 hours', 50, 'within', 'hour'),"
        " ('alone', 'noise', now() - interval '1 hour', 90, 'exceeded', 'hour'),"
        " ('a', 'noise', now() - interval '2 hours', 90, 'exceeded', 'hour'),"
        " ('a', 'noise', now() - interval '1 hour', 50, 'within', 'hour')"
    )
    conn.execute(
        "INSERT INTO quality_flag SELECT 'inv', now() - k * interval '10 minutes',"
        " 'active_power_w', 'flat_line' FROM generate_series(0, 12) k"
    )
    conn.execute(
        "INSERT INTO calibration VALUES ('a', '2024-01-01', now()::date - 5, 'C-1'),"
        " ('b', '2024-01-01', now()::date + 30, 'C-2')"
    )
    conn.execute("INSERT INTO clock_lag VALUES ('c', now()::date, -120000000)")
    conn.execute(
        "INSERT INTO credential (principal, kind, serial, fingerprint, issued, expires) VALUES"
        " ('gw', 'certificate', 'ab', repeat('0', 64), now() - interval '1 year',"
        " now() + interval '10 days')"
    )
    conn.execute(
        "INSERT INTO device (id, site, class, profile, installed) SELECT n, 's', 'ev_charger',"
        " 'generic', '2026-01-01Z' FROM unnest(ARRAY['dead', 'good']) n"
    )
    conn.execute(
        "INSERT INTO device_seen SELECT n, now(), now(), '-infinity', repeat('0', 100)::bit(100)"
        " FROM unnest(ARRAY['dead', 'good']) n"
    )
    placed.on_time(conn, "dead", "good")
    conn.execute(
        "INSERT INTO day_quantity (device_id, quantity, day, timezone, value, measured_us)"
        " SELECT n, 'energy_import', %s::date - k, 'Asia/Ho_Chi_Minh',"
        " CASE n WHEN 'good' THEN 9000 ELSE 0 END, 86400000000"
        " FROM unnest(ARRAY['dead', 'good']) n, generate_series(0, 9) k",
        [site_today(conn)],
    )
    charged = (
        "INSERT INTO interval_quantity (device_id, quantity, start, value, measured_us,"
        " estimated_us, unknown_us) SELECT n, 'energy_import', date_bin('15 minutes', now(),"
        " '2000-01-01Z') - k * interval '12 hours', CASE n WHEN 'good' THEN 10 ELSE 0 END,"
        " 900000000, 0, 0 FROM unnest(ARRAY['dead', 'good']) n, generate_series(0, 4) k"
    )
    conn.execute(charged)
    watch(conn)
    assert standing(conn) == {
        ("limit_exceeded", "alone"), ("gauge_frozen", "inv"), ("certificate_expired", "a"),
        ("certificate_expiring", "b"), ("clock_fault", "c"), ("credential_expiring", "gw"),
        ("charger_dead", "dead"),
    }  # fmt: skip


def test_a_register_that_stands_still_at_work(conn):
    """Energy that a stopped register does not count is lost, although the device still reports."""
    conn.execute(
        "INSERT INTO quality_flag SELECT 'inv', now() - k * interval '10 minutes',"
        " 'energy_export_wh', 'frozen_register' FROM generate_series(0, 12) k"
    )
    conn.execute(
        "INSERT INTO quality_flag SELECT 'a', now() - k * interval '10 minutes',"
        " 'active_power_w', 'spike' FROM generate_series(0, 12) k"
    )
    watch(conn)
    assert standing(conn) == {("gauge_frozen", "inv")}


def test_a_clock_hours_behind_is_no_silence(conn):
    """A technician would look for a cable of a meter that sends the time of another zone."""
    for table in ("clock_lag", "device_seen"):
        conn.execute(f"DELETE FROM {table} WHERE device_id = 'c'")
    conn.execute(
        "INSERT INTO clock_lag SELECT 'c', now()::date - k, 7 * 3600 * 1000000::bigint"
        " FROM generate_series(0, 1) k"
    )
    conn.execute(
        "INSERT INTO device_seen SELECT 'c', now() - interval '7 hours', now(), '-infinity',"
        " repeat('0', 100)::bit(100)"
    )
    conn.execute("UPDATE device SET commissioned = '2026-01-02' WHERE id = 'c'")
    watch(conn)
    assert standing(conn) == {("clock_fault", "c")}
    (found,) = alarms.listed(conn, None, 9, kind="clock_fault")
    assert (found["cause"], found["detail"]) == ("behind", {"offset_s": -25200.0})
    conn.execute(
        "UPDATE device_seen SET received = now() - interval '7 hours' WHERE device_id = 'c'"
    )
    watch(conn)
    assert ("device_silent", "c") in standing(conn)


def test_a_limit_that_is_exceeded_is_named(conn):
    """An alarm on a limit must name the limit that is exceeded."""
    conn.execute(
        "INSERT INTO indicator_value (device_id, indicator, start, value, grade, period, detail)"
        " SELECT 'alone', 'limits', now() - k * interval '1 day', 1, 'exceeded', 'day',"
        " jsonb_build_object('standard', 'qcvn-40-2011', 'exceeded', w) FROM (VALUES"
        ' (1, \'["cod", "tss"]\'::jsonb), (2, \'["ph"]\'), (9, \'["ph"]\')) v (k, w)'
    )
    conn.execute(
        "INSERT INTO indicator_value (device_id, indicator, start, value, grade, period)"
        " VALUES ('alone', 'limits', now() - interval '10 days', 0, 'within', 'day')"
    )
    watch(conn)
    (found,) = alarms.listed(conn, None, 9, kind="limit_exceeded")
    assert found["detail"] == {"standard": "qcvn-40-2011", "exceeded": "cod, tss", "period": "day"}
    # a station over its limit for a month began then, not the day before yesterday
    assert (datetime.now(UTC) - found["since"]).days == 9


def test_an_inverter_below_its_neighbours_for_days(conn):
    """A failed string costs a tenth of a plant's energy, although every sensor reports normally."""
    conn.execute("UPDATE device SET class = 'pv_inverter', rated_power_w = 1000 WHERE id <> 'gw'")
    low = "INSERT INTO day_quantity (device_id, quantity, day, timezone, value, measured_us)"
    today = site_today(conn)
    conn.execute(
        low + " SELECT n, 'energy_export', %s::date - k, 'Asia/Ho_Chi_Minh',"
        " CASE WHEN n = 'a' AND k < 7 THEN 2000 WHEN n = 'b' AND k < 4 THEN 2000 ELSE 4500 END,"
        " 86400000000 FROM unnest(ARRAY['a', 'b', 'c', 'alone', 'inv']) n, generate_series(2, 7) k",
        [today],
    )
    watch(conn)
    # b is low on two days alone
    assert standing(conn) == {("inverter_low", "a")}
    (found,) = alarms.listed(conn, None, 10)
    assert found["cause"] == "yield against its site"
    assert (found["detail"]["value"], found["cost_t_per_day"]) == (0.444, None)
    # half a kilogram a kilowatt hour by its project's account, and 2.5 h less than its plant
    conn.execute(
        "INSERT INTO day_emission (project_id, device_id, day, timezone, baseline_ug, project_ug,"
        " leakage_ug, reduction_ug) SELECT 'p1', 'a', %s::date - k, 'Asia/Ho_Chi_Minh',"
        " 1000000000, 0, 0, 1000000000 FROM generate_series(2, 5) k",
        [today],
    )
    watch(conn)
    (found,) = alarms.listed(conn, None, 10)
    assert float(found["cost_t_per_day"]) == pytest.approx(2.5 * 0.0005)
    # the registry expects less of this one
    conn.execute(
        'UPDATE device SET attributes = \'{"alarms": {"inverter_low": {"off": true}}}\''
        " WHERE id = 'a'"
    )
    assert watch(conn).cleared == 1


def test_a_furnace_that_needs_more_than_usual(conn):
    """A worn furnace lining costs a month's reduction, although every meter reports normally."""
    conn.execute("UPDATE device SET class = 'furnace' WHERE id = 'a'")
    conn.execute("UPDATE device SET class = 'weighbridge' WHERE id = 'b'")
    fill = (
        "INSERT INTO day_quantity (device_id, quantity, day, timezone, value, measured_us)"
        " SELECT 'a', 'energy_import', %(today)s::date - k, 'Asia/Ho_Chi_Minh', CASE WHEN k < 5"
        " THEN %(now)s ELSE 6000000 + 1000 * k END, 1 FROM generate_series(2, 20) k UNION ALL"
        " SELECT 'b', 'mass', %(today)s::date - k, 'Asia/Ho_Chi_Minh', 10000000, 1"
        " FROM generate_series(2, 20) k"
    )
    today = site_today(conn)
    conn.execute(
        fill, {"now": 6_600_000, "today": today}
    )  # a tenth above the usual 601.25 kWh/t: not yet
    emitted = (
        "INSERT INTO day_emission (project_id, device_id, day, timezone, baseline_ug, project_ug,"
        " leakage_ug, reduction_ug) SELECT 'p1', 'a', q.day, 'Asia/Ho_Chi_Minh', 0,"
        " q.value * 659200, 0, -q.value * 659200 FROM day_quantity q WHERE q.device_id = 'a'"
    )
    conn.execute(emitted)
    assert watch(conn).raised == 0
    conn.execute("DELETE FROM day_emission")
    conn.execute(
        "UPDATE day_quantity SET value = 7200000 WHERE device_id = 'a' AND day > %s::date - 5",
        [today],
    )
    conn.execute(emitted)
    watch(conn)
    (found,) = alarms.listed(conn, None, 10)
    assert (found["kind"], found["subject"], found["projects"]) == ("energy_high", "p1", ["p1"])
    assert (found["detail"]["value"], found["detail"]["unit"]) == (720.0, "kWh/t")
    usual = 601.25
    assert found["detail"]["usual"] == pytest.approx(usual, abs=0.1)
    # 10 t a day at the grid's factor
    cost = 10 * (720 - usual) * 0.6592e-3
    assert float(found["cost_t_per_day"]) == pytest.approx(cost, rel=1e-3)
    conn.execute(
        "UPDATE day_quantity SET value = 6300000 WHERE device_id = 'a' AND day = %s::date - 2",
        [today],
    )
    assert watch(conn).cleared == 1


def test_what_the_registry_sets_for_a_device_is_held_against_the_rules():
    """A misspelt override would be ignored, and the alarm raised or missed all the same."""
    assert list(limits.problems({"device_silent": {"after_s": 7200, "off": False}})) == []
    wrong = {"silence": {}, "clock_fault": 3, "device_silent": {"days": 3, "after_s": -1, "off": 1}}
    assert len(list(limits.problems(wrong))) == 5
    assert len(list(limits.problems([]))) == 1
