"""Batches signed by gateways and meters: vectors of the COSE working group, and tonne's rules."""

import json
from base64 import b64encode, urlsafe_b64decode
from datetime import UTC, datetime
from pathlib import Path

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from ingest.codecs import cose_sign1
from ingest.errors import PayloadError
from mrv.errors import SignedValueError
from mrv.signed_values import DatedKey, Item, check_items, read_items
from mrv.signed_values.meter_keys import MeterKey, NotCheckedError, parse_key, verifies_cose
from tests.mrv.signed_values.signing import GATEWAY, METER, OTHER, STRANGER, batch, public

_LINES = Path(__file__).parents[2].joinpath("vectors/cose.jsonl").read_text().splitlines()
VECTORS = [json.loads(line) for line in _LINES]
AT = datetime(2026, 1, 1, tzinfo=UTC)
READING = [{"id": "1", "ts": 1_767_225_600_000, "values": {"energy_export_kwh": 1.5}}]
SPEAKS = {"inv-1": "inv-1", "S-9": "inv-1", "gw-1": "gw-1"}


def keys(secret=GATEWAY, begins=None, *, ended=None, signer="gw-1"):
    found = [DatedKey(parse_key(public(secret)), begins, signer, SPEAKS)]
    if ended is not None:
        found.append(DatedKey(None, ended, signer, SPEAKS))
    return {signer: found}


def check(*batches, held=None, received=None):
    items = [Item(b64encode(one).decode(), received=received) for one in batches]
    return check_items(items, keys() if held is None else held)


def outcomes(*batches, held=None, received=None):
    return [one.outcome for one in check(*batches, held=held, received=received)]


