"""Ed25519 keys that mean one thing."""

import json
from pathlib import Path

import pytest

from mrv.errors import SignatureError
from mrv.signatures import ed25519
from mrv.signatures.keys import SigningKey

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors/ed25519/ed25519vectors.json").read_bytes()
)
WEAK = {"low_order_A", "low_order_component_A", "non_canonical_A"}


def _refused(public: bytes) -> bool:
    try:
        ed25519.check_public_key(public)
    except SignatureError:
        return True
    return False


def test_keys_of_the_edge_vectors_are_refused_exactly_if_weak() -> None:
    """Someone could enrol a key for which one signature fits every statement."""
    flags: dict[str, set[str]] = {}
    for vector in VECTORS:
        flags.setdefault(vector["key"], set()).update(vector["flags"] or [])
    # The encodings of the identity carry no component, but are of low order all the same.
    weak = {key for key, found in flags.items() if found & WEAK}
    assert len(flags) == 22
    assert {key for key in flags if _refused(bytes.fromhex(key))} == weak
    assert len(weak) == 21


def test_a_strict_verifier_settles_every_edge_vector() -> None:
    """Two verifiers could disagree about one statement, and both be right."""
    accepted = [
        vector["flags"]
        for vector in VECTORS
        if not _refused(bytes.fromhex(vector["key"]))
        and ed25519.verifies(
            bytes.fromhex(vector["key"]), bytes.fromhex(vector["sig"]), vector["msg"].encode()
        )
    ]
    # What is left is what RFC 8032 itself demands: an honest signature, and R = identity
    # in its one canonical form.
    assert len(VECTORS) == 914
    assert sorted({tuple(flags or ()) for flags in accepted}) == [(), ("low_order_R",)]


@pytest.mark.parametrize(
    ("public", "named"),
    [
        (b"\x01" * 31, "31 bytes"),
        (b"\x01" + bytes(31), "small order"),
        (b"\x01" + bytes(30) + b"\x80", "x is 0"),
        (bytes.fromhex("ed" + "ff" * 30 + "7f"), "not canonically"),
        (b"\x02" + bytes(31), "not a point"),
        (
            bytes.fromhex("10eb7c3acfb2bed3e0d6ab89bf5a3d6afddd1176ce4812e38d9fd485058fdb1f"),
            "small-order part",
        ),
    ],
)
def test_refusal_says_what_is_wrong_with_the_key(public: bytes, named: str) -> None:
    """The holder of a damaged key would not learn what to repair."""
    with pytest.raises(SignatureError, match=named):
        ed25519.check_public_key(public)


def test_honest_keys_pass_and_their_signatures_are_tied_to_the_message() -> None:
    """Nobody could enrol, or a signature would count for another message."""
    for _ in range(10):
        key = SigningKey.generate()
        ed25519.check_public_key(key.public)
        assert ed25519.verifies(key.public, key.sign(b"m"), b"m")
        assert not ed25519.verifies(key.public, key.sign(b"m"), b"n")
        assert not ed25519.verifies(key.public, key.sign(b"m")[:-1], b"m")
