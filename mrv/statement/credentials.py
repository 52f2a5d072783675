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
from typing import TYPE_CHECKING, Any, Literal

from mrv import canonical
from mrv.multibase import sha256_multibase
from mrv.signing import create_proof
from mrv.statement.body import CONTEXT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mrv.keys import EnrolledKey, SigningKey

Opinion = Literal["unmodified", "modified", "adverse"]
Assurance = Literal["reasonable", "limited"]
VERIFICATION = ("VerifiableCredential", "VerificationStatement")
MEDIA_TYPE = "application/vc"


@dataclass(frozen=True, slots=True)
class Finding:
    """
    What a verifier concludes, in the words of ISO 14064-3.

    Attributes
    ----------
    opinion : 'unmodified', 'modified' or 'adverse'
    assurance : 'reasonable' or 'limited'
    materiality_percent : str
        Largest error that would not change the opinion, as decimal text. [%]
    findings : tuple of str
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
) -> dict[str, Any]:
    """
    Sign the verifier's credential over a signed statement.

    Parameters
    ----------
    statement : mapping
        With the operator's proof.
    created : datetime
        When; with a time zone.
    """
    data = canonical.encode(statement)
    document = {
        "@context": list(CONTEXT),
        "id": f"{statement['id']}:verification",
        "type": list(VERIFICATION),
        "issuer": issuer(holder),
        "validFrom": created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "credentialSubject": {
            "id": statement["id"],
            "opinion": finding.opinion,
            "levelOfAssurance": finding.assurance,
            "materiality_percent": finding.materiality_percent,
            "findings": list(finding.findings),
            "procedure": "all readings digested, all intervals metered and the whole account"
            " computed again from raw readings",
        },
        "relatedResource": [related(statement["id"], data)],
    }
    return create_proof(document, key, created)


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


def superseded_entry(statement: str, by: str) -> bytes:
    """Entry of the log that says: this statement counts no more, that one does."""
    return canonical.encode({"event": "superseded", "statement": statement, "by": by})
