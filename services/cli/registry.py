"""`tonne registry`: sites, devices, projects and the programme."""

import getpass
import json
from dataclasses import asdict
from pathlib import Path

import click

from services.cli.database import database_url
from services.cli.errors import Exit
from services.registry.document import to_yaml
from services.registry.files import read_files
from services.registry.plan import Plan
from services.store.pool import connect
from services.store.registry_import import check_registry, import_registry
from services.store.registry_rows import load_registry

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_strict = click.option("--strict", is_flag=True, help="Take warnings for errors.")


@click.group()
def registry() -> None:
    """
    Register sites, devices, projects and the programme.

    \b
    Example:
      tonne registry import sites.yaml devices.csv --dry-run
      tonne registry export > registry.yaml
    """


@registry.command("import")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--dry-run", is_flag=True, help="Say what would change, and write nothing.")
@click.option("--author", help="Who imports; the system's user by default.")
@_strict
@_json
def import_(
    files: tuple[Path, ...], *, dry_run: bool, author: str | None, strict: bool, as_json: bool
) -> None:
    """
    Import YAML files, or CSV files of devices; all rows or none.

    Rows that the files do not name stay as they are.  Importing a file again
    changes nothing.  Ends with 2 when a row is refused.

    \b
    Example:
      tonne registry import deploy/catalog/demo.yaml --dry-run
    """
    incoming = read_files(files)
    with connect(database_url(), name="tonne registry") as conn:
        plan = import_registry(
            conn, incoming, author=author or getpass.getuser(), strict=strict, dry_run=dry_run
        )
    done = "nothing was written" if plan.refused or dry_run else "the registry holds all rows"
    _show(plan, done, as_json=as_json)


@registry.command()
def export() -> None:
    """
    Print the whole registry as YAML that imports unchanged.

    \b
    Example:
      tonne registry export > registry.yaml
    """
    with connect(database_url(), name="tonne registry") as conn:
        click.echo(to_yaml(load_registry(conn)), nl=False)


@registry.command()
@_strict
@_json
def check(*, strict: bool, as_json: bool) -> None:
    """
    Hold what is registered against all rules again.

    Ends with 2 when a row breaks one.

    \b
    Example:
      tonne registry check --strict
    """
    with connect(database_url(), name="tonne registry") as conn:
        plan = check_registry(conn, strict=strict)
    _show(plan, "checked", as_json=as_json)


def _show(plan: Plan, done: str, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([asdict(r) for r in plan.results], indent=2))
    else:
        for row in plan.results:
            click.echo(f"{row.result:<9} {row.kind:<9} {row.id}")
            for message in row.messages:
                click.echo(f"          {message}")
        found = [r.result for r in plan.results]
        counts = [f"{found.count(w)} {w}" for w in ("created", "updated", "unchanged", "error")]
        click.echo(f"{', '.join(counts)}: {done}")
    if plan.refused:
        click.get_current_context().exit(Exit.INPUT)
