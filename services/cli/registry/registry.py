"""
Command `tonne registry`: sites, devices, projects and the programme; templates and schema of
its files.
"""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from pathlib import Path

import click
import yaml

from ingest import classes
from services.cli import NEW_FILE, Group, json_option, needed_country
from services.cli.output import Exit, bar, counted, print_json
from services.cli.registry.credentials import (
    credentials_,
    enrol_token,
    issue_credentials,
    issue_service,
    revoke_credentials,
)
from services.cli.registry.sewer import import_folder
from services.cli.server_options import database_url
from services.processing.registry_import import check_registry, import_registry
from services.registry import forms
from services.registry import schema as schemas
from services.registry.entries import Registry
from services.registry.files import read_files, sections, to_yaml
from services.registry.plan import Plan, Result, plan
from services.registry.workbook import write_workbook
from services.store.postgres.pool import connect
from services.store.registry.entries_from_rows import load_registry


def show_plan(results: Sequence[Result], *, as_json: bool) -> None:
    """Print the result of each imported row (action, kind, id), with its errors."""
    if as_json:
        print_json(results)
        return
    if results:
        click.echo(f"{'RESULT':<9} {'KIND':<9} ID")
    for row in results:
        click.echo(f"{row.result:<9} {row.kind:<9} {row.id}")
        for message in row.messages:
            click.echo(f"          {message}")


@click.command("template")
@click.argument("class_id", metavar="[CLASS]", required=False)
@needed_country
@click.option(
    "--methodology",
    metavar="ID",
    help="Print the example of a project under this methodology; default: a PV system.",
)
@click.option(
    "--xlsx",
    type=NEW_FILE,
    help="With --methodology: write a workbook, one sheet per table; default: print YAML.",
)
@json_option
def template_(
    class_id: str | None, country: str, methodology: str | None, xlsx: Path | None, *, as_json: bool
) -> None:
    """
    Print a complete example file with an explanation of each key; `registry check` accepts it.

    With CLASS, an example device of that class. With --methodology, the minimum for a project under
    it; empty entries must be completed before import. With neither, a PV system with its project
    and programme; the last lines list the classes.

    \b
    Example:
      tonne registry template --country DE > registry.yaml
      tonne registry template ev_charger --country ID > chargers.yaml
      tonne registry template --methodology ams-i-d --country KE --xlsx solar.xlsx
    """
    if (class_id is not None and methodology is not None) or (xlsx and methodology is None):
        raise click.UsageError("pass CLASS, or --methodology ID with or without --xlsx FILE")
    if methodology is not None:
        content = forms.form(methodology, country)
        if xlsx is not None:
            xlsx.write_bytes(content.workbook())
        text = f"{xlsx}\n" if xlsx is not None else content.yaml()
    elif class_id:
        text = schemas.template(class_id, country)
    else:
        text = schemas.complete_template(country) + _classes()
    if as_json:
        made = {"file": str(xlsx)} if xlsx is not None else {"yaml": text}
        print_json({"class": class_id, "methodology": methodology, **made})
    else:
        click.echo(text, nl=False)


def _classes() -> str:
    lines = [f"#   {class_.id:<20} {class_.title}\n" for class_ in classes.load().values()]
    return "\n# Classes, for `tonne registry template CLASS --country CODE`:\n" + "".join(lines)


@click.command("schema")
@json_option
def schema_(*, as_json: bool) -> None:
    """
    Print the JSON Schema of registry files, for editors.

    In VS Code with the YAML extension, put this line at the top of a file: # yaml-language-server:
    $schema=registry.schema.json

    \b
    Example:
      tonne registry schema > registry.schema.json
    """
    del as_json  # the output is JSON in any case
    print_json(schemas.schema())


_strict = click.option("--strict", is_flag=True, help="Treat warnings as errors.")


