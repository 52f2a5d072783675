"""Alarms reach people on duty, through a real mail server and a real channel of Apprise."""

import email
import email.policy
import socket
import time
from datetime import UTC, datetime, timedelta

import pytest
import structlog
from aiosmtpd.controller import Controller

from ingest.errors import InputError
from services import webhooks as sender
from services.metrics import Metrics
from services.store import alarm_contacts as store
from services.store import webhooks
from services.store.postgres.pool import connect
from services.webhook_post import new_secret
from services.webhooks import MessageServers, Sender, Sent
from tests.invoked import tonne
from tests.services.test_webhooks import due_now, receiving, states

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)


class Mailbox:
    """A mail server's handler that stores messages, and rejects chosen ones."""

    def __init__(self):
        self.came, self.refuses = [], False

    async def handle_DATA(self, server, session, envelope):  # noqa: D102, N802
        del server, session
        if self.refuses:
            return "451 try again later"
        found = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.came.append((envelope.rcpt_tos, found))
        return "250 OK"


@pytest.fixture
def mail():
    """Run an SMTP server on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    box.message_servers = MessageServers(f"smtp://127.0.0.1:{port}", "alarms@tonne.example")
    yield box
    controller.stop()


@pytest.fixture
def conn(database_url):
    """Return the database as operators write to it."""
    with connect(database_url, autocommit=True) as found:
        found.execute("INSERT INTO programme (name, public_url) VALUES ('X', 'https://t.example')")
        yield found


def _contact(conn, name, to=None, **more):
    given = {"language": "en", "severities": ["critical"], "projects": None, **more}
    store.add(conn, name, to or f"mailto:{name}@example.org", new_secret(), "test", **given)


def _alarm(conn, event="raised", severity="critical", subject=None, number=None):
    if number is None:
        (number,) = conn.execute(
            "INSERT INTO alarm (kind, subject_type, subject, site, projects, severity, since,"
            " cause, devices, cost_t_per_day, clear_s) VALUES ('gateway_silent', 'gateway', %s,"
            " 'depot', ARRAY['pv'], %s, now(), 'silence', 4, 0.5, 60) RETURNING id",
            [subject or f"gw-{time.monotonic_ns()}", severity],
        ).fetchone()
    if event == "cleared":
        conn.execute("UPDATE alarm SET cleared = now() WHERE id = %s", [number])
    conn.execute(
        "INSERT INTO alarm_event (alarm_id, event, actor) VALUES (%s, %s, 'x')", [number, event]
    )
    return number


def _send(url, message_servers):
    due = Sender(url, Metrics(), structlog.get_logger("test"), message_servers=message_servers)
    return due.once()


def test_an_alarm_is_mailed_in_its_readers_language_and_its_end_after_it(conn, database_url, mail):
    """An operator would learn of a dark gateway on Monday, from the month's figures."""
    _contact(conn, "anna", language="de")
    number = _alarm(conn, subject="gw-1")
    _alarm(conn, severity="minor")  # not hers
    assert _send(database_url, mail.message_servers).taken == 1
    ((to, said),) = mail.came
    assert to == ["anna@example.org"]
    assert "gw-1" in said["Subject"]
    assert said["Subject"].startswith("[tonne] kritisch")
    text = said.get_content()
    assert "Prüfen" in text or "Gateway" in text
    assert f"https://t.example/console/de/alarms/{number}" in text
    assert said["Auto-Submitted"] == "auto-generated"
    _alarm(conn, "acknowledged", number=number)
    _alarm(conn, "cleared", number=number)
    assert _send(database_url, mail.message_servers).taken == 1
    assert len(mail.came) == 2
    assert mail.came[1][1]["Message-ID"] != said["Message-ID"]


def test_a_mail_server_that_is_away_loses_no_alarm(conn, database_url, mail):
    """A night's alarm would be lost with a mail server that was restarted."""
    _contact(conn, "anna")
    _alarm(conn)
    mail.refuses = True
    assert _send(database_url, mail.message_servers) == Sent(failed=1)
    assert (
        _send(database_url, MessageServers("smtp://127.0.0.1:1", "a@b.example")) == Sent()
    )  # held back
    due_now(conn)
    assert _send(database_url, MessageServers("smtp://127.0.0.1:1", "a@b.example")).failed == 1
    mail.refuses = False
    due_now(conn)
    assert _send(database_url, mail.message_servers).taken == 1
    (row,) = webhooks.deliveries(conn, "anna", "delivered", None, 10)
    assert (row.attempts, row.error) == (3, None)


