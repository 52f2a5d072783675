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
from services.cli.output.text import print_json, print_result, table, time_text
from services.registry.alarm_rules import kinds
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
            found, count = stored.standing(conn, None, limit, **of)
        else:
            states = None if state == "all" else [state]
            found = stored.listed(conn, None, limit, states=states, **of)
    if as_json:
        print_json(found)
        return
    head = ("number", "severity", "kind", "of", "part", "state", "since", "devices", "cost a day")
    rows = [
        (one["id"], one["severity"], one["kind"], one["subject"],
         one["detail"].get("exceeded") or one["part"] or None,
         one["state"], time_text(one["since"], one["timezone"]),
         one["devices"], _tonnes(one["cost_t_per_day"]))
        for one in found
    ]  # fmt: skip
    click.echo(table(head, rows, empty="no such alarms"))
    if count is not None and count > len(found):
        click.echo(f"{len(found):,} of {count:,}; --limit shows more")


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
        found = _known(conn, number)
    if as_json:
        print_json(found)
        return
    for name, value in _lines(found):
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
        found = _known(conn, number)
    print_result(found, f"alarm {number} is acknowledged by {by}", as_json=as_json)


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
        found = _known(conn, number)
    print_result(found, f"alarm {number} has a new comment", as_json=as_json)


for _command in (people.contacts, people.duty, people.silence, people.silences):
    alarms.add_command(_command)


def _lines(found: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "alarm", f"{found['id']}, {found['severity']}, {found['state']}"
    yield "kind", f"{found['kind']} {found['part']}".rstrip()
    yield found["subject_type"], found["subject"]
    if found["projects"]:
        yield "projects", ", ".join(found["projects"])
    if found["cause"] != found["part"]:
        yield "cause", found["cause"]
    if found["cause_now"] is not None:
        yield "cause now", _NOW[found["cause_now"]]
    yield from found["detail"].items()
    yield "since", time_text(found["since"], found["timezone"])
    if found["devices"] != 1:
        yield "devices", found["devices"]
    if found["cost_t_per_day"] is not None:
        yield "cost", f"{_tonnes(found['cost_t_per_day'])} a day"
    yield "what to do", found["what_to_do"]
    yield "runbook", found["runbook"]
    for one in found["history"]:
        note = f": {one['text']}" if one["text"] else ""
        yield time_text(one["at"], found["timezone"]), f"{one['event']} by {one['actor']}{note}"


def _tonnes(value: Any) -> str | None:
    return None if value is None else f"{value:.6f} t"


def _known(conn: Connection, number: int) -> dict[str, Any]:
    found = stored.by_id(conn, None, number)
    if found is None:
        raise RegistryError(f"there is no alarm {number}; see tonne alarms list --state all")
    return found


def _database() -> Connection:
    return connect(database_url(), role="tonne_mrv", name="tonne alarms", autocommit=True)
