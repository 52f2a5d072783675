"""
Signatures of a statement and its verification, and the log entry of its issue.

The operator signs as the statement's issuer (eddsa-jcs-2022).  The verifier issues a separate
document that names the statement by id and digest.  Digests are of the canonical bytes of the
signed document, which are the bytes of its file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mrv.documents import UNSET, UnsetType, read, write
from mrv.documents.statement import claims_of
from mrv.documents.verification import (
    Assurance,
    Conclusion,
    FindingShown,
    Opinion,
    PersonNamed,
    SiteVisit,
    Verification,
)
from mrv.errors import CanonicalError
from mrv.signatures import canonical
from mrv.signatures.data_integrity import create_proof
from mrv.signatures.keys import EnrolledKey, SigningKey
from mrv.statement.conditions import check_threshold, credential_conditions, unmet
from mrv.statement.findings import Record
from mrv.statement.opinion import (
    Words,
    check_opinion,
    check_people,
    check_words,
    materiality,
    opinion_word,
)
from mrv.statement.states import about, digests, issuer, valid_from

VERIFICATION = ("VerifiableCredential", "VerificationStatement")
_OPINIONS = ("unqualified", "qualified", "adverse", "disclaimer")


@dataclass(frozen=True, slots=True)
class Finding:
    """
    Conclusions of a verifier.

    `opinion`: `unmodified` and `modified` are read as `unqualified` and `qualified`.
    `assurance`: 'reasonable' or 'limited'.
    `materiality_percent`: largest error that would not change the opinion, as decimal text. [%]
    `findings`: remarks, in addition to the signed findings.
    `words`: descriptions of each parameter, requirement and open finding.
    `procedure`: procedure in the verifier's words.
    `reviewer`: reviewer of the verification, not a member of the team.
    `signatory`: person responsible for the verification.
    `accreditation`: number of the verifier's accreditation.
    """

    opinion: Opinion
    assurance: Assurance
    materiality_percent: str
    findings: tuple[str, ...] = ()
    words: Words = field(default_factory=Words)
    procedure: str | None = None
    team: tuple[PersonNamed, ...] = ()
    site_visits: tuple[SiteVisit, ...] = ()
    signatory: PersonNamed | None = None
    accreditation: str | None = None
    reviewer: PersonNamed | None = None


def sign_statement(
    body: Mapping[str, Any], key: SigningKey, holder: EnrolledKey, created: datetime
) -> dict[str, Any]:
    """
    Return a statement's body signed by its issuer.

    Raises SignatureError if it is already signed.
    """
    return create_proof({**body, "issuer": issuer(holder)}, key, created)


def sign_verification(
    statement: Mapping[str, Any],
    finding: Finding,
    key: SigningKey,
    holder: EnrolledKey,
    created: datetime,
    records: Sequence[Record] = (),
) -> dict[str, Any]:
    """
    Return the verifier's signed credential over a signed statement.

    `statement`: statement with the operator's proof.
    `created`: time of signature, with a time zone.
    `records`: findings of this verification.
    Raises StatementStateError if an unqualified opinion has open findings or blank descriptions; if
    the materiality exceeds the permitted maximum.
    """
    document = verification_body(statement, finding, holder, valid_from(created), records)
    return create_proof(document, key, created)


def verification_body(
    statement: Mapping[str, Any],
    finding: Finding,
    holder: EnrolledKey,
    created: str,
    records: Sequence[Record],
) -> dict[str, Any]:
    """Return the verifier's credential without its proof; errors as `sign_verification`."""
    check_threshold(finding.materiality_percent)
    errors = materiality(statement, records, finding.materiality_percent)
    check_opinion(finding.opinion, records, errors)
    claims = claims_of(statement)
    check_words(finding.opinion, claims, finding.words)
    check_people(finding.team, finding.reviewer, finding.site_visits, created)
    subject = Conclusion(
        id=statement["id"],
        opinion=opinion_word(finding.opinion),
        level_of_assurance=finding.assurance,
        materiality_percent=finding.materiality_percent,
        misstatements=errors.stated(),
        findings=(
            *(record.credential_form() for record in records),
            *(FindingShown(kind="OBS", text=text) for text in finding.findings),
        ),
        unmet=credential_conditions(unmet(claims), finding.words.reasons),
        parameters=finding.words.parameters or UNSET,
        requirements=finding.words.requirements or UNSET,
        procedure=_text(finding.procedure),
        team=finding.team or UNSET,
        site_visits=finding.site_visits or UNSET,
        reviewer=finding.reviewer or UNSET,
        signatory=finding.signatory or UNSET,
        accreditation=_text(finding.accreditation),
    )
    return about(statement, "verification", VERIFICATION, (write(subject), holder, created))


def verification_of(document: Mapping[str, Any]) -> Verification:
    """Return a verifier's credential from JSON. Raises CanonicalError if it is not one."""
    return read(Verification, document, f"verification {document.get('id')!r}")


def conclusion_of(verification: Mapping[str, Any]) -> Finding:
    """
    Return the conclusions in a verifier's credential.

    Raises CanonicalError if it is not in the form that `verification_body` writes.
    """
    conclusion = verification_of(verification).credential_subject
    if conclusion.opinion not in _OPINIONS:
        raise CanonicalError(
            f"{verification.get('id')!r} has the opinion {conclusion.opinion!r}; sign one of "
            f"{', '.join(_OPINIONS)}"
        )
    remarks = tuple(
        finding.text for finding in conclusion.listed_findings if finding.remark and finding.text
    )
    return Finding(
        conclusion.opinion,
        conclusion.level_of_assurance,
        conclusion.materiality_percent,
        remarks,
        Words(
            conclusion.parameters or (),
            conclusion.requirements or (),
            tuple(condition.reason or "" for condition in conclusion.unmet or ()),
        ),
        conclusion.procedure or None,
        conclusion.team or (),
        conclusion.site_visits or (),
        conclusion.signatory or None,
        conclusion.accreditation or None,
        conclusion.reviewer or None,
    )


def _text(text: str | None) -> str | UnsetType:
    return UNSET if text is None else text


def issued_entry(
    statement: Mapping[str, Any],
    verification: Mapping[str, Any],
    approvals: Sequence[Mapping[str, Any]] = (),
) -> bytes:
    """Return the log entry for the issue of a statement with its verification."""
    more = {"approvalsSha256": digests(approvals)} if approvals else {}
    return canonical.encode(
        {
            "event": "issued",
            "statement": claims_of(statement).statement,
            "statementSha256": canonical.sha256_hex(canonical.encode(statement)),
            "verificationSha256": canonical.sha256_hex(canonical.encode(verification)),
            **more,
        }
    )


def revoked_entry(statement: str, reason: str) -> bytes:
    """Return the log entry for the revocation of a statement without replacement."""
    return canonical.encode({"event": "revoked", "statement": statement, "reason": reason})


def superseded_entry(statement: str, by: str) -> bytes:
    """Return the log entry for the replacement of a statement by another."""
    return canonical.encode({"event": "superseded", "statement": statement, "by": by})
