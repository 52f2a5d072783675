"""
What a log asks a witness to countersign (c2sp.org/tlog-witness, add-checkpoint).

    old N
    base64 hashes: the consistency proof from N entries to the head's size
    (an empty line)
    the signed checkpoint

A witness signs only what leads on from the last head that it signed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mrv.errors import LogError, SignatureError, WitnessRefusedError
from mrv.log.checkpoint import Checkpoint, decode_hash, read_head, verify_checkpoint
from mrv.log.cosignature import signed_by
from mrv.log.merkle import verify_consistency
from mrv.log.note import NoteKey, signature_lines
from mrv.log.vkey import Vkey
from mrv.signatures.merkle_tree import EMPTY_ROOT
from mrv.signatures.multibase import encode_base64

_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")
_LONGEST_PROOF = 63


@dataclass(frozen=True, slots=True)
class Request:
    """Parts of a request: size of the last head, consistency proof, signed checkpoint."""

    old: int
    proof: tuple[bytes, ...]
    checkpoint: str


def make_request(old: int, proof: Sequence[bytes], checkpoint: str) -> str:
    """Text of a request; for a witness that never signed this log, `old` is 0 without proof."""
    return "\n".join([f"old {old}", *map(encode_base64, proof)]) + "\n\n" + checkpoint


def parse_request(text: str) -> Request:
    """
    Parts of a request; only its form is checked.

    Raises
    ------
    LogError
        If it is not of the form above.
    """
    head, gap, checkpoint = text.partition("\n\n")
    first, *lines = head.split("\n")
    old = _OLD.fullmatch(first)
    if old is None or not gap or len(lines) > _LONGEST_PROOF:
        raise LogError("not a request to a witness: it begins with `old N`; make it again")
    return Request(int(old[1]), tuple(decode_hash(line) for line in lines), checkpoint)


def check_request(request: Request, log_key: NoteKey, last: Checkpoint | None) -> Checkpoint:
    """
    Head of a request, if it leads on from the last one that the witness signed.

    Parameters
    ----------
    last : Checkpoint or None
        None if the witness never signed a head of this log.

    Raises
    ------
    LogError, SignatureError
        If it does not, or is not signed by the log.
    """
    head = verify_checkpoint(request.checkpoint, log_key)
    known = 0 if last is None else last.size
    if request.old != known:
        raise LogError(
            f"the request goes on from {request.old} entries, the last head signed here has"
            f" {known}; ask for one with `tonne log request --since {known}`"
        )
    _is_consistent(request, head, last)
    return head


def judge_request(
    request: Request, keys: tuple[Vkey, ...], last: Checkpoint | None
) -> tuple[Checkpoint, list[Vkey]]:
    """
    Head of an add-checkpoint request that a witness may cosign, and which keys signed it.

    Parameters
    ----------
    keys : tuple of Vkey
        Those that the witness trusts for the request's origin; empty for an unknown log.
    last : Checkpoint or None
        The last head of that log that the witness cosigned; None if there is none.

    Raises
    ------
    WitnessRefusedError
        With the status of HTTP that the protocol names.
    """
    head = _head(request)
    if not keys:
        raise WitnessRefusedError(404, f"log {head.origin!r} is not known to this witness")
    try:
        signers = signed_by(request.checkpoint, keys)
    except SignatureError as error:
        raise WitnessRefusedError(403, str(error)) from error
    if not signers:
        raise WitnessRefusedError(403, f"no trusted key of log {head.origin!r} signed this head")
    if request.old > head.size:
        raise WitnessRefusedError(
            400, f"old is {request.old}, more than the {head.size} entries of the head"
        )
    known = 0 if last is None else last.size
    if request.old != known:
        what = f"old is {request.old}, the last head cosigned here has {known} entries"
        raise WitnessRefusedError(409, what, known)
    if head.size == 0 and head.root != EMPTY_ROOT:
        raise WitnessRefusedError(422, "the root of an empty log is that of the empty tree")
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
            raise LogError("a proof from 0 entries proves nothing; it must be empty")
        return
    verify_consistency(last.size, head.size, request.proof, last.root, head.root)
