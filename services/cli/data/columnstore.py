"""`tonne columnstore`: old chunks compressed, and what is not."""

from __future__ import annotations

import click

from ingest.errors import ServerError
from services.cli.groups import Group
from services.cli.options.database_url import database_url
from services.cli.output.amounts import shown_bytes
from services.cli.output.counts import counted
from services.store.postgres import columnstore as store
from services.store.postgres.pool import connect


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
@click.option("--days", type=click.FloatRange(7), default=store.AFTER_DAYS, show_default=True,
              help="Compress chunks that ended so long ago.")  # fmt: skip
def run(days: float) -> None:
    """
    Compress every chunk that is old enough, one after another.

    `tonne run` and `tonne watch` do the same once an hour. Exit 3 where a chunk could
    not be compressed.

    \b
    Example:
      tonne columnstore run --days 14
    """
    with connect(database_url(), role="tonne_mrv", autocommit=True) as conn:
        if not store.available(conn):
            raise ServerError(store.NONE.format(store.licence(conn) or "not set"))
        done = store.compress(conn, days)
    click.echo(f"{counted(len(done.compressed), 'chunk')} compressed")
    if done.failed:
        told = "; ".join(f"{chunk.name} of {chunk.table}: {why}" for chunk, why in done.failed)
        raise ServerError(f"not compressed: {told}; run again when nobody writes to them")


@columnstore.command()
def status() -> None:
    """
    Show what is compressed, and which chunks are rows though they are old enough.

    \b
    Example:
      tonne columnstore status
    """
    with connect(database_url(), role="tonne_mrv", autocommit=True) as conn:
        if not store.available(conn):
            click.echo(store.NONE.format(store.licence(conn) or "not set"))
            return
        for name, before, after in store.sizes(conn):
            if before:
                click.echo(f"{name}: {shown_bytes(before)} as rows, {shown_bytes(after)} now")
        for name in store.without(conn):
            click.echo(f"{name}: not laid out for the columnstore; `tonne migrate`")
        for chunk in store.waiting(conn):
            click.echo(f"{chunk.table}: {chunk.name} ended {chunk.age_days:.0f} days ago, is rows")
