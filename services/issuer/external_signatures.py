"""
Documents signed on the holder's own machine, verified and stored; the verifier's report file.

Private keys stay with their holders.  A document signed on the server passes the same functions.

The verifier writes the report as a YAML file, from a template.  The template states known data;
data that are not part of the report are comments.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import msgspec
import yaml
from psycopg import Connection

from ingest.errors import InputError
from mrv.accounting import entered_values as acceptance
from mrv.documents import Form
from mrv.documents.statement import Claims, claims_of
from mrv.documents.verification import ParameterVerified, RequirementVerified
from mrv.errors import CanonicalError, StatementStateError, VerificationError
from mrv.report.words import Words as Language
from mrv.signatures import canonical
from mrv.signatures.data_integrity import proofs_of, time_of
from mrv.signatures.keys import EnrolledKey
from mrv.statement.compose import compose, label_of
from mrv.statement.conditions import check_reason, unmet
from mrv.statement.credentials import conclusion_of, verification_body
from mrv.statement.evidence import of_first_release
from mrv.statement.evidence_case import Case
from mrv.statement.findings import SIGNED_BY, Event, add, read_event
from mrv.statement.opinion import REJECTING, Words, known
from mrv.statement.sampling import check_sampling
from mrv.statement.states import (
    State,
    check_accreditation,
    check_approval,
    check_named,
    check_other,
    check_project,
    check_role,
    check_step,
    ended,
    lasts,
    people,
)
from mrv.verify.evidence_steps import first_difference
from services.issuer import documents as steps
from services.issuer.collect_evidence import collect
from services.issuer.documents import Documents
from services.issuer.further_evidence import by_name, files, fitting
from services.store.archive_catalog import snapshot
from services.store.registry import load as registry
from services.store.statements import evidence, statements
from services.store.statements.statements import Stored

# steps of a verification, and of drawing a sampling list, for progress reports
VERIFYING = ("signature", "plan, readings and intervals", "figures", "evidence")
SAMPLING = (*VERIFYING[:3], "list")
_ENDED = ("superseded", "revoked")
# tolerance between a status list's start and its time of signature
_MAX_DISTANCE = timedelta(minutes=5)


def statement(
    conn: Connection,
    name: str,
    document: Mapping[str, Any],
    *,
    strict: bool = False,
    principal: str | None = None,
) -> list[str]:
    """
    Store a draft signed by its operator; return its requirements not met.

    `document`: the draft's body with `issuer` and `proof`.
    `strict`: refuse a statement that uses an unverified factor not accepted by its project.
    `principal`: API principal that submits it.
    Raises StatementStateError if it is not a draft, or `strict` refuses it.
    Raises SignatureError or EnrolmentError if its body differs from the draft's, or it is not
    signed by an operator.
    """
    with conn.transaction():
        stored = statements.find(conn, name)
        check_step(name, stored.state, "submitted")
        body = canonical.parse_object(stored.body)
        check_body(name, body, strict=strict)
        steps.check_body(name, document, body)
        holder = steps.signer_of(conn, document, "operator", name)
        check_project(holder, stored.project, name)
        steps.take(conn, name, "submitted", holder, document, principal)
    return [str(condition) for condition in unmet(claims_of(body))]


def check_body(name: str, body: Mapping[str, Any], *, strict: bool) -> None:
    """Refuse, if `strict`, a document that uses an unverified factor without acceptance."""
    conditions = claims_of(body).applicability if strict else ()
    result = [c.words() for c in conditions if c.name == acceptance.UNVERIFIED and not c.holds]
    if result:
        raise StatementStateError(
            f"statement {name} cannot be signed: {'; '.join(result)}"
            " (TONNE_REQUIRE_ACCEPTED_FACTORS is set)"
        )


def verification(
    conn: Connection,
    name: str,
    document: Mapping[str, Any],
    principal: str | None = None,
    begun: Callable[[int, str], None] = lambda _number, _name: None,
) -> State:
    """
    Store a verifier's credential after recalculating everything from raw readings; return the new
    state.

    `begun`: called at the start of each of `VERIFYING`, with its number (from 1) and name; an
    adverse opinion has only the first.  Raises VerificationError if the recalculation gives another
    statement; an adverse opinion is still accepted.  Raises StatementStateError if an open finding
    contradicts the opinion, or the statement is not under verification.
    """
    conclusion = conclusion_of(document)
    wanted: State = "rejected" if conclusion.opinion in REJECTING else "verified"
    go_on = _through(VERIFYING, begun)
    go_on()
    with snapshot(conn):
        have = steps.documents(conn, name)
        check_step(name, have.stored.state, wanted)
        holder = _verifier(conn, have, document, principal)
        unsigned = {k: v for k, v in document.items() if k != "proof"}
        records = steps.records(conn, have)
        when = str(document.get("validFrom"))
        own = verification_body(have.statement, conclusion, holder, when, records)
        where = first_difference(own, unsigned)
        if where is not None:
            raise CanonicalError(
                f"{document.get('id')!r} is not the verification of {name} with its {len(records)} "
                f"findings: {where}; get statement and findings again, and sign them"
            )
        if wanted == "verified":
            # the evidence is stored now, since later readings must not change what was verified
            case = recompute(conn, have.stored, go_on)
            go_on()
            reused = fitting(conn, case)
            parts = {file: reused.part for file, reused in by_name(reused).items()}
            evidence.keep(conn, name, files(case, reused), parts)
        steps.take(conn, name, wanted, holder, document, principal)
    return wanted


def _verifier(
    conn: Connection, have: Documents, document: Mapping[str, Any], principal: str | None
) -> EnrolledKey:
    """Return the signer of a verification: a verifier, accredited, and of another organisation."""
    name = have.stored.id
    check_role(have.signers[0], "operator", name)
    holder = steps.signer_of(conn, document, "verifier", name)
    check_other(have.signers[0], holder)
    if not of_first_release(have.claims):
        for key in (have.signers[0], holder):
            check_named(key)
    check_project(holder, have.stored.project, name)
    check_accreditation(holder, have.claims.methodology.id, str(proofs_of(document)[0]["created"]))
    steps.check_principal(conn, name, principal)
    return holder


def _through(names: Sequence[str], begun: Callable[[int, str], None]) -> Callable[[], None]:
    """Return a function that reports the start of the next of `names` at each call."""
    at = iter(enumerate(names, 1))
    return lambda: begun(*next(at))


def recompute(conn: Connection, stored: Stored, go_on: Callable[[], None] = lambda: None) -> Case:
    """
    Return a statement's case, collected again; refuse if its figures differ from the statement.

    `go_on`: called before the case is collected, and before its figures are calculated.
    """
    go_on()
    body = canonical.parse_object(stored.body)
    label = label_of(claims_of(body, stored.id))
    case = collect(conn, stored.project, stored.from_us, stored.to_us, stored.supersedes)
    go_on()
    where = first_difference(compose(case, label), body)
    if where is not None:
        raise VerificationError(
            f"recomputing {stored.id} from the database",
            f"differs at {where}",
            "have the operator close the period again, or sign an adverse opinion",
        )
    return case


def finding(
    conn: Connection, name: str, document: Mapping[str, Any], principal: str | None = None
) -> Event:
    """
    Store an event of a finding and return it.

    The first event of a statement puts it under verification.

    Raises StatementStateError if the event is not possible now, or the statement is not being
    verified.  Raises SignatureError, EnrolmentError or CanonicalError if it has another form, or is
    not signed by an authorised key.
    """
    with conn.transaction():
        have = steps.in_verification(conn, name)
        event = read_event(document, have.statement)
        add(steps.records(conn, have), event)
        role = SIGNED_BY[event.what]
        if role == "verifier":
            holder = _verifier(conn, have, document, principal)
        else:
            holder = steps.signer_of(conn, document, role, name)
        check_reason(event.text, "the text of the finding")
        if have.stored.state == "submitted":
            steps.take(conn, name, "under_verification", holder, None, principal)
        evidence.insert_event(conn, event, holder, document, principal)
    return event


def approval(
    conn: Connection, name: str, document: Mapping[str, Any], principal: str | None = None
) -> int:
    """
    Store an operator's approval to issue a verified statement; return the number of approvals.

    Raises StatementStateError if the statement is not verified, or that holder approved already.
    Raises SignatureError, EnrolmentError or CanonicalError if it is not of this statement and
    verification, or not signed by an operator.
    """
    with conn.transaction():
        have = steps.documents(conn, name)
        check_step(name, have.stored.state, "issued")
        if have.verification is None:
            raise StatementStateError(
                f"the verification of {name} is missing; have the statement verified first"
            )
        holder = steps.signer_of(conn, document, "operator", name)
        check_approval(document, have.statement, have.verification, holder, have.stored.project)
        evidence.insert_approval(conn, name, holder, document, principal)
        return people(steps.approvers(conn, have)[1])


def status_list(
    conn: Connection, project: str, document: Mapping[str, Any], principal: str | None = None
) -> None:
    """
    Store a project's status list signed by its operator; readers get the newest.

    Raises SignatureError, EnrolmentError or CanonicalError if it is not a list of the project, is
    not signed by an authorised operator, or is not signed near the start of its validity.  Raises
    StatementStateError if it contradicts the state of a statement, or is older than the stored
    list.
    """
    with conn.transaction():
        registry.load_project(conn, project)
        holder = steps.signer_of(conn, document, "operator", f"the status list of {project}")
        check_project(holder, project, "the status list")
        signed = time_of(proofs_of(document)[0]["created"], "created").astimezone(UTC)
        begin, end = lasts(document)
        if not begin <= signed < end or signed - begin > _MAX_DISTANCE:
            raise CanonicalError(
                f"the status list is valid from {begin} to {end} and was signed at {signed}: it"
                " must begin near its signature and end after it begins; sign it again"
            )
        wrong = misstated(conn, project, document)
        if wrong:
            raise StatementStateError(
                f"the status list of {project} is wrong for {', '.join(sorted(wrong))}; sign a new "
                "list"
            )
        last = evidence.newest_status_list(conn, project)
        if last is not None and last.signed > signed:
            raise StatementStateError(
                f"the status list of {project} was signed at {signed}, and one of {last.signed} is"
                " published; sign a new list"
            )
        evidence.insert_status_list(conn, project, holder, signed, document, principal)


def misstated(conn: Connection, project: str, document: Mapping[str, Any]) -> set[str]:
    """Return the statements whose state is wrong in a project's status list."""
    every = {stored.id: stored.state in _ENDED for stored in statements.all_of(conn, project)}
    listed = ended(document, project, every)
    return {name for name, gone in every.items() if gone != (name in listed)}


