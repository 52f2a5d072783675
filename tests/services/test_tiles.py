"""The log published as files, and monitors that follow it there."""

import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner

from ingest.errors import InputError
from mrv.errors import LogError, SignatureError
from mrv.log import NoteKey
from mrv.log.entries import Checkpoint, sign_checkpoint
from mrv.signatures.keys import SigningKey
from mrv.signatures.merkle_tree import leaf_hash, root_hash
from services.cli.__main__ import main
from services.store.postgres.pool import connect
from services.store.statements import transparency_log as stored
from services.tiles import Folder, follow, publish
from tests.invoked import tonne
from tests.services.issuer import sealed
from tests.transparency import judge, needs_judge

KEY = SigningKey(bytes([7]) * 32)
LOG = NoteKey("the-log", KEY.public)
ENTRIES = [json.dumps({"event": "issued", "statement": f"TN-{i}"}).encode() for i in range(600)]
OTHERS = [*ENTRIES[:3], b'{"event":"forged"}', *ENTRIES[4:]]


def head(entries):
    leaves = [leaf_hash(one) for one in entries]
    return sign_checkpoint(Checkpoint(LOG.name, len(leaves), root_hash(leaves)), KEY)


def put(folder, entries):
    publish(folder, head(entries), entries, [leaf_hash(one) for one in entries])
    return folder


def go(folder, home, **more):
    return follow(Folder(folder), [LOG], home, **more)


def monitor(*args):
    return tonne("log", "monitor", *args)


def test_full_tiles_are_written_once(tmp_path):
    """Anyone who kept a tile would find another one under its name."""
    leaves = [leaf_hash(one) for one in ENTRIES]
    first = publish(tmp_path, head(ENTRIES[:500]), ENTRIES, leaves)
    assert (first.size, first.kept) == (500, 0)
    tile = tmp_path / "tile/0/000"
    before = tile.stat().st_mtime_ns
    again = publish(tmp_path, head(ENTRIES), ENTRIES, leaves)
    assert (again.size, again.kept) == (600, 2)
    assert tile.stat().st_mtime_ns == before
    assert publish(tmp_path, head(ENTRIES), ENTRIES, leaves).written == 0


def test_a_folder_of_another_history_is_left_alone(tmp_path):
    """A rewritten log would be published over what outsiders have read."""
    put(tmp_path, ENTRIES)
    for other in (OTHERS, ENTRIES[:599]):
        with pytest.raises(LogError, match="not part of this log's history"):
            put(tmp_path, other)
    assert (tmp_path / "checkpoint").read_text() == head(ENTRIES)
    with pytest.raises(LogError, match="do not match its head"):
        publish(tmp_path, head(ENTRIES), OTHERS, [leaf_hash(one) for one in OTHERS])


@needs_judge
def test_another_implementation_reads_it(tmp_path):
    """Outsiders' tools would call our log broken."""
    (tmp_path / "old").write_text(head(ENTRIES[:300]))
    put(tmp_path / "log", ENTRIES)
    code, words = judge("tiles", LOG.vkey, tmp_path / "log", tmp_path / "old")
    assert (code, words[:2]) == (0, "ok"), words
    assert "entries=600" in words
    tile = tmp_path / "log/tile/0/001"
    tile.write_bytes(tile.read_bytes()[::-1])
    assert judge("tiles", LOG.vkey, tmp_path / "log")[0] == 1


def test_a_log_that_goes_on_is_followed(tmp_path):
    """Each seal would be an alarm, or no one would see what is new."""
    folder, home = tmp_path / "log", tmp_path / "home"
    first = go(put(folder, ENTRIES[:300]), home, watched=["TN-7", "TN-450"])
    assert (first.size, first.before, first.contradiction) == (300, 0, None)
    assert [one["index"] for one in first.entries] == [7]
    second = go(put(folder, ENTRIES), home, watched=["TN-7", "TN-450"])
    assert (second.size, second.before, second.contradiction) == (600, 300, None)
    assert [one["entry"]["statement"] for one in second.entries] == ["TN-450"]
    assert go(folder, home).before == 600


@pytest.mark.parametrize("size", [4, 256, 300, 599, 600])
def test_a_rewritten_log_is_told_with_its_evidence(tmp_path, size):
    """An operator could take a statement back after it was sold."""
    home = tmp_path / "home"
    go(put(tmp_path / "a", ENTRIES[:size]), home)
    report = go(put(tmp_path / "b", OTHERS), home)
    assert "belong to different histories" in report.contradiction
    assert {one.read_text() for one in report.evidence} == {head(ENTRIES[:size]), head(OTHERS)}
    # what was seen first stays: the next round says so again
    assert go(tmp_path / "b", home).contradiction


def test_a_log_that_shrinks_is_told(tmp_path):
    """The last entries could be taken back."""
    go(put(tmp_path / "a", ENTRIES), tmp_path / "home")
    report = go(put(tmp_path / "b", ENTRIES[:599]), tmp_path / "home")
    assert "599 entries and showed 600" in report.contradiction


