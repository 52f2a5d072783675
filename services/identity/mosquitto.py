"""
Configuration of brokers: mosquitto 2.0 with dynamic security, RabbitMQ 4 with MQTT.

mosquitto's plugin is used because ACL files do not check SUBSCRIBE: a device could join a shared
subscription and take part of the stream.  Version 2.0 has no patterns with user names, so each
principal has its own role.

RabbitMQ is for devices that cannot keep a reading until its receipt, as its PUBACK is durable.  It
treats "." and "/" in topics as equal, so ids contain neither.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from services.identity.principals import Principal
from services.settings import QUEUE_BYTES, QUEUE_MESSAGES

# interval between writes of the message store [s]; docs/benchmarks.md has the duration of a PUBACK
# with a full queue
AUTOSAVE_S = 10
PLUGIN = "/usr/lib/{arch}-linux-gnu/mosquitto_dynamic_security.so"  # path in Debian
SECURITY = "dynamic-security.json"
CONTROL = "$CONTROL/dynamic-security/v1"
_CONFIG = """\
# Written by tonne for mosquitto 2.0.  Paths are relative to the folder where mosquitto is
# started.

# The options below apply to all listeners; all share one file of access rights.
per_listener_settings false
# Each client must identify itself.
allow_anonymous false
# Access rights.  The plugin also checks SUBSCRIBE, which acl_file does not: with acl_file, a
# device could receive half of all readings by joining a shared subscription.
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
# The certificate's common name is the user name; a user name that the client sends is ignored.
use_identity_as_username true
# The client id is set to the same name: with the client id of another device, a device could
# delete that device's session and its queued messages.
use_username_as_clientid true
tls_version tlsv1.2
max_connections {connections}
# QoS 2 needs two more packets and guarantees no more than receipts do.
max_qos 1
{passwords}
# A client without an id is rejected, not given a generated one.
allow_zero_length_clientid false
# A longer packet ends the connection, which its sender detects; message_size_limit would
# acknowledge messages that it drops.
max_packet_size {packet}
# Above the keep-alive of each client: 2.0.21 wrongly expires clients whose keep-alive equals this.
max_keepalive 600
# Messages that tonne may hold unacknowledged.
max_inflight_messages 60000
# Queue of a disconnected client.  All queues are written to disk at each autosave, during which
# nothing is acknowledged: longer queues would delay devices too much.  A full queue drops
# acknowledged messages without notice; devices send them again until they have the receipt.
# 0 for "unlimited" has a bug in 2.0.21 that disconnects a client whose publish is rejected.
max_queued_messages {queue_messages}
max_queued_bytes {queue_bytes}
# Births and wills state the present condition and are not queued.
queue_qos0_messages false
# {retain_why}
retain_available {retain}
# A session is kept for this time while its client is disconnected.
persistent_client_expiration 30d

persistence true
persistence_location {data}
# Messages that a crash of the broker loses since the last autosave are sent again by devices.
autosave_interval {autosave}
autosave_on_changes false

log_dest {log}
log_type error
log_type warning
log_type notice
# Accepted and rejected connections; `tonne devices unknown` reads them.
connection_messages true
log_timestamp_format %Y-%m-%dT%H:%M:%SZ
"""
_PASSWORDS = """
# Login by user name and password, also over TLS, for devices that cannot store a certificate.
listener {port} {host}
protocol mqtt
certfile server.crt
keyfile server.key
use_username_as_clientid true
tls_version tlsv1.2
max_connections {connections}
max_qos 1
"""
_NO_RETAIN = "tonne retains no messages; a device's would be delivered at each connection."
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


PLUGINS = b"[rabbitmq_mqtt].\n"
DEFINITIONS = "definitions.json"
_RABBITMQ_CONFIG = """\
# Written by tonne for RabbitMQ 4 with the plugin rabbitmq_mqtt.  Its files are in {folder}.

