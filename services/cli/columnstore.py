"""
Commands on the database: `tonne migrate` (schema), `columnstore` (compression) and `rebuild`
(derived rows).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import click
from psycopg import Connection

from ingest.errors import ServerError
from ingest.heap import keep_freed
from services.cli import Group, json_option
from services.cli.output import Exit, bar, bytes_text, counted, time_text
from services.cli.server_options import begin_option, database_url, end_option, span_us
from services.processing.rebuild import AT_ONCE, Difference
from services.processing.rebuild import rebuild as rebuild_devices
from services.settle import Plan
from services.store.postgres import columnstore as store
from services.store.postgres.migrate import migrate as apply
from services.store.postgres.pool import connect
from services.store.registry import load as registry
from services.store.registry import require
from services.store.registry.load import load_book
from services.store.registry.write import write_lives

_MAX_LISTED = 20


@click.command()
@begin_option
@end_option
@click.option("--device", metavar="ID", help="Only this device; default: all.")
@click.option("--check", is_flag=True, help="Only compare; exit code 1 if rows differ.")
@json_option
def rebuild(begin: str, end: str, device: str | None, *, check: bool, as_json: bool) -> None:
    """
    Recalculate intervals and emissions from raw readings, and replace rows that differ.

    A day begins at midnight in each device's own time zone. The full history of each device is
    recalculated; rows that start in [from, to) are compared.

    \b
    Example:
      tonne rebuild --from 2026-01-01 --to 2026-02-01 --check
      tonne rebuild --from 2026-01-01 --to 2026-02-01 --device inv-001
    """
    span_us(begin, end, "UTC")  # an invalid span is reported before any work
    keep_freed()
    url = database_url()
    with connect(url, role="tonne_ingest", name="tonne rebuild", autocommit=True) as conn:
        require(conn, "device", device)
        plan = Plan.of(registry.load_fleet(conn), registry.load_projects(conn), load_book(conn))
        members = _members(plan, device)
        differences: list[Difference] = []
        with bar("devices", len(members)) as progress:
            for zone, some in _by_zone(plan, members):
                span = span_us(begin, end, zone)
                differences += rebuild_devices(conn, plan, some, *span, replace=not check)
                progress.advance(len(some))
    zones = {plan.fleet.devices[k].id: plan.fleet.devices[k].timezone for k in members}
    _show(differences, zones, check=check, as_json=as_json)
    if check and differences:
        click.get_current_context().exit(Exit.FALSE)


def _by_zone(plan: Plan, members: list[int]) -> Iterator[tuple[str, list[int]]]:
    """Yield (time zone, fleet indices) of devices, in batches of at most `AT_ONCE`."""
    zones: dict[str, list[int]] = {}
    for member in members:
        zones.setdefault(plan.fleet.devices[member].timezone, []).append(member)
    for zone, devices in zones.items():
        for k in range(0, len(devices), AT_ONCE):
            yield zone, devices[k : k + AT_ONCE]


def _members(plan: Plan, device: str | None) -> list[int]:
    if device is None:
        return list(range(len(plan.fleet)))
    return [plan.fleet.by_id[device]]


def _show(
    differences: list[Difference], zones: Mapping[str, str], *, check: bool, as_json: bool
) -> None:
    if as_json:
        document = {
            "devices": len(zones),
            "replaced": bool(differences) and not check,
            "differences": [difference._asdict() for difference in differences],
        }
        click.echo(json.dumps(document, indent=2))
        return
    for difference in differences[:_MAX_LISTED]:
        was = "nothing" if difference.stored is None else difference.stored
        now = "nothing" if difference.computed is None else difference.computed
        click.echo(
            f"{difference.table} {_row(difference, zones)}: stored {was}, recalculated from"
            f" readings {now}"
        )
    if len(differences) > _MAX_LISTED:
        click.echo(f"and {len(differences) - _MAX_LISTED} more; --json lists all")
    verb = "differs" if len(differences) == 1 else "differ"
    done = verb if check else "replaced"
    click.echo(f"{counted(len(zones), 'device')}, {counted(len(differences), 'row')} {done}")


def _row(difference: Difference, zones: Mapping[str, str]) -> str:
    """Return a differing row as text, with its time in the zone of the device's site."""
    at = time_text(difference.time, zones[difference.device])
    return " ".join(at if word == difference.time else word for word in difference.key)


