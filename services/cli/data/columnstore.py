"""
The schema and its chunks: `tonne migrate` and `tonne columnstore`.

`tonne migrate`: the schema of this version.

`tonne columnstore`: old chunks compressed, and what is not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click
from psycopg import Connection

from ingest.errors import ServerError
from services.cli.options.common import Group, json_option
from services.cli.options.servers import database_url
from services.cli.output.text import bytes_text, counted
from services.store.postgres import columnstore as store
from services.store.postgres.migrate import migrate as apply
from services.store.postgres.pool import connect
from services.store.registry.write import write_lives


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

    Only TimescaleDB's Community edition can; the Apache edition keeps rows.

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
    help="Compress only chunks that ended at least this long ago.",
)
@json_option
def run(days: float, *, as_json: bool) -> None:
    """
    Compress all chunks that are old enough, one after another.

    `tonne run` and `tonne watch` do the same once an hour. Exit 3 where a chunk could
    not be compressed.

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
    Show compressed chunks, and chunks that are old enough but not compressed.

    \b
    Example:
      tonne columnstore status
    """
    with connect(database_url(), role="tonne_mrv", autocommit=True) as conn:
        found = _status(conn)
    click.echo(json.dumps(found) if as_json else "\n".join(_lines(found)))


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


def _lines(found: dict[str, Any]) -> Iterator[str]:
    if reason := found["why_not"]:
        yield reason
        return
    for one in found["compressed"]:
        before, after = (bytes_text(one[key]) for key in ("bytes_before", "bytes_after"))
        yield f"{one['table']}: {before} as rows, {after} now"
    for name in found["not_laid_out"]:
        yield f"{name}: not set up for the columnstore; run `tonne migrate`"
    for chunk in found["waiting"]:
        yield (
            f"{chunk['table']}: {chunk['name']} ended {chunk['age_days']:.0f} days "
            "ago and is not compressed"
        )
    if not found["waiting"]:
        yield f"every chunk older than {store.AFTER_DAYS} days is compressed"
