"""
Keys: text forms, enrolment, files.

Ed25519 keys have one meaning.

Bytes as text: one byte string, one text.
"""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrv.errors import CanonicalError, EnrolmentError, SignatureError
from mrv.signatures import ed25519, keys
from mrv.signatures.ed25519 import (
    decode_base58,
    decode_base64,
    encode_base58,
    encode_base64,
    sha256_multibase,
)
from mrv.signatures.keys import (
    EnrolledKey,
    SigningKey,
    decode_multikey,
    encode_multikey,
    keyring,
    multikey_of,
    verification_method,
)


@given(st.binary(max_size=80))
def test_base58_and_base64_return_what_they_were_given(data: bytes) -> None:
    """A key or signature would change on its way through a file."""
    assert decode_base58(encode_base58(data)) == data
    assert decode_base64(encode_base64(data)) == data


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"Hello World!", "z2NEpo7TZRRrLZSi2U"),
        (b"\x00\x00\x28\x7f\xb4\xcd", "z11233QC4"),
        (b"", "z"),
    ],
)
def test_base58_examples_of_the_draft(data: bytes, text: str) -> None:
    """Other software could not read our keys, nor we theirs."""
    assert encode_base58(data) == text
    assert decode_base58(text) == data


@pytest.mark.parametrize("text", ["", "2NEpo7", "z0", "zI", "z l", "mSGVsbG8", "z" + "1" * 300])
def test_what_is_not_base58_is_refused(text: str) -> None:
    """A mistyped key would be read as another key."""
    with pytest.raises(CanonicalError):
        decode_base58(text)


@pytest.mark.parametrize("text", ["QQ", "QR==", "QQ==\n", " QQ==", "Q-==", "QQ===", "é"])
def test_loose_base64_is_refused(text: str) -> None:
    """Several texts would stand for one signature, so a changed note would still verify."""
    with pytest.raises(CanonicalError):
        decode_base64(text)


def test_digest_multibase_is_a_sha2_256_multihash() -> None:
    """Verifiers of VC 2.0 could not compare the digest of a related resource."""
    raw = decode_base58(sha256_multibase(b"abc"))
    assert raw[:2] == bytes([0x12, 32])
    assert raw[2:].hex().startswith("ba7816bf")
    assert sha256_multibase(b"abc").startswith("zQm")


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
            "part of small order",
        ),
    ],
)
def test_refusal_says_what_is_wrong_with_the_key(public: bytes, named: str) -> None:
    """The holder of a damaged key would not learn what to repair."""
    with pytest.raises(SignatureError, match=named):
        ed25519.check_public_key(public)


def test_honest_keys_pass_and_their_signatures_are_tied_to_the_message() -> None:
    """No one could enrol, or a signature would count for another message."""
    for _ in range(10):
        key = SigningKey.generate()
        ed25519.check_public_key(key.public)
        assert ed25519.verifies(key.public, key.sign(b"m"), b"m")
        assert not ed25519.verifies(key.public, key.sign(b"m"), b"n")
        assert not ed25519.verifies(key.public, key.sign(b"m")[:-1], b"m")


PAIR = json.loads((Path(__file__).parents[1] / "vectors/eddsa-jcs-2022/keyPair.json").read_bytes())


def _holder(key: SigningKey, name: str = "Ánh", role: str = "operator") -> EnrolledKey:
    return EnrolledKey(name, role, key.public_multikey)  # type: ignore[arg-type]


def test_official_key_pair() -> None:
    """Keys made by other software could not sign or be enrolled here."""
    key = SigningKey.from_multikey(PAIR["privateKeyMultibase"])
    assert key.public_multikey == PAIR["publicKeyMultibase"]
    assert key.secret_multikey == PAIR["privateKeyMultibase"]
    assert encode_multikey(decode_multikey(PAIR["publicKeyMultibase"])) == key.public_multikey


