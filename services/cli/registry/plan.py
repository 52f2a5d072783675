"""`tonne plan` and `tonne invoice`: monitoring plans, and invoices used to cross-check meters."""

from __future__ import annotations

import getpass
import json
from datetime import timedelta
from pathlib import Path

import click

from ingest.classes import QUANTITIES, QUANTITY_INDEX
from ingest.errors import InputError
from mrv.calendar import local_date, utc_text
from mrv.documents import write
from mrv.registry.monitoring_plan import PROCEDURES, called, differences, replaced
from mrv.statement.plan_writer import invoice_out, version_document
from services.cli import Group, json_option
from services.cli.output import Exit, amount_text, print_json, print_result, table
from services.cli.server_options import METAVAR, database_url
from services.issuer.planning import diagram_of, draft_of, due, rows_json
from services.processing.registry_import import deliver
from services.registry.invoices import Import, read
from services.store.postgres.pool import connect
from services.store.registry import invoices, require
from services.store.registry.entries_from_rows import load_versions
from services.store.registry.load import load_project, load_projects


@click.group(cls=Group)
def plan() -> None:
    """
    Show, draft and draw a project's monitoring plan, and list what is due.

    \b
    Example:
      tonne plan draft roof-1 > monitoring.yaml
      tonne registry import monitoring.yaml
      tonne plan diagram roof-1 --out roof-1.svg
      tonne plan due roof-1
    """


@plan.command()
@click.argument("project")
@json_option
def show(project: str, *, as_json: bool) -> None:
    """
    Show the versions of PROJECT's monitoring plan.

    \b
    Example:
      tonne plan show roof-1
    """
    with connect(database_url(), name="tonne plan") as conn:
        load_project(conn, project)
        versions = load_versions(conn).get(project, ())
    if as_json:
        documents = [write(version_document(version)) for version in versions]
        click.echo(json.dumps(documents, indent=2, ensure_ascii=False))
        return
    for version in versions:
        until = f" to {version.ends} exclusive" if version.ends else ""
        kind = called(version.kind)
        click.echo(
            f"version {version.name}, {kind}, from {version.begins}{until}: {version.reason}"
        )
        if version.entered is not None:
            click.echo(f"  entered      {utc_text(version.entered)}")
        approval = version.approval
        approved = (
            f"{approval.by}, {approval.day}, {approval.reference}" if approval else "not entered"
        )
        click.echo(f"  approval     {approved}")
        before = replaced(versions, version)
        for each in differences(before, version) if before else ():
            click.echo(f"  differs      {each}")
        for name in PROCEDURES:
            click.echo(f"  {name:12} {version.procedures.get(name) or 'not described'}")
        click.echo(f"  responsible  {version.responsible}")
        rows = [
            (line.parameter, line.option, line.frequency, line.accuracy_class,
             f"{line.device or 'all devices'} {line.channel or ''}".strip(), line.qa_qc,
             line.responsible, line.error_percent)
            for line in version.lines
        ]  # fmt: skip
        head = (
            "parameter",
            "option",
            "how often",
            "class",
            "meter",
            "qa/qc",
            "responsible",
            "error %",
        )
        click.echo(table(head, rows, empty="the plan has no such parameter"))
    if not versions:
        click.echo(f"{project} has no monitoring plan; `tonne plan draft {project}` starts one")


@plan.command()
@click.argument("project")
@json_option
def draft(project: str, *, as_json: bool) -> None:
    """
    Print a first monitoring plan for PROJECT, made from the registry and its methodology.

    Entries known only to the plant (responsible persons, checks of data) are left empty: complete
    them before import.

    \b
    Example:
      tonne plan draft roof-1 > monitoring.yaml
    """
    with connect(database_url(), name="tonne plan") as conn:
        text = draft_of(conn, project)
    if as_json:
        print_json({"project": project, "yaml": text})
    else:
        click.echo(text, nl=False)


@plan.command("due")
@click.argument("project")
@click.option(
    "--within",
    type=click.IntRange(0),
    default=90,
    metavar="DAYS",
    help="Number of days to look ahead.",
)
@json_option
def due_(project: str, within: int, *, as_json: bool) -> None:
    """
    List due items of PROJECT, with the persons responsible.

    Covers calibrations, surveys, samples, approvals, the next statement, forward actions, and ends
    of registered versions and of the crediting period. Exit status 1 if an item is overdue.

    \b
    Example:
      tonne plan due roof-1 --within 365
    """
    with connect(database_url(), role="tonne_mrv", name="tonne plan") as conn:
        today, every = due(conn, project)
    last = today + timedelta(days=within)
    rows_due = rows_json([due for due in every if due.day is None or due.day <= last], today)
    if as_json:
        print_json({"project": project, "today": str(today), "due": rows_due})
    else:
        rows = [
            (due["due"], due["state"], str(due["kind"]).replace("_", " "), due["what"],
             due["responsible"])
            for due in rows_due
        ]  # fmt: skip
        click.echo(table(("due", "state", "kind", "what", "responsible"), rows, empty="nothing"))
    if any(due["state"] == "overdue" for due in rows_due):
        click.get_current_context().exit(Exit.FALSE)


@plan.command()
@click.argument("project")
@click.option(
    "--from",
    "begin",
    metavar=METAVAR,
    help="Local day at which the plan is in force; default: today.",
)
@click.option("--out", type=click.Path(path_type=Path), help="SVG file to write; default: print.")
@click.option(
    "--single-line", is_flag=True, help="Single-line diagram: supplies and monitoring points."
)
@json_option
def diagram(
    project: str, begin: str | None, out: Path | None, *, single_line: bool, as_json: bool
) -> None:
    """
    Draw a diagram of PROJECT's meters, from measurement to emission reductions, as SVG.

    With --single-line the plant's single-line diagram, from the attributes `point` and `feeds` of
    its meters.

    \b
    Example:
      tonne plan diagram roof-1 --out roof-1.svg
    """
    with connect(database_url(), name="tonne plan") as conn:
        drawn = diagram_of(conn, project, begin, single_line=single_line)
    if drawn is None:
        raise InputError(
            f"no meter of {project} states which load it feeds; enter `point` and `feeds` in the "
            "`attributes` of its devices"
        )
    if out is not None:
        out.write_text(drawn, encoding="utf-8")
    if as_json:
        print_json({"project": project, "file": out, "svg": None if out else drawn})
    elif out is None:
        click.echo(drawn, nl=False)
    else:
        click.echo(f"{out}: the diagram of {project}")


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
@click.option("--project", metavar="ID", help="Only this project; default: all.")
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
