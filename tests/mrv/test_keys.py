"""Keys: text forms, enrolment, files."""

import json
from pathlib import Path

import pytest

from mrv.errors import EnrolmentError, SignatureError
from mrv.signatures import keyfile
from mrv.signatures.keys import (
    EnrolledKey,
    SigningKey,
    decode_multikey,
    encode_multikey,
    keyring,
    multikey_of,
    verification_method,
)
from mrv.signatures.multibase import encode_base58

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
    """A mistyped role would be a signature that counts for nothing, or for too much."""
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
        keyfile.write_keyring(both)
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
    again, who = keyfile.read_secret(keyfile.write_secret(key, holder))
    assert (again.secret_multikey, who) == (key.secret_multikey, holder)
    verifier = _holder(SigningKey.generate(), role="verifier")
    written = keyfile.write_keyring([holder, verifier])
    assert keyfile.read_keyring(written) == (holder, verifier)
    assert holder.did == f"did:key:{key.public_multikey}"


def test_damaged_files_are_refused() -> None:
    """A mixed-up key file would be noticed only when others cannot verify."""
    key, other = SigningKey.generate(), SigningKey.generate()
    with pytest.raises(SignatureError, match="mixes two keys"):
        keyfile.write_secret(key, _holder(other))
    mixed = {**_holder(other).to_json(), "secretKeyMultibase": key.secret_multikey}
    with pytest.raises(SignatureError, match="mixes two keys"):
        keyfile.read_secret(json.dumps(mixed).encode())
    with pytest.raises(SignatureError, match="no secretKeyMultibase"):
        keyfile.read_secret(json.dumps(_holder(key).to_json()).encode())
    for wrong in [{}, {"keys": {}}, {"keys": [1]}, {"keys": [{}]}, {"keys": [], "x": 1}]:
        with pytest.raises(EnrolmentError):
            keyfile.read_keyring(json.dumps(wrong).encode())
    nameless = {**_holder(key).to_json(), "name": 7}
    with pytest.raises(EnrolmentError, match="name"):
        keyfile.read_keyring(json.dumps({"keys": [nameless]}).encode())
