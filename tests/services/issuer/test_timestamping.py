"""Heads and statements are stamped by external authorities; an unreachable one is reported."""

import json
import os
import re
import subprocess
import urllib.request
from datetime import UTC, datetime
from functools import partial

import psycopg
import pytest

from ingest.errors import ServerError
from mrv.errors import EnrolmentError
from mrv.packs.reader import read_pack
from mrv.report.audit_rows import evidence_rows
from mrv.report.words import Words
from mrv.stored_tokens import read
from services.issuer import requests, timestamps
from services.issuer import transitions as life
from services.issuer.pack import export
from services.issuer.report import facts_of, facts_of_pack
from services.issuer.seal import Sealer
from services.logs import get_logger
from services.metrics import Metrics
from services.settings import Settings, SettingsError
from tests.invoked import tonne
from tests.ports import free_port
from tests.services.issuer import logged
from tests.timestamp_authority import StampAuthority, served
from tests.transparency import HOME

SERVER = HOME / "timestamp-server"


@pytest.fixture(scope="module")
def authorities(tmp_path_factory):
    """Serve two authorities."""
    base = tmp_path_factory.mktemp("authorities")
    east, west = (StampAuthority(base / name, name) for name in ("east", "west"))
    with served(east) as one, served(west) as two:
        yield one, two


@pytest.fixture
def asked(authorities, database_url, tmp_path, monkeypatch):
    """
    Return a function that sets the authorities of this installation; they
    are restored at the end.
    """
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    monkeypatch.setenv("TONNE_HOME", str(tmp_path))
    for one in authorities:
        one.spoil, one.down = None, False

    def say(threshold=1, required="false", urls=None):
        listed = [one.authority.trusted.to_json() for one in authorities]
        file = tmp_path / "authorities.json"
        file.write_text(json.dumps({"threshold": threshold, "authorities": listed}))
        urls = ",".join(one.url for one in authorities) if urls is None else urls
        monkeypatch.setenv("TONNE_TIMESTAMP_URLS", urls)
        monkeypatch.setenv("TONNE_TIMESTAMP_AUTHORITIES", str(file))
        monkeypatch.setenv("TONNE_TIMESTAMP_REQUIRED", required)
        return timestamps.policy_of(Settings())

    return say


def test_from_seal_to_verified_pack(who, database_url, asked, authorities, tmp_path):
    """The log's own clock would be all that says when days were sealed."""
    policy = asked(threshold=2)
    name = logged.verified(database_url, who)
    with logged.issuer(database_url) as conn:
        assert timestamps.waiting_s(conn, 2) > 0
        first = timestamps.request_missing(conn, policy)
        assert len(first.got) == 2, first
        assert timestamps.request_missing(conn, policy).sentences == []
        done = requests.issue(conn, name, who["log"], "test", policy)
        assert [note.split(" at ")[0] for note in done.notes[:2]] == [
            f"{name} was stamped by east",
            f"{name} was stamped by west",
        ]
        assert timestamps.waiting_s(conn, 2) == 0
        folder = export(conn, name, tmp_path / "pack")
        facts = facts_of(conn, name)
    assert [one.signer for one in facts.stamps] == ["east stamps", "west stamps"]
    assert facts_of_pack(read_pack(folder)).stamps == facts.stamps
    for language, told in (("en", "Time stamp"), ("vi", "Dấu thời gian"), ("ja", "タイムスタンプ")):
        shown = [row for row in evidence_rows(facts, Words(language)) if row[0].startswith(told)]
        assert [row[1] for row in shown] == [f"{at}, {by}" for by, at in facts.stamps]
    held = read((folder / "timestamps.json").read_bytes())
    assert len(held.statement) == 2
    assert len(held.heads) == 2  # the one that sealed the days, the one with the issue
    ring = tmp_path / "ring.json"
    assert tonne("keys", "export", "--out", str(ring)).exit_code == 0
    held_keys = json.loads(ring.read_text())["keys"]
    ring.write_text(json.dumps({"keys": [k for k in held_keys if k["role"] != "witness"]}))
    words = ("verify", str(folder), "--keys", str(ring), "--accept", "draft", "--json")
    own = str(tmp_path / "authorities.json")
    report = json.loads(tonne(*words, "--authorities", own).stdout)
    assert report["consistent"], [one for one in report["steps"] if one["outcome"] == "failed"]
    assert [one["authority"] for one in report["timestamps"]["statement"]] == ["east", "west"]
    (day,) = report["timestamps"]["days"]
    assert (day["day"], day["late"]) == ("2026-03-02", True)
    assert not any(one["code"] == "timestamps" for one in report["missing"])
    kept = json.loads(tonne("timestamp", "list", "--json").stdout)
    assert len(kept["timestamps"]) == 6
    assert kept["statements_waiting"] == []
    assert "time stamps" in tonne("doctor").output


