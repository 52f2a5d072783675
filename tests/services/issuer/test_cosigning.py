"""A log and its witnesses: one history is cosigned, unreachable witnesses are reported."""

import json
import os
import subprocess
from contextlib import ExitStack

import psycopg
import pytest

from ingest.errors import InputError, ServerError
from mrv.errors import EnrolmentError, LogError, SignatureError
from mrv.log import NoteKey
from mrv.log.entries import Checkpoint, sign_checkpoint
from mrv.log.witness import cosign, cosignatures, make_request, read_policy
from mrv.signatures.keys import EnrolledKey, SigningKey, write_keyring
from mrv.signatures.merkle_tree import consistency_proof, leaf_hash, root_hash
from services.issuer import cosigning, keys
from services.issuer import transitions as life
from services.issuer.audit import audit
from services.issuer.cosigning import Cosigning, Witnesses, have_cosigned
from services.issuer.seal import Sealer
from services.logs import get_logger
from services.metrics import Metrics
from services.store.statements import transparency_log as log
from services.store.statements import transparency_log as stored
from tests import holders
from tests.fix_timescale import _fresh
from tests.invoked import tonne
from tests.planted import planted
from tests.ports import free_port
from tests.services.issuer import logged, plant
from tests.services.issuer.logged import issuer
from tests.transparency import HOME, OthersWitness, judged, needs_judge, needs_witness
from tests.witnessing import answering, made, policy


@pytest.fixture
def log_key(who):
    """Return the log's key as it is published."""
    holder = who["log"].holder
    return NoteKey(holder.name, holder.public)


@pytest.fixture
def named(tmp_path):
    """Return a function that makes a witness: its folder and its Ed25519 key."""

    def make(name):
        folder = tmp_path / name
        return folder, made(folder, f"witness.example/{name}").vkeys[0]

    return make


def _asked(text, *, waits=False, wait_s=60):
    return Witnesses(read_policy(text.encode()), wait_s, waits)


def _tonne(url, home, file, *words, **more):
    env = {
        "TONNE_DATABASE_URL": url,
        "TONNE_HOME": str(home),
        "TONNE_WITNESS_POLICY": str(file),
        **more,
    }
    return tonne(*words, env=env)


