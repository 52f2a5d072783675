"""
Witnesses of the log: requests and cosignatures.

Cosignature of a checkpoint by a witness (c2sp.org/tlog-cosignature).

A witness confirms that it saw this head at a time, consistent with every earlier head of the log.
Two readers with heads of the same witness cannot have been given different logs.

    — witness name base64(key id || time, 8 bytes big-endian || signature)

Ed25519 signs `cosignature/v1`, `time N` and the checkpoint's text; ML-DSA-44 signs a
structure of the witness's name, the time, and the log's origin, size and root.

Request of a log to a witness (c2sp.org/tlog-witness, add-checkpoint).

    old N
    base64 hashes: the consistency proof from N entries to the head's size
    (an empty line)
    the signed checkpoint

A witness signs only heads consistent with the last one that it signed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mrv.errors import LogError, SignatureError, WitnessRefusedError
from mrv.log import (
    COSIGNATURE,
    DASH,
    ML_DSA_COSIGNATURE,
    NOTE,
    MlDsaKey,
    NoteKey,
    Vkey,
    ml_dsa_verifies,
    signature_lines,
)
from mrv.log.entries import Checkpoint, decode_hash, read_head, verify_checkpoint
from mrv.signatures import ed25519
from mrv.signatures.ed25519 import encode_base64
from mrv.signatures.keys import SigningKey
from mrv.signatures.merkle_tree import EMPTY_ROOT, verify_consistency

_ID_BYTES, _TIME_BYTES = 4, 8
_LAST_TIME = 2**63
_LONGEST = 255
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")
_LONGEST_PROOF = 63


@dataclass(frozen=True, slots=True)
class Cosignature:
    """The cosignature of a witness: its key, time [s UTC] and line in the signed note."""

    witness: Vkey
    time_s: int
    line: str


def cosign(note: str, name: str, key: SigningKey | MlDsaKey, time_s: int) -> str:
    """
    Return the cosignature line of a witness for a signed checkpoint.

    `note`: the signed checkpoint; the caller has verified it, and its consistency with the last one
    that the witness signed.
    `name`: name of the witness's key.
    `time_s`: time of signature, seconds since 1970. [s UTC]
    """
    text, _ = signature_lines(note)
    kind = ML_DSA_COSIGNATURE if isinstance(key, MlDsaKey) else COSIGNATURE
    mine = Vkey(name, kind, key.public)
    signed = key.sign(_message(mine, text, time_s))
    packed = mine.key_id + time_s.to_bytes(_TIME_BYTES, "big") + signed
    return f"{DASH}{name} {encode_base64(packed)}\n"


def cosignatures(note: str, *witnesses: NoteKey | Vkey) -> list[Cosignature]:
    """
    Return the cosignatures of known witnesses on a signed checkpoint.

    Raises SignatureError if the note is malformed or a known witness's line is not of this
    checkpoint.
    """
    text, lines = signature_lines(note)
    keys = [witness_key(witness) for witness in witnesses]
    result = []
    for name, raw in lines:
        for key in keys:
            if (key.name, key.key_id) != (name, raw[:_ID_BYTES]):
                continue
            result.append(
                Cosignature(key, _time(key, text, raw), f"{DASH}{name} {encode_base64(raw)}\n")
            )
    return result


def witness_key(key: NoteKey | Vkey) -> Vkey:
    """Return the key with which a witness cosigns; an enrolled key is an Ed25519 key."""
    return Vkey(key.name, COSIGNATURE, key.public) if isinstance(key, NoteKey) else key


def signed_by(note: str, keys: tuple[Vkey, ...]) -> list[Vkey]:
    """
    Return the keys of a log, of any type, that signed a checkpoint.

    Raises SignatureError if the note is malformed, or a line of a known key does not verify.
    """
    text, lines = signature_lines(note)
    vkeys = []
    for name, raw in lines:
        for key in keys:
            if (key.name, key.key_id) != (name, raw[:_ID_BYTES]):
                continue
            if key.kind != NOTE:
                _time(key, text, raw)
            elif not ed25519.verifies(key.public, raw[_ID_BYTES:], text.encode()):
                raise SignatureError(
                    f"signature of {name} does not match this note, which was changed; get the "
                    "note again"
                )
            vkeys.append(key)
    return vkeys


def strangers(note: str, *known: NoteKey | Vkey) -> list[str]:
    """Return names below a checkpoint whose keys are unknown, each once."""
    ids = {(key.name, key.key_id) for key in known}
    ids |= {(key.name, witness_key(key).key_id) for key in known}
    names = [name for name, raw in signature_lines(note)[1] if (name, raw[:4]) not in ids]
    return list(dict.fromkeys(names))


def _time(key: Vkey, text: str, raw: bytes) -> int:
    """
    Return the time stated in a cosignature line; SignatureError if it does not verify. [s
    UTC]
    """
    begin, end = _ID_BYTES, _ID_BYTES + _TIME_BYTES
    time_s, signature = int.from_bytes(raw[begin:end], "big"), raw[end:]
    check = ml_dsa_verifies if key.kind == ML_DSA_COSIGNATURE else ed25519.verifies
    if time_s >= _LAST_TIME or not check(key.public, signature, _message(key, text, time_s)):
        raise SignatureError(
            f"cosignature of {key.name} is not of this checkpoint; download the checkpoint again"
        )
    return time_s


def _message(key: Vkey, text: str, time_s: int) -> bytes:
    if key.kind != ML_DSA_COSIGNATURE:
        return f"cosignature/v1\ntime {time_s}\n{text}".encode()
    try:
        head = read_head(text)
    except LogError as error:
        raise SignatureError(
            f"the text cosigned by {key.name} is not a checkpoint: {error}"
        ) from error
    number = 8
    return b"".join((
        b"subtree/v1\n\0", _opaque(key.name), time_s.to_bytes(number, "big"),
        _opaque(head.origin), bytes(number), head.size.to_bytes(number, "big"), head.root,
    ))  # fmt: skip


def _opaque(text: str) -> bytes:
    data = text.encode()
    if not 1 <= len(data) <= _LONGEST:
        raise SignatureError(
            f"name {text[:40]!r} has {len(data)} bytes; names of 1 to {_LONGEST} bytes are signed"
        )
    return bytes([len(data)]) + data


@dataclass(frozen=True, slots=True)
class Request:
    """Parts of a request: size of the last head, consistency proof, signed checkpoint."""

    old: int
    proof: tuple[bytes, ...]
    checkpoint: str


def make_request(old: int, proof: Sequence[bytes], checkpoint: str) -> str:
    """
    Return the text of a cosigning request; `old` is 0 for a witness that never signed this
    log.
    """
    return "\n".join([f"old {old}", *map(encode_base64, proof)]) + "\n\n" + checkpoint


def parse_request(text: str) -> Request:
    """
    Return the parts of a cosigning request; signatures and proofs are not checked.

    Raises LogError if it is not of the form above.
    """
    head, gap, checkpoint = text.partition("\n\n")
    first, *lines = head.split("\n")
    old = _OLD.fullmatch(first)
    if old is None or not gap or len(lines) > _LONGEST_PROOF:
        raise LogError(
            "this is not a request to a witness, which begins with `old N`; get a new one "
            "with `tonne log request`"
        )
    return Request(int(old[1]), tuple(decode_hash(line) for line in lines), checkpoint)


def check_request(request: Request, log_key: NoteKey, last: Checkpoint | None) -> Checkpoint:
    """
    Return the checkpoint of a request, verified as an extension of the last one cosigned.

    `last`: None if the witness never signed a head of this log.
    Raises LogError or SignatureError if it does not, or is not signed by the log.
    """
    head = verify_checkpoint(request.checkpoint, log_key)
    known = 0 if last is None else last.size
    if request.old != known:
        raise LogError(
            f"the request starts at {request.old} entries, but the last head signed here has "
            f"{known}; get a request with `tonne log request --since {known}`"
        )
    _is_consistent(request, head, last)
    return head


def judge_request(
    request: Request, keys: tuple[Vkey, ...], last: Checkpoint | None
) -> tuple[Checkpoint, list[Vkey]]:
    """
    Return the checkpoint of a request that a witness may cosign, and the log keys that signed it.

    `keys`: keys that the witness trusts for the log; empty for an unknown log.
    `last`: the last head of that log that the witness cosigned; None if there is none.
    Raises WitnessRefusedError with the HTTP status of the protocol.
    """
    head = _head(request)
    if not keys:
        raise WitnessRefusedError(
            404,
            f"log {head.origin!r} is not known to this witness; the witness's organisation "
            "adds it with `tonne witness add-log`",
        )
    try:
        signers = signed_by(request.checkpoint, keys)
    except SignatureError as error:
        raise WitnessRefusedError(403, str(error)) from error
    if not signers:
        raise WitnessRefusedError(
            403,
            f"no trusted key of log {head.origin!r} signed this head; add the log with "
            "`tonne witness add-log`",
        )
    if request.old > head.size:
        raise WitnessRefusedError(
            400,
            f"old is {request.old}, more than the {head.size} entries of the head; make a"
            f" new request with `tonne log request`",
        )
    known = 0 if last is None else last.size
    if request.old != known:
        what = f"old is {request.old}, but the last head cosigned here has {known} entries"
        raise WitnessRefusedError(409, what, known)
    if head.size == 0 and head.root != EMPTY_ROOT:
        raise WitnessRefusedError(
            422,
            "the head of an empty log must have the root of the empty tree; ask the log for"
            " a correct head",
        )
    try:
        _is_consistent(request, head, last if known else None)
    except LogError as error:
        raise WitnessRefusedError(422, str(error)) from error
    return head, signers


def _head(request: Request) -> Checkpoint:
    try:
        return read_head(signature_lines(request.checkpoint)[0])
    except (LogError, SignatureError) as error:
        raise WitnessRefusedError(400, str(error)) from error


def _is_consistent(request: Request, head: Checkpoint, last: Checkpoint | None) -> None:
    if last is None:
        if request.proof:
            raise LogError(
                "a request from 0 entries must have an empty proof; make a new request with"
                " `tonne log request`"
            )
        return
    verify_consistency(last.size, head.size, request.proof, last.root, head.root)
