"""
Steps of a statement's life, each in one transaction.

Each step verifies again that the signed document has the stored body and is signed by an enrolled
key of the right role.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from psycopg import Connection, errors

from mrv.calendar import instant_us
from mrv.documents import UNSET
from mrv.errors import EnrolmentError, SignatureError, StatementStateError
from mrv.log.entries import EVIDENCE, evidence_entry
from mrv.packs.pack import MANIFEST
from mrv.signatures import canonical
from mrv.signatures.keys import EnrolledKey
from mrv.statement.conditions import check_reason
from mrv.statement.credentials import (
    Finding,
    issued_entry,
    revoked_entry,
    sign_statement,
    sign_verification,
    superseded_entry,
)
from mrv.statement.evidence import of_first_release
from mrv.statement.opinion import REJECTING
from mrv.statement.sampling import Size, sign_sampling
from mrv.statement.states import (
    State,
    check_enough,
    check_named,
    check_other,
    check_role,
    check_step,
    people,
    sign_approval,
    sign_list,
)
from services.clock import now_us
from services.issuer import external_signatures as accept
from services.issuer import keys, pack
from services.issuer.documents import (
    Documents,
    Signer,
    documents,
    in_verification,
    may_sign,
    records,
)
from services.issuer.documents import approvers as approvers_of
from services.issuer.earlier_projects import counted_elsewhere
from services.issuer.log_differences import why_other
from services.issuer.registry_facts import lives_of
from services.issuer.registry_rules import LIFE, expired
from services.store.archive_catalog import snapshot
from services.store.registry import load as registry
from services.store.registry import signing_keys as enrolled
from services.store.registry.entries_from_rows import load_registry
from services.store.registry.programme import issue_signatures
from services.store.statements import account_spans as carried
from services.store.statements import evidence, statements
from services.store.statements import transparency_log as log

_ATTEMPTS = 20
_PAUSE_S = 0.05


def submit(conn: Connection, statement: str, signer: Signer, *, strict: bool = False) -> list[str]:
    """
    Sign a draft as its operator; return its requirements not met.

    `strict`: refuse a statement that uses an unverified factor not accepted by its project.  Raises
    StatementStateError if it is not a draft, or `strict` refuses it.
    """
    stored = statements.find(conn, statement)
    check_step(statement, stored.state, "submitted")
    now = may_sign(conn, signer.holder, "operator", statement)
    body = canonical.parse_object(stored.body)
    # checked before signing, so that a rejected draft is never signed
    accept.check_body(statement, body, strict=strict)
    signed = sign_statement(body, *signer, now)
    return accept.statement(conn, statement, signed, strict=strict)


def verify(conn: Connection, statement: str, signer: Signer, finding: Finding) -> str:
    """
    Recalculate a submitted statement, sign the verifier's opinion, and return the new state.

    The new state is verified or rejected.  Raises VerificationError if the recalculation gives
    another statement; an adverse opinion can still be signed.
    """
    have = documents(conn, statement)
    wanted: State = "rejected" if finding.opinion in REJECTING else "verified"
    check_step(statement, have.stored.state, wanted)
    now = may_sign(conn, signer.holder, "verifier", statement)
    result = records(conn, have)
    opinion = sign_verification(have.statement, finding, *signer, now, result)
    return accept.verification(conn, statement, opinion)


def sample(conn: Connection, statement: str, signer: Signer, size: Size) -> dict[str, Any]:
    """
    Draw device-days for the verifier; return the signed sampling list, a JSON object.

    Raises StatementStateError if a list was drawn before, or the statement is not being verified.
    """
    have = in_verification(conn, statement)
    now = may_sign(conn, signer.holder, "verifier", statement)
    with snapshot(conn):
        case = accept.recompute(conn, have.stored)
        document = sign_sampling(have.statement, case, size, *signer, now)
        accept.sampling(conn, statement, document, case=case)
    return document


def approve(conn: Connection, statement: str, signer: Signer) -> int:
    """
    Sign an approval to issue a verified statement; return the number of approvals so far.

    Raises StatementStateError if it is not verified, or that holder approved already.
    """
    have = documents(conn, statement)
    check_step(statement, have.stored.state, "issued")
    if have.verification is None:
        raise SignatureError(
            f"the verification of {statement} is missing; have the statement verified first"
        )
    now = may_sign(conn, signer.holder, "operator", statement)
    signed = sign_approval(have.statement, have.verification, *signer, now)
    return accept.approval(conn, statement, signed)


def issue(conn: Connection, statement: str, log_signer: Signer, by: EnrolledKey | str) -> int:
    """
    Issue a verified statement: claim its period, append it to the log, sign the head; return its
    index in the log.

    `log_signer`: key of the log.  `by`: person who issues, for the record: an operator's key, or a
    name.  Raises StatementStateError if it is not verified, or another issued statement covers part
    of its period.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return _issue(conn, statement, log_signer, by)
        except pack.OtherReadingsError as error:
            with snapshot(conn):
                why = why_other(conn, error.project, error.day)
            raise StatementStateError(f"{error}: {why}") from error
        except errors.ExclusionViolation as error:
            raise StatementStateError(_overlap(conn, statement)) from error
        except errors.CheckViolation as error:
            raise StatementStateError(str(error.diag.message_primary)) from error
        except (errors.DeadlockDetected, errors.SerializationFailure):
            # two issues of overlapping periods may wait for each other; when the step is repeated,
            # the second one finds the claim of the first
            time.sleep(_PAUSE_S * (attempt + 1))
    raise StatementStateError(
        f"statement {statement} could not be issued because other statements are being issued; "
        "try again"
    )


