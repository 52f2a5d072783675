"""
Command `tonne alarms`: alarms and their acknowledgement; `contacts`, `duty`, `silence`:
recipients.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from psycopg import Connection

from ingest.errors import InputError, RegistryError
from services import webhook_post
from services import webhooks as sender
from services.cli import Choice, Group, json_option
from services.cli.output import print_json, print_result, table, time_text
from services.cli.server_options import METAVAR, database_url, moment_us
from services.registry.limits import kinds
from services.settings import Settings
from services.store import alarm_contacts as store
from services.store import webhooks
from services.store.postgres.pool import connect
from services.store.views import alarms as stored

LANGUAGES = ("en", "vi", "ja", "de")
_author = click.option("--author", help="Name of the person acting; default: the system's user.")
_WEEK = timedelta(weeks=1)


@click.group(cls=Group)
def contacts() -> None:
    """
    Manage the people who receive alarms by e-mail or through an Apprise service.

    `tonne watch` sends each message and retries until it is delivered; `tonne webhooks show` lists
    the deliveries. A contact with planned duty gets messages only while on duty, or when no other
    contact can be reached.

    \b
    Example:
      tonne alarms contacts add anna --address mailto:anna@example.org --language de
      tonne alarms contacts add control-room --address apprise:matrix --severity critical
    """


@contacts.command("add")
@click.argument("id_", metavar="ID")
@click.option(
    "--address",
    required=True,
    help="Where messages are sent: mailto:NAME@EXAMPLE.ORG, or apprise:TAG.",
)
@click.option("--language", type=Choice(LANGUAGES), default="en", help="Language of the messages.")
@click.option(
    "--severity",
    "severities",
    type=Choice(store.SEVERITIES),
    multiple=True,
    help="Severity of alarms that the contact receives; repeatable. Default: critical and major.",
)
@click.option(
    "--project",
    "projects",
    multiple=True,
    metavar="ID",
    help="Only alarms of this project; repeatable. Default: all.",
)
@_author
@json_option
def add(
    id_: str,
    *,
    address: str,
    language: str,
    severities: tuple[str, ...],
    projects: tuple[str, ...],
    author: str | None,
    as_json: bool,
) -> None:
    """
    Add a person or channel that receives alarms from now on.

    \b
    Example:
      tonne alarms contacts add anna --address mailto:anna@example.org --language de
    """
    sender.check(address)
    settings = Settings()
    lacking = "smtp_url" if address.startswith(sender.MAIL) else "apprise_config"
    with _database() as conn:
        store.add(
            conn, id_, address, webhook_post.new_secret(), author or getpass.getuser(),
            language=language, severities=severities or ("critical", "major"),
            projects=projects or None,
        )  # fmt: skip
    if getattr(settings, lacking) is None:
        click.echo(f"tonne: set TONNE_{lacking.upper()} where `tonne watch` runs", err=True)
    print_result(
        {"contact": id_, "to": address}, f"{id_}: alarms are sent to {address}", as_json=as_json
    )


@contacts.command("list")
@json_option
def list_contacts(*, as_json: bool) -> None:
    """
    List contacts, their duty times and their undelivered messages.

    \b
    Example:
      tonne alarms contacts list
    """
    with _database() as conn:
        all_contacts = store.contacts(conn)
    if as_json:
        print_json([_as_row(entry) for entry in all_contacts])
        return
    head = ("contact", "to", "language", "severities", "duty", "waiting", "dead", "last delivered")
    duty = {True: "on duty", False: "off duty", None: "always"}
    rows = [
        (entry.id, entry.address, entry.language, ", ".join(entry.severities), duty[entry.on_duty],
         entry.waiting, entry.dead, entry.delivered and time_text(entry.delivered))
        for entry in all_contacts
    ]  # fmt: skip
    click.echo(table(head, rows, empty="no contacts"))


@contacts.command("test")
@click.argument("id_", metavar="ID")
@json_option
def test_(id_: str, *, as_json: bool) -> None:
    """
    Send a contact one test message now, and show the result.

    \b
    Example:
      tonne alarms contacts test anna
    """
    with _database() as conn:
        recipient = next((contact for contact in store.contacts(conn) if contact.id == id_), None)
    if recipient is None:
        raise InputError(f"no contact {id_!r}; see `tonne alarms contacts list`")
    message = sender.Message("[tonne] test", "tonne alarms contacts test")
    stamp = f"test-{int(datetime.now(UTC).timestamp())}"
    settings = Settings()
    message_servers = sender.MessageServers(
        settings.smtp_url, settings.smtp_from, settings.apprise_config
    )
    outcome = sender.send(message_servers, recipient.address, message, stamp)
    if not outcome.taken:
        raise InputError(
            f"{recipient.address} did not accept the message: {outcome.error}; check the address"
        )
    print_result({"contact": id_, "taken": True}, f"{id_}: taken", as_json=as_json)


@contacts.command()
@click.argument("id_", metavar="ID")
@click.option("--reason", default="removed", help="Reason, kept on record.")
@json_option
def remove(id_: str, *, reason: str, as_json: bool) -> None:
    """
    Remove a contact; nothing more is sent to it.

    \b
    Example:
      tonne alarms contacts remove anna --reason "moved to another department"
    """
    with _database() as conn:
        webhooks.by_id(conn, id_)
        webhooks.end(conn, id_, reason)
    print_result({"contact": id_, "ended": True}, f"{id_}: ended", as_json=as_json)


@click.command()
@click.argument("id_", metavar="CONTACT")
@click.option("--from", "begin", required=True, metavar=METAVAR, help="Start of the on-call time.")
@click.option("--to", "end", required=True, metavar=METAVAR, help="End of the on-call time.")
@click.option(
    "--every-weeks",
    type=click.IntRange(1, 52),
    help="Repeat the duty after this number of weeks; default: no repetition.",
)
@click.option(
    "--times",
    type=click.IntRange(1, 200),
    default=1,
    help="Number of duties in total, with --every-weeks.",
)
@_author
@json_option
def duty(
    id_: str,
    *,
    begin: str,
    end: str,
    every_weeks: int | None,
    times: int,
    author: str | None,
    as_json: bool,
) -> None:
    """
    Plan a contact's duty times; outside of them other contacts receive the alarms.

    \b
    Example:
      tonne alarms duty anna --from 2026-12-07T08:00+01:00 --to 2026-12-14T08:00+01:00
      tonne alarms duty ben --from 2026-12-14 --to 2026-12-21 --every-weeks 2 --times 20
    """
    if times > 1 and every_weeks is None:
        raise InputError(
            "--times needs --every-weeks: pass the number of weeks after which the duty repeats"
        )
    with _database() as conn:
        edges = [_moment(conn, name, text) for name, text in (("--from", begin), ("--to", end))]
        step = _WEEK * (every_weeks or 0)
        spans = [(edges[0] + step * k, edges[1] + step * k) for k in range(times)]
        store.put_on_duty(conn, id_, spans, author or getpass.getuser())
        planned = store.duties(conn)
    listing = "\n".join(
        f"{time_text(alarm.begins)} to {time_text(alarm.ends)}  {alarm.contact}"
        for alarm in planned[:10]
    )
    print_result([_as_row(alarm) for alarm in planned], listing, as_json=as_json)


@click.command()
@click.option(
    "--of",
    "subject",
    metavar="ID",
    help="Device, gateway, project or site that is silenced; default: all.",
)
@click.option(
    "--until", required=True, metavar=METAVAR, help="End of the silence; at most 31 days from now."
)
@click.option("--reason", required=True, help="Reason, such as planned works.")
@_author
@json_option
def silence(
    *, subject: str | None, until: str, reason: str, author: str | None, as_json: bool
) -> None:
    """
    Suspend alarm messages to contacts until a given time; alarms are still raised and listed.

    An alarm still active when the silence ends is sent then.

    \b
    Example:
      tonne alarms silence --of depot --until 2026-12-02T18:00 --reason "switchgear is replaced"
    """
    with _database() as conn:
        ends = _moment(conn, "--until", until)
        made = store.silence(conn, subject, ends, reason, author or getpass.getuser())
    text = f"silence {made.id}: {made.subject or 'all alarms'} until {time_text(made.ends)}"
    print_result(_as_row(made), text, as_json=as_json)


@click.command()
@click.option(
    "--end",
    "number",
    type=click.IntRange(1),
    help="Number of the silence to end now; default: none, the silences are listed.",
)
@json_option
def silences(*, number: int | None, as_json: bool) -> None:
    """
    List active silences, or end one.

    \b
    Example:
      tonne alarms silences
      tonne alarms silences --end 3
    """
    with _database() as conn:
        if number is not None:
            store.end_silence(conn, number)
        silences = store.silences(conn)
    if as_json:
        print_json([_as_row(entry) for entry in silences])
        return
    head = ("number", "of", "until", "reason", "by")
    rows = [
        (entry.id, entry.subject or "all", time_text(entry.ends), entry.reason, entry.author)
        for entry in silences
    ]
    click.echo(table(head, rows, empty="no silences"))


def _moment(conn: Connection, name: str, text: str) -> datetime:
    return datetime.fromtimestamp(moment_us(conn, name, text) / 1e6, UTC)


def _as_row(entry: store.Contact | store.Silence | store.Duty) -> dict[str, object]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in entry._asdict().items()
    }


def _database() -> Connection:
    return connect(database_url(), role="tonne_mrv", name="tonne alarms", autocommit=True)


_NOW = {
    "refused": "its messages are rejected; see tonne devices show",
    "credential": "it has no valid credential",
}
_STATES = ("now", *stored.STATES, "all")
_id = click.argument("number", type=click.IntRange(1, 2**53), metavar="NUMBER")


@click.group(cls=Group)
def alarms() -> None:
    """
    List, acknowledge, comment and send alarms of devices, gateways and projects.

    `tonne watch` raises and clears alarms by the rules of their kind and device class.

    \b
    Example:
      tonne alarms list
      tonne alarms show 17
      tonne alarms acknowledge 17 --text "a technician is on the way"
    """


@alarms.command("list")
@click.option(
    "--state", type=Choice(_STATES), default="now", help="Alarms to list; `now`: those not cleared."
)
@click.option(
    "--severity", type=Choice(stored.SEVERITIES), help="Only alarms of this severity; default: all."
)
@click.option("--kind", type=Choice(tuple(kinds())), help="Only alarms of this kind; default: all.")
@click.option(
    "--of",
    "subject",
    metavar="ID",
    help="Only alarms of this device, gateway or project; default: all.",
)
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=200, help="Maximum number of rows."
)
@json_option
def list_(
    *,
    state: str,
    severity: str | None,
    kind: str | None,
    subject: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """
    List alarms: open ones by severity and estimated loss, others by time.

    \b
    Example:
      tonne alarms list --severity critical
      tonne alarms list --state all --of inv-001
    """
    of: dict[str, Any] = {"kind": kind, "severity": severity, "subject": subject}
    count: int | None = None
    with _database() as conn:
        if state == "now":
            listed, count = stored.standing(conn, None, limit, **of)
        else:
            states = None if state == "all" else [state]
            listed = stored.listed(conn, None, limit, states=states, **of)
    if as_json:
        print_json(listed)
        return
    head = ("number", "severity", "kind", "of", "part", "state", "since", "devices", "cost a day")
    rows = [
        (alarm["id"], alarm["severity"], alarm["kind"], alarm["subject"],
         alarm["detail"].get("exceeded") or alarm["part"] or None,
         alarm["state"], time_text(alarm["since"], alarm["timezone"]),
         alarm["devices"], _tonnes(alarm["cost_t_per_day"]))
        for alarm in listed
    ]  # fmt: skip
    click.echo(table(head, rows, empty="no such alarms"))
    if count is not None and count > len(listed):
        click.echo(f"{len(listed):,} of {count:,}; --limit shows more")


@alarms.command()
@_id
@json_option
def show(number: int, *, as_json: bool) -> None:
    """
    Show one alarm: cause, estimated loss, remedy and history.

    \b
    Example:
      tonne alarms show 17
    """
    with _database() as conn:
        alarm = _known(conn, number)
    if as_json:
        print_json(alarm)
        return
    for name, value in _lines(alarm):
        click.echo(f"{name:<13} {value}")


@alarms.command()
@_id
@click.option("--text", default="", show_default=False, help="Comment: the action in progress.")
@_author
@json_option
def acknowledge(number: int, *, text: str, author: str | None, as_json: bool) -> None:
    """
    Acknowledge an alarm; only the first acknowledgement is accepted.

    \b
    Example:
      tonne alarms acknowledge 17 --text "a technician is on the way"
    """
    by = author or getpass.getuser()
    with _database() as conn:
        stored.acknowledge(conn, number, by, text)
        alarm = _known(conn, number)
    print_result(alarm, f"alarm {number} is acknowledged by {by}", as_json=as_json)


@alarms.command()
@_id
@click.option("--text", required=True, help="Comment: a finding, or an action taken.")
@_author
@json_option
def comment(number: int, *, text: str, author: str | None, as_json: bool) -> None:
    """
    Add a comment to an alarm; cleared alarms accept comments too.

    \b
    Example:
      tonne alarms comment 17 --text "the fuse of string 3 was blown"
    """
    with _database() as conn:
        stored.comment(conn, number, author or getpass.getuser(), text)
        alarm = _known(conn, number)
    print_result(alarm, f"alarm {number} has a new comment", as_json=as_json)


for _command in (contacts, duty, silence, silences):
    alarms.add_command(_command)


def _lines(alarm: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "alarm", f"{alarm['id']}, {alarm['severity']}, {alarm['state']}"
    yield "kind", f"{alarm['kind']} {alarm['part']}".rstrip()
    yield alarm["subject_type"], alarm["subject"]
    if alarm["projects"]:
        yield "projects", ", ".join(alarm["projects"])
    if alarm["cause"] != alarm["part"]:
        yield "cause", alarm["cause"]
    if alarm["cause_now"] is not None:
        yield "cause now", _NOW[alarm["cause_now"]]
    yield from alarm["detail"].items()
    yield "since", time_text(alarm["since"], alarm["timezone"])
    if alarm["devices"] != 1:
        yield "devices", alarm["devices"]
    if alarm["cost_t_per_day"] is not None:
        yield "cost", f"{_tonnes(alarm['cost_t_per_day'])} a day"
    yield "what to do", alarm["what_to_do"]
    yield "runbook", alarm["runbook"]
    for event in alarm["history"]:
        note = f": {event['text']}" if event["text"] else ""
        yield (
            time_text(event["at"], alarm["timezone"]),
            f"{event['event']} by {event['actor']}{note}",
        )


def _tonnes(value: Any) -> str | None:
    return None if value is None else f"{value:.6f} t"


def _known(conn: Connection, number: int) -> dict[str, Any]:
    alarm = stored.by_id(conn, None, number)
    if alarm is None:
        raise RegistryError(f"there is no alarm {number}; see tonne alarms list --state all")
    return alarm