def test_a_secret_is_not_printed() -> None:
    """A log line or traceback would give the signing key away."""
    key = SigningKey.generate()
    assert key.secret_multikey not in repr(key) + str(key)
    with pytest.raises(SignatureError) as error:
        SigningKey.from_multikey(key.secret_multikey[:-1])
    assert key.secret_multikey[2:12] not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "did:key:x",
        PAIR["privateKeyMultibase"],
        PAIR["publicKeyMultibase"][:-1],
        encode_base58(bytes.fromhex("ed01") + b"\x01" + bytes(31)),
        7,
    ],
)
def test_wrong_or_weak_keys_are_not_enrolled(text: str) -> None:
    """A secret would be published as a public key, or a key trusted that anyone can use."""
    with pytest.raises(SignatureError):
        EnrolledKey("x", "operator", text)


def test_a_public_key_does_not_sign() -> None:
    """A public key given as the secret would sign with a key that everyone knows."""
    with pytest.raises(SignatureError, match="a secret"):
        SigningKey.from_multikey(PAIR["publicKeyMultibase"])
    with pytest.raises(SignatureError, match="32 bytes"):
        SigningKey(b"short")


def test_roles_and_names_are_checked() -> None:
    """With a mistyped role, a signature would have no effect, or too much."""
    key = SigningKey.generate()
    with pytest.raises(EnrolmentError, match="auditor"):
        _holder(key, role="auditor")
    with pytest.raises(EnrolmentError, match="name"):
        _holder(key, name=" ")


def test_one_key_in_two_roles_is_refused() -> None:
    """The preparer of a statement could verify it too."""
    key = SigningKey.generate()
    both = [_holder(key), _holder(key, role="verifier")]
    with pytest.raises(EnrolmentError, match="enrol a key once"):
        keyring(both)
    with pytest.raises(EnrolmentError, match="enrol a key once"):
        keys.write_keyring(both)
    assert keyring([both[0], both[0]]) == {key.public_multikey: both[0]}


def test_verification_method_names_the_key_itself() -> None:
    """Verifying would need a look-up that someone else can answer."""
    method = verification_method(PAIR["publicKeyMultibase"])
    assert multikey_of(method) == PAIR["publicKeyMultibase"]
    other = SigningKey.generate().public_multikey
    for wrong in [
        None,
        "",
        "#",
        method.partition("#")[0],
        f"did:web:x#{other}",
        f"{method}{other}",
    ]:
        with pytest.raises(SignatureError, match="verificationMethod"):
            multikey_of(wrong)


def test_files_return_what_was_written() -> None:
    """A signer could not use the key that `tonne keys create` made."""
    key = SigningKey.generate()
    holder = _holder(key)
    again, who = keys.read_secret(keys.write_secret(key, holder))
    assert (again.secret_multikey, who) == (key.secret_multikey, holder)
    verifier = _holder(SigningKey.generate(), role="verifier")
    written = keys.write_keyring([holder, verifier])
    assert keys.read_keyring(written) == (holder, verifier)
    assert holder.did == f"did:key:{key.public_multikey}"


def test_damaged_files_are_refused() -> None:
    """A mixed-up key file would be noticed only when others cannot verify."""
    key, other = SigningKey.generate(), SigningKey.generate()
    with pytest.raises(SignatureError, match="mixes two keys"):
        keys.write_secret(key, _holder(other))
    mixed = {**_holder(other).to_json(), "secretKeyMultibase": key.secret_multikey}
    with pytest.raises(SignatureError, match="mixes two keys"):
        keys.read_secret(json.dumps(mixed).encode())
    with pytest.raises(SignatureError, match="no secretKeyMultibase"):
        keys.read_secret(json.dumps(_holder(key).to_json()).encode())
    for wrong in [{}, {"keys": {}}, {"keys": [1]}, {"keys": [{}]}, {"keys": [], "x": 1}]:
        with pytest.raises(EnrolmentError):
            keys.read_keyring(json.dumps(wrong).encode())
    nameless = {**_holder(key).to_json(), "name": 7}
    with pytest.raises(EnrolmentError, match="name"):
        keys.read_keyring(json.dumps({"keys": [nameless]}).encode())
