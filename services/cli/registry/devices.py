"""Command `tonne devices`: registered devices and their data, and unknown devices."""

from __future__ import annotations

import getpass
from copy import copy
from typing import Any

import click
from psycopg import Connection

from ingest.errors import InputError, did_you_mean
from mrv.calendar import instant_us, utc_text
from services.cli import Choice, Group, json_option
from services.cli.output import Exit, counted, print_json, print_result, table, time_text
from services.cli.payload_text import legible
from services.cli.registry.devices_show import show, watch
from services.cli.registry.registry import show_plan
from services.cli.server_options import METAVAR, database_url
from services.processing.registry_import import import_registry
from services.registry import parse
from services.registry.entries import Registry
from services.registry.fields import Row
from services.registry.files import Incoming
from services.registry.located import Plain, Table
from services.store.dead_letter_query import (
    UnknownDevice,
    claims,
    get_letter,
    refuse,
    unknown_devices,
)
from services.store.postgres.pool import connect
from services.store.registry import require, zones_of
from services.store.timeseries.queries import site_timezone
from services.store.views import device_page as health

_NAME = "tonne devices"
_STATES = ("online", "late", "offline", "not commissioned")
_WIDE = 160
_author = click.option("--author", help="Name of the person acting; default: the system's user.")


@click.group(cls=Group)
def devices() -> None:
    """
    List devices and their state, register unknown devices, watch incoming data.

    \b
    Example:
      tonne devices list --alarm
      tonne devices show inv-001
      tonne devices unknown
      tonne devices claims
      tonne devices watch inv-001
    """


devices.add_command(show)
devices.add_command(watch)


@devices.command("list")
@click.option("--state", type=Choice(_STATES), help="Only devices in this state; default: all.")
@click.option("--site", metavar="ID", help="Only devices of this site; default: all.")
@click.option("--gateway", metavar="ID", help="Only this gateway and its devices; default: all.")
@click.option(
    "--alarm",
    is_flag=True,
    help="Only devices with an alarm; devices behind an offline gateway are omitted.",
)
@json_option
def list_(
    state: str | None, site: str | None, gateway: str | None, *, alarm: bool, as_json: bool
) -> None:
    """
    List devices by id: state, last reading, completeness today, clock, firmware.

    A device is "not commissioned" until its first reading arrives on time, or until its
    `commissioned` day in the registry; before that missing data raise no alarm.

    \b
    Example:
      tonne devices list --state offline --site harbour-park
      tonne devices list --state "not commissioned"
    """
    with connect(database_url(), name=_NAME) as conn:
        require(conn, "site", site)
        require(conn, "device", gateway)
        listed = health.devices(conn, state=state, site=site, gateway=gateway, alarm=alarm)
        zones = zones_of(conn, [] if as_json else [row["device"] for row in listed])
    if as_json:
        print_json(listed)
        return
    head = (
        "device",
        "state",
        "alarm",
        "last reading",
        "today",
        "clock off by",
        "firmware",
        "gateway",
    )
    rows = [_cells(row, zones[row["device"]]) for row in listed]
    click.echo(table(head, rows, empty="no such device is registered"))
    counts = {w: sum(r["state"] == w for r in listed) for w in _STATES}
    alarms = sum(bool(r["alarm"]) for r in listed)
    summary = ", ".join(f"{n} {word}" for word, n in counts.items())
    click.echo(f"{counted(len(listed), 'device')}: {summary}; {counted(alarms, 'alarm')}")


def _cells(row: dict[str, Any], zone: str) -> tuple[object, ...]:
    last, clock, share = row["last_reading"], row["clock_offset_s"], row["completeness_today"]
    return (
        row["device"],
        row["state"],
        "yes" if row["alarm"] else "no",
        time_text(last, zone) if last else "never",
        f"{share * 100:.0f} %" if last else None,
        f"{clock:+.1f} s" if clock is not None else None,
        row["firmware"],
        row["gateway"],
    )


@devices.command("unknown")
@click.option("--refused", is_flag=True, help="Only devices marked as unwanted (`devices refuse`).")
@json_option
def unknown(*, refused: bool, as_json: bool) -> None:
    """
    List devices that published but are not registered, with their last message.

    \b
    Example:
      tonne devices unknown
    """
    with connect(database_url(), name=_NAME) as conn:
        unknown = unknown_devices(conn, refused=refused)
        letters = [] if as_json else [_letters_of(conn, device_row)[:2] for device_row in unknown]
    if as_json:
        print_json(unknown)
        return
    rows = [
        (k.device, k.principal, k.messages, time_text(k.last), k.topic,
         "; ".join([*([f"refused: {k.refused}"] if k.refused else []), *lines])[:_WIDE])
        for k, lines in zip(unknown, letters, strict=True)
    ]  # fmt: skip
    head = ("device", "publisher", "messages", "last", "topic", "last message")
    none = (
        "no message of a device was rejected"
        if refused
        else "no unregistered device has sent readings"
    )
    click.echo(table(head, rows, empty=none))
    if unknown and not refused:
        click.echo(
            f"to register one: tonne devices accept {unknown[0].device} --site ID "
            "--class CLASS --installed DAY; if the id is misspelt, correct it where the device "
            "or its gateway is configured"
        )


