"""`tonne plan`: a project's monitoring plan, a first one to start from, and its diagram."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mrv.registry.monitoring_plan import version_out
from services.cli.groups import Group
from services.cli.options.database_url import database_url
from services.issuer.planning import diagram_of, draft_of
from services.store.postgres.pool import connect
from services.store.registry.load import load_project
from services.store.registry.monitoring_plans import load_versions


@click.group(cls=Group)
def plan() -> None:
    """
    Show what a project says of its own monitoring.

    \b
    Example:
      tonne plan draft nck-pv > monitoring.yaml
      tonne registry import monitoring.yaml
      tonne plan diagram nck-pv --out nck-pv.svg
    """


@plan.command()
@click.argument("project")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(project: str, *, as_json: bool) -> None:
    """
    Show the versions of PROJECT's monitoring plan.

    \b
    Example:
      tonne plan show nck-pv
    """
    with connect(database_url(), name="tonne plan") as conn:
        load_project(conn, project)
        found = load_versions(conn).get(project, ())
    if as_json:
        click.echo(json.dumps([version_out(v) for v in found], indent=2, ensure_ascii=False))
        return
    for version in found:
        click.echo(f"version {version.name}, from {version.begins}: {version.reason}")
        click.echo(f"  responsible  {version.responsible}")
        for line in version.lines:
            where = f"{line.device or 'all devices'} {line.channel or ''}".strip()
            click.echo(
                f"  {line.parameter:<20} {line.option}  {line.frequency:<11}"
                f" {line.accuracy_class or '-':<5} {where}; {line.qa_qc}; {line.responsible}"
            )
    if not found:
        click.echo(f"{project} has no monitoring plan; `tonne plan draft {project}` starts one")


@plan.command()
@click.argument("project")
def draft(project: str) -> None:
    """
    Print a first version for PROJECT, made from the registry and its methodology.

    What only the plant knows (who answers, how figures are checked) is left to fill
    in: an import refuses the file until it is.

    \b
    Example:
      tonne plan draft nck-pv > monitoring.yaml
    """
    with connect(database_url(), name="tonne plan") as conn:
        click.echo(draft_of(conn, project), nl=False)


@plan.command()
@click.argument("project")
@click.option("--from", "begin", metavar="DAY", help="First local day; that of today's plan else.")
@click.option("--out", type=click.Path(path_type=Path), help="An SVG file; printed else.")
def diagram(project: str, begin: str | None, out: Path | None) -> None:
    """
    Draw PROJECT's meters, from measurement to account, as SVG.

    \b
    Example:
      tonne plan diagram nck-pv --out nck-pv.svg
    """
    with connect(database_url(), name="tonne plan") as conn:
        drawn = diagram_of(conn, project, begin)
    if out is None:
        click.echo(drawn, nl=False)
    else:
        out.write_text(drawn, encoding="utf-8")
