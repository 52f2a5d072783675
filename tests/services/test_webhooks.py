"""Events are sent to other systems: signed, at least once, within their scope."""

import json
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from uuid import UUID

import psycopg
import pytest
import structlog
from standardwebhooks import Webhook, WebhookVerificationError

from ingest.errors import InputError, RegistryError
from mrv.errors import StatementStateError
from services import webhook_post as addresses
from services.cli.local.doctor import webhooks as doctor
from services.cli.output import Exit
from services.issuer import transitions as life
from services.metrics import Metrics
from services.store import webhooks as store
from services.store.postgres.pool import connect
from services.webhook_post import new_secret, post
from services.webhooks import Sender
from tests.invoked import tonne
from tests.planted import planted
from tests.services.issuer import logged

LOOPBACK = (ip_network("127.0.0.0/8"),)
LOG = structlog.get_logger("test")


class Receiver(BaseHTTPRequestHandler):
    """Answers each path as configured, and stores the requests."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):  # noqa: D102 - the name is the server's
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = self.path.partition("?")[0]
        self.server.came.append((path, dict(self.headers), body))
        status, headers = self.server.answers.get(path, (204, {}))
        if status == "hangs":
            self.server.released.wait(30)
            return
        if status == "drips":
            try:
                for byte in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1000:
                    self.wfile.write(bytes([byte]))
                    if self.server.released.wait(0.05):
                        return
            except OSError:
                return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Log nothing."""


@contextmanager
def receiving(**answers):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.daemon_threads = True
    server.came, server.released = [], threading.Event()
    server.answers = {f"/{name}": answer for name, answer in answers.items()}
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()


def sender(url, **more):
    return Sender(url, Metrics(), LOG, LOOPBACK, **more)


def add(conn, name, url, topics=store.TOPICS, projects=None):
    secret = new_secret()
    store.add(conn, name, url, topics, projects, secret, "test")
    return secret


def due_now(conn):
    conn.execute("UPDATE webhook_delivery SET due = now() WHERE state = 'waiting'")


def alarm(conn, event="raised"):
    (number,) = conn.execute(
        "INSERT INTO alarm (kind, subject_type, subject, projects, severity, since, cause, clear_s)"
        " VALUES ('test', 'device', %s, ARRAY['pv', 'bus'], 'minor', now(), 'a test', 60)"
        " RETURNING id",
        [f"d-{time.monotonic_ns()}"],
    ).fetchone()
    conn.execute(
        "INSERT INTO alarm_event (alarm_id, event, actor) VALUES (%s, %s, 'x')", [number, event]
    )
    return number


def states(conn, name):
    rows = conn.execute(
        "SELECT state, count(*) FROM webhook_delivery WHERE webhook_id = %s GROUP BY 1", [name]
    )
    return dict(rows.fetchall())


def told(server, name):
    return [json.loads(body) for path, _, body in server.came if path == f"/{name}"]


def test_what_happens_is_told_once_it_is_true(database_url, tmp_path):  # noqa: PLR0915
    """A registry would hear of an issue that was rolled back, or never of one that was not."""
    who = planted(logged.quarter_hours, database_url, tmp_path)
    logged.seal_now(database_url, who)
    with (
        receiving(weak=(503, {"Retry-After": "700"})) as server,
        connect(database_url, role="tonne_mrv", autocommit=True) as conn,
        connect(database_url, autocommit=True) as owner,
    ):
        first = add(conn, "good", f"{server.url}/good?a=1")
        add(conn, "buses", f"{server.url}/buses", projects=["bus"])
        weak = add(conn, "weak", f"{server.url}/weak", ["statement"])
        with pytest.raises(RegistryError, match="nowhere"):
            add(conn, "other", f"{server.url}/other", projects=["nowhere"])
        name = logged.issue(database_url, who)
        with conn.transaction(force_rollback=True):
            alarm(conn)
        with pytest.raises(StatementStateError):
            life.submit(conn, name, who["operator"])  # refused: nothing is told of it
        alarm(conn)
        done = sender(database_url).once()
        assert (done.taken, done.failed, done.dead) == (6, 1, 0)
        events = told(server, "good")
        kinds = [one["type"] for one in events]
        assert kinds[0] == "tonne.statement.draft"
        assert kinds[-2:] == ["tonne.statement.issued", "tonne.alarm.raised"]
        issued = next(one for one in events if one["type"].endswith("issued"))
        assert issued["specversion"] == "1.0"
        assert issued["subject"] == issued["data"]["statement"] == name
        assert issued["data"]["project"] == "pv"
        assert datetime.fromisoformat(issued["time"]).tzinfo == UTC
        assert UUID(issued["id"])
        # of an alarm of two projects each is told its own
        assert [one["data"]["projects"] for one in told(server, "buses")] == [["bus"]]
        for path, headers, body in server.came:
            assert headers["Content-Type"] == "application/cloudevents+json"
            if path == "/good":
                Webhook(first).verify(body, headers)
                with pytest.raises(WebhookVerificationError):
                    Webhook(weak).verify(body, headers)
        # the weak one was asked once, and is left alone for as long as it asked
        assert len(told(server, "weak")) == 1
        assert states(conn, "weak") == {"waiting": 4}
        assert sender(database_url).once().taken == 0
        assert len(told(server, "weak")) == 1
        (wait_s,) = conn.execute(
            "SELECT min(extract(epoch FROM due - tried)) FROM webhook_delivery"
            " WHERE webhook_id = 'weak' AND tried IS NOT NULL"
        ).fetchone()
        assert 699 < wait_s < 760
        server.answers.clear()
        due_now(owner)
        # one sends at a time: another that holds the place leaves nothing to do
        owner.execute("SELECT pg_advisory_lock(2291, 0)")
        assert sender(database_url).once().taken == 0
        owner.execute("SELECT pg_advisory_unlock(2291, 0)")
        second = new_secret()
        store.rotate(conn, "weak", second, 3600)
        assert sender(database_url).once().taken == 4
        again = told(server, "weak")
        assert again[0]["id"] == again[1]["id"]
        assert [one["type"] for one in again[1:]] == [
            e["type"] for e in events if "statement" in e["type"]
        ]
        _, headers, body = server.came[-1]
        for secret in (weak, second):
            Webhook(secret).verify(body, headers)
        store.rotate(conn, "weak", new_secret(), 0)
        assert store.replay(conn, "weak", events=[UUID(issued["id"])]) == 1
        assert sender(database_url).once().taken == 1
        _, headers, body = server.came[-1]
        assert headers["webhook-id"] == issued["id"]
        for secret in (weak, second):
            with pytest.raises(WebhookVerificationError):
                Webhook(secret).verify(body, headers)
        # one that comes later asks for what was, of its own
        add(conn, "late", f"{server.url}/late", ["statement"])
        assert store.replay(conn, "late", since=datetime(2020, 1, 1, tzinfo=UTC)) == 4
        assert sender(database_url).once().taken == 4
        assert store.waiting(conn)[::2] == (0, 0)


