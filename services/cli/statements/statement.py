"""`tonne statement`: the life of a statement."""

from __future__ import annotations

import getpass
import json
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from ingest.errors import InputError
from mrv.errors import VerificationError
from mrv.signatures import canonical
from mrv.statement.conditions import unmet
from mrv.statement.credentials import Finding, conclusion_of
from mrv.statement.opinion import Assurance, Opinion, opinion_word
from services.cli.errors import Exit
from services.cli.groups import Group
from services.cli.options.choice import Choice
from services.cli.options.database_url import database_url
from services.cli.output.json_text import say
from services.cli.output.progress import bar
from services.cli.output.table import table
from services.cli.output.times import shown_time
from services.cli.statements import by_signer
from services.cli.statements import offline_signing as apart
from services.cli.statements.findings import finding
from services.cli.statements.opinion_options import person, site_visit
from services.cli.statements.period import show_closed
from services.cli.statements.report import report, write_whole
from services.cli.statements.sampling import sample
from services.issuer import close, keys, requests, stamped_issue, timestamps
from services.issuer import transitions as life
from services.settings import Settings
from services.store.postgres.pool import connect
from services.store.registry.known import require
from services.store.statements import statements, transparency_log

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from psycopg import Connection
    from psycopg.rows import TupleRow

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_key = click.option("--key", "key_name", required=True, metavar="N", help="Signer's key, by name.")
_what = click.argument("what", metavar="ID|PACK")
_out = click.option("--out", type=click.Path(dir_okay=False, path_type=Path),
                    help="Sign a file or PACK apart into this file, to be handed in.")  # fmt: skip
