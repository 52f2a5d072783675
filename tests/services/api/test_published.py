"""What anyone may ask the API: status lists, the trust root, who approved an issue."""

from datetime import UTC, datetime

import pytest

from mrv.signatures import canonical
from mrv.signatures.keys import SigningKey
from mrv.signatures.trust_root import TrustRoot, sign_root, write_root
from mrv.statement.states import sign_list
from services.api.client import Client, RefusedError
from services.issuer import keys
from services.issuer import transitions as life
from services.store.postgres.pool import connect
from tests.opinions import concluded
from tests.services.issuer import plant
from tests.services.issuer.sealed import close_period

LIST = "/v1/status-list?project=pv"


def signer(served, name):
    """A signer whose key is in the API's home."""
    return life.Signer(*keys.load(served.home, name))


def test_a_status_list_is_public_and_tells_the_present(served):
    """A citizen would have to ask the operator whether a statement still counts."""
    assert served.ask(LIST).status_code == 404
    operator, now = signer(served, "the-operator"), datetime.now(UTC)
    names = [served.issued, served.draft]
    false = canonical.encode(sign_list("pv", names, [served.issued], *operator, now))
    good = canonical.encode(sign_list("pv", names, [], *operator, now))
    with Client(served.url, served.tokens["operator"]) as client:
        with pytest.raises(RefusedError, match="is wrong for"):
            client.publish_status_list("pv", false)
        assert client.publish_status_list("pv", good).project == "pv"
        assert client.status_list("pv") == good
    with Client(served.url) as anybody:
        assert anybody.status_list("pv") == good
        with pytest.raises(RefusedError):
            anybody.publish_status_list("pv", good)
    for who in ("rival", "verifier", "auditor"):
        answer = served.ask(
            LIST, who, "POST", content=good, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code in (403, 404), who
    assert served.ask("/v1/status-list?project=nobody").status_code == 404
    assert served.ask("/v1/status-list").status_code == 422
    assert served.ask(LIST).headers["content-type"].startswith("application/vc")


def test_the_trust_root_that_is_kept_is_shown(served):
    """A reader would not know whom the programme names."""
    assert served.ask("/v1/trust-root").status_code == 404
    key = SigningKey.generate()
    ring = (signer(served, "the-operator").holder,)
    file = served.home / "trust-root.json"
    try:
        for expires, code in (("2999-01-01T00:00:00Z", 200), ("2020-01-01T00:00:00Z", 409)):
            root = TrustRoot("HP", 1, expires, (key.public_multikey,), 1, ring)
            file.write_bytes(sign_root(write_root(root), key))
            answer = served.ask("/v1/trust-root")
            assert answer.status_code == code, answer.text
            if code == 200:
                assert answer.content == file.read_bytes()
        file.write_bytes(write_root(root))
        assert served.ask("/v1/trust-root").status_code == 409
    finally:
        file.unlink()


def test_an_approval_is_handed_in(served):
    """A director whose key is on another machine could not approve."""
    begin = plant.us("2026-03-03") + 3_600_000_000
    operator, verifier = signer(served, "the-operator"), signer(served, "the-verifier")
    with connect(served.database_url, role="tonne_mrv", autocommit=True) as conn:
        name = close_period(conn, "pv", begin, begin + 7_200_000_000, "test").statement
        life.submit(conn, name, operator)
        life.verify(conn, name, verifier, concluded("unmodified", of=(conn, name)))
        have = life.documents(conn, name)
    made = life.sign_approval(have.statement, have.verification, *operator, datetime.now(UTC))
    signed = canonical.encode(made)
    assert served.ask(f"/v1/statements/{name}/approvals.json", "operator").status_code == 404
    with Client(served.url, served.tokens["operator"]) as client:
        with pytest.raises(RefusedError):
            client.approve(name, signed.replace(b"IssueApproval", b"IssueApprovax"))
        assert client.approve(name, signed).approvals == 1
        with pytest.raises(RefusedError, match="already"):
            client.approve(name, signed)
    found = served.ask(f"/v1/statements/{name}/approvals.json", "operator")
    assert canonical.parse(found.content) == [made]
    assert served.ask(f"/v1/statements/{name}/approvals.json").status_code == 404
