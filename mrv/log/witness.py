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
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrv.errors import LogError
from mrv.log.checkpoint import Checkpoint, decode_hash, verify_checkpoint
from mrv.log.merkle import verify_consistency
from mrv.signatures.multibase import encode_base64

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrv.log.note import NoteKey

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
    if last is None:
        if request.proof:
            raise LogError("a proof from 0 entries proves nothing; it must be empty")
        return head
    verify_consistency(last.size, head.size, request.proof, last.root, head.root)
    return head
