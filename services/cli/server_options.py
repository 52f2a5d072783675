"""Options of commands with servers: database, metrics address, Kafka topic, wait, time span."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from typing import Any

import click
from psycopg import Connection

from ingest.addresses import Tls
from ingest.errors import InputError
from mrv.calendar import instant_us
from mrv.errors import PeriodError
from services.identity.principals import ADMIN, IdentityFolder
from services.local import LOOPBACK, choose
from services.settings import Settings, SettingsError, split_bind
from services.store.registry import timezones
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
    Return `--from` and `--to` in microseconds UTC.

    Raises PeriodError if an option is not a time, or the span is empty; names the options.
    """
    edges = _edge_us("--from", begin, timezone), _edge_us("--to", end, timezone)
    if edges[0] >= edges[1]:
        raise PeriodError(f"--from {begin} --to {end} is empty; --to must be later")
    return edges


def hint_of_last_day(begin: str, end: str) -> None:
    """Print how to write a whole month, if the span omits the last day of one."""
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
    Return the times of `--from` and `--to`; None for an absent one.

    `device`: a registered device, whose site's time zone applies to days.
    Raises PeriodError as `span_us` and `common_zone`.
    """
    given = [(option, text) for option, text in (("--from", begin), ("--to", end)) if text]
    zone = common_zone(conn, device) if any(is_day(text) for _, text in given) else "UTC"
    if begin and end:
        span_us(begin, end, zone)
    edges = {
        option: datetime.fromtimestamp(_edge_us(option, text, zone) / 1e6, UTC)
        for option, text in given
    }
    return edges.get("--from"), edges.get("--to")


def moment_us(conn: Connection, option: str, text: str) -> int:
    """Return one time option in microseconds UTC; a day is in the time zone of most sites."""
    return _edge_us(option, text, common_zone(conn) if is_day(text) else "UTC")


def common_zone(conn: Connection, device: str | None = None) -> str:
    """
    Return the time zone of a device's site, or else that of most sites; prints a note if sites
    differ.

    Raises PeriodError where no site is registered, so that a day has no time zone.
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
    """Return whether a text is a day, without a time."""
    return len(text) == len("2026-01-01")


def _edge_us(option: str, text: str, timezone: str) -> int:
    try:
        return instant_us(text, timezone)
    except PeriodError as error:
        raise PeriodError(f"{option}: {error}") from None
    except OverflowError:
        raise PeriodError(
            f"{option}: {text!r} is not a valid date; write it as 2026-01-31"
        ) from None


def identity_folder(settings: Settings) -> IdentityFolder:
    """Return the folder of certificates and keys below TONNE_HOME."""
    return IdentityFolder(settings.home / "identity")


def operator_tls(settings: Settings) -> Tls | None:
    """
    Return the TLS identity of `tonne-admin`, or else the configured one.

    The pipeline's own identity may only write receipts.
    """
    folder = identity_folder(settings).service(ADMIN)
    return Tls.of(folder) if (folder / "client.key").exists() else settings.mqtt_tls


WAIT_S = 60.0

wait_option = click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(0, 86_400),
    default=WAIT_S,
    metavar="SECONDS",
    help="Maximum waiting time for servers that are starting; then exit code 3.",
)
topic_option = click.option(
    "--topic", default="tonne-parcels", help="Kafka topic for the readings."
)


def database_url() -> str:
    """
    Return the database URL of the settings, or that of the local servers.

    Raises SettingsError when neither is set.
    """
    url = Settings().database_url
    if not url:
        raise SettingsError(
            "no database is set; set TONNE_DATABASE_URL=postgresql://user@host:5432/tonne, "
            "or start a local one with `tonne local up`"
        )
    return url


def metrics_bind(settings: Settings) -> str:
    """
    Return the listening address for metrics.

    A configured address is used unchanged; the default one is replaced by a free port if it is in
    use.
    """
    if "metrics_bind" in settings.model_fields_set:
        return settings.metrics_bind
    return f"{LOOPBACK}:{choose(split_bind(settings.metrics_bind)[1])}"


def load_kafka(module: str, name: str) -> Any:
    """
    Return an attribute of a module that needs the `kafka` extra.

    Raises InputError when the extra is not installed.
    """
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in {"aiokafka", "faust", "mode"}:
            raise
        raise InputError(f"{error.name} is not installed: install tonne's extra `kafka`") from error
