"""
A statement's signed documents, verified before each step, and signatures of findings.

Each step verifies again that a signed document has the stored body and is signed by an enrolled key
of the right role.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from psycopg import Connection, errors

from mrv.documents import UNSET, UnsetType
from mrv.documents.statement import Claims, claims_of
from mrv.documents.verification import About
from mrv.errors import EnrolmentError, SignatureError, StatementStateError
from mrv.signatures import canonical
from mrv.signatures.data_integrity import proofs_of, time_of, verify_proof
from mrv.signatures.keys import EnrolledKey, Role, SigningKey
from mrv.statement.compose import TYPES
from mrv.statement.findings import SIGNED_BY, Record, What, fold, read_event, sign_event
from mrv.statement.states import State, check_approval, check_role, check_step, issuer
from services.clock import now_us
from services.store.registry import signing_keys as enrolled
from services.store.statements import evidence, statements
from services.store.statements.statements import Stored

# maximum time by which the clock of the signer's machine may be ahead, as for readings
_AHEAD = timedelta(minutes=5)


class Signer(NamedTuple):
    """Secret key and its holder."""

    key: SigningKey
    holder: EnrolledKey


@dataclass(frozen=True, slots=True)
class Documents:
    """A statement's documents so far: the signed statement, and its verification."""

    stored: Stored
    statement: dict[str, Any]
    verification: dict[str, Any] | None
    signers: tuple[EnrolledKey, ...]

    @property
    def claims(self) -> Claims:
        """Return the statement's claims."""
        return claims_of(self.statement, self.stored.id)


def documents(conn: Connection, statement: str) -> Documents:
    """
    Return a statement's documents after checking their proofs with the enrolled keys.

    Raises SignatureError or EnrolmentError if a stored document has another body than stored, or no
    valid signature.
    """
    stored = statements.find(conn, statement)
    body = canonical.parse_object(stored.body)
    steps = statements.events(conn, statement)
    by_state = {e.state: e.document for e in steps if e.document}
    if "submitted" not in by_state:
        return Documents(stored, body, None, ())
    trusted = [enrolment.key for enrolment in enrolled.load(conn)]
    signed = canonical.parse_object(by_state["submitted"])
    check_body(statement, signed, body)
    signers = [verify_proof(signed, trusted)]
    opinion = by_state.get("verified") or by_state.get("rejected")
    verification = None if opinion is None else canonical.parse_object(opinion)
    if verification is not None:
        signers.append(verify_proof(verification, trusted))
    return Documents(stored, signed, verification, tuple(signers))


def in_verification(conn: Connection, statement: str) -> Documents:
    """Return the documents of a statement whose verification can begin or has begun."""
    have = documents(conn, statement)
    if have.stored.state != "under_verification":
        check_step(statement, have.stored.state, "under_verification")
    return have


def check_body(statement: str, signed: Mapping[str, Any], body: Mapping[str, Any]) -> None:
    """Refuse a signed document whose body differs from the stored one; SignatureError."""
    if {k: v for k, v in signed.items() if k not in ("issuer", "proof")} != body:
        raise SignatureError(
            f"the signed text differs from the stored body of {statement}; sign the stored body"
        )


def may_sign(conn: Connection, holder: EnrolledKey, role: Role, statement: str) -> datetime:
    """Refuse a key of the wrong role or not enrolled; return the time of signing."""
    check_role(holder, role, statement)
    now = datetime.fromtimestamp(now_us() / 1e6, UTC)
    enrolled.require(conn, holder, now)
    return now


def signer_of(
    conn: Connection, document: Mapping[str, Any], role: Role, statement: str
) -> EnrolledKey:
    """
    Return the signer of an external document; the key must be valid now.

    Raises SignatureError or EnrolmentError if the proof is invalid, its key has another role or has
    ended, the document names another issuer, or it is dated in the future.
    """
    key = verify_proof(document, [enrolment.key for enrolment in enrolled.load(conn)])
    _check_times(document, may_sign(conn, key, role, statement))
    if document.get("issuer") != issuer(key):
        raise EnrolmentError(
            f"{document.get('id')} is signed by {key.name!r}, who is not its issuer;"
            f" name {issuer(key)} as the issuer and sign again"
        )
    return key


