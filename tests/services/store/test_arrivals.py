"""Arrival of readings, summed by device and day in the database."""

import random
from collections import Counter
from datetime import date

import psycopg

from mrv.calendar import days, midnight_us, utc_text
from mrv.statement.device_days import HOUR_US, LATE_US, Arrived
from services.store.postgres.pool import connect
from services.store.timeseries.last_seen import Summed, by_day, by_hour, pack

ZONE = "Asia/Ho_Chi_Minh"
BEGIN, END, LAST = (midnight_us(date(2026, 1, day), ZONE) for day in (2, 3, 4))
EDGES = [BEGIN, END, LAST]


def store(url, *counts):
    """Count readings: device, hour of the reading, hour of arrival [us UTC], number."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.cursor().executemany(
            "INSERT INTO arrival_count VALUES (%s, to_timestamp(%s), to_timestamp(%s), %s)",
            [(d, made / 1e6, at / 1e6, n) for d, made, at, n in counts],
        )


def hours(device, made, at, count=4):
    """Return counts of hours of the first day by their number, all arrived at one time."""
    return [(device, BEGIN + hour * HOUR_US, at, count) for hour in made]


def summed(url, ids, span=(BEGIN, LAST), edges=EDGES):
    """Query as the issuer does, before some days are stored by day and after it."""
    register(url, ids)
    found = []
    with connect(url, role="tonne_mrv", autocommit=True) as conn, conn.cursor() as cursor:
        for before in (date(2020, 1, 1), date(2026, 1, 2), date(2026, 1, 3), date(2026, 3, 1)):
            pack(conn, before)
            found.append((by_day(cursor, ids, span, edges, LATE_US), by_hour(cursor, ids, *span)))
        assert conn.execute("SELECT count(*) FROM arrival_count").fetchone() == (0,)
    assert found == found[:1] * 4
    return found[0]


def register(url, ids):
    """Register devices: only theirs are stored by day."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO site (id, name, latitude, longitude, timezone)"
            " VALUES ('s', 's', 20, 106, 'UTC') ON CONFLICT DO NOTHING"
        )
        conn.cursor().executemany(
            "INSERT INTO device (id, site, class, profile, installed)"
            " VALUES (%s, 's', 'pv_inverter', 'generic', '2026-01-01') ON CONFLICT DO NOTHING",
            [(name,) for name in ids],
        )


def test_what_comes_later_for_a_day_that_was_kept_is_counted_with_it(database_url):
    """Readings that arrive after months would be taken for what was there, or be lost."""
    rng = random.Random(5)  # noqa: S311
    counted, at = Counter(), Counter()
    for _ in range(6):
        some = {
            (name, BEGIN + rng.randrange(48) * HOUR_US, rng.choice([-1, 0, 1, 900]) * HOUR_US)
            for name in ("a", "b")
            for _ in range(40)
        }
        rows = [(name, made, made + late, rng.randrange(1, 4)) for name, made, late in some]
        store(database_url, *rows)
        for name, made, arrived, count in rows:
            counted[name, (made - BEGIN) // (24 * HOUR_US)] += count
            at[utc_text(arrived)] += count
        found, hours_ = summed(database_url, ["a", "b"])
        assert {(one.device, one.day): one.readings for one in found} == counted
        assert hours_ == at
    with psycopg.connect(database_url) as conn:
        days_kept = conn.execute("SELECT count(*) FROM arrival_day").fetchone()
    assert days_kept == (6,)


def test_late_is_what_arrives_36_hours_after_the_day_or_later(database_url):
    """Seal and statement would use different edges of a day."""
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
