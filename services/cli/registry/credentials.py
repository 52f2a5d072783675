"""`tonne registry issue-credentials`, `revoke-credentials`, `credentials`."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime, timedelta

import click

from services.cli.options.admin_tls import identity_folder
from services.cli.options.common import json_option
from services.cli.options.servers import database_url
from services.cli.output.documents import print_json, print_result
from services.cli.output.progress import bar
from services.cli.output.text import table, time_text
from services.cli.pipeline.broker import ours, tell_broker
from services.enrolment import issue as enrolment
from services.enrolment.issue import Result
from services.settings import Settings
from services.store.postgres.pool import connect
from services.store.registry import credentials
from services.store.registry.entries_from_rows import load_registry
from services.store.registry.known import require, zones_of

_NAME = "tonne registry"
_author = click.option("--author", help="Name of the person acting; default: the system's user.")
_apply = click.option(
    "--apply/--no-apply",
    default=True,
    help="Also update the running broker, if this machine has the identity of tonne-admin.",
)


@click.command("issue-credentials")
@click.argument("devices", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All devices that publish for themselves.")
@click.option(
    "--password",
    is_flag=True,
    help="Issue a password, for devices that cannot hold a certificate; TLS is still used.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 7_300),
    default=enrolment.DAYS,
    help="Validity of the certificate.",
)
@click.option("--renew", is_flag=True, help="Issue a new credential although one is in use.")
@_author
@_apply
@json_option
def issue_credentials(
    devices: tuple[str, ...],
    *,
    every: bool,
    password: bool,
    days: int,
    renew: bool,
    author: str | None,
    apply: bool,
    as_json: bool,
) -> None:
    """
    Give devices and gateways a certificate with its key, or a password.

    What a device is handed is in TONNE_HOME/identity/devices/ID, for your eyes
    alone: ca.crt, client.crt and client.key, or ca.crt and password.  Who has a
    credential that lasts keeps it.  A renewed certificate's forerunner stays good
    until `revoke-credentials --older`.

    \b
    Example:
      tonne registry issue-credentials --all
      tonne registry issue-credentials inv-001 inv-002 --days 730
      tonne registry issue-credentials meter-7 --password
    """
    if bool(devices) == every:
        raise click.UsageError("name devices, or --all")
    settings = Settings()
    folder = identity_folder(settings)
    wish = enrolment.Wish("password" if password else "certificate", days, renew)
    with connect(database_url(), name=_NAME, autocommit=True) as conn:
        names = enrolment.principals(load_registry(conn).devices, devices, every=every)
        with bar("credentials", len(names)) as progress:
            done = enrolment.issue(
                conn, folder, names, wish, author or getpass.getuser(), progress.advance
            )
    _show(done, as_json=as_json)
    if apply and any(one.result != "unchanged" for one in done):
        tell_broker(settings)


@click.command("issue-service")
@click.argument("name")
@_apply
@json_option
def issue_service(name: str, *, apply: bool, as_json: bool) -> None:
    """
    Give a service of tonne an identity, such as a second bridge; its name begins with `tonne-`.

    Nothing happens where it has one.

    \b
    Example:
      tonne registry issue-service tonne-bridge-2
    """
    settings = Settings()
    folder = identity_folder(settings)
    folder.ensure_service(ours(name))
    where = folder.service(name)
    print_result({"service": name, "folder": where}, f"{name}: {where}", as_json=as_json)
    if apply:
        tell_broker(settings)


@click.command("revoke-credentials")
@click.argument("devices", nargs=-1, required=True)
@click.option("--reason", required=True, help="Reason, kept on record.")
@click.option("--older", is_flag=True, help="Revoke all except the last one issued.")
@_author
@_apply
@json_option
def revoke_credentials(
    devices: tuple[str, ...],
    *,
    reason: str,
    older: bool,
    author: str | None,
    apply: bool,
    as_json: bool,
) -> None:
    """
    Revoke credentials and close the connections made with them.

    Ends with 3 where the broker in use cannot be updated: until it is, an open
    connection stays open.

    \b
    Example:
      tonne registry revoke-credentials inv-001 --reason "stolen on 12 March"
    """
    settings = Settings()
    with connect(database_url(), name=_NAME, autocommit=True) as conn:
        done = enrolment.revoke(
            conn,
            identity_folder(settings),
            devices,
            author or getpass.getuser(),
            reason,
            older=older,
        )
    _show(done, as_json=as_json)
    if apply:
        tell_broker(settings)


@click.command("credentials")
@click.argument("devices", nargs=-1)
@click.option(
    "--expiring",
    type=click.IntRange(0),
    metavar="DAYS",
    help="Only credentials that expire within this number of days.",
)
@json_option
def credentials_(devices: tuple[str, ...], *, expiring: int | None, as_json: bool) -> None:
    """
    List credentials: issued, expiring, revoked and why.

    \b
    Example:
      tonne registry credentials --expiring 90
    """
    with connect(database_url(), name=_NAME, autocommit=True) as conn:
        require(conn, "device", *devices)
        found = credentials.all_of(conn, devices)
        zones = zones_of(conn, [one.principal for one in found])
    if expiring is not None:
        end = datetime.now(UTC) + timedelta(days=expiring)
        found = [
            c for c in found if c.revoked is None and c.expires is not None and c.expires < end
        ]
    rows = [
        (
            c.principal,
            c.kind,
            time_text(c.issued, zones[c.principal]),
            time_text(c.expires, zones[c.principal]),
            f"{time_text(c.revoked, zones[c.principal])}: {c.reason}" if c.revoked else None,
        )
        for c in found
    ]
    head = ("principal", "kind", "issued", "expires", "revoked")
    print_result(found, table(head, rows, empty="no such credential is on record"), as_json=as_json)


def _show(done: list[Result], *, as_json: bool) -> None:
    if as_json:
        print_json(done)
        return
    rows = [(one.result, one.principal, one.kind, time_text(one.expires)) for one in done]
    click.echo(
        table(("result", "principal", "kind", "expires"), rows, empty="no principal was given")
    )
    counts = [
        f"{sum(1 for o in done if o.result == w)} {w}"
        for w in dict.fromkeys(o.result for o in done)
    ]
    where = {one.folder.parent for one in done if one.folder is not None}
    click.echo(", ".join(counts) + "".join(f"; in {path}" for path in where))
