"""Key files: the secret is its owner's, and no key is lost or mixed up."""

from datetime import UTC, datetime, timedelta

import pytest

from ingest.errors import InputError
from mrv.errors import EnrolmentError, SignatureError
from mrv.signatures.data_integrity import create_proof, verify_proof
from mrv.signatures.keyfile import read_keyring, write_keyring
from mrv.signatures.keys import EnrolledKey, SigningKey
from services.issuer import keys
from services.store.postgres.pool import connect
from services.store.registry import signing_keys as enrolled
from tests.invoked import tonne


def test_the_secret_is_readable_by_its_owner_alone(tmp_path):
    """Whoever shares the machine could sign in another's name."""
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
    """A verifier could hand over a key only by way of somebody else's database."""
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
        with pytest.raises(EnrolmentError, match="make another key"):
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
    """Whoever reads a backup of the database, or a log, could sign."""
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
