"""
Receipt: proof that an entry is in the log, checked offline (c2sp.org/tlog-proof).

    c2sp.org/tlog-proof@v1
    index N
    base64 hashes, from the leaf's sibling upwards
    (an empty line)
    the signed checkpoint, as the log wrote it

The optional `extra` line of the format is not signed; it is refused here
so that no reader takes it as signed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from mrv.errors import CanonicalError, LogError
from mrv.log.merkle import verify_inclusion
from mrv.log.note import NoteKey, sign_note, verify_note
from mrv.signatures.keys import SigningKey
from mrv.signatures.merkle_tree import HASH_BYTES, leaf_hash
from mrv.signatures.multibase import decode_base64, encode_base64

# 63 bits hold any tree; the digits are ASCII, without leading zeros.
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
HEADER = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")
_LONGEST_PROOF = 63


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """
    Head of a log.

    Parameters
    ----------
    origin : str
        Name of the log, which is also the name of its key.
    size : int
        Number of entries.
    root : bytes
        Merkle root over them, 32 bytes.
    """

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the note text of three lines."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"

    @classmethod
    def from_text(cls, text: str) -> Self:
        """
        Return the checkpoint from the note text.

        Raises
        ------
        LogError
            If it is not exactly origin, size and root.
        """
        lines = text.split("\n")
        if len(lines) != 4 or lines[3] or not lines[0] or not _SIZE.fullmatch(lines[1]):  # noqa: PLR2004  # three lines and the end
            raise LogError(
                "checkpoint is not origin, size and root on three lines; download it again"
            )
        return cls(lines[0], int(lines[1]), decode_hash(lines[2]))


def read_head(text: str) -> Checkpoint:
    """
    Return origin, size and root of a checkpoint of any log; further lines are ignored.

    Raises
    ------
    LogError
        If it does not begin with these three lines, or an extension line is empty.
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not all(lines[3:-1]):  # noqa: PLR2004  # three lines and the end
        raise LogError("checkpoint does not begin with origin, size and root; download it again")
    return Checkpoint.from_text("\n".join([*lines[:3], ""]))


def sign_checkpoint(checkpoint: Checkpoint, key: SigningKey) -> str:
    """Return the signed note of a checkpoint, with the key of the log of that origin."""
    return sign_note(checkpoint.text(), checkpoint.origin, key)


def verify_checkpoint(note: str, log_key: NoteKey) -> Checkpoint:
    """
    Return the checkpoint of a note signed with the log's key.

    Raises
    ------
    SignatureError
        If the note is malformed or not signed by that key.
    LogError
        If the text is not a checkpoint, or of another log.
    """
    checkpoint = Checkpoint.from_text(verify_note(note, log_key))
    if checkpoint.origin != log_key.name:
        raise LogError(
            f"checkpoint is of log {checkpoint.origin!r}, but the key is of {log_key.name!r}; "
            "use that log's key"
        )
    return checkpoint


def decode_hash(line: str) -> bytes:
    """Return the bytes of a base64 line with one hash."""
    try:
        value = decode_base64(line)
    except CanonicalError as error:
        raise LogError(f"hash line cannot be read: {error}; download the receipt again") from error
    if len(value) != HASH_BYTES:
        raise LogError(
            f"hash line {line!r} has {len(value)} bytes instead of {HASH_BYTES}; get the "
            "receipt again"
        )
    return value


@dataclass(frozen=True, slots=True)
class Receipt:
    """Parts of a receipt: index of the entry, inclusion proof, signed checkpoint."""

    index: int
    proof: tuple[bytes, ...]
    checkpoint: str


def make_receipt(index: int, proof: Sequence[bytes], checkpoint: str) -> str:
    """
    Return the text of a receipt.

    Parameters
    ----------
    index : int
        Index of the entry in the log, from 0.
    proof : sequence of bytes
        Inclusion proof in the tree of the checkpoint.
    checkpoint : str
        Signed note of the checkpoint.
    """
    lines = [HEADER, f"index {index}", *map(encode_base64, proof)]
    return "\n".join(lines) + "\n\n" + checkpoint


def parse_receipt(text: str) -> Receipt:
    """
    Return the parts of a receipt; only its form is checked.

    Raises
    ------
    LogError
        If it is not of the form above.
    """
    head, gap, checkpoint = text.partition("\n\n")
    header, *lines = head.split("\n")
    if header != HEADER or not gap:
        raise LogError(
            f"receipt does not start with {HEADER} or has no checkpoint; download it again"
        )
    index = _INDEX.fullmatch(lines[0]) if lines else None
    if index is None or len(lines) - 1 > _LONGEST_PROOF:
        raise LogError(
            "the second line of the receipt is not 'index N', or its proof is too long; get "
            "it again"
        )
    return Receipt(int(index[1]), tuple(decode_hash(line) for line in lines[1:]), checkpoint)


def verify_receipt(text: str, entry: bytes, log_key: NoteKey) -> Checkpoint:
    """
    Check that an entry is in a log, with its signed checkpoint.

    Parameters
    ----------
    text : str
        The receipt.
    entry : bytes
        Canonical bytes of the logged entry.
    log_key : NoteKey
        Key of the log, from another source than the receipt.

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
