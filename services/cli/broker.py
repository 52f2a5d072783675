"""`tonne broker`: a broker's configuration, and changes sent to a running one."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Literal

import click

from ingest.addresses import PORTS, server_of
from ingest.errors import InputError
from services import enrolment as brokers
from services.cli import Choice, Group, json_option
from services.cli.output import counted, print_result
from services.cli.server_options import database_url, identity_folder
from services.enrolment import Applied
from services.identity.mosquitto import Listening
from services.identity.principals import PIPELINE, is_ours
from services.local.brokers import Mosquitto
from services.settings import Settings, split_bind
from services.store.postgres.pool import connect

_NAME = "tonne broker"
_MANY = 200


@click.group(cls=Group)
def broker() -> None:
    """
    Configure an MQTT broker so that each device can publish only for itself.

    \b
    Example:
      tonne broker config mosquitto --listen 0.0.0.0:8883 --host mqtt.example.org
      tonne broker apply
    """


@broker.command()
@click.argument("kind", type=Choice(["mosquitto", "rabbitmq"]))
@click.option(
    "--listen", default="0.0.0.0:8883", help="Address and port for clients with a certificate."
)
@click.option(
    "--password-port",
    type=click.IntRange(1, 65_535),
    help=(
        "mosquitto: TLS port for clients with a password. rabbitmq: permit passwords on the"
        " --listen port. Default: clients need a certificate."
    ),
)
@click.option(
    "--host",
    "hosts",
    multiple=True,
    help="Name or address that devices use; repeatable. Default: this machine's name.",
)
@click.option(
    "--connections",
    type=click.IntRange(1, 1_000_000),
    default=20_000,
    help="Maximum number of connections per port.",
)
@click.option("--sparkplug", is_flag=True, help="Also permit Sparkplug B topics.")
@click.option(
    "--for",
    "folder_there",
    type=click.Path(path_type=Path),
    help="Folder from which the broker reads the files; default: where they are written.",
)
@click.option(
    "--log", default="file mosquitto.log", help="mosquitto's log destination (its option log_dest)."
)
@click.option(
    "--plugin",
    help="mosquitto: path of the dynamic-security plugin; default: that of Debian's package.",
)
@click.option(
    "--service",
    "services",
    multiple=True,
    metavar="NAME",
    help=(
        "Service of tonne that gets credentials, in addition to `tonne`; repeatable. Default: none."
    ),
)
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    help="Also copy the broker's files to this folder; default: no copy.",
)
@click.option(
    "--services-into",
    type=click.Path(path_type=Path),
    help=(
        "Also copy the credentials of `tonne` and each --service to subfolders of this "
        "folder; default: no copy."
    ),
)
@json_option
def config(
    kind: Literal["mosquitto", "rabbitmq"],
    listen: str,
    password_port: int | None,
    hosts: tuple[str, ...],
    connections: int,
    *,
    sparkplug: bool,
    folder_there: Path | None,
    log: str,
    plugin: str | None,
    services: tuple[str, ...],
    into: Path | None,
    services_into: Path | None,
    as_json: bool,
) -> None:
    """
    Write a broker's configuration into TONNE_HOME/identity/broker.

    The files list every client whose credentials are valid.  A comment explains each option in
    them.

    \b
    Example:
      tonne broker config mosquitto --listen 0.0.0.0:8883 --host mqtt.example.org
      tonne broker config rabbitmq --host 10.0.0.5 --for /etc/rabbitmq/tonne
    """
    settings = Settings()
    folder = identity_folder(settings)
    address, port = split_bind(listen)
    data = "./" if folder_there is None else f"{folder_there}/"
    at = Listening(
        address, port, password_port, connections, sparkplug=sparkplug, data=data, log=log,
        arch=os.uname().machine, plugin=plugin,
        queue_messages=settings.broker_queue_messages, queue_bytes=settings.broker_queue_bytes,
    )  # fmt: skip
    for name in services:
        folder.ensure_service(ours(name))
    names = list(hosts) or [socket.gethostname()]
    with connect(database_url(), name=_NAME, autocommit=True) as conn:
        everybody = brokers.known(conn, folder, sparkplug=sparkplug)
    if kind == "mosquitto":
        written = brokers.write_mosquitto(folder, everybody, at, names)
        start = f"cd {written} && mosquitto -c mosquitto.conf"
    else:
        there = str(folder_there or (folder.path / "broker").resolve())
        written = brokers.write_rabbitmq(folder, everybody, at, names, there)
        start = (
            f"RABBITMQ_CONFIG_FILE={there}/rabbitmq.conf "
            f"RABBITMQ_ENABLED_PLUGINS_FILE={there}/enabled_plugins rabbitmq-server"
        )
    if into is not None:
        written = brokers.carry(written, into)
    if services_into is not None:
        for name in (PIPELINE, *services):
            brokers.carry(folder.service(name), services_into / name)
    print_result(
        {"principals": len(everybody), "folder": written, "start": start},
        f"{counted(len(everybody), 'principal')} in {written}; start it: {start}",
        as_json=as_json,
    )


def ours(name: str) -> str:
    """Return a service name; raises click.BadParameter if it does not begin with tonne-."""
    if not is_ours(name):
        raise click.BadParameter(f"{name!r} must begin with tonne-; names of devices must not")
    return name


@broker.command()
@click.option("--url", help="mqtts://host:port; default: the one in the settings.")
@click.option("--sparkplug", is_flag=True, help="Also permit Sparkplug B topics.")
@json_option
def apply(url: str | None, *, sparkplug: bool, as_json: bool) -> None:
    """
    Update the permitted clients of a running mosquitto; revoked clients are disconnected
    immediately.

    For thousands of clients `tonne broker config` and a restart are faster. RabbitMQ is updated by
    its own `rabbitmqctl`: see docs/security.md.

    \b
    Example:
      tonne broker apply
    """
    settings = Settings()
    if url:
        _check(url)
    done = _applied(settings, url or settings.require("mqtt_url"), sparkplug=sparkplug)
    if as_json:
        click.echo(json.dumps(done._asdict(), indent=2))
        return
    _show(done)


def update_broker(settings: Settings, *, changed: bool = True) -> None:
    """Apply access changes to the running broker if permitted; otherwise print a note."""
    done = carry_to_broker(settings)
    if done is None:
        if changed:
            click.echo(
                "no secured broker of tonne's is in use: apply the change to your broker "
                "with `tonne broker config` or `tonne broker apply`",
                err=True,
            )
        return
    _show(done)


def carry_to_broker(settings: Settings) -> Applied | None:
    """
    Send added and revoked clients to the running broker; return None where not permitted.

    Raises ServerError when the broker cannot be reached or rejects the change.
    """
    url = settings.mqtt_url
    folder = identity_folder(settings)
    if url is None or not url.startswith("mqtts://") or "tonne-admin" not in folder.services():
        return None
    return _applied(settings, url, sparkplug=False)


def _check(url: str) -> None:
    try:
        server_of(url, {"mqtts": PORTS["mqtts"]})
    except ValueError as error:
        raise InputError(f"--url {error}") from None


def _applied(settings: Settings, url: str, *, sparkplug: bool) -> Applied:
    if not url.startswith("mqtts://"):
        raise InputError(
            f"{url.partition('://')[0]}:// does not support identities; pass an mqtts:// URL"
        )
    folder = identity_folder(settings)
    local = Mosquitto(settings.home)
    own = local.pid is not None and local.secure and local.url == url
    if own:
        local.take_up_revocations()
    with connect(database_url(), name=_NAME, autocommit=True) as conn:
        return brokers.apply(
            folder,
            lambda more: brokers.known(conn, folder, sparkplug=more),
            url,
            sparkplug=sparkplug,
        )


def _show(done: Applied) -> None:
    for what, names in (("permitted", done.admitted), ("removed", done.thrown_out)):
        listed = ", ".join(names[:_MANY]) + (" and others" if len(names) > _MANY else "")
        click.echo(f"broker: {len(names)} {what}" + (f": {listed}" if names else ""))