def test_a_receiver_at_fault_costs_itself(database_url):
    """A receiver that hangs, answers wrongly or is gone would delay others, or lose an event."""
    gone = {"Location": "http://127.0.0.1:9/"}
    with (
        receiving(
            hangs=("hangs", {}),
            drips=("drips", {}),
            gone=(410, {}),
            moved=(302, gone),
            bad=(400, {}),
        ) as server,
        connect(database_url, role="tonne_mrv", autocommit=True) as conn,
        connect(database_url, autocommit=True) as owner,
    ):
        for name in ("good", "hangs", "drips", "gone", "moved", "bad"):
            add(conn, name, f"{server.url}/{name}", ["alarm"])
        for _ in range(3):
            alarm(conn)
        began = time.monotonic()
        mine = sender(database_url, waits_s=(30,), deadline_s=5.0)
        done = mine.once()
        assert time.monotonic() - began < 25  # and not as long as one hangs
        assert (done.taken, states(conn, "good")) == (3, {"delivered": 3})
        # who does not answer is asked once; who refuses an event, of each; who is gone, no more
        assert [len(told(server, n)) for n in ("hangs", "drips", "gone", "moved", "bad")] == [
            1, 1, 1, 3, 3,
        ]  # fmt: skip
        assert states(conn, "gone") == {"dead": 3}
        assert store.by_id(conn, "gone").reason == "the receiver answered 410 (gone)"
        said = {
            name: store.deliveries(conn, name, "waiting", None, 9)
            for name in ("hangs", "drips", "moved", "bad")
        }
        assert "no answer within 5 s" in {one.error for one in said["hangs"]}
        assert "no answer within 5 s" in {one.error for one in said["drips"]}
        assert all("redirects are not followed" in one.error for one in said["moved"])
        assert {one.status for one in said["bad"]} == {400}
        with pytest.raises(InputError, match="was removed"):
            store.replay(conn, "gone", dead=True)
        # after the last attempt it is a dead letter, and a person sends it again
        due_now(owner)
        mine.once()
        assert states(conn, "bad") == {"dead": 3}
        told_of = doctor(conn)
        assert (told_of.state, "not delivered after all attempts" in told_of.found) == (
            "wrong",
            True,
        )
        server.answers["/bad"] = (200, {})
        assert store.replay(conn, "bad", dead=True) == 3
        assert mine.once().taken == 3
        assert states(conn, "bad") == {"delivered": 3}
        # a name that points inside is refused when it is sent to, too
        store.add(conn, "inside", server.url, ["alarm"], None, new_secret(), "test")
        alarm(conn)
        Sender(database_url, Metrics(), LOG).once()
        (one,) = store.deliveries(conn, "inside", None, None, 9)
        assert "not a public address" in one.error
        assert not told(server, "")