def test_a_split_view_is_seen_by_two_monitors_that_talk(tmp_path, monkeypatch):
    """An auditor and a buyer could be shown two logs, each whole in itself."""
    ours, theirs = put(tmp_path / "ours", ENTRIES), put(tmp_path / "theirs", OTHERS[:400])
    monkeypatch.setenv("TONNE_HOME", str(tmp_path / "auditor"))
    assert monitor(ours, "--key", LOG.vkey).exit_code == 0
    # alone, each finds nothing wrong; with the head that the other was shown, both can tell
    told = monitor(ours, "--key", LOG.vkey, "--head", theirs / "checkpoint", "--json")
    found = json.loads(told.stdout)
    assert (told.exit_code, len(found["evidence"])) == (1, 2)
    monkeypatch.setenv("TONNE_HOME", str(tmp_path / "buyer"))
    assert monitor(theirs, "--key", LOG.vkey).exit_code == 0
    ahead = monitor(theirs, "--key", LOG.vkey, "--head", ours / "checkpoint")
    assert ahead.exit_code == 4
    assert "not checked: a head over 600 entries" in ahead.stdout
    put(theirs, OTHERS)
    assert monitor(theirs, "--key", LOG.vkey, "--head", ours / "checkpoint").exit_code == 1


def test_an_honest_log_answers_for_every_head(tmp_path):
    """Two readers of one log would report a split view without cause."""
    others = [head(ENTRIES[:size]) for size in (1, 255, 256, 257, 512, 599, 600)]
    report = go(put(tmp_path / "log", ENTRIES), tmp_path / "home", others=others)
    assert (report.contradiction, report.ahead) == (None, [])


def test_damage_is_no_contradiction(tmp_path):
    """After a disk error, an honest operator would be suspected of fraud."""
    home = tmp_path / "home"
    go(put(tmp_path / "log", ENTRIES[:300]), home)
    put(tmp_path / "log", ENTRIES)
    # a hash of what was seen before, and an entry that is new
    spoilt = {("tile/0/001", 40): "does not contain", ("tile/entries/001", -5): "the entries that"}
    for (name, at), match in spoilt.items():
        file = tmp_path / "log" / name
        whole = file.read_bytes()
        changed = bytearray(whole)
        changed[at] ^= 1
        file.write_bytes(changed)
        with pytest.raises(LogError, match=match):
            go(tmp_path / "log", home)
        file.write_bytes(whole)
    assert list(home.rglob("contradiction-*")) == []
    (tmp_path / "log/tile/0/001").unlink()
    with pytest.raises(InputError, match="has no tile/0/001"):
        go(tmp_path / "log", home)


def test_a_head_of_another_key_is_refused(tmp_path):
    """Anybody who holds the web server could show a log of their own."""
    other = NoteKey("the-log", SigningKey(bytes([8]) * 32).public)
    put(tmp_path / "log", ENTRIES[:5])
    with pytest.raises(SignatureError):
        follow(Folder(tmp_path / "log"), [other], tmp_path / "home")
    with pytest.raises(SignatureError, match="no key of log 'the-log'"):
        follow(Folder(tmp_path / "log"), [NoteKey("x", KEY.public)], tmp_path / "home")


def test_what_was_seen_is_not_forgotten_when_it_is_damaged(tmp_path):
    """Anyone who changes the monitor's file would make it begin again, and see nothing wrong."""
    home = tmp_path / "home"
    go(put(tmp_path / "log", ENTRIES[:300]), home)
    (state,) = home.rglob("state.json")
    said = json.loads(state.read_text())
    for changed in ("{", "{}", json.dumps(said | {"nodes": said["nodes"][::-1]})):
        state.write_text(changed)
        with pytest.raises(InputError, match="is damaged"):
            go(tmp_path / "log", home)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Log nothing."""


@pytest.fixture
def served(tmp_path):
    """Yield a folder behind a plain web server, as an operator would have it."""
    folder = tmp_path / "www"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_it_is_followed_over_http(served, tmp_path, monkeypatch):
    """A monitor reads the log from a web server, without access to its folder."""
    folder, url = served
    monkeypatch.setenv("TONNE_HOME", str(tmp_path / "home"))
    put(folder, ENTRIES[:300])
    assert monitor(url, "--key", LOG.vkey).exit_code == 0
    put(folder, ENTRIES)
    # partial tiles may be gone once the full ones are there
    for one in folder.rglob("*.p/*"):
        if (one.parent.with_suffix("")).exists():
            one.unlink()
    told = monitor(f"{url}/", "--key", LOG.vkey, "--watch", "TN-599")
    assert told.exit_code == 0
    assert "entry 599: issued TN-599" in told.stdout
    assert "600 entries, 300 of them new" in told.stdout
    assert monitor(f"{url}/nothing", "--key", LOG.vkey).exit_code == 2
    assert monitor("http://127.0.0.1:1", "--key", LOG.vkey).exit_code == 3


def test_the_stored_log_is_published(database_url, tmp_path, monkeypatch):
    """What outsiders read would be another log than the one that receipts are of."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    monkeypatch.setenv("TONNE_HOME", str(tmp_path / "home"))
    run = CliRunner()
    folder = tmp_path / "log"
    assert run.invoke(main, ["log", "tiles", str(folder)]).exit_code == 2
    with connect(database_url, role="tonne_mrv", autocommit=True) as conn:
        signer = sealed.log_of(conn, tmp_path / "home")
        with conn.transaction():
            stored.lock(conn)
            for one in ENTRIES[:3]:
                stored.append(conn, "records", None, one)
            stored.sign_head(conn, signer.holder.name, signer.key)
    told = json.loads(run.invoke(main, ["log", "tiles", str(folder), "--json"]).stdout)
    assert (told["size"], told["written"]) == (3, 2)
    (vkey,) = told["vkeys"]
    assert monitor(folder, "--key", vkey).exit_code == 0
