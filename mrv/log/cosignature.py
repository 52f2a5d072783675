"""
Cosignature of a checkpoint by a witness (c2sp.org/tlog-cosignature).

A witness says: at this time I saw this head, and it was consistent with every
head of this log that I saw before.  Two readers whose heads carry the same
witness cannot have been shown two different logs.

    — witness name base64(key id || time, 8 bytes big-endian || signature)

Ed25519 signs `cosignature/v1`, `time N` and the checkpoint's text; ML-DSA-44 signs a
structure of the witness's name, the time, and the log's origin, size and root.
"""

from __future__ import annotations

from dataclasses import dataclass

from mrv.errors import LogError, SignatureError
from mrv.log.checkpoint import read_head
from mrv.log.note import DASH, NoteKey, signature_lines
from mrv.log.vkey import COSIGNATURE, ML_DSA_COSIGNATURE, NOTE, Vkey
from mrv.signatures import ed25519, ml_dsa
from mrv.signatures.keys import SigningKey
from mrv.signatures.ml_dsa import MlDsaKey
from mrv.signatures.multibase import encode_base64

_ID_BYTES, _TIME_BYTES = 4, 8
_LAST_TIME = 2**63
_LONGEST = 255


@dataclass(frozen=True, slots=True)
class Cosignature:
    """Who saw a head, when (seconds since 1970, UTC), and the line that says so."""

    witness: Vkey
    time_s: int
    line: str


def cosign(note: str, name: str, key: SigningKey | MlDsaKey, time_s: int) -> str:
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
    kind = ML_DSA_COSIGNATURE if isinstance(key, ml_dsa.MlDsaKey) else COSIGNATURE
    mine = Vkey(name, kind, key.public)
    signed = key.sign(_message(mine, text, time_s))
    packed = mine.key_id + time_s.to_bytes(_TIME_BYTES, "big") + signed
    return f"{DASH}{name} {encode_base64(packed)}\n"


def cosignatures(note: str, *witnesses: NoteKey | Vkey) -> list[Cosignature]:
    """
    Cosignatures of known witnesses on a signed checkpoint.

    Raises
    ------
    SignatureError
        If the note is malformed or a known witness's line is not of this checkpoint.
    """
    text, lines = signature_lines(note)
    keys = [witness_key(one) for one in witnesses]
    found = []
    for name, raw in lines:
        for key in keys:
            if (key.name, key.key_id) != (name, raw[:_ID_BYTES]):
                continue
            found.append(
                Cosignature(key, _time(key, text, raw), f"{DASH}{name} {encode_base64(raw)}\n")
            )
    return found


def witness_key(key: NoteKey | Vkey) -> Vkey:
    """Return the key under which a witness cosigns; an enrolled key is one of Ed25519."""
    return Vkey(key.name, COSIGNATURE, key.public) if isinstance(key, NoteKey) else key


def signed_by(note: str, keys: tuple[Vkey, ...]) -> list[Vkey]:
    """
    Keys of a log, of any type, that signed a checkpoint.

    Raises
    ------
    SignatureError
        If the note is malformed, or a line of a known key does not verify.
    """
    text, lines = signature_lines(note)
    found = []
    for name, raw in lines:
        for key in keys:
            if (key.name, key.key_id) != (name, raw[:_ID_BYTES]):
                continue
            if key.kind != NOTE:
                _time(key, text, raw)
            elif not ed25519.verifies(key.public, raw[_ID_BYTES:], text.encode()):
                raise SignatureError(f"signature of {name} is not of this note; it was changed")
            found.append(key)
    return found


def strangers(note: str, *known: NoteKey | Vkey) -> list[str]:
    """Names under a checkpoint whose keys are not among the known ones, each once."""
    ids = {(key.name, key.key_id) for key in known}
    ids |= {(key.name, witness_key(key).key_id) for key in known}
    names = [name for name, raw in signature_lines(note)[1] if (name, raw[:4]) not in ids]
    return list(dict.fromkeys(names))


def _time(key: Vkey, text: str, raw: bytes) -> int:
    """When a line says that the checkpoint was seen; SignatureError if it is not of it."""
    begin, end = _ID_BYTES, _ID_BYTES + _TIME_BYTES
    time_s, signature = int.from_bytes(raw[begin:end], "big"), raw[end:]
    check = ml_dsa.verifies if key.kind == ML_DSA_COSIGNATURE else ed25519.verifies
    if time_s >= _LAST_TIME or not check(key.public, signature, _message(key, text, time_s)):
        raise SignatureError(
            f"cosignature of {key.name} is not of this checkpoint; get the checkpoint again"
        )
    return time_s


def _message(key: Vkey, text: str, time_s: int) -> bytes:
    if key.kind != ML_DSA_COSIGNATURE:
        return f"cosignature/v1\ntime {time_s}\n{text}".encode()
    try:
        head = read_head(text)
    except LogError as error:
        raise SignatureError(f"what {key.name} cosigned is no checkpoint: {error}") from error
    number = 8
    return b"".join((
        b"subtree/v1\n\0", _opaque(key.name), time_s.to_bytes(number, "big"),
        _opaque(head.origin), bytes(number), head.size.to_bytes(number, "big"), head.root,
    ))  # fmt: skip


def _opaque(text: str) -> bytes:
    data = text.encode()
    if not 1 <= len(data) <= _LONGEST:
        raise SignatureError(
            f"name {text[:40]!r} has {len(data)} bytes; 1 to {_LONGEST} are signed"
        )
    return bytes([len(data)]) + data
