"""
Commands `tonne statement submit`, `verify`, `approve`: signatures of operator and verifier.

With `--out` a step is signed into a file for the API, without a database.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, get_args

import click
from psycopg import Connection

from ingest.errors import InputError
from mrv import verify as checks
from mrv.documents import UNSET, UnsetType
from mrv.documents.statement import Claims
from mrv.documents.verification import About, PersonNamed, SiteVisit
from mrv.errors import VerificationError
from mrv.packs.pack import FINDINGS
from mrv.signatures import canonical
from mrv.signatures.keys import EnrolledKey, Role, SigningKey
from mrv.statement.conditions import MAX_PERCENT, USUAL_PERCENT, check_threshold, unmet
from mrv.statement.credentials import Finding, sign_statement, sign_verification
from mrv.statement.findings import SIGNED_BY, Record, What, read_events, sign_event
from mrv.statement.opinion import Assurance, Opinion, Words, opinion_word
from mrv.statement.states import check_role, sign_approval
from mrv.verify import Pack
from mrv.verify.subject import Subject
from services.cli import FILE, NEW_FILE, Choice, json_option, pack_budget
from services.cli.output import Exit, bar, print_json, print_result
from services.cli.server_options import database_url
from services.cli.statements.report import write_whole
from services.issuer import external_signatures as accept
from services.issuer import keys
from services.issuer import transitions as life
from services.issuer.documents import Signer, documents
from services.issuer.external_signatures import read
from services.issuer.external_signatures import template as write_template
from services.settings import Settings
from services.store.postgres.pool import connect


def signature(path: str, key_name: str) -> tuple[dict[str, Any], list[str]]:
    """
    Return an operator's signature of a draft, and the requirements not met according to the draft.

    The signature is issuer and proof only, as the server has the draft.

    Raises InputError if it is not a draft.
    Raises VerificationError if a pack is given and a step of its verification fails.
    """
    subject = _subject(path)
    name = _name(subject)
    if subject.state != "draft":
        raise InputError(f"{path}: {name} is {subject.state}, already signed; pass a draft")
    _walk(subject.pack)
    key, holder = _signer(key_name, "operator", name)
    accept.check_body(name, subject.statement, strict=Settings().require_accepted_factors)
    signed = sign_statement(subject.statement, key, holder, datetime.now(UTC))
    return {n: signed[n] for n in ("issuer", "proof")}, [
        str(condition) for condition in unmet(subject.claims)
    ]


def event(
    path: str,
    key_name: str,
    parts: tuple[What, str, str, str | None],
    about: About | UnsetType = UNSET,
) -> dict[str, Any]:
    """
    Return a signed event (raised, answered or closed) of a submitted statement's finding.

    `path`: a folder with `statement.json` and, after the first finding, `findings.json`.
    `parts`, `about`: `event` and `about_what` of `mrv.statement.findings.sign_event`.
    """
    subject = _submitted(path)
    key, holder = _signer(key_name, SIGNED_BY[parts[0]], _name(subject))
    return sign_event(
        subject.statement, _records(subject), parts, key, holder, datetime.now(UTC), about
    )


def claims(path: str) -> Claims:
    """Return the claims in a statement's file or pack."""
    return _subject(path).claims


def signed_opinion(path: str, key_name: str, conclusion: Finding) -> dict[str, Any]:
    """
    Return the verifier's signed credential over a statement and its findings, after verifying the
    pack.

    Raises InputError if it is not a pack of a submitted statement.
    Raises VerificationError that names the first step that fails.
    """
    subject = _submitted(path)
    if subject.pack.bare:
        raise InputError(
            f"{path} is a statement without its evidence; download the pack and pass its folder"
        )
    _walk(subject.pack)
    key, holder = _signer(key_name, "verifier", _name(subject))
    return sign_verification(
        subject.statement, conclusion, key, holder, datetime.now(UTC), _records(subject)
    )


