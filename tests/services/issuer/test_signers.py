"""Secrets that are not in our files: a key in a token, and a command that signs."""

import importlib.util
import json
import shutil
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingest.errors import InputError, ServerError
from mrv.errors import SignatureError
from mrv.signatures.data_integrity import create_proof, verify_proof
from mrv.signatures.keys import EnrolledKey, public_multikey
from services.issuer import keys
from services.settings import Settings
from tests import holders
from tests.invoked import printed

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
NOW = datetime(2026, 2, 1, tzinfo=UTC)
PIN = "493817"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home of its own, and no database."""
    monkeypatch.setenv("TONNE_HOME", str(tmp_path))
    monkeypatch.delenv("TONNE_DATABASE_URL", raising=False)
    return tmp_path


@pytest.fixture
def token(home, monkeypatch):
    """A SoftHSM2 token named plant."""
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
    """Sign a document by a key of that name, and verify it."""
    key, holder = keys.load(home, name)
    signed = create_proof({"@context": ["x"], "id": "a"}, key, NOW)
    assert verify_proof(signed, [holder]) == holder
    assert create_proof({"@context": ["x"], "id": "a"}, key, NOW) == signed  # of one value
    return holder


def test_a_key_in_a_token_signs(token):
    """A secret could only be kept in a file that whoever copies the disk has."""
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
    """Whoever has the machine would have the key."""
    where = {"module": str(MODULE), "token": "plant", "key": "k"}
    monkeypatch.setenv("TONNE_PKCS11_PIN", "0000")
    with pytest.raises(InputError, match=r"PIN is refused|asks for a PIN|NoSuchToken"):
        keys.public_key(where)
    monkeypatch.delenv("TONNE_PKCS11_PIN")
    with pytest.raises(InputError, match="TONNE_PKCS11_PIN"):
        keys.opened({"pkcs11": where})(b"x")


@pytest.fixture
def kms(home):
    """A key that openssl keeps, and a command that signs with it."""
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
    """A key service could only be used by whoever writes code for it."""
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
        (["/bin/sh", "-c", "echo no such key >&2; exit 3"], ServerError, "ended with 3: no such"),
        ([str(home / "nowhere")], InputError, "nowhere"),
    ):
        with pytest.raises(kind, match=match):
            keys.adopt(home, holder, {"command": command})
        assert not (home / "keys").exists()
    for signer in ({}, {"command": []}, {"command": "sh"}, {"pkcs11": {"module": "x"}}, {"x": 1}):
        with pytest.raises(InputError, match="signer of a key file"):
            keys.opened(signer)


def public_of(file):
    """Multikey of a PEM file."""
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
    """A PIN would stand in a process list or a log."""
    file = home / "pin"
    file.write_text(PIN + "\n")
    file.chmod(0o600)
    monkeypatch.delenv("TONNE_PKCS11_PIN", raising=False)
    monkeypatch.setenv("TONNE_PKCS11_PIN_FILE", str(file))
    assert Settings().pkcs11_pin == PIN
    assert PIN not in repr(Settings())


def test_a_key_in_a_token_is_followed_by_one_in_the_same_token(token, database_url, monkeypatch):
    """Whoever keeps keys in a token would have to leave it to rotate one."""
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
