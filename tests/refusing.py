"""A real mosquitto without TLS that rejects topics of every client until `allow` is called."""

import json
import os

import paho.mqtt.client as mqtt

from ingest.addresses import close_sockets
from services.identity.mosquitto import CONTROL, PLUGIN
from services.local import LOOPBACK
from services.local.brokers import Mosquitto

_RIGHTS, _ROLE = "rights.json", "everybody"
# the plugin lets nobody command it by default
_MANAGED = {
    "acltype": "publishClientSend",
    "topic": "$CONTROL/dynamic-security/#",
    "priority": 1,
    "allow": True,
}
_LINES = f"""
plugin {PLUGIN.format(arch=os.uname().machine)}
plugin_opt_config_file {_RIGHTS}
"""


class Refusing(Mosquitto):
    """
    A broker that permits everything except subscriptions to given
    filters, in force at its start.
    """

    topics: tuple[str, ...] = ()

    def command(self, port: int) -> list[str]:
        """Write the rights of the plugin beside the usual configuration."""
        words = super().command(port)
        with (self.folder / "mosquitto.conf").open("a", encoding="utf-8") as file:
            file.write(_LINES)
        kinds = ("publishClientSend", "publishClientReceive", "subscribe", "unsubscribe")
        rights = {
            "defaultACLAccess": dict.fromkeys(kinds, True),
            "anonymousGroup": _ROLE,
            "clients": [],
            "groups": [{"groupname": _ROLE, "roles": [{"rolename": _ROLE}]}],
            "roles": [{"rolename": _ROLE, "acls": [_MANAGED, *map(_denied, self.topics)]}],
        }
        (self.folder / _RIGHTS).write_text(json.dumps(rights), encoding="utf-8")
        return words

    def allow(self, topic: str) -> None:
        """Permit a filter again; the plugin disconnects all clients."""
        rule = {**_denied(topic), "command": "removeRoleACL", "rolename": _ROLE}
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        client.connect(LOOPBACK, self.port)
        client.loop_start()
        try:
            client.publish(CONTROL, json.dumps({"commands": [rule]}), 1).wait_for_publish(60)
        finally:
            client.disconnect()
            client.loop_stop()
            close_sockets(client)


def _denied(topic: str) -> dict[str, object]:
    return {"acltype": "subscribeLiteral", "topic": topic, "priority": 1, "allow": False}