def test_an_authority_that_is_away(who, database_url, asked, authorities, tmp_path):
    """
    Issue would stop with every outage, or go on without a message
    against the programme's rule.
    """
    name = logged.verified(database_url, who)
    authorities[1].down = True
    policy = asked(threshold=2, required="true")
    with logged.issuer(database_url) as conn:
        with pytest.raises(
            ServerError, match="is not issued yet because time stamps are missing"
        ) as caught:
            requests.issue(conn, name, who["log"], "test", policy)
        assert "is not available: it answers 503" in str(caught.value)
        assert life.documents(conn, name).stored.state == "verified"
        free = policy._replace(required=False)
        done = requests.issue(conn, name, who["log"], "test", free)
        assert (
            sum("is not available" in note for note in done.notes) == 2
        )  # the statement, the head
        assert life.documents(conn, name).stored.state == "issued"
    assert tonne("timestamp", "request").exit_code == 3
    authorities[1].down = False
    before = authorities[0].asked
    again = tonne("timestamp", "request")
    assert again.exit_code == 0, again.output
    assert again.output.count("was stamped by west") == 2
    assert authorities[0].asked == before  # who stamped it is not asked again
    assert "no entry waits" in tonne("timestamp", "request").output


def test_answers_that_do_not_count_are_not_kept(who, database_url, asked, authorities, tmp_path):
    """An invalid answer of a time-stamp authority is rejected."""
    policy = asked(urls=authorities[0].url)
    east, old = authorities[0], []
    made_up = StampAuthority(tmp_path / "made-up", "east")
    cases = {
        "belongs to another request": lambda _, found: (
            old[0] if old else old.append(found) or found
        ),
        "is not from one of your trusted": lambda request, _: made_up.answer(request),
        "is not a token of RFC 3161": lambda _, found: found[:-40],
        "no token": lambda _, found: b"x" * 200_000,
    }
    with logged.issuer(database_url) as conn:
        subject = timestamps.Subject(b"anything", None, "TN-1")
        timestamps.tokens.verify(
            east.authority.answer(timestamps.tokens.request(b"anything").content),
            b"anything",
            policy.rule.authorities,
        )
        old.append(east.authority.answer(timestamps.tokens.request(b"anything").content))
        for what, spoil in cases.items():
            east.spoil = spoil
            done = timestamps.stamp(conn, subject, policy)
            assert done.got == []
            assert what in done.owed[0], done
        kept = conn.execute("SELECT count(*) FROM timestamp_token").fetchone()
        assert kept == (0,)


def test_a_clock_apart_is_said(who, database_url, asked, monkeypatch):
    """A token of a wrong clock would be kept, whichever of both is wrong."""
    policy = asked()
    monkeypatch.setattr(timestamps, "now_us", lambda: 1_700_000_000_000_000)
    with logged.issuer(database_url) as conn:
        done = timestamps.stamp(conn, timestamps.Subject(b"x", None, "TN-1"), policy)
    assert done.got == []
    assert "one of them is wrong" in done.owed[0]


def test_the_sealer_has_heads_stamped_and_counts(who, database_url, asked, authorities, tmp_path):
    """Stamps would depend on someone who asks for them by hand."""
    metrics, log = Metrics(), get_logger("test")
    value = metrics.registry.get_sample_value

    def round_(policy):
        Sealer(database_url, tmp_path, "tonne-log", 60, metrics, log, stamps=lambda: policy).once()

    for one in authorities:
        one.down = True
    round_(asked(threshold=2))
    assert value("tonne_timestamp_failures_total") == 2
    assert value("tonne_timestamp_waiting_seconds") > 0
    for one in authorities:
        one.down = False
    round_(asked(threshold=2))
    assert value("tonne_timestamp_waiting_seconds") == 0
    with logged.issuer(database_url) as conn:
        count = conn.execute("SELECT count(*) FROM timestamp_token").fetchone()
    assert count == (2,)


def test_tokens_are_append_only(who, database_url, asked):
    """An early token could be taken away or exchanged in the database."""
    policy = asked()
    with logged.issuer(database_url) as conn:
        logged.seal_now(database_url, who)
        timestamps.request_missing(conn, policy)
    with psycopg.connect(database_url, autocommit=True) as conn:
        for word in (
            "DELETE FROM timestamp_token",
            "TRUNCATE timestamp_token",
            "UPDATE timestamp_token SET time = now()",
        ):
            with pytest.raises(psycopg.Error, match="append"):
                conn.execute(word)


def test_settings_that_say_too_little_or_two_things(asked, tmp_path, monkeypatch):
    """No authority would be asked, or any authority's token accepted, without a message."""
    asked()
    for name, value, what in (
        ("TONNE_TIMESTAMP_AUTHORITIES", str(tmp_path / "none"), "No such file"),
        ("TONNE_TIMESTAMP_URLS", "ftp://x/y", "must be http"),
        ("TONNE_TIMESTAMP_URLS", "http://x/y,http://x/y", "names an authority twice"),
    ):
        with monkeypatch.context() as other:
            other.setenv(name, value)
            done = tonne("timestamp", "list")
            assert done.exit_code == 2
            assert what in done.output
    monkeypatch.delenv("TONNE_TIMESTAMP_AUTHORITIES")
    with pytest.raises(SettingsError, match="no authority is trusted"):
        timestamps.policy_of(Settings())
    monkeypatch.delenv("TONNE_TIMESTAMP_URLS")
    monkeypatch.setenv("TONNE_TIMESTAMP_REQUIRED", "true")
    with pytest.raises(SettingsError, match="has no effect without"):
        Settings()


