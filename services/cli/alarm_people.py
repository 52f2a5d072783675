"""
Commands `tonne alarms contacts`, `duty` and `silence`: recipients of alarms and times
without messages.
"""

from __future__ import annotations

import getpass
from datetime import UTC, datetime, timedelta

import click
from psycopg import Connection

from ingest.errors import InputError
from services.cli.options.common import Choice, Group, json_option
from services.cli.options.servers import database_url
from services.cli.options.time_span import METAVAR, moment_us
from services.cli.output import print_json, print_result, table, time_text
from services.settings import Settings
from services.store.api import alarm_contacts as store
from services.store.api import webhooks
from services.store.postgres.pool import connect
from services.webhooks import people, post

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
    "--project", "projects", multiple=True, metavar="ID", help="Only alarms of this project."
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
    people.check(address)
    settings = Settings()
    lacking = "smtp_url" if address.startswith(people.MAIL) else "apprise_config"
    with _database() as conn:
        store.add(
            conn, id_, address, post.new_secret(), author or getpass.getuser(),
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
def list_(*, as_json: bool) -> None:
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
    head = ("contact", "to", "language", "severities", "duty", "waiting", "dead", "last taken")
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
    message = people.Message("[tonne] test", "tonne alarms contacts test")
    stamp = f"test-{int(datetime.now(UTC).timestamp())}"
    settings = Settings()
    ways = people.Ways(settings.smtp_url, settings.smtp_from, settings.apprise_config)
    outcome = people.send(ways, recipient.address, message, stamp)
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
    "--every-weeks", type=click.IntRange(1, 52), help="Repeat the duty after this number of weeks."
)
@click.option(
    "--times", type=click.IntRange(1, 200), default=1, help="Total number of repetitions."
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
@click.option("--end", "number", type=click.IntRange(1), help="Number of the silence to end now.")
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
