"""
Write the log as tiles into a folder that any web server can serve.

A full tile is written once.  A folder whose files say otherwise than the log, or whose
checkpoint the log does not lead on from, is left as it is: outsiders have read it already.
The checkpoint comes last, so that nobody reads a head whose tiles are not there yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mrv.errors import LogError
from mrv.log.note import signature_lines
from mrv.log.receipt import Checkpoint
from mrv.log.tiles import files
from mrv.signatures.merkle_tree import root_hash

CHECKPOINT = "checkpoint"


@dataclass(frozen=True, slots=True)
class Published:
    """Entries under the published head, files written, and files that were there already."""

    size: int
    written: int
    kept: int


def publish(
    folder: Path, note: str, entries: Sequence[bytes], leaves: Sequence[bytes]
) -> Published:
    """
    Bring a folder up to a signed head.

    Parameters
    ----------
    note : str
        The head, signed.
    entries, leaves : sequence of bytes
        The log's entries and their leaf hashes; what is beyond the head is left out.

    Raises
    ------
    LogError
        If the entries are not those of the head, or the folder holds another log.
    """
    head = _head(note)
    entries, leaves = entries[: head.size], leaves[: head.size]
    if len(leaves) != head.size or root_hash(leaves) != head.root:
        raise LogError(f"the log's entries are not those of its head over {head.size}; audit it")
    _extend(folder / CHECKPOINT, head, leaves)
    written = kept = 0
    for path, content in files(entries, leaves):
        place = folder / path
        if place.is_file():
            if place.read_bytes() != content:
                raise LogError(f"{place} is of another log, or damaged; publish to a new folder")
            kept += 1
            continue
        _write(place, content)
        written += 1
    _write(folder / CHECKPOINT, note.encode())
    return Published(head.size, written, kept)


def _head(note: str) -> Checkpoint:
    return Checkpoint.from_text(signature_lines(note)[0])


def _extend(place: Path, head: Checkpoint, leaves: Sequence[bytes]) -> None:
    if not place.is_file():
        return
    before = _head(place.read_text(encoding="utf-8"))
    if before.size > head.size or root_hash(leaves[: before.size]) != before.root:
        raise LogError(
            f"{place} is a head over {before.size} entries that this log does not lead on from;"
            " `tonne log audit --checkpoint` with it says more"
        )


def _write(place: Path, content: bytes) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = place.with_name(f"{place.name}.new")
    try:
        fresh.write_bytes(content)
        fresh.replace(place)
    except OSError:
        with suppress(OSError):
            fresh.unlink()
        raise