_HUNDRED = 100


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
@_json
def list_(project: str | None, *, as_json: bool) -> None:
    """
    List statements and their states.

    \b
    Example:
      tonne statement list --project nck-pv
    """
    with _database() as conn:
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
@_json
def show(id_: str, *, as_json: bool) -> None:
    """
    Show a statement, its figures and its steps so far.

    \b
    Example:
      tonne statement show TN-nck-pv-20260101-20260201-1 --json
    """
    with _database() as conn:
        have = life.documents(conn, id_)
        steps = statements.events(conn, id_)
    events = [
        {"state": e.state, "at": shown_time(e.at), "by": e.actor, "reason": e.reason} for e in steps
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
    for one in unmet(said):
        click.echo(f"  NOT MET    {one}; open, as a clarification (CL) that nobody has to raise")
    if have.verification is not None and (because := conclusion_of(have.verification).because):
        click.echo(f"  because    {because} (signed by {have.verification['issuer']['name']})")
    for event in events:
        reason = f", {event['reason']}" if event["reason"] else ""
        click.echo(f"  {event['at']}  {event['state']} by {event['by']}{reason}")


@statement.command()
@_what
@_key
@_out
@_json
def submit(what: str, key_name: str, out: Path | None, *, as_json: bool) -> None:
    """
    Sign a draft as its operator.

    What the statement says does not hold is said again here. With
    TONNE_REQUIRE_ACCEPTED_FACTORS=true a statement that rests on a factor from
    memory which its project does not accept by name is refused.

    With --out, and a draft's file or PACK in place of an ID, issuer and proof are
    signed into a file where the key is, without any database; the API takes them. A
    pack is verified first.

    \b
    Example:
      tonne statement submit TN-nck-pv-20260101-20260201-1 --key plant
      tonne statement submit draft.json --key plant --out signature.json
    """
    if out is not None:
        with failing():
            document, open_ = apart.signature(what, key_name)
        write_whole(out, canonical.encode(document))
        _warn(open_)
        by = document["issuer"]["name"]
        done = {"file": out, "signed_by": by, "not_met": open_}
        say(done, f"{out}: signature of {by}, to be handed in", as_json=as_json)
        return
    signer = _signer(key_name)
    strict = Settings().require_accepted_factors
    with _database() as conn:
        open_ = life.submit(conn, what, signer, strict=strict)
    _warn(open_)
    by = signer.holder.name
    done = {"statement": what, "state": "submitted", "signed_by": by, "not_met": open_}
    say(done, f"{what} is submitted, signed by {by}", as_json=as_json)


@statement.command()
@_what
@_key
@click.option("--opinion", type=Choice(get_args(Opinion)), required=True,
              help="adverse and disclaimer reject the statement; "
              "unmodified and modified mean the first two.")  # fmt: skip
@click.option("--assurance", type=Choice(get_args(Assurance)), required=True,
              help="Level of assurance.")  # fmt: skip
@click.option("--materiality", default="5", show_default=True, metavar="PERCENT",
              help="Largest error that would not change the opinion.")  # fmt: skip
@click.option("--finding", "findings", multiple=True,
              help="A remark beside `statement finding`; may be repeated.")  # fmt: skip
@click.option("--because", metavar="TEXT", help="Why conditions that do not hold do not stand"
              " against an opinion without reservation; signed and shown.")  # fmt: skip
@click.option("--procedure", metavar="TEXT", help="What you did, in your own words.")
@click.option("--team", "team", multiple=True, metavar="NAME:FUNCTION",
              help="Who verified; may be repeated.")  # fmt: skip
@click.option("--site-visit", "visits", multiple=True, metavar="DAY:PLACE:TEXT",
              help="When you were where, and what you saw; may be repeated.")  # fmt: skip
@click.option("--signatory", metavar="NAME:FUNCTION", help="Who answers for it.")
@click.option("--accreditation", metavar="ID",
              help="Its number; that of your key's keyring entry where absent.")  # fmt: skip
@_out
@_json
def verify(
    what: str,
    key_name: str,
    *,
    opinion: Opinion,
    assurance: Assurance,
    materiality: str,
    findings: tuple[str, ...],
    because: str | None,
    procedure: str | None,
    team: tuple[str, ...],
    visits: tuple[str, ...],
    signatory: str | None,
    accreditation: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """
    Compute a submitted statement again from raw readings, and sign the opinion.

    Ends with 1, and keeps nothing, where the database gives another statement. No
    opinion is unqualified while a CAR or a CL is open, or while misstatements that
    findings quantify reach --materiality of the reduction, net or absolute, or while a
    condition of the statement does not hold and no reason is given by --because.

    With --out, and a PACK in place of an ID, that is verified where the key is,
    without any database, and the opinion signed into a file; the API takes it, and
    computes everything again.

    \b
    Example:
      tonne statement verify TN-nck-pv-20260101-20260201-1 --key auditor \\
        --opinion unqualified --assurance reasonable
      tonne statement verify pack/ --key auditor --opinion qualified --assurance limited \\
        --out verification.json
    """
    percent = _percent(materiality)
    body = keys.load(Settings().home, key_name)[1].bounds.accreditation
    conclusion = Finding(
        opinion, assurance, percent, findings, because, procedure,
        tuple(person("--team", one) for one in team),
        tuple(site_visit(one) for one in visits),
        None if signatory is None else person("--signatory", signatory),
        accreditation or (body.id if body else None),
    )  # fmt: skip
    said = f"opinion {opinion_word(opinion)}, signed by"
    if out is not None:
        with failing():
            document = apart.opinion(what, key_name, conclusion)
        write_whole(out, canonical.encode(document))
        by = document["issuer"]["name"]
        done = {"file": out, "opinion": opinion, "signed_by": by}
        say(done, f"{out}: {said} {by}, to be handed in", as_json=as_json)
        return
    signer = _signer(key_name)
    with _database() as conn, failing(), bar(f"computing {what} again"):
        state = life.verify(conn, what, signer, conclusion)
    by = signer.holder.name
    done = {"statement": what, "state": state, "opinion": opinion, "signed_by": by}
    say(done, f"{what} is {state}, {said} {by}", as_json=as_json)


def _percent(text: str) -> str:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or not 0 <= number <= _HUNDRED:
        raise InputError(f"--materiality {text!r} must be a percentage from 0 to 100, such as 5")
    return str(number)


@statement.command()
@_what
@_key
@_out
@_json
def approve(what: str, key_name: str, out: Path | None, *, as_json: bool) -> None:
    """
    Approve the issue of a verified statement, as one of those who have to.

    How many have to, the registry says (`programme: {issue_signatures: 2}`) or the
    programme's trust root. Each signs with an operator's key of their own; `issue` refuses
    while too few did, and `tonne verify` counts them again. With --out, and a PACK in place
    of an ID, it is signed where the key is, without any database, once the pack holds; the
    API takes the file.

    \b
    Example:
      tonne statement approve TN-nck-pv-20260101-20260201-1 --key director
      tonne statement approve pack/ --key director --out approval.json
    """
    if out is not None:
        with failing():
            document = apart.approval(what, key_name)
        write_whole(out, canonical.encode(document))
        by = document["issuer"]["name"]
        done = {"file": out, "signed_by": by}
        say(done, f"{out}: approval of {by}, to be handed in", as_json=as_json)
        return
    signer = _signer(key_name)
    with _database() as conn:
        found = life.approve(conn, what, signer)
    by = signer.holder.name
    done = {"statement": what, "approved_by": by, "approvals": found}
    say(done, f"{what} is approved by {by}; {found} in all", as_json=as_json)


@statement.command()
@click.argument("id_", metavar="ID")
@click.option("--key", "key_name", metavar="N",
              help="Operator's key of who issues; the system's user where absent.")  # fmt: skip
@click.option("--log-key", default="tonne-log", show_default=True, metavar="N",
              help="Key that signs the log's heads; made the first time.")  # fmt: skip
@_json
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
    operator = None if key_name is None else _signer(key_name)
    with _database() as conn:
        index, name, notes = _enter(conn, id_, log_key, operator)
        _publish(conn, id_, operator)
        open_ = [str(one) for one in unmet(life.documents(conn, id_).claims)]
    _warn(open_)
    done = {
        "statement": id_, "state": "issued", "entry": index, "log": name, "not_met": open_,
        "timestamps": notes,
    }  # fmt: skip
    said = (f"{id_} is issued, entry {index} of log {name}", *notes)
    say(done, "\n".join(said), as_json=as_json)


@statement.command()
@click.argument("id_", metavar="ID")
@click.option("--reason", required=True, help="Why it is replaced; stands in the new statement.")
@_json
def supersede(id_: str, reason: str, *, as_json: bool) -> None:
    """
    Close an issued statement's period again, as a draft that will replace it.

    The issued one counts until the new one is issued.

    \b
    Example:
      tonne statement supersede TN-nck-pv-20260101-20260201-1 --reason "late readings of inv-003"
    """
    with _database() as conn:
        closed = close.supersede(conn, id_, getpass.getuser(), reason)
    show_closed(closed, as_json=as_json)


@statement.command()
@click.argument("id_", metavar="ID")
@click.option("--reason", required=True, help="Why it counts no more; stands in the log.")
@click.option("--key", "key_name", metavar="N",
              help="Operator's key of who revokes; the system's user where absent.")  # fmt: skip
@click.option("--log-key", default="tonne-log", show_default=True, metavar="N",
              help="Key that signs the log's heads.")  # fmt: skip
@_json
def revoke(id_: str, reason: str, key_name: str | None, log_key: str, *, as_json: bool) -> None:
    """
    Revoke an issued statement for good: its period is free again, the log says why.

    With --key the project's status list is signed and published anew; without it run
    `statement status-list` afterwards. To replace a statement by a corrected one use
    `supersede`.

    \b
    Example:
      tonne statement revoke TN-nck-pv-20260101-20260201-1 --reason "claimed elsewhere" --key plant
    """
    operator = None if key_name is None else _signer(key_name)
    if not reason.strip():
        raise InputError("--reason is empty; say why the statement counts no more")
    with _database() as conn:
        index, name, _ = _enter(conn, id_, log_key, operator, reason)
        _publish(conn, id_, operator)
    done = {"statement": id_, "state": "revoked", "entry": index, "log": name}
    say(done, f"{id_} is revoked, entry {index} of log {name}", as_json=as_json)


statement.add_command(finding)
statement.add_command(report)
statement.add_command(sample)


@statement.command("status-list")
@click.argument("project")
@_key
@click.option("--out", type=click.Path(path_type=Path), help="Write to a file.")
@_json
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
    with _database() as conn:
        document = life.status_list(conn, project, _signer(key_name))
    if out is None:
        click.echo(document.decode())
        return
    out.write_bytes(document)
    said = f"{out}: status list of {project}"
    say({"project": project, "file": out}, said, as_json=as_json)


@statement.command()
@click.argument("id_", metavar="ID")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new folder.")
@_json
def export(id_: str, out: Path, *, as_json: bool) -> None:
    """
    Write the evidence pack, for `tonne verify` and for people.

    \b
    Example:
      tonne statement export TN-nck-pv-20260101-20260201-1 --out pack
    """
    from services.issuer.pack import export as write  # noqa: PLC0415 - loads the Parquet writer

    with _database() as conn, bar(f"writing {out}"):
        write(conn, id_, out)
    said = f"{out}: evidence of {id_}; check it with `tonne verify {out}`"
    say({"statement": id_, "folder": out}, said, as_json=as_json)


def _enter(
    conn: Connection[TupleRow],
    id_: str,
    log_key: str,
    operator: life.Signer | None,
    reason: str | None = None,
) -> tuple[int, str, list[str]]:
    """
    Issue a statement, or revoke it for a reason: here, or by whoever has the log's key.

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


def _log(conn: Connection[TupleRow]) -> str:
    """Name of the log that is written now."""
    head = transparency_log.checkpoint(conn)
    return "" if head is None else head.partition("\n")[0]


def _publish(conn: Connection[TupleRow], name: str, operator: life.Signer | None) -> None:
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


def _warn(unmet: Iterable[str]) -> None:
    """Say again, where it is signed, what the statement says does not hold."""
    for one in unmet:
        click.echo(f"warning: not met: {one} (open, as a clarification)", err=True)


@contextmanager
def failing() -> Iterator[None]:
    """End with 1 where what is checked is false."""
    try:
        yield
    except VerificationError as error:
        click.echo(f"tonne: {error}", err=True)
        click.get_current_context().exit(Exit.FALSE)


def _signer(name: str) -> life.Signer:
    return life.Signer(*keys.load(Settings().home, name))


def _database() -> Connection[TupleRow]:
    return connect(database_url(), role="tonne_mrv", name="tonne statement", autocommit=True)
