"""Command `tonne invoice`: invoices used to cross-check meters."""

from __future__ import annotations

import getpass
from pathlib import Path

import click

from ingest.classes import QUANTITIES, QUANTITY_INDEX
from mrv.calendar import local_date
from mrv.statement.plan_json import invoice_out
from services.cli.errors import Exit
from services.cli.options.common import Group, json_option
from services.cli.options.servers import database_url
from services.cli.output.text import amount_text, print_json, print_result, table
from services.processing.invoice_import import deliver
from services.registry.invoices import Import, read
from services.store.postgres.pool import connect
from services.store.registry import invoices
from services.store.registry.known import require
from services.store.registry.load import load_projects


@click.group(cls=Group)
def invoice() -> None:
    """
    Import and list invoices (monitoring option B) for the cross-check of meters.

    \b
    Example:
      tonne invoice import march.csv
      tonne invoice list --project roof-1
    """


@invoice.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Check everything, without writing.")
@click.option("--author", help="Name of the person importing; default: the system's user.")
@json_option
def import_(files: tuple[Path, ...], author: str | None, *, dry_run: bool, as_json: bool) -> None:
    """
    Store invoices from YAML or CSV FILES, all or none; stored invoices never change.

    Columns: id, project, issuer, number, issued, devices (separated by spaces), from, to (local
    days, end excluded), amount (kWh unless `unit` differs), quantity (default energy_export),
    tolerance_percent (default 2), sha256 of the document, signed (the issuer's signature, `tonne
    signed row`). To correct an invoice import another with `corrects` (its id) and `reason`.

    \b
    Example:
      tonne invoice import march.csv --dry-run
    """
    with connect(database_url(), name="tonne invoice", autocommit=True) as conn:
        rows = [row for path in files for row in read(path)]
        imported = deliver(conn, rows, author or getpass.getuser(), write=not dry_run)
    _show(imported, written=not dry_run and not imported.refused, as_json=as_json)


def _show(imported: Import, *, written: bool, as_json: bool) -> None:
    if as_json:
        print_json(imported.results)
    else:
        click.echo(f"{'RESULT':<9} ID")
        for result in imported.results:
            click.echo(f"{result.result:<9} {result.id}")
            for message in result.messages:
                click.echo(f"          {message}")
        click.echo(f"{len(imported.new)} new: {('stored' if written else 'nothing was written')}")
    if imported.refused:
        click.get_current_context().exit(Exit.INPUT)


@invoice.command("list")
@click.option("--project", metavar="ID", help="Only this project.")
@click.option(
    "--all", "corrected", is_flag=True, help="Include invoices that another one corrected."
)
@json_option
def list_(project: str | None, *, corrected: bool, as_json: bool) -> None:
    """
    List stored invoices.

    \b
    Example:
      tonne invoice list --project roof-1
    """
    with connect(database_url(), name="tonne invoice", autocommit=True) as conn:
        require(conn, "project", project)
        listed = invoices.every(conn, project, corrected=corrected)
        zones = {project_.id: project_.timezone for project_ in load_projects(conn)}
    rows = [
        {"project": name, **invoice_out(invoice_), "corrects": corrects, "reason": reason}
        for name, invoice_, corrects, reason in listed
    ]
    cells = [
        (
            invoice_.id,
            name,
            *(local_date(us, zones[name]) for us in (invoice_.from_us, invoice_.to_us)),
            amount_text(invoice_.value, QUANTITIES[QUANTITY_INDEX[invoice_.quantity]].unit),
            invoice_.quantity,
        )
        for name, invoice_, *_ in listed
    ]
    head = ("invoice", "project", "from", "to", "amount", "quantity")
    print_result(rows, table(head, cells, empty="no invoice is stored"), as_json=as_json)
