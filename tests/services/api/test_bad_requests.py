"""Invalid, hostile and slow requests: the right status, nothing changed, nothing disclosed."""

import json
import socket
import subprocess
from types import SimpleNamespace

import pytest

from services.api import server
from services.api.server import Rates
from services.local import POSTGRES_BIN
from services.store import api_keys
from services.store.postgres.pool import connect
from tests.services.api import hostile, plain
from tests.services.issuer import plant
from tests.waiting import until

SPAN = {"from": "2026-03-02", "to": "2026-03-03"}


def is_problem(found, status):
    assert found.status_code == status, found.text
    assert found.headers["content-type"] == "application/problem+json"
    body = found.json()
    assert body["status"] == status
    assert body["detail"]
    assert not any(word in found.text for word in ("Traceback", "psycopg", "SELECT", "/services/"))
    return body["detail"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({**SPAN, "device": "inv-1' OR 1=1 --"}, "device"),
        ({**SPAN, "device": "inv-1", "limit": "0"}, "limit"),
        ({**SPAN, "device": "inv-1", "limit": "1001"}, "limit"),
        ({"from": SPAN["to"], "to": SPAN["from"], "device": "inv-1"}, "later"),
        ({"from": "yesterday", "to": SPAN["to"], "device": "inv-1"}, "from"),
        ({"from": "2026-03-02T00:00:00", "to": SPAN["to"], "device": "inv-1"}, "from"),
        ({"from": "9999-12-31", "to": "99999-01-01", "device": "inv-1"}, "to"),
        ({"device": "inv-1"}, "from"),
        ({**SPAN, "device": "inv-1", "form": "2026-03-02"}, "'form' is not a parameter"),
        ({**SPAN, "device": "inv-1", "\r\nSet-Cookie: x": "1"}, "is not a parameter"),
    ],
)
def test_a_wrong_parameter_is_named(served, query, said):
    """A caller would not know what to mend."""
    assert said in is_problem(served.ask("/v1/intervals", "auditor", params=query), 422)


def test_a_page_mark_that_we_did_not_make_is_refused(served):
    """A forged page cursor would show another list, or break the query."""
    query = {**SPAN, "device": "inv-1", "limit": 5}
    mark = served.ask("/v1/intervals", "auditor", params=query).json()["next"]
    marks = [mark[:-2] + ("AA" if mark[-2:] != "AA" else "BB"), "", "x", "%00", "é", "A" * 900]
    for wrong in marks:
        found = served.ask("/v1/intervals", "auditor", params={**query, "cursor": wrong})
        is_problem(found, 400)
    other = {**query, "device": "inv-2", "cursor": mark}
    is_problem(served.ask("/v1/intervals", "auditor", params=other), 400)
    is_problem(served.ask("/v1/intervals", "admin", params={**query, "cursor": mark}), 400)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"null", b"[]", b'{"from":"2026-03-01"}', b'{"from":1,"to":2}',
        b'{"from":"2026-03-01","to":"2026-03-02","more":1}', b"\xff\xfe", b"[" * 100_000,
        b'{"from":"2026-01-01","to":"2036-01-02"}', b'{"from":"2020-01-01","to":"2020-02-01"}',
    ],
)  # fmt: skip
def test_a_body_that_is_no_period_changes_nothing(served, body):
    """A half-understood request would close a wrong period."""
    before = _drafts(served)
    found = served.ask(
        "/v1/projects/pv/periods",
        "operator",
        "POST",
        content=body,
        headers={"Content-Type": "application/json"},
    )
    assert found.status_code in {400, 422}
    is_problem(found, found.status_code)
    assert _drafts(served) == before


def _drafts(served):
    with connect(served.database_url) as conn:
        return conn.execute("SELECT count(*) FROM statement").fetchone()


