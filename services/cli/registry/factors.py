"""Command `tonne factors`: published factors, and statements affected by newer ones."""

from __future__ import annotations

import getpass
import json
from typing import Any

import click

from ingest.errors import InputError, did_you_mean
from mrv.factors import FactorBook
from services.cli import Group, json_option
from services.cli.output import counted, table
from services.cli.server_options import database_url
from services.issuer.close import close_period
from services.issuer.live_accounts import Affected
from services.issuer.live_accounts import affected as statements_affected
from services.processing.rebuild import AT_ONCE, rebuild, stale
from services.settle import Plan
from services.store.postgres.pool import connect
from services.store.registry import load as registry
from services.store.registry.load import load_book


@click.group(cls=Group)
def factors() -> None:
    """
    List published factors, and find statements affected by newer ones.

    In a year without an official value the last one is used, marked provisional. Once the official
    value is published, import it under `factors` in a registry file (or install a version of tonne
    that has it).

    \b
    Example:
      tonne registry import grid-2024.yaml
      tonne factors affected
      tonne factors affected --recompute
    """


@factors.command("list")
@click.option(
    "--kind",
    default="",
    show_default=False,
    metavar="BEGIN",
    help="Only kinds that begin with this text, such as grid.de.",
)
@json_option
def list_(kind: str, *, as_json: bool) -> None:
    """
    List all factors: those shipped with tonne, then those from registry files.

    A factor never changes. A corrected factor has its own id, names the old one in `supersedes`,
    and applies from its `valid_from`. For fuel that a project consumes the upper bound applies, for
    fuel whose use is avoided the lower bound.

    \b
    Example:
      tonne factors list --kind grid.de
    """
    with connect(database_url(), role="tonne_mrv", name="tonne factors", autocommit=True) as conn:
        book = load_book(conn)
    after = {f.supersedes: f.id for f in book if f.supersedes}
    rows = [
        {
            "id": f.id,
            "kind": f.kind,
            "value": f.text,
            "unit": f.unit,
            "direction": f.direction,
            "from": None if f.valid_from is None else f.valid_from.isoformat(),
            "to": None if f.valid_to is None else f.valid_to.isoformat(),
            "certainty": f.certainty,
            "verified": f.verified,
            "source": f.source,
            "bound": f.bound or None,
            "supersedes": f.supersedes,
            "superseded_by": after.get(f.id),
        }
        for f in book
        if f.kind.startswith(kind)
    ]
    if not rows:
        near = did_you_mean(kind, {f.kind for f in book}) or "`tonne factors list` shows all"
        raise InputError(f"--kind {kind!r}: no kind of factor begins with this text; {near}")
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    head = ("id", "value", "unit", "direction", "certainty", "from", "superseded_by", "source")
    cells = [[row[key] for key in head] for row in rows]
    click.echo(table(head, cells, empty=""))


@factors.command()
@click.option("--recompute", is_flag=True, help="Recalculate emission rows and draft statements.")
@json_option
def affected(*, recompute: bool, as_json: bool) -> None:
    """
    List statements for which other factors would apply today.

    Issued statements never change: they are listed for supersession. With --recompute emission rows
    calculated with older factors are recalculated from raw readings, and draft statements are
    closed again; the operator decides on submitted and verified ones.

    \b
    Example:
      tonne factors affected --json
      tonne factors affected --recompute
    """
    url, actor = database_url(), getpass.getuser()
    with connect(url, role="tonne_mrv", name="tonne factors", autocommit=True) as conn:
        book = load_book(conn)
        statements = list(statements_affected(conn, book))
    made = _recompute(url, book) if recompute else None
    again: dict[str, str] = {}
    if recompute:
        with connect(url, role="tonne_mrv", name="tonne factors", autocommit=True) as conn:
            for affected in statements:
                if affected.statement.state == "draft":
                    statement = affected.statement
                    closed = close_period(
                        conn, statement.project, statement.from_us, statement.to_us, actor
                    )
                    again[statement.id] = closed.statement
    document = {
        "statements": [_row(affected, again) for affected in statements],
        "emission_rows_made_again": made,
    }
    click.echo(json.dumps(document, indent=2) if as_json else _text(document))


def _recompute(url: str, book: FactorBook) -> int:
    """Recalculate outdated emission rows; return how many changed."""
    made = 0
    with connect(url, role="tonne_ingest", name="tonne factors", autocommit=True) as conn:
        plan = Plan.of(registry.load_fleet(conn), registry.load_projects(conn), book)
        todo = stale(conn, plan)
        for at in range(0, len(todo), AT_ONCE):
            part = todo[at : at + AT_ONCE]
            span = min(s.from_us for s in part), max(s.to_us for s in part)
            done = rebuild(conn, plan, [s.device for s in part], *span, replace=True)
            made += sum(job.table == "interval_emission" for job in done)
    return made


def _row(affected: Affected, again: dict[str, str]) -> dict[str, Any]:
    done = again.get(affected.statement.id)
    return {
        "statement": affected.statement.id,
        "project": affected.statement.project,
        "state": affected.statement.state,
        "changes": [
            {"kind": c.kind, "was": list(c.was), "now": list(c.now), "provisional": c.provisional}
            for c in affected.changes
        ],
        "closed_again_as": done,
        "to_do": None if done else affected.todo,
    }


def _text(document: dict[str, Any]) -> str:
    lines = []
    for statement in document["statements"]:
        lines.append(f"{statement['statement']}  {statement['state']}")
        for c in statement["changes"]:
            before = "provisional " if c["provisional"] else ""
            lines.append(f"  {c['kind']}: {before}{', '.join(c['was'])} -> {', '.join(c['now'])}")
        lines.append(
            f"  closed again as {statement['closed_again_as']}"
            if statement["closed_again_as"]
            else f"  to do: {statement['to_do']}"
        )
    if not lines:
        lines.append("no statement uses a factor that has changed since")
    made = document["emission_rows_made_again"]
    if made is not None:
        lines.append(f"{counted(made, 'emission row')} calculated again")
    return "\n".join(lines)