@click.group(cls=Group)
def registry() -> None:
    """
    Register sites, devices, projects and the programme; give devices their credentials.

    \b
    Example:
      tonne registry import sites.yaml devices.csv --dry-run
      tonne registry export > registry.yaml
    """


registry.add_command(enrol_token)
registry.add_command(issue_credentials)
registry.add_command(issue_service)
registry.add_command(revoke_credentials)
registry.add_command(credentials_)
registry.add_command(template_)
registry.add_command(schema_)


@registry.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Show what would change, without writing.")
@click.option("--author", help="Name of the person importing; default: the system's user.")
@_strict
@json_option
def import_(
    files: tuple[Path, ...], *, dry_run: bool, author: str | None, strict: bool, as_json: bool
) -> None:
    """
    Import YAML files, workbooks, CSV files of devices, or a folder; all rows or none.

    A subfolder `sewers` is imported into the sewerage registry afterwards.

    Rows not named in the files are unchanged.  Importing a file again changes nothing.  Exit status
    2 if a row is rejected.

    \b
    Example:
      tonne registry import deploy/catalog/freiburg --dry-run
    """
    with bar("reading"):
        incoming = read_files(files)
    with connect(database_url(), name="tonne registry") as conn:
        who = author or getpass.getuser()
        with bar(f"importing {counted(len(incoming.places), 'row')}"):
            planned = import_registry(conn, incoming, author=who, strict=strict, dry_run=dry_run)
        folders = [f / "sewers" for f in files if (f / "sewers").is_dir()]
        results = []
        if not (planned.refused or dry_run):
            conn.commit()
            results = [import_folder(conn, folder, who) for folder in folders]
    done = "nothing was written" if planned.refused or dry_run else "all rows are in the registry"
    _show(planned, done, as_json=as_json)
    for line in filter(None, results):
        click.echo(line, err=as_json)


@registry.command()
@click.option(
    "--xlsx", type=NEW_FILE, help="Write a workbook, one sheet per table; default: print YAML."
)
@json_option
def export(*, xlsx: Path | None, as_json: bool) -> None:
    """
    Print the whole registry as YAML that imports unchanged; with --json as JSON.

    \b
    Example:
      tonne registry export > registry.yaml
      tonne registry export --xlsx registry.xlsx
    """
    with connect(database_url(), name="tonne registry") as conn:
        stored = load_registry(conn)
    if xlsx is not None:
        xlsx.write_bytes(write_workbook(sections(stored)))
    text = to_yaml(stored)
    if xlsx is not None and not as_json:
        text = f"{xlsx}\n"
    if as_json:
        print_json(yaml.safe_load(text))
    else:
        click.echo(text, nl=False)


@registry.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path))
@_strict
@json_option
def check(files: tuple[Path, ...], *, strict: bool, as_json: bool) -> None:
    """
    Validate files, or the current registry, against all rules.

    Files and folders are checked without the database.  If they refer to registered rows, use
    `tonne registry import --dry-run`.  Exit status 2 if a row violates a rule. Implausible values
    give warnings, with file and line.

    \b
    Example:
      tonne registry check deploy/catalog/freiburg
      tonne registry check --strict
    """
    if files:
        result = plan(Registry(), read_files(files), strict=strict)
        if result.refused:
            click.echo(
                "Only these files were read. If they refer to rows that are registered already:"
                " tonne registry import FILES --dry-run",
                err=True,
            )
        _show(result, "checked", as_json=as_json)
        return
    with connect(database_url(), name="tonne registry") as conn:
        result = check_registry(conn, strict=strict)
    _show(result, "checked", as_json=as_json)


def _show(plan: Plan, done: str, *, as_json: bool) -> None:
    show_plan(plan.results, as_json=as_json)
    if not as_json:
        results = [r.result for r in plan.results]
        counts = [f"{results.count(w)} {w}" for w in ("created", "updated", "unchanged", "error")]
        click.echo(f"{', '.join(counts)}: {done}")
    if plan.refused:
        click.get_current_context().exit(Exit.INPUT)
