"""
Keys of logs and witnesses as they are handed out: `name+id+base64(type, key)` (C2SP vkey).

The type says what is signed and how:

    0x01    the note's text, Ed25519 (c2sp.org/signed-note)
    0x04    time and text of a checkpoint, Ed25519 (c2sp.org/tlog-cosignature)
    0x06    time, origin, size and root of a checkpoint, ML-DSA-44 (the same)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from mrv.errors import CanonicalError, SignatureError
from mrv.signatures import ed25519, ml_dsa
from mrv.signatures.canonical import sha256
from mrv.signatures.multibase import decode_base64, encode_base64

NOTE, COSIGNATURE, ML_DSA_COSIGNATURE = 0x01, 0x04, 0x06
WITNESS_TYPES = (COSIGNATURE, ML_DSA_COSIGNATURE)
_ID_BYTES = 4
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Vkey:
    """
    A public key of a log or a witness.

    Parameters
    ----------
    name : str
        Like `witness.example/w1`: no blanks, no plus, 255 bytes at most.
    kind : int
        Signature type.
    public : bytes
        Ed25519 (32 bytes; weak keys are refused) or ML-DSA-44 (1,312 bytes).
    """

    name: str
    kind: int
    public: bytes

    def __post_init__(self) -> None:
        if (
            not 1 <= len(self.name.encode("utf-8", "surrogateescape")) <= _LONGEST_NAME
            or "+" in self.name
            or any(char.isspace() or char < " " for char in self.name)
        ):
            raise SignatureError(
                f"key name {self.name!r} is empty, too long, or holds a blank or a plus"
            )
        if self.kind == ML_DSA_COSIGNATURE:
            if len(self.public) != ml_dsa.KEY_BYTES:
                raise SignatureError(
                    f"the key of {self.name} has {len(self.public)} bytes, ML-DSA-44 has"
                    f" {ml_dsa.KEY_BYTES}; copy it again"
                )
        elif self.kind in (NOTE, COSIGNATURE):
            ed25519.check_public_key(self.public)
        else:
            raise SignatureError(
                f"the key of {self.name} is of type {self.kind:#04x}; read are 0x01, 0x04 and 0x06"
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read what `str` writes.

        Raises
        ------
        SignatureError
            If it is no vkey of a known type, or its id is not that of the key.
        """
        name, _, rest = text.partition("+")
        key_id, _, encoded = rest.partition("+")
        try:
            raw = decode_base64(encoded)
        except CanonicalError as error:
            raise SignatureError(f"vkey {text[:80]!r} cannot be read: {error}") from error
        if not raw:
            raise SignatureError(f"vkey {text[:80]!r} is not name+id+key; copy it again")
        key = cls(name, raw[0], raw[1:])
        if key.key_id.hex() != key_id:
            raise SignatureError(
                f"vkey of {name} names id {key_id[:16]}, its key has {key.key_id.hex()}"
            )
        return key

    @property
    def key_id(self) -> bytes:
        """First 4 bytes of SHA-256(name, newline, type, key)."""
        name = self.name.encode("utf-8", "surrogateescape")
        return sha256(name + b"\n" + bytes([self.kind]) + self.public)[:_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes([self.kind]) + self.public)}"
