"""When readings arrived, summed up by device and day in the database."""

from datetime import date

import psycopg
import pytest

from mrv.calendar import days, midnight_us
from mrv.statement.arrival import HOUR_US, LATE_US, Arrived
from services.store.postgres.pool import connect
from services.store.timeseries.arrivals import Summed, by_day, by_hour

pytestmark = pytest.mark.integration
ZONE = "Asia/Ho_Chi_Minh"
BEGIN, END, LAST = (midnight_us(date(2026, 1, day), ZONE) for day in (2, 3, 4))
EDGES = [BEGIN, END, LAST]


def store(url, *counts):
    """Count readings: device, hour of the reading, hour of arrival [us UTC], how many."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.cursor().executemany(
            "INSERT INTO arrival_count VALUES (%s, to_timestamp(%s), to_timestamp(%s), %s)",
            [(d, made / 1e6, at / 1e6, n) for d, made, at, n in counts],
        )


def hours(device, made, at, count=4):
    """Counts of hours of the first day by their number, all arrived at one time."""
    return [(device, BEGIN + hour * HOUR_US, at, count) for hour in made]


def summed(url, ids, span=(BEGIN, LAST), edges=EDGES):
    """Ask as the issuer does."""
    with connect(url, role="tonne_mrv", autocommit=True) as conn, conn.cursor() as cursor:
        return by_day(cursor, ids, span, edges, LATE_US), by_hour(cursor, ids, *span)


def test_late_is_what_arrives_36_hours_after_the_day_or_later(database_url):
    """The edge would be another one in the seal than in the statement."""
    edge = END + LATE_US
    store(database_url, *hours("a", range(3), edge - HOUR_US), *hours("a", range(3, 6), edge))
    found, at = summed(database_url, ["a", "none"])
    assert found == [Summed("a", 0, 24, 12, 2, 6)]
    assert Arrived(*found[0][2:]).at_once
    assert at == {"2026-01-04T04:00:00Z": 12, "2026-01-04T05:00:00Z": 12}


def test_hours_go_to_the_local_day_in_which_they_begin(database_url):
    """A late hour of one day would be charged to the next."""
    store(
        database_url,
        *hours("b", range(24), END),
        ("b", END, END + HOUR_US, 7),
        ("b", LAST, LAST, 9),
        ("b", BEGIN - HOUR_US, BEGIN, 9),
        ("c", END - HOUR_US, END, 1),
    )
    found, at = summed(database_url, ["b", "c"])
    assert found == [
        Summed("b", 0, 96, 0, 1, 24),
        Summed("b", 1, 7, 0, 1, 1),
        Summed("c", 0, 1, 0, 1, 1),
    ]
    assert at == {"2026-01-02T17:00:00Z": 97, "2026-01-02T18:00:00Z": 7}
    # a period that begins within a day has the rest of that day
    noon = BEGIN + 12 * HOUR_US
    edges = [BEGIN, *(end for *_, end in days(noon, END, ZONE))]
    assert summed(database_url, ["b"], (noon, END), edges)[0] == [Summed("b", 0, 48, 0, 1, 12)]
