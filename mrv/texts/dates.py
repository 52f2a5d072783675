"""Days, months and periods as readers of a language write them, the last day included."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_skeleton, get_datetime_format, split_interval_pattern

from mrv.texts import form

_DASH = " \N{EN DASH} "


def day(one: date, language: str) -> str:
    """Write a day: `5 January 2026`, `05/01/2026`."""
    return format_date(one, form("day", language), _locale(language))


def moment(local: datetime, language: str) -> str:
    """Write a local time to the minute: `5 January 2026, 06:15`."""
    return moment_form(language).format(f"{local:%H:%M}", day(local.date(), language))


def moment_form(language: str) -> str:
    """Return how a language joins a time, {0}, and a day, {1}."""
    return str(get_datetime_format("medium", _locale(language)))


def days(first: date, last: date, language: str) -> str:
    """Write the days from the first to the last: 1 to 31 January 2026."""
    if first == last:
        return day(first, language)
    same = first.year == last.year
    span = "days_of_month" if same and first.month == last.month else "days_of_year"
    begin, end = split_interval_pattern(form(span if same else "days", language))
    locale = _locale(language)
    return format_date(first, begin, locale) + format_date(last, end, locale)


def month(one: date, language: str) -> str:
    """Write the month of a day: `January 2026`."""
    return format_skeleton("yMMMM", one, locale=_locale(language))


def year(one: date, language: str) -> str:
    """Write the year of a day."""
    return format_skeleton("y", one, locale=_locale(language))


def mark(name: str, language: str) -> str:
    """Write a day, month or year for an axis, short: `1 Jun`, `Jun 2026`, `2026`."""
    skeletons = {len("2026-01-01"): "MMMd", len("2026-01"): "yMMM"}
    if (skeleton := skeletons.get(len(name))) is None:
        return name
    one = date.fromisoformat(f"{name}-01"[: len("2026-01-01")])
    locale = _locale("en-GB" if language == "en" else language)  # day before month, as in `day`
    return format_skeleton(skeleton, one, locale=locale)


def short_month(one: date, language: str) -> str:
    """Write the month of a day alone, short: `Jan`."""
    return format_date(one, "LLL", _locale(language))


def period(begin: str, end: str, language: str) -> str:
    """Write a period of local times, its end not in it: as days where both are midnight."""
    edges = [datetime.fromisoformat(edge) for edge in (begin, end)]
    if any(edge.time() != datetime.min.time() for edge in edges):
        return f"{begin}{_DASH}{end}"
    return days(edges[0].date(), edges[1].date() - timedelta(days=1), language)


def is_language(tag: str) -> bool:
    """Whether CLDR knows a language by its tag, whether or not it has words here."""
    try:
        return bool(_locale(tag))
    except (UnknownLocaleError, ValueError):
        return False


def week_begins(country: str | None) -> int:
    """Return the weekday on which a country's weeks begin, by CLDR; 0 is Monday, as in most."""
    try:
        return int(Locale.parse(f"und_{country}").first_week_day) if country else 0
    except UnknownLocaleError:  # a country without residents
        return 0


def _locale(language: str) -> Locale:
    return Locale.parse(language, sep="-")
