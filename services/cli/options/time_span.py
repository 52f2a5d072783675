"""
A time span, the same for every command: `--from DAY|TIME --to DAY|TIME`.

Half-open.  A day begins at midnight by the clock of the project's, the device's or the
site's zone; a time is RFC 3339 and carries its offset.  A time without one is refused.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import click
from psycopg import Connection

from mrv.calendar import instant_us
from mrv.errors import PeriodError
from services.store.registry.known import timezones
from services.store.timeseries.queries import device_timezone

METAVAR = "DAY|TIME"
_BEGIN = "Start (included): a local day, or RFC 3339 with offset."
_END = "End (excluded): same format; the day after the last day."

begin_option = click.option("--from", "begin", required=True, metavar=METAVAR, help=_BEGIN)
end_option = click.option("--to", "end", required=True, metavar=METAVAR, help=_END)
maybe_begin_option = click.option("--from", "begin", metavar=METAVAR, help=_BEGIN)
maybe_end_option = click.option("--to", "end", metavar=METAVAR, help=_END)


def span_us(begin: str, end: str, timezone: str) -> tuple[int, int]:
    """
    Return microseconds UTC of `--from` and `--to`.

    Raises
    ------
    PeriodError
        Naming the option that is no time, or both where the span is empty.
    """
    edges = _edge_us("--from", begin, timezone), _edge_us("--to", end, timezone)
    if edges[0] >= edges[1]:
        raise PeriodError(f"--from {begin} --to {end} is empty; --to must be later")
    return edges


def hint_of_last_day(begin: str, end: str) -> None:
    """Say how a whole month is written, where the span leaves out the last day of one."""
    if not (is_day(begin) and is_day(end) and begin.endswith("-01")):
        return
    after = date.fromisoformat(end) + timedelta(days=1)
    if after.day == 1:
        click.echo(
            f"tonne: {end} is not included, as --to is the first day after the period; for the"
            f" whole month write --to {after}",
            err=True,
        )


def maybe_span(
    conn: Connection, begin: str | None, end: str | None, device: str | None = None
) -> tuple[datetime | None, datetime | None]:
    """
    Return times of `--from` and `--to` where either may be absent.

    Parameters
    ----------
    device : str, optional
        Whose site tells the zone of days, if it is registered.

    Raises
    ------
    PeriodError
        As `span_us` and `common_zone`.
    """
    given = [(option, text) for option, text in (("--from", begin), ("--to", end)) if text]
    zone = common_zone(conn, device) if any(is_day(text) for _, text in given) else "UTC"
    if begin and end:
        span_us(begin, end, zone)
    found = {
        option: datetime.fromtimestamp(_edge_us(option, text, zone) / 1e6, UTC)
        for option, text in given
    }
    return found.get("--from"), found.get("--to")


def moment_us(conn: Connection, option: str, text: str) -> int:
    """Return microseconds UTC of one option; a day is in the zone of most sites."""
    return _edge_us(option, text, common_zone(conn) if is_day(text) else "UTC")


def common_zone(conn: Connection, device: str | None = None) -> str:
    """
    Return the zone of a device's site, else that of most sites, with a note if they differ.

    Raises
    ------
    PeriodError
        Where no site is registered: a day would then have no beginning.
    """
    if device is not None:
        return device_timezone(conn, device)
    zones = timezones(conn)
    if not zones:
        raise PeriodError(
            "no site is registered, so a day has no time zone; write a time such "
            "as 2026-01-31T00:00:00+01:00"
        )
    zone, sites = zones[0]
    if len(zones) > 1:
        everywhere = sum(count for _, count in zones)
        click.echo(
            f"tonne: days are in time zone {zone} ({sites} of {everywhere} sites); "
            "a time with its offset is unambiguous",
            err=True,
        )
    return zone


def is_day(text: str) -> bool:
    """Return whether it is a day and not a time."""
    return len(text) == len("2026-01-01")


def _edge_us(option: str, text: str, timezone: str) -> int:
    try:
        return instant_us(text, timezone)
    except PeriodError as error:
        raise PeriodError(f"{option}: {error}") from None
    except OverflowError:
        raise PeriodError(f"{option}: {text!r} is not a valid date") from None
