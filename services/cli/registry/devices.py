"""`tonne devices`: who is there, who knocks, and what arrives."""

from __future__ import annotations

import getpass
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from ingest.errors import InputError
from services.cli.data.payload_text import legible
from services.cli.errors import Exit
from services.cli.groups import Group
from services.cli.options.choice import Choice
from services.cli.options.database_url import database_url
from services.cli.registry.devices_watch import watch
from services.registry import parse
from services.registry.entries import Registry
from services.registry.fields import Row
from services.registry.files import Incoming
from services.registry.located import Plain, Table
from services.store.messages.dead_letter_query import get_letter
from services.store.messages.unknown_devices import Knock, claims, knocks, refuse
from services.store.postgres.pool import connect
from services.store.registry.import_ import import_registry
from services.store.views import device_health as health

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

_NAME = "tonne devices"
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_author = click.option("--author", help="Who does it; the system's user by default.")


@click.group(cls=Group)
def devices() -> None:
    """
    See who is heard, let in who knocks, watch what arrives.

    \b
    Example:
      tonne devices list --alarm
      tonne devices knocks
      tonne devices claims
      tonne devices watch inv-001
    """


devices.add_command(watch)


@devices.command("list")
@click.option("--state", type=Choice(["online", "late", "offline"]))
@click.option("--site", metavar="ID")
@click.option("--gateway", metavar="ID", help="It and what is behind it.")
@click.option("--alarm", is_flag=True, help="One a cause: not what is behind a dark gateway.")
@_json
def list_(
    state: str | None, site: str | None, gateway: str | None, *, alarm: bool, as_json: bool
) -> None:
    """
    State, last reading, completeness of today, clock and firmware, by id.

    \b
    Example:
      tonne devices list --state offline --site nam-cau-kien
    """
    with connect(database_url(), name=_NAME) as conn:
        found = health.devices(conn, state=state, site=site, gateway=gateway, alarm=alarm)
    if as_json:
        click.echo(json.dumps([_plain(row) for row in found], indent=2))
        return
    lines = [_line(row) for row in found]
    counts = {w: sum(r["state"] == w for r in found) for w in ("online", "late", "offline")}
    alarms = sum(bool(r["alarm"]) for r in found)
    told = ", ".join(f"{n} {word}" for word, n in counts.items())
    click.echo("\n".join([*lines, f"{len(found)} devices: {told}; {alarms} alarms"]))


def _line(row: dict[str, Any]) -> str:
    last, clock, share = row["last_reading"], row["clock_offset_s"], row["completeness_today"]
    cells = (
        f"{row['device']:<24} {row['state']:<8}{'!' if row['alarm'] else ' '}",
        f"{last.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z" if last else f"{'never':<20}",
        f"{share * 100:4.0f} %" if last else f"{'-':>6}",
        f"{clock:+7.1f} s" if clock is not None else f"{'-':>9}",
        f"{row['firmware'] or '-':<20}",
        f"behind {row['gateway']}" if row["gateway"] else "",
    )
    return "  ".join(cells).rstrip()


@devices.command("knocks")
@click.option("--refused", is_flag=True, help="Those that somebody refused.")
@_json
def knocks_(*, refused: bool, as_json: bool) -> None:
    """
    Devices that spoke and are not in the registry, with what the last message held.

    \b
    Example:
      tonne devices knocks
    """
    with connect(database_url(), name=_NAME) as conn:
        found = knocks(conn, refused=refused)
        if as_json:
            click.echo(json.dumps([_plain(asdict(one)) for one in found], indent=2))
            return
        for one in found:
            way = f" by {one.principal}" if one.principal != one.device else ""
            why = f"; refused: {one.refused}" if one.refused else ""
            click.echo(
                f"{one.device:<24}{way} {one.messages} messages, last "
                f"{one.last.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z on {one.topic}{why}"
            )
            for line in _held(conn, one)[:2]:
                click.echo(f"    {line:.160}")
    click.echo(f"{len(found)} {'refused' if refused else 'knock'}")


