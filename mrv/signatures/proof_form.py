"""
Form of an eddsa-jcs-2022 proof: which fields it has and what they may say.

Only form is judged here; whether the signature holds is for signing to find.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from mrv.errors import CanonicalError, SignatureError
from mrv.signatures import ed25519
from mrv.signatures.multibase import decode_base58

CRYPTOSUITE = "eddsa-jcs-2022"
PROOF_TYPE = "DataIntegrityProof"

_REQUIRED = ("type", "cryptosuite", "created", "verificationMethod", "proofPurpose", "proofValue")
# A field that is not understood here might restrict the proof, so it is refused, not skipped.
_UNDERSTOOD = {*_REQUIRED, "id", "@context"}
_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
)


def check_fields(proof: Mapping[str, Any], purpose: str) -> None:
    """
    Refuse a proof with a field missing, unknown or of another meaning.

    Parameters
    ----------
    proof : mapping
        One proof of a document.
    purpose : str
        `proofPurpose` that it must have.

    Raises
    ------
    SignatureError
        Naming the field and its value.
    """
    if "previousProof" in proof:
        raise SignatureError("proof has previousProof; chains are refused, use a set")
    missing = [field for field in _REQUIRED if field not in proof]
    if missing:
        raise SignatureError(f"proof has no {', '.join(missing)}; ask the signer for all of it")
    unknown = sorted(set(proof) - _UNDERSTOOD)
    if unknown:
        raise SignatureError(f"proof field {unknown[0]!r} is not understood; sign without it")
    wanted = {"type": PROOF_TYPE, "cryptosuite": CRYPTOSUITE, "proofPurpose": purpose}
    for field, value in wanted.items():
        if proof[field] != value:
            raise SignatureError(f"proof {field} is {proof[field]!r}; only {value!r} is accepted")
    time_of(proof["created"], "proof created")


def signature_of(proof: Mapping[str, Any]) -> bytes:
    """Signature that `proofValue` holds, 64 bytes."""
    value = proof["proofValue"]
    if not isinstance(value, str):
        raise SignatureError(f"proofValue is a {type(value).__name__}, not multibase text")
    try:
        signature = decode_base58(value)
    except CanonicalError as error:
        raise SignatureError(f"proofValue cannot be read: {error}") from error
    if len(signature) != ed25519.SIGNATURE_BYTES:
        raise SignatureError(f"proofValue has {len(signature)} bytes instead of 64; copy it again")
    return signature


def time_of(text: object, name: str) -> datetime:
    """
    Read a time of a signed document.

    Raises
    ------
    SignatureError
        If it is no RFC 3339 time with an offset.
    """
    try:
        if not isinstance(text, str) or not _DATE_TIME.fullmatch(text):
            raise ValueError  # noqa: TRY301  # both ways of being wrong get one message
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise SignatureError(
            f"{name} is {text!r}; it must be a time like 2026-01-01T00:00:00Z"
        ) from error
