"""
The steps of a statement's life, each one transaction.

Every step checks again what the earlier ones left: that the signed document is
of the stored body, by an enrolled key of the right role.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg import errors

from mrv import acceptance, canonical
from mrv.errors import EnrolmentError, SignatureError, StatementStateError, VerificationError
from mrv.log.entries import EVIDENCE, evidence_entry
from mrv.signing import verify_proof
from mrv.statement.body import Label, compose
from mrv.statement.credentials import (
    issued_entry,
    sign_statement,
    sign_verification,
    superseded_entry,
)
from mrv.statement.life import check_other, check_role, check_step
from mrv.statement.status import sign_list
from mrv.verify.figures import first_difference
from mrv.verify.pack import MANIFEST
from services.clock import now_us
from services.issuer import bundle, keys
from services.issuer.close import snapshot
from services.issuer.collect import collect
from services.issuer.evidence import files
from services.store import enrolled, evidence, log, registry, statements

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from psycopg import Connection
    from psycopg.rows import TupleRow

    from mrv.keys import EnrolledKey, Role, SigningKey
    from mrv.statement.case import Case
    from mrv.statement.credentials import Finding
    from mrv.statement.life import State
    from services.store.statements import Stored

_ATTEMPTS = 20
_PAUSE_S = 0.05


class Signer(NamedTuple):
    """A secret key and whose it is."""

    key: SigningKey
    holder: EnrolledKey


@dataclass(frozen=True, slots=True)
class Documents:
    """A statement's documents so far: as it was signed, and as it was verified."""

    stored: Stored
    statement: dict[str, Any]
    verification: dict[str, Any] | None
    signers: tuple[EnrolledKey, ...]


def documents(conn: Connection[TupleRow], statement: str) -> Documents:
    """
    Return a statement's documents, their proofs checked against the enrolled keys.

    Raises
    ------
    SignatureError, EnrolmentError
        If a stored document is not of the stored body or not properly signed.
    """
    stored = statements.find(conn, statement)
    body = canonical.parse_object(stored.body)
    held = {e.state: e.document for e in statements.events(conn, statement) if e.document}
    if "submitted" not in held:
        return Documents(stored, body, None, ())
    trusted = [one.key for one in enrolled.load(conn)]
    signed = canonical.parse_object(held["submitted"])
    if {k: v for k, v in signed.items() if k not in ("issuer", "proof")} != body:
        raise SignatureError(f"what was signed for {statement} is not its body; do not use it")
    signers = [verify_proof(signed, trusted)]
    opinion = held.get("verified") or held.get("rejected")
    verification = None if opinion is None else canonical.parse_object(opinion)
    if verification is not None:
        signers.append(verify_proof(verification, trusted))
    return Documents(stored, signed, verification, tuple(signers))


def submit(
    conn: Connection[TupleRow], statement: str, signer: Signer, *, strict: bool = False
) -> list[str]:
    """
    Sign a draft as its operator.

    Parameters
    ----------
    strict : bool
        Refuse a statement that rests on a factor from memory which its project
        does not accept by name.

    Returns
    -------
    list of str
        Conditions that do not hold, as the statement says them.

    Raises
    ------
    StatementStateError
        If it is no draft, or `strict` does not let it pass.
    """
    with conn.transaction():
        stored = statements.find(conn, statement)
        check_step(statement, stored.state, "submitted")
        now = _may_sign(conn, signer.holder, "operator", statement)
        body = canonical.parse_object(stored.body)
        unmet = unmet_conditions(body)
        if strict and acceptance.CLAUSE in unmet:
            raise StatementStateError(
                f"statement {statement} may not be signed: {unmet[acceptance.CLAUSE]}"
                " (TONNE_REQUIRE_ACCEPTED_FACTORS is set)"
            )
        _step(conn, statement, "submitted", signer, sign_statement(body, *signer, now))
    return [f"{clause}: {detail}" for clause, detail in unmet.items()]


