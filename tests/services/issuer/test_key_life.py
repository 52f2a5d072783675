"""Ended keys: earlier signatures stay valid by the order of the log; later ones are invalid."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ingest.errors import InputError
from mrv.errors import EnrolmentError, SignatureError
from mrv.log.witness import cosign
from mrv.packs.reader import read_pack
from mrv.verify import verify
from services.issuer import audit as audits
from services.issuer import cosigning, keys
from services.issuer import transitions as life
from services.issuer.close import close_period
from services.issuer.pack import export
from services.issuer.seal import seal
from services.store.postgres.pool import connect
from services.store.registry import signing_keys as enrolled
from services.store.statements import transparency_log as log
from tests import holders
from tests.invoked import printed
from tests.planted import planted
from tests.services.issuer import logged, plant
from tests.services.issuer.logged import issuer

NOW = logged.NOW


def _issued(url, home):
    plant.register(url, home)
    plant.fill_pv(url, end="2026-03-05", minutes=15)
    who = logged.signers(url, home)
    logged.seal_now(url, who)
    return who, logged.issue(url, who)


@pytest.fixture
def issued(database_url, tmp_path, monkeypatch):
    """Issue a statement over sealed days; return its database, signers and name."""
    monkeypatch.setenv("TONNE_HOME", str(tmp_path))
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    return database_url, *planted(_issued, database_url, tmp_path)


def checked(url, name, folder):
    """Export and verify as an auditor does, with the present keyring and status list."""
    with issuer(url) as conn:
        ring = [one.key for one in enrolled.load(conn) if one.key.role != "witness"]
        operator = life.Signer(*keys.load(folder.parent, "the-operator"))
        status = life.status_list(conn, "pv", operator)
        pack = export(conn, name, folder)
    return verify(read_pack(pack), ring, status)


def test_a_log_gets_a_new_key_and_everything_verifies(issued, tmp_path):
    """A log whose key was lost, or is too old, could never be used again."""
    url, who, first = issued
    with issuer(url) as conn:
        before = read_pack(export(conn, first, tmp_path / "before"))
    logged.issue(url, who, "2026-03-03", "2026-03-04")
    assert checked(url, first, tmp_path / "one").exit_code == 0
    printed("keys", "rotate", "tonne-log")
    later = NOW + 2 * 86_400_000_000
    with issuer(url) as conn:
        head = log.checkpoint(conn)
        assert head.startswith("tonne-log-2\n")
        signer = life.log_signer(conn, tmp_path, "tonne-log")
        assert signer.holder.name == "tonne-log-2"
        seal(conn, signer, later)
        assert audits.audit(conn, later).first_break is None
    again = checked(url, first, tmp_path / "two")
    assert again.exit_code == 0, again.missing
    assert any("log: tonne-log-2" in one for one in again.relied)
    second = logged.issue(url, {**who, "log": signer}, "2026-03-04", "2026-03-05")
    assert checked(url, second, tmp_path / "three").exit_code == 0
    with issuer(url) as conn:
        ring = [one.key for one in enrolled.load(conn) if one.key.role != "witness"]
        status = life.status_list(conn, "pv", who["operator"])
    old = verify(before, ring, status)  # its receipt is under a head that the closed log signed
    assert (old.exit_code, [one.code for one in old.missing]) == (4, ["closed-log"])
    printed("keys", "rotate", "tonne-log-2")
    assert checked(url, first, tmp_path / "four").exit_code == 0


def test_a_revoked_log_seals_no_more_until_it_has_a_new_key(issued, tmp_path):
    """Anyone who stole the log's key could go on writing its history."""
    url, who, name = issued
    printed("keys", "revoke", "tonne-log")
    assert "has ended" in printed("log", "seal", code=2)
    with issuer(url) as conn:
        with pytest.raises(EnrolmentError, match="has ended"):
            life.log_signer(conn, tmp_path, "tonne-log")
        closed = close_period(conn, "pv", plant.us("2026-03-03"), plant.us("2026-03-04"), "test")
        logged.signed(conn, closed.statement, who, "unqualified")
        with pytest.raises(EnrolmentError, match="enrolment has ended"):
            life.issue(conn, closed.statement, who["log"], "test")
    printed("keys", "rotate", "tonne-log")
    printed("log", "seal")
    printed("statement", "issue", closed.statement)
    assert checked(url, name, tmp_path / "pack").exit_code == 0


