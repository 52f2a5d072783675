"""Common parts of every credential: context, issuer, and reference to another document."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mrv.documents.credential import Issuer, RelatedResource
from mrv.documents.form import write
from mrv.signatures import canonical
from mrv.signatures.keys import EnrolledKey
from mrv.signatures.multibase import sha256_multibase

# The second context gives meaning to words that the first does not define.
CONTEXT = (
    "https://www.w3.org/ns/credentials/v2",
    "https://www.w3.org/ns/credentials/undefined-terms/v2",
)
# A credential's id is a URL; this scheme needs nobody to register a domain.
URN = "urn:tonne:"
MEDIA_TYPE = "application/vc"


def related(name: str, data: bytes) -> dict[str, Any]:
    """Return the reference to a document by id and digests of its bytes."""
    return write(
        RelatedResource(
            id=name,
            digest_sri=f"sha256-{b64encode(canonical.sha256(data)).decode()}",
            digest_multibase=sha256_multibase(data),
            media_type=MEDIA_TYPE,
        )
    )


def issuer(holder: EnrolledKey) -> dict[str, Any]:
    """Return the holder of a key as the issuer of a credential."""
    return write(Issuer(id=holder.did, name=holder.name))


def valid_from(created: datetime) -> str:
    """Return `validFrom` of a credential from a time with zone: UTC, whole seconds."""
    return created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def about(
    statement: Mapping[str, Any],
    part: str,
    types: tuple[str, ...],
    said: tuple[dict[str, Any], EnrolledKey, str],
) -> dict[str, Any]:
    """
    Return a credential about a signed statement, without its proof.

    Parameters
    ----------
    part : str
        What its id has behind that of the statement.
    said : tuple
        Its subject, who says it, and its `validFrom`.
    """
    subject, holder, when = said
    return {
        "@context": list(CONTEXT),
        "id": f"{statement['id']}:{part}",
        "type": list(types),
        "issuer": issuer(holder),
        "validFrom": when,
        "credentialSubject": subject,
        "relatedResource": [related(statement["id"], canonical.encode(statement))],
    }