def signed_approval(path: str, key_name: str) -> dict[str, Any]:
    """
    Return a signed approval to issue a verified statement, after verifying its pack.

    Raises InputError if it is not a pack of a verified statement.
    Raises VerificationError, naming the first step that fails.
    """
    subject = _subject(path)
    if subject.state != "verified" or subject.pack.bare or subject.verification is None:
        raise InputError(
            f"{path}: {_name(subject)} is {subject.state}, not verified; pass the "
            "pack of a verified statement"
        )
    _walk(subject.pack)
    key, holder = _signer(key_name, "operator", _name(subject))
    return sign_approval(subject.statement, subject.verification, key, holder, datetime.now(UTC))


def _subject(path: str) -> Subject:
    if not Path(path).exists():
        raise InputError(
            f"there is no file or folder {path}: --out signs a statement's file "
            "or pack; omit --out to sign in the database"
        )
    from mrv.packs.reader import read_pack  # noqa: PLC0415 - loads the Parquet reader

    return Subject(read_pack(Path(path), pack_budget()))


def _submitted(path: str) -> Subject:
    subject = _subject(path)
    if subject.state != "submitted":
        raise InputError(
            f"{path}: {_name(subject)} is {subject.state}, not submitted; pass the "
            "folder of a submitted statement"
        )
    return subject


def _records(subject: Subject) -> tuple[Record, ...]:
    data = subject.pack.files.get(FINDINGS)
    return () if data is None else read_events(data, subject.statement)


def _walk(pack: Pack) -> None:
    """Verify a pack before signing; a statement's file alone has no evidence to verify."""
    failure = None if pack.bare else checks.verify(pack).failure
    if failure is not None:
        raise VerificationError(
            f"step {failure.number}, {failure.name}", failure.detail, failure.remedy
        )


def _signer(key_name: str, role: Role, statement: str) -> tuple[SigningKey, EnrolledKey]:
    key, holder = keys.load(Settings().home, key_name)
    check_role(holder, role, statement)
    return key, holder


def _name(subject: Subject) -> str:
    return subject.claims.statement


key_option = click.option(
    "--key", "key_name", required=True, metavar="N", help="Signer's key, by name."
)
target_argument = click.argument("target", metavar="ID|PACK")
out_option = click.option(
    "--out",
    type=NEW_FILE,
    help=(
        "Sign a file or PACK offline into this file, to be submitted later; default: store "
        "in the database."
    ),
)


def warn_unmet(unmet: Iterable[str]) -> None:
    """Print the requirements not met according to the statement, before it is signed."""
    for condition in unmet:
        click.echo(f"warning: not met: {condition} (open, as a clarification request)", err=True)


@contextmanager
def failing() -> Iterator[None]:
    """Context in which a failed check ends the command with exit status 1."""
    try:
        yield
    except VerificationError as error:
        click.echo(f"tonne: {error}", err=True)
        click.get_current_context().exit(Exit.FALSE)


def signer_of(name: str) -> Signer:
    """Return the signer with a key's name; InputError where there is none."""
    return Signer(*keys.load(Settings().home, name))


def database() -> Connection:
    """Return a database connection with the role that creates statements."""
    return connect(database_url(), role="tonne_mrv", name="tonne statement", autocommit=True)


def person(option: str, text: str) -> PersonNamed:
    """Return a person from NAME:FUNCTION; InputError names the option."""
    name, mark, function = (part.strip() for part in text.partition(":"))
    if not mark or not name or not function:
        raise InputError(f"{option} is {text!r}; write it as NAME:FUNCTION")
    return PersonNamed(name=name, function=function)


def site_visit(text: str) -> SiteVisit:
    """Return a site visit from DAY:PLACE:TEXT, the day as 2026-02-03; InputError otherwise."""
    day, _, rest = text.partition(":")
    place, mark, value = (part.strip() for part in rest.partition(":"))
    try:
        when = date.fromisoformat(day.strip())
    except ValueError:
        when = None
    if when is None or not mark or not place or not value:
        raise InputError(f"--site-visit is {text!r}; write it as 2026-02-03:PLACE:TEXT")
    return SiteVisit(day=when.isoformat(), place=place, text=value)


