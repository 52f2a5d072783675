"""
Receipt: proof that an entry is in the log, checked offline (c2sp.org/tlog-proof).

    c2sp.org/tlog-proof@v1
    index N
    base64 hashes, from the leaf's sibling upwards
    (an empty line)
    the signed checkpoint, as the log wrote it

The optional `extra` line of the format is signed by nobody; it is refused here
so that nobody reads it as if it were.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mrv.errors import LogError
from mrv.log.checkpoint import Checkpoint, decode_hash, verify_checkpoint
from mrv.log.merkle import verify_inclusion
from mrv.log.note import NoteKey
from mrv.signatures.merkle_tree import leaf_hash
from mrv.signatures.multibase import encode_base64

HEADER = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")
_LONGEST_PROOF = 63


@dataclass(frozen=True, slots=True)
class Receipt:
    """Parts of a receipt: place of the entry, inclusion proof, signed checkpoint."""

    index: int
    proof: tuple[bytes, ...]
    checkpoint: str


def make_receipt(index: int, proof: Sequence[bytes], checkpoint: str) -> str:
    """
    Text of a receipt.

    Parameters
    ----------
    index : int
        Place of the entry in the log, from 0.
    proof : sequence of bytes
        Inclusion proof in the tree of the checkpoint.
    checkpoint : str
        Signed note of the checkpoint.
    """
    lines = [HEADER, f"index {index}", *map(encode_base64, proof)]
    return "\n".join(lines) + "\n\n" + checkpoint


def parse_receipt(text: str) -> Receipt:
    """
    Parts of a receipt; nothing of it is checked yet but its form.

    Raises
    ------
    LogError
        If it is not of the form above.
    """
    head, gap, checkpoint = text.partition("\n\n")
    header, *lines = head.split("\n")
    if header != HEADER or not gap:
        raise LogError(f"receipt does not start with {HEADER} or holds no checkpoint; get it again")
    index = _INDEX.fullmatch(lines[0]) if lines else None
    if index is None or len(lines) - 1 > _LONGEST_PROOF:
        raise LogError("receipt's second line is not 'index N' or its proof is too long")
    return Receipt(int(index[1]), tuple(decode_hash(line) for line in lines[1:]), checkpoint)


def verify_receipt(text: str, entry: bytes, log_key: NoteKey) -> Checkpoint:
    """
    Check that an entry is in a log, as its signed checkpoint says.

    Parameters
    ----------
    text : str
        The receipt.
    entry : bytes
        The entry itself, canonical bytes of what was logged.
    log_key : NoteKey
        Key of the log, got from elsewhere than the receipt.

    Returns
    -------
    Checkpoint
        The head of the log that contains the entry.

    Raises
    ------
    LogError, SignatureError
        If the receipt, its checkpoint or its proof does not hold.
    """
    receipt = parse_receipt(text)
    checkpoint = verify_checkpoint(receipt.checkpoint, log_key)
    verify_inclusion(
        receipt.index, checkpoint.size, leaf_hash(entry), receipt.proof, checkpoint.root
    )
    return checkpoint
