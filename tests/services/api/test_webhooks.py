"""Webhooks in the API: created by administrators of all projects; secrets are shown once."""

from uuid import UUID

from services.store.postgres.pool import connect
from tests.services.api import plain

URL = "https://8.8.8.8/tonne"


def _post(served, path, who="admin", **body):
    return served.ask(f"/v1/webhooks{path}", who, "POST", json=body)


def test_a_webhook_from_its_beginning_to_its_end(served):
    """An administrator without a shell could neither add nor end one."""
    made = _post(served, "", id="registry", url=URL, topics=["statement"], projects=["pv"])
    assert made.status_code == 201, made.text
    secret = made.json()["secret"]
    assert secret.startswith("whsec_")
    assert made.json()["projects"] == ["pv"]
    assert secret not in served.ask("/v1/webhooks", "admin").text
    assert "secret" not in served.ask("/v1/webhooks/registry", "admin").json()
    again = _post(served, "", id="registry", url=URL, topics=["alarm"])
    assert (again.status_code, "use another id" in again.text) == (422, True)
    # what was before it was there is sent when it is asked for
    listed = served.ask("/v1/webhooks/registry/deliveries", "admin").json()
    assert listed == {"items": [], "next": None}
    found = _post(served, "/registry/replay", since="2020-01-01T00:00:00Z")
    count = found.json()["events"]
    assert count >= 5  # of an issued statement and a draft
    assert found.json()["oldest_kept"] > "2026"
    gone = _post(served, "/registry/replay", events=[str(UUID(int=7))])
    assert (gone.status_code, "was removed, or never existed" in gone.text) == (422, True)
    page = served.ask("/v1/webhooks/registry/deliveries", "admin", params={"limit": 2}).json()
    assert [one["state"] for one in page["items"]] == ["waiting", "waiting"]
    more = served.ask(
        "/v1/webhooks/registry/deliveries", "admin", params={"limit": 2, "cursor": page["next"]}
    ).json()
    seen = [one["sequence"] for one in (*page["items"], *more["items"])]
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == 4
    rotated = _post(served, "/registry/secret", overlap_h=2).json()["secret"]
    assert rotated != secret
    ended = _post(served, "/registry/end", reason="a test").json()
    assert (ended["reason"], ended["waiting"], ended["dead"]) == ("a test", 0, count)
    assert _post(served, "/registry/secret", overlap_h=2).status_code == 422
    with connect(served.database_url) as conn:
        kept = conn.execute("SELECT string_agg(body::text, '') FROM api_answer").fetchone()[0]
    assert secret not in (kept or "")


def test_what_is_wrong_is_refused(served):
    """A web process could be made to ask servers that only it can reach."""
    for body in (
        {"id": "x", "url": "https://169.254.169.254/", "topics": ["alarm"]},
        {"id": "x", "url": "http://8.8.8.8/", "topics": ["alarm"]},
        {"id": "x", "url": "file:///etc/passwd", "topics": ["alarm"]},
        {"id": "X y", "url": URL, "topics": ["alarm"]},
        {"id": "x", "url": URL, "topics": []},
        {"id": "x", "url": URL, "topics": ["readings"]},
        {"id": "x", "url": URL, "topics": ["alarm"], "projects": ["nowhere"]},
    ):
        assert _post(served, "", **body).status_code in {404, 422}, body
    named = plain.post(
        f"{served.url}/v1/webhooks",
        json={"id": "x", "url": URL, "topics": ["alarm"]},
        headers={"Authorization": f"Bearer {served.tokens['admin']}", "Idempotency-Key": "k"},
    )
    assert (named.status_code, "shown only once" in named.text) == (400, True)
    assert _post(served, "/none/replay").status_code == 422
    assert _post(served, "/none/replay", dead=True).status_code == 404
    assert served.ask("/v1/webhooks/none", "admin").status_code == 404