def unmet_conditions(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the conditions that a statement says do not hold, with what is wrong."""
    found = document["credentialSubject"]["applicability"]
    return {one["clause"]: one["detail"] for one in found if not one["holds"]}


def verify(conn: Connection[TupleRow], statement: str, signer: Signer, finding: Finding) -> str:
    """
    Verify a submitted statement: compute everything again, then sign the opinion.

    Returns
    -------
    str
        The state it is in now, verified or rejected.

    Raises
    ------
    VerificationError
        If the database gives another statement; an adverse opinion may still be signed.
    """
    wanted: State = "rejected" if finding.opinion == "adverse" else "verified"
    with snapshot(conn):
        have = documents(conn, statement)
        check_step(statement, have.stored.state, wanted)
        now = _may_sign(conn, signer.holder, "verifier", statement)
        check_other(have.signers[0], signer.holder)
        check_role(have.signers[0], "operator", statement)
        if wanted == "verified":
            # kept now: readings that come later must not change what was verified
            evidence.keep(conn, statement, files(_recompute(conn, have.stored)))
        opinion = sign_verification(have.statement, finding, *signer, now)
        _step(conn, statement, wanted, signer, opinion)
    return wanted


def _recompute(conn: Connection[TupleRow], stored: Stored) -> Case:
    """Collect a statement's case again; refuse if the statement does not follow from it."""
    body = canonical.parse_object(stored.body)
    said = body["credentialSubject"]
    superseded = said["supersedes"] or {"statement": None, "reason": None}
    label = Label(
        stored.sequence, said["codeVersion"], superseded["statement"], superseded["reason"]
    )
    case = collect(conn, stored.project, stored.from_us, stored.to_us)
    where = first_difference(compose(case, label), body)
    if where is not None:
        raise VerificationError(
            f"recomputing {stored.id} from the database",
            f"differs at {where}",
            "have the operator close the period again, or sign an adverse opinion",
        )
    return case


def issue(
    conn: Connection[TupleRow], statement: str, log_signer: Signer, by: EnrolledKey | str
) -> int:
    """
    Issue a verified statement: claim its period, enter it in the log, sign the log's head.

    Parameters
    ----------
    log_signer : Signer
        Key of the log.
    by : EnrolledKey or str
        Who issues, for the record: an operator's key, or a name.

    Returns
    -------
    int
        Its place in the log.

    Raises
    ------
    StatementStateError
        If it is not verified, or another issued statement covers part of its period.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return _issue(conn, statement, log_signer, by)
        except errors.ExclusionViolation as error:
            raise StatementStateError(_overlap(conn, statement)) from error
        except (errors.DeadlockDetected, errors.SerializationFailure):
            # two that want overlapping periods may each wait for the other:
            # whoever comes second finds the claim of the first
            time.sleep(_PAUSE_S * (attempt + 1))
    raise StatementStateError(
        f"statement {statement} could not be issued beside others that are being issued; try again"
    )


def _issue(
    conn: Connection[TupleRow], statement: str, log_signer: Signer, by: EnrolledKey | str
) -> int:
    actor, multikey = (by, None) if isinstance(by, str) else (by.name, by.multikey)
    with conn.transaction():
        log.lock(conn)
        have = documents(conn, statement)
        check_step(statement, have.stored.state, "issued")
        if have.verification is None:
            raise SignatureError(f"the verification of {statement} is missing; do not issue it")
        preparer, verifier = have.signers
        check_role(preparer, "operator", statement)
        check_role(verifier, "verifier", statement)
        check_other(preparer, verifier)
        _may_sign(conn, log_signer.holder, "log", statement)
        if not isinstance(by, str):
            _may_sign(conn, by, "operator", statement)
        old = have.stored.supersedes
        if old is not None:
            check_step(old, statements.find(conn, old).state, "superseded")
        statements.claim(conn, have.stored)
        statements.step(conn, statement, "issued", actor, multikey=multikey)
        entry = issued_entry(have.statement, have.verification)
        index = log.append(conn, "issued", statement, entry)
        _seal_pack(conn, have, statement)
        if old is not None:
            statements.step(conn, old, "superseded", actor, reason=f"by {statement}")
            log.append(conn, "superseded", old, superseded_entry(old, statement))
        log.sign_head(conn, log_signer.holder.name, log_signer.key)
    return index


def _seal_pack(conn: Connection[TupleRow], have: Documents, statement: str) -> None:
    """Complete the evidence that was kept, and enter its manifest: nothing is added later."""
    papers = bundle.Papers(have.statement, have.verification, have.signers)
    kept = evidence.kept(conn, statement)
    whole = bundle.complete(conn, papers, kept, logged=True)
    mine = {n: d for n, d in whole.items() if n not in kept and n not in bundle.SIGNED}
    evidence.keep(conn, statement, mine)
    entry = evidence_entry(statement, whole[MANIFEST])
    log.append(conn, EVIDENCE, statement, entry)


def _overlap(conn: Connection[TupleRow], statement: str) -> str:
    stored = statements.find(conn, statement)
    others = statements.claims_within(conn, stored.project, stored.from_us, stored.to_us)
    return (
        f"the period of {statement} overlaps that of issued {', '.join(others) or 'others'};"
        " a tonne is claimed once: use `tonne statement supersede` to replace an issued one"
    )


def status_list(conn: Connection[TupleRow], project: str, signer: Signer) -> bytes:
    """
    Sign a project's status list: which of its statements count no more.

    Raises
    ------
    EnrolmentError
        If the key is not enrolled as operator's, now.
    RegistryError
        If there is no such project.
    """
    registry.load_project(conn, project)
    now = _may_sign(conn, signer.holder, "operator", f"list of {project}")
    every = statements.all_of(conn, project)
    ended = [one.id for one in every if one.state in ("superseded", "revoked")]
    return canonical.encode(sign_list(project, [one.id for one in every], ended, *signer, now))


def log_signer(conn: Connection[TupleRow], home: Path, name: str) -> Signer:
    """
    Return the key of the log; the first time, make and enrol it.

    Raises
    ------
    EnrolmentError
        If the log has a key already whose secret is not here.
    """
    holders = [one.key for one in enrolled.load(conn) if one.key.role == "log"]
    if not holders and name not in keys.names(home):
        keys.create(home, name, "log")
    signer = Signer(*keys.load(home, name))
    if not holders:
        enrolled.enroll(conn, signer.holder)
    elif signer.holder not in holders:
        raise EnrolmentError(
            f"the log is signed by {holders[0].name!r} ({holders[0].multikey}), not by {name!r};"
            " give the key file of that log with --log-key"
        )
    return signer


def _may_sign(
    conn: Connection[TupleRow], holder: EnrolledKey, role: Role, statement: str
) -> datetime:
    """Refuse a key of the wrong role or without enrolment; return the time of signing."""
    check_role(holder, role, statement)
    now = datetime.fromtimestamp(now_us() / 1e6, UTC)
    enrolled.require(conn, holder, now)
    return now


def _step(
    conn: Connection[TupleRow], statement: str, state: str, signer: Signer, document: object
) -> None:
    try:
        statements.step(
            conn,
            statement,
            state,
            signer.holder.name,
            multikey=signer.holder.multikey,
            document=canonical.encode(document),
        )
    except (errors.CheckViolation, errors.UniqueViolation) as error:
        # somebody took the step between our look and our write
        reason = " ".join(str(error).split())
        raise StatementStateError(f"{reason}; `tonne statement show {statement}`") from error