# No AMQP and no MQTT without TLS.
listeners.tcp = none
mqtt.listeners.tcp = none
mqtt.listeners.ssl.1 = {host}:{port}
ssl_options.cacertfile = {folder}/ca.crt
ssl_options.certfile   = {folder}/server.crt
ssl_options.keyfile    = {folder}/server.key
ssl_options.verify     = verify_peer
# {cert_why}
ssl_options.fail_if_no_peer_cert = {require}
ssl_options.versions.1 = tlsv1.3
ssl_options.versions.2 = tlsv1.2
# The certificate's common name is the user name.
ssl_cert_login_from = common_name
mqtt.ssl_cert_login = true
# The client id must be the certificate's DNS name, which is the same: with the client id of
# another device, a device could take over that device's session.
mqtt.ssl_cert_client_id_from = subject_alternative_name
mqtt.ssl_cert_login_san_type = dns
mqtt.allow_anonymous = false
# Raft, flushed to disk before PUBACK: acknowledged means durable.
mqtt.durable_queue_type = quorum
# A session is kept for 30 days while its client is disconnected.
mqtt.max_session_expiry_interval_seconds = 2592000
# Messages that tonne may hold unacknowledged.
mqtt.prefetch = 1000
mqtt.max_packet_size_authenticated = {packet}
mqtt.max_packet_size_unauthenticated = 4096
# Users and their access rights; read at each start.
load_definitions = {folder}/definitions.json
"""
_ALL_CERTS = "Each client needs a certificate of tonne's authority."
_SOME_PASSWORDS = "Some clients log in with a password; a certificate, if shown, must be valid."


def rabbitmq_config(at: Listening, folder: str) -> str:
    """Return rabbitmq.conf, every option with its reason."""
    by_password = at.password_port is not None
    return _RABBITMQ_CONFIG.format(
        folder=folder,
        host=at.host,
        port=at.port,
        packet=at.packet,
        cert_why=_SOME_PASSWORDS if by_password else _ALL_CERTS,
        require="false" if by_password else "true",
    )


def definitions(principals: Iterable[Principal]) -> bytes:
    """Return definitions.json: users, and the topics that each may write and read."""
    known = list(principals)
    document = {
        "vhosts": [{"name": "/"}],
        "users": [_user(principal) for principal in known],
        "permissions": [_permission(principal) for principal in known],
        "topic_permissions": [_topics(principal) for principal in known],
    }
    return json.dumps(document, indent=1).encode()


def _user(principal: Principal) -> dict[str, Any]:
    password = principal.password
    return {
        "name": principal.name,
        "password_hash": "" if password is None else password.rabbit_sha256,
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": [],
    }


def _permission(principal: Principal) -> dict[str, Any]:
    """Return a user's permission for queues of its own name only."""
    own = rf"mqtt-subscription-{re.escape(principal.name)}qos[01]"
    will = rf"mqtt-will-{re.escape(principal.name)}"
    return {
        "user": principal.name,
        "vhost": "/",
        "configure": rf"^({own}|{will})$",
        "write": rf"^(amq\.topic|{own}|{will})$",
        "read": rf"^(amq\.topic|{own}|{will})$",
    }


def _topics(principal: Principal) -> dict[str, Any]:
    subscribed = [topic for topic in principal.subscribe if not topic.startswith("$share/")]
    return {
        "user": principal.name,
        "vhost": "/",
        "exchange": "amq.topic",
        "write": _pattern(principal.publish),
        "read": _pattern(subscribed, filters=True),
    }


def _pattern(topics: Iterable[str], *, filters: bool = False) -> str:
    """
    Return a regular expression for topic filters, in AMQP's notation.

    In subscriptions `+` becomes `*`; in topics it is any one level.
    """
    result = []
    for topic in topics:
        levels = [_level(level, filters=filters) for level in topic.split("/")]
        result.append(r"\.".join(levels))
    return rf"^({'|'.join(result)})$" if result else "^$"


def _level(level: str, *, filters: bool) -> str:
    if level != "+":
        return re.escape(level)
    return r"(\*|[^.*#]+)" if filters else r"[^.]+"
