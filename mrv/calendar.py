"""
Local dates and UTC microseconds: days of 23, 24 or 25 hours, half-open periods.

Time is kept in microseconds UTC.  A crediting period, a vintage and a
calibration are local dates of the site, and only the zone database knows when
those begin.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mrv.errors import PeriodError

if TYPE_CHECKING:
    from collections.abc import Iterator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def zone(name: str) -> ZoneInfo:
    """
    Return the time zone of that IANA name.

    Raises
    ------
    PeriodError
        If the zone database does not hold it.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise PeriodError(
            f"time zone {name!r} is unknown; use an IANA name such as Asia/Ho_Chi_Minh"
        ) from None


def midnight_us(day: date, timezone: str) -> int:
    """
    Microseconds UTC at which a local day begins. [us]

    Where the clock skips midnight the day begins at the skip, where midnight
    comes twice at the first.
    """
    begin = datetime(day.year, day.month, day.day, tzinfo=zone(timezone))
    return (begin.astimezone(UTC) - _EPOCH) // _MICROSECOND


def period_us(first: date, end: date, timezone: str) -> tuple[int, int]:
    """
    Half-open UTC microseconds of the local days from `first` up to, not with, `end`.

    Raises
    ------
    PeriodError
        If the period is empty.
    """
    if first >= end:
        raise PeriodError(f"period from {first} to {end} is empty; `to` is the day after the last")
    return midnight_us(first, timezone), midnight_us(end, timezone)


def local_date(instant_us: int, timezone: str) -> date:
    """Local date of an instant."""
    return _local(instant_us, timezone).date()


def offset_us(instant_us: int, timezone: str) -> int:
    """Return how far the local clock is ahead of UTC at an instant. [us]."""
    offset = _local(instant_us, timezone).utcoffset() or timedelta(0)
    return offset // _MICROSECOND


def days(from_us: int, to_us: int, timezone: str) -> Iterator[tuple[date, int, int]]:
    """Local days that touch [from_us, to_us), each with its own half-open UTC edges."""
    day = local_date(from_us, timezone)
    begin = midnight_us(day, timezone)
    while begin < to_us:
        following = day + timedelta(days=1)
        end = midnight_us(following, timezone)
        yield day, begin, end
        day, begin = following, end


def years(from_us: int, to_us: int, timezone: str) -> list[tuple[int, int, int]]:
    """Local calendar years within [from_us, to_us), cut at its edges: (year, from_us, to_us)."""
    result: list[tuple[int, int, int]] = []
    begin = from_us
    while begin < to_us:
        year = local_date(begin, timezone).year
        end = min(midnight_us(date(year + 1, 1, 1), timezone), to_us)
        result.append((year, begin, end))
        begin = end
    return result


def months(from_us: int, to_us: int, timezone: str) -> list[tuple[int, int, int, int]]:
    """Local months within [from_us, to_us), cut at its edges: (year, month, from_us, to_us)."""
    result: list[tuple[int, int, int, int]] = []
    begin = from_us
    while begin < to_us:
        day = local_date(begin, timezone)
        end = min(midnight_us(_next_month(day.year, day.month), timezone), to_us)
        result.append((day.year, day.month, begin, end))
        begin = end
    return result


def parts(
    from_us: int, to_us: int, timezone: str, *, monthly: bool
) -> list[tuple[int, int | None, int, int]]:
    """Local years, or months, within [from_us, to_us): (year, month or None, from_us, to_us)."""
    if monthly:
        return list(months(from_us, to_us, timezone))
    return [(year, None, begin, end) for year, begin, end in years(from_us, to_us, timezone)]


def month_us(year: int, month: int, timezone: str) -> int:
    """Length of a local month. [us]."""
    end = midnight_us(_next_month(year, month), timezone)
    return end - midnight_us(date(year, month, 1), timezone)


def _next_month(year: int, month: int) -> date:
    return date(year + month // 12, month % 12 + 1, 1)


def year_us(year: int, timezone: str) -> int:
    """Length of a local calendar year. [us]."""
    return midnight_us(date(year + 1, 1, 1), timezone) - midnight_us(date(year, 1, 1), timezone)


def utc_text(instant_us: int) -> str:
    """RFC 3339 in UTC, with decimals of a second only where there are any."""
    return (_EPOCH + instant_us * _MICROSECOND).isoformat().replace("+00:00", "Z")


def local_text(instant_us: int, timezone: str) -> str:
    """RFC 3339 with the offset that the zone had at that instant."""
    return _local(instant_us, timezone).isoformat()


def instant_us(text: str, timezone: str) -> int:
    """
    Microseconds UTC of RFC 3339 text, or of the local midnight of a bare date.

    Raises
    ------
    PeriodError
        If it is neither, or names a time without saying its offset.
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