INSIDE = [
    "https://127.0.0.1/", "https://10.1.2.3/", "https://192.168.0.1:8443/x", "https://[::1]/",
    "https://169.254.169.254/latest/meta-data", "https://100.64.0.1/", "https://0.0.0.0/",
    "https://[::ffff:127.0.0.1]/", "https://[fe80::1]/", "https://[fd00::1]/",
    "https://224.0.0.1/", "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/", "https://[::127.0.0.1]/",
    "https://[fec0::1]/", "https://[5f00::1]/", "https://[3fff::1]/", "https://192.0.0.8/",
    "https://localhost/", "https://2130706433/", "https://0x7f.1/", "http://8.8.8.8/",
]  # fmt: skip
MALFORMED = [
    "ftp://8.8.8.8/", "file:///etc/passwd", "https://", "8.8.8.8", "https://a:b@8.8.8.8/",
    "https://8.8.8.8/#x", "https://8.8.8.8:99999/", "https://8.8.8.8/a b",
    "https://8.8.8.8/\r\nX: y",
    "https://8.8.8.8/" + "a" * 2000, "https://" + "x" * 64 + ".vn/", "https://[::1/",
]  # fmt: skip


@pytest.mark.parametrize("url", INSIDE)
def test_no_address_inside_is_reached(url):
    """A webhook cannot reach internal addresses."""
    with pytest.raises(InputError, match=r"TONNE_WEBHOOK_NETWORKS|enter https"):
        addresses.addresses_of(addresses.target_of(url), ())
    found = post(addresses.target_of(url), b"{}", {}, (), 1.0)
    assert found.refused
    assert not found.taken


@pytest.mark.parametrize("url", MALFORMED)
def test_a_malformed_url_is_refused(url):
    """A header could be smuggled in, or a login would appear in the list for all to read."""
    with pytest.raises(InputError, match="webhook url"):
        addresses.target_of(url)


def test_public_addresses_are_let_through():
    """No other system would get an event."""
    for url in ("https://8.8.8.8/", "https://[2606:4700::1111]:8443/a?b=c"):
        target = addresses.target_of(url)
        assert addresses.addresses_of(target, ())
    assert target.authority == "[2606:4700::1111]:8443"


def test_secrets_and_events_are_nobody_elses(database_url):
    """
    A login that reads secrets could sign events; one that writes
    events could deceive a registry.
    """
    with connect(database_url, role="tonne_mrv", autocommit=True) as conn:
        add(conn, "one", "https://8.8.8.8/")
        alarm(conn)
        for words in (
            "SELECT secret FROM webhook_secret",
            "DELETE FROM webhook_event",
            "UPDATE webhook_event SET data = '{}'",
            "DELETE FROM webhook_delivery",
            "SELECT tonne_webhook_event('tonne.alarm.raised', '', '{}', now(), '{}')",
            "INSERT INTO webhook_event (type) VALUES ('x')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(words)
    for role in ("tonne_api", "tonne_watch", "tonne_grafana", "tonne_ingest", "tonne_archive"):
        with (
            connect(database_url, role=role, autocommit=True) as conn,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            conn.execute("SELECT secret FROM webhook_secret")
    with connect(database_url, role="tonne_events", autocommit=True) as conn:
        assert conn.execute("SELECT count(*) FROM webhook_secret").fetchone() == (1,)
        for words in (
            "SELECT 1 FROM statement",
            "SELECT 1 FROM api_key",
            "INSERT INTO webhook_secret VALUES ('one', 2, 'x')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(words)


def test_by_command(database_url, tmp_path):
    """An administrator could neither see what is stuck nor send it again."""
    env = {"TONNE_DATABASE_URL": database_url, "TONNE_WEBHOOK_NETWORKS": "127.0.0.1"}

    def run(*words, **more):
        return tonne("webhooks", *words, env=env | more)

    with receiving(one=(500, {})) as server:
        refused = run("add", "one", "--url", server.url, TONNE_WEBHOOK_NETWORKS="")
        assert refused.exit_code == Exit.INPUT
        assert "not a public address" in refused.output
        made = run("add", "one", "--url", f"{server.url}/one", "--topic", "alarm", "--json")
        assert made.exit_code == Exit.DONE, made.output
        secret = json.loads(made.stdout)["secret"]
        assert run("add", "one", "--url", server.url).exit_code == Exit.INPUT
        with connect(database_url, role="tonne_mrv", autocommit=True) as conn:
            alarm(conn)
        assert json.loads(run("send", "--once", "--json").stdout)["failed"] == 1
        (shown,) = json.loads(run("show", "one", "--json").stdout)
        assert (shown["state"], shown["attempts"], shown["status"]) == ("waiting", 1, 500)
        server.answers.clear()
        assert run("replay", "one").exit_code == Exit.INPUT
        assert run("replay", "one", "--event", shown["event"]).exit_code == Exit.DONE
        assert json.loads(run("send", "--once", "--json").stdout)["taken"] == 1
        _, headers, body = server.came[-1]
        Webhook(secret).verify(body, headers)
        assert "secret" not in run("list", "--json").stdout
        assert run("rotate", "one").exit_code == Exit.DONE
        assert run("remove", "one").exit_code == Exit.DONE
        assert run("rotate", "one").exit_code == Exit.INPUT
        assert run("show", "none").exit_code == Exit.INPUT
        (listed,) = json.loads(run("list", "--json").stdout)
        assert (listed["reason"], listed["waiting"]) == ("removed", 0)
