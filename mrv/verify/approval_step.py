"""Verification step on approvals of the issue, as required by statement or programme."""

from __future__ import annotations

from typing import Any

from mrv.documents.form import UNSET
from mrv.errors import SignatureError
from mrv.packs.pack import APPROVALS
from mrv.signatures.data_integrity import proofs_of, time_of, verify_proof
from mrv.signatures.keys import EnrolledKey
from mrv.statement.approval import check_approval, people
from mrv.verify.signature_steps import AHEAD
from mrv.verify.subject import NotApplicableError, Subject


def approvals(subject: Subject) -> str:
    """Each approval is valid and for these documents, and their number is sufficient."""
    own, asked = _own(subject), _programmes(subject)
    if subject.verification is None and subject.approvals:
        raise SignatureError(f"{APPROVALS} is present, but the statement is not verified")
    if subject.approvals or (subject.receipt is not None and max(own, asked) > 1):
        subject.needs_keys("operator")
    holders = [_approver(subject, document) for document in subject.approvals]
    found = people(holders)
    if subject.receipt is None:
        raise NotApplicableError(f"not issued yet, {found} approvals so far")
    if not found and max(own, asked) == 1:
        return "only the preparer's signature is required"
    if own > 1 and found < own:
        raise SignatureError(
            f"{own} approvals are required by the statement; signed so far: {found}"
        )
    if found < asked:
        subject.lack(
            "approvals",
            "issued",
            f"approval of the issue by {asked} people, as {subject.source} requires: "
            f"{found} approved",
            "approvals cannot be added after issue; have the statement superseded "
            "by one with enough approvals",
        )
    return f"{found} people approved: {', '.join(sorted({holder.name for holder in holders}))}"


def _own(subject: Subject) -> int:
    said = subject.claims.issue_signatures
    return 1 if said is UNSET else said


def _programmes(subject: Subject) -> int:
    """How many the programme asks for, of periods that end after it began to ask."""
    rule = subject.issue_rule
    if rule is None:
        return 1
    end = time_of(subject.claims.monitoring_period.to, "end of the period")
    return rule.threshold if end > time_of(rule.since, "since") else 1


def _approver(subject: Subject, document: dict[str, Any]) -> EnrolledKey:
    holder = verify_proof(document, subject.ring)
    project = subject.claims.project.id
    check_approval(document, subject.statement, subject.verification or {}, holder, project)
    at = time_of(proofs_of(document)[0]["created"], "created")
    if at - AHEAD > subject.at:
        raise SignatureError(
            f"{document['id']} was signed at {at}, but the check is for {subject.at}"
        )
    return holder
