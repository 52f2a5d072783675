"""
Credentials of devices, issued and revoked, and access rules of the brokers that accept them.

Issue and revocation are idempotent, for one device or thousands.

An issued credential is recorded in the database before it can be used; keys are only in the
identity folder.

Access rules are files, or changes sent to a running mosquitto.  The dynamic-security plugin accepts
commands on its own topic from `tonne-admin` only.  A disabled or deleted client is disconnected at
once, while a revocation list affects new connections only.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from psycopg import Connection

from ingest import sparkplug
from ingest.addresses import Tls, close_sockets
from ingest.errors import RegistryError, ServerError
from ingest.mqtt import parse
from services.identity import PUBLIC, SECRET, Authority, make_folder, mosquitto, write
from services.identity import principals as identities
from services.identity.mosquitto import CONTROL, Listening, client_of, role_of
from services.identity.principals import (
    ADMIN,
    PASSWORD,
    PIPELINE,
    IdentityFolder,
    Principal,
    is_ours,
)
from services.registry.entries import Device
from services.store.registry import signing_keys
from services.store.registry.entries_from_rows import load_registry
from services.store.registry.signing_keys import Credential, Kind

DAYS = 1_825
# a certificate that ends within this time is renewed without request
ENDING = timedelta(days=30)
Outcome = Literal["issued", "renewed", "unchanged", "revoked", "none"]


@dataclass(frozen=True, slots=True)
class Result:
    """Result for one principal; `folder` has the files for it."""

    principal: str
    result: Outcome
    kind: Kind | None = None
    expires: datetime | None = None
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """Options of issuing: kind, days, and whether to replace a valid one."""

    kind: Kind = "certificate"
    days: int = DAYS
    renew: bool = False


def principals(devices: dict[str, Device], names: Sequence[str], *, every: bool) -> list[str]:
    """
    Return the principals that can have a credential: the named ones, or all that publish
    themselves.

    Raises RegistryError, naming each that cannot, and why.
    """
    now = datetime.now(UTC)
    here = {n: d for n, d in devices.items() if d.removed is None or d.removed > now}
    speakers = [n for n, device in here.items() if device.gateway is None]
    wrong = [_why(n, here, devices) for n in names if n not in speakers or is_ours(n)]
    if every:
        wrong += [_why(n, here, devices) for n in speakers if is_ours(n)]
    if wrong:
        raise RegistryError("\n".join(wrong))
    return speakers if every else list(dict.fromkeys(names))


def _why(name: str, here: dict[str, Device], devices: dict[str, Device]) -> str:
    if name not in devices:
        return f"{name!r} is not registered; `tonne registry import` it first"
    if name not in here:
        return f"{name!r} was removed on {devices[name].removed}; it needs no credential"
    if here[name].gateway is not None:
        gateway = here[name].gateway
        return (
            f"{name!r} is connected through {gateway!r}, which publishes for it; "
            f"issue a credential for {gateway!r}"
        )
    return f"{name!r} is reserved for tonne's own services; give the device another id"


def issue(
    conn: Connection,
    folder: IdentityFolder,
    names: Iterable[str],
    wish: Wish,
    author: str,
    watch: Callable[[], None] = lambda: None,
) -> list[Result]:
    """
    Issue a credential to each principal without a valid one; return the results.

    A renewed certificate stays valid until it expires or is revoked, to give time for its delivery;
    a password is replaced at once.

    `conn`: in no transaction.
    `watch`: called after each principal.
    """
    with conn.transaction():
        signing_keys.lock(conn)
        in_use = signing_keys.in_use(conn)
        authority = folder.authority()
        rows = []
        for name in names:
            rows.append(
                _issue_credential(conn, folder, authority, name, in_use.get(name), wish, author)
            )
            watch()
        # recorded last, as credentials without a record have not been delivered
        signing_keys.record(conn, (row for _, row in rows if row is not None), author)
    return [result for result, _ in rows]


_Row = tuple[str, "Kind", str | None, str | None, datetime | None]


def _issue_credential(
    conn: Connection,
    folder: IdentityFolder,
    authority: Authority,
    name: str,
    credential: Credential | None,
    wish: Wish,
    author: str,
) -> tuple[Result, _Row | None]:
    where = folder.device(name)
    if (
        credential is not None
        and credential.kind == wish.kind
        and not wish.renew
        and _lasts(credential)
    ):
        return Result(name, "unchanged", credential.kind, credential.expires, where), None
    outcome: Outcome = "issued" if credential is None else "renewed"
    if credential is not None and (credential.kind == "password" or wish.kind == "password"):
        signing_keys.revoke_credential(conn, name, author, f"replaced by another {wish.kind}")
    if wish.kind == "password":
        folder.hand_out_password(name, authority)
        return Result(name, outcome, wish.kind, None, where), (name, wish.kind, None, None, None)
    issued = authority.issue(name, wish.days)
    folder.hand_out(where, authority, issued)
    row = (name, wish.kind, issued.serial, issued.fingerprint, issued.expires)
    return Result(name, outcome, wish.kind, issued.expires, where), row


def _lasts(credential: Credential) -> bool:
    return credential.expires is None or credential.expires - datetime.now(UTC) > ENDING


def revoke(
    conn: Connection,
    folder: IdentityFolder,
    names: Iterable[str],
    author: str,
    reason: str,
    *,
    older: bool = False,
) -> list[Result]:
    """
    Revoke credentials and return the results; open connections end once the broker is updated.

    `older`: keep each principal's last issued credential.
    """
    results: list[Result] = []
    with conn.transaction():
        signing_keys.lock(conn)
        for name in names:
            count = signing_keys.revoke_credential(conn, name, author, reason, but_newest=older)
            results.append(Result(name, "revoked" if count else "none"))
            if not older:
                folder.forget(name)
        folder.authority().write_crl(signing_keys.revoked_certificates(conn))
    return results


_PATIENCE_S = 60.0
_PORT = 8_883


class Control:
    """
    Connection to the broker as `tonne-admin`.

    `url`: `mqtts://host[:port]`.
    `tls`: the identity of `tonne-admin`.
    Raises ServerError: broker unreachable, access refused, or no dynamic-security plugin in it.
    """

    def __init__(self, url: str, tls: Tls) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "localhost", parts.port or _PORT
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=ADMIN, protocol=mqtt.MQTTv5
        )
        self._client.tls_set_context(tls.context())
        self._client.on_message = self._on_message
        self._client.on_subscribe = self._subscribed
        self._client.on_connect = self._connected
        self._answers: list[dict[str, Any]] = []
        self._granted: bool | None = None

    def __enter__(self) -> Self:
        """Connect, and subscribe to the answers."""
        try:
            self._begin()
        except BaseException:
            close_sockets(self._client)
            raise
        return self

    def _begin(self) -> None:
        try:
            self._client.connect(self._host, self._port, 30)
        except OSError as error:
            raise ServerError(
                f"{self._place}: {error}; check that the broker is running"
            ) from error
        self._wait(lambda: self._granted is not None, "an answer")
        if not self._granted:
            raise ServerError(
                f"{self._place} does not permit {ADMIN} to change permissions; install there the "
                "dynamic-security.json of `tonne broker config`"
            )

    def __exit__(self, *_: object) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_write()
        close_sockets(self._client)

    @property
    def _place(self) -> str:
        return f"the broker at {self._host}:{self._port}"

    def clients(self) -> dict[str, bool]:
        """Return the broker's clients, and whether each may connect."""
        (answer,) = self._ask([{"command": "listClients", "verbose": True, "count": -1}])
        result = answer.get("data", {}).get("clients", [])
        return {client["username"]: not client.get("disabled", False) for client in result}

    def roles(self) -> dict[str, list[dict[str, Any]]]:
        """Return the permissions (ACLs) of each of the broker's roles, by role name."""
        (answer,) = self._ask([{"command": "listRoles", "verbose": True, "count": -1}])
        result = answer.get("data", {}).get("roles", [])
        return {role["rolename"]: role.get("acls", []) for role in result}

    @property
    def lets_sparkplug(self) -> bool:
        """Return whether the broker permits the pipeline to read Sparkplug's topics."""
        ours = self.roles().get(PIPELINE, [])
        return any(acl["topic"].startswith(sparkplug.PREFIX) for acl in ours)

    def admit(self, principal: Principal, password: str | None = None) -> None:
        """Give a principal access, and set its permissions."""
        role, client = role_of(principal), client_of(principal)
        commands: list[dict[str, Any]] = [
            {"command": "deleteRole", "rolename": principal.name},
            {"command": "createRole", **role},
            {"command": "createClient", "username": principal.name, "roles": client["roles"]},
            {"command": "modifyClient", "username": principal.name, "roles": client["roles"]},
            {"command": "enableClient", "username": principal.name},
        ]
        if password is not None:
            set_it = {"username": principal.name, "password": password}
            commands.append({"command": "setClientPassword", **set_it})
        answers = self._ask(commands)
        needed = [a for a in answers if a["command"] not in {"deleteRole", "createClient"}]
        self._check(needed)

    def remove(self, name: str) -> None:
        """Remove a principal's permissions and identity, and disconnect it."""
        self._check(
            self._ask(
                [
                    {"command": "disableClient", "username": name},
                    {"command": "deleteClient", "username": name},
                    {"command": "deleteRole", "rolename": name},
                ]
            )
        )

    def _check(self, answers: Iterable[dict[str, Any]]) -> None:
        for answer in answers:
            if "error" in answer:
                raise ServerError(f"{self._place}: {answer['command']}: {answer['error']}")

    def _ask(self, commands: list[dict[str, Any]]) -> list[dict[str, Any]]:
        self._answers.clear()
        self._client.publish(CONTROL, json.dumps({"commands": commands}), qos=1)
        self._wait(lambda: len(self._answers) >= len(commands), f"{len(commands)} answers")
        return list(self._answers)

    def _wait(self, done: Any, answer: str) -> None:
        end_s = time.monotonic() + _PATIENCE_S
        while not done():
            rc = self._client.loop(0.1)
            if rc != MQTTErrorCode.MQTT_ERR_SUCCESS or time.monotonic() > end_s:
                raise ServerError(
                    f"{self._place} gave no {answer}: {mqtt.error_string(rc)}; check that "
                    f"it trusts the certificate of {ADMIN}"
                )

    def _connected(self, client: mqtt.Client, _d: Any, _f: Any, reason: Any, _p: Any) -> None:
        if reason.is_failure:
            raise ServerError(f"{self._place} rejects {ADMIN}: {reason}; check its credential")
        client.subscribe(f"{CONTROL}/response", qos=1)

    def _subscribed(self, _c: Any, _d: Any, _mid: int, reasons: Any, _p: Any) -> None:
        self._granted = not any(reason.is_failure for reason in reasons)

    def _on_message(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        self._answers += json.loads(message.payload).get("responses", [])


def differences(control: Control, wanted: Iterable[Principal]) -> tuple[list[Principal], list[str]]:
    """Return principals with missing or wrong permissions at the broker, and obsolete ones."""
    principals = {principal.name: principal for principal in wanted}
    clients, roles = control.clients(), control.roles()
    stale = [name for name in clients if name not in principals]
    fresh = [
        principal
        for name, principal in principals.items()
        if not clients.get(name, False)
        or _bare(roles.get(name, [])) != _bare(role_of(principal)["acls"])
    ]
    return fresh, stale


def _bare(acls: Iterable[dict[str, Any]]) -> set[tuple[str, str, bool]]:
    return {(acl["acltype"], acl["topic"], acl["allow"]) for acl in acls}


_NOT_CARRIED = frozenset({"names"})  # files for this program only: the names of the server


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
    names = {identities.PIPELINE, identities.ADMIN, *folder.services()}
    ours = [identities.service(name, filters, sparkplug=sparkplug) for name in sorted(names)]
    devices = registry.devices.values()
    return [*ours, *identities.field(devices, templates, hashes, in_use, sparkplug=sparkplug)]


def write_mosquitto(
    folder: IdentityFolder, everybody: list[Principal], at: Listening, hosts: list[str]
) -> Path:
    """Write all files for mosquitto into the folder `broker`; return it."""
    target = _with_identity(folder, hosts)
    write(target / "mosquitto.conf", mosquitto.config(at).encode())
    write(target / mosquitto.SECURITY, mosquitto.security(everybody))
    return target


def carry(files: Path, to: Path) -> Path:
    """Copy a broker's or service's files into the folder `to`, where it reads them; return `to`."""
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
    Write RabbitMQ's files into the folder `broker` and return it; `where`: folder in which RabbitMQ
    will read them.
    """
    target = _with_identity(folder, hosts)
    write(target / "rabbitmq.conf", mosquitto.rabbitmq_config(at, where).encode())
    write(target / "enabled_plugins", mosquitto.PLUGINS)
    write(target / mosquitto.DEFINITIONS, mosquitto.definitions(everybody))
    return target


def _with_identity(folder: IdentityFolder, hosts: list[str]) -> Path:
    for name in (identities.PIPELINE, identities.ADMIN):
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

    Raises ServerError when it cannot be reached, or rejects a change.
    """
    with Control(url, folder.ensure_service(identities.ADMIN)) as control:
        known = everybody(sparkplug or control.lets_sparkplug)
        fresh, stale = differences(control, known)
        not_carried = folder.not_carried()
        fresh += [
            principal
            for principal in known
            if principal.name in not_carried and principal not in fresh
        ]
        for name in stale:
            control.remove(name)
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