@devices.command("claims")
@json_option
def claims_(*, as_json: bool) -> None:
    """
    List registered devices for which an unauthorised principal published, such as a second gateway.

    Such messages are not stored as readings; they are dead letters with the reason
    `not_your_device`.

    \b
    Example:
      tonne devices claims
    """
    with connect(database_url(), name=_NAME) as conn:
        claimed = claims(conn)
        zones = zones_of(conn, [row.device for row in claimed])
    if as_json:
        print_json(claimed)
        return
    rows = [
        (c.device, c.principal, c.speaker, c.messages, time_text(c.last, zones[c.device]))
        for c in claimed
    ]
    head = ("device", "claimed by", "belongs to", "messages", "last")
    click.echo(table(head, rows, empty="no principal sends for a device of another gateway"))
    if claimed:
        click.echo("if the new sender is correct, change `gateway` in the registry and import it")


def _letters_of(conn: Connection, unknown_device: UnknownDevice) -> list[str]:
    letter, payload = get_letter(conn, unknown_device.example)
    return legible(payload, letter.content_type, round(letter.received.timestamp() * 1e6))


@devices.command()
@click.argument("device")
@click.option("--site", required=True, metavar="ID", help="Site of the device.")
@click.option("--class", "class_id", required=True, metavar="CLASS", help="Class of the device.")
@click.option("--profile", default="generic", help="Profile of its model.")
@click.option(
    "--installed",
    required=True,
    metavar=METAVAR,
    help="Start of measurements: a local day of the site, or RFC 3339 with offset.",
)
@click.option("--rated-power-w", metavar="W", help="Rated power in whole watts; default: unknown.")
@click.option("--serial", help="Serial number given by the manufacturer; default: unknown.")
@_author
@json_option
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
    as_json: bool,
) -> None:
    """
    Register an unknown device under the principal that published for it.

    Messages it sent earlier are in the dead letters and can be resent.

    \b
    Example:
      tonne devices accept inv-9 --site roof --class pv_inverter --installed 2026-03-01
      tonne deadletter replay --reason unknown_device
    """
    with connect(database_url(), name=_NAME) as conn:
        unregistered = _unknown_device(conn, device)
        since = utc_text(instant_us(installed, site_timezone(conn, site)))
        conn.rollback()
        gateway = unregistered.principal if unregistered.principal not in ("", device) else None
        given = {
            "id": device, "site": site, "class": class_id, "profile": profile, "gateway": gateway,
            "installed": since, "rated_power_w": rated_power_w, "serial": serial,
        }  # fmt: skip
        planned = import_registry(
            conn, _incoming(device, given), author=author or getpass.getuser()
        )
    show_plan(planned.results, as_json=as_json)
    if planned.refused:
        click.get_current_context().exit(Exit.INPUT)
    waiting = counted(unregistered.messages, "message")
    if not as_json:
        click.echo(f"{waiting} to send again: tonne deadletter replay --reason unknown_device")


def _incoming(device: str, given: dict[str, str | None]) -> Incoming:
    cells = {key: Plain(value) for key, value in given.items() if value is not None}
    row = Row(Table(1, dict(cells), dict.fromkeys(cells, 1)), "accept", f"devices[{device}]", 1)
    entry = parse.device(row)
    key = ("device", device)
    if row.problems:
        return Incoming(Registry(), {key: "accept:1"}, {key: row.problems})
    return Incoming(Registry.of([entry]), {key: "accept:1"})


# name of this command in 0.1.0
_former = copy(unknown)
_former.hidden = True
devices.add_command(_former, "knocks")


@devices.command("refuse")
@click.argument("device")
@click.option("--reason", required=True, help="Reason, kept on record.")
@_author
@json_option
def refuse_(device: str, *, reason: str, author: str | None, as_json: bool) -> None:
    """
    Mark an unknown device as unwanted; it is no longer listed.

    Its messages are still rejected.  A gateway that sends for it keeps its own credential; `tonne
    registry revoke-credentials` revokes that.

    \b
    Example:
      tonne devices refuse test-7 --reason "bench unit of the installer"
    """
    with connect(database_url(), name=_NAME) as conn:
        unregistered = _unknown_device(conn, device)
        refuse(conn, unregistered.principal, device, author or getpass.getuser(), reason)
    print_result({"refused": device, "reason": reason}, f"refused {device}", as_json=as_json)


def _unknown_device(conn: Connection, device: str) -> UnknownDevice:
    known = (*unknown_devices(conn), *unknown_devices(conn, refused=True))
    of_device = [row for row in known if row.device == device]
    if not of_device:
        near = did_you_mean(device, {row.device for row in known})
        raise InputError(
            f"{device!r} is not among the unknown devices; {near or 'see `tonne devices unknown`'}"
        )
    if len({k.principal for k in of_device}) > 1:
        names = ", ".join(sorted({k.principal for k in of_device}))
        raise InputError(
            f"several gateways published for {device!r}: {names}; import it with the correct "
            "gateway, with `tonne registry import`"
        )
    return of_device[0]
