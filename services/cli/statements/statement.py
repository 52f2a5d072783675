"""
Commands `tonne statement issue`, `supersede`, `revoke`, `status-list`, `list`, `show` and `export`.

Steps that need the log's key are requested from `tonne signer` if that holds the key.
"""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
from psycopg import Connection

from ingest.errors import ServerError
from mrv.errors import MrvError
from mrv.report.words import Words
from mrv.signatures import canonical
from mrv.statement.conditions import check_reason, observations, unmet
from mrv.statement.credentials import conclusion_of
from services.cli import Group, json_option
from services.cli.output import Exit, bar, print_result, table, time_text
from services.cli.statements import statement_signing
from services.cli.statements.findings import finding, sample
from services.cli.statements.log_tiles import warn_of
from services.cli.statements.period import show_closed
from services.cli.statements.report import report
from services.cli.statements.statement_signing import database, key_option, signer_of, warn_unmet
from services.issuer import close, requests, timestamps
from services.issuer import requests as stamped_issue
from services.issuer import transitions as life
from services.issuer.cosigning import Witnesses, have_cosigned
from services.issuer.cosigning import require as require_cosigned
from services.issuer.documents import Signer, documents
from services.settings import Settings
from services.store.registry import require
from services.store.statements import queues as queue
from services.store.statements import statements, transparency_log

_PATIENCE_S = 60.0


def ask(
    conn: Connection, kind: str, subject: str, arguments: Mapping[str, Any], actor: str
) -> dict[str, Any]:
    """
    Return the signer's result of a request.

    Raises TonneError if the step is refused, ServerError if no signer answers within a minute.
    """
    wanted = queue.Request(
        uuid4(), kind, subject, canonical.encode(arguments), actor, None, datetime.now(UTC)
    )
    queue.add_request(conn, wanted)
    with bar("waiting for tonne signer"):
        answer = requests.awaited(conn, wanted.id, _PATIENCE_S)
    if answer is None:
        raise ServerError(
            f"no signer answered request {wanted.id} within {_PATIENCE_S:.0f} s; it stays queued "
            "until `tonne signer` runs: see `tonne doctor`"
        )
    if answer.result is not None:
        return answer.result
    if answer.error == requests.DEFECT:
        raise ServerError(f"internal error {answer.detail}; see the signer's log")
    raise (ServerError if requests.kind_of(answer) is ServerError else MrvError)(answer.detail)


@click.command()
@click.argument("id_", metavar="ID")
@click.option(
    "--key",
    "key_name",
    metavar="N",
    help="Operator's key; its holder is recorded as having issued (default: the system's user).",
)
@click.option(
    "--log-key",
    default="tonne-log",
    metavar="N",
    help="Name of the key that signs the log's heads; created at first use.",
)
@json_option
def issue(id_: str, key_name: str | None, log_key: str, *, as_json: bool) -> None:
    """
    Issue a verified statement: reserve its period and enter it in the log.

    With --key the project's status list is signed and published again. If TONNE_TIMESTAMP_URLS
    names time-stamp authorities, they stamp the statement and the log's head. Without their answer
    the issue continues with a note, or waits (exit 3) if TONNE_TIMESTAMP_REQUIRED or the trust root
    requires stamps.

    \b
    Example:
      tonne statement issue TN-roof-1-20260101-20260201-1 --key plant
    """
    operator = None if key_name is None else signer_of(key_name)
    whom = Witnesses.by(Settings())
    with database() as conn:
        if whom is not None and whom.waits:
            require_cosigned(conn, whom)
        index, name, notes = _enter(conn, id_, log_key, operator)
        _publish(conn, id_, operator)
        open_ = [str(condition) for condition in unmet(documents(conn, id_).claims)]
        cosigned = None if whom is None else have_cosigned(conn, whom)
    warn_unmet(open_)
    done = {
        "statement": id_,
        "state": "issued",
        "entry": index,
        "log": name,
        "not_met": open_,
        "timestamps": notes,
    }
    if cosigned is not None:
        done |= {"cosigned_by": list(cosigned.names), "witnesses_lack": cosigned.lacks}
    lines = (f"{id_} is issued, entry {index} of log {name}", *notes)
    print_result(done, "\n".join(lines), as_json=as_json)
    warn_of(cosigned)
    if whom is not None and whom.waits and cosigned is not None and cosigned.lacks is not None:
        click.get_current_context().exit(Exit.NOT_ENOUGH)


