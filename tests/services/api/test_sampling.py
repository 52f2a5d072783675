"""The sampling list over the API: drawn and signed elsewhere, accepted once, from its verifier."""

import json
from datetime import UTC, datetime

import pytest

from mrv.signatures import canonical
from mrv.statement.sampling import Size, sign_sampling
from services.api.client import Client, RefusedError
from services.issuer import documents as steps
from services.issuer import external_signatures as accept
from services.issuer import transitions as life
from services.store.postgres.pool import connect
from tests.services.issuer import logged, plant
from tests.services.issuer.sealed import close_period


@pytest.fixture(scope="module")
def drawn(served):
    """Return a submitted statement and lists that its verifier and someone else signed."""
    with connect(served.database_url, role="tonne_mrv", autocommit=True) as conn:
        span = plant.us("2026-03-03"), plant.us("2026-03-04")
        name = close_period(conn, "pv", *span, "test").statement
        signers = logged.held(served.home)
        life.submit(conn, name, signers["operator"])
        have = steps.documents(conn, name)
        case = accept.recompute(conn, have.stored)
        now = datetime.now(UTC)
        return name, {
            who: canonical.encode(sign_sampling(have.statement, case, Size(1, 1), *one, now))
            for who, one in signers.items()
        }


def post(served, name, body, who="verifier", **headers):
    return served.ask(
        f"/v1/statements/{name}/sampling",
        who,
        "POST",
        content=body,
        headers={"Content-Type": "application/json", **headers},
    )


def spoilt(body, **change):
    """Return a list that differs from the signed one."""
    document = json.loads(body)
    document["credentialSubject"] |= change
    return json.dumps(document).encode()


WRONG = [
    (lambda d: d["operator"], 403),
    (lambda d: spoilt(d["verifier"], seed="0" * 64), 422),
    (lambda d: spoilt(d["verifier"], items=[]), 422),
    (lambda d: spoilt(d["verifier"], extra="x"), 422),
    (lambda d: spoilt(d["verifier"], population=14), 422),
    (lambda d: d["verifier"].replace(b'{"@context"', b'{"id":"x","@context"', 1), 422),
    (lambda _: b"{}", 422),
    (lambda _: b"[]", 422),
    (lambda _: b"{", 400),
    (lambda _: b"\xff\xfe", 400),
]


def refused(served, drawn):
    """Submit a list that was not drawn so; nothing of it is stored."""
    name, lists = drawn
    for spoil, status in WRONG:
        answer = post(served, name, spoil(lists))
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert served.ask(f"/v1/statements/{name}/sampling.json", "verifier").status_code == 404
    assert served.ask(f"/v1/statements/{name}/status", "verifier").json()["state"] == "submitted"


def test_a_list_is_taken_once_and_only_as_it_was_drawn(served, drawn):
    """A verifier could avoid the days that matter, or an operator could choose the sample."""
    name, lists = drawn
    refused(served, drawn)
    path = f"/v1/statements/{name}/sampling.json"
    assert post(served, name, lists["verifier"], "elsewhere").status_code == 404
    with Client(served.url, served.tokens["verifier"]) as client:
        taken = client.take_sampling(name, lists["verifier"])
        assert (taken.random, taken.by_risk, taken.population) == (1, 1, 2)
        assert client.sampling(name) == lists["verifier"]
        with pytest.raises(RefusedError, match="already drawn"):
            client.take_sampling(name, lists["verifier"])
    status = served.ask(f"/v1/statements/{name}/status", "verifier").json()
    assert status["state"] == "under_verification"
    assert served.ask(path, "scoped").content == lists["verifier"]
    for who in ("stranger", None):  # nothing of it is public before it is issued
        assert served.ask(path, who).status_code == 404
    rows = served.ask("/v1/audit", "admin", params={"limit": 1000}).json()["items"]
    said = [r["status"] for r in rows if r["path"] == f"/v1/statements/{name}/sampling"]
    assert {201, 404, 409} <= set(said)


def test_an_issued_statement_shows_its_sample_to_everybody(served):
    """A citizen could not see what was looked at."""
    answer = served.ask(f"/v1/statements/{served.issued}/sampling.json")
    assert json.loads(answer.content)["type"] == ["VerifiableCredential", "SamplingList"]
    assert answer.headers["cache-control"].startswith("public")
    same = served.ask(
        f"/v1/statements/{served.issued}/sampling.json",
        headers={"If-None-Match": answer.headers["etag"]},
    )
    assert same.status_code == 304
