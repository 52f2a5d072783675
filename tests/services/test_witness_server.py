"""A witness run by another organisation, over HTTP, beside one of other software."""

import hashlib
import json
import os
import signal
import subprocess
from functools import partial

import pytest

from ingest.errors import InputError
from mrv.errors import WitnessRefusedError
from mrv.log import NoteKey, Vkey
from mrv.log.entries import Checkpoint, sign_checkpoint
from mrv.log.witness import cosignatures, make_request
from mrv.signatures.keys import SigningKey
from mrv.signatures.merkle_tree import EMPTY_ROOT, consistency_proof, leaf_hash, root_hash
from services import witness_state as witness_keys
from services.witness import LARGEST_BODY, Cosigner
from services.witness_state import FILE, State
from tests import commands
from tests.invoked import tonne
from tests.ports import free_port
from tests.services.api import plain
from tests.transparency import OthersWitness, answers, needs_witness
from tests.waiting import until

get, post = (partial(one, timeout=60) for one in (plain.get, plain.post))
KEY, STRANGER = (SigningKey(bytes([n]) * 32) for n in (7, 8))
LOG = NoteKey("log.example/a", KEY.public)
LEAVES = [leaf_hash(bytes([i])) for i in range(20)]
FORKED = [*LEAVES[:3], leaf_hash(b"other"), *LEAVES[4:]]
TEXT, SIZE = "text/plain; charset=utf-8", "text/x.tlog.size"


def head(leaves, key=KEY, origin=LOG.name):
    root = root_hash(leaves) if leaves else EMPTY_ROOT
    return sign_checkpoint(Checkpoint(origin, len(leaves), root), key)


def request(old, leaves, proof=None, note=None):
    steps = consistency_proof(old, leaves) if old and proof is None else proof or []
    return make_request(old, steps, note or head(leaves))


# in this order: what is asked, the status, and the size that a conflict names
ASKED = [
    ("unknown log", request(0, LEAVES[:5], note=head(LEAVES[:5], STRANGER, "log.example/b")), 404),
    ("stranger's key", request(0, LEAVES[:5], note=head(LEAVES[:5], STRANGER)), 403),
    ("changed root", request(0, [], note=head(LEAVES[:5]).replace("\n5\n", "\n6\n")), 403),
    ("proof from nothing", request(0, LEAVES[:5], proof=[LEAVES[0]]), 422),
    ("ahead of nothing", request(2, LEAVES[:5]), 409),
    ("first", request(0, LEAVES[:5]), 200),
    ("first again", request(0, LEAVES[:5]), 409),
    ("the same head", request(5, LEAVES[:5], proof=[]), 200),
    ("the same size, other root", request(5, FORKED[:5], proof=[]), 422),
    ("old beyond the head", request(5, LEAVES[:4], proof=[]), 400),
    ("back", request(4, LEAVES[:4], proof=[]), 409),
    ("fork", request(5, FORKED[:12]), 422),
    ("no proof", request(5, LEAVES[:12], proof=[]), 422),
    ("proof too long", request(5, LEAVES[:12], proof=LEAVES[:9]), 422),
    ("next", request(5, LEAVES[:12]), 200),
    ("from before", request(5, LEAVES), 409),
    ("with a stranger's line", request(12, LEAVES, note=head(LEAVES) + "— x AAAAAAAAAA==\n"), 200),
    ("garbage", "old 20\n", 400),
    ("old with a zero before", "old 020\n\n" + head(LEAVES), 400),
    ("hash of three bytes", "old 20\nAAAA\n\n" + head(LEAVES), 400),
]


