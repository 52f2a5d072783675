"""A gateway that signs its messages, up to the registry's record of its key."""

import json
from base64 import b64encode

import pytest

from ingest.errors import InputError
from mrv.signed_values.meter_keys import parse_key
from mrv.signed_values.packaging import Item
from mrv.signed_values.verification import DatedKey, check_items
from services.edge.config import Signing
from services.edge.identity import Batches, Signer
from services.edge.outbox import Outbox, Record
from tests.invoked import tonne
from tests.services.edge.plant import DEVICES, GATEWAY, Edge, meter, registry, rows, waiting
from tests.waiting import until

pytestmark = [pytest.mark.timeout(1_200)]
DEVICE = "signed-1"


def test_what_a_gateway_forwards_is_signed_and_verified(pipeline, plant, tmp_path):
    """Readings signed by a gateway are verified."""
    key = tmp_path / "keys" / "signing.key"
    edge = Edge(tmp_path, pipeline, [meter(plant, 0.1, DEVICE)], signing={"key": str(key)})
    told = tonne("edge", edge.config, "--public-key")
    assert (told.exit_code, key.stat().st_mode & 0o777) == (0, 0o600)

    def stored():
        return len(rows(pipeline, "energy_meter", DEVICE))

    with edge.running():
        until(lambda: waiting(edge) > 30, what=edge.log.read_text)
        with pipeline.running(tmp_path / "run.log"):
            until(lambda: stored() > 40, what=edge.log.read_text)
            edge.kill()  # and a power cut in the midst of it
            edge.start()
            seen = stored()
            until(lambda: stored() > seen + 10, what=edge.log.read_text)
            edge.stop()
            until(lambda: waiting(edge) == 0 or stored() > seen + 10)
    code, found = _verified(pipeline)
    assert (code, found["verified"]) == (4, 0)  # nobody registered the key yet
    fleet = registry(*DEVICES)
    fleet["devices"][0]["meter_keys"] = [
        {"from": "2025-01-01T00:00:00Z", "key": told.stdout.strip(), "document": "gw-1's log"}
    ]
    pipeline.register(fleet)
    code, found = _verified(pipeline)
    assert (code, found["ok"]) == (0, True), found
    assert {(one["holder"], one["device"]) for one in found["values"]} == {(GATEWAY, DEVICE)}
    held = [json.loads(one["messages"]) for one in found["values"]]
    ids = {m["id"] for one in held for m in (one if isinstance(one, list) else [one])}
    assert len(ids) >= stored()  # each reading is in a signed batch
    assert any(isinstance(one, list) and len(one) > 10 for one in held)  # the backlog, at once
    # the key is stolen: from that time on it verifies nothing
    fleet["devices"][0]["meter_keys"].append({"from": "2025-01-02T00:00:00Z", "key": "ended"})
    pipeline.register(fleet)
    code, found = _verified(pipeline)
    assert (code, found["refused"]) == (1, len(held))
    assert "the key of gw-1 ended on 2025-01-02" in found["values"][0]["detail"]


def _verified(pipeline):
    words = ("signed", "verify", "--device", DEVICE, "--json")
    done = tonne(*words, env=pipeline.environment)
    return done.exit_code, json.loads(done.stdout)


@pytest.fixture
def outbox(tmp_path):
    """Return an outbox with messages of two devices."""
    found = Outbox(tmp_path / "o.db", 64 << 20, "thin")
    for device, kind, count in (("a", None, 3), ("a", "x", 2), ("b", None, 120)):
        found.put([Record(device, {"ts": n, "values": {"v": n}}, kind) for n in range(count)])
    yield found
    found.close()


def _of(batches, outbox, device, after=0):
    found = [(one, one.body) for one in outbox.after(after, device, 1_000)]
    return list(batches.of(found, 1_767_225_600_000))


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256"])
def test_batches_are_numbered_without_a_gap(outbox, tmp_path, algorithm):
    """A restart or a second try would look like readings that someone took out."""
    signing = Signing(str(tmp_path / "k"), algorithm)
    signer = Signer("gw-1", signing)
    batches = Batches(signer, outbox)
    first = [*_of(batches, outbox, "a"), *_of(batches, outbox, "b")]
    assert [len(one.messages) for one in first] == [3, 2, 50, 50, 20]
    # sent again whole, or from its midst: the same bytes
    assert _of(batches, outbox, "b", first[2].messages[10].seq) == first[2:]
    batches.free("b", [one.id for one in first[2].messages])
    again = Batches(Signer("gw-1", signing), outbox)  # a restart
    more = _of(again, outbox, "b", first[3].messages[-1].seq)
    items = [Item(b64encode(one.data).decode()) for one in (*first, *more)]
    held = {"gw-1": [DatedKey(parse_key(signer.public_key), None, "gw-1", {"a": "a", "b": "b"})]}
    found = check_items(items, held)
    assert {(one.outcome, one.notes) for one in found} == {("verified", ())}


def test_a_key_of_another_kind_is_refused(tmp_path):
    """A gateway would sign with an unregistered key, or not start without stating why."""
    path = tmp_path / "k"
    Signer("gw-1", Signing(str(path)))
    with pytest.raises(InputError, match="has no key of ES256"):
        Signer("gw-1", Signing(str(path), "ES256"))
    path.write_text("nothing")
    with pytest.raises(InputError, match="contains no private key in PEM"):
        Signer("gw-1", Signing(str(path)))
