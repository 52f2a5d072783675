"""
Configuration and definitions of RabbitMQ 4, with the MQTT plugin and quorum queues.

For devices that cannot keep a reading until its receipt, as its PUBACK is durable.  It treats "."
and "/" in topics as equal, so ids contain neither.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from services.identity.mosquitto import Listening
from services.identity.principals import Principal

PLUGINS = b"[rabbitmq_mqtt].\n"
DEFINITIONS = "definitions.json"
_CONFIG = """\
# Written by tonne for RabbitMQ 4 with the plugin rabbitmq_mqtt.  {folder} holds the files.

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
# The certificate's common name is who it is.
ssl_cert_login_from = common_name
mqtt.ssl_cert_login = true
# Its client id must be its DNS name, which is the same: by another's id a device could
# take over that one's session.
mqtt.ssl_cert_client_id_from = subject_alternative_name
mqtt.ssl_cert_login_san_type = dns
mqtt.allow_anonymous = false
# Raft, flushed to disk before PUBACK: acknowledged means durable.
mqtt.durable_queue_type = quorum
# A session is kept for 30 days without its client.
mqtt.max_session_expiry_interval_seconds = 2592000
# How much tonne may hold unacknowledged.
mqtt.prefetch = 1000
mqtt.max_packet_size_authenticated = {packet}
mqtt.max_packet_size_unauthenticated = 4096
# Who there is and who may do what; read at each start.
load_definitions = {folder}/definitions.json
"""
_ALL_CERTS = "No client without a certificate of ours."
_SOME_PASSWORDS = "Some log in by password; who shows a certificate must show a good one."


def config(at: Listening, folder: str) -> str:
    """Return rabbitmq.conf, every option with its reason."""
    by_password = at.password_port is not None
    return _CONFIG.format(
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
    heard = [topic for topic in principal.subscribe if not topic.startswith("$share/")]
    return {
        "user": principal.name,
        "vhost": "/",
        "exchange": "amq.topic",
        "write": _pattern(principal.publish),
        "read": _pattern(heard, filters=True),
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
