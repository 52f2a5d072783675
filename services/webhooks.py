"""
Delivery of events from the outbox, and of alarm messages to people.

One process per database sends; others wait.  A receiver that does not answer, or answers 429 or
5xx, is paused; a rejected event is retried individually.  After the last attempt an event is dead
and can be replayed; 410 ends the webhook.  A round lasts at most the slowest receiver's deadline.

E-mail is sent through the operator's server (TONNE_SMTP_URL).  For other services a contact names
a tag of the operator's Apprise configuration (TONNE_APPRISE_CONFIG, BSD), so that tokens are not
in the database.
"""

from __future__ import annotations

import json
import random
import re
import smtplib
import ssl
import time
import tomllib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import formatdate
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import psycopg
from prometheus_client import Counter
from psycopg import Connection
from structlog.typing import FilteringBoundLogger

from ingest.errors import InputError, TonneError
from mrv.report.words import names
from services import webhook_post as addresses
from services import webhook_post as signature
from services.metrics import Metrics
from services.scraping import Background
from services.store import alarm_contacts
from services.store import webhooks as store
from services.store.postgres.pool import connect
from services.store.registry.programme import public_url
from services.webhook_post import DEADLINE_S, Network, Outcome, post

ROLE = "tonne_events"
EVERY_S = 2.0
# pauses after each failure, as recommended by Standard Webhooks: 10 attempts in three days [s]
WAITS_S = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
CONTENT_TYPE = "application/cloudevents+json"
_LOCK = 2291
_BATCH = 20
_AT_ONCE = 8
_PAUSE_S = 60.0
_GONE, _TOO_MANY, _BROKEN = 410, 429, 500
_PATIENCE = b"SET statement_timeout = '20s'"


@dataclass(frozen=True, slots=True)
class Sent:
    """Result of a round: deliveries accepted, attempts failed, deliveries ended."""

    taken: int = 0
    failed: int = 0
    dead: int = 0

    def __add__(self, other: Sent) -> Sent:
        return Sent(self.taken + other.taken, self.failed + other.failed, self.dead + other.dead)


