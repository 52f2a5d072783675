"""`tonne statement`: the life of a statement."""

from __future__ import annotations

import json
from itertools import zip_longest
from pathlib import Path
from typing import Any

import click

from mrv.statement.conditions import observations, unmet
from mrv.statement.credentials import conclusion_of
from services.cli.options.common import Group, json_option
from services.cli.output.documents import print_result
from services.cli.output.progress import bar
from services.cli.output.text import table, time_text
from services.cli.statements import statement_issue, statement_signing
from services.cli.statements.findings import finding
from services.cli.statements.report import report
from services.cli.statements.sampling import sample
from services.cli.statements.statement_options import database
from services.issuer import transitions as life
from services.store.registry.known import require
from services.store.statements import statements


@click.group(cls=Group)
def statement() -> None:
    """
    Take a statement from draft to issued.

    \b
    Example:
      tonne statement submit TN-nck-pv-20260101-20260201-1 --key plant
      tonne statement verify TN-nck-pv-20260101-20260201-1 --key auditor \\
        --opinion unqualified --assurance reasonable
      tonne statement issue TN-nck-pv-20260101-20260201-1
      tonne statement export TN-nck-pv-20260101-20260201-1 --out pack
    """


@statement.command("list")
@click.option("--project", metavar="ID", help="Only this project.")
@json_option
def list_(project: str | None, *, as_json: bool) -> None:
    """
    List statements and their states.

    \b
    Example:
      tonne statement list --project nck-pv
    """
    with database() as conn:
        require(conn, "project", project)
        found = statements.all_of(conn, project)
    rows = [
        {
            "statement": one.id,
            "project": one.project,
            "state": one.state,
            "credit_t": one.credit_t,
            "supersedes": one.supersedes,
        }
        for one in found
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    cells = [(one.id, one.state, f"{one.credit_t:,} t", one.supersedes) for one in found]
    head = ("statement", "state", "credited", "supersedes")
    click.echo(table(head, cells, empty="no period was closed; `tonne period close` does"))


@statement.command()
@click.argument("id_", metavar="ID")
@json_option
def show(id_: str, *, as_json: bool) -> None:
    """
    Show a statement, its figures and its steps so far.

    \b
    Example:
      tonne statement show TN-nck-pv-20260101-20260201-1 --json
    """
    with database() as conn:
        have = life.documents(conn, id_)
        steps = statements.events(conn, id_)
    events = [
        {"state": e.state, "at": time_text(e.at), "by": e.actor, "reason": e.reason} for e in steps
    ]
    if as_json:
        document: dict[str, Any] = {
            "statement": have.stored.id,
            "state": have.stored.state,
            "credit_t": have.stored.credit_t,
            "events": events,
            "unmet": [str(one) for one in unmet(have.claims)],
            "document": have.statement,
            "verification": have.verification,
        }
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    said = have.claims
    period = said.monitoring_period
    click.echo(f"{have.stored.id}  {have.stored.state}")
    click.echo(f"  period     {period.local_from} to {period.local_to}")
    click.echo(f"  reduction  {said.emissions.reduction.t} t")
    click.echo(f"  credited   {said.credited.t} t, coverage {said.coverage}")
    if said.signed_energy:
        shares = (f"{s.share_percent} % {s.kind}" for s in said.signed_energy.shares)
        click.echo(f"  signed     {', '.join(shares)} of the energy")
    signed = have.verification
    reasons = () if signed is None else conclusion_of(signed).words.reasons
    for one, reason in zip_longest(unmet(said), reasons):
        left = f"closed by the verifier: {reason}" if reason else f"open ({one.severity})"
        click.echo(f"  NOT MET    {one}; {left}")
    for text in observations(said):
        click.echo(f"  observed   {text}")
    for step in steps:
        reason = f", {step.reason}" if step.reason else ""
        at = time_text(step.at, period.timezone)
        click.echo(f"  {at}  {step.state} by {step.actor}{reason}")


@statement.command()
@click.argument("id_", metavar="ID")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new folder.")
@json_option
def export(id_: str, out: Path, *, as_json: bool) -> None:
    """
    Write the evidence pack, for `tonne verify` and for people.

    \b
    Example:
      tonne statement export TN-nck-pv-20260101-20260201-1 --out pack
    """
    from services.issuer.pack import export as write  # noqa: PLC0415 - loads the Parquet writer

    with database() as conn, bar(f"writing {out}"):
        write(conn, id_, out)
    said = f"{out}: evidence of {id_}; check it with `tonne verify {out}`"
    print_result({"statement": id_, "folder": out}, said, as_json=as_json)


for _one in (
    finding,
    report,
    sample,
    statement_signing.submit,
    statement_signing.template,
    statement_signing.verify,
    statement_signing.approve,
    statement_issue.issue,
    statement_issue.supersede,
    statement_issue.revoke,
    statement_issue.status_list,
):
    statement.add_command(_one)
