"""
ML-DSA-44 (FIPS 204): signatures that resist quantum computers.

Implemented by `cryptography`, version 48 or newer.  A secret key is its seed.
"""

from __future__ import annotations

from typing import Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from mrv.errors import SignatureError

KEY_BYTES = 1312
SEED_BYTES = 32
SIGNATURE_BYTES = 2420
_LACKS = (
    "this build of `cryptography` has no ML-DSA-44; install 48 or later as a wheel, which brings"
    " its own OpenSSL"
)


class MlDsaKey:
    """
    A secret ML-DSA-44 key; printing does not show it.

    Parameters
    ----------
    seed : bytes
        32 bytes.

    Raises
    ------
    SignatureError
        If the seed has another length, or the library lacks the algorithm.
    """

    __slots__ = ("_private", "public")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise SignatureError(
                f"a seed of ML-DSA-44 has {SEED_BYTES} bytes, not {len(seed)}; copy the "
                "whole seed again"
            )
        try:
            self._private = MLDSA44PrivateKey.from_seed_bytes(seed)
        except UnsupportedAlgorithm as error:
            raise SignatureError(_LACKS) from error
        self.public = self._private.public_key().public_bytes_raw()

    @classmethod
    def generate(cls) -> Self:
        """Return a new key from the operating system's randomness."""
        try:
            return cls(MLDSA44PrivateKey.generate().private_bytes_raw())
        except UnsupportedAlgorithm as error:
            raise SignatureError(_LACKS) from error

    def sign(self, message: bytes) -> bytes:
        """Return the signature of the message, without a context; 2,420 bytes."""
        return self._private.sign(message)


def verifies(public: bytes, signature: bytes, message: bytes) -> bool:
    """
    Return whether a signature of the message is by the secret of this public key.

    Raises
    ------
    SignatureError
        If the key has another length, or the library lacks the algorithm.
    """
    if len(public) != KEY_BYTES:
        raise SignatureError(
            f"a key of ML-DSA-44 has {KEY_BYTES} bytes, not {len(public)}; copy the whole key again"
        )
    if len(signature) != SIGNATURE_BYTES:
        return False
    try:
        MLDSA44PublicKey.from_public_bytes(public).verify(signature, message)
    except UnsupportedAlgorithm as error:
        raise SignatureError(_LACKS) from error
    except (InvalidSignature, ValueError):
        return False
    return True
