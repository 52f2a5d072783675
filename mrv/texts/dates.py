"""Days, months and periods in the form of a language, the last day included."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import cache, lru_cache

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_skeleton, get_datetime_format, split_interval_pattern

from mrv.texts import form

_DASH = " \N{EN DASH} "


@lru_cache(maxsize=1024)
def day(item: date, language: str) -> str:
    """Return a day: `5 January 2026`, `05/01/2026`."""
    return format_date(item, form("day", language), _locale(language))


def moment(local: datetime, language: str) -> str:
    """Return a local time to the minute: `5 January 2026, 06:15`."""
    return moment_form(language).format(f"{local:%H:%M}", day(local.date(), language))


@cache
def moment_form(language: str) -> str:
    """Return the pattern in which a language joins time {0} and day {1}."""
    return str(get_datetime_format("medium", _locale(language)))


def days(first: date, last: date, language: str) -> str:
    """Return the days from first to last: 1 to 31 January 2026."""
    if first == last:
        return day(first, language)
    same = first.year == last.year
    span = "days_of_month" if same and first.month == last.month else "days_of_year"
    begin, end = split_interval_pattern(form(span if same else "days", language))
    locale = _locale(language)
    return format_date(first, begin, locale) + format_date(last, end, locale)


def month(item: date, language: str) -> str:
    """Return the month of a day: `January 2026`."""
    return format_skeleton("yMMMM", item, locale=_locale(language))


def year(item: date, language: str) -> str:
    """Return the year of a day."""
    return format_skeleton("y", item, locale=_locale(language))


def mark(name: str, language: str) -> str:
    """Return a short day, month or year for an axis: `1 Jun`, `Jun 2026`, `2026`."""
    skeletons = {len("2026-01-01"): "MMMd", len("2026-01"): "yMMM"}
    if (skeleton := skeletons.get(len(name))) is None:
        return name
    item = date.fromisoformat(f"{name}-01"[: len("2026-01-01")])
    locale = _locale("en-GB" if language == "en" else language)  # day before month, as in `day`
    return format_skeleton(skeleton, item, locale=locale)


def short_month(item: date, language: str) -> str:
    """Return the short month of a day: `Jan`."""
    return format_date(item, "LLL", _locale(language))


def period(begin: str, end: str, language: str) -> str:
    """Return a period of local times, end excluded: as days if both are midnight."""
    edges = [datetime.fromisoformat(edge) for edge in (begin, end)]
    if any(edge.time() != datetime.min.time() for edge in edges):
        return f"{begin}{_DASH}{end}"
    return days(edges[0].date(), edges[1].date() - timedelta(days=1), language)


def is_language(tag: str) -> bool:
    """Return whether CLDR knows a language tag, with or without words of tonne."""
    try:
        return bool(_locale(tag))
    except (UnknownLocaleError, ValueError):
        return False


def week_begins(country: str | None) -> int:
    """Return the first weekday in a country by CLDR; 0 is Monday, the most common."""
    try:
        return int(Locale.parse(f"und_{country}").first_week_day) if country else 0
    except UnknownLocaleError:  # Babel has no locale for uninhabited territories
        return 0


def _locale(language: str) -> Locale:
    return Locale.parse(language, sep="-")
