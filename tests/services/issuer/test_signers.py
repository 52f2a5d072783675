"""Signing keys: files readable by their owner only, keys in a token, and a signing command."""

import importlib.util
import json
import shutil
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingest.errors import InputError, ServerError
from mrv.errors import EnrolmentError, SignatureError
from mrv.signatures.data_integrity import create_proof, verify_proof
from mrv.signatures.keys import (
    EnrolledKey,
    SigningKey,
    public_multikey,
    read_keyring,
    write_keyring,
)
from services.issuer import keys
from services.settings import Settings
from services.store.postgres.pool import connect
from services.store.registry import signing_keys as enrolled
from tests import holders
from tests.invoked import printed, tonne


def test_the_secret_is_readable_by_its_owner_alone(tmp_path):
    """A key file is readable by its owner only."""
    made = keys.create(tmp_path, "plant", "operator")
    path = tmp_path / "keys" / "plant.json"
    assert path.stat().st_mode & 0o777 == 0o600
    secret, holder = keys.load(tmp_path, "plant")
    assert holder == made
    assert secret.public_multikey == made.multikey
    path.chmod(0o644)
    with pytest.raises(InputError, match="chmod 600"):
        keys.load(tmp_path, "plant")


def test_a_key_is_never_overwritten(tmp_path):
    """A typing error would destroy the key of every signature so far."""
    keys.create(tmp_path, "plant", "operator")
    before = (tmp_path / "keys" / "plant.json").read_bytes()
    with pytest.raises(InputError, match="not overwritten"):
        keys.create(tmp_path, "plant", "verifier")
    assert (tmp_path / "keys" / "plant.json").read_bytes() == before


def test_a_public_part_needs_no_database(tmp_path, monkeypatch):
    """A verifier could hand over a key only by way of someone else's database."""
    monkeypatch.setenv("TONNE_HOME", str(tmp_path))
    monkeypatch.delenv("TONNE_DATABASE_URL", raising=False)
    made = keys.create(tmp_path, "auditor", "verifier")
    out = tmp_path / "auditor-public.json"
    tonne("keys", "public", "auditor", "--out", out, code=0)
    assert read_keyring(out.read_bytes()) == (made,)
    assert "secret" not in out.read_text()
    assert tonne("keys", "public", "nobody").exit_code == 2


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a b", ".x", "x" * 65, "log+1"])
def test_a_name_that_is_no_file_is_refused(tmp_path, name):
    """A key could be written outside of its folder."""
    with pytest.raises(InputError, match="not a valid key name"):
        keys.create(tmp_path, name, "operator")


def test_missing_and_damaged_files_say_what_to_do(tmp_path):
    """A signer would not know which file is meant."""
    with pytest.raises(InputError, match="tonne keys create"):
        keys.load(tmp_path, "nobody")
    keys.create(tmp_path, "plant", "operator")
    path = tmp_path / "keys" / "plant.json"
    other = keys.create(tmp_path, "other", "operator")
    mixed = path.read_text().replace(keys.load(tmp_path, "plant")[1].multikey, other.multikey)
    path.write_text(mixed)
    with pytest.raises(SignatureError, match="mixes two keys"):
        keys.load(tmp_path, "plant")


def test_a_person_has_one_role(database_url):
    """One person could enrol twice and verify his own statement."""
    first = EnrolledKey("plant", "operator", SigningKey.generate().public_multikey)
    with connect(database_url, role="tonne_mrv", autocommit=True) as conn:
        enrolled.enroll(conn, first)
        enrolled.enroll(conn, first)
        assert [one.key for one in enrolled.load(conn)] == [first]
        with pytest.raises(EnrolmentError, match="create another key"):
            enrolled.enroll(conn, EnrolledKey("auditor", "verifier", first.multikey))
        second = SigningKey.generate().public_multikey
        with pytest.raises(EnrolmentError, match="cannot be verifier too"):
            enrolled.enroll(conn, EnrolledKey("plant", "verifier", second))


