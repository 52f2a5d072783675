"""`tonne migrate`: the schema of this version."""

import json
from dataclasses import asdict

import click

from services.cli.options.database_url import database_url
from services.cli.options.json_option import json_option
from services.store.postgres.migrate import migrate as apply
from services.store.postgres.pool import connect
from services.store.registry.method_lives import write_lives


@click.command()
@json_option
def migrate(*, as_json: bool) -> None:
    """
    Bring the database schema to this version; again changes nothing.

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
