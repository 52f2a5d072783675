"""
Cosignature of a checkpoint by a witness (c2sp.org/tlog-cosignature).

A witness says: at this time I saw this head, and it was consistent with every
head of this log that I saw before.  Two readers whose heads carry the same
witness cannot have been shown two different logs.

    — witness name base64(key id || time, 8 bytes big-endian || signature)

signed over `cosignature/v1`, `time N` and the checkpoint's text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrv.errors import SignatureError
from mrv.log.note import DASH, NoteKey, signature_lines
from mrv.signatures import ed25519
from mrv.signatures.canonical import sha256
from mrv.signatures.multibase import encode_base64

if TYPE_CHECKING:
    from mrv.signatures.keys import SigningKey

_TYPE = b"\x04"  # signature type of a timestamped Ed25519 cosignature
_ID_BYTES, _TIME_BYTES = 4, 8
_LAST_TIME = 2**63


@dataclass(frozen=True, slots=True)
class Cosignature:
    """Who saw a head, when (seconds since 1970, UTC), and the line that says so."""

    witness: NoteKey
    time_s: int
    line: str


def cosign(note: str, name: str, key: SigningKey, time_s: int) -> str:
    """
    Line of a witness under a signed checkpoint.

    Parameters
    ----------
    note : str
        The signed checkpoint; the caller has verified it, and its consistency
        with the last one that the witness signed.
    name : str
        Name of the witness's key.
    time_s : int
        When it was seen, seconds since 1970. [s UTC]
    """
    text, _ = signature_lines(note)
    signed = key.sign(_message(text, time_s))
    packed = key_id(NoteKey(name, key.public)) + time_s.to_bytes(_TIME_BYTES, "big") + signed
    return f"{DASH}{name} {encode_base64(packed)}\n"


def cosignatures(note: str, *witnesses: NoteKey) -> list[Cosignature]:
    """
    Cosignatures of known witnesses on a signed checkpoint.

    Raises
    ------
    SignatureError
        If the note is malformed or a known witness's line is not of this checkpoint.
    """
    text, lines = signature_lines(note)
    found = []
    for name, raw in lines:
        for witness in witnesses:
            if (witness.name, key_id(witness)) != (name, raw[:_ID_BYTES]):
                continue
            packed = raw[_ID_BYTES:]
            time_s = int.from_bytes(packed[:_TIME_BYTES], "big")
            signature = packed[_TIME_BYTES:]
            if time_s >= _LAST_TIME or not ed25519.verifies(
                witness.public, signature, _message(text, time_s)
            ):
                raise SignatureError(
                    f"cosignature of {name} is not of this checkpoint; get the checkpoint again"
                )
            found.append(Cosignature(witness, time_s, f"{DASH}{name} {encode_base64(raw)}\n"))
    return found


def key_id(witness: NoteKey) -> bytes:
    """First 4 bytes of SHA-256(name, newline, type, key)."""
    return sha256(witness.name.encode() + b"\n" + _TYPE + witness.public)[:_ID_BYTES]


def _message(text: str, time_s: int) -> bytes:
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()