def sampling(
    conn: Connection,
    name: str,
    document: Mapping[str, Any],
    principal: str | None = None,
    case: Case | None = None,
    begun: Callable[[int, str], None] = lambda _number, _name: None,
) -> tuple[int, int, int]:
    """
    Store a verifier's sampling list, and put the statement under verification; return its sizes.

    `case`: the statement's evidence, if already collected.
    `begun`: called at the start of each of `SAMPLING`, with its number (from 1) and name.
    Raises StatementStateError if a list was drawn before, or the statement is not being verified.
    Raises SignatureError, EnrolmentError or CanonicalError if the seed gives another list, or it is
    not signed by a verifier.

    Returns: numbers of device-days drawn at random, chosen by risk, and in total.
    """
    go_on = _through(SAMPLING, begun)
    go_on()
    with snapshot(conn):
        have = steps.in_verification(conn, name)
        holder = _verifier(conn, have, document, principal)
        case = case or recompute(conn, have.stored, go_on)
        go_on()
        result = check_sampling(document, have.statement, case, holder)
        if have.stored.state == "submitted":
            steps.take(conn, name, "under_verification", holder, None, principal)
        evidence.insert_sample(conn, name, holder, document, principal)
    return result


_WIDTH = 96
_HEAD = """\
Verification of {}. Write in words, each with at least 20 characters, what was done and
found: `means` and `opinion` of each parameter and requirement, and the `reason` for which each
open finding is closed. `source` and `crossChecked` contain what is known. An unqualified opinion
needs all of it; a finding without a reason stays open, and the opinion must be qualified. Then:
tonne statement verify {} --report THIS-FILE --key NAME
--opinion .. --assurance .."""


