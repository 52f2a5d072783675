"""
Checkpoint: the head of the log, signed (c2sp.org/tlog-checkpoint).

    origin          which log
    size            number of entries
    root            base64 of the Merkle root
    (an empty line)
    — origin base64(key id || signature)

Whoever keeps an old checkpoint can prove later that nothing was taken back.
Extension lines are refused: nobody could audit them.
"""

import re
from dataclasses import dataclass
from typing import Self

from mrv.errors import CanonicalError, LogError
from mrv.log.note import NoteKey, sign_note, verify_note
from mrv.signatures.keys import SigningKey
from mrv.signatures.merkle_tree import HASH_BYTES
from mrv.signatures.multibase import decode_base64, encode_base64

# 63 bits hold any tree; the digits are ASCII, without leading zeros.
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


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
        """Note text of three lines."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"

    @classmethod
    def from_text(cls, text: str) -> Self:
        """
        Read what `text` writes.

        Raises
        ------
        LogError
            If it is not exactly origin, size and root.
        """
        lines = text.split("\n")
        if len(lines) != 4 or lines[3] or not lines[0] or not _SIZE.fullmatch(lines[1]):  # noqa: PLR2004  # three lines and the end
            raise LogError("checkpoint is not origin, size and root on three lines; get it again")
        return cls(lines[0], int(lines[1]), decode_hash(lines[2]))


def read_head(text: str) -> Checkpoint:
    """
    Origin, size and root of a checkpoint of any log, whose lines below them are passed over.

    Raises
    ------
    LogError
        If it does not begin with these three lines, or an extension line is empty.
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not all(lines[3:-1]):  # noqa: PLR2004  # three lines and the end
        raise LogError("checkpoint does not begin with origin, size and root; get it again")
    return Checkpoint.from_text("\n".join([*lines[:3], ""]))


def sign_checkpoint(checkpoint: Checkpoint, key: SigningKey) -> str:
    """Signed note of a checkpoint, by the key of the log of that origin."""
    return sign_note(checkpoint.text(), checkpoint.origin, key)


def verify_checkpoint(note: str, log_key: NoteKey) -> Checkpoint:
    """
    Checkpoint of a signed note, if the log's key signed it.

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
            f"checkpoint is of log {checkpoint.origin!r}, the key is of {log_key.name!r}; "
            "use that log's key"
        )
    return checkpoint


def decode_hash(line: str) -> bytes:
    """Bytes of a base64 line that must hold one hash."""
    try:
        value = decode_base64(line)
    except CanonicalError as error:
        raise LogError(f"hash line cannot be read: {error}") from error
    if len(value) != HASH_BYTES:
        raise LogError(f"hash line {line!r} holds {len(value)} bytes instead of {HASH_BYTES}")
    return value