def test_other_content_types_are_refused(served):
    """A request body that is not JSON is rejected."""
    found = served.ask(
        "/v1/projects/pv/periods",
        "operator",
        "POST",
        content=json.dumps(SPAN),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    is_problem(found, 415)
    for kind in ("text/plain", "multipart/form-data; boundary=x", "application/xml", "x", ""):
        found = served.ask(
            "/v1/projects/pv/periods",
            "operator",
            "POST",
            content=json.dumps(SPAN),
            headers={"Content-Type": kind},
        )
        is_problem(found, 415)


def test_a_huge_body_is_not_read(served):
    """One caller could fill the memory."""
    found = served.ask(
        "/v1/projects/pv/periods", "operator", "POST", content=b"x" * (server.LARGEST_BODY + 1)
    )
    is_problem(found, 413)

    def endless():
        for _ in range(100):
            yield b"x" * 65_536

    found = served.ask("/v1/projects/pv/periods", "operator", "POST", content=endless())
    is_problem(found, 413)


def test_a_slow_caller_is_hung_up_on(served):
    """A hundred callers who send a byte a minute would hold every connection."""
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=plain.PATIENCE_S) as slow:
        slow.sendall(b"GET /v1/statements HTTP/1.1\r\nHost: x\r\n")
        # to the end, which a caller that is waited for never sees
        assert slow.makefile("rb").read().startswith(b"HTTP/1.1 408 ")
    assert served.ask("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/statements/../../etc/passwd", 404),
        ("GET", "/v1/statements/TN-%0d%0aSet-Cookie:x", 422),
        ("GET", "/v1/statements/TN-%00", 422),
        ("GET", "/v1/projects/%F0%9F%92%A9", 401),
        ("GET", "/v1/log/entries/-1", 422),
        ("GET", "/v1/log/entries/99999", 404),
        ("GET", "/v1/log/proof/inclusion?index=1&size=999", 404),
        ("GET", "/v1/log/proof/consistency?first=9&second=1", 422),
        ("PATCH", "/v1/statements", 405),
        ("DELETE", "/v1/statements/TN-a", 405),
    ],
)
def test_what_is_not_there_is_said_plainly(served, method, path, status):
    """A caller would take a defect for an answer."""
    found = plain.request(method, served.url + path)
    is_problem(found, status)
    assert "set-cookie" not in found.headers
    if status == 405:
        assert "GET, HEAD" in found.headers["allow"]
        assert "GET" in found.json()["detail"]


def test_of_two_tokens_neither_is_taken(served):
    """Of two tokens a proxy might check one, and this server accept the other."""
    given = [("Authorization", f"Bearer {served.tokens[who]}") for who in ("auditor", "revoked")]
    for headers in (given, given[::-1], [given[0], given[0]]):
        is_problem(plain.get(f"{served.url}/v1/me", headers=headers), 400)
    with hostile.connection(served.url) as one:
        one.sendall(b"GET /v1/statements HTTP/1.1\r\nHost: tonne.vn\r\nHost: else.vn\r\n\r\n")
        assert one.recv(12) == b"HTTP/1.1 400"


def test_a_length_that_is_no_number_is_refused(served):
    """A number of five thousand digits ended in an internal error."""
    for digits in ("0" * 5_000, "9" * 18):
        with hostile.connection(served.url) as one:
            head = f"POST /v1/keys HTTP/1.1\r\nHost: x\r\nContent-Length: {digits}\r\n\r\n"
            one.sendall(head.encode())
            assert one.recv(200).startswith(b"HTTP/1.1 413 ")


def test_a_key_for_longer_than_there_are_years_is_refused(served):
    """A key that ends in the year 9999 would make the list of keys unreadable."""
    body = {"name": "for ever", "role": "auditor", "expires": "9999-12-31T23:59:59-23:59"}
    assert "before the year 9000" in is_problem(
        served.ask("/v1/keys", "admin", "POST", json=body), 422
    )
    with connect(served.database_url, autocommit=True) as conn:  # one of before it was refused
        conn.execute(
            "INSERT INTO api_key (id, name, role, secret_sha256, created_by, expires)"
            " VALUES ('aaaaaaaaaaaa', 'old', 'auditor', sha256('x'), 'test',"
            " '10000-01-01T00:00:00Z')"
        )
    found = served.ask("/v1/keys", "admin")
    assert found.status_code == 200
    assert "9000-01-01" in {str(one["expires"])[:10] for one in found.json()}