class FindingClosed(Form):
    """Open finding of the statement, and the verifier's reason for closing it."""

    rule: str
    text: str
    reason: str = ""


class Report(Form, rename=None):
    """Content of the verifier's file."""

    statement: str
    parameters: tuple[ParameterVerified, ...] = ()
    requirements: tuple[RequirementVerified, ...] = ()
    findings: tuple[FindingClosed, ...] = ()


def template(claims: Claims) -> str:
    """Return the template of a statement's verification file."""
    return "\n".join(_lines(claims)) + "\n"


def _lines(claims: Claims) -> Iterator[str]:
    words, language = known(claims), Language("en")
    yield from _comment(_HEAD.format(claims.statement, claims.statement), "")
    yield f"statement: {_text(claims.statement)}"
    yield "parameters:"
    for parameter in words.parameters:
        yield from _row(
            {
                "parameter": parameter.parameter,
                **({} if parameter.device is None else {"device": parameter.device}),
                "means": "",
                "source": parameter.source,
                "crossChecked": parameter.cross_checked,
                "opinion": "",
            }
        )
    yield "requirements:"
    for each in words.requirements:
        yield from _comment(language[f"requirement.{each.requirement}"], "  ")
        yield from _row({"requirement": each.requirement, "means": "", "opinion": ""})
    open_ = unmet(claims)
    yield "findings:" if open_ else "findings: []"
    for result in open_:
        cost = f", {result.tonnes} t" if result.tonnes else ""
        yield from _comment(f"{result.severity}{cost}", "  ")
        yield from _row({"rule": result.rule, "text": str(result), "reason": ""})


