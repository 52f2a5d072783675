"""`tonne statement issue`, `supersede`, `revoke`, `status-list`: what counts, and since when."""

from __future__ import annotations

import getpass
from pathlib import Path

import click
from psycopg import Connection

from mrv.statement.conditions import check_reason, unmet
from services.cli.errors import Exit
from services.cli.options.common import json_option
from services.cli.output.documents import print_result
from services.cli.statements import by_signer
from services.cli.statements.log_tiles import warn_of
from services.cli.statements.period import show_closed
from services.cli.statements.statement_options import database, key_option, signer_of, warn_unmet
from services.issuer import close, requests, stamped_issue, timestamps
from services.issuer import transitions as life
from services.issuer.cosigning import Witnesses, have_cosigned
from services.issuer.cosigning import require as require_cosigned
from services.settings import Settings
from services.store.statements import statements, transparency_log


@click.command()
@click.argument("id_", metavar="ID")
@click.option(
    "--key",
    "key_name",
    metavar="N",
    help="Operator's key of who issues; the system's user where absent.",
)
@click.option(
    "--log-key",
    default="tonne-log",
    metavar="N",
    help="Key that signs the log's heads; made the first time.",
)
@json_option
def issue(id_: str, key_name: str | None, log_key: str, *, as_json: bool) -> None:
    """
    Issue a verified statement: claim its period and enter it in the log.

    With --key the project's status list is signed and published anew. Where TONNE_TIMESTAMP_URLS
    names time-stamp authorities, they stamp the statement and the log's head; issue goes on
    without them and says so, or waits (exit 3) with TONNE_TIMESTAMP_REQUIRED or where the trust
    root asks for them.

    \b
    Example:
      tonne statement issue TN-nck-pv-20260101-20260201-1 --key plant
    """
    operator = None if key_name is None else signer_of(key_name)
    whom = Witnesses.by(Settings())
    with database() as conn:
        if whom is not None and whom.waits:
            require_cosigned(conn, whom)
        index, name, notes = _enter(conn, id_, log_key, operator)
        _publish(conn, id_, operator)
        open_ = [str(one) for one in unmet(life.documents(conn, id_).claims)]
        asked = None if whom is None else have_cosigned(conn, whom)
    warn_unmet(open_)
    done = {
        "statement": id_,
        "state": "issued",
        "entry": index,
        "log": name,
        "not_met": open_,
        "timestamps": notes,
    }
    if asked is not None:
        done |= {"cosigned_by": list(asked.names), "witnesses_lack": asked.lacks}
    said = (f"{id_} is issued, entry {index} of log {name}", *notes)
    print_result(done, "\n".join(said), as_json=as_json)
    warn_of(asked)
    if whom is not None and whom.waits and asked is not None and asked.lacks is not None:
        click.get_current_context().exit(Exit.NOT_ENOUGH)


@click.command()
@click.argument("id_", metavar="ID")
@click.option("--reason", required=True, help="Why it is replaced; stands in the new statement.")
@json_option
def supersede(id_: str, reason: str, *, as_json: bool) -> None:
    """
    Close an issued statement's period again, as a draft that will replace it.

    The issued one counts until the new one is issued.

    \b
    Example:
      tonne statement supersede TN-nck-pv-20260101-20260201-1 --reason "late readings of inv-003"
    """
    with database() as conn:
        closed = close.supersede(conn, id_, getpass.getuser(), reason)
    show_closed(closed, as_json=as_json)


@click.command()
@click.argument("id_", metavar="ID")
@click.option("--reason", required=True, help="Why it counts no more; stands in the log.")
@click.option(
    "--key",
    "key_name",
    metavar="N",
    help="Operator's key of who revokes; the system's user where absent.",
)
@click.option("--log-key", default="tonne-log", metavar="N", help="Key that signs the log's heads.")
@json_option
def revoke(id_: str, reason: str, key_name: str | None, log_key: str, *, as_json: bool) -> None:
    """
    Revoke an issued statement for good: its period is free again, the log says why.

    With --key the project's status list is signed and published anew; without it run
    `statement status-list` afterwards. To replace a statement by a corrected one use
    `supersede`.

    \b
    Example:
      tonne statement revoke TN-nck-pv-20260101-20260201-1 --key plant \\
        --reason "the same energy was certified as I-REC 123"
    """
    operator = None if key_name is None else signer_of(key_name)
    check_reason(reason)
    with database() as conn:
        index, name, _ = _enter(conn, id_, log_key, operator, reason)
        _publish(conn, id_, operator)
        whom = Witnesses.by(Settings())
        # a revocation never waits: what counts no more must be known at once
        warn_of(None if whom is None else have_cosigned(conn, whom))
    done = {"statement": id_, "state": "revoked", "entry": index, "log": name}
    print_result(done, f"{id_} is revoked, entry {index} of log {name}", as_json=as_json)


@click.command("status-list")
@click.argument("project")
@key_option
@click.option("--out", type=click.Path(path_type=Path), help="Write to a file.")
@json_option
def status_list(project: str, key_name: str, out: Path | None, *, as_json: bool) -> None:
    """
    Sign which statements of PROJECT count no more, and publish it (W3C Bitstring Status List).

    Sign it anew after each supersession and revocation, and every month: no list is
    believed for more than 31 days. The API serves the newest to anybody
    (`/v1/status-list?project=ID`); `tonne verify --status` reads it.

    \b
    Example:
      tonne statement status-list nck-pv --key plant --out status.json
    """
    with database() as conn:
        document = life.status_list(conn, project, signer_of(key_name))
    if out is None:
        click.echo(document.decode())
        return
    out.write_bytes(document)
    said = f"{out}: status list of {project}"
    print_result({"project": project, "file": out}, said, as_json=as_json)


def _enter(
    conn: Connection,
    id_: str,
    log_key: str,
    operator: life.Signer | None,
    reason: str | None = None,
) -> tuple[int, str, list[str]]:
    """
    Issue a statement, or revoke it for a reason: here, or by the holder of the log's key.

    Returns its place in the log, the log's name, and what time-stamp authorities answered.
    """
    home, by = Settings().home, operator.holder if operator else getpass.getuser()
    if requests.elsewhere(conn, home, log_key):
        actor = by if isinstance(by, str) else by.name
        said = {} if reason is None else {"reason": reason}
        kind = "issue" if reason is None else "revoke"
        answer = by_signer.ask(conn, kind, id_, said, actor)
        return int(answer["log_index"]), _log(conn), list(answer.get("notes", ()))
    signer = life.log_signer(conn, home, log_key)
    if reason is None:
        done = stamped_issue.issue(conn, id_, signer, by, timestamps.policy_of(Settings()))
        return done.entry, signer.holder.name, list(done.notes)
    return life.revoke(conn, id_, signer, by, reason), signer.holder.name, []


def _log(conn: Connection) -> str:
    """Name of the log that is written now."""
    head = transparency_log.checkpoint(conn)
    return "" if head is None else head.partition("\n")[0]


def _publish(conn: Connection, name: str, operator: life.Signer | None) -> None:
    """Sign the project's status list anew, where an operator's key is at hand."""
    project = statements.find(conn, name).project
    if operator is not None:
        life.status_list(conn, project, operator)
        return
    click.echo(
        f"the status list of {project} is as it was; sign it anew with `tonne statement"
        f" status-list {project} --key NAME`",
        err=True,
    )