@pytest.fixture
def another(tmp_path):
    """Start an authority of other software; return its URL and the trusted roots."""
    if not os.access(SERVER, os.X_OK):
        pytest.skip(f"no timestamp-server (sigstore) in {HOME}; name its folder, TRANSPARENCY_HOME")
    port = free_port()
    words = ["serve", "--host", "127.0.0.1", "--port", str(port), "--timestamp-signer", "memory",
             "--disable-ntp-monitoring"]  # fmt: skip
    base = f"http://127.0.0.1:{port}/api/v1/timestamp"
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen([SERVER, *words], stdout=log, stderr=log, cwd=tmp_path)
    try:
        for _ in range(1_200):
            try:
                with urllib.request.urlopen(f"{base}/certchain", timeout=60) as answer:  # noqa: S310
                    chain = answer.read().decode()
                break
            except OSError:
                assert server.poll() is None, (tmp_path / "log").read_text()
                server_wait(server)
        yield base, chain
    finally:
        server.kill()
        server.wait()


def server_wait(server):
    """Wait a moment, unless the server ends meanwhile."""
    try:
        server.wait(0.05)
    except subprocess.TimeoutExpired:
        return


def test_an_authority_that_others_wrote(another, who, database_url, asked, monkeypatch, tmp_path):
    """Client and test authority, written by the same people, could have the same fault."""
    base, chain = another
    leaf, *above = re.findall(r"-----BEGIN.*?-----END CERTIFICATE-----\n", chain, re.DOTALL)
    file = tmp_path / "others.pem"
    file.write_text("".join(above))
    asked()
    monkeypatch.setenv("TONNE_TIMESTAMP_URLS", base)
    monkeypatch.setenv("TONNE_TIMESTAMP_AUTHORITIES", str(file))
    logged.seal_now(database_url, who)
    done = tonne("timestamp", "request")
    assert done.exit_code == 0, done.output
    (kept,) = json.loads(tonne("timestamp", "list", "--json").stdout)["timestamps"]
    assert abs((datetime.fromisoformat(kept["at"]) - datetime.now(UTC)).total_seconds()) < 300
    file.write_text(leaf)
    assert "authorities cannot be required" in tonne("timestamp", "list").output


def test_the_trust_root_s_word_outranks_the_setting(asked, tmp_path, authorities, monkeypatch):
    """Two rules at once, and no one would know which of them bound the issue."""
    from mrv.signatures.authorities import StampRule  # noqa: PLC0415
    from mrv.signatures.trust_root import TrustRoot, sign_root, write_root  # noqa: PLC0415
    from tests.mrv import packs  # noqa: PLC0415

    signer = packs.SIGNERS["log"]
    rule = StampRule(2, tuple(one.authority.trusted for one in authorities))
    root = TrustRoot("P", 1, "2099-01-01T00:00:00Z", (signer.public_multikey,), 1,
                     tuple(packs.HOLDERS.values()), None, rule)  # fmt: skip
    asked()
    (tmp_path / "trust-root.json").write_bytes(sign_root(write_root(root), signer))
    with pytest.raises(SettingsError, match="remove the setting"):
        timestamps.policy_of(Settings())
    monkeypatch.delenv("TONNE_TIMESTAMP_AUTHORITIES")
    found = timestamps.policy_of(Settings())
    assert (found.required, found.rule) == (True, rule)
    monkeypatch.delenv("TONNE_TIMESTAMP_URLS")
    monkeypatch.delenv("TONNE_TIMESTAMP_REQUIRED")
    nobody = timestamps.policy_of(Settings())
    assert (nobody.urls, nobody.required) == ((), True)
    old = root.__class__("P", 1, "2026-01-01T00:00:00Z", *(
        getattr(root, name) for name in ("root_keys", "threshold", "keys", "issue", "timestamps")
    ))  # fmt: skip
    (tmp_path / "trust-root.json").write_bytes(sign_root(write_root(old), signer))
    assert timestamps.policy_of(Settings()) is None
    monkeypatch.setenv("TONNE_TIMESTAMP_URLS", authorities[0].url)
    with pytest.raises(EnrolmentError, match="expired"):
        timestamps.policy_of(Settings())


def test_a_trust_root_that_expired_stops_no_sealing(
    who, database_url, asked, authorities, tmp_path
):
    """A pipeline would not start, and days would stay unsealed, for want of a newer file."""
    asked()
    (tmp_path / "trust-root.json").write_bytes(b"{}")
    metrics, settings = Metrics(), Settings()
    stamps = partial(timestamps.policy_of, settings)
    Sealer(
        database_url, tmp_path, "tonne-log", 60, metrics, get_logger("test"), stamps=stamps
    ).once()
    assert metrics.registry.get_sample_value("tonne_log_seal_failures_total") == 0
    assert metrics.registry.get_sample_value("tonne_log_sealed_days_total") > 0
    assert metrics.registry.get_sample_value("tonne_timestamp_failures_total") == 1