def _issue(conn: Connection, statement: str, log_signer: Signer, by: EnrolledKey | str) -> int:
    actor, multikey = (by, None) if isinstance(by, str) else (by.name, by.multikey)
    with conn.transaction():
        log.lock(conn)
        have = documents(conn, statement)
        check_step(statement, have.stored.state, "issued")
        if have.verification is None:
            raise SignatureError(
                f"the verification of {statement} is missing; have the statement verified first"
            )
        preparer, verifier = have.signers
        check_role(preparer, "operator", statement)
        check_role(verifier, "verifier", statement)
        check_other(preparer, verifier)
        if not of_first_release(have.claims):
            check_named(preparer)
            check_named(verifier)
        approved, approvers = approvers_of(conn, have)
        for signer in (*have.signers, *approvers):
            _check_key_valid(conn, signer, statement)
        check_enough(people(approvers), _required_approvals(conn, have), statement)
        now = may_sign(conn, log_signer.holder, "log", statement)
        if not isinstance(by, str):
            may_sign(conn, by, "operator", statement)
        old = have.stored.supersedes
        if old is not None:
            check_step(old, statements.find(conn, old).state, "superseded")
        _check_balance(conn, have)
        _check_methodology_valid(conn, have)
        if twice := next(counted_elsewhere(conn, have.claims), None):
            raise StatementStateError(f"{statement}: {twice}; and close the period again")
        statements.claim(conn, have.stored)
        statements.step(conn, statement, "issued", actor, multikey=multikey, at=now)
        entry = issued_entry(have.statement, have.verification, approved)
        index = log.append(conn, "issued", statement, entry)
        _seal_pack(conn, have, statement, now)
        if old is not None:
            statements.step(conn, old, "superseded", actor, reason=f"by {statement}")
            log.append(conn, "superseded", old, superseded_entry(old, statement))
        log.sign_head(conn, log_signer.holder.name, log_signer.key)
    return index


def _check_methodology_valid(conn: Connection, have: Documents) -> None:
    """Refuse to issue under an expired methodology, unless the statement reports it."""
    claims = have.claims
    if any(condition.name == LIFE and not condition.holds for condition in claims.applicability):
        return  # the verified statement reports the expired methodology
    project = registry.load_project(conn, claims.project.id)
    to_us = instant_us(claims.monitoring_period.to, "UTC")
    for text in expired(lives_of(load_registry(conn), project), project, to_us):
        raise StatementStateError(
            f"{text}, but the statement does not state this: close the period again and have it "
            "verified"
        )


def _required_approvals(conn: Connection, have: Documents) -> int:
    """
    Return the number of required approvals: the larger of the statement's and the
    programme's.
    """
    stated = have.claims.issue_signatures
    required = max(1 if stated is UNSET else stated, issue_signatures(conn))
    return required if required > 1 else 0


def _check_key_valid(conn: Connection, signer: EnrolledKey, statement: str) -> None:
    """Refuse a signer whose key has ended: nothing proves that it signed before the end."""
    try:
        enrolled.require(conn, signer, datetime.fromtimestamp(now_us() / 1e6, UTC))
    except EnrolmentError as error:
        raise EnrolmentError(
            f"{statement} cannot be issued: {error}; there is no proof that it was signed before "
            "that: have the period closed and signed again"
        ) from error


