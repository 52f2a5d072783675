"""Data Integrity proofs, step by step, compared with the official vectors."""

import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from mrv.errors import CanonicalError, EnrolmentError, SignatureError
from mrv.signatures import canonical
from mrv.signatures import data_integrity as signing
from mrv.signatures.ed25519 import decode_base58
from mrv.signatures.keys import EnrolledKey, SigningKey, multikey_of

OFFICIAL = Path(__file__).parents[1] / "vectors" / "eddsa-jcs-2022"
SETS = json.loads((OFFICIAL / "set-and-chain.json").read_bytes())
CREATED = datetime(2023, 2, 24, 23, 36, 38, tzinfo=UTC)


def _json(name: str) -> dict[str, Any]:
    return canonical.parse_object((OFFICIAL / name).read_bytes())


def _text(name: str) -> str:
    return (OFFICIAL / name).read_text(encoding="utf-8").strip()


def _signer(proof: dict[str, Any], name: str = "signer") -> EnrolledKey:
    return EnrolledKey(name, "operator", multikey_of(proof["verificationMethod"]))


def _key() -> SigningKey:
    return SigningKey.from_multikey(_json("keyPair.json")["privateKeyMultibase"])


SIGNED = _json("signedJCS.json")
TRUSTED = [_signer(SIGNED["proof"])]


def test_each_step_gives_the_official_value() -> None:
    """A statement's proof would be valid here only, and no auditor's software would accept it."""
    document = _json("unsigned.json")
    options = signing.proof_options(document, _key().verification_method, CREATED)
    data = signing.hash_data(document, options)
    assert options == _json("proofConfigJCS.json")
    assert signing.canonical_document(document).decode() == _text("canonDocJCS.txt")
    assert signing.canonical_options(options).decode() == _text("proofCanonJCS.txt")
    assert data[32:].hex() == _text("docHashJCS.txt")
    assert data[:32].hex() == _text("proofHashJCS.txt")
    assert data.hex() == _text("combinedHashJCS.txt")
    assert _key().sign(data).hex() == _text("sigHexJCS.txt")


def test_the_whole_proof_is_the_official_one() -> None:
    """Each step of signing could be right, and the whole wrong."""
    signed = signing.create_proof(_json("unsigned.json"), _key(), CREATED)
    assert signed == SIGNED == SETS["official"]
    assert signed["proof"]["proofValue"] == _text("sigBTC58JCS.txt")
    assert decode_base58(_text("sigBTC58JCS.txt")).hex() == _text("sigHexJCS.txt")
    assert signing.verify_proof(SIGNED, TRUSTED) == TRUSTED[0]


def _changes(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list):
        keys = value if isinstance(value, dict) else range(len(value))
        for key in keys:
            yield from _changes(value[key], (*path, key))
    else:
        yield path


@pytest.mark.parametrize("path", list(_changes(SIGNED)), ids=str)
@pytest.mark.parametrize("change", ["longer", "emptied", "removed"])
def test_no_field_can_be_changed(path: tuple[Any, ...], change: str) -> None:
    """Someone could alter a signed statement and it would still verify."""
    document = copy.deepcopy(SIGNED)
    holder: Any = document
    for key in path[:-1]:
        holder = holder[key]
    if change == "removed":
        del holder[path[-1]]
    else:
        holder[path[-1]] = holder[path[-1]] + "x" if change == "longer" else ""
    with pytest.raises((SignatureError, EnrolmentError)):
        signing.verify_proof(document, TRUSTED)


def test_no_field_can_be_added() -> None:
    """A claim could be slipped into a signed statement."""
    with pytest.raises(SignatureError, match="changed after signing"):
        signing.verify_proof({**SIGNED, "extra": "1"}, TRUSTED)


def test_single_and_tampered() -> None:
    """A document of another implementation could not be checked, or a forged one would pass."""
    keys = [_signer(proof) for proof in SETS["set"]["proof"]]
    assert signing.verify_proof(SETS["single"], keys) == keys[0]
    with pytest.raises(SignatureError, match="changed after signing"):
        signing.verify_proof(SETS["tampered"], keys)


def test_unknown_signer_is_named() -> None:
    """Anyone with a key could sign a statement and have it count."""
    with pytest.raises(EnrolmentError, match=TRUSTED[0].multikey):
        signing.verify_proof(SIGNED, [_signer(SETS["single"]["proof"])])


