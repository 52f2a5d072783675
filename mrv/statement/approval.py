"""
Approval of an issue by two or more people, if the programme requires it.

Each signs a credential over the signed statement and its verification, with an operator's key.  The
log entry of the issue names all of them, so that none can be removed or added later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from mrv.documents.form import read, write
from mrv.documents.verification import Approved, IssueApproval
from mrv.errors import CanonicalError, EnrolmentError, SignatureError
from mrv.signatures import canonical
from mrv.signatures.data_integrity import create_proof, proofs_of, time_of
from mrv.signatures.keys import EnrolledKey, SigningKey
from mrv.signatures.organisations import normalised
from mrv.statement.states import (
    CONTEXT,
    about,
    check_project,
    check_role,
    issuer,
    related,
    valid_from,
)

TYPES = ("VerifiableCredential", "IssueApproval")


def sign_approval(
    statement: Mapping[str, Any],
    verification: Mapping[str, Any],
    key: SigningKey,
    holder: EnrolledKey,
    created: datetime,
) -> dict[str, Any]:
    """Return a signed approval of the issue of a verified statement."""
    approved = Approved(id=statement["id"], verification_sha256=_digest(verification))
    part = f"approval:{holder.multikey}"
    document = about(statement, part, TYPES, (write(approved), holder, valid_from(created)))
    return create_proof(document, key, created)


def check_approval(
    document: Mapping[str, Any],
    statement: Mapping[str, Any],
    verification: Mapping[str, Any],
    holder: EnrolledKey,
    project: str,
) -> None:
    """
    Refuse an approval of another statement or verification; the caller checks its proof.

    Raises
    ------
    CanonicalError, SignatureError, EnrolmentError
        If it is in another form, of other documents, earlier than the verification, or not by an
        operator of the project.
    """
    name = str(document.get("id"))
    check_role(holder, "operator", statement["id"])
    check_project(holder, project, name)
    if (
        document.get("@context") != list(CONTEXT)
        or document.get("type") != list(TYPES)
        or document.get("id") != f"{statement['id']}:approval:{holder.multikey}"
        or document.get("issuer") != issuer(holder)
    ):
        raise CanonicalError(
            f"{name!r} is not an approval of {statement['id']} by {holder.name}; have the "
            "statement approved again"
        )
    approved = read(IssueApproval, document, f"approval {name!r}").credential_subject
    named = [related(statement["id"], canonical.encode(statement))]
    if (
        document["relatedResource"] != named
        or approved.id != statement["id"]
        or approved.verification_sha256 != _digest(verification)
    ):
        raise SignatureError(
            f"{name} approves another statement or another verification; have this one approved"
        )
    times = [proofs_of(credential)[0]["created"] for credential in (verification, document)]
    if time_of(times[1], "created") < time_of(times[0], "created"):
        raise SignatureError(
            f"{name} was signed at {times[1]}, before the verification; have the statement "
            "approved again"
        )


def people(holders: Iterable[EnrolledKey]) -> int:
    """Return the number of approving people; two keys of one holder are one person."""
    return len({normalised(holder.name) for holder in holders})


def check_enough(result: int, wanted: int, statement: str) -> None:
    """Refuse an issue with too few approvals; EnrolmentError states the next step."""
    if result < wanted:
        raise EnrolmentError(
            f"{wanted} approvals are required to issue {statement}; signed so far: {result}; "
            f"each person signs with `tonne statement approve {statement} --key NAME`"
        )


def digests(approvals: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the digests by which the log names approvals, in their order."""
    return sorted(map(_digest, approvals))


def _digest(document: Mapping[str, Any]) -> str:
    return canonical.sha256_hex(canonical.encode(document))