@pytest.mark.parametrize("suffix", ["", ".json", ".pdf", "/evidence", "/status"])
def test_head_says_what_get_would(served, suffix):
    """A download tool asks for size and edition first, and would get an error instead of them."""
    path = f"/v1/statements/{served.issued}{suffix}"
    whole, head = served.ask(path, "auditor"), served.ask(path, "auditor", "HEAD")
    assert (head.status_code, head.content) == (200, b"")
    for name in ("etag", "content-length", "content-type"):
        assert head.headers[name] == whole.headers[name], name
    assert served.ask("/v1/statements/TN-none", "auditor", "HEAD").status_code == 404
    events = f"{served.url}/console/en/live/events"
    assert plain.head(events).status_code == 405


@pytest.mark.parametrize("name", ["", "a" * 201, "line\nbreak", "nul\x00", 7, None])
def test_a_key_with_an_unfit_name_is_not_made(served, name):
    """The audit would name someone whom no one can read."""
    found = served.ask("/v1/keys", "admin", "POST", json={"name": name, "role": "auditor"})
    is_problem(found, 422)


def test_a_caller_who_asks_too_often_waits(monkeypatch):
    """One caller could take the API from all others."""
    # all within one moment, however slow the machine is
    monkeypatch.setattr(server, "time", SimpleNamespace(monotonic=lambda: 1_000.0))
    rates = Rates(10)
    waits = [rates.wait_s(b"one") for _ in range(25)]
    assert waits[:20] == [0.0] * 20
    assert all(0 < wait <= 0.1 for wait in waits[20:])
    assert rates.wait_s(b"another") == 0.0


def test_a_database_that_is_away_is_said_and_comes_back(served, timescale):
    """The API recovers by itself after a database outage."""
    timescale.kill()
    try:
        found = served.ask(f"/v1/statements/{served.issued}")
        is_problem(found, 503)
        assert found.headers["retry-after"]
        assert served.ask("/healthz").status_code == 200
    finally:
        timescale.start()
    path = f"/v1/statements/{served.issued}"
    until(lambda: served.ask(path).status_code == 200, plain.PATIENCE_S)
    assert served.ask("/readyz").status_code == 200


def test_secrets_are_nowhere(served):
    """No log, dump or answer contains a secret."""
    for path in ("/v1/openapi.json", "/metrics", "/v1/statements"):
        served.ask(path, "admin")
    dump = subprocess.run(
        [str(POSTGRES_BIN / "pg_dump"), served.database_url],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    log = (served.home / "api.log").read_text()
    documents = served.ask("/v1/openapi.json").text + served.ask("/v1/keys", "admin").text
    secrets = [token.split("_", 2)[2] for token in served.tokens.values()]
    keys = [json.loads(file.read_text()) for file in (served.home / "keys").glob("*.json")]
    secrets += [text for key in keys for name, text in key.items() if "secret" in name.lower()]
    assert len(secrets) > len(served.tokens)
    for secret in secrets:
        assert secret not in dump
        assert secret not in log
        assert secret not in documents


def test_a_key_that_would_never_be_valid_is_refused(database_url, tmp_path):
    """An administrator would hand out a token that gives no access."""
    plant.register(database_url, tmp_path)
    with connect(database_url, role="tonne_api", autocommit=True) as conn:
        with pytest.raises(Exception, match="past"):
            api_keys.create(conn, "x", "auditor", None, "t", _long_ago())
        with pytest.raises(Exception, match="no such project: 'nope'"):
            api_keys.create(conn, "x", "auditor", ["pv", "nope"], "t")


def _long_ago():
    from datetime import UTC, datetime  # noqa: PLC0415

    return datetime(2020, 1, 1, tzinfo=UTC)