@click.command()
@target_argument
@key_option
@out_option
@json_option
def submit(target: str, key_name: str, out: Path | None, *, as_json: bool) -> None:
    """
    Sign a draft as its operator.

    Requirements not met according to the statement are printed again. With
    TONNE_REQUIRE_ACCEPTED_FACTORS=true a statement that uses an unverified factor is rejected
    unless its project accepts the factor by name.

    With --out, and a draft's file or PACK in place of an ID, the signature is written into a file
    without a database; submit it through the API. A pack is verified first.

    \b
    Example:
      tonne statement submit TN-roof-1-20260101-20260201-1 --key plant
      tonne statement submit draft.json --key plant --out signature.json
    """
    if out is not None:
        with failing():
            document, open_ = signature(target, key_name)
        write_whole(out, canonical.encode(document))
        warn_unmet(open_)
        by = document["issuer"]["name"]
        done = {"file": out, "signed_by": by, "not_met": open_}
        print_result(done, f"{out}: signature of {by}, to be submitted", as_json=as_json)
        return
    signer = signer_of(key_name)
    strict = Settings().require_accepted_factors
    with database() as conn:
        open_ = life.submit(conn, target, signer, strict=strict)
    warn_unmet(open_)
    by = signer.holder.name
    done = {"statement": target, "state": "submitted", "signed_by": by, "not_met": open_}
    print_result(done, f"{target} is submitted, signed by {by}", as_json=as_json)


