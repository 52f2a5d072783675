"""Receipts prove offline that an entry is in the log."""

import pytest

from mrv.errors import LogError, SignatureError
from mrv.log import NoteKey
from mrv.log.entries import (
    HEADER,
    Checkpoint,
    Receipt,
    make_receipt,
    parse_receipt,
    sign_checkpoint,
    verify_receipt,
)
from mrv.signatures.ed25519 import encode_base64
from mrv.signatures.keys import SigningKey
from mrv.signatures.merkle_tree import inclusion_proof, leaf_hash, root_hash

KEY = SigningKey(bytes(range(32)))
LOG = NoteKey("tonne.example/log", KEY.public)
ENTRIES = [f"statement {number}".encode() for number in range(6)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
HEAD = Checkpoint(LOG.name, len(LEAVES), root_hash(LEAVES))
NOTE = sign_checkpoint(HEAD, KEY)


def _receipt(index: int) -> str:
    return make_receipt(index, inclusion_proof(index, LEAVES), NOTE)


def test_receipt_has_the_published_form() -> None:
    """Other verifiers of transparency logs could not read our receipts."""
    proof = [encode_base64(value) for value in inclusion_proof(4, LEAVES)]
    assert _receipt(4) == "\n".join([HEADER, "index 4", *proof, "", NOTE])
    assert parse_receipt(_receipt(4)) == Receipt(4, tuple(inclusion_proof(4, LEAVES)), NOTE)


@pytest.mark.parametrize("index", range(len(ENTRIES)))
def test_receipt_holds_for_its_entry_only(index: int) -> None:
    """A receipt would prove a statement that is not in the log."""
    assert verify_receipt(_receipt(index), ENTRIES[index], LOG) == HEAD
    with pytest.raises(LogError, match="does not lead to the root"):
        verify_receipt(_receipt(index), ENTRIES[index] + b"!", LOG)


def test_every_changed_character_is_rejected() -> None:
    """A receipt could be bent to another place, tree or entry."""
    text = _receipt(4)
    for place, char in enumerate(text):
        for new in ("", "A", "1", "\n", chr(ord(char) ^ 1), char + char):
            if new == char:
                continue
            with pytest.raises((SignatureError, LogError)):
                verify_receipt(text[:place] + new + text[place + 1 :], ENTRIES[4], LOG)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "does not start with"),
        (HEADER + "\n", "does not start with"),
        (HEADER + "\n\n" + NOTE, "index N"),
        (HEADER + "\nindex 01\n\n" + NOTE, "index N"),
        (HEADER + "\nindex \u0661\n\n" + NOTE, "index N"),
        (HEADER + "\nextra QQ==\nindex 1\n\n" + NOTE, "index N"),
        (HEADER + "\nindex 0\nQQ==\n\n" + NOTE, "1 bytes"),
        (HEADER + "\nindex 0" + f"\n{encode_base64(LEAVES[0])}" * 64 + "\n\n" + NOTE, "too long"),
    ],
)
def test_malformed_receipts_are_named(text: str, named: str) -> None:
    """A damaged receipt would fail without saying what to get again."""
    with pytest.raises(LogError, match=named):
        parse_receipt(text)


def test_receipt_of_a_strange_log_is_refused() -> None:
    """Anyone could run a log of their own and issue receipts from it."""
    with pytest.raises(SignatureError, match="not signed by"):
        verify_receipt(_receipt(1), ENTRIES[1], NoteKey(LOG.name, SigningKey.generate().public))