@click.command()
@click.argument("id_", metavar="ID")
@click.option(
    "--reason", required=True, help="Reason of the replacement, stated in the new statement."
)
@json_option
def supersede(id_: str, reason: str, *, as_json: bool) -> None:
    """
    Close an issued statement's period again, as a draft of its replacement.

    The issued statement remains valid until the new one is issued.

    \b
    Example:
      tonne statement supersede TN-roof-1-20260101-20260201-1 --reason "late readings of inv-003"
    """
    with database() as conn:
        closed = close.supersede(conn, id_, getpass.getuser(), reason)
    show_closed(closed, as_json=as_json)


@click.command()
@click.argument("id_", metavar="ID")
@click.option("--reason", required=True, help="Reason of the revocation, recorded in the log.")
@click.option(
    "--key",
    "key_name",
    metavar="N",
    help="Operator's key; its holder is recorded as having revoked (default: the system's user).",
)
@click.option(
    "--log-key",
    default="tonne-log",
    metavar="N",
    help="Name of the key that signs the log's heads.",
)
@json_option
def revoke(id_: str, reason: str, key_name: str | None, log_key: str, *, as_json: bool) -> None:
    """
    Revoke an issued statement permanently; its period can be claimed again. The log has the reason.

    With --key the project's status list is signed and published again; otherwise run `statement
    status-list` afterwards. To replace a statement by a corrected one use `supersede`.

    \b
    Example:
      tonne statement revoke TN-roof-1-20260101-20260201-1 --key plant \\
        --reason "the same energy was certified as I-REC 123"
    """
    operator = None if key_name is None else signer_of(key_name)
    check_reason(reason)
    with database() as conn:
        index, name, _ = _enter(conn, id_, log_key, operator, reason)
        _publish(conn, id_, operator)
        whom = Witnesses.by(Settings())
        # a revocation does not wait, since an invalid statement must be known at once
        warn_of(None if whom is None else have_cosigned(conn, whom))
    done = {"statement": id_, "state": "revoked", "entry": index, "log": name}
    print_result(done, f"{id_} is revoked, entry {index} of log {name}", as_json=as_json)


@click.command("status-list")
@click.argument("project")
@key_option
@click.option("--out", type=click.Path(path_type=Path), help="File to write; default: print.")
@json_option
def status_list(project: str, key_name: str, out: Path | None, *, as_json: bool) -> None:
    """
    Sign and publish the W3C status list of PROJECT: which statements are no longer valid.

    Sign it again after each supersession and revocation, and every month: a list expires after 31
    days. The API serves the newest to everyone (`/v1/status-list?project=ID`); `tonne verify
    --status` reads it.

    \b
    Example:
      tonne statement status-list roof-1 --key plant --out status.json
    """
    with database() as conn:
        document = life.status_list(conn, project, signer_of(key_name))
    if out is None:
        click.echo(document.decode())
        return
    out.write_bytes(document)
    text = f"{out}: status list of {project}"
    print_result({"project": project, "file": out}, text, as_json=as_json)


def _enter(
    conn: Connection, id_: str, log_key: str, operator: Signer | None, reason: str | None = None
) -> tuple[int, str, list[str]]:
    """
    Issue a statement, or revoke it for a reason, here or through the signer.

    Returns its index in the log, the log's name, and the answers of time-stamp authorities.
    """
    home, by = Settings().home, operator.holder if operator else getpass.getuser()
    if requests.elsewhere(conn, home, log_key):
        actor = by if isinstance(by, str) else by.name
        body = {} if reason is None else {"reason": reason}
        kind = "issue" if reason is None else "revoke"
        answer = ask(conn, kind, id_, body, actor)
        return int(answer["log_index"]), _log(conn), list(answer.get("notes", ()))
    signer = life.log_signer(conn, home, log_key)
    if reason is None:
        done = stamped_issue.issue(conn, id_, signer, by, timestamps.policy_of(Settings()))
        return done.entry, signer.holder.name, list(done.notes)
    return life.revoke(conn, id_, signer, by, reason), signer.holder.name, []


def _log(conn: Connection) -> str:
    head = transparency_log.checkpoint(conn)
    return "" if head is None else head.partition("\n")[0]


