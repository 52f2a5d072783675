"""Key files: the secret is its owner's, and no key is lost or mixed up."""

import pytest

from ingest.errors import InputError
from mrv.errors import EnrolmentError, SignatureError
from mrv.keys import EnrolledKey, SigningKey
from services.issuer import keys
from services.store import enrolled
from services.store.pool import connect


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


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a b", ".x", "x" * 65, "log+1"])
def test_a_name_that_is_no_file_is_refused(tmp_path, name):
    """A key could be written outside of its folder."""
    with pytest.raises(InputError, match="no name for a key"):
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
    with pytest.raises(SignatureError, match="mixed up"):
        keys.load(tmp_path, "plant")


@pytest.mark.integration
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