@pytest.mark.parametrize("role", ["operator", "verifier"])
def test_a_stolen_key_is_ended_and_what_it_signed_before_counts(issued, tmp_path, role):
    """After a revocation, only signatures proven to be earlier are valid."""
    url, who, name = issued
    with issuer(url) as conn:
        closed = close_period(conn, "pv", plant.us("2026-03-03"), plant.us("2026-03-04"), "test")
        late = logged.signed(conn, closed.statement, who, "unqualified")
    time.sleep(1.1)  # a proof's time is in whole seconds
    printed("keys", "revoke", f"the-{role}")
    with issuer(url) as conn:
        # signed before, as it says; nothing shows it, so the log does not take it
        with pytest.raises(EnrolmentError, match="there is no proof that it was signed before"):
            life.issue(conn, late, who["log"], "test")
        (ended,) = [one.key for one in enrolled.load(conn) if one.key.name == f"the-{role}"]
        assert ended.bounds.ends_at.index > 0
        ring = [one.key for one in enrolled.load(conn) if one.key.role != "witness"]
        pack = read_pack(export(conn, name, tmp_path / "pack"))
    report = verify(pack, ring)
    assert report.consistent
    assert {one.code for one in report.missing} == {"status"}
    # the secret was in other hands before the statement entered the log
    place = replace(ended.bounds.ends_at, index=0)
    earlier = [
        replace(key, bounds=replace(key.bounds, ends_at=place)) if key == ended else key
        for key in ring
    ]
    assert verify(pack, earlier).failure.name == "times"


def test_an_end_that_is_dated_back_reaches_what_was_issued_since(issued, tmp_path):
    """What a thief got into the log before anyone saw it would count permanently."""
    url, _, name = issued
    with issuer(url) as conn:
        pack = read_pack(export(conn, name, tmp_path / "pack"))
    with connect(url, autocommit=True) as conn:
        conn.execute("UPDATE enrolled_key SET valid_from = now() - interval '9 days'")
    since = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    printed("keys", "revoke", "the-operator", "--from", since)
    with issuer(url) as conn:
        ring = [one.key for one in enrolled.load(conn) if one.key.role != "witness"]
    assert verify(pack, ring).exit_code == 1


def test_a_stolen_witness_s_key_vouches_for_nothing_and_another_one_takes_its_place(
    issued, tmp_path
):
    """Two histories of a log could go on being shown under the stolen witness's name."""
    url, _, name = issued

    def cosigned(by, folder):
        with issuer(url) as conn:
            key, _ = keys.load(tmp_path, by)
            head = log.checkpoint(conn)
            assert by in cosigning.keep(conn, head + cosign(head, by, key, int(time.time())))
        return witnessed(folder)

    def witnessed(folder):
        with issuer(url) as conn:
            ring = [one.key for one in enrolled.load(conn)]
            status = life.status_list(conn, "pv", life.Signer(*keys.load(tmp_path, "the-operator")))
            pack = export(conn, name, tmp_path / folder)
        return verify(read_pack(pack), ring, status)

    assert cosigned("the-witness", "one").exit_code == 0
    printed("keys", "revoke", "the-witness")
    report = witnessed("two")
    assert (report.exit_code, [one.code for one in report.missing]) == (4, ["witnesses"])
    assert "the-witness, whose key has ended" in report.missing[0].what
    printed("keys", "create", "--role", "witness", "--name", "second")
    report = cosigned("second", "three")
    assert report.exit_code == 0, report.missing
    assert any("countersigned by second at" in one for one in report.relied)


def test_a_stolen_operator_s_key_signs_no_status_list_that_counts(issued, tmp_path):
    """A thief would sign that a statement still counts, dated before the key's end."""
    url, who, name = issued
    with issuer(url) as conn:
        stolen = life.status_list(conn, "pv", who["operator"])
        pack = read_pack(export(conn, name, tmp_path / "pack"))
    time.sleep(1.1)  # a proof's time is in whole seconds
    told = printed("keys", "rotate", "the-operator")
    assert "tonne statement status-list PROJECT" in told
    with issuer(url) as conn:
        ring = [one.key for one in enrolled.load(conn) if one.key.role != "witness"]
        new = life.status_list(conn, "pv", life.Signer(*keys.load(tmp_path, "the-operator")))
    report = verify(pack, ring, stolen)
    assert (report.exit_code, [one.code for one in report.missing]) == (4, ["status-key"])
    assert verify(pack, ring, new).exit_code == 0