def _publish(conn: Connection, name: str, operator: Signer | None) -> None:
    """Sign and publish the project's status list again, if an operator's key is given."""
    project = statements.find(conn, name).project
    if operator is not None:
        life.status_list(conn, project, operator)
        return
    click.echo(
        f"the status list of {project} is unchanged; sign it again with `tonne "
        f"statement status-list {project} --key NAME`",
        err=True,
    )


@click.group(cls=Group)
def statement() -> None:
    """
    Sign, verify, issue, revoke and export statements.

    \b
    Example:
      tonne statement submit TN-roof-1-20260101-20260201-1 --key plant
      tonne statement verify TN-roof-1-20260101-20260201-1 --key auditor \\
        --opinion unqualified --assurance reasonable
      tonne statement issue TN-roof-1-20260101-20260201-1
      tonne statement export TN-roof-1-20260101-20260201-1 --out pack
    """


@statement.command("list")
@click.option("--project", metavar="ID", help="Only this project; default: all.")
@json_option
def list_(project: str | None, *, as_json: bool) -> None:
    """
    List statements and their states.

    \b
    Example:
      tonne statement list --project roof-1
    """
    with database() as conn:
        require(conn, "project", project)
        listed = statements.all_of(conn, project)
    rows = [
        {
            "statement": row.id,
            "project": row.project,
            "state": row.state,
            "credit_t": row.credit_t,
            "supersedes": row.supersedes,
        }
        for row in listed
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    cells = [(row.id, row.state, f"{row.credit_t:,} t", row.supersedes) for row in listed]
    head = ("statement", "state", "credited", "supersedes")
    click.echo(table(head, cells, empty="no period was closed; run `tonne period close`"))


@statement.command()
@click.argument("id_", metavar="ID")
@json_option
def show(id_: str, *, as_json: bool) -> None:
    """
    Show a statement, its figures and its history.

    \b
    Example:
      tonne statement show TN-roof-1-20260101-20260201-1 --json
    """
    with database() as conn:
        have = documents(conn, id_)
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
            "unmet": [str(condition) for condition in unmet(have.claims)],
            "document": have.statement,
            "verification": have.verification,
        }
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    claims = have.claims
    period = claims.monitoring_period
    click.echo(f"{have.stored.id}  {have.stored.state}")
    click.echo(f"  period     {period.local_from} to {period.local_to}")
    click.echo(f"  reduction  {claims.emissions.reduction.t} t")
    click.echo(
        f"  credited   {claims.credited.t} t, coverage {Words('en').percent(claims.coverage)}"
    )
    if claims.signed_energy:
        shares = (f"{s.share_percent} % {s.kind}" for s in claims.signed_energy.shares)
        click.echo(f"  signed     {', '.join(shares)} of the energy")
    signed = have.verification
    reasons = () if signed is None else conclusion_of(signed).words.reasons
    for condition, reason in zip_longest(unmet(claims), reasons):
        left = f"closed by the verifier: {reason}" if reason else f"open ({condition.severity})"
        click.echo(f"  NOT MET    {condition}; {left}")
    for text in observations(claims):
        click.echo(f"  observed   {text}")
    for step in steps:
        reason = f", {step.reason}" if step.reason else ""
        at = time_text(step.at, period.timezone)
        click.echo(f"  {at}  {step.state} by {step.actor}{reason}")


@statement.command()
@click.argument("id_", metavar="ID")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="New folder to write.")
@json_option
def export(id_: str, out: Path, *, as_json: bool) -> None:
    """
    Write the evidence pack of a statement.

    \b
    Example:
      tonne statement export TN-roof-1-20260101-20260201-1 --out pack
    """
    from services.issuer.pack import export as write  # noqa: PLC0415 - loads the Parquet writer

    with database() as conn, bar(f"writing {out}"):
        write(conn, id_, out)
    text = f"{out}: evidence of {id_}; check it with `tonne verify {out}`"
    print_result({"statement": id_, "folder": out}, text, as_json=as_json)


for _command in (
    finding,
    report,
    sample,
    statement_signing.submit,
    statement_signing.template,
    statement_signing.verify,
    statement_signing.approve,
    issue,
    supersede,
    revoke,
    status_list,
):
    statement.add_command(_command)
