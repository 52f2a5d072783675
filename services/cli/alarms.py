"""`tonne alarms`: alarms of devices, gateways and projects, and their acknowledgement."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from typing import Any

import click
from psycopg import Connection

from ingest.errors import RegistryError
from services.cli import alarm_people as people
from services.cli.options.common import Choice, Group, json_option
from services.cli.options.servers import database_url
from services.cli.output import print_json, print_result, table, time_text
from services.registry.limits import kinds
from services.store.postgres.pool import connect
from services.store.views import alarms as stored

_NOW = {
    "refused": "its messages are rejected; see tonne devices show",
    "credential": "it has no valid credential",
}
_STATES = ("now", *stored.STATES, "all")
_author = click.option("--author", help="Name of the person acting; default: the system's user.")
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
@click.option("--severity", type=Choice(stored.SEVERITIES), help="Only alarms of this severity.")
@click.option("--kind", type=Choice(tuple(kinds())), help="Only alarms of this kind.")
@click.option(
    "--of", "subject", metavar="ID", help="Only alarms of this device, gateway or project."
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


for _command in (people.contacts, people.duty, people.silence, people.silences):
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


def _database() -> Connection:
    return connect(database_url(), role="tonne_mrv", name="tonne alarms", autocommit=True)
