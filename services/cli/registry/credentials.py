"""
Commands for device credentials: `tonne registry issue-credentials`, `revoke-credentials`,
`enrol-token`; `tonne est`.
"""

from __future__ import annotations

import getpass
import signal
import threading
from datetime import UTC, datetime, timedelta

import click
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from structlog.typing import FilteringBoundLogger

from ingest.errors import TonneError
from services import enrolment
from services import est as self_enrolment
from services.cli import json_option
from services.cli.broker import carry_to_broker, ours, update_broker
from services.cli.output import bar, print_json, print_result, print_secret, table, time_text
from services.cli.server_options import database_url, identity_folder
from services.enrolment import Result
from services.environment import split_bind
from services.logs import get_logger
from services.settings import Settings
from services.store.postgres.pool import connect
from services.store.registry import require, signing_keys, zones_of
from services.store.registry.entries_from_rows import load_registry

BIND = "127.0.0.1:8444"
_NAME = "tonne registry"


@click.command("enrol-token")
@click.argument("devices", nargs=-1, required=True)
@click.option(
    "--hours",
    type=click.FloatRange(0.1, 8_784),
    default=self_enrolment.TOKEN_HOURS,
    help="Validity of the token in hours.",
)
@click.option("--author", help="Name of the person acting; default: the system's user.")
@json_option
def enrol_token(
    devices: tuple[str, ...], *, hours: float, author: str | None, as_json: bool
) -> None:
    """
    Create a one-time token with which a device requests its certificate (EST).

    The device creates its key and keeps it. Tokens are printed only once, on standard output, one
    line per device in order of ids. Standard error has the digest of the authority's certificate,
    with which the device verifies the server.

    \b
    Example:
      tonne registry enrol-token gw-1
      tonne edge edge.yaml --enrol
    """
    settings = Settings()
    own = x509.load_pem_x509_certificate(identity_folder(settings).authority().certificate)
    digest = own.fingerprint(hashes.SHA256()).hex()
    with connect(database_url(), role="tonne_enrol", name=_NAME, autocommit=True) as conn:
        made = self_enrolment.make_tokens(conn, devices, hours, author or getpass.getuser())
    rows = [
        {"device": name, "token": token, "until": time_text(until), "ca_sha256": digest}
        for name, token, until in made
    ]
    tokens = "\n".join(str(row["token"]) for row in rows)
    whose = [f"{row['device']}: a token until {row['until']}" for row in rows]
    message = "\n".join((*whose, f"authority sha256 {digest}; tokens are not shown again"))
    print_secret(rows, tokens, message, as_json=as_json)


@click.command()
@click.option("--bind", default=BIND, metavar="HOST:PORT", help="Address to listen on.")
@click.option("--host", "hosts", multiple=True, default=("localhost",),
              help="Name or address of this server for devices; repeatable.")  # fmt: skip
@click.option(
    "--days",
    type=click.IntRange(1, 825),
    default=self_enrolment.DAYS,
    help="Validity of the certificate in days.",
)
def est(bind: str, hosts: tuple[str, ...], days: int) -> None:
    """
    Issue certificates to devices that made their own key: EST (RFC 7030) over TLS.

    A device authenticates first with a one-time token (`tonne registry enrol-token`), later with
    its certificate. The fleet's certificate authority is in TONNE_HOME/identity: run this process
    on a machine without web services. Its database login needs the role tonne_enrol. If
    tonne-admin's identity is available the broker is updated immediately.

    \b
    Example:
      tonne est --bind 0.0.0.0:8444 --host mqtt.example.org
    """
    from services.est import Desk, Server  # noqa: PLC0415 - only where it serves

    settings, log, url = Settings(), get_logger("est"), database_url()
    folder = identity_folder(settings)
    with connect(url, role="tonne_enrol", name="tonne est"):
        # only the connection is tested, so that a missing database or schema is reported at once
        pass
    lock = threading.Lock()

    def update() -> None:
        with lock:
            _update_or_log(settings, log)

    desk = Desk(url, folder, days, log, lambda: threading.Thread(target=update).start())
    host, port = split_bind(bind)
    with Server((host, port), folder.ensure_server(list(hosts), "est"), desk) as server:
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(
                name, lambda *_: threading.Thread(target=server.shutdown, daemon=True).start()
            )
        log.info("serving", bind=bind, hosts=list(hosts), days=days)
        server.serve_forever()
    log.info("stopped")


