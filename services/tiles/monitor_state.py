"""What a monitor keeps of a log between two rounds, and the evidence of a log that lied."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from ingest.errors import InputError
from mrv.errors import MrvError
from mrv.log.checkpoint import Checkpoint, verify_checkpoint
from mrv.log.note import NoteKey
from mrv.signatures.merkle_tree import CompactRange

_STATE = "state.json"


@dataclass(frozen=True, slots=True)
class Seen:
    """The last head that held, as it was signed, and the tree under it."""

    note: str
    head: Checkpoint
    tree: CompactRange


def place(home: Path, key: NoteKey) -> Path:
    """Folder of a log, by its key."""
    return home / "monitor" / hashlib.sha256(key.vkey.encode()).hexdigest()[:16]


def load(folder: Path, key: NoteKey) -> Seen | None:
    """
    Load what was seen last; None before the first round.

    Raises
    ------
    InputError
        If the file is damaged: then nobody knows what was seen.
    """
    file = folder / _STATE
    if not file.exists():
        return None
    try:
        said = json.loads(file.read_bytes())
        head = verify_checkpoint(said["note"], key)
        tree = CompactRange(head.size, map(bytes.fromhex, said["nodes"]))
    except (ValueError, KeyError, TypeError, MrvError) as error:
        raise InputError(f"{file} is damaged: {error}; restore it from a backup") from error
    if tree.root() != head.root:
        raise InputError(f"{file} is damaged: its tree is not its head's; restore it")
    return Seen(said["note"], head, tree)


def save(folder: Path, note: str, tree: CompactRange) -> None:
    """Keep a head that held, and its tree."""
    said = {"note": note, "nodes": [node.hex() for node in tree.nodes]}
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = folder / f"{_STATE}.new"
    fresh.write_text(json.dumps(said, indent=2), encoding="utf-8")
    fresh.replace(folder / _STATE)


def evidence(folder: Path, *notes: str) -> list[Path]:
    """Keep signed heads that contradict each other; return their files."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = []
    for note in notes:
        name = hashlib.sha256(note.encode()).hexdigest()[:16]
        file = folder / f"contradiction-{name}.txt"
        file.write_text(note, encoding="utf-8")
        found.append(file)
    return found