@click.command()
@target_argument
@key_option
@click.option(
    "--opinion",
    type=Choice(get_args(Opinion)),
    required=True,
    help=(
        "Verification opinion. adverse and disclaimer reject the statement; unmodified and "
        "modified mean unqualified and qualified."
    ),
)
@click.option(
    "--assurance",
    type=Choice(get_args(Assurance)),
    required=True,
    help="Level of assurance of the verification (ISO 14064-3).",
)
@click.option(
    "--materiality",
    default=USUAL_PERCENT,
    show_default=True,
    metavar="PERCENT",
    help=f"Materiality in percent of the reduction, at most {MAX_PERCENT}.",
)
@click.option(
    "--finding",
    "findings",
    multiple=True,
    help=("A remark, in addition to findings of `statement finding`; repeatable. Default: none."),
)
@click.option(
    "--report",
    metavar="FILE",
    type=FILE,
    help="File with your description of each parameter, requirement and open "
    "finding (`tonne statement template`). Signed and published.",
)
@click.option(
    "--procedure", metavar="TEXT", help="Verification procedures carried out, in your own words."
)
@click.option(
    "--team",
    "team",
    multiple=True,
    metavar="NAME:FUNCTION",
    help="Member of the verification team; repeatable. Default: none.",
)
@click.option(
    "--site-visit",
    "visits",
    multiple=True,
    metavar="DAY:PLACE:TEXT",
    help="Date, place and observations of a site visit; repeatable. Default: none.",
)
@click.option(
    "--reviewer",
    metavar="NAME:FUNCTION",
    help="Independent reviewer, outside the verification team; default: none.",
)
@click.option(
    "--signatory",
    metavar="NAME:FUNCTION",
    help="Person responsible for the verification; default: none.",
)
@click.option(
    "--accreditation",
    metavar="ID",
    help="Accreditation number; default: the one in your key's keyring entry.",
)
@out_option
@json_option
def verify(
    target: str,
    key_name: str,
    *,
    opinion: Opinion,
    assurance: Assurance,
    materiality: str,
    findings: tuple[str, ...],
    report: Path | None,
    procedure: str | None,
    team: tuple[str, ...],
    visits: tuple[str, ...],
    reviewer: str | None,
    signatory: str | None,
    accreditation: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """
    Recalculate a submitted statement from raw readings, and sign the opinion.

    Exit status 1, and nothing is stored, if the recalculation gives another statement. An opinion
    cannot be unqualified while a CAR or CL is open, while misstatements quantified in findings
    reach --materiality (net or absolute), or while --report lacks a parameter, a requirement, or
    the justification for a closed finding.

    With --out, and a PACK in place of an ID, the pack is verified and the opinion signed into a
    file without a database; the API accepts the file and recalculates everything.

    \b
    Example:
      tonne statement verify TN-roof-1-20260101-20260201-1 --key auditor \\
        --opinion unqualified --assurance reasonable --report verification.yaml
      tonne statement verify pack/ --key auditor --opinion qualified --assurance limited \\
        --out verification.json
    """
    percent = _percent(materiality)
    body = keys.load(Settings().home, key_name)[1].bounds.accreditation
    words = Words() if report is None else read(report, _claims(target, apart=out is not None))
    conclusion = Finding(
        opinion,
        assurance,
        percent,
        findings,
        words,
        procedure,
        tuple(person("--team", member) for member in team),
        tuple(site_visit(visit) for visit in visits),
        None if signatory is None else person("--signatory", signatory),
        accreditation or (body.id if body else None),
        None if reviewer is None else person("--reviewer", reviewer),
    )
    text = f"opinion {opinion_word(opinion)}, signed by"
    if out is not None:
        with failing():
            document = signed_opinion(target, key_name, conclusion)
        write_whole(out, canonical.encode(document))
        by = document["issuer"]["name"]
        done = {"file": out, "opinion": opinion, "signed_by": by}
        print_result(done, f"{out}: {text} {by}, to be submitted", as_json=as_json)
        return
    signer = signer_of(key_name)
    with database() as conn, failing(), bar(f"recalculating {target}"):
        state = life.verify(conn, target, signer, conclusion)
    by = signer.holder.name
    done = {"statement": target, "state": state, "opinion": opinion, "signed_by": by}
    print_result(done, f"{target} is {state}, {text} {by}", as_json=as_json)


def _claims(target: str, *, apart: bool) -> Claims:
    """Return the claims of a statement: with `apart` from a pack's path, else from the database."""
    if apart:
        with failing():
            return claims(target)
    with database() as conn:
        return documents(conn, target).claims


@click.command()
@target_argument
@click.option("--out", type=click.Path(path_type=Path), help="File to write; default: print.")
@json_option
def template(target: str, out: Path | None, *, as_json: bool) -> None:
    """
    Write a template of the verifier's record: means of verification per parameter and requirement.

    It lists the monitored parameters, the requirements and the open findings of the statement,
    with the available evidence: meters, certificates, invoices, check meters. Complete it for
    `tonne statement verify --report`. Give the statement's ID, or its PACK if there is no database.

    \b
    Example:
      tonne statement template TN-roof-1-20260101-20260201-1 --out verification.yaml
    """
    text = write_template(_claims(target, apart=Path(target).exists()))
    if out is not None:
        out.write_text(text, encoding="utf-8")
    if as_json:
        print_json({"statement": target, "file": out, "yaml": None if out else text})
    else:
        line = f"{out}: fill it in, then pass it as --report"
        click.echo(line if out else text, nl=out is not None)


def _percent(text: str) -> str:
    try:
        check_threshold(text)
    except InputError as error:
        raise InputError(f"--materiality {text!r}: {error}") from error
    return text


@click.command()
@target_argument
@key_option
@out_option
@json_option
def approve(target: str, key_name: str, out: Path | None, *, as_json: bool) -> None:
    """
    Approve the issue of a verified statement, as one of the required persons.

    The registry (`programme: {issue_signatures: 2}`) or the programme's trust root sets the
    required number of operators. Each signs with their own operator key. `issue` is rejected until
    enough have approved; `tonne verify` checks the number. With --out and a PACK instead of an ID,
    the pack is verified first and the approval is signed without a database; submit the file
    through the API.

    \b
    Example:
      tonne statement approve TN-roof-1-20260101-20260201-1 --key director
      tonne statement approve pack/ --key director --out approval.json
    """
    if out is not None:
        with failing():
            document = signed_approval(target, key_name)
        write_whole(out, canonical.encode(document))
        by = document["issuer"]["name"]
        done = {"file": out, "signed_by": by}
        print_result(done, f"{out}: approval of {by}, to be submitted", as_json=as_json)
        return
    signer = signer_of(key_name)
    with database() as conn:
        approval = life.approve(conn, target, signer)
    by = signer.holder.name
    done = {"statement": target, "approved_by": by, "approvals": approval}
    print_result(
        done, f"{target} is approved by {by}; approvals so far: {approval}", as_json=as_json
    )
