"""Other software verifies tonne's signatures, and tonne verifies those of other software."""

import copy
import json
from pathlib import Path

import pytest

from mrv.errors import SignatureError
from mrv.signatures.data_integrity import create_proof, verify_proof
from tests.mrv import packs

VECTORS = Path(__file__).parents[1] / "vectors" / "eddsa-jcs-2022"
FILES = packs.documents()
OURS = [json.loads(FILES[name]) for name in ("statement.json", "verification.json")]


def test_others_verify_our_documents_and_the_official_vector(other_implementation):
    """An auditor could check our statements with our own software only."""
    vector = json.loads((VECTORS / "signedJCS.json").read_text("utf-8"))
    found = other_implementation("verify", [*OURS, vector])
    assert found == [{"verified": True, "error": None}] * 3


def test_others_refuse_what_was_tampered_with(other_implementation):
    """A library that says yes to everything would prove nothing."""
    spoiled = []
    for one in OURS:
        for change in ("id", "credentialSubject", "proof"):
            other = copy.deepcopy(one)
            match change:
                case "id":
                    other["id"] += "x"
                case "credentialSubject":
                    other["credentialSubject"]["id"] += "x"
                case _:
                    other["proof"]["created"] = "2026-02-01T00:00:01Z"
            spoiled.append(other)
    found = other_implementation("verify", spoiled)
    assert [one["verified"] for one in found] == [False] * len(spoiled)


@pytest.mark.parametrize("which", ["statement", "verification"])
def test_we_verify_what_others_sign(other_implementation, which):
    """A verifier with another program could not sign for us."""
    key, holder = packs.SIGNERS["verifier"], packs.HOLDERS["verifier"]
    document = {k: v for k, v in json.loads(FILES[f"{which}.json"]).items() if k != "proof"}
    (signed,) = other_implementation(
        "sign",
        [document],
        secret=key.secret_multikey,
        public=key.public_multikey,
        created="2026-02-01T00:00:00Z",
    )
    assert verify_proof(signed, [holder]) == holder
    assert signed == create_proof(document, key, packs.NOW)
    with pytest.raises(SignatureError):
        verify_proof({**signed, "id": "urn:x"}, [holder])
