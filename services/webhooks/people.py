"""
Alarm messages to people: by e-mail, or by Apprise to Matrix, Teams and other services.

E-mail is sent through the operator's server (TONNE_SMTP_URL).  For other services a contact names a
tag of the operator's Apprise configuration (TONNE_APPRISE_CONFIG, BSD), so that tokens are not in
the database.
"""

from __future__ import annotations

import re
import smtplib
import ssl
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from ingest.errors import InputError
from mrv.report.words import names
from services.webhooks.post import Outcome

MAIL, APPRISE = "mailto:", "apprise:"
# as HTTP says it: one scale for all deliveries
_TAKEN = 200
_TIMEOUT_S = 15.0
_MAILBOX = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,200}")
_TAG = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PORTS = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True, slots=True)
class Ways:
    """Servers for messages to people: SMTP with sender, and Apprise's configuration."""

    smtp_url: str | None = None
    smtp_from: str | None = None
    apprise_config: Path | None = None


class Message(NamedTuple):
    """Message: a one-line title, and the text."""

    title: str
    text: str


def check(address: str) -> None:
    """
    Refuse an invalid contact address.

    Raises
    ------
    InputError
        States the correct form.
    """
    rest = address.partition(":")[2]
    if address.startswith(MAIL) and _MAILBOX.fullmatch(rest):
        return
    if address.startswith(APPRISE) and _TAG.fullmatch(rest):
        return
    raise InputError(
        f"{address[:200]!r} is not an address; write mailto:NAME@EXAMPLE.ORG, or apprise:TAG with "
        "a tag of the file that TONNE_APPRISE_CONFIG names"
    )


def message(event: Mapping[str, Any], step: str, language: str, page: str | None) -> Message:
    """
    Return the text of an alarm's event.

    Parameters
    ----------
    event : mapping
        The data of the event.
    step : str
        `raised` or `cleared`.
    page : str, optional
        Address of the API, where it is known.
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
    """Return the texts of the console's pages."""
    folder = resources.files("services") / "api" / "console" / "words"
    file = folder / f"{language}.toml"
    chosen = file if file.is_file() else folder / "en.toml"
    return {**names(language), **tomllib.loads(chosen.read_text("utf-8"))}


def send(ways: Ways, address: str, lines: Message, event: str) -> Outcome:
    """Send a message and return the result; raises nothing."""
    try:
        if address.startswith(MAIL):
            return _mail(ways, address.removeprefix(MAIL), lines, event)
        return _apprise(ways, address.removeprefix(APPRISE), lines)
    except smtplib.SMTPRecipientsRefused as error:
        status, text = next(iter(error.recipients.values()))
        return Outcome(status, f"refused: {text!r}"[:500])
    except smtplib.SMTPResponseException as error:
        return Outcome(error.smtp_code, f"{error.smtp_code} {error.smtp_error!r}"[:500])
    except (OSError, smtplib.SMTPException, InputError) as error:
        return Outcome(None, f"{type(error).__name__}: {error}"[:500])


def _mail(ways: Ways, to: str, lines: Message, event: str) -> Outcome:
    if ways.smtp_url is None or ways.smtp_from is None:
        raise InputError("no mail server is configured; set TONNE_SMTP_URL and TONNE_SMTP_FROM")
    url = urlsplit(ways.smtp_url)
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = ways.smtp_from, to, lines.title
    mail["Date"] = formatdate(usegmt=True)
    # the same each time, so that a message that was sent twice is one
    mail["Message-ID"] = f"<{event}@{ways.smtp_from.rpartition('@')[2].strip('>')}>"
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
    return Outcome(_TAKEN)


def _apprise(ways: Ways, tag: str, lines: Message) -> Outcome:
    if ways.apprise_config is None:
        raise InputError("no Apprise configuration is set; set TONNE_APPRISE_CONFIG")
    try:
        import apprise  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        raise InputError("Apprise is not installed; install tonne's extra `notify`") from None
    config = apprise.AppriseConfig()
    if not config.add(str(ways.apprise_config)):
        raise InputError(
            f"{ways.apprise_config} cannot be read; check TONNE_APPRISE_CONFIG and the "
            "file's permissions"
        )
    sender = apprise.Apprise()
    sender.add(config)
    done = sender.notify(body=lines.text, title=lines.title, tag=tag)
    if done is None:
        raise InputError(f"{ways.apprise_config} has no address with the tag {tag!r}; add one")
    return Outcome(_TAKEN) if done else Outcome(None, f"Apprise could not reach {tag!r}")
