"""`tonne archive`: sealed days out of the database, and back."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import click

from ingest.errors import InputError
from services.archive import listing
from services.archive import restore as restores
from services.archive import run as runs
from services.archive import scheduler as rounds
from services.archive import verify as checks
from services.archive.verify import Wanted
from services.cli.errors import Exit
from services.cli.options.database_url import database_url
from services.cli.options.time_span import span_us
from services.clock import now_us
from services.settings import Settings
from services.store.postgres.pool import connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from psycopg import Connection
    from psycopg.rows import TupleRow

_DAY_US = 86_400_000_000
_SHOWN = 20
# whatever else this machine does comes first
_NICE = 10
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_begin = click.option("--from", "begin", metavar="T", help="Begin, with.")
_end = click.option("--to", "end", metavar="T", help="End, without.")
_devices = click.option("--device", "devices", multiple=True, metavar="ID", help="Only this one.")


@click.group()
def archive() -> None:
    """
    Move sealed days to Parquet files, check them, bring them back.

    TONNE_ARCHIVE_URL says where: an absolute path, or s3://bucket/prefix.

    \b
    Example:
      tonne archive run
      tonne archive verify
    """


@archive.command()
@click.option("--url", metavar="URL", help="Place of a first archive; else TONNE_ARCHIVE_URL.")
@click.option("--days", type=click.IntRange(7),
              help="Keep this many days in the database; else TONNE_ARCHIVE_DAYS.")  # fmt: skip
@click.option("--pace", type=click.FloatRange(min=1), metavar="ROWS_PER_S",
              help="Work through no more readings a second.")  # fmt: skip
@click.option("--every", type=click.IntRange(60), metavar="SECONDS",
              help="Go on until stopped, a run every so often.")  # fmt: skip
@_json
def run(
    url: str | None, days: int | None, pace: float | None, every: int | None, *, as_json: bool
) -> None:
    """
    Archive sealed days that are old enough, then drop what is wholly in the archive.

    Each file is read back and held against the log's seal before anything goes;
    a run that was interrupted is finished by the next. Run it once a day. Ends
    with 1 where a day is not as it was sealed: that is left where it is.

    \b
    Example:
      tonne archive run --days 90
      tonne archive run --pace 5000 --every 86400
      tonne archive run --url 's3://tonne/archive?endpoint_override=s3.example.org'
    """
    keep_us = (days or Settings().archive_days) * _DAY_US
    os.setpriority(os.PRIO_PROCESS, 0, max(_NICE, os.getpriority(os.PRIO_PROCESS, 0)))
    if every is not None:
        rounds.forever(database_url(), url, keep_us, every, rows_per_s=pace)
        return
    with _database("tonne_archive") as conn:
        report = runs.run(conn, url, now_us() - keep_us, rows_per_s=pace, step=_watcher())
    if as_json:
        click.echo(json.dumps(vars(report), indent=2))
    else:
        click.echo(
            f"archived {report.days} days: {report.rows} readings in {report.parts} files,"
            f" {report.bytes} bytes"
        )
        _say("dropped", report.dropped)
        _say("waiting", report.waiting)
        _say("NOT ARCHIVED", report.refused)
    click.get_current_context().exit(Exit.FALSE if report.refused else Exit.DONE)


@archive.command("list")
@_begin
@_end
@_json
def list_(begin: str | None, end: str | None, *, as_json: bool) -> None:
    """
    List what is in the archive, a class and month a line; --json lists each file.

    \b
    Example:
      tonne archive list
      tonne archive list --from 2026-01-01 --to 2026-02-01 --json
    """
    wanted = _wanted(begin, end, ())
    with _database("tonne_archive") as conn:
        if as_json:
            click.echo(json.dumps(listing.files(conn, wanted), indent=2))
            return
        found = listing.months(conn, wanted)
    for one in found:
        click.echo(
            f"{one.month}  {one.class_id:<17} {one.days:>3} days {one.files:>6} files"
            f" {one.rows:>12} readings {one.bytes:>14} bytes"
            f" {one.bytes / one.rows:>6.1f} a reading"
        )
    if not found:
        click.echo("nothing is archived there")


@archive.command()
@_begin
@_end
@_devices
@click.option("--url", metavar="URL", help="A copy of the archive; else the archive itself.")
@_json
def verify(
    begin: str | None,
    end: str | None,
    devices: tuple[str, ...],
    url: str | None,
    *,
    as_json: bool,
) -> None:
    """
    Hold the archive against the log, and name all that is wrong; ends with 1 if anything is.

    Without options every byte is read, and what else lies there is named. With
    a span or devices only their readings are, which takes seconds.

    \b
    Example:
      tonne archive verify
      tonne archive verify --device inv-001 --from 2026-01-01 --to 2026-02-01
    """
    with _database("tonne_archive") as conn:
        report = checks.check(conn, url, _wanted(begin, end, devices), _watcher())
    if as_json:
        click.echo(json.dumps(vars(report), indent=2))
    else:
        click.echo(
            f"read {report.parts} files: {report.device_days} device-days, {report.rows} readings"
        )
        _say("note", report.notes)
        _say("BROKEN", report.breaks)
        if not report.breaks:
            click.echo("the archive holds what the log sealed")
    click.get_current_context().exit(Exit.FALSE if report.breaks else Exit.DONE)


@archive.command()
@click.option("--from", "begin", required=True, metavar="T", help="Begin, with.")
@click.option("--to", "end", required=True, metavar="T", help="End, without.")
@_devices
@click.option("--days", type=click.IntRange(1, 3660), default=30, show_default=True,
              help="How long they stay in the database.")  # fmt: skip
@click.option("--reason", required=True, help="Why, for the record.")
@_json
def restore(
    begin: str, end: str, devices: tuple[str, ...], days: int, reason: str, *, as_json: bool
) -> None:
    """
    Bring archived readings back into the database; the archive keeps its copy.

    Closing, verifying and rebuilding read the archive by themselves: this is for
    SQL and dashboards.

    \b
    Example:
      tonne archive restore --from 2026-01-01 --to 2026-02-01 --reason "audit 2027-03"
    """
    with _database("tonne_ingest") as conn:
        wanted = _wanted(begin, end, devices)
        done = restores.restore(conn, wanted, days, reason, _watcher())
    if as_json:
        click.echo(json.dumps(vars(done)))
        return
    click.echo(
        f"{done.rows} readings came back from {done.parts} files, and stay {days} days; what was"
        " there already stayed"
    )


def _wanted(begin: str | None, end: str | None, devices: tuple[str, ...]) -> Wanted:
    names = frozenset(devices)
    if begin is None and end is None:
        return Wanted(names)
    if begin is None or end is None:
        raise InputError("give --from and --to together, or neither")
    return Wanted(names, *span_us(begin, end, "UTC"))


def _say(word: str, lines: list[str]) -> None:
    for line in lines[:_SHOWN]:
        click.echo(f"{word}: {line}")
    if len(lines) > _SHOWN:
        click.echo(f"and {len(lines) - _SHOWN} more; --json lists all")


def _watcher() -> Callable[[str], None]:
    """Show what is done to a person who watches."""
    if not sys.stderr.isatty():
        return lambda _: None
    return lambda what: click.echo(f"\r\x1b[K{what}", nl=False, err=True)


def _database(role: str) -> Connection[TupleRow]:
    return connect(database_url(), role=role, name="tonne archive", autocommit=True)