@needs_judge
@needs_witness
def test_heads_are_cosigned_by_ours_and_by_others(database_url, who, log_key, named, tmp_path):
    """Auditors who trust a witness of their own would get heads that it never saw."""
    folder, ours = named("w1")
    other_folder = tmp_path / "other"
    other_folder.mkdir()
    others = OthersWitness(other_folder, free_port(), log_key)
    with ExitStack() as ended:
        ended.callback(others.close)
        url = ended.enter_context(answering(folder, log_key))
        text = policy(
            log_key,
            {"w1": (ours, url), "o": (others.vkey, others.url)},
            ["group both all w1 o", "quorum both"],
        )
        file = tmp_path / "policy"
        file.write_text(text)
        done = _tonne(database_url, tmp_path, file, "log", "seal", "--to", "2026-03-04")
        assert (done.exit_code, done.stderr) == (0, "")
        name = logged.issue(database_url, who)
        done = _tonne(database_url, tmp_path, file, "log", "witnesses", "--json")
        said = json.loads(done.stdout)
        assert (done.exit_code, said["lacks"], said["cosigned_by"]) == (0, None, ["w1", "o"])
        again = _tonne(database_url, tmp_path, file, "log", "witnesses", "--json")
        assert json.loads(again.stdout)["asked"] == {}
        found = _tonne(database_url, tmp_path, file, "doctor", "--json")
        (one,) = [x for x in json.loads(found.stdout) if x["what"] == "witnesses"]
        assert (one["state"], "cosigned by w1, o" in one["found"]) == ("ok", True), one
        tiles = _tonne(database_url, tmp_path, file, "log", "tiles", str(tmp_path / "www"))
        assert tiles.exit_code == 0, tiles.output
    bare = text.replace(url, "").replace(others.url, "").encode()
    code, words = judged(bare, (tmp_path / "www" / "checkpoint").read_text("utf-8"), tmp_path)
    assert code == 0, words
    assert "witness.example/w1" in words
    assert "witness.example/other" in words
    with issuer(database_url) as conn:
        entry = conn.execute(
            "SELECT body FROM log_entry WHERE statement_id = %s AND kind = 'issued'", [name]
        ).fetchone()[0]
        (tmp_path / "entry").write_bytes(entry)
        (tmp_path / "proof").write_text(log.receipt(conn, name), "utf-8")
        report = audit(conn, logged.NOW)
        assert report.first_break is None
    done = subprocess.run(
        [HOME / "tlogcheck", "proof", tmp_path / "judged.policy", tmp_path / "proof",
         tmp_path / "entry"], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_a_witness_that_is_away_is_named_and_asked_again(
    database_url, who, log_key, named, tmp_path
):
    """An unavailable witness is named and asked again."""
    (first, one), (second, two) = named("w1"), named("w2")
    port = free_port()
    with answering(first, log_key) as url:
        text = policy(
            log_key,
            {"w1": (one, url), "w2": (two, f"http://127.0.0.1:{port}")},
            ["group both 2 w1 w2", "quorum both"],
        )
        whom = _asked(text)
        name = logged.issue(database_url, who)
        metrics, seen = Metrics(), []
        told = get_logger("test", stream=_Lines(seen))
        asking = Cosigning(database_url, whom, metrics, told)
        asking.once()
        asking.once()
        value = metrics.registry.get_sample_value
        assert value("tonne_log_witnesses_away") == 1
        assert value("tonne_log_cosigning_seconds_count") == 1
        assert value("tonne_log_witnesses_contradicting") == 0
        away = [line for line in seen if "did not cosign" in line]
        assert len(away) == 1, "once each cause"
        assert "1 more of both" in away[0]
        with issuer(database_url) as conn:
            assert stored.waiting_s(conn) > 0
            receipt = log.receipt(conn, name)
            assert len(cosignatures(receipt.partition("\n\n")[2], one, two)) == 1
            with pytest.raises(ServerError, match="w2: no answer received"):
                cosigning.require(conn, _asked(text, waits=True))
            with pytest.raises(ServerError, match="enough witnesses"):
                cosigning.require_enough(conn)
            assert log.checkpoint(conn, cosigned=True) is None
        file = tmp_path / "policy"
        file.write_text(text)
        more = {"TONNE_WITNESS_AWAY": "wait", "TONNE_WITNESS_WAIT_S": "30"}
        other = _tonne(database_url, tmp_path, file, "statement", "issue", name, **more)
        assert (other.exit_code, "no statement is issued while" in other.output) == (3, True)
        found = _tonne(database_url, tmp_path, file, "doctor", "--json")
        (said,) = [x for x in json.loads(found.stdout) if x["what"] == "witnesses"]
        assert (said["state"], "w2 away" in said["found"]) == ("wrong", True), said
        with answering(second, log_key, port=port):
            logged.seal_now(database_url, who)  # a later head: w2 signs no earlier one any more
            asking.once()
            assert value("tonne_log_witnesses_away") == 0
        with issuer(database_url) as conn:
            assert stored.waiting_s(conn) == 0
            cosigning.require_enough(conn)
            later = log.receipt(conn, name)
            note = later.partition("\n\n")[2]
            assert len(cosignatures(note, one, two)) == 2
            assert log.checkpoint(conn, cosigned=True) == note
            # stays as it is when later heads are cosigned as well
            before = stored.newest(conn).size
            stored.mark(conn, before, whom.digest)
            assert log.receipt(conn, name) == later


class _Lines:
    def __init__(self, kept):
        self._kept = kept

    def write(self, text):
        self._kept.append(text)

    def flush(self):
        pass

    def isatty(self):
        return False


def test_a_log_with_two_histories_gets_one_of_them_cosigned(
    database_url, timescale, migrated_template, who, log_key, named, tmp_path
):
    """A witness signs only one of two histories of a log."""
    folder, key = named("w1")
    made_other = _fresh(timescale, migrated_template)
    other = next(made_other)
    planted(logged.quarter_hours, other, tmp_path / "other")
    times, energy, _ = plant.sunny("2026-03-03", "2026-03-04", 15)
    plant.send(other, "inv-1", times + 60_000_000, energy_export_wh=energy + 10_000_000)
    with answering(folder, log_key) as url:
        text = policy(log_key, {"w1": (key, url)}, ["quorum w1"])
        logged.seal_now(database_url, who)
        logged.seal_now(other, who)
        with issuer(database_url) as conn:
            assert have_cosigned(conn, _asked(text)).lacks is None
        with issuer(other) as conn:
            done = have_cosigned(conn, _asked(text))
            assert done.contradicting == ["w1"]
            metrics = Metrics()
            Cosigning(other, _asked(text), metrics, get_logger("test")).once()
            assert metrics.registry.get_sample_value("tonne_log_witnesses_contradicting") == 1
            assert (done.names, done.lacks is None) == ((), False)
            assert stored.newest(conn).size == done.size
        file = tmp_path / "policy"
        file.write_text(text)
        said = _tonne(other, tmp_path, file, "log", "witnesses")
        assert (said.exit_code, "another history" in said.output) == (1, True)
        found = _tonne(other, tmp_path, file, "doctor", "--json")
        (said,) = [x for x in json.loads(found.stdout) if x["what"] == "witnesses"]
        assert (said["state"], "contradicts" in said["found"]) == ("wrong", True)
        # an older copy of the database: the witness has seen more entries than it holds
        with psycopg.connect(database_url) as conn:
            conn.execute("SET session_replication_role = replica")
            conn.execute("DELETE FROM witness_cosignature")
            conn.execute("DELETE FROM witness_quorum")
            conn.execute(
                "DELETE FROM log_checkpoint WHERE size = (SELECT max(size) FROM log_checkpoint)"
            )
        with issuer(database_url) as conn:
            done = have_cosigned(conn, _asked(text))
            assert done.contradicting == ["w1"]
            assert "older copy" in done.outcomes["w1"].why
    next(made_other, None)


def test_a_policy_that_cannot_work_is_refused(tmp_path, named, log_key):
    """The log would wait permanently for a witness that is never asked."""
    _, key = named("w1")
    file = tmp_path / "policy"
    for text, word in (
        (policy(log_key, {"w1": (key, None)}, ["quorum w1"]), "cannot be reached"),
        (policy(log_key, {"w1": (key, "ftp://x")}, ["quorum w1"]), "not a URL"),
        ("quorum x\n", "no earlier line"),
    ):
        file.write_text(text)
        done = _tonne("postgresql://x@127.0.0.1:1/x", tmp_path, file, "log", "witnesses")
        assert (done.exit_code, word in done.output) == (2, True), done.output
    gone = _tonne("postgresql://x@127.0.0.1:1/x", tmp_path, tmp_path / "no", "log", "witnesses")
    assert (gone.exit_code, "No such file" in gone.output) == (2, True)
    with pytest.raises(InputError, match="no witness to wait for"):
        cosigning.Witnesses.by(_settings(TONNE_WITNESS_AWAY="wait"))


def _settings(**env):
    from services.settings import Settings  # noqa: PLC0415

    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith("TONNE_")]:
            patch.delenv(name)
        for name, value in env.items():
            patch.setenv(name, value)
        return Settings()


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
    with logged.issuer(database_url) as conn:
        head = log.checkpoint(conn)
        stranger = cosign(head, "the-witness", SigningKey.generate(), 1_772_000_000)
        with pytest.raises(InputError, match="no enrolled witness"):
            cosigning.keep(conn, head + stranger)
        line = cosign(head, "the-witness", key, 1_772_000_000)
        assert cosigning.keep(conn, head + line) == ["the-witness"]
        assert log.checkpoint(conn) == head + line
        with pytest.raises(InputError, match="no head"):
            cosigning.keep(conn, _head(LEAVES) + cosign(_head(LEAVES), "the-witness", key, 1))