@devices.command("claims")
@_json
def claims_(*, as_json: bool) -> None:
    """
    Devices of the registry that a principal spoke for which may not: a gateway too many.

    What it sent is stored nowhere; it waits in the dead letters as `not_your_device`.

    \b
    Example:
      tonne devices claims
    """
    with connect(database_url(), name=_NAME) as conn:
        found = claims(conn)
    if as_json:
        click.echo(json.dumps([_plain(asdict(one)) for one in found], indent=2))
        return
    for one in found:
        click.echo(
            f"{one.device:<24} by {one.principal}, though it is {one.speaker}'s: "
            f"{one.messages} messages, last {one.last.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
        )
    if found:
        click.echo("if the newcomer is right, change `gateway` in the registry and import it")
    click.echo(f"{len(found)} claims")


def _held(conn: Connection[TupleRow], one: Knock) -> list[str]:
    letter, payload = get_letter(conn, one.example)
    return legible(payload, letter.content_type, round(letter.received.timestamp() * 1e6))


@devices.command()
@click.argument("device")
@click.option("--site", required=True, metavar="ID")
@click.option("--class", "class_id", required=True, metavar="CLASS")
@click.option("--profile", default="generic", show_default=True)
@click.option("--installed", required=True, metavar="T", help="With its offset.")
@click.option("--rated-power-w", metavar="W")
@click.option("--serial")
@_author
def accept(
    device: str,
    *,
    site: str,
    class_id: str,
    profile: str,
    installed: str,
    rated_power_w: str | None,
    serial: str | None,
    author: str | None,
) -> None:
    """
    Put a device that knocked into the registry, behind the principal that spoke for it.

    What it sent until now waits in the dead letters.

    \b
    Example:
      tonne devices accept inv-9 --site roof --class pv_inverter --installed 2026-03-01T08:00+07:00
      tonne deadletter replay --reason unknown_device
    """
    with connect(database_url(), name=_NAME) as conn:
        knock = _knock(conn, device)
        conn.rollback()
        gateway = knock.principal if knock.principal not in ("", device) else None
        given = {
            "id": device, "site": site, "class": class_id, "profile": profile, "gateway": gateway,
            "installed": installed, "rated_power_w": rated_power_w, "serial": serial,
        }  # fmt: skip
        planned = import_registry(
            conn, _incoming(device, given), author=author or getpass.getuser()
        )
    for row in planned.results:
        click.echo(f"{row.result:<9} {row.kind:<9} {row.id}")
        for message in row.messages:
            click.echo(f"          {message}")
    if planned.refused:
        click.get_current_context().exit(Exit.INPUT)
    click.echo(f"{knock.messages} messages wait: tonne deadletter replay --reason unknown_device")


def _incoming(device: str, given: dict[str, str | None]) -> Incoming:
    cells = {key: Plain(value) for key, value in given.items() if value is not None}
    row = Row(Table(1, dict(cells), dict.fromkeys(cells, 1)), "accept", f"devices[{device}]", 1)
    entry = parse.device(row)
    key = ("device", device)
    if row.problems:
        return Incoming(Registry(), {key: "accept:1"}, {key: row.problems})
    return Incoming(Registry.of([entry]), {key: "accept:1"})


@devices.command("refuse")
@click.argument("device")
@click.option("--reason", required=True, help="Why; kept on record.")
@_author
def refuse_(device: str, *, reason: str, author: str | None) -> None:
    """
    Note that a device that knocked is not wanted: it is listed no more.

    Its messages are refused as before.  Whoever speaks for it keeps its own
    credential; `tonne registry revoke-credentials` takes that.

    \b
    Example:
      tonne devices refuse test-7 --reason "bench unit of the installer"
    """
    with connect(database_url(), name=_NAME) as conn:
        knock = _knock(conn, device)
        refuse(conn, knock.principal, device, author or getpass.getuser(), reason)
    click.echo(f"refused {device}")


def _knock(conn: Connection[TupleRow], device: str) -> Knock:
    found = [k for k in (*knocks(conn), *knocks(conn, refused=True)) if k.device == device]
    if not found:
        raise InputError(f"{device!r} did not knock; see `tonne devices knocks`")
    if len({k.principal for k in found}) > 1:
        names = ", ".join(sorted({k.principal for k in found}))
        raise InputError(
            f"{names} all speak for {device!r}; import it with the gateway that is right, with"
            " `tonne registry import`"
        )
    return found[0]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        if isinstance(value, datetime)
        else value
        for key, value in row.items()
    }
