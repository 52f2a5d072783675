"""Sealing and closing while readings still arrive, and only after the end of a period."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import numpy as np
import pytest

from mrv.errors import PeriodError
from services.clock import now_us
from services.issuer.close import close_period
from services.issuer.seal import seal
from services.store.dead_letter_write import Letters
from services.store.postgres.pool import connect
from services.store.statements import sealed_days
from tests.invoked import tonne as invoke
from tests.planted import planted
from tests.services.issuer import logged, plant, sealed
from tests.services.issuer.logged import issuer, quarter_hours


def _arrives(url, begin, minute):
    """Store a reading that arrives now."""
    with connect(url, role="tonne_ingest", autocommit=True) as conn:
        store = plant.store_of(conn)
        index = store.plan.fleet.by_id["inv-1"]
        time_us = np.asarray([plant.us(begin) + minute * 60_000_000])
        readings = plant.frame("pv_inverter", index, time_us, active_power_w=[9_000])
        store.commit(conn, [readings], [], Letters([], [], [], [], now_us()))


def test_a_close_while_readings_arrive_is_warned_of(database_url, tmp_path):
    """A statement would lack the rest of an import that still runs, and no one would know."""
    who = quarter_hours(database_url, tmp_path)
    logged.seal_now(database_url, who)
    environment = {"TONNE_DATABASE_URL": database_url, "TONNE_HOME": str(tmp_path / "home")}
    words = ("period", "close", "pv", "--from", "2026-03-01", "--to", "2026-03-02")
    _arrives(database_url, "2026-03-01T07:01:00+07:00", 0)
    warned = threading.Event()

    def import_() -> None:
        for minute in range(600):
            if warned.wait(0.2):
                return
            _arrives(database_url, "2026-03-01T07:02:00+07:00", minute)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(import_)
        said = invoke(*words, env=environment).stderr
        warned.set()
        running.result()
    assert "readings of this time still arrive, of inv-1" in said
    quiet = invoke(*words, env=environment, code=0)
    assert "still arrive" not in quiet.stderr


@pytest.mark.parametrize(("before", "days"), [("2026-03-02", 1), ("2026-03-03", 2)])
def test_days_before_a_local_day_are_sealed(database_url, tmp_path, before, days):
    """
    Anyone who closes to a day would have to seal to another one, by how
    far the place is from UTC.
    """
    who = quarter_hours(database_url, tmp_path)
    with issuer(database_url) as conn:
        ended = plant.us(f"{before}T00:00:00+07:00")  # at once: not a day after its end
        seal(conn, who["log"], ended, projects=["pv"], before=date.fromisoformat(before))
        sealed = [day for project, day in sealed_days.latest(conn) if project == "pv"]
    assert len(sealed) == days
    assert max(sealed) < date.fromisoformat(before)


def test_the_last_day_of_a_month_is_asked_about(database_url, tmp_path):
    """`--to 2026-03-31` leaves a day of tonnes out."""
    quarter_hours(database_url, tmp_path)
    environment = {"TONNE_DATABASE_URL": database_url, "TONNE_HOME": str(tmp_path / "home")}
    span = ("--from", "2026-02-01", "--to", "2026-02-28")
    said = invoke("period", "preview", "pv", *span, env=environment).stderr
    assert "2026-02-28 is not included" in said
    assert "--to 2026-03-01" in said


HOUR_US = 3_600_000_000
SPAN = plant.us("2026-03-02"), plant.us("2026-03-03")


@pytest.fixture
def conn(database_url, tmp_path):
    """Connect to the plant, of which nothing is sealed."""
    planted(plant.quarter_hours, database_url, tmp_path)
    with logged.issuer(database_url) as found:
        yield found


def _refused(conn, *span):
    with pytest.raises(PeriodError) as told:
        close_period(conn, "pv", *span, "test")
    assert conn.execute("SELECT count(*) FROM statement").fetchone()[0] == 0
    return str(told.value)


def test_period_that_lies_in_the_future_or_still_runs(conn):
    """Tonnes of a time that has not come would be closed, verified and issued."""
    hour = now_us() // HOUR_US * HOUR_US
    for span in ((hour + HOUR_US, hour + 2 * HOUR_US), (hour - HOUR_US, hour + HOUR_US)):
        assert "has not ended" in _refused(conn, *span)


def test_period_whose_last_day_is_not_sealed(conn):
    """Readings could still be changed after the statement, and no one would see it."""
    assert "`tonne log seal --project pv --to 2026-03-03`" in _refused(conn, *SPAN)
    sealed.up_to(conn, plant.us("2026-03-02"))
    assert "`tonne log seal --project pv --to 2026-03-03`" in _refused(conn, *SPAN)
    sealed.up_to(conn, SPAN[1])
    assert close_period(conn, "pv", *SPAN, "test").new
