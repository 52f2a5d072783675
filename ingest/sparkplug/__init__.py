"""
Sparkplug B, host side: the sequence of an edge node's messages.

Pure: nodes and messages in; readings, refusals and changed nodes out.  Anyone who
calls stores the nodes in the transaction that stores the readings.
"""

from ingest.sparkplug.host import Host, Outcome, Rules
from ingest.sparkplug.node import (
    PREFIX,
    SUBSCRIPTIONS,
    Node,
    Topic,
    WaitingMessage,
    command,
    host_state,
    own_topic,
    parse,
    rebirth,
    state_topic,
)

__all__ = [
    "PREFIX",
    "SUBSCRIPTIONS",
    "Host",
    "Node",
    "Outcome",
    "Rules",
    "Topic",
    "WaitingMessage",
    "command",
    "host_state",
    "own_topic",
    "parse",
    "rebirth",
    "state_topic",
]
