"""
Local days and years around clock changes.

Days and periods in the notation of each language.
"""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrv import calendar
from mrv.errors import PeriodError
from mrv.texts import dates, languages

FIRST, LAST, LATER, BEFORE = (
    date(2026, 1, 1), date(2026, 1, 31), date(2026, 3, 31), date(2025, 12, 1),
)  # fmt: skip
SHOWN = {
    "en": ("1-31 January 2026", "1 January - 31 March 2026", "1 December 2025 - 31 January 2026"),
    "de": ("1.-31. Januar 2026", "1. Januar - 31. März 2026", "1. Dezember 2025 - 31. Januar 2026"),
    "ja": ("2026年1月1日~31日", "2026年1月1日~3月31日", "2025年12月1日~2026年1月31日"),
    "vi": ("01/01-31/01/2026", "01/01-31/03/2026", "01/12/2025-31/01/2026"),
}


def _plain(text):
    return text.replace("\N{EN DASH}", "-").replace("\N{FULLWIDTH TILDE}", "~")


@pytest.mark.parametrize("language", languages())
def test_the_last_day_of_a_period_is_in_it(language):
    """A reader would take the day after for the last one, or the month for the day."""
    spans = ((FIRST, LAST), (FIRST, LATER), (BEFORE, LAST))
    assert tuple(_plain(dates.days(*span, language)) for span in spans) == SHOWN[language]
    period = ("2026-01-01T00:00:00+07:00", "2026-02-01T00:00:00+07:00")
    assert _plain(dates.period(*period, language)) == SHOWN[language][0]
    assert dates.days(FIRST, FIRST, language) == dates.day(FIRST, language)


def test_a_period_that_begins_within_a_day_keeps_its_times():
    """A month from noon would be shown as whole days."""
    edges = ("2026-01-01T12:00:00+07:00", "2026-02-01T00:00:00+07:00")
    assert _plain(dates.period(*edges, "vi")) == " - ".join(edges)


def test_a_week_begins_as_the_country_has_it():
    """A planner would read Sunday's gap in the column of Monday."""
    begins = {"DE": 0, "VN": 0, "KE": 6, "ID": 6, "US": 6, "JP": 6, "EG": 5, None: 0, "AQ": 0}
    assert {country: dates.week_begins(country) for country in begins} == begins


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


def test_a_year_begins_at_local_new_year():
    """Seven hours of sun in Hai Phong would be credited to the wrong vintage."""
    begin, end = calendar.period_us(date(2025, 12, 31), date(2026, 1, 2), HAI_PHONG)
    edge = calendar.instant_us("2025-12-31T17:00:00Z", HAI_PHONG)
    assert calendar.years(begin, end, HAI_PHONG) == [(2025, begin, edge), (2026, edge, end)]


def test_times_are_written_and_read_back():
    """The UTC and local times of an edge of a period would contradict each other."""
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
    """An unknown zone or an empty period would end in a traceback, or in an empty statement."""
    with pytest.raises(PeriodError, match="Hai/Phong"):
        calendar.midnight_us(date(2026, 1, 1), "Hai/Phong")
    with pytest.raises(PeriodError, match="empty"):
        calendar.period_us(date(2026, 1, 1), date(2026, 1, 1), DENVER)


@st.composite
def dated_zones(draw):
    """Return successive time zones, as a registry permits: no day is missing, none is too long."""
    names = [DENVER, HAI_PHONG, "Asia/Kathmandu", "Europe/London", "Australia/Lord_Howe", "UTC"]
    first = before = draw(st.sampled_from(names))
    day, later = date(2026, 1, 1), []
    for _ in range(draw(st.integers(1, 4))):
        day += timedelta(days=draw(st.integers(7, 200)))
        name = draw(st.sampled_from(names))
        left = calendar.midnight_us(day, name)
        left -= calendar.midnight_us(day - timedelta(days=1), before)
        if name != before and left > 0:
            later.append((day, name))
            before = name
    return calendar.joined(first, later)


@given(dated_zones(), st.integers(0, 1000), st.integers(1, 400), st.data())
def test_a_zone_that_changes_leaves_no_instant_out(zone, skipped, length, data):
    """A site that gets another clock would count its evening twice, or never."""
    first = date(2025, 12, 1) + timedelta(days=skipped)
    begin, end = calendar.period_us(first, first + timedelta(days=length), zone)
    days = list(calendar.days(begin, end, zone))
    assert [d for d, *_ in days] == [first + timedelta(days=i) for i in range(length)]
    assert [a for _, a, _ in days] == [begin, *(b for *_, b in days[:-1])]
    assert all((b - a) % (HOUR // 4) == 0 and b > a for _, a, b in days)
    for pieces in (calendar.years(begin, end, zone), calendar.months(begin, end, zone)):
        edges = [edge for *_, a, b in pieces for edge in (a, b)]
        assert edges[::2] == [begin, *edges[1:-1:2]]
        assert edges[-1] == end
    day, a, b = data.draw(st.sampled_from(days))
    at = data.draw(st.integers(a, b - 1))
    assert calendar.local_date(at, zone) == day
    # what a statement keeps of the zones says the same of its days, and nothing of later ones
    kept = calendar.narrowed(zone, begin, end)
    assert list(calendar.days(begin, end, kept)) == days
    after = calendar.joined(kept.split(", ")[0], [])
    assert calendar.narrowed(after, begin, end) == after


def test_days_before_a_change_are_what_they_were():
    """A zone that comes next month would change what last month's statement says."""
    zone = calendar.joined(HAI_PHONG, [(date(2026, 7, 1), "Asia/Kathmandu")])
    last = calendar.midnight_us(date(2026, 6, 30), HAI_PHONG)
    assert calendar.narrowed(zone, last - 30 * 24 * HOUR, last) == HAI_PHONG
    assert calendar.midnight_us(date(2026, 6, 30), zone) == last
    # Nepal is an hour and a quarter behind: the day before waits for it
    assert calendar.midnight_us(date(2026, 7, 1), zone) - last == 25 * HOUR + HOUR // 4
    assert calendar.local_date(last + 25 * HOUR, zone) == date(2026, 6, 30)
    assert calendar.local_text(last + 25 * HOUR, zone) == "2026-07-01T01:00:00+07:00"
    assert calendar.local_text(last + 26 * HOUR, zone) == "2026-07-01T00:45:00+05:45"


@pytest.mark.parametrize(
    "text", ["Asia/Ho_Chi_Minh, from x Asia/Tokyo", "UTC, from 2026-07-01 Mars"]
)
def test_a_zone_that_is_none_is_refused(text):
    """A statement written by other software would end its verification in a traceback."""
    with pytest.raises(PeriodError):
        calendar.midnight_us(date(2026, 7, 2), text)
