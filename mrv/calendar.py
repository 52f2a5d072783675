"""
Conversion between local dates of a site and microseconds UTC, with time zones that may change.

Times are in microseconds UTC.  Crediting periods, vintages and calibrations are local dates of the
site; the time zone database determines when a date begins.

`timezone` is an IANA name, or several names with the first local date of each later one:
`Asia/Kolkata, from 2026-07-01 Asia/Kathmandu`.  A local date belongs to one zone and begins at its
midnight.  So a change of zone lengthens or shortens the date before it, and each instant is in
exactly one date.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mrv.errors import PeriodError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_YEAR_US = 365 * 86_400_000_000
_FROM = ", from "


class Zoned(NamedTuple):
    """A time zone with its first local date (None for the first zone) and that date's start."""

    first: date | None
    name: str
    begin_us: int


class _Dated(tzinfo):
    """A time zone composed of several zones, each valid from a local date on."""

    def __init__(self, timezone: str) -> None:
        self._zones = timezone

    def fromutc(self, moment: datetime) -> datetime:
        instant = (moment.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
        return moment.replace(tzinfo=UTC).astimezone(_plain(_at(instant, self._zones).name))

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        raise NotImplementedError("this zone converts from UTC only; use zone(name).fromutc")

    tzname = dst = utcoffset  # type: ignore[assignment]


def zone(timezone: str) -> tzinfo:
    """
    Return the tzinfo of a time zone, for display of instants.

    Raises PeriodError if the zone database does not contain a name, or the text has another form.
    """
    return _plain(timezone) if _FROM not in timezone else _Dated(timezone)


def _plain(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise PeriodError(
            f"time zone {name!r} is unknown; use an IANA name such as Europe/Berlin"
        ) from None


@lru_cache(maxsize=256)
def zones(timezone: str) -> tuple[Zoned, ...]:
    """
    Return the zones of which a time zone is composed, in order.

    Raises PeriodError if the zone database does not contain a name, or the text has another form.
    """
    first, *later = timezone.split(_FROM)
    _plain(first)
    zoned = [Zoned(None, first, 0)]
    for text in later:
        day, _, name = text.partition(" ")
        try:
            begins = date.fromisoformat(day)
        except ValueError:
            raise PeriodError(
                f"time zone {timezone!r}: {day!r} is not a date; write 2026-07-01"
            ) from None
        zoned.append(Zoned(begins, name, _midnight_us(begins, name)))
    return tuple(zoned)


def joined(first: str, later: Iterable[tuple[date, str]]) -> str:
    """Return the text of a time zone: the first name, then later ones with their first date."""
    return "".join([first, *(f"{_FROM}{day.isoformat()} {name}" for day, name in later)])


def narrowed(timezone: str, from_us: int, to_us: int) -> str:
    """Return the time zone without changes outside the local dates of [from_us, to_us)."""
    if _FROM not in timezone:
        return timezone
    every = zones(timezone)
    begin, last = every.index(_at(from_us, timezone)), local_date(to_us - 1, timezone)
    later = [(z.first, z.name) for z in every[begin + 1 :] if z.first is not None]
    # a change ends the date before it
    return joined(every[begin].name, ((day, name) for day, name in later if day - _DAY <= last))


def _at(instant_us: int, timezone: str) -> Zoned:
    first, *later = zones(timezone)
    return next((z for z in reversed(later) if z.begin_us <= instant_us), first)


def _of_day(day: date, timezone: str) -> str:
    """Return the name of the zone that a local date belongs to."""
    if _FROM not in timezone:
        return timezone
    first, *later = zones(timezone)
    own = (z for z in reversed(later) if z.first is not None and z.first <= day)
    return next(own, first).name


def midnight_us(day: date, timezone: str) -> int:
    """
    Return the instant at which a local day begins. [us UTC]

    If the clock skips midnight, the day begins at the skip; if midnight comes twice, at the first.
    """
    return _midnight_us(day, _of_day(day, timezone))


def _midnight_us(day: date, name: str) -> int:
    begin = datetime(day.year, day.month, day.day, tzinfo=_plain(name))
    return (begin.astimezone(UTC) - _EPOCH) // _MICROSECOND


def period_us(first: date, end: date, timezone: str) -> tuple[int, int]:
    """
    Return the half-open span of the local days from `first` to the day before `end`. [us UTC]

    Raises PeriodError if the period is empty.
    """
    if first >= end:
        raise PeriodError(
            f"period from {first} to {end} is empty; `to` is the day after the last day"
        )
    return midnight_us(first, timezone), midnight_us(end, timezone)


def local_date(instant_us: int, timezone: str) -> date:
    """Return the local date of an instant."""
    day = _local(instant_us, timezone).date()
    if _FROM in timezone:
        every = zones(timezone)
        after = every[every.index(_at(instant_us, timezone)) + 1 :]
        if after and after[0].first is not None:
            return min(day, after[0].first - _DAY)
    return day


def offset_us(instant_us: int, timezone: str) -> int:
    """Return the offset of the local clock from UTC at an instant, positive east. [us]"""
    offset = _local(instant_us, timezone).utcoffset() or timedelta(0)
    return offset // _MICROSECOND


def days(from_us: int, to_us: int, timezone: str) -> Iterator[tuple[date, int, int]]:
    """Return local days that overlap [from_us, to_us), each with its half-open span. [us UTC]"""
    day = local_date(from_us, timezone)
    begin = midnight_us(day, timezone)
    while begin < to_us:
        following = day + timedelta(days=1)
        end = midnight_us(following, timezone)
        yield day, begin, end
        day, begin = following, end


def years(from_us: int, to_us: int, timezone: str) -> list[tuple[int, int, int]]:
    """Return local calendar years in [from_us, to_us), cut at its edges: (year, from_us, to_us)."""
    result: list[tuple[int, int, int]] = []
    begin = from_us
    while begin < to_us:
        year = local_date(begin, timezone).year
        end = min(midnight_us(date(year + 1, 1, 1), timezone), to_us)
        result.append((year, begin, end))
        begin = end
    return result


def months(from_us: int, to_us: int, timezone: str) -> list[tuple[int, int, int, int]]:
    """Return local months in [from_us, to_us), cut at its edges: (year, month, from_us, to_us)."""
    result: list[tuple[int, int, int, int]] = []
    begin = from_us
    while begin < to_us:
        day = local_date(begin, timezone)
        end = min(midnight_us(_next_month(day.year, day.month), timezone), to_us)
        result.append((day.year, day.month, begin, end))
        begin = end
    return result


def main_months(from_us: int, to_us: int, timezone: str) -> set[tuple[int, int]]:
    """Return the local months, as (year, month), of which at least half is in [from_us, to_us)."""
    return {
        (year, month)
        for year, month, begin, end in months(from_us, to_us, timezone)
        if 2 * (end - begin) >= month_us(year, month, timezone)
    }


def part_of_year(
    by_month: Sequence[Any] | None, from_us: int, to_us: int, timezone: str
) -> Fraction:
    """
    Return the share of a year's expected amount that falls in [from_us, to_us).

    `by_month`: twelve numbers, January first, of which only the proportions count; without them the
    amount is distributed evenly over 365 days.
    """
    if by_month is None:
        return Fraction(to_us - from_us, _YEAR_US)
    weights = [Fraction(str(weight)) for weight in by_month]
    parts_ = (
        Fraction(end - begin, month_us(year, month, timezone)) * weights[month - 1]
        for year, month, begin, end in months(from_us, to_us, timezone)
    )
    return sum(parts_, Fraction(0)) / sum(weights)


def parts(
    from_us: int, to_us: int, timezone: str, *, monthly: bool
) -> list[tuple[int, int | None, int, int]]:
    """Return local years or months in [from_us, to_us): (year, month or None, from_us, to_us)."""
    if monthly:
        return list(months(from_us, to_us, timezone))
    return [(year, None, begin, end) for year, begin, end in years(from_us, to_us, timezone)]


def month_us(year: int, month: int, timezone: str) -> int:
    """Return the length of a local month. [us]"""
    end = midnight_us(_next_month(year, month), timezone)
    return end - midnight_us(date(year, month, 1), timezone)


def _next_month(year: int, month: int) -> date:
    return date(year + month // 12, month % 12 + 1, 1)


def year_us(year: int, timezone: str) -> int:
    """Return the length of a local calendar year. [us]"""
    return midnight_us(date(year + 1, 1, 1), timezone) - midnight_us(date(year, 1, 1), timezone)


def utc_text(instant_us: int) -> str:
    """Return an instant as RFC 3339 text in UTC; fractions of a second only if not zero."""
    return (_EPOCH + instant_us * _MICROSECOND).isoformat().replace("+00:00", "Z")


def local_text(instant_us: int, timezone: str) -> str:
    """Return an instant as RFC 3339 text with the offset of the time zone."""
    return _local(instant_us, timezone).isoformat()


def local_span(span_us: tuple[int, int], timezone: str) -> dict[str, str]:
    """Return the start and end of a time span as local text, with the keys `start` and `end`."""
    start, end = (local_text(edge, timezone) for edge in span_us)
    return {"start": start, "end": end}


def instant_us(text: str, timezone: str) -> int:
    """
    Return the instant of RFC 3339 text, or of the local midnight of a date. [us UTC]

    Raises PeriodError if the text is neither a time with an offset nor a date.
    """
    try:
        if len(text) == len("2026-01-01"):
            return midnight_us(date.fromisoformat(text), timezone)
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise PeriodError(
            f"{text!r} is not a time; write 2026-01-01 (local midnight, {timezone})"
            " or 2026-01-01T00:00:00Z"
        )
    return (moment.astimezone(UTC) - _EPOCH) // _MICROSECOND


def _local(instant_us: int, timezone: str) -> datetime:
    return (_EPOCH + instant_us * _MICROSECOND).astimezone(zone(timezone))