# litewitness takes these, where the text says MUST respond with 422 or 400
LAX = {"proof from nothing", "old with a zero before"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run `tonne witness` with a separate folder."""
    home = tmp_path_factory.mktemp("witness")

    def go(*words):
        return tonne("witness", *words, env={"TONNE_HOME": str(home)})

    go.home = home
    return go


@pytest.fixture(scope="module")
def served(run):
    """Return URL and keys of a witness served as by its organisation."""
    made = json.loads(run("create", "--name", "witness.example/ours", "--json").output)
    assert run("add-log", LOG.vkey).exit_code == 0
    port = free_port()
    process = commands.start(
        ["witness", "serve"],
        env={**os.environ, "TONNE_HOME": str(run.home), "TONNE_WITNESS_BIND": f"127.0.0.1:{port}"},
        stderr=subprocess.PIPE,
    )
    try:
        until(lambda: answers("127.0.0.1", port))
        yield f"http://127.0.0.1:{port}", [Vkey.parse(text) for text in made["vkeys"]]
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in (0, -signal.SIGTERM)
        # closed properly: nothing is left beside the file
        assert not list(run.home.glob("witness-server/*-wal"))
    finally:
        process.kill()
        process.communicate()


def told(url, body):
    answer = post(f"{url}/add-checkpoint", content=body)
    return answer.status_code, answer.headers["content-type"], answer.text


def test_only_what_leads_on_is_cosigned(served, run):
    """A witness server signs only an append-only continuation."""
    url, keys = served
    size = 0
    for name, body, status in ASKED:
        code, kind, text = told(url, body)
        assert code == status, (name, text)
        if code == 409:
            assert (kind, text) == (SIZE, f"{size}\n"), name
        if code == 200:
            note = body.partition("\n\n")[2]
            found = cosignatures(note + text, *keys)
            assert {one.witness for one in found} == set(keys), name
            assert len({one.time_s for one in found}) == 1
            size = int(note.split("\n")[1])
    place = hashlib.sha256(LOG.name.encode()).hexdigest()
    kept = get(f"{url}/{place}/checkpoint").text
    assert kept.startswith(head(LEAVES))
    assert len(cosignatures(kept, *keys)) == 2
    assert "— x " not in kept
    assert get(f"{url}/{'0' * 64}/checkpoint").status_code == 404
    shown = json.loads(run("show", "--json").output)
    assert [(one["origin"], one["size"]) for one in shown["logs"]] == [(LOG.name, 20)]
    against = {one["why"] for one in shown["contradictions"]}
    assert {
        "two heads over 5 entries",
        "no proof that the log of 12 entries extends that of 5",
    } <= against
    for one in shown["contradictions"]:
        assert one["held"].startswith(LOG.name)
        assert one["shown"].startswith(LOG.name)


@needs_witness
def test_another_witness_says_the_same(tmp_path):
    """Logs that are used to other witnesses could not work with ours."""
    theirs = OthersWitness(tmp_path, free_port(), LOG)
    try:
        size, differs = 0, []
        for name, body, status in ASKED:
            if name in LAX:
                continue
            code, kind, text = told(theirs.url, body)
            if code != status:
                differs.append((name, code, status, text))
            if code == 409:
                assert (kind, text) == (SIZE, f"{size}\n"), name
            if code == 200:
                note = body.partition("\n\n")[2]
                assert cosignatures(note + text, Vkey.parse(theirs.vkey)), name
                size = int(note.split("\n")[1])
        assert differs == []
    finally:
        theirs.close()


def test_what_is_too_large_or_of_another_kind_is_refused(served):
    """The witness rejects requests that are too large or of another kind."""
    url, _ = served
    large = b"x" * (LARGEST_BODY + 1)
    assert post(f"{url}/add-checkpoint", content=large).status_code == 413
    assert post(f"{url}/add-checkpoint", content=iter([large])).status_code == 413
    assert get(f"{url}/add-checkpoint").status_code == 405
    assert post(f"{url}/{'0' * 64}/checkpoint").status_code == 405
    assert get(f"{url}/x" + "y" * 20_000).status_code == 414
    assert told(url, b"\xff\xfe")[0] == 400
    assert get(f"{url}/vkeys").text.count("witness.example/ours+") == 2


@pytest.fixture
def signer(tmp_path):
    """Return a witness in this process, whose clock the test sets."""
    keys = witness_keys.create(tmp_path, "w.example", b"a passphrase")
    clock = [1_770_000_000]
    with State(tmp_path) as state:
        state.add_log(Vkey(LOG.name, 1, LOG.public), 0)
        made = Cosigner(keys, state, lambda: clock[0])
        made.clock = clock
        yield made


def test_a_clock_that_went_back_signs_nothing(signer):
    """A cosignature would say that a larger head was not seen by a time at which it was."""
    signer.add_checkpoint(request(0, LEAVES[:5]).encode())
    signer.clock[0] -= 10
    with pytest.raises(WitnessRefusedError, match="clock") as error:
        signer.add_checkpoint(request(5, LEAVES[:9]).encode())
    assert error.value.status == 503
    signer.clock[0] += 10
    assert signer.add_checkpoint(request(5, LEAVES[:9]).encode())[1] == 9


def test_a_head_that_cannot_be_written_is_not_cosigned(signer, tmp_path):
    """A witness signs only what it has stored."""
    signer.add_checkpoint(request(0, LEAVES[:5]).encode())
    with State(tmp_path) as other, other.changing():
        signer.state._db.execute("PRAGMA busy_timeout = 20")
        with pytest.raises(WitnessRefusedError, match="locked") as error:
            signer.add_checkpoint(request(5, LEAVES[:9]).encode())
    assert error.value.status == 503
    assert signer.state.seen(LOG.name).head.size == 5
    signer.state._db.execute("UPDATE head SET size = 3")
    with pytest.raises(WitnessRefusedError, match="damaged"):
        signer.add_checkpoint(request(3, LEAVES[:9]).encode())


def test_keys_are_for_their_owner_alone(signer, tmp_path, monkeypatch):
    """Anyone who reads the witness's keys could sign a second history in its name."""
    file = tmp_path / witness_keys.KEYS_FILE
    assert file.stat().st_mode & 0o077 == 0
    assert b"BEGIN ENCRYPTED" in file.read_bytes()
    assert witness_keys.load(tmp_path, b"a passphrase").vkeys == signer.keys.vkeys
    with pytest.raises(InputError, match="passphrase"):
        witness_keys.load(tmp_path, b"another")
    with pytest.raises(InputError, match="already"):
        witness_keys.create(tmp_path, "w.example")
    file.chmod(0o644)
    with pytest.raises(InputError, match="chmod 600"):
        witness_keys.load(tmp_path, b"a passphrase")
    assert (tmp_path / FILE).exists()


def test_refusals_name_the_thing(run):
    """A witness would be set up for a key that signs no log."""
    made = run("add-log", str(Vkey("w", 4, STRANGER.public)))
    assert (made.exit_code, "key of a witness" in made.output) == (2, True)
    assert run("add-log", "nonsense").exit_code == 2
    named = tonne("witness", "create", "--name", "a b", env={"TONNE_HOME": str(run.home / "x")})
    assert (named.exit_code, "blank" in named.output) == (2, True)
