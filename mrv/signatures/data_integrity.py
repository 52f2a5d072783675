"""
Data Integrity proofs with cryptosuite eddsa-jcs-2022 (W3C vc-di-eddsa, section 3.3).

    proof options  = proof without proofValue, with the document's @context
    hash data      = SHA-256(JCS(proof options)) || SHA-256(JCS(document without proof))
    proofValue     = z + base58btc of the Ed25519 signature of the hash data

Each line has its own function, so that each can be compared with the official vectors. Verification
never uses the network: a proof is accepted only from one of the enrolled keys.  A set of proofs is
rejected, as it does not state the required signers.  A chain of proofs (`previousProof`) is
rejected, as implementations handle it differently.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from mrv.errors import CanonicalError, EnrolmentError, SignatureError
from mrv.signatures import canonical, ed25519
from mrv.signatures.ed25519 import decode_base58, encode_base58
from mrv.signatures.keys import EnrolledKey, SigningKey, keyring, multikey_of

CRYPTOSUITE = "eddsa-jcs-2022"
PROOF_TYPE = "DataIntegrityProof"

_REQUIRED = ("type", "cryptosuite", "created", "verificationMethod", "proofPurpose", "proofValue")
# An unknown field might restrict the proof, so it is rejected.
_UNDERSTOOD = {*_REQUIRED, "id", "@context"}
_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
ASSERTION = "assertionMethod"


def check_fields(proof: Mapping[str, Any], purpose: str) -> None:
    """
    Raise SignatureError for a proof with missing, unknown or invalid fields.

    `proof`: one proof of a document.
    `purpose`: `proofPurpose` that it must have.
    Raises SignatureError, naming the field and its value.
    """
    if "previousProof" in proof:
        raise SignatureError(
            "proof has previousProof; proof chains are not accepted: sign without that field"
        )
    missing = [field for field in _REQUIRED if field not in proof]
    if missing:
        raise SignatureError(
            f"proof has no {', '.join(missing)}; ask the signer for the complete proof"
        )
    unknown = sorted(set(proof) - _UNDERSTOOD)
    if unknown:
        raise SignatureError(f"proof field {unknown[0]!r} is not supported; sign without it")
    wanted = {"type": PROOF_TYPE, "cryptosuite": CRYPTOSUITE, "proofPurpose": purpose}
    for field, value in wanted.items():
        if proof[field] != value:
            raise SignatureError(f"proof {field} is {proof[field]!r}; only {value!r} is accepted")
    time_of(proof["created"], "proof created")


def signature_of(proof: Mapping[str, Any]) -> bytes:
    """Return the signature of `proofValue`, 64 bytes."""
    value = proof["proofValue"]
    if not isinstance(value, str):
        raise SignatureError(
            "proofValue is not multibase text; obtain the document again from its signer"
        )
    try:
        signature = decode_base58(value)
    except CanonicalError as error:
        raise SignatureError(
            f"proofValue cannot be read: {error}; obtain the document again from its signer"
        ) from error
    if len(signature) != ed25519.SIGNATURE_BYTES:
        raise SignatureError(f"proofValue has {len(signature)} bytes instead of 64; copy it again")
    return signature


def time_of(text: object, name: str) -> datetime:
    """
    Return a time of a signed document.

    Raises SignatureError if it is not a RFC 3339 time with an offset.
    """
    try:
        if not isinstance(text, str) or not _DATE_TIME.fullmatch(text):
            raise ValueError  # noqa: TRY301  # both ways of being wrong get one message
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise SignatureError(
            f"{name} is {text!r}; it must be a time like 2026-01-01T00:00:00Z"
        ) from error


def create_proof(
    document: Mapping[str, Any], key: SigningKey, created: datetime, purpose: str = ASSERTION
) -> dict[str, Any]:
    """
    Return a copy of a document with its `proof`, signed with a key.

    `document`: the document, without proof and floats.
    `key`: key of the signer.
    `created`: time of signature, with offset; written in UTC to the second.
    `purpose`: `proofPurpose`.
    Raises SignatureError if the document already has a proof or `created` has no time zone.
    Raises CanonicalError if the document has no canonical form.
    """
    if "proof" in document:
        raise SignatureError("document already has a proof; sign the document without that proof")
    options = proof_options(document, key.verification_method, created, purpose)
    signature = key.sign(hash_data(document, options))
    return {**document, "proof": {**options, "proofValue": encode_base58(signature)}}


def verify_proof(
    document: Mapping[str, Any], trusted: Iterable[EnrolledKey], purpose: str = ASSERTION
) -> EnrolledKey:
    """
    Return the enrolled key that signed a document with exactly one proof.

    `document`: the document with its `proof`, as `canonical.parse` read it.
    `trusted`: accepted keys.
    `purpose`: `proofPurpose` that the proof must have.
    Raises SignatureError if a field is wrong or missing or the signature is not of these bytes.
    Raises EnrolmentError if the signer is not among the trusted keys.
    """
    proofs = proofs_of(document)
    if len(proofs) != 1:
        raise SignatureError(
            f"document has {len(proofs)} proofs where one is expected; get the document "
            "again from its signer"
        )
    return _verify_proof(document, proofs[0], keyring(trusted), purpose)


def proof_options(
    document: Mapping[str, Any], method: str, created: datetime, purpose: str = ASSERTION
) -> dict[str, Any]:
    """Return the proof without its value, which is the signed part."""
    options: dict[str, Any] = {
        "type": PROOF_TYPE,
        "cryptosuite": CRYPTOSUITE,
        "created": _utc_text(created),
        "verificationMethod": method,
        "proofPurpose": purpose,
    }
    if "@context" in document:
        options["@context"] = document["@context"]
    return options


def canonical_document(document: Mapping[str, Any]) -> bytes:
    """Return the canonical bytes of the document without its proof."""
    return canonical.encode({key: value for key, value in document.items() if key != "proof"})


def canonical_options(options: Mapping[str, Any]) -> bytes:
    """Return the canonical bytes of the proof without its value."""
    return canonical.encode({key: value for key, value in options.items() if key != "proofValue"})


def hash_data(document: Mapping[str, Any], options: Mapping[str, Any]) -> bytes:
    """Return the 64 signed bytes: hash of the options, then hash of the document."""
    return canonical.sha256(canonical_options(options)) + canonical.sha256(
        canonical_document(document)
    )


def proofs_of(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return a document's proofs: one object, or a list of them."""
    result = document.get("proof")
    proofs: list[Any] = result if isinstance(result, list) else [result]
    if not proofs or not all(isinstance(proof, Mapping) for proof in proofs):
        raise SignatureError("document has no proof, or one that is not an object; sign it")
    return proofs


