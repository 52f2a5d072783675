"""Local days and years around clock changes."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrv import calendar
from mrv.errors import PeriodError

HOUR = 3_600_000_000
DENVER, HAI_PHONG = "America/Denver", "Asia/Ho_Chi_Minh"


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        (date(2026, 3, 8), DENVER, 23),
        (date(2026, 11, 1), DENVER, 25),
        (date(2026, 7, 1), DENVER, 24),
        (date(2026, 3, 8), HAI_PHONG, 24),
        (date(2018, 11, 4), "America/Sao_Paulo", 23),  # its midnight did not exist
    ],
)
def test_a_local_day_has_the_hours_that_its_clock_shows(day, zone, hours):
    """A day's energy would take an hour from its neighbour, twice a year."""
    begin = calendar.midnight_us(day, zone)
    found = list(calendar.days(begin, begin + 1, zone))
    assert [(d, (end - start) // HOUR) for d, start, end in found] == [(day, hours)]


@given(
    st.dates(date(1990, 1, 1), date(2089, 1, 1)),
    st.integers(1, 800),
    st.sampled_from([DENVER, HAI_PHONG, "Europe/London", "Australia/Lord_Howe"]),
)
def test_days_and_years_leave_no_instant_out(first, length, zone):
    """A microsecond in no day, or in two, would be an unmetered or doubled one."""
    end = date.fromordinal(first.toordinal() + length)
    begin_us, end_us = calendar.period_us(first, end, zone)
    days = list(calendar.days(begin_us, end_us, zone))
    years = calendar.years(begin_us, end_us, zone)
    for pieces in (days, years):
        edges = [edge for _, *pair in pieces for edge in pair]
        assert edges[0] == begin_us
        assert edges[-1] == end_us
        assert edges[1:-1:2] == edges[2::2]
    assert [d for d, *_ in days] == [date.fromordinal(first.toordinal() + i) for i in range(length)]
    assert [y for y, *_ in years] == list(range(first.year, days[-1][0].year + 1))


def test_a_year_begins_at_local_new_year():
    """Seven hours of sun in Hai Phong would be credited to the wrong vintage."""
    begin, end = calendar.period_us(date(2025, 12, 31), date(2026, 1, 2), HAI_PHONG)
    edge = calendar.instant_us("2025-12-31T17:00:00Z", HAI_PHONG)
    assert calendar.years(begin, end, HAI_PHONG) == [(2025, begin, edge), (2026, edge, end)]


def test_times_are_written_and_read_back():
    """A statement's two readings of one edge, UTC and local, would disagree."""
    noon = calendar.instant_us("2026-07-01T12:00:00+07:00", DENVER)
    assert calendar.utc_text(noon) == "2026-07-01T05:00:00Z"
    assert calendar.local_text(noon, HAI_PHONG) == "2026-07-01T12:00:00+07:00"
    assert calendar.instant_us("2026-07-01", HAI_PHONG) == noon - 12 * HOUR


@pytest.mark.parametrize("text", ["2026-07-01T12:00:00", "yesterday", "2026-13-01", ""])
def test_a_time_without_offset_is_refused(text):
    """A guess at the zone would move a period's edge by hours."""
    with pytest.raises(PeriodError, match="write 2026-01-01"):
        calendar.instant_us(text, HAI_PHONG)


def test_an_unknown_zone_and_an_empty_period_are_refused():
    """Either would end in a traceback, or in a statement of nothing."""
    with pytest.raises(PeriodError, match="Hai/Phong"):
        calendar.midnight_us(date(2026, 1, 1), "Hai/Phong")
    with pytest.raises(PeriodError, match="empty"):
        calendar.period_us(date(2026, 1, 1), date(2026, 1, 1), DENVER)