def _check_balance(conn: Connection, have: Documents) -> None:
    """Refuse a statement if a larger negative balance must be deducted now than at its close."""
    stored = have.stored
    deducted_ug = int(have.claims.carried.in_ug)
    devices = {p.device for p in have.claims.monitored_parameters}
    owed = carried.owed(conn, stored.project, devices, stored.from_us, stored.to_us)
    if owed.ug < deducted_ug:
        raise StatementStateError(
            f"statement {stored.id} deducts a balance of {deducted_ug} ug, but the issued"
            f" statements {owed.statements} now leave a balance of {owed.ug} ug: close its period"
            " again"
        )


def _seal_pack(conn: Connection, have: Documents, statement: str, issued: datetime) -> None:
    """Complete the stored evidence and append its manifest to the log, which makes it final."""
    signed = pack.StatementDocuments(have.statement, have.verification, have.signers)
    kept = evidence.kept(conn, statement)
    whole = pack.complete(conn, signed, kept, issued=issued)
    mine = {n: d for n, d in whole.items() if n not in kept and n not in pack.SIGNED}
    evidence.keep(conn, statement, mine)
    entry = evidence_entry(statement, whole[MANIFEST])
    log.append(conn, EVIDENCE, statement, entry)


def _overlap(conn: Connection, statement: str) -> str:
    stored = statements.find(conn, statement)
    others = statements.claims_within(conn, stored.project, stored.from_us, stored.to_us)
    return (
        f"the period of {statement} overlaps that of issued {', '.join(others) or 'others'};"
        " a tonne is claimed once: use `tonne statement supersede` to replace an issued one"
    )


def revoke(
    conn: Connection, statement: str, log_signer: Signer, by: EnrolledKey | str, reason: str
) -> int:
    """
    Revoke an issued statement, end its claim, and log the reason; return the index in the log.

    `log_signer`: key of the log.
    `by`: person who revokes, for the record: an operator's key, or a name.
    `reason`: public, in the log.
    Raises StatementStateError if it is not issued, or the reason is empty.
    """
    check_reason(reason)
    actor, multikey = (by, None) if isinstance(by, str) else (by.name, by.multikey)
    with conn.transaction():
        log.lock(conn)
        check_step(statement, statements.find(conn, statement).state, "revoked")
        may_sign(conn, log_signer.holder, "log", statement)
        if not isinstance(by, str):
            may_sign(conn, by, "operator", statement)
        statements.unclaim(conn, statement)
        statements.step(conn, statement, "revoked", actor, multikey=multikey, reason=reason)
        index = log.append(conn, "revoked", statement, revoked_entry(statement, reason))
        log.sign_head(conn, log_signer.holder.name, log_signer.key)
    return index


def status_list(conn: Connection, project: str, signer: Signer) -> bytes:
    """
    Sign and publish a project's status list of statements no longer valid; return its bytes.

    Raises EnrolmentError if the key is not enrolled now as an operator's.  Raises RegistryError if
    there is no such project.
    """
    registry.load_project(conn, project)
    now = may_sign(conn, signer.holder, "operator", f"list of {project}")
    every = statements.all_of(conn, project)
    ended = [stored.id for stored in every if stored.state in ("superseded", "revoked")]
    signed = sign_list(project, [stored.id for stored in every], ended, *signer, now)
    accept.status_list(conn, project, signed)
    return canonical.encode(signed)


def log_signer(conn: Connection, home: Path, name: str) -> Signer:
    """
    Return the key of the log, created and enrolled at first use.

    After a rotation it is the new key, even under the old name.

    Raises EnrolmentError if the log's key has ended, or its secret is not stored here.
    """
    holders = [enrolment.key for enrolment in enrolled.load(conn) if enrolment.key.role == "log"]
    now = datetime.fromtimestamp(now_us() / 1e6, UTC)
    until = ((key, key.valid_until) for key in holders)
    live = [key for key, end in until if end is None or datetime.fromisoformat(end) > now]
    if not holders:
        if name not in keys.names(home):
            keys.create(home, name, "log")
        signer = Signer(*keys.load(home, name))
        enrolled.enroll(conn, signer.holder)
        return signer
    if not live:
        raise EnrolmentError(
            f"the log's key {holders[-1].name!r} has ended, so nothing is entered in the log;"
            f" `tonne keys rotate {holders[-1].name}` creates its next key"
        )
    current = live[-1]
    named = name if current.name not in keys.names(home) else current.name
    signer = Signer(*keys.load(home, named))
    if signer.holder != current:
        raise EnrolmentError(
            f"the log is signed by {current.name!r} ({current.multikey}), not by {named!r};"
            " pass the key file of that log with --log-key"
        )
    return signer