def _verify_proof(
    document: Mapping[str, Any],
    proof: Mapping[str, Any],
    ring: Mapping[str, EnrolledKey],
    purpose: str,
) -> EnrolledKey:
    check_fields(proof, purpose)
    multikey = multikey_of(proof["verificationMethod"])
    if multikey not in ring:
        raise EnrolmentError(
            f"proof is by {multikey}, which is not enrolled; find out whose key it is"
        )
    key = ring[multikey]
    key.check_valid(proof["created"])
    signature = signature_of(proof)
    secured = _with_context_of(proof, document)
    if not ed25519.verifies(key.public, signature, hash_data(secured, proof)):
        raise SignatureError(
            f"signature of {key.name!r} ({multikey}) does not match this document and proof; one "
            "of them was changed after signing: obtain the document again from its signer"
        )
    return key


def _with_context_of(proof: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document with the proof's @context; later entries may only be appended to it."""
    if "@context" not in proof:
        return dict(document)
    signed, result = _as_list(proof["@context"]), _as_list(document.get("@context"))
    if result[: len(signed)] != signed:
        raise SignatureError(
            f"@context of the document, {result!r}, does not start with that of the "
            f"proof, {signed!r}; restore the original @context"
        )
    return {**document, "@context": proof["@context"]}


def _as_list(context: object) -> list[Any]:
    return context if isinstance(context, list) else [context]


def _utc_text(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise SignatureError(f"created {moment.isoformat()} has no time zone; pass it in UTC")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
