"""Access rules of a broker: principals and permissions, as files or sent to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from psycopg import Connection

from ingest.mqtt.topics import parse
from services.identity import mosquitto, principals
from services.identity.authority import PUBLIC, SECRET, make_folder, write
from services.identity.control import Control, differences
from services.identity.folder import PASSWORD, IdentityFolder
from services.identity.mosquitto import Listening
from services.identity.principals import Principal
from services.store.registry import signing_keys
from services.store.registry.entries_from_rows import load_registry

_NOT_CARRIED = frozenset({"names"})  # for us: whom the server's certificate is for


class Applied(NamedTuple):
    """Principals newly accepted by a running broker, and those no longer accepted."""

    admitted: list[str]
    thrown_out: list[str]


def known(conn: Connection, folder: IdentityFolder, *, sparkplug: bool) -> list[Principal]:
    """Return all principals with a valid credential, including tonne's services."""
    registry = load_registry(conn)
    templates = [topic.template for topic in registry.topics.values() if topic.active]
    filters = [parse(text).filter for text in templates]
    in_use = signing_keys.in_use(conn)
    hashes = folder.passwords(name for name, c in in_use.items() if c.kind == "password")
    names = {principals.PIPELINE, principals.ADMIN, *folder.services()}
    ours = [principals.service(name, filters, sparkplug=sparkplug) for name in sorted(names)]
    devices = registry.devices.values()
    return [*ours, *principals.field(devices, templates, hashes, in_use, sparkplug=sparkplug)]


def write_mosquitto(
    folder: IdentityFolder, everybody: list[Principal], at: Listening, hosts: list[str]
) -> Path:
    """Write all files for mosquitto into the folder `broker`; return it."""
    target = _with_identity(folder, hosts)
    write(target / "mosquitto.conf", mosquitto.config(at).encode())
    write(target / mosquitto.SECURITY, mosquitto.security(everybody))
    return target


def carry(files: Path, to: Path) -> Path:
    """Copy the files of a broker or a service to their place of use."""
    make_folder(to)
    for path in sorted(files.iterdir()):
        if path.is_file() and path.name not in _NOT_CARRIED:
            mode = PUBLIC if path.suffix in {".crt", ".crl"} else SECRET
            write(to / path.name, path.read_bytes(), mode)
    return to


def write_rabbitmq(
    folder: IdentityFolder, everybody: list[Principal], at: Listening, hosts: list[str], where: str
) -> Path:
    """
    Write all files for RabbitMQ into the folder `broker` and return it; `where` is their
    place of use.
    """
    target = _with_identity(folder, hosts)
    write(target / "rabbitmq.conf", mosquitto.rabbitmq_config(at, where).encode())
    write(target / "enabled_plugins", mosquitto.PLUGINS)
    write(target / mosquitto.DEFINITIONS, mosquitto.definitions(everybody))
    return target


def _with_identity(folder: IdentityFolder, hosts: list[str]) -> Path:
    for name in (principals.PIPELINE, principals.ADMIN):
        folder.ensure_service(name)
    return folder.ensure_server(hosts)


def apply(
    folder: IdentityFolder,
    everybody: Callable[[bool], list[Principal]],
    url: str,
    *,
    sparkplug: bool,
) -> Applied:
    """
    Send allowed and revoked principals to a running mosquitto; return the changes.

    Revoked principals are disconnected. `everybody` returns the principals, with Sparkplug's topics
    or without, as the broker was set up.

    Raises
    ------
    ServerError
        When it cannot be reached, or rejects a change.
    """
    with Control(url, folder.ensure_service(principals.ADMIN)) as control:
        known = everybody(sparkplug or control.lets_sparkplug)
        fresh, stale = differences(control, known)
        not_carried = folder.not_carried()
        fresh += [
            principal
            for principal in known
            if principal.name in not_carried and principal not in fresh
        ]
        for name in stale:
            control.throw_out(name)
        for principal in fresh:
            control.admit(principal, _password(folder, principal))
            folder.note_password(principal.name)
    return Applied([principal.name for principal in fresh], stale)


def _password(folder: IdentityFolder, principal: Principal) -> str | None:
    """Return a password still stored here: the plugin needs the password, not its hash."""
    if principal.password is None:
        return None
    path = folder.device(principal.name) / PASSWORD
    return path.read_text(encoding="utf-8") if path.exists() else None