def test_whoever_is_on_duty_is_reached_and_everyone_where_no_one_is(conn, database_url, mail):
    """All would be woken for each alarm, or, in a week that no one planned, no one at all."""
    _contact(conn, "anna")
    _contact(conn, "ben")
    store.put_on_duty(conn, "anna", [(NOW - HOUR, NOW + HOUR)], "test")
    store.put_on_duty(conn, "ben", [(NOW + HOUR, NOW + 2 * HOUR)], "test")
    number = _alarm(conn)
    _send(database_url, mail.message_servers)
    assert [to for to, _ in mail.came] == [["anna@example.org"]]
    _alarm(conn, "cleared", number=number)
    _send(database_url, mail.message_servers)
    assert [to for to, _ in mail.came] == [["anna@example.org"]] * 2
    conn.execute("UPDATE alarm_duty SET ends = begins + interval '1 second'")
    _alarm(conn)
    _send(database_url, mail.message_servers)
    assert sorted(to for to, _ in mail.came[2:]) == [["anna@example.org"], ["ben@example.org"]]


def test_a_silence_holds_back_and_lets_go_what_still_stands(conn, database_url, mail):
    """
    Planned works would wake people, or a fault that outlasts them would
    be reported to no one.
    """
    _contact(conn, "anna")
    made = store.silence(conn, "depot", NOW + HOUR, "switchgear is replaced", "test")
    stays, ends = _alarm(conn), _alarm(conn)
    assert _send(database_url, mail.message_servers) == Sent()
    assert mail.came == []
    _alarm(conn, "cleared", number=ends)
    store.end_silence(conn, made.id)
    due_now(conn)
    assert _send(database_url, mail.message_servers).taken == 1
    ((_, said),) = mail.came
    assert f"/alarms/{stays}" in said.get_content()
    assert [one[0] for one in states(conn, "anna")].count("waiting") == 0
    with pytest.raises(InputError, match="within 31 days"):
        store.silence(conn, None, NOW + timedelta(days=40), "holidays", "test")


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # Apprise's, of Python 3.11
def test_a_channel_of_apprise_is_reached_by_its_tag(conn, database_url, tmp_path):
    """A control room with Matrix or Teams would need a bridge of its own."""
    pytest.importorskip("apprise")
    with receiving() as room:
        config = tmp_path / "apprise.conf"
        where = room.url.removeprefix("http://")
        config.write_text(f"control=json://{where}/room\nother=json://{where}/other\n")
        _contact(conn, "room", "apprise:control")
        _alarm(conn, subject="gw-9")
        assert _send(database_url, MessageServers(apprise_config=config)).taken == 1
        ((path, _, body),) = room.came
        assert path.rstrip("/") == "/room"
        assert b"gw-9" in body
        _contact(conn, "lost", "apprise:unknown")
        _alarm(conn)
        done = _send(database_url, MessageServers(apprise_config=config))
        assert (done.taken, done.failed) == (1, 1)


@pytest.mark.parametrize(
    "address",
    ["anna@example.org", "mailto:", "mailto:a b@example.org", "mailto:a@x\nBcc: b@example.org",
     "apprise:", "apprise:json://x", "https://example.org", "mailto:a@b,c@d.example"],
)  # fmt: skip
def test_what_reaches_no_one_is_refused(address):
    """A slip in the address would be seen in the night of the first alarm."""
    with pytest.raises(InputError, match="is not an address"):
        sender.check(address)


def test_by_command(database_url, conn, mail, monkeypatch):
    """An operator could not plan a duty, or would not see what is held back."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    monkeypatch.setenv("TONNE_SMTP_URL", mail.message_servers.smtp_url)
    monkeypatch.setenv("TONNE_SMTP_FROM", mail.message_servers.smtp_from)
    said = tonne("alarms", "contacts", "add", "anna", "--address", "mailto:anna@example.org")
    assert "alarms are sent to mailto:anna@example.org" in said.stdout
    assert tonne("alarms", "contacts", "test", "anna").stdout.strip() == "anna: taken"
    assert len(mail.came) == 1
    begin = f"{NOW - HOUR:%Y-%m-%dT%H:%MZ}"
    tonne("alarms", "duty", "anna", "--from", begin, "--to", f"{NOW + HOUR:%Y-%m-%dT%H:%MZ}",
          "--every-weeks", "2", "--times", "3")  # fmt: skip
    assert len(store.duties(conn)) == 3
    assert "on duty" in tonne("alarms", "contacts", "list").stdout
    until = f"{NOW + HOUR:%Y-%m-%dT%H:%MZ}"
    tonne("alarms", "silence", "--of", "depot", "--until", until, "--reason", "works")
    assert "depot" in tonne("alarms", "silences").stdout
    tonne("alarms", "silences", "--end", "1")
    assert "no silences" in tonne("alarms", "silences").stdout
    tonne("alarms", "contacts", "remove", "anna")
    assert store.contacts(conn) == []
