"""Days and periods as readers of each language write them."""

from datetime import date

import pytest

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