def test_a_revoked_key_signs_no_more_and_what_it_signed_before_counts(database_url):
    """A stolen key could go on signing, or its end would undo all that it signed honestly."""
    key = SigningKey.generate()
    holder = EnrolledKey("plant", "operator", key.public_multikey)
    document = {"id": "urn:x"}
    now = datetime.now(UTC)
    with connect(database_url, role="tonne_mrv", autocommit=True) as conn:
        conn.execute(
            "INSERT INTO enrolled_key (multikey, name, role, valid_from) VALUES (%s, %s, %s, %s)",
            (holder.multikey, "plant", "operator", now - timedelta(days=9)),
        )
        before = create_proof(document, key, now - timedelta(days=2))
        after = create_proof(document, key, now)
        ended = enrolled.revoke(conn, "plant", now - timedelta(days=1))
        assert ended == [holder]
        trusted = [one.key for one in enrolled.load(conn)]
        assert verify_proof(before, trusted) == holder
        with pytest.raises(EnrolmentError, match="valid until"):
            verify_proof(after, trusted)
        with pytest.raises(EnrolmentError, match="enrolment has ended"):
            enrolled.require(conn, holder, now)
        with pytest.raises(EnrolmentError, match="no key that is valid"):
            enrolled.revoke(conn, "plant", now)
        early = create_proof(document, key, now - timedelta(days=10))
        with pytest.raises(EnrolmentError, match="valid from"):
            verify_proof(early, trusted)
    again = read_keyring(write_keyring(trusted))
    assert [(k.valid_from, k.valid_until) for k in again] == [
        (k.valid_from, k.valid_until) for k in trusted
    ]


def test_the_secret_is_nowhere_but_in_its_file(database_url, tmp_path):
    """Anyone who reads a backup of the database, or a log, could sign."""
    holder = keys.create(tmp_path, "plant", "operator")
    secret = keys.load(tmp_path, "plant")[0].secret_multikey
    with connect(database_url, role="tonne_mrv", autocommit=True) as conn:
        enrolled.enroll(conn, holder)
        held = conn.execute("SELECT to_jsonb(k)::text FROM enrolled_key k").fetchall()
    assert secret not in str(held)
    assert secret not in repr(keys.load(tmp_path, "plant")) + str(vars(enrolled))
    aside = keys.retire(tmp_path, "plant", "2026-01-01T00:00:00Z")
    assert aside.stat().st_mode & 0o777 == 0o600
    assert keys.names(tmp_path) == ["plant.until-20260101T000000Z"]
    assert keys.create(tmp_path, "plant", "operator") != holder


MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
NOW = datetime(2026, 2, 1, tzinfo=UTC)
PIN = "493817"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Return a separate home, without database."""
    monkeypatch.setenv("TONNE_HOME", str(tmp_path))
    monkeypatch.delenv("TONNE_DATABASE_URL", raising=False)
    return tmp_path


@pytest.fixture
def token(home, monkeypatch):
    """Return a SoftHSM2 token named plant."""
    if shutil.which("softhsm2-util") is None or not MODULE.exists():
        pytest.skip("SoftHSM2 is not installed: apt-get install softhsm2")
    if importlib.util.find_spec("pkcs11") is None:
        pytest.skip("python-pkcs11 is not installed: the extra `pkcs11`")
    (home / "tokens").mkdir()
    config = home / "softhsm2.conf"
    config.write_text(f"directories.tokendir = {home / 'tokens'}\nobjectstore.backend = file\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(config))
    monkeypatch.setenv("TONNE_PKCS11_PIN", PIN)
    made = ["--init-token", "--free", "--label", "plant", "--pin", PIN, "--so-pin", "5678"]
    subprocess.run(["softhsm2-util", *made], check=True, capture_output=True)
    # a module reads its configuration once a process: a token of each test needs its own
    return home


def signs(home, name):
    """Sign a document with a key of that name, and verify it."""
    key, holder = keys.load(home, name)
    signed = create_proof({"@context": ["x"], "id": "a"}, key, NOW)
    assert verify_proof(signed, [holder]) == holder
    assert create_proof({"@context": ["x"], "id": "a"}, key, NOW) == signed  # of one value
    return holder


def test_a_key_in_a_token_signs(token):
    """A secret could only be kept in a file that anyone who copies the disk has."""
    create = ("keys", "create", "--role", "operator", "--no-enroll", *holders.OPTIONS["operator"],
              "--pkcs11", MODULE)  # fmt: skip
    printed(*create, "--name", "plant", "--token", "plant", "--make")
    holder = signs(token, "plant")
    file = json.loads((token / "keys" / "plant.json").read_text())
    assert file["publicKeyMultibase"] == holder.multikey
    assert file["signer"] == {"pkcs11": {"module": str(MODULE), "token": "plant", "key": "plant"}}
    assert not {"secretKeyMultibase", "encryptedSecretKey"} & file.keys()
    assert (token / "keys" / "plant.json").stat().st_mode & 0o077 == 0
    again = printed(*create, "--name", "plant-2", "--token", "plant", "--token-key", "plant")
    assert again.startswith(holder.multikey)
    told = printed(*create, "--name", "plant", "--token", "plant", "--make", code=2)
    assert "already" in told
    wrong = {
        "another token": ("--token", "other", "--token-key", "plant"),
        "another key": ("--token", "plant", "--token-key", "other"),
    }
    for name, words in wrong.items():
        assert "plant" in printed(*create, "--name", "x", *words, code=2), name
        assert not (token / "keys" / "x.json").exists()


def test_a_token_without_its_pin_signs_nothing(token, monkeypatch):
    """Anyone who has the machine would have the key."""
    where = {"module": str(MODULE), "token": "plant", "key": "k"}
    monkeypatch.setenv("TONNE_PKCS11_PIN", "0000")
    with pytest.raises(InputError, match=r"PIN is rejected|asks for a PIN|NoSuchToken"):
        keys.public_key(where)
    monkeypatch.delenv("TONNE_PKCS11_PIN")
    with pytest.raises(InputError, match="TONNE_PKCS11_PIN"):
        keys.opened({"pkcs11": where})(b"x")


@pytest.fixture
def kms(home):
    """Return a key kept by openssl, and a command that signs with it."""
    secret, public = home / "secret.pem", home / "public.pem"
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    subprocess.run([openssl, "genpkey", "-algorithm", "ed25519", "-out", secret], check=True)
    subprocess.run([openssl, "pkey", "-in", secret, "-pubout", "-out", public], check=True)
    script = home / "sign"
    # openssl wants a file: it reads the message twice
    script.write_text(
        f"#!/bin/sh\nset -e\nf=$(mktemp {home}/m.XXXX)\ncat > $f\n"
        f"{openssl} pkeyutl -sign -rawin -inkey {secret} -in $f\nrm $f\n"
    )
    script.chmod(0o700)
    return script, public


def test_a_command_signs(home, kms):
    """A key service could only be used by anyone who writes code for it."""
    script, public = kms
    create = ("keys", "create", "--role", "operator", "--no-enroll", *holders.OPTIONS["operator"])
    printed(*create, "--name", "plant", "--signer", script, "--public-key", public)
    holder = signs(home, "plant")
    assert printed("keys", "public", "plant").count(holder.multikey) == 1
    # as a Multikey's text, too
    text = home / "multikey.txt"
    text.write_text(holder.multikey + "\n")
    printed(*create, "--name", "plant-2", "--signer", script, "--public-key", text)
    both = ("--signer", script, "--public-key", public, "--pkcs11", script)
    for words in (("--signer", script), both):
        assert "--pkcs11 with --token" in printed(*create, "--name", "y", *words, code=2)


def test_what_a_command_gives_is_verified(home, kms):
    """A service that signs with another key, or nothing, would make documents that fail later."""
    _, public = kms
    holder = EnrolledKey("plant", "operator", public_of(public))
    for command, kind, match in (
        (["/bin/echo", "-n", "x" * 64], SignatureError, "not a signature"),
        (["/bin/true"], SignatureError, "returned 0 bytes"),
        (
            ["/bin/sh", "-c", "echo no such key >&2; exit 3"],
            ServerError,
            "exit code 3 and wrote: no such",
        ),
        ([str(home / "nowhere")], InputError, "nowhere"),
    ):
        with pytest.raises(kind, match=match):
            keys.adopt(home, holder, {"command": command})
        assert not (home / "keys").exists()
    for signer in ({}, {"command": []}, {"command": "sh"}, {"pkcs11": {"module": "x"}}, {"x": 1}):
        with pytest.raises(InputError, match=r"the field .signer. of the key file"):
            keys.opened(signer)


def public_of(file):
    """Return the Multikey of a PEM file."""
    return public_multikey(file.read_bytes())


def test_only_keys_of_ed25519_are_taken(home):
    """A key of another kind would be named by a text that says Ed25519."""
    secret, public = home / "s.pem", home / "p.pem"
    options = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
    subprocess.run(
        ["openssl", "genpkey", *options, "-out", secret], check=True, capture_output=True
    )
    subprocess.run(["openssl", "pkey", "-in", secret, "-pubout", "-out", public], check=True)
    for data in (public.read_bytes(), b"-----BEGIN PUBLIC KEY-----\nx\n", b"z6Mk", b"\xff"):
        (home / "key").write_bytes(data)
        with pytest.raises(SignatureError):
            public_of(home / "key")


def test_the_pin_is_a_secret_of_the_settings(home, monkeypatch):
    """A PIN would appear in a process list or a log."""
    file = home / "pin"
    file.write_text(PIN + "\n")
    file.chmod(0o600)
    monkeypatch.delenv("TONNE_PKCS11_PIN", raising=False)
    monkeypatch.setenv("TONNE_PKCS11_PIN_FILE", str(file))
    assert Settings().pkcs11_pin == PIN
    assert PIN not in repr(Settings())


def test_a_key_in_a_token_is_followed_by_one_in_the_same_token(token, database_url, monkeypatch):
    """Anyone who keeps keys in a token would have to leave it to rotate one."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    for role, name in (("operator", "works"), ("log", "tonne-log")):
        printed("keys", "create", "--role", role, "--name", name, *holders.OPTIONS.get(role, ()),
              "--pkcs11", MODULE, "--token", "plant", "--make")  # fmt: skip
    old = signs(token, "works")
    time.sleep(1 - time.time() % 1)  # keys end by whole seconds
    printed("keys", "rotate", "works")
    new = signs(token, "works")
    assert (new.name, new.role, new.bounds) == (old.name, old.role, old.bounds)
    assert new.multikey != old.multikey
    file = json.loads((token / "keys" / "works.json").read_text())
    assert file["signer"]["pkcs11"]["key"] == "works-2"
    (aside,) = (token / "keys").glob("works.until-*.json")
    assert json.loads(aside.read_text())["publicKeyMultibase"] == old.multikey
    ends = {
        one["publicKeyMultibase"]: one["validUntil"]
        for one in json.loads(printed("keys", "list", "--json"))
    }
    assert (ends[old.multikey] is None, ends[new.multikey]) == (False, None)
    printed("keys", "rotate", "tonne-log")
    assert signs(token, "tonne-log-2").role == "log"
    file = json.loads((token / "keys" / "tonne-log-2.json").read_text())
    assert file["signer"]["pkcs11"]["key"] == "tonne-log-2"
    # a token that refuses leaves the key as it is
    monkeypatch.setenv("TONNE_PKCS11_PIN", "0000")
    printed("keys", "rotate", "works", code=2)
    monkeypatch.setenv("TONNE_PKCS11_PIN", PIN)
    assert signs(token, "works") == new
