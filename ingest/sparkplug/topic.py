"""
Sparkplug topics: `spBv1.0/<group>/<type>/<edge node>[/<device>]`.

The edge node is the principal and the device the registry's device:
`spBv1.0/G/DDATA/n-1/m-1` speaks for what `tonne/v1/n-1/m-1/telemetry` would, and
NDATA of `n-1` for `n-1` itself.  The group only tells nodes apart that a site
names alike, and tonne refuses those.
"""

from __future__ import annotations

import json
import re
import time
from functools import lru_cache
from typing import Any, NamedTuple

from ingest.codecs.sparkplug_b import REBIRTH
from ingest.errors import PayloadError
from ingest.formats import sparkplug_b_pb2
from ingest.formats.sparkplug import BOOLEAN

NAMESPACE = "spBv1.0"
PREFIX = f"{NAMESPACE}/"
OF_NODE = ("NBIRTH", "NDEATH", "NDATA")
OF_DEVICE = ("DBIRTH", "DDEATH", "DDATA")
SUBSCRIPTIONS = (
    *(f"{PREFIX}+/{kind}/+" for kind in OF_NODE),
    *(f"{PREFIX}+/{kind}/+/+" for kind in OF_DEVICE),
)
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NODE_LEVELS = 4


class Topic(NamedTuple):
    """
    Parts of a topic; `device` is empty for a message of the node.

    `own` is the topic of tonne's own that speaks for the same device.
    """

    group: str
    kind: str
    node: str
    device: str
    own: str


@lru_cache(maxsize=200_000)
def parse(topic: str) -> Topic:
    """
    Return the parts of a topic.

    Raises
    ------
    PayloadError
        `unknown_topic` or `name_unusable`.
    """
    words = topic.split("/")
    of_node = len(words) == _NODE_LEVELS
    if not (of_node or len(words) == _NODE_LEVELS + 1) or words[0] != NAMESPACE:
        raise _unknown(topic)
    group, kind, names = words[1], words[2], words[3:]
    if not group or kind not in (OF_NODE if of_node else OF_DEVICE):
        raise _unknown(topic)
    for name in names:
        if not _ID.fullmatch(name):
            raise PayloadError(
                "name_unusable",
                f"{name!r:.80} is not an id; name edge node and device as the registry does, with "
                "letters, digits, _ and -",
            )
    own = f"tonne/v1/{'/'.join(names)}/telemetry"
    return Topic(group, kind, names[0], "" if of_node else names[1], own)


def _unknown(topic: str) -> PayloadError:
    return PayloadError(
        "unknown_topic", f"{topic!r:.200}; publish spBv1.0/<group>/DDATA/<edge node>/<device>"
    )


def own_topic(topic: str) -> str:
    """Return the tonne topic that corresponds to a Sparkplug topic; others unchanged."""
    try:
        return parse(topic).own if topic.startswith(PREFIX) else topic
    except PayloadError:
        return topic


def command(group: str, node: str) -> str:
    """Return the topic for commands to an edge node."""
    return f"{PREFIX}{group}/NCMD/{node}"


def state_topic(host_id: str) -> str:
    """Return the topic of a host application's online state."""
    return f"{PREFIX}STATE/{host_id}"


_payload: Any = sparkplug_b_pb2


def rebirth() -> bytes:
    """Return the payload of a command that requests births from a node."""
    payload = _payload.Payload(timestamp=time.time_ns() // 1_000_000)
    payload.metrics.add(
        name=REBIRTH, timestamp=payload.timestamp, datatype=BOOLEAN, boolean_value=True
    )
    return bytes(payload.SerializeToString())


def host_state(*, online: bool, timestamp_ms: int) -> bytes:
    """Return the payload of a host's STATE message."""
    return json.dumps({"online": online, "timestamp": timestamp_ms}).encode()
