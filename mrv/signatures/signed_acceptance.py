"""
A programme's signature under the acceptance of a factor from a registry file.

A root key of the programme signs who accepted which factor, when and by which document, with the
digest of the factor, so that its value cannot be changed under the signature.
"""

from __future__ import annotations

from typing import NamedTuple

from mrv.errors import CanonicalError, SignatureError
from mrv.signatures import canonical, ed25519
from mrv.signatures.keys import SigningKey, decode_multikey
from mrv.signatures.multibase import decode_base58, encode_base58

TYPE = "tonne-acceptance"


class Accepted(NamedTuple):
    """
    An accepted factor: by whom, when and by which document.

    `sha256`: hash of the document, None without one; `factor_sha256`: hash of the factor's fields.
    """

    factor: str
    factor_sha256: str
    by: str
    date: str
    document: str
    sha256: str | None

    def message(self) -> bytes:
        """Return the signed bytes: canonical JSON."""
        return canonical.encode({"type": TYPE, **self._asdict()})


def sign(accepted: Accepted, key: SigningKey) -> tuple[str, str]:
    """Return the key [Multikey] and its signature [base58]"""
    return key.public_multikey, encode_base58(key.sign(accepted.message()))


def check(accepted: Accepted, key: str, value: str) -> None:
    """
    Raise SignatureError unless a key signed this acceptance; the holder of the key is not checked.

    Raises
    ------
    SignatureError
        Names the factor and the key.
    """
    try:
        good = ed25519.verifies(decode_multikey(key), decode_base58(value), accepted.message())
    except (CanonicalError, SignatureError):
        good = False
    if not good:
        raise SignatureError(
            f"the acceptance of {accepted.factor} by {accepted.by} differs from "
            f"the text that {key} signed, or the factor differs; have the programme "
            "sign it again with `tonne trust accept`"
        )
