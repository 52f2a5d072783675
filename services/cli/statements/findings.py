"""
Commands `tonne statement finding` (findings, answers, closure) and `sample` (device-days to
examine).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import click
from psycopg import Connection

from ingest.errors import InputError
from mrv.documents import UNSET, UnsetType, read
from mrv.documents.verification import About, FindingEvent, SamplingList
from mrv.signatures import canonical
from mrv.statement.findings import Kind, Record, What, about_text
from mrv.statement.sampling import Size, sign_sampling
from mrv.statement.states import check_role
from services.cli import FILE, NEW_FILE, Choice, Group, json_option, pack_budget
from services.cli.output import print_result, table, time_text
from services.cli.server_options import database_url
from services.cli.statements import statement_signing as apart
from services.cli.statements.report import write_whole
from services.issuer import documents as steps
from services.issuer import external_signatures as accept
from services.issuer import keys
from services.issuer import transitions as life
from services.issuer.documents import Signer, sign
from services.settings import Settings
from services.store.postgres.pool import connect
from services.store.statements import evidence as stored

_HOW_MANY = click.IntRange(min=0)


@click.command()
@click.argument("target", metavar="ID|PACK")
@click.option(
    "--key",
    "key_name",
    metavar="N",
    help="Verifier's key: draw, sign and store the list; default: show the stored list.",
)
@click.option(
    "--random",
    "random_",
    type=_HOW_MANY,
    metavar="COUNT",
    help="Number of device-days drawn at random; default: the square root of all.",
)
@click.option(
    "--by-risk",
    type=_HOW_MANY,
    metavar="COUNT",
    help="Number of device-days chosen by risk; default: the square root of all.",
)
@click.option(
    "--from",
    "signed",
    type=FILE,
    help="Import a list that the verifier signed elsewhere; default: none.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="File to write, with the signed list; default: no file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the signed list.")
def sample(
    target: str,
    key_name: str | None,
    random_: int | None,
    by_risk: int | None,
    signed: Path | None,
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    """
    Draw the verifier's sample of device-days of a submitted statement; possible once.

    The seed is derived from the statement's digest and the verifier's signature over it: the
    operator cannot predict it, and the verifier cannot draw again. Without --key the stored list is
    shown. With a PACK in place of an ID the verifier draws without the database; the operator
    imports the list with --from.

    \b
    Example:
      tonne statement sample TN-roof-1-20260101-20260201-1 --key auditor
      tonne statement sample pack/ --key auditor --out sampling.json
      tonne statement sample TN-roof-1-20260101-20260201-1 --from sampling.json
    """
    size = Size(random_, by_risk)
    if Path(target).exists():
        document = _offline(Path(target), key_name, size)
    elif signed is not None:
        document = canonical.parse_object(signed.read_bytes())
        with _database() as conn:
            accept.sampling(conn, target, document)
    elif key_name is not None:
        signer = Signer(*keys.load(Settings().home, key_name))
        with _database() as conn:
            document = life.sample(conn, target, signer, size)
    else:
        document = _drawn(target)
    if out is not None:
        out.write_bytes(canonical.encode(document))
    _show(document, as_json=as_json)


def _offline(pack: Path, key_name: str | None, size: Size) -> dict[str, Any]:
    from mrv.packs.reader import read_pack  # noqa: PLC0415 - loads the Parquet reader
    from mrv.verify.subject import Subject  # noqa: PLC0415

    if key_name is None:
        raise InputError(f"{pack} is a pack: name the key that signs the sample with --key")
    secret, holder = keys.load(Settings().home, key_name)
    subject = Subject(read_pack(pack, pack_budget()))
    name = subject.claims.statement
    if subject.pack.bare or subject.state == "draft":
        raise InputError(
            f"{pack} is not an evidence pack of a submitted statement; export {name} again"
        )
    check_role(holder, "verifier", name)
    return sign_sampling(subject.statement, subject.case, size, secret, holder, datetime.now(UTC))


def _drawn(name: str) -> dict[str, Any]:
    with _database() as conn:
        stored_document = stored.sample(conn, name)
    if stored_document is None:
        raise InputError(
            f"no sample of {name} was drawn; the verifier draws it: `tonne statement sample {name}"
            " --key KEY`"
        )
    return canonical.parse_object(stored_document)


def _show(document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    drawn = read(SamplingList, document, "the sample")
    draw = drawn.credential_subject
    click.echo(
        f"{draw.random} of {draw.population} device-days at random, {draw.by_risk} by"
        f" risk, drawn by {drawn.issuer.name}, seed {draw.seed[:16]}"
    )
    rows = [(o.day, o.device, o.drawn, o.weight, ", ".join(o.reasons)) for o in draw.items]
    head = ("day", "device", "drawn", "weight", "why")
    click.echo(table(head, rows, empty="no device-day was drawn"))


_id = click.argument("id_", metavar="ID")
_target = click.argument("target", metavar="ID|PACK")
_name = click.argument("name", metavar="FINDING")
_key = click.option("--key", "key_name", required=True, metavar="N", help="Signer's key, by name.")
_text = click.option("--text", required=True, help="Text of the finding, answer or closure.")
_out = click.option(
    "--out",
    type=NEW_FILE,
    help=(
        "Sign a PACK offline into this file, to be submitted later; default: store in the database."
    ),
)


@click.group(cls=Group)
def finding() -> None:
    """
    Raise, answer and close findings of a verification.

    The verifier raises and closes findings, the operator answers; each event is signed and included
    in the verifier's credential and in the pack. While a CAR or CL is open no opinion can be
    unqualified.

    With --out, and a folder (statement.json and, after the first finding, findings.json) in place
    of an ID, the event is signed without a database into a file; submit it to the API or with
    `take`.

    \b
    Example:
      tonne statement finding add TN-.. --kind CAR --key auditor --text "no certificate of inv-2"
      tonne statement finding answer TN-.. CAR-1 --key plant --text "certificate C-7 imported"
      tonne statement finding close TN-.. CAR-1 --key auditor --effect 0 \\
        --text "certificate C-7 seen, it covers all days"
    """


@finding.command()
@_target
@click.option(
    "--kind",
    type=Choice(get_args(Kind)),
    required=True,
    help=(
        "Corrective action request (CAR), clarification (CL), observation, or forward action "
        "request (FAR)."
    ),
)
@_key
@_text
@click.option(
    "--effect",
    metavar="TONNES",
    help=(
        "Overstatement of the reduction in tonnes; negative for an understatement. Default:"
        " not quantified."
    ),
)
@click.option(
    "--device",
    "devices",
    multiple=True,
    metavar="ID",
    help="Device concerned; repeatable. Default: the whole statement.",
)
@click.option(
    "--begins", "begin", metavar="DAY", help="First local day concerned; default: all days."
)
@click.option(
    "--ends",
    "end",
    metavar="DAY",
    help="First local day after the days concerned; default: all days.",
)
@_out
@json_option
def add(
    target: str,
    kind: str,
    key_name: str,
    text: str,
    effect: str | None,
    devices: tuple[str, ...],
    begin: str | None,
    end: str | None,
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    """
    Raise a finding, as the verifier; the first finding sets the statement's state to under
    verification.

    Devices and days must belong to the statement.

    \b
    Example:
      tonne statement finding add TN-.. --kind CL --key auditor \\
        --text "which of the two is the main meter?"
      tonne statement finding add TN-.. --kind CAR --key auditor --device inv-2 \\
        --begins 2026-03-02 --ends 2026-03-04 --text "the register did not advance in daylight"
      tonne statement finding add pack/ --kind CL --key auditor \\
        --text "which of the two is the main meter?" --out event.json
    """
    about = About(devices=devices, from_=begin or UNSET, to=end or UNSET)
    named = about if devices or begin or end else UNSET
    _sign_event(target, key_name, ("raised", kind, text, effect), out, named, as_json=as_json)


@finding.command()
@_target
@_name
@_key
@_text
@_out
@json_option
def answer(
    target: str, name: str, key_name: str, text: str, out: Path | None, *, as_json: bool
) -> None:
    """
    Answer a finding, as the operator.

    \b
    Example:
      tonne statement finding answer TN-.. CL-1 --key plant --text "the one with serial A1"
    """
    _sign_event(target, key_name, ("answered", name, text, None), out, as_json=as_json)


@finding.command()
@_target
@_name
@_key
@_text
@click.option(
    "--effect",
    metavar="TONNES",
    help="Overstatement in tonnes that remains in the statement; default: unchanged.",
)
@_out
@json_option
def close(
    target: str,
    name: str,
    key_name: str,
    text: str,
    effect: str | None,
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    """
    Close a finding, as the verifier.

    \b
    Example:
      tonne statement finding close TN-.. CL-1 --key auditor --effect 0 \\
        --text "the photograph shows serial A1"
    """
    _sign_event(target, key_name, ("closed", name, text, effect), out, as_json=as_json)


@finding.command()
@_id
@click.option("--from", "signed", required=True, help="File with the signed event.", type=FILE)
@json_option
def take(id_: str, signed: Path, *, as_json: bool) -> None:
    """
    Import an event of a finding that was signed on another machine.

    \b
    Example:
      tonne statement finding take TN-roof-1-20260101-20260201-1 --from event.json
    """
    with _database() as conn:
        event = accept.finding(conn, id_, canonical.parse_object(signed.read_bytes()))
    text = f"{event.finding} of {id_} is {event.what}, signed by {event.by}"
    print_result(_done(id_, event.finding, event.what, event.by), text, as_json=as_json)


@finding.command("list")
@_id
@json_option
def list_(id_: str, *, as_json: bool) -> None:
    """
    List a statement's findings with their events.

    \b
    Example:
      tonne statement finding list TN-roof-1-20260101-20260201-1
    """
    with _database() as conn:
        have = steps.documents(conn, id_)
        records = steps.records(conn, have)
    if as_json:
        click.echo(
            json.dumps([record.to_json() for record in records], indent=2, ensure_ascii=False)
        )
        return
    if not records:
        click.echo(f"{id_} has no finding")
    for record in records:
        click.echo("\n".join(_lines(record, have.claims.monitoring_period.timezone)))


def _lines(record: Record, zone: str) -> list[str]:
    document: dict[str, Any] = record.to_json()
    effect = "" if document["effect_t"] is None else f", {document['effect_t']} t"
    about = record.events[0].about
    where = "" if about is UNSET else f"  {about_text(about)}"
    return [
        f"{record.name}  {record.state}{effect}{where}",
        *(f"  {time_text(e.at, zone)}  {e.what} by {e.by}: {e.text}" for e in record.events),
    ]


def _sign_event(
    target: str,
    key_name: str,
    parts: tuple[What, str, str, str | None],
    out: Path | None,
    about: About | UnsetType = UNSET,
    *,
    as_json: bool,
) -> None:
    if out is not None:
        document = apart.event(target, key_name, parts, about)
        write_whole(out, canonical.encode(document))
        signed = read(FindingEvent, document, "the event")
        name = signed.credential_subject.finding
        line = f"{out}: {name} {parts[0]}, signed by {signed.issuer.name}"
        done = {**_done(target, name, parts[0], signed.issuer.name), "file": out}
        print_result(done, line, as_json=as_json)
        return
    signer = steps.Signer(*keys.load(Settings().home, key_name))
    with _database() as conn:
        event = accept.finding(conn, target, sign(conn, target, signer, parts, about))
    by = signer.holder.name
    line = f"{event.finding} of {target} is {event.what}, signed by {by}"
    print_result(_done(target, event.finding, event.what, by), line, as_json=as_json)


def _done(statement: str, name: str, event: str, by: str) -> dict[str, object]:
    return {"statement": statement, "finding": name, "event": event, "signed_by": by}


def _database() -> Connection:
    return connect(database_url(), role="tonne_mrv", name="tonne statement", autocommit=True)