def test_set_and_chain_are_refused() -> None:
    """One of several signers would count, and what the others approved be lost."""
    keys = [_signer(proof) for proof in SETS["chain"]["proof"]]
    with pytest.raises(SignatureError, match="2 proofs where one is expected"):
        signing.verify_proof(SETS["set"], keys)
    with pytest.raises(SignatureError, match="chains are not accepted"):
        signing.verify_proof({**SETS["chain"], "proof": SETS["chain"]["proof"][1]}, keys)


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("cryptosuite", "eddsa-rdfc-2022", "cryptosuite is 'eddsa-rdfc-2022'"),
        ("type", "Ed25519Signature2020", "type is"),
        ("proofPurpose", "authentication", "proofPurpose is"),
        ("created", "yesterday", "created is 'yesterday'"),
        ("created", "2023-02-24T23:36:38", "created is"),
        ("created", "2023-02-30T23:36:38Z", "created is"),
        ("created", 1677281798, "created is"),
        ("proofValue", "z1", "1 bytes"),
        ("proofValue", "u" + "A" * 86, "cannot be read"),
        ("proofValue", None, "not multibase text"),
        ("verificationMethod", "did:web:example.com#k", "verificationMethod"),
        ("expires", "2030-01-01T00:00:00Z", "'expires' is not supported"),
        ("@context", ["https://example.com"], "does not start with"),
        ("@context", "https://www.w3.org/ns/credentials/v2", "changed after signing"),
    ],
)
def test_wrong_proof_fields_are_named(field: str, value: object, named: str) -> None:
    """A signer would not learn which part of a proof others refuse."""
    with pytest.raises(SignatureError) as error:
        signing.verify_proof({**SIGNED, "proof": {**SIGNED["proof"], field: value}}, TRUSTED)
    assert named in str(error.value)


@pytest.mark.parametrize("field", sorted(set(SIGNED["proof"]) - {"@context"}))
def test_missing_proof_fields_are_named(field: str) -> None:
    """A proof without its date or purpose would count."""
    proof = {key: value for key, value in SIGNED["proof"].items() if key != field}
    with pytest.raises(SignatureError, match=f"no {field}"):
        signing.verify_proof({**SIGNED, "proof": proof}, TRUSTED)


@pytest.mark.parametrize("proof", [None, [], "z", [None]])
def test_documents_without_a_proof_are_refused(proof: object) -> None:
    """An unsigned statement would pass."""
    with pytest.raises(SignatureError, match="no proof"):
        signing.verify_proof({**SIGNED, "proof": proof}, TRUSTED)


def test_context_may_grow_at_its_end_only() -> None:
    """The specification lets a holder add contexts behind the signed ones, never before."""
    context = SIGNED["@context"]
    longer = {**SIGNED, "@context": [*context, "https://example.com"]}
    assert signing.verify_proof(longer, TRUSTED) == TRUSTED[0]
    with pytest.raises(SignatureError, match="does not start with"):
        signing.verify_proof({**SIGNED, "@context": ["https://example.com", *context]}, TRUSTED)


def test_documents_without_context_can_be_signed() -> None:
    """Plain JSON records, such as status events, could not be signed."""
    key = SigningKey.generate()
    signed = signing.create_proof({"a": "1"}, key, CREATED)
    assert "@context" not in signed["proof"]
    trusted = [EnrolledKey("k", "verifier", key.public_multikey)]
    assert signing.verify_proof(signed, trusted).role == "verifier"
    with pytest.raises(SignatureError, match="does not start with"):
        signing.verify_proof({**signed, "proof": {**signed["proof"], "@context": "x"}}, trusted)


def test_created_is_written_in_utc() -> None:
    """The time of a proof would depend on the signer's time zone, or be ambiguous."""
    local = CREATED.astimezone(timezone(timedelta(hours=7)))
    assert signing.create_proof(_json("unsigned.json"), _key(), local) == SIGNED
    with pytest.raises(SignatureError, match="no time zone"):
        signing.create_proof({}, _key(), CREATED.replace(tzinfo=None))


def test_what_must_not_be_signed() -> None:
    """A float would be signed that readers print differently, or a proof signed over silently."""
    with pytest.raises(CanonicalError, match=r"\$\.t is the float"):
        signing.create_proof({"t": 1.5}, _key(), CREATED)
    with pytest.raises(SignatureError, match="already has a proof"):
        signing.create_proof(SIGNED, _key(), CREATED)
