"""
Who says it: the operator's proof, the verifier's own credential, the log's entry.

The operator becomes the statement's issuer and proves it (eddsa-jcs-2022).  The
verifier does not add to that document but issues another one about it, naming
it by id and digest, so that each document stands alone.  Digests are of the
canonical bytes of the signed document, which are the bytes of its file.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from mrv.errors import CanonicalError
from mrv.signatures import canonical
from mrv.signatures.data_integrity import create_proof
from mrv.signatures.multibase import sha256_multibase
from mrv.statement.compose import CONTEXT
from mrv.statement.opinion import (
    Assurance,
    Opinion,
    check_opinion,
    decimal,
    materiality,
    opinion_word,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from mrv.signatures.keys import EnrolledKey, SigningKey
    from mrv.statement.findings import Record

VERIFICATION = ("VerifiableCredential", "VerificationStatement")
MEDIA_TYPE = "application/vc"
_OPINIONS = ("unqualified", "qualified", "adverse", "disclaimer")
_ASSURANCES = ("reasonable", "limited")


@dataclass(frozen=True, slots=True)
class Finding:
    """
    What a verifier concludes.

    Attributes
    ----------
    opinion : 'unqualified', 'qualified', 'adverse' or 'disclaimer'
        Or `unmodified`, `modified`: they become the first two.
    assurance : 'reasonable' or 'limited'
    materiality_percent : str
        Largest error that would not change the opinion, as decimal text. [%]
    findings : tuple of str
        Remarks beside the findings that were raised and closed.
    """

    opinion: Opinion
    assurance: Assurance
    materiality_percent: str
    findings: tuple[str, ...] = ()


def sign_statement(
    body: Mapping[str, Any], key: SigningKey, holder: EnrolledKey, created: datetime
) -> dict[str, Any]:
    """Sign a statement's body as its issuer; SignatureError if it is signed already."""
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
    Sign the verifier's credential over a signed statement.

    Parameters
    ----------
    statement : mapping
        With the operator's proof.
    created : datetime
        When; with a time zone.
    records : sequence of Record
        Findings of this verification.

    Raises
    ------
    StatementStateError
        If the opinion is without reservation and a finding stands against it.
    """
    said = created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    document = verification_body(statement, finding, holder, said, records)
    return create_proof(document, key, created)


def verification_body(
    statement: Mapping[str, Any],
    finding: Finding,
    holder: EnrolledKey,
    created: str,
    records: Sequence[Record],
) -> dict[str, Any]:
    """Write the verifier's credential without its proof; raises as `sign_verification`."""
    errors = materiality(statement, records, finding.materiality_percent)
    check_opinion(finding.opinion, records, errors)
    return {
        "@context": list(CONTEXT),
        "id": f"{statement['id']}:verification",
        "type": list(VERIFICATION),
        "issuer": issuer(holder),
        "validFrom": created,
        "credentialSubject": {
            "id": statement["id"],
            "opinion": opinion_word(finding.opinion),
            "levelOfAssurance": finding.assurance,
            "materiality_percent": finding.materiality_percent,
            "misstatements": errors.to_json(),
            "findings": [
                *(one.to_json() for one in records),
                *({"kind": "OBS", "text": text} for text in finding.findings),
            ],
            "procedure": "all readings digested, all intervals metered and the whole account"
            " computed again from raw readings",
        },
        "relatedResource": [related(statement["id"], canonical.encode(statement))],
    }


def conclusion_of(verification: Mapping[str, Any]) -> Finding:
    """
    Read what a verifier's credential concludes.

    Raises
    ------
    CanonicalError
        If it is not in the form that `verification_body` writes.
    """
    said = verification.get("credentialSubject")
    if (
        not isinstance(said, dict)
        or said.get("opinion") not in _OPINIONS
        or said.get("levelOfAssurance") not in _ASSURANCES
        or not isinstance(said.get("findings"), list)
        or not all(isinstance(one, dict) for one in said["findings"])
    ):
        raise CanonicalError(
            f"{verification.get('id')!r} is no verification: its subject needs an opinion"
            f" ({', '.join(_OPINIONS)}), a level of assurance and findings"
        )
    remarks = tuple(one.get("text") for one in said["findings"] if "finding" not in one)
    percent = said.get("materiality_percent")
    decimal(percent, "materiality_percent")
    return Finding(said["opinion"], said["levelOfAssurance"], str(percent), remarks)


def related(name: str, data: bytes) -> dict[str, str]:
    """Name a document by its id and the digests of its bytes."""
    return {
        "id": name,
        "digestSRI": f"sha256-{b64encode(canonical.sha256(data)).decode()}",
        "digestMultibase": sha256_multibase(data),
        "mediaType": MEDIA_TYPE,
    }


def issuer(holder: EnrolledKey) -> dict[str, str]:
    """Name the holder of a key as the issuer of a credential."""
    return {"id": holder.did, "name": holder.name}


def issued_entry(statement: Mapping[str, Any], verification: Mapping[str, Any]) -> bytes:
    """Entry of the transparency log that says: this statement, verified so, is issued."""
    return canonical.encode(
        {
            "event": "issued",
            "statement": statement["credentialSubject"]["statement"],
            "statementSha256": canonical.sha256_hex(canonical.encode(statement)),
            "verificationSha256": canonical.sha256_hex(canonical.encode(verification)),
        }
    )


def revoked_entry(statement: str, reason: str) -> bytes:
    """Entry of the log that says: this statement counts no more, and nothing replaces it."""
    return canonical.encode({"event": "revoked", "statement": statement, "reason": reason})


def superseded_entry(statement: str, by: str) -> bytes:
    """Entry of the log that says: this statement counts no more, that one does."""
    return canonical.encode({"event": "superseded", "statement": statement, "by": by})