def test_a_stolen_root_key_is_replaced_by_the_others(tmp_path, monkeypatch):
    """Anyone who stole a programme's key would name its verifiers, or no one could any more."""
    monkeypatch.setenv("TONNE_HOME", str(tmp_path))
    for name in ("a", "b", "c", "stolen", "new", "thief"):
        printed("keys", "create", "--role", "programme", "--name", name, "--no-enroll")
    printed("keys", "create", "--role", "log", "--name", "city-log", "--no-enroll")
    ring = tmp_path / "ring.json"
    printed("keys", "public", "city-log", "--out", ring)

    def root(version, roots, signers):
        file = tmp_path / f"root-{version}-{'-'.join(signers)}.json"
        named = [word for one in roots for word in ("--root", one)]
        printed("trust", "create", "--programme", "city", "--keys", ring, *named, "--threshold", 2,
              "--version", version, "--expires", "2100-01-01T00:00:00Z", "--out", file)  # fmt: skip
        for one in signers:
            printed("trust", "sign", file, "--key", one)
        return file

    printed("trust", "pin", root(1, ["a", "b", "stolen"], ["a", "b"]))
    thiefs = root(2, ["stolen", "thief"], ["stolen", "thief"])
    assert "signed by 1 of the root keys of version 1, and 2 are required" in printed(
        "trust", "pin", thiefs, code=2
    )
    printed("trust", "pin", root(2, ["a", "b", "new"], ["a", "b"]))
    later = root(3, ["a", "stolen", "thief"], ["stolen", "thief", "a"])
    assert "are required" in printed("trust", "pin", later, code=2)
    # a key that the next version names no more still has to sign it
    assert "are required" in printed("trust", "pin", root(3, ["new", "c"], ["new", "c"]), code=2)
    printed("trust", "pin", root(3, ["new", "c"], ["a", "new", "c"]))
    assert "version 3" in printed("trust", "show", tmp_path / "trust-root.json")


def test_a_secret_is_encrypted_under_a_passphrase(tmp_path, monkeypatch):
    """A secret key is encrypted with a passphrase."""
    monkeypatch.setenv("TONNE_KEY_PASSPHRASE", "correct horse")
    made = keys.create(tmp_path, "plant", "operator")
    data = (tmp_path / "keys" / "plant.json").read_text()
    assert "BEGIN ENCRYPTED PRIVATE KEY" in data
    assert "secretKeyMultibase" not in data
    assert keys.load(tmp_path, "plant")[1] == made
    for other in ("another", ""):
        monkeypatch.setenv("TONNE_KEY_PASSPHRASE", other)
        with pytest.raises(SignatureError, match="TONNE_KEY_PASSPHRASE"):
            keys.load(tmp_path, "plant")
    file = tmp_path / "passphrase"
    file.write_text("correct horse")
    monkeypatch.delenv("TONNE_KEY_PASSPHRASE")
    monkeypatch.setenv("TONNE_KEY_PASSPHRASE_FILE", str(file))
    assert keys.load(tmp_path, "plant")[1] == made


def test_the_programme_names_the_verifiers(database_url, tmp_path, monkeypatch):
    """An operator could enrol a verifier of their own making."""
    monkeypatch.setenv("TONNE_HOME", str(tmp_path))
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    printed("keys", "create", "--role", "programme", "--name", "secretariat")
    printed("keys", "create", "--role", "verifier", "--name", "gv", "--no-enroll",
          "--organisation", "Green Verify JSC", "--accreditation", "VN-017",
          "--scope", "jcm-vn-am007", "--accredited-until", "2029-01-01T00:00:00Z")  # fmt: skip
    ring, root = tmp_path / "gv.json", tmp_path / "root.json"
    printed("keys", "public", "gv", "--out", ring)
    printed("trust", "create", "--programme", "city", "--keys", ring, "--root", "secretariat",
          "--expires", "2100-01-01T00:00:00Z", "--out", root)  # fmt: skip
    assert "are required" in printed("trust", "pin", root, code=2)
    printed("trust", "sign", root, "--key", "secretariat")
    printed("trust", "pin", root)
    assert "Green Verify JSC" in printed("trust", "show", root)
    create = ("keys", "create", "--role", "verifier", "--name", "mine")
    assert "--organisation and --accreditation" in printed(*create, code=2)
    refused = printed(*create, *holders.OPTIONS["verifier"], code=2)
    assert "the programme names verifiers" in refused
    assert "mine" not in keys.names(tmp_path)
    printed("keys", "enroll", tmp_path / "trust-root.json")
    with issuer(database_url) as conn:
        (held,) = [one.key for one in enrolled.load(conn)]
    assert (held.name, held.bounds.accreditation.id) == ("gv", "VN-017")
    with pytest.raises(InputError):
        keys.load(tmp_path, "mine")