def _row(keys: dict[str, str]) -> Iterator[str]:
    for place, (key, value) in enumerate(keys.items()):
        yield f"  {'- ' if place == 0 else '  '}{key}: {_text(value)}"


def _text(text: str) -> str:
    # a JSON string is a YAML string as well
    return json.dumps(text, ensure_ascii=False)


def _comment(text: str, indent: str) -> Iterator[str]:
    for line in text.splitlines():
        for part in textwrap.wrap(line, _WIDTH):
            yield f"{indent}# {part}"


def read(path: Path, claims: Claims) -> Words:
    """
    Return the content of a verifier's file for a statement.

    Raises InputError if it has another form, is of another statement, or lists other findings.
    """
    try:
        safe_load = yaml.safe_load(path.read_text("utf-8-sig"))
        report = msgspec.convert(safe_load, Report)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, msgspec.ValidationError) as error:
        raise InputError(
            f"{path} is not a verification report: {error}; start from `tonne statement template`"
        ) from error
    if report.statement != claims.statement:
        raise InputError(
            f"{path} is the report on {report.statement!r}, not on {claims.statement}; pass "
            "the report on the latter"
        )
    stated = [(finding.rule, finding.text) for finding in report.findings]
    if stated != [(item.rule, str(item)) for item in unmet(claims)]:
        raise InputError(
            f"{path} lists other findings than {claims.statement} has; get them by"
            f" `tonne statement template {claims.statement}`"
        )
    reasons = tuple(finding.reason for finding in report.findings)
    return Words(report.parameters, report.requirements, reasons)
