"""A statement's receipt is served only once it is in the log under a signed head."""

import io
import threading
import zipfile

import psycopg
import pytest

from mrv.log.entries import parse_receipt, verify_receipt
from mrv.signatures.canonical import parse_object
from mrv.statement.credentials import issued_entry
from mrv.verify.signature_steps import log_key
from services.issuer import keys
from services.issuer import transitions as life
from services.store.postgres.pool import connect
from tests.services.issuer import logged


@pytest.fixture
def verified(served):
    """Return a verified statement, and the key of the log."""
    day = "2026-03-01", "2026-03-02"
    name = logged.verified(served.database_url, logged.held(served.home), *day)
    return name, life.Signer(*keys.load(served.home, "tonne-log"))


def _state(served, name):
    return served.ask(f"/v1/statements/{name}", "auditor").json()["state"]


def _receipt(served, name):
    return served.ask(f"/v1/statements/{name}/receipt", "auditor")


def _in_pack(served, name):
    pack = served.ask(f"/v1/statements/{name}/evidence", "auditor").content
    return {one.split("/", 1)[1] for one in zipfile.ZipFile(io.BytesIO(pack)).namelist()}


def test_no_receipt_is_served_before_there_is_one(served, verified):
    """A buyer could get a receipt for a log entry that does not exist."""
    name, log = verified
    with connect(served.database_url, role="tonne_mrv", autocommit=True) as conn:
        with conn.transaction(force_rollback=True):
            life.issue(conn, name, log, "test")
            # issued for whoever issues, and for nobody else yet
            refused = _receipt(served, name)
            assert refused.status_code == 404
            assert f"{name} is verified: it is entered in the log when it is issued" in refused.text
            assert _state(served, name) == "verified"
            assert not {"receipt.txt", "manifest.txt"} & _in_pack(served, name)
        assert _receipt(served, name).status_code == 404
        seen, done = [], threading.Event()

        def watch():
            while not done.is_set():
                seen.append((_state(served, name), _receipt(served, name).status_code))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            life.issue(conn, name, log, "test")
        finally:
            done.set()
            watcher.join()
    # asked for after the state, the receipt of an issued statement is always there
    assert {code for state, code in seen if state == "issued"} <= {200}
    assert _state(served, name) == "issued"
    receipt = _receipt(served, name)
    assert receipt.status_code == 200
    documents = [
        parse_object(served.ask(f"/v1/statements/{name}{part}", "auditor", headers=headers).content)
        for part, headers in (("", {"Accept": "application/vc"}), ("/verification.json", {}))
    ]
    verify_receipt(
        receipt.text,
        issued_entry(*documents),
        log_key([log.holder], parse_receipt(receipt.text).checkpoint),
    )
    assert {"receipt.txt", "manifest.txt"} <= _in_pack(served, name)


def test_an_entry_without_a_signed_head_has_no_receipt(served):
    """A receipt that no key of the log signed would be handed out as one that it did."""
    with psycopg.connect(served.database_url, autocommit=True) as conn:
        conn.execute("SET session_replication_role = replica")
        kept = conn.execute("DELETE FROM log_checkpoint RETURNING *").fetchall()
        try:
            refused = _receipt(served, served.issued)
        finally:
            marks = ", ".join(["%s"] * len(kept[0]))
            conn.cursor().executemany(f"INSERT INTO log_checkpoint VALUES ({marks})", kept)
    assert refused.status_code >= 400
    assert "c2sp.org" not in refused.text
    assert _receipt(served, served.issued).status_code == 200