def _update_or_log(settings: Settings, log: FilteringBoundLogger) -> None:
    """
    Update the broker's permitted clients; if it is unreachable the next device's update
    includes the change.
    """
    try:
        done = carry_to_broker(settings)
    except TonneError as error:
        log.warning("broker not updated", reason=" ".join(str(error).split())[:300])
        return
    if done is None:
        log.warning("broker not updated", reason="this machine has no identity of tonne-admin")
    else:
        log.info("broker updated", let_in=done.admitted[:20])


_author = click.option("--author", help="Name of the person acting; default: the system's user.")
_apply = click.option(
    "--apply/--no-apply",
    default=True,
    help="Also update the running broker, if this machine has the identity of tonne-admin.",
)


@click.command("issue-credentials")
@click.argument("devices", nargs=-1)
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="All devices and gateways that publish with their own credentials.",
)
@click.option(
    "--password",
    is_flag=True,
    help="Issue a password, for devices that cannot hold a certificate; TLS is still used.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 7_300),
    default=enrolment.DAYS,
    help="Validity of the certificate in days.",
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

    The files of a device are in TONNE_HOME/identity/devices/ID and are confidential:
    ca.crt, client.crt and client.key, or ca.crt and password.  A valid credential
    with more than 30 days left is kept, unless --renew is given.  After a renewal the
    older certificate remains valid until `revoke-credentials --older`.

    \b
    Example:
      tonne registry issue-credentials --all
      tonne registry issue-credentials inv-001 inv-002 --days 730
      tonne registry issue-credentials meter-7 --password
    """
    if bool(devices) == every:
        raise click.UsageError("no device is named; name devices, or use --all")
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
    if apply:  # also without new credentials, as a broker that was secured later lacks all of them
        update_broker(settings, changed=any(result.result != "unchanged" for result in done))


@click.command("issue-service")
@click.argument("name")
@_apply
@json_option
def issue_service(name: str, *, apply: bool, as_json: bool) -> None:
    """
    Issue credentials to a service of tonne, such as a second bridge; its name begins with `tonne-`.

    Existing credentials are kept.

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
        update_broker(settings)


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
    Revoke credentials and close connections that use them.

    Exit status 3 if the broker cannot be updated: until it is, open connections remain open.

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
        update_broker(settings)


@click.command("credentials")
@click.argument("devices", nargs=-1)
@click.option(
    "--expiring",
    type=click.IntRange(0),
    metavar="DAYS",
    help="Only credentials that expire within this number of days; default: all.",
)
@json_option
def credentials_(devices: tuple[str, ...], *, expiring: int | None, as_json: bool) -> None:
    """
    List credentials with issue, expiry and revocation dates, and the reason of revocation.

    \b
    Example:
      tonne registry credentials --expiring 90
    """
    with connect(database_url(), name=_NAME, autocommit=True) as conn:
        require(conn, "device", *devices)
        listed = signing_keys.all_of(conn, devices)
        zones = zones_of(conn, [credential.principal for credential in listed])
    if expiring is not None:
        end = datetime.now(UTC) + timedelta(days=expiring)
        listed = [
            c for c in listed if c.revoked is None and c.expires is not None and c.expires < end
        ]
    rows = [
        (
            c.principal,
            c.kind,
            time_text(c.issued, zones[c.principal]),
            time_text(c.expires, zones[c.principal]),
            f"{time_text(c.revoked, zones[c.principal])}: {c.reason}" if c.revoked else None,
        )
        for c in listed
    ]
    head = ("principal", "kind", "issued", "expires", "revoked")
    print_result(
        listed, table(head, rows, empty="no such credential is on record"), as_json=as_json
    )


def _show(done: list[Result], *, as_json: bool) -> None:
    if as_json:
        print_json(done)
        return
    rows = [
        (result.result, result.principal, result.kind, time_text(result.expires)) for result in done
    ]
    click.echo(
        table(("result", "principal", "kind", "expires"), rows, empty="no principal was given")
    )
    counts = [
        f"{sum(1 for o in done if o.result == w)} {w}"
        for w in dict.fromkeys(o.result for o in done)
    ]
    where = {result.folder.parent for result in done if result.folder is not None}
    click.echo(", ".join(counts) + "".join(f"; in {path}" for path in where))
