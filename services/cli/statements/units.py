"""Command `tonne units`: transfers, cancellations and balances of issued units."""

from __future__ import annotations

import getpass
from datetime import date, datetime
from typing import get_args

import click
from psycopg import Connection

from services.cli.options.common import Choice, Group, json_option
from services.cli.options.servers import database_url
from services.cli.output import print_json, print_result, table
from services.store.postgres.pool import connect
from services.store.statements import units as store
from services.store.statements.statements import find
from services.store.statements.units import UnitState


@click.group(cls=Group)
def units() -> None:
    """
    Record the life of issued units: whole tonnes by vintage year, numbered from 1.

    \b
    Example:
      tonne units enter TN-roof-1-20260101-20260201-1 issued --vintage 2026 \\
        --first 1 --last 12 --day 2026-03-01 --document "registry letter 7"
      tonne units balance --year 2026
    """


@units.command()
@click.argument("statement")
@click.argument("event", type=Choice(get_args(store.UnitState)))
@click.option("--vintage", type=int, required=True, help="Calendar year of the reductions.")
@click.option("--first", type=int, required=True, help="First unit of the range.")
@click.option("--last", type=int, required=True, help="Last unit of the range, included.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), required=True, help="Day of the event.")
@click.option("--document", required=True, help="Document that records the event.")
@click.option("--holder", help="Holder from that day on.")
@json_option
def enter(
    statement: str,
    event: UnitState,
    vintage: int,
    first: int,
    last: int,
    day: datetime,
    document: str,
    holder: str | None,
    *,
    as_json: bool,
) -> None:
    """
    Enter an event for a range of units; it cannot be changed later.

    Rejected if a unit would be issued twice or beyond the credited tonnes, transferred before its
    first transfer, or moved after cancellation or retirement.

    \b
    Example:
      tonne units enter TN-roof-1-20260101-20260201-1 retired --vintage 2026 \\
        --first 1 --last 5 --day 2026-06-01 --document "letter 9"
    """
    unit_event = store.UnitEvent(
        statement, vintage, first, last, event, day.date(), document, holder
    )
    with _database() as conn:
        find(conn, statement)
        number = store.enter(conn, unit_event, getpass.getuser())
    message = f"{statement}: units {first} to {last} of {vintage} are {event} (entry {number})"
    print_result({"entry": number, **unit_event._asdict()}, message, as_json=as_json)


@units.command("list")
@click.option("--statement", metavar="ID", help="Only this statement.")
@json_option
def list_(statement: str | None, *, as_json: bool) -> None:
    """
    List entered events, in order of entry.

    \b
    Example:
      tonne units list --statement TN-roof-1-20260101-20260201-1
    """
    with _database() as conn:
        if statement is not None:
            find(conn, statement)
        events = store.events(conn, statement)
    if as_json:
        print_json([row._asdict() for row in events])
        return
    head = ("statement", "vintage", "first", "last", "event", "day", "document", "holder")
    click.echo(table(head, events, empty="no unit was entered; run `tonne units enter`"))


@units.command()
@click.option(
    "--year",
    type=click.IntRange(2000, 9998),
    required=True,
    help="Balance at 31 December of this year.",
)
@json_option
def balance(year: int, *, as_json: bool) -> None:
    """
    Show the numbers of units issued, first transferred, cancelled, retired and held.

    \b
    Example:
      tonne units balance --year 2026
    """
    with _database() as conn:
        balances = store.balances(conn, date(year, 12, 31))
    if as_json:
        print_json([{**holding._asdict(), "held": holding.held} for holding in balances])
        return
    head = ("statement", "vintage", "issued", "first transferred", "cancelled", "retired", "held")
    rows = [(*holding, holding.held) for holding in balances]
    click.echo(table(head, rows, empty=f"no unit was issued up to the end of {year}"))


def _database() -> Connection:
    return connect(database_url(), role="tonne_mrv", name="tonne units", autocommit=True)
