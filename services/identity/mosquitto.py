"""
Configuration of mosquitto 2.0 and its dynamic-security file.

The plugin is used because ACL files do not check SUBSCRIBE: a device could join a shared
subscription and take part of the stream.  Version 2.0 has no patterns with user names, so each
principal has its own role.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from services.identity.principals import Principal
from services.settings import QUEUE_BYTES, QUEUE_MESSAGES

# docs/benchmarks.md has what PUBACK takes at this, with a queue that is full
AUTOSAVE_S = 10
PLUGIN = "/usr/lib/{arch}-linux-gnu/mosquitto_dynamic_security.so"  # Debian's place
SECURITY = "dynamic-security.json"
CONTROL = "$CONTROL/dynamic-security/v1"
_CONFIG = """\
# Written by tonne for mosquitto 2.0.  Files are looked for in the folder where
# mosquitto is started.

# Options below hold for all listeners, and who may do what is one file for all.
per_listener_settings false
# No client without an identity.
allow_anonymous false
# Who may do what.  It checks SUBSCRIBE too, which acl_file does not: with that, a device
# could take half of all readings by joining a shared subscription.
plugin {plugin}
plugin_opt_config_file {security}

# Port for clients with a certificate.  There is no listener without TLS.
listener {port} {host}
protocol mqtt
cafile ca.crt
certfile server.crt
keyfile server.key
# Revoked certificates; read again on SIGHUP.
crlfile ca.crl
require_certificate true
# The certificate's common name is who it is, whatever user name it gives.
use_identity_as_username true
# Its client id is forced to that name too: by another's id a device could wipe that
# one's session, with all that waits in it.
use_username_as_clientid true
tls_version tlsv1.2
max_connections {connections}
# QoS 2 costs two more packets and promises no more than receipts do.
max_qos 1
{passwords}
# A client without an id gets none made up.
allow_zero_length_clientid false
# A longer packet ends the connection, which its sender notices; message_size_limit would
# acknowledge what it drops.
max_packet_size {packet}
# Above every client's own: 2.0.21 wrongly expires clients whose keep-alive equals this.
max_keepalive 600
# How much tonne may hold unacknowledged.
max_inflight_messages 60000
# What is kept for a client that is away.  All that waits is written to disk at each autosave,
# and nothing is acknowledged meanwhile: more than this would be too slow for devices.  A full
# queue drops what it has acknowledged, in silence; devices send it again until its receipt.
# 0 for "unlimited" has a bug in 2.0.21 that disconnects a client whose publish is refused.
max_queued_messages {queue_messages}
max_queued_bytes {queue_bytes}
# Births and wills say of now; they need not wait for anyone.
queue_qos0_messages false
# {retain_why}
retain_available {retain}
# A session is kept for this long without its client.
persistent_client_expiration 30d

persistence true
persistence_location {data}
# What a crash of the broker loses since the last one is sent again until its receipt.
autosave_interval {autosave}
autosave_on_changes false

log_dest {log}
log_type error
log_type warning
log_type notice
# Who came and who was turned away; `tonne devices unknown` reads it.
connection_messages true
log_timestamp_format %Y-%m-%dT%H:%M:%SZ
"""
_PASSWORDS = """
# By user name and password, for devices that can hold no certificate; over TLS all the same.
listener {port} {host}
protocol mqtt
certfile server.crt
keyfile server.key
use_username_as_clientid true
tls_version tlsv1.2
max_connections {connections}
max_qos 1
"""
_NO_RETAIN = "Nothing of tonne's is retained; what a device retains would come anew each time."
_RETAIN = "A Sparkplug host's STATE is retained."


@dataclass(frozen=True, slots=True)
class Listening:
    """
    Listening addresses and options of the broker.

    `password_port` is None if every principal has a certificate; `connections` is the maximum per
    port; `plugin` is the plugin's path, if not that of Debian's package.  `queue_messages` and
    `queue_bytes` limit the queue of one disconnected client.
    """

    host: str
    port: int
    password_port: int | None = None
    connections: int = 20_000
    sparkplug: bool = False
    data: str = "./"
    log: str = "file mosquitto.log"
    packet: int = 2_097_152
    arch: str = "x86_64"
    plugin: str | None = None
    queue_messages: int = QUEUE_MESSAGES
    queue_bytes: int = QUEUE_BYTES


def config(at: Listening) -> str:
    """Return mosquitto.conf, every option with its reason."""
    passwords = ""
    if at.password_port is not None:
        passwords = _PASSWORDS.format(
            port=at.password_port, host=at.host, connections=at.connections
        )
    return _CONFIG.format(
        plugin=at.plugin or PLUGIN.format(arch=at.arch),
        security=SECURITY,
        port=at.port,
        host=at.host,
        connections=at.connections,
        passwords=passwords,
        packet=at.packet,
        retain_why=_RETAIN if at.sparkplug else _NO_RETAIN,
        retain="true" if at.sparkplug else "false",
        data=at.data,
        log=at.log,
        queue_messages=at.queue_messages,
        queue_bytes=at.queue_bytes,
        autosave=AUTOSAVE_S,
    )


def role_of(principal: Principal) -> dict[str, Any]:
    """Return the role of one principal, for the plugin's file and commands."""
    send = [*principal.publish]
    hear = [*principal.subscribe]
    if principal.controls:
        send.append("$CONTROL/dynamic-security/#")
        hear.append("$CONTROL/dynamic-security/#")
    acls = [_acl("publishClientSend", topic) for topic in send]
    acls += [_acl("publishClientReceive", t) for t in hear if not t.startswith("$share/")]
    acls += [_acl("subscribePattern", topic) for topic in hear]
    return {"rolename": principal.name, "acls": acls}


def client_of(principal: Principal) -> dict[str, Any]:
    """Return the client entry of one principal, for the plugin's file."""
    entry: dict[str, Any] = {"username": principal.name, "roles": [{"rolename": principal.name}]}
    if principal.password is not None:
        password = principal.password
        entry |= {
            "password": password.pbkdf2_sha512,
            "salt": password.salt,
            "iterations": password.iterations,
        }
    return entry


def security(principals: Iterable[Principal]) -> bytes:
    """Return dynamic-security.json; permissions not listed in a role are denied."""
    known = list(principals)
    document = {
        "defaultACLAccess": {
            "publishClientSend": False,
            "publishClientReceive": False,
            "subscribe": False,
            "unsubscribe": True,
        },
        "clients": [client_of(principal) for principal in known],
        "groups": [],
        "roles": [role_of(principal) for principal in known],
    }
    return json.dumps(document, indent=1).encode()


def _acl(kind: str, topic: str) -> dict[str, Any]:
    return {"acltype": kind, "topic": topic, "priority": 0, "allow": True}
