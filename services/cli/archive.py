"""Command `tonne archive`: moves sealed days from the database to files, and restores them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable

import click
from psycopg import Connection

from ingest.errors import InputError
from services import archive as runs
from services import archived_files as checks
from services.archived_files import Wanted
from services.cli import Group, json_option
from services.cli.output import Exit, bytes_text, counted, table
from services.cli.server_options import (
    begin_option,
    common_zone,
    database_url,
    end_option,
    is_day,
    maybe_begin_option,
    maybe_end_option,
    span_us,
)
from services.clock import now_us
from services.settings import Settings
from services.store.postgres.pool import connect

_DAY_US = 86_400_000_000
_MAX_LISTED = 20
# niceness of the process: all other work of the machine takes precedence
_NICE = 10
_devices = click.option(
    "--device",
    "devices",
    multiple=True,
    metavar="ID",
    help="Only this device; repeatable. Default: all.",
)


@click.group(cls=Group)
def archive() -> None:
    """
    Move sealed days to Parquet files, verify and restore them.

    TONNE_ARCHIVE_URL is the archive's location: an absolute path, or s3://bucket/prefix.

    \b
    Example:
      tonne archive run
      tonne archive verify
    """


@archive.command()
@click.option(
    "--url",
    metavar="URL",
    help="Location of the archive, if this is its first run; default: TONNE_ARCHIVE_URL.",
)
@click.option(
    "--days",
    type=click.IntRange(7),
    help="Number of days that stay in the database; default: TONNE_ARCHIVE_DAYS.",
)
@click.option(
    "--pace",
    type=click.FloatRange(min=1),
    metavar="ROWS_PER_S",
    help="Maximum number of readings per second; default: unlimited.",
)
@click.option(
    "--every",
    type=click.IntRange(60),
    metavar="SECONDS",
    help="Repeat at this interval until stopped; default: run once.",
)
@json_option
def run(
    url: str | None, days: int | None, pace: float | None, every: int | None, *, as_json: bool
) -> None:
    """
    Archive sealed days that are old enough, then delete them from the database once fully archived.

    Each file is read back and compared with the log's seal before rows are deleted; an interrupted
    run is completed by the next. Run it once a day. Exit status 1 if a day's data differ from its
    seal; such a day is not archived.

    \b
    Example:
      tonne archive run --days 90
      tonne archive run --pace 5000 --every 86400
      tonne archive run --url 's3://tonne/archive?endpoint_override=s3.example.org'
    """
    keep_us = (days or Settings().archive_days) * _DAY_US
    os.setpriority(os.PRIO_PROCESS, 0, max(_NICE, os.getpriority(os.PRIO_PROCESS, 0)))
    if every is not None:
        runs.forever(database_url(), url, keep_us, every, rows_per_s=pace)
        return
    with _database("tonne_archive") as conn:
        report = runs.run(conn, url, now_us() - keep_us, rows_per_s=pace, step=_watcher())
    if as_json:
        click.echo(json.dumps(vars(report), indent=2))
    else:
        click.echo(
            f"archived {counted(report.days, 'day')}: {counted(report.rows, 'reading')} in"
            f" {counted(report.parts, 'file')}, {bytes_text(report.bytes)}"
        )
        _print_lines("dropped", report.dropped)
        _print_lines("waiting", report.waiting)
        _print_lines("NOT ARCHIVED", report.refused)
    click.get_current_context().exit(Exit.FALSE if report.refused else Exit.DONE)


@archive.command("list")
@maybe_begin_option
@maybe_end_option
@json_option
def list_(begin: str | None, end: str | None, *, as_json: bool) -> None:
    """
    List the archive's contents, one line per class and month; --json lists each file.

    \b
    Example:
      tonne archive list
      tonne archive list --from 2026-01-01 --to 2026-02-01 --json
    """
    with _database("tonne_archive") as conn:
        wanted = _wanted(conn, begin, end, ())
        if as_json:
            click.echo(json.dumps(checks.files(conn, wanted), indent=2))
            return
        months = checks.months(conn, wanted)
    head = ("month", "class", "days", "files", "readings", "size", "bytes a reading")
    rows = [
        (m.month, m.class_id, m.days, m.files, f"{m.rows:,}", bytes_text(m.bytes),
         f"{m.bytes / m.rows:.1f}")
        for m in months
    ]  # fmt: skip
    click.echo(table(head, rows, empty="the archive there is empty"))


@archive.command()
@maybe_begin_option
@maybe_end_option
@_devices
@click.option(
    "--url",
    metavar="URL",
    help="Location of a copy of the archive to verify; default: the archive itself.",
)
@json_option
def verify(
    begin: str | None, end: str | None, devices: tuple[str, ...], url: str | None, *, as_json: bool
) -> None:
    """
    Verify the archive against the log and list all faults; exit code 1 if there is any.

    Without options every byte is read and unknown files are reported. With a span or devices only
    their readings are checked, which takes seconds.

    \b
    Example:
      tonne archive verify
      tonne archive verify --device inv-001 --from 2026-01-01 --to 2026-02-01
    """
    with _database("tonne_archive") as conn:
        report = checks.check(conn, url, _wanted(conn, begin, end, devices), _watcher())
    if as_json:
        click.echo(json.dumps(vars(report), indent=2))
    else:
        click.echo(
            f"read {counted(report.parts, 'file')}: {counted(report.device_days, 'device-day')},"
            f" {counted(report.rows, 'reading')}"
        )
        _print_lines("note", report.notes)
        _print_lines("BROKEN", report.breaks)
        if not report.breaks:
            click.echo("the archive matches the seals of the log")
    click.get_current_context().exit(Exit.FALSE if report.breaks else Exit.DONE)


@archive.command()
@begin_option
@end_option
@_devices
@click.option(
    "--days",
    type=click.IntRange(1, 3660),
    default=30,
    help="Number of days for which restored readings stay in the database.",
)
@click.option("--reason", required=True, help="Reason, kept on record.")
@json_option
def restore(
    begin: str, end: str, devices: tuple[str, ...], days: int, reason: str, *, as_json: bool
) -> None:
    """
    Restore archived readings into the database; the archive keeps its copy.

    Closing, verification and rebuild read the archive directly: restoring is only needed for SQL
    queries and dashboards.

    \b
    Example:
      tonne archive restore --from 2026-01-01 --to 2026-02-01 --reason "audit 2027-03"
    """
    with _database("tonne_ingest") as conn:
        wanted = _wanted(conn, begin, end, devices)
        done = checks.restore(conn, wanted, days, reason, _watcher())
    if as_json:
        click.echo(json.dumps(vars(done)))
        return
    click.echo(
        f"{counted(done.rows, 'reading')} restored from {counted(done.parts, 'file')} "
        f"for {counted(days, 'day')}; existing rows were not changed"
    )


def _wanted(
    conn: Connection, begin: str | None, end: str | None, devices: tuple[str, ...]
) -> Wanted:
    names = frozenset(devices)
    if begin is None and end is None:
        return Wanted(names)
    if begin is None or end is None:
        raise InputError(
            f"{'--to' if end is None else '--from'} is missing; use both options, or neither"
        )
    zone = "UTC"
    if is_day(begin) or is_day(end):
        zone = common_zone(conn, devices[0] if devices else None)
    return Wanted(names, *span_us(begin, end, zone))


def _print_lines(word: str, lines: list[str]) -> None:
    for line in lines[:_MAX_LISTED]:
        click.echo(f"{word}: {line}")
    if len(lines) > _MAX_LISTED:
        click.echo(f"and {len(lines) - _MAX_LISTED} more; --json lists all")


def _watcher() -> Callable[[str], None]:
    """Return a function that prints the current step if standard error is a terminal."""
    if not sys.stderr.isatty():
        return lambda _: None
    return lambda what: click.echo(f"\r\x1b[K{what}", nl=False, err=True)


def _database(role: str) -> Connection:
    return connect(database_url(), role=role, name="tonne archive", autocommit=True)