class Sender(Background):
    """
    Sender thread that runs until it is stopped.

    `url`: database; the login must be granted `tonne_events`.
    `allowed` (sequence of networks): permitted besides public addresses.
    `waits_s`: pauses after failures; an event has one attempt more. [s]
    `deadline_s`: maximum time of one attempt. [s]
    `message_servers`: servers for messages to people.
    """

    def __init__(
        self,
        url: str,
        metrics: Metrics,
        log: FilteringBoundLogger,
        allowed: Sequence[Network] = (),
        *,
        waits_s: Sequence[float] = WAITS_S,
        deadline_s: float = DEADLINE_S,
        message_servers: MessageServers | None = None,
    ) -> None:
        self._message_servers = message_servers or MessageServers()
        self._url, self._log, self._allowed = url, log, allowed
        self._waits_s, self._deadline_s = waits_s, deadline_s
        super().__init__({"webhooks": self._run})
        self._counter = Counter(
            "tonne_webhook_deliveries",
            "Attempts to deliver events, by result",
            ["result"],
            registry=metrics.registry,
        )
        for result in ("taken", "failed", "dead"):
            self._counter.labels(result)

    def once(self) -> Sent:
        """
        Send due events and return the result.

        Raises ServerError if the database cannot be reached, or the login has no right to send.
        """
        with self._connected() as conn:
            if not _first(conn):
                return Sent()
            return self._round(conn)

    def _connected(self) -> Connection:
        return connect(self._url, role=ROLE, name="tonne webhooks", autocommit=True)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._connected() as conn:
                    conn.execute(_PATIENCE)
                    while not self._stopping.is_set() and not _first(conn):
                        self._stopping.wait(10 * EVERY_S)
                    while not self._stopping.is_set():
                        done = self._round(conn)
                        if done == Sent():
                            self._stopping.wait(EVERY_S)
            except (TonneError, psycopg.Error) as error:
                self._log.warning("events not sent", error=" ".join(str(error).split()))
                self._stopping.wait(10 * EVERY_S)

    def _round(self, conn: Connection) -> Sent:
        """Send the due events of all webhooks, several at once; return the result."""
        opens = store.with_due_events(conn)
        done = Sent()
        if opens:
            source = public_url(conn) or "urn:tonne"
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                for sent in pool.map(lambda hook: self._of(conn, hook, source), opens):
                    done += sent
        return done

    def _of(self, conn: Connection, hook: store.Open, source: str) -> Sent:
        """Send the due events of a webhook until it fails to answer; return the result."""
        if hook.url.startswith((MAIL, APPRISE)):
            return self._to_people(conn, hook, source)
        done = Sent()
        try:
            target = addresses.target_of(hook.url)
        except InputError as error:  # an address that was stored without a check
            store.end(conn, hook.id, str(error))
            return done
        for event in store.due(conn, hook.id, _BATCH):
            if self._stopping.is_set():
                break
            body = cloud_event(event, hook.projects, source)
            id_, at_s = str(event.event), int(time.time())
            headers = {
                "Content-Type": CONTENT_TYPE,
                "User-Agent": "tonne",
                **signature.headers(hook.secrets, id_, at_s, body),
            }
            outcome = post(target, body, headers, self._allowed, self._deadline_s)
            if outcome.taken and outcome.status is not None:
                store.record_delivery(conn, hook.id, event.sequence, outcome.status)
                self._counter.labels("taken").inc()
                done += Sent(taken=1)
                continue
            done += self._failed(conn, hook, event, outcome)
            if outcome.status in {None, _GONE, _TOO_MANY} or outcome.status >= _BROKEN:
                break
        return done

    def _to_people(self, conn: Connection, hook: store.Open, source: str) -> Sent:
        """Send a contact's alarms as messages; return the result."""
        done = Sent()
        page = source if source.startswith("http") else None
        language = alarm_contacts.language_of(conn, hook.id)
        for event in store.due(conn, hook.id, _BATCH):
            if self._stopping.is_set():
                break
            verdict, until = alarm_contacts.verdict(conn, hook.id, event)
            if verdict == "wait" and until is not None:
                alarm_contacts.postpone(conn, hook.id, event.sequence, until)
                continue
            if verdict == "leave":
                store.record_delivery(conn, hook.id, event.sequence, alarm_contacts.NOT_SENT)
                continue
            step = event.type.rpartition(".")[2]
            message = alarm_message(event.data, step, language, page)
            outcome = send(self._message_servers, hook.url, message, str(event.event))
            if outcome.taken and outcome.status is not None:
                store.record_delivery(conn, hook.id, event.sequence, outcome.status)
                self._counter.labels("taken").inc()
                done += Sent(taken=1)
                continue
            done += self._failed(conn, hook, event, outcome)
            break
        return done

    def _failed(
        self, conn: Connection, hook: store.Open, event: store.Due, outcome: Outcome
    ) -> Sent:
        self._counter.labels("failed").inc()
        self._log.warning(
            "event not delivered",
            webhook=hook.id,
            id=str(event.event),
            attempt=event.attempts + 1,
            error=outcome.error,
        )
        if outcome.status == _GONE:
            store.failed(conn, hook.id, event.sequence, _GONE, outcome.error, None)
            store.end(conn, hook.id, "the receiver answered 410 (gone)")
            self._counter.labels("dead").inc()
            return Sent(failed=1, dead=1)
        again_s = None
        if event.attempts < len(self._waits_s):
            pause_s = self._waits_s[event.attempts] * random.uniform(0.9, 1.1)  # noqa: S311
            again_s = max(pause_s, outcome.wait_s)
        store.failed(conn, hook.id, event.sequence, outcome.status, outcome.error, again_s)
        if outcome.status is None or outcome.status == _TOO_MANY or outcome.status >= _BROKEN:
            pause_s = _PAUSE_S if again_s is None else min(again_s, _PAUSE_S)
            store.postpone_all(conn, hook.id, max(pause_s, outcome.wait_s))
        if again_s is not None:
            return Sent(failed=1)
        self._counter.labels("dead").inc()
        return Sent(failed=1, dead=1)


