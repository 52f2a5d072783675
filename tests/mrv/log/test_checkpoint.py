"""Checkpoints of the log."""

import pytest

from mrv.errors import LogError, SignatureError
from mrv.log.note import NoteKey, sign_note
from mrv.log.receipt import Checkpoint, sign_checkpoint, verify_checkpoint
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


def test_empty_log_has_a_checkpoint() -> None:
    """A new log could not publish its head before its first entry."""
    empty = Checkpoint(LOG.name, 0, EMPTY_ROOT)
    assert verify_checkpoint(sign_checkpoint(empty, KEY), LOG) == empty


def test_every_changed_character_is_rejected() -> None:
    """The size or root of the log could be changed after signing."""
    note = sign_checkpoint(CHECKPOINT, KEY)
    for place, char in enumerate(note):
        for new in ("", "A", "1", "\n", chr(ord(char) ^ 1), char + char):
            if new == char:
                continue
            with pytest.raises((SignatureError, LogError)):
                verify_checkpoint(note[:place] + new + note[place + 1 :], LOG)


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
