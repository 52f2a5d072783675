"""A period is closed once it is over: it ended, and the log holds its last day."""

import pytest

from mrv.errors import PeriodError
from services.clock import now_us
from services.issuer.close import close_period
from services.store.postgres.pool import connect
from tests.planted import planted
from tests.services.issuer import plant, sealed

HOUR_US = 3_600_000_000
SPAN = plant.us("2026-03-02"), plant.us("2026-03-03")


@pytest.fixture
def conn(database_url, tmp_path):
    """Connect to the plant, of which nothing is sealed."""
    planted(plant.quarter_hours, database_url, tmp_path)
    with connect(database_url, role="tonne_mrv", autocommit=True) as found:
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
    assert "run `tonne log seal`" in _refused(conn, *SPAN)
    sealed.up_to(conn, plant.us("2026-03-02"))
    assert "run `tonne log seal`" in _refused(conn, *SPAN)
    sealed.up_to(conn, SPAN[1])
    assert close_period(conn, "pv", *SPAN, "test").new