def _check_times(document: Mapping[str, Any], now: datetime) -> None:
    """Refuse a document that is dated in the future; SignatureError."""
    times = {"proof created": proofs_of(document)[0]["created"]}
    if document.get("type") != list(TYPES):  # validFrom of a statement is the end of its period
        times["validFrom"] = document.get("validFrom")
    for name, text in times.items():
        if time_of(text, name) > now + _AHEAD:
            raise SignatureError(
                f"{document.get('id')}: {name} is {text}, and it is {now:%Y-%m-%dT%H:%M:%SZ};"
                " set the signer's clock and sign again"
            )


def take(
    conn: Connection,
    statement: str,
    state: State,
    holder: EnrolledKey,
    document: Mapping[str, Any] | None,
    principal: str | None = None,
) -> None:
    """Store a step of a statement; StatementStateError if another one was stored meanwhile."""
    try:
        data = None if document is None else canonical.encode(document)
        statements.step(
            conn, statement, state, holder.name,
            multikey=holder.multikey, document=data, principal=principal,
        )  # fmt: skip
    except (errors.CheckViolation, errors.UniqueViolation) as error:
        # another process took the step between the check and this write
        reason = " ".join(str(error).split())
        raise StatementStateError(f"{reason}; see `tonne statement show {statement}`") from error


def check_principal(conn: Connection, statement: str, principal: str | None) -> None:
    """Refuse an API principal that also prepared the statement; EnrolmentError."""
    taken = {
        e.principal
        for e in statements.events(conn, statement)
        if e.state in ("draft", "submitted") and e.principal
    }
    respondents = evidence.event_principals(conn, statement, "answered")
    if principal is not None and principal in taken | respondents:
        raise EnrolmentError(
            f"{principal} prepared statement {statement} and cannot verify it; the verifier needs "
            "its own API principal"
        )


def approvers(conn: Connection, have: Documents) -> tuple[list[dict[str, Any]], list[EnrolledKey]]:
    """
    Return a statement's approvals and their signers, every proof checked.

    Raises SignatureError, EnrolmentError or CanonicalError if a stored approval is not signed over
    these documents.
    """
    trusted = [enrolment.key for enrolment in enrolled.load(conn)]
    result, holders = [], []
    for data in evidence.approvals(conn, have.stored.id):
        document = canonical.parse_object(data)
        holder = verify_proof(document, trusted)
        verification = have.verification or {}
        check_approval(document, have.statement, verification, holder, have.stored.project)
        result.append(document)
        holders.append(holder)
    return result, holders


def records(conn: Connection, have: Documents) -> tuple[Record, ...]:
    """
    Return a statement's findings with their current state, every proof checked.

    Raises SignatureError, EnrolmentError or CanonicalError if a stored event differs from the
    signed one.
    """
    trusted = [enrolment.key for enrolment in enrolled.load(conn)]
    events = []
    for data in evidence.events(conn, have.stored.id):
        document = canonical.parse_object(data)
        verify_proof(document, trusted)
        events.append(read_event(document, have.statement))
    return fold(events)


def sign(
    conn: Connection,
    statement: str,
    signer: Signer,
    event: tuple[What, str, str, str | None],
    about: About | UnsetType = UNSET,
) -> dict[str, Any]:
    """
    Return a signed event of a finding, to be stored by `accept.finding`.

    `event`: event, finding (a kind for a new one), text, effect as decimal text. [t CO2e]  `about`:
    devices and days that a new finding concerns.  Raises StatementStateError or EnrolmentError if
    the event is not possible now, or the key has the wrong role.
    """
    have = documents(conn, statement)
    if not have.signers:
        raise StatementStateError(
            f"statement {statement} is {have.stored.state}: it is not signed yet; run `tonne "
            "statement submit` first"
        )
    now = may_sign(conn, signer.holder, SIGNED_BY[event[0]], statement)
    return sign_event(have.statement, records(conn, have), event, *signer, now, about)