def _key(said):
    if said["kty"] == "OKP":
        public_key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(said["x_hex"]))
    else:
        x, y = (int.from_bytes(urlsafe_b64decode(said[name] + "==")) for name in "xy")
        curve = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1()}[said["crv"]]
        public_key = ec.EllipticCurvePublicNumbers(x, y, curve).public_key()
    return MeterKey(public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_vectors_of_the_working_group(vector):
    """Another maker's gateway would be refused, or a forger's taken."""
    said, data = vector["input"]["sign0"], bytes.fromhex(vector["output"]["cbor"])
    if vector["name"] in ("sign-fail-01", "sign-pass-03"):  # another tag; none, which we ask for
        with pytest.raises(PayloadError, match="does not begin with tag 18"):
            cose_sign1.read_sign1(data)
        return
    one = cose_sign1.read_sign1(data)
    external = bytes.fromhex(said.get("external", ""))
    if not vector.get("fail") and not external:
        assert one.signed == bytes.fromhex(vector["intermediates"]["ToBeSign_hex"])
    if said["key"]["crv"] == "Ed448":
        return  # no key of it can be registered
    algorithm = one.algorithm if one.algorithm is not None else one.unprotected[1]
    if not isinstance(algorithm, int) or algorithm not in cose_sign1.ALGORITHMS:
        if isinstance(algorithm, int):
            with pytest.raises(NotCheckedError):
                verifies_cose(_key(said["key"]), algorithm, one.signature, one.signed)
        return
    if said["key"]["crv"] == "P-384":
        assert not verifies_cose(_key(said["key"]), algorithm, one.signature, one.signed)
        return
    holds = verifies_cose(_key(said["key"]), algorithm, one.signature, one.signed)
    # what was signed together with something outside is none of ours
    assert holds is (not vector.get("fail") and not external)


@pytest.mark.parametrize("secret", [GATEWAY, METER], ids=["EdDSA", "ES256"])
def test_a_batch_is_its_signers_and_nobody_elses(secret):
    """Anyone who can publish could sign for a gateway."""
    (found,) = check(batch(READING, secret=secret), held=keys(secret))
    assert (found.outcome, found.holder, found.device) == ("verified", "gw-1", "inv-1")
    for other in (STRANGER, OTHER):
        assert outcomes(batch(READING, secret=other), held=keys(secret)) == ["refused"]
    assert outcomes(batch(READING, secret=secret), held={}) == ["not checked"]


def test_a_gateway_speaks_for_what_is_behind_it():
    """A gateway could sign for a neighbour's meter."""
    assert outcomes(batch(READING, device="S-9")) == ["verified"]
    (found,) = check(batch(READING, device="inv-2"))
    assert (found.outcome, found.holder) == ("refused", None)
    assert "may not sign for inv-2" in found.detail


def test_numbers_are_told():
    """A batch that is missing, repeated or sent again later would go unseen."""
    first, second, fifth = (batch(READING, number=n) for n in (1, 2, 5))
    notes = [one.notes for one in check(first, second, fifth, second, first)]
    assert notes[:2] == [(), ()]
    assert notes[2] == ("2 batches are missing after number 2",)
    for again in notes[3:]:
        assert any("again with the same value: count it once" in note for note in again)
    late = check(fifth, first)[1]
    assert (late.outcome, late.notes) == ("verified", ("number 1 follows number 5",))
    other = [READING[0] | {"values": {"energy_export_kwh": 9.5}}]
    assert outcomes(first, batch(other)) == ["verified", "refused"]


def test_a_key_that_ended_verifies_nothing_later():
    """A thief of a key could sign with it permanently, with any date."""
    ended = keys(ended=AT.replace(month=2))
    before, after = batch(READING), batch(READING, number=2, at_ms=1_770_000_000_000)
    assert outcomes(before, after, held=ended) == ["verified", "refused"]
    assert outcomes(before, held=ended, received=AT) == ["verified"]
    (late,) = check(before, held=ended, received=AT.replace(month=3))
    assert (late.outcome, "ended on 2026-02-01" in late.detail) == ("refused", True)
    assert outcomes(before, held=keys(begins=AT.replace(day=2))) == ["not checked"]


def _with(change):
    tag = cbor2.loads(batch(READING))
    return cbor2.dumps(cbor2.CBORTag(tag.tag, change(list(tag.value))))


BAD = {
    "another tag": cbor2.dumps(cbor2.CBORTag(17, cbor2.loads(batch(READING)).value)),
    "three parts": _with(lambda v: v[:3]),
    "no bytes": _with(lambda v: [v[0], v[1], "text", v[3]]),
    "header twice": _with(lambda v: [v[0], {1: -8}, *v[2:]]),
    "critical": _with(lambda v: [v[0], {2: [99]}, *v[2:]]),
    "payload no map": _with(lambda v: [v[0], {}, cbor2.dumps([1]), v[3]]),
    "key twice": _with(lambda v: [v[0], {}, b"\xa2\x01\x01\x01\x02", v[3]]),
    "no sequence": _with(lambda v: [v[0], {}, cbor2.dumps({2: 1, 3: "a", 5: b""}), v[3]]),
    "long form": _with(lambda v: [v[0], {}, b"\xa1\x01\x18\x01", v[3]]),
    "cut": batch(READING)[:-3],
    "more": batch(READING) + b"\x00",
    "no key id": _with(lambda v: [cbor2.dumps({1: -8}), *v[1:]]),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_not_whole_is_refused(what):
    """A damaged batch would end a process, or count."""
    with pytest.raises(PayloadError) as told:
        cose_sign1.read(BAD[what])
    assert told.value.reason in ("malformed_cbor", "wrong_shape")
    assert outcomes(BAD[what]) == ["not checked" if what == "another tag" else "refused"]


@given(st.integers(0, len(batch(READING)) - 1), st.integers(1, 255))
def test_no_changed_byte_verifies(place, by):
    """A single digit of a register could be changed on its way."""
    data = bytearray(batch(READING))
    data[place] ^= by
    (found,) = check(bytes(data)) if data.startswith(b"\xd2\x84") else (None,)
    # its key id stands in what is signed: nothing of it can be changed
    assert found is None or found.outcome != "verified"


def test_files_hold_several():
    """An auditor who got a file of batches could not check them."""
    two = [batch(READING, number=n) for n in (1, 2)]
    for content in (b"".join(two), "\n".join(one.hex() for one in two).encode()):
        assert [one.outcome for one in check_items(read_items(content), keys())] == ["verified"] * 2
    with pytest.raises(SignedValueError):
        read_items(two[0] + b"\xff")