def may_send(url: str, log: FilteringBoundLogger) -> bool:
    """Return whether a login has `tonne_events`; otherwise log a warning."""
    try:
        with connect(url, name="tonne webhooks", autocommit=True) as conn:
            row = conn.execute(
                "SELECT to_regrole('tonne_events') IS NOT NULL"
                " AND pg_has_role(session_user, 'tonne_events', 'SET')"
            ).fetchone()
    except (TonneError, psycopg.Error):
        return True  # the database is unreachable; the sender tries again
    may = row == (True,)
    if not may:
        log.warning("events not sent", error="the login lacks tonne_events; grant it")
    return may


def cloud_event(event: store.Due, projects: Sequence[str] | None, source: str) -> bytes:
    """
    Return an event as CloudEvents 1.0 in JSON.

    `projects`: visible projects of the receiver: only these are named in an alarm of several.
    `source`: URL of the API, or `urn:tonne`.
    """
    seen = [project for project in event.projects if projects is None or project in projects]
    data = event.data if "project" in event.data else {**event.data, "projects": seen}
    answer = {
        "specversion": "1.0",
        "id": str(event.event),
        "source": source,
        "type": event.type,
        "subject": event.subject,
        "time": _utc(event.at),
        "datacontenttype": "application/json",
        "data": data,
    }
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()


def _utc(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _first(conn: Connection) -> bool:
    """
    Return whether this process got the lock of the only sender, which it keeps while
    connected.
    """
    row = conn.execute("SELECT pg_try_advisory_lock(%s, 0)", [_LOCK]).fetchone()
    return row == (True,)


MAIL, APPRISE = "mailto:", "apprise:"
# HTTP status of success, used for all kinds of deliveries
_ACCEPTED = 200
_TIMEOUT_S = 15.0
_MAILBOX = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,200}")
_TAG = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PORTS = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True, slots=True)
class MessageServers:
    """Servers for messages to people: SMTP with sender, and Apprise's configuration."""

    smtp_url: str | None = None
    smtp_from: str | None = None
    apprise_config: Path | None = None


class Message(NamedTuple):
    """Message: a one-line title, and the text."""

    title: str
    text: str


def check(address: str) -> None:
    """Refuse an invalid contact address. Raises InputError that states the correct form."""
    rest = address.partition(":")[2]
    if address.startswith(MAIL) and _MAILBOX.fullmatch(rest):
        return
    if address.startswith(APPRISE) and _TAG.fullmatch(rest):
        return
    raise InputError(
        f"{address[:200]!r} is not an address; write mailto:NAME@EXAMPLE.ORG, or apprise:TAG with "
        "a tag of the file that TONNE_APPRISE_CONFIG names"
    )


def alarm_message(event: Mapping[str, Any], step: str, language: str, page: str | None) -> Message:
    """
    Return the text of an alarm's event.

    `event`: the data of the event.
    `step`: `raised` or `cleared`.
    `page`: address of the API, where it is known.
    """
    words = _words(language)
    kind = words.get(f"alarm.kind.{event['kind']}", event["kind"])
    severity, done = words[f"alarm.severity.{event['severity']}"], words[f"alarm.event.{step}"]
    lines = [
        f"{kind}: {done}",
        f"{words['alarm.subject.' + event['subject_type']]}: {event['subject']}",
        f"{words['alarm.severity']}: {severity}",
    ]
    for name, key in (("alarm.part", "part"), ("sites", "site"), ("since_when", "since")):
        if event.get(key):
            lines.append(f"{words[name]}: {event[key]}")
    if event["devices"] != 1:
        lines.append(f"{words['alarm.devices']}: {event['devices']}")
    if event.get("cost_t_per_day"):
        lines.append(f"{words['alarm.cost_per_day']}: {event['cost_t_per_day']} t CO2e")
    todo = words.get(f"alarm.todo.{event['kind']}")
    if todo and step == "raised":
        lines += ["", f"{words['alarm.to_do']}: {todo}"]
    if page is not None:
        lines += ["", f"{page}/console/{language}/alarms/{event['alarm']}"]
    return Message(f"[tonne] {severity}: {kind}, {event['subject']} ({done})", "\n".join(lines))