@click.command()
@json_option
def migrate(*, as_json: bool) -> None:
    """
    Update the database schema to this version; repeating it changes nothing.

    Needs PostgreSQL 16 or newer with TimescaleDB 2.15 or newer, and a login that
    may create extensions and roles.

    \b
    Example:
      TONNE_DATABASE_URL=postgresql://postgres@db/tonne tonne migrate
    """
    report = apply(database_url())
    with connect(database_url(), name="tonne migrate") as conn:
        write_lives(conn)
    if as_json:
        click.echo(json.dumps(asdict(report), indent=2))
        return
    for name in report.applied:
        click.echo(f"applied {name}")
    for note in report.notes:
        click.echo(note)
    click.echo(f"schema is at version {report.version}")


@click.group(cls=Group)
def columnstore() -> None:
    """
    Compress old readings, intervals and emissions in the database.

    Available in the TimescaleDB Community edition only; the Apache edition stores rows
    uncompressed.

    \b
    Example:
      tonne columnstore status
      tonne columnstore run
    """


@columnstore.command()
@click.option(
    "--days",
    type=click.FloatRange(7),
    default=store.AFTER_DAYS,
    help="Compress only chunks that ended at least this number of days ago.",
)
@json_option
def run(days: float, *, as_json: bool) -> None:
    """
    Compress all chunks older than the given age, one after another.

    `tonne run` and `tonne watch` do the same once an hour. Exit status 3 if a chunk could not be
    compressed.

    \b
    Example:
      tonne columnstore run --days 14
    """
    with connect(database_url(), role="tonne_mrv", autocommit=True) as conn:
        if reason := store.why_not(conn):
            raise ServerError(reason)
        done = store.compress(conn, days)
    if as_json:
        failed = [{**asdict(chunk), "error": why} for chunk, why in done.failed]
        compressed = [asdict(chunk) for chunk in done.compressed]
        click.echo(json.dumps({"compressed": compressed, "failed": failed}))
    else:
        click.echo(f"{counted(len(done.compressed), 'chunk')} compressed")
    if done.failed:
        failures = "; ".join(f"{chunk.name} of {chunk.table}: {why}" for chunk, why in done.failed)
        raise ServerError(
            f"not compressed: {failures}; correct the cause, or wait until the writing "
            "process ends, then run it again"
        )


@columnstore.command()
@json_option
def status(*, as_json: bool) -> None:
    """
    Show compressed chunks, and chunks that are old enough but not yet compressed.

    \b
    Example:
      tonne columnstore status
    """
    with connect(database_url(), role="tonne_mrv", autocommit=True) as conn:
        status = _status(conn)
    click.echo(json.dumps(status) if as_json else "\n".join(_lines(status)))


def _status(conn: Connection) -> dict[str, Any]:
    there = store.available(conn)
    sizes = store.sizes(conn) if there else []
    return {
        "available": there,
        "license": store.licence(conn),
        "why_not": store.why_not(conn),
        "compressed": [
            {"table": name, "bytes_before": before, "bytes_after": after}
            for name, before, after in sizes
            if before
        ],
        "not_laid_out": store.without(conn) if there else [],
        "waiting": [asdict(chunk) for chunk in store.waiting(conn)] if there else [],
    }


def _lines(status: dict[str, Any]) -> Iterator[str]:
    if reason := status["why_not"]:
        yield reason
        return
    for row in status["compressed"]:
        before, after = (bytes_text(row[key]) for key in ("bytes_before", "bytes_after"))
        yield f"{row['table']}: {before} as rows, {after} now"
    for name in status["not_laid_out"]:
        yield f"{name}: not set up for the columnstore; run `tonne migrate`"
    for chunk in status["waiting"]:
        yield (
            f"{chunk['table']}: {chunk['name']} ended {chunk['age_days']:.0f} days "
            "ago and is not compressed"
        )
    if not status["waiting"]:
        yield f"every chunk older than {store.AFTER_DAYS} days is compressed"
