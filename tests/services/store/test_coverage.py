"""
What is known of a project's days, from days that are added up, is what
15-minute intervals say.
"""

import random
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from services.store.postgres.pool import connect
from services.store.views.coverage import coverage_days
from services.store.views.fleet_metrics import refresh_days
from tests.services.store import test_day_marks as marks

registered = marks.registered
pytestmark = pytest.mark.integration
_PAIRS = [("inv-1", "energy_export"), ("inv-2", "energy_export"), ("chg-1", "energy_export")]
_DEVICES, _QUANTITIES = zip(*_PAIRS, strict=True)
_PLAIN = """
SELECT tonne_clock(p.timezone, i.start)::date AS day, sum(i.measured_us), sum(i.estimated_us),
    sum(i.unknown_us)
FROM interval_quantity i JOIN project_device m ON m.device_id = i.device_id AND m.during @> i.start
JOIN project p ON p.id = m.project_id
WHERE p.id = %(project)s
    AND (i.device_id, i.quantity) IN (SELECT * FROM unnest(%(d)s::text[], %(q)s::text[]))
GROUP BY 1
"""


def test_coverage_of_days_is_that_of_their_quarter_hours(registered):
    """A month that looks measured would be settled with hours of which nothing is known."""
    choose = random.Random(20261127)  # noqa: S311 (draws what happens)
    ways = set()
    with (
        psycopg.connect(registered, autocommit=True) as conn,
        connect(registered, role="tonne_watch", autocommit=True) as watch,
        connect(registered, role="tonne_api") as api,
    ):
        for step in range(40):
            match choose.randrange(6):
                case 0 | 1:
                    _quarter(conn, choose)
                case 2:
                    marks._write(conn, choose, marks._OURS)
                case 3:
                    marks._move(conn, choose)
                case 4:
                    _serve(conn, choose)
                case _:
                    marks._some(watch, choose)
            if step % 10 == 9:
                while refresh_days(watch):
                    pass
            for project in ("rooftop-pv", "ebus"):
                ways |= {(project, day.measured_us > 0) for day in _same(api, project)}
        assert ways == {(p, known) for p in ("rooftop-pv", "ebus") for known in (True, False)}


def test_a_month_is_read_from_its_days(registered):
    """The first page after a start would read a month of a fleet's 15-minute intervals."""
    with (
        psycopg.connect(registered, autocommit=True) as conn,
        connect(registered, role="tonne_watch", autocommit=True) as watch,
        connect(registered, role="tonne_api") as api,
    ):
        while refresh_days(watch):
            pass
        whole = _over(_same(api, "rooftop-pv"))
        with conn.transaction(force_rollback=True):
            # rows of days that are over are not asked: here they are gone behind the marks' back
            conn.execute("SET LOCAL session_replication_role = replica")
            conn.execute("DELETE FROM interval_quantity WHERE start < now() - interval '2 days'")
            assert _over(_asked(conn, "rooftop-pv")) == whole
        # of a day that an earlier version made only the measured time is known
        conn.execute("UPDATE day_quantity SET estimated_us = NULL, unknown_us = NULL")
        assert _over(_same(api, "rooftop-pv")) == whole
    assert len(whole) > 10
    assert any(map(any, whole.values()))


def _over(found):
    """Known time of days that are over, whatever the hour is at which it is asked."""
    last = datetime.now(UTC).date() - timedelta(days=3)
    return {
        one.day: (one.measured_us, one.estimated_us, one.unknown_us)
        for one in found
        if last - timedelta(days=12) <= one.day <= last
    }


def _same(conn, project):
    """Return what is shown, once it is what the rows say; both at one moment."""
    with conn.transaction():
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        found = _asked(conn, project)
        rows = conn.execute(_PLAIN, {"project": project, "d": [*_DEVICES], "q": [*_QUANTITIES]})
        plain = {day: tuple(map(int, sums)) for day, *sums in rows.fetchall()}
        for one in found:
            shown = (one.measured_us, one.estimated_us, one.unknown_us)
            assert shown == plain.pop(one.day, (0, 0, 0)), (project, one)
        assert not any(map(any, plain.values()))
    return found


def _asked(conn, project):
    zone = conn.execute("SELECT timezone FROM project WHERE id = %s", [project]).fetchone()[0]
    today = datetime.now(UTC).date()
    first, end = today - timedelta(days=20), today + timedelta(days=3)
    return coverage_days(conn, project, zone, _PAIRS, first, end)


def _quarter(conn, choose):
    """Write a row of which some is measured, some estimated and some unknown."""
    device, age = choose.choice(_PAIRS)[0], choose.choice(marks._AGES)
    conn.execute(
        "INSERT INTO interval_quantity (device_id, quantity, start, value, measured_us,"
        " estimated_us, unknown_us) VALUES (%s, 'energy_export',"
        f" clock_timestamp() - make_interval(secs => {age}), 1, %s, %s, %s)",
        (device, *(choose.randrange(10**8) for _ in range(3))),
    )


def _serve(conn, choose):
    """Let a device begin or cease to serve its project in the middle of a day."""
    conn.execute(
        "UPDATE project_device SET during = tstzrange(now() - make_interval(secs => %s),"
        " now() - make_interval(secs => %s)) WHERE device_id = %s",
        (
            choose.randrange(700_000, 2_000_000),
            choose.choice((-(10**8), 0, 90_000, 400_000)),
            choose.choice(_DEVICES),
        ),
    )