@cache
def _words(language: str) -> dict[str, str]:
    folder = resources.files("services") / "api" / "console" / "words"
    file = folder / f"{language}.toml"
    chosen = file if file.is_file() else folder / "en.toml"
    return {**names(language), **tomllib.loads(chosen.read_text("utf-8"))}


def send(message_servers: MessageServers, address: str, lines: Message, event: str) -> Outcome:
    """Send a message and return the result; raises nothing."""
    try:
        if address.startswith(MAIL):
            return _mail(message_servers, address.removeprefix(MAIL), lines, event)
        return _apprise(message_servers, address.removeprefix(APPRISE), lines)
    except smtplib.SMTPRecipientsRefused as error:
        status, text = next(iter(error.recipients.values()))
        return Outcome(status, f"refused: {text!r}"[:500])
    except smtplib.SMTPResponseException as error:
        return Outcome(error.smtp_code, f"{error.smtp_code} {error.smtp_error!r}"[:500])
    except (OSError, smtplib.SMTPException, InputError) as error:
        return Outcome(None, f"{type(error).__name__}: {error}"[:500])


def _mail(message_servers: MessageServers, to: str, lines: Message, event: str) -> Outcome:
    if message_servers.smtp_url is None or message_servers.smtp_from is None:
        raise InputError("no mail server is configured; set TONNE_SMTP_URL and TONNE_SMTP_FROM")
    url = urlsplit(message_servers.smtp_url)
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = message_servers.smtp_from, to, lines.title
    mail["Date"] = formatdate(usegmt=True)
    # the same id in each attempt, so that a repeated message counts as one
    mail["Message-ID"] = f"<{event}@{message_servers.smtp_from.rpartition('@')[2].strip('>')}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(lines.text)
    where = (url.hostname or "", url.port or _PORTS[url.scheme])
    context = ssl.create_default_context()
    if url.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(*where, timeout=_TIMEOUT_S, context=context)
    else:
        server = smtplib.SMTP(*where, timeout=_TIMEOUT_S)
    with server:
        server.ehlo_or_helo_if_needed()
        if url.scheme == "smtp" and server.has_extn("starttls"):
            server.starttls(context=context)
        elif url.scheme == "smtp" and url.username:
            raise InputError(
                f"{where[0]} offers no TLS, and a password is not sent unencrypted; use a "
                "server with TLS"
            )
        if url.username:
            server.login(unquote(url.username), unquote(url.password or ""))
        server.send_message(mail)
    return Outcome(_ACCEPTED)


def _apprise(message_servers: MessageServers, tag: str, lines: Message) -> Outcome:
    if message_servers.apprise_config is None:
        raise InputError("no Apprise configuration is set; set TONNE_APPRISE_CONFIG")
    try:
        import apprise  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        raise InputError("Apprise is not installed; install tonne's extra `notify`") from None
    config = apprise.AppriseConfig()
    if not config.add(str(message_servers.apprise_config)):
        raise InputError(
            f"{message_servers.apprise_config} cannot be read; check TONNE_APPRISE_CONFIG and the "
            "file's permissions"
        )
    sender = apprise.Apprise()
    sender.add(config)
    done = sender.notify(body=lines.text, title=lines.title, tag=tag)
    if done is None:
        raise InputError(
            f"{message_servers.apprise_config} has no address with the tag {tag!r}; add one"
        )
    return (
        Outcome(_ACCEPTED)
        if done
        else Outcome(None, f"Apprise could not send to {tag!r}; check its address")
    )
