"""A witness cosigns one history of a log and no other; the sealer reports its own actions."""

import pytest

from ingest.errors import InputError
from mrv.errors import EnrolmentError, LogError, SignatureError
from mrv.log import NoteKey
from mrv.log.entries import Checkpoint, sign_checkpoint
from mrv.log.witness import cosign, cosignatures, make_request
from mrv.signatures.keyfile import write_keyring
from mrv.signatures.keys import EnrolledKey, SigningKey
from mrv.signatures.merkle_tree import consistency_proof, leaf_hash, root_hash
from services.issuer import cosigning, keys
from services.issuer import transitions as life
from services.issuer.seal import Sealer
from services.logs import get_logger
from services.metrics import Metrics
from services.store.postgres.pool import connect
from services.store.statements import transparency_log as log
from tests import holders
from tests.services.issuer import logged, plant

LOG = SigningKey(bytes([7]) * 32)
HOLDER = EnrolledKey("the-log", "log", LOG.public_multikey)
LEAVES = [leaf_hash(bytes([i])) for i in range(20)]


def _head(leaves):
    return sign_checkpoint(Checkpoint("the-log", len(leaves), root_hash(leaves)), LOG)


def _request(old, leaves):
    steps = consistency_proof(old, leaves) if old else []
    return make_request(old, steps, _head(leaves))


@pytest.fixture
def sign(tmp_path):
    """Return a witness that signs requests."""
    holders.create(tmp_path, "auditor", "witness")
    signer = life.Signer(*keys.load(tmp_path, "auditor"))
    ring = write_keyring([HOLDER])
    return lambda request: cosigning.countersign(tmp_path, request, ring, signer, 1_772_000_000)


def test_only_what_leads_on_is_signed(sign):
    """A witness signs only an append-only continuation."""
    assert sign(_request(0, LEAVES[:5])).count("\N{EM DASH} auditor ") == 1
    assert sign(_request(5, LEAVES[:12]))
    other = [*LEAVES[:3], leaf_hash(b"other"), *LEAVES[4:]]
    for request in (
        _request(0, other),
        _request(5, LEAVES),
        _request(12, other),
        make_request(12, [], _head(LEAVES)),
        make_request(12, LEAVES[:4], _head(LEAVES)),
    ):
        with pytest.raises(LogError):
            sign(request)
    assert sign(_request(12, LEAVES))


def test_a_head_of_another_log_or_key_is_refused(sign, tmp_path):
    """An auditor could be made to vouch for a stranger's log."""
    stranger = SigningKey(bytes([8]) * 32)
    head = sign_checkpoint(Checkpoint("the-log", 5, root_hash(LEAVES[:5])), stranger)
    with pytest.raises(SignatureError):
        sign(make_request(0, [], head))
    with pytest.raises(EnrolmentError):
        sign(make_request(0, [], head.replace("the-log", "another")))
    holders.create(tmp_path, "plant", "operator")
    signer = life.Signer(*keys.load(tmp_path, "plant"))
    with pytest.raises(EnrolmentError, match="role witness"):
        cosigning.countersign(tmp_path, _request(0, LEAVES[:5]), write_keyring([HOLDER]), signer, 1)


def test_every_character_of_a_cosignature_counts():
    """A line could name another time, or be listed under another head."""
    key, name = SigningKey(bytes([9]) * 32), "auditor"
    known = NoteKey(name, key.public)
    note = _head(LEAVES)
    line = cosign(note, name, key, 1_772_000_000)
    (found,) = cosignatures(note + line, known)
    assert (found.time_s, found.line) == (1_772_000_000, line)
    start = line.index(name) + len(name) + 1
    for at in range(start, len(line) - 1):
        other = "A" if line[at] != "A" else "B"
        try:
            assert cosignatures(note + line[:at] + other + line[at + 1 :], known) == []
        except SignatureError:
            continue
    with pytest.raises(SignatureError):
        cosignatures(_head(LEAVES[:9]) + line, known)


def test_the_sealer_seals_and_counts(database_url, tmp_path):
    """An operator could not see that sealing had stopped, or was late."""
    plant.register(database_url, tmp_path)
    plant.fill_pv(database_url, minutes=60)
    metrics = Metrics()
    sealer = Sealer(database_url, tmp_path, "tonne-log", 3600, metrics, get_logger("test"))
    sealer.once()
    value = metrics.registry.get_sample_value
    assert value("tonne_log_sealed_days_total") >= 3
    assert value("tonne_log_seal_late_seconds") > 0  # days of months ago
    assert value("tonne_log_seal_time_seconds") > 1.7e9
    assert value("tonne_log_seal_failures_total") == 0
    sealer.once()
    assert value("tonne_log_seal_late_seconds") == 0
    (tmp_path / "keys" / "tonne-log.json").unlink()
    sealer.once()
    assert value("tonne_log_seal_failures_total") == 1


def test_a_countersigned_head_is_kept_and_handed_on(database_url, tmp_path):
    """The auditor's word would be lost, or anyone's kept as if it were the auditor's."""
    plant.register(database_url, tmp_path)
    plant.fill_pv(database_url, minutes=60)
    who = logged.signers(database_url, tmp_path)
    logged.seal_now(database_url, who)
    key, _ = keys.load(tmp_path, "the-witness")
    with connect(database_url, role="tonne_mrv", autocommit=True) as conn:
        head = log.checkpoint(conn)
        stranger = cosign(head, "the-witness", SigningKey.generate(), 1_772_000_000)
        with pytest.raises(InputError, match="no enrolled witness"):
            cosigning.keep(conn, head + stranger)
        line = cosign(head, "the-witness", key, 1_772_000_000)
        assert cosigning.keep(conn, head + line) == ["the-witness"]
        assert log.checkpoint(conn) == head + line
        with pytest.raises(InputError, match="no head"):
            cosigning.keep(conn, _head(LEAVES) + cosign(_head(LEAVES), "the-witness", key, 1))
