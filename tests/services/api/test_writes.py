"""Changes are made once, by permitted users, and recorded."""

import threading

from services.issuer import transitions as life
from services.store.postgres.pool import connect
from tests.opinions import concluded
from tests.services.issuer import logged, plant

PERIOD = {"from": "2026-03-01", "to": "2026-03-02"}
DONE = dict.fromkeys(("draft", "submitted", "verified", "issued"))


def close(served, key=None, who="operator", **said):
    headers = {} if key is None else {"Idempotency-Key": key}
    return served.ask("/v1/projects/pv/periods", who, "POST", json=said or PERIOD, headers=headers)


def test_a_named_request_is_done_once(served):
    """A repeated request with its idempotency key is executed once."""
    own = {"from": "2026-02-01", "to": "2026-02-02"}  # which no other test closes
    first = close(served, "close-1", **own)
    again = close(served, "close-1", **own)
    assert first.content == again.content
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    other = close(served, "close-1", **{"from": "2026-03-02", "to": "2026-03-03"})
    assert other.status_code == 422
    unnamed = close(served, **own)
    assert unnamed.status_code == 200
    assert unnamed.json() == {**first.json(), "new": False}


def test_an_issue_asked_for_many_times_at_once_happens_once(served):
    """Two clicks on one button would enter a statement in the log twice."""
    name = close(served).json()["statement"]
    with connect(served.database_url, role="tonne_mrv", autocommit=True) as conn:
        who = logged.held(served.home)
        life.submit(conn, name, who["operator"])
        early = served.ask(f"/v1/statements/{name}/issue", "operator", "POST")
        assert early.status_code == 409
        assert "submitted" in early.json()["detail"]
        life.verify(conn, name, who["verifier"], concluded("unmodified", of=(conn, name)))
    answers = []

    def ask():
        answers.append(
            served.ask(
                f"/v1/statements/{name}/issue",
                "operator",
                "POST",
                headers={"Idempotency-Key": f"issue {name}".replace(" ", "-")},
            )
        )

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {a.status_code for a in answers} == {200}
    assert len({a.content for a in answers}) == 1
    assert sum("idempotency-replayed" in a.headers for a in answers) == 5
    assert served.ask(f"/v1/statements/{name}/status").json()["state"] == "issued"
    rows = served.ask("/v1/audit", "admin", params={"limit": 1000}).json()["items"]
    path = f"/v1/statements/{name}/issue"
    assert [(r["role"], r["status"]) for r in rows if r["path"] == path] == [
        ("operator", 409),
        ("operator", 200),
    ]


def test_superseding_makes_a_draft_and_changes_nothing_yet(served):
    """A statement that is issued could vanish before its successor is verified."""
    plant.send(
        served.database_url,
        "inv-1",
        [plant.us("2026-03-02T12:01:01+07:00")],
        active_power_w=[700_000],
    )
    found = served.ask(
        f"/v1/statements/{served.issued}/supersede",
        "operator",
        "POST",
        json={"reason": "late readings of inv-1"},
    )
    assert found.status_code == 201
    draft = served.ask(f"/v1/statements/{found.json()['statement']}", "operator").json()
    assert draft["supersedes"] == served.issued
    assert draft["events"][0]["by"] == "the operator"
    assert served.ask(f"/v1/statements/{served.issued}/status").json()["state"] == "issued"


def test_an_auditor_s_refused_attempt_is_noted(served):
    """A rejected attempt is recorded in the audit log."""
    assert (
        served.ask("/v1/keys", "auditor", "POST", json={"name": "x", "role": "admin"}).status_code
        == 403
    )
    rows = served.ask("/v1/audit", "admin", params={"limit": 1000}).json()["items"]
    assert ("auditor", "/v1/keys", 403) in [(r["role"], r["path"], r["status"]) for r in rows]
