"""
Signed notes.

Checkpoints of the log.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mrv.errors import LogError, SignatureError
from mrv.log import NoteKey, parse_vkey, sign_note, verify_note
from mrv.log.entries import Checkpoint, sign_checkpoint, verify_checkpoint
from mrv.signatures.ed25519 import decode_base64
from mrv.signatures.keys import SigningKey
from mrv.signatures.merkle_tree import EMPTY_ROOT, leaf_hash

KEY = SigningKey(bytes(range(32)))
LOG = NoteKey("tonne.example/log", KEY.public)
CHECKPOINT = Checkpoint(LOG.name, 20_852_163, leaf_hash(b"x"))


def test_checkpoint_is_three_lines_and_a_signature() -> None:
    """Witnesses and monitors could not read our log's head."""
    note = sign_checkpoint(CHECKPOINT, KEY)
    lines = note.split("\n")
    assert lines[:2] == ["tonne.example/log", "20852163"]
    assert lines[3] == ""
    assert lines[4].startswith("\u2014 tonne.example/log ")
    assert verify_checkpoint(note, LOG) == CHECKPOINT


@pytest.mark.parametrize(
    "text",
    [
        "{origin}\n1\n",
        "{origin}\n01\n{root}\n",
        "{origin}\n-1\n{root}\n",
        "{origin}\n\u0661\n{root}\n",
        "{origin}\n1\n{root}\nextension\n",
        "\n1\n{root}\n",
        "{origin}\n1\nAAAA\n",
        "{origin}\n1\n!{root}\n",
        "{origin}\n99999999999999999999\n{root}\n",
    ],
)
def test_signed_notes_that_are_no_checkpoint_are_refused(text: str) -> None:
    """A note signed for another purpose would count as the head of the log."""
    root = CHECKPOINT.text().split("\n")[2]
    note = sign_note(text.format(origin=LOG.name, root=root), LOG.name, KEY)
    with pytest.raises(LogError):
        verify_checkpoint(note, LOG)


def test_checkpoint_of_another_log_is_refused() -> None:
    """A key that serves two logs could pass one off as the other."""
    note = sign_note(Checkpoint("other", 1, EMPTY_ROOT).text(), LOG.name, KEY)
    with pytest.raises(LogError, match="'other'"):
        verify_checkpoint(note, LOG)


NOTES = json.loads((Path(__file__).parents[2] / "vectors/notes/notes.json").read_bytes())
# Key of golang.org/x/mod's example, which is public and signs nothing else.
GO_SIGNER = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"


def mutations(text: str) -> Iterator[str]:
    """Yield the text with each single character replaced, removed, doubled or inserted."""
    for place, char in enumerate(text):
        yield text[:place] + text[place + 1 :]
        for new in {"A", "0", "\n", " ", "=", chr(ord(char) ^ 1)}:
            if new != char:
                yield text[:place] + new + text[place + 1 :]
            yield text[:place] + new + text[place:]
    yield text + "\n"


def verifies(note: str, key: NoteKey) -> bool:
    """Return whether the note is signed by the key."""
    try:
        verify_note(note, key)
    except SignatureError:
        return False
    return True


@pytest.mark.parametrize("vector", NOTES, ids=lambda vector: vector["vkey"].split("+")[0])
def test_official_notes_verify(vector: dict[str, str]) -> None:
    """Witnesses that use other software could not exchange notes with us."""
    key = parse_vkey(vector["vkey"])
    assert key.vkey == vector["vkey"]
    text = verify_note(vector["note"], key)
    assert vector["note"].startswith(text + "\n")


def test_signing_gives_the_official_bytes() -> None:
    """Our own notes would verify here only."""
    seed = decode_base64(GO_SIGNER.split("+", 4)[4])[1:]
    text = NOTES[0]["note"].split("\n\n")[0] + "\n"
    assert sign_note(text, "PeterNeumann", SigningKey(seed)) == NOTES[0]["note"]


@pytest.mark.parametrize("vector", NOTES, ids=lambda vector: vector["vkey"].split("+")[0])
def test_every_mutation_is_rejected(vector: dict[str, str]) -> None:
    """A note could be changed after it was signed."""
    key = parse_vkey(vector["vkey"])
    tried = set(mutations(vector["note"])) - {vector["note"]}
    assert len(tried) > 1000
    assert [note for note in tried if verifies(note, key)] == []


def test_every_mutation_of_a_vkey_is_rejected() -> None:
    """A mistyped key would be trusted as someone else's."""
    for vkey in set(mutations(NOTES[1]["vkey"])) - {NOTES[1]["vkey"]}:
        with pytest.raises(SignatureError):
            parse_vkey(vkey)


def test_countersigned_notes_verify_for_each_key() -> None:
    """A checkpoint that a witness signed too could no longer be read."""
    log, witness, stranger = (SigningKey.generate() for _ in range(3))
    keys = [NoteKey("log", log.public), NoteKey("witness", witness.public)]
    note = sign_note("a\n\nb\n", "log", log)
    both = note + sign_note("a\n\nb\n", "witness", witness).rpartition("\n\n")[2]
    assert verify_note(both, keys[0]) == verify_note(both, keys[1]) == "a\n\nb\n"
    assert verify_note(both, *keys) == "a\n\nb\n"
    with pytest.raises(SignatureError, match="not signed by log"):
        verify_note(both, NoteKey("log", stranger.public))
    forged = note + sign_note("other\n", "witness", witness).rpartition("\n\n")[2]
    with pytest.raises(SignatureError, match="signature of witness does not match this note"):
        verify_note(forged, *keys)


@pytest.mark.parametrize("text", ["", "no newline", "tab\t\n", "return\r\n"])
def test_texts_that_cannot_stand_in_a_note(text: str) -> None:
    """A signed text would look different on a screen than in its bytes."""
    with pytest.raises(SignatureError, match="note text"):
        sign_note(text, "log", SigningKey.generate())


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u2003b", "a\nb"])
def test_key_names_that_cannot_stand_in_a_note(name: str) -> None:
    """A signature line could be read as one of another key."""
    with pytest.raises(SignatureError, match="key name"):
        NoteKey(name, SigningKey.generate().public)


def test_floods_of_signatures_are_refused() -> None:
    """A huge note would keep a verifier busy."""
    key = SigningKey.generate()
    note = sign_note("a\n", "log", key)
    line = note.rpartition("\n\n")[2]
    assert verify_note(note + line * 15, NoteKey("log", key.public)) == "a\n"
    with pytest.raises(SignatureError, match="signatures"):
        verify_note(note + line * 200, NoteKey("log", key.public))
